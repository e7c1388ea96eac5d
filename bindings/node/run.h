// Run: one run of an actor's JavaScript code (an action, a hook): the meeting of its fiber and of
// JavaScript.
//
//   fiber                              JavaScript thread, outside fibers
//   serve(): dispatch() is asked for ─►  the code begins
//   does one operation after another ◄─  perform()
//   commits the turn, waits          ◄─  scopeEnded(): the code waits for something else
//   begins the next turn             ◄─  the next perform()
//   returns                          ◄─  settle()
//
// In between, messages of a raw WebSocket begin code too.
//
// An operation is done on the fiber, which perform() runs at once when it only waits for one: then it is
// over when perform() returns, unless it had to wait, for a page or for another run's turn.
//
// Lives on its fiber's stack. The fiber and JavaScript share it without locks: both are on one thread.

#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "node_loop.h"
#include "skep/actor/http_responder.h"
#include "skep/actor/invocation.h"
#include "skep/actor/socket_session.h"
#include "skep/base/result.h"
#include "skep/call/message.h"

namespace skep::node {

class JsActor;

/// Something that an actor's code asks its run for.
class Operation {
 public:
  virtual ~Operation() = default;
  /// On the fiber. `turn`: why there is no turn, if there is none.
  virtual void work(actor::Invocation& invocation, const Status& turn) = 0;
  /// On the JavaScript thread, when perform() had returned before the work was done.
  virtual void deliver() = 0;

  bool isDone() const { return isDone_; }

 private:
  friend class Run;
  bool isStarted_ = false;
  bool isDone_ = false;
  bool isAwaited_ = false;  // deliver() is called, and deletes it
};

struct Settled {
  std::optional<call::Failure> failure;
  std::optional<call::Payload> result;
};

class Run {
 public:
  /// What the code has of its run.
  using Id = std::uint32_t;

  Run(NodeLoop& node, JsActor& actor, actor::Invocation& invocation);
  ~Run();
  Run(const Run&) = delete;
  Run& operator=(const Run&) = delete;

  /// The run of that id, if it goes on. On the JavaScript thread, as what follows.
  static Run* find(Id id);
  Id id() const { return id_; }
  JsActor& actor() { return actor_; }
  actor::Invocation& invocation() { return invocation_; }

  /// Has the operation done. When it is not done on return, this owns it and delivers it later; it is
  /// done in any case.
  void perform(Operation& operation);
  /// As perform(), but blocks this thread until it is done. False: it cannot be done before other code has
  /// run, and was not.
  bool performBlocking(Operation& operation);
  /// May end the run, and this.
  void settle(Settled settled);
  /// The thread's JavaScript ends: no code goes on.
  static void abandonAll();
  /// The code that has run just now is over: of all runs that it was about.
  static void scopeEnded();
  /// While savepoints are open the turn goes on, whatever the code waits for: what it does in them is
  /// kept or undone as a whole. On the fiber.
  void savepointBegun() { ++savepoints_; }
  void savepointEnded() { --savepoints_; }
  bool hasSavepoint() const { return savepoints_ > 0; }
  /// The first error of something whose caller does not wait fails the run when it ends.
  void failLater(const call::Failure& failure);

  /// On the fiber: asks for the code to be started, serves it, and gives how it ended. Suspends.
  Settled serve(std::function<void()> dispatch);

  actor::HttpResponder* responder = nullptr;  // of a raw request
  actor::SocketSession* socket = nullptr;     // of a raw WebSocket
  /// Whether its code handles messages, and wants no more of them. On the JavaScript thread.
  void setBusy(bool isBusy);

 private:
  struct Registry;
  static Registry& registry();

  /// Until there is something to do. Suspends.
  void waitForWork();
  void runFiber();
  void touch();
  void mayYield();
  bool isSocketReady();
  void deliverFromSocket();
  void finish(Operation& operation);
  void aborted();
  void abandon();

  NodeLoop& node_;
  JsActor& actor_;
  actor::Invocation& invocation_;
  Registry& all_;
  const Id id_;
  std::deque<Operation*> operations_;
  std::optional<Settled> settled_;
  std::optional<call::Failure> later_;
  Status turn_;
  fiber::Waker waiting_;  // the fiber has nothing to do
  fiber::Timer grace_;
  int savepoints_ = 0;        // open now
  bool yields_ = false;       // the code waits for something else
  bool isAbandoned_ = false;  // the code was told to end, and does not
  bool isPaused_ = false;     // between two turns
  bool isBusy_ = false;
  bool isDelivering_ = false;  // a message is on its way to the code
  bool isSocketOver_ = false;  // that the WebSocket is over is, or has arrived
};

}  // namespace skep::node
