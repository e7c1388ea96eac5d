// ActorInstance: one actor while it is awake: its database, its code, and the calls under way.
//
//   Starting ──start()──► Awake ──stop()──► Stopping ──► Gone
//
// Invariants:
//   1. At most one invocation is within a turn: it holds turn_.
//   2. What leaves run() waited until all that it could have seen is durable (I1), unless the type
//      or the call is relaxed: then somebody waits all the same, and the actor breaks when it fails.
//   3. Once a commit has failed nothing is answered but failures, and memory is never used again
//      (I5): the instance asks to be stopped, and the next call makes a new one.
//   4. A database has at most one instance of this host: the next one starts when this is Gone.
//
// Threading: belongs to its loop. Shared: the host's table holds it while it is current, and every
// call that uses it holds it until that ends.

#pragma once

#include <boost/intrusive/list.hpp>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "skep/actor/actor_type.h"
#include "skep/actor/audience.h"
#include "skep/actor/http_exchange.h"
#include "skep/actor/invocation.h"
#include "skep/actor/outbox.h"
#include "skep/actor/services.h"
#include "skep/actor/socket_exchange.h"
#include "skep/fiber/loop.h"
#include "skep/fiber/sync.h"
#include "skep/sql/database.h"
#include "skep/vfs/environment.h"

namespace skep::actor {

/// Calls of actors by actors are nested so deep at most: those on one loop share a stack.
inline constexpr std::size_t kCallDepthMax = 32;

class ActorInstance {
 public:
  enum class State : std::uint8_t { Starting, Awake, Stopping, Gone };
  enum class Stop : std::uint8_t { Sleep, Broken, Destroy };  // the greater one wins

  /// What an instance needs of its host. Called on the instance's loop; does not suspend.
  class Owner {
   public:
    virtual call::Router& router() = 0;
    /// The instance asks to be stopped: a fiber shall call stop().
    virtual void stopRequested(ActorInstance& instance) = 0;
    /// The connections of an actor; null: none.
    virtual Audience* audience(const std::string& databaseName) = 0;
    virtual void admit(const ConnectionPtr& connection) = 0;
    virtual void endConnection(const ConnectionPtr& connection, const call::Closed& why) = 0;
    /// Something of the actor failed that its callers learn nothing of, for whoever asks later.
    virtual void noteError(const call::ActorAddress& actor, std::string_view message) = 0;

   protected:
    ~Owner() = default;
  };

  ActorInstance(Owner& owner, vfs::Environment& environment, const ActorType& type,
                call::ActorAddress address);
  ~ActorInstance();
  ActorInstance(const ActorInstance&) = delete;
  ActorInstance& operator=(const ActorInstance&) = delete;

  /// Opens the database; migrates; creates the actor when it is new and wakes it. `waiting`: who waits for
  /// that. Suspends. After a failure the instance is Gone.
  std::optional<call::Failure> start(call::Existence existence,
                                     const std::optional<call::Payload>& input,
                                     const call::Waiting& waiting);
  /// Whether start() created the actor.
  bool wasCreated() const { return wasCreated_; }

  /// Runs an action and waits for durability. `from`: the connection that asks, or null. Suspends. Awake
  /// only.
  call::Reply run(const call::ActionRequest& request, const ConnectionPtr& from = nullptr);
  /// Runs the hook that lets clients from outside in, for one that has no connection and asks for something
  /// else than an action; waits for durability. What it refused. Suspends. Awake only.
  std::optional<call::Failure> letPass(const call::Visit& visit, std::string_view requestId);
  /// Puts a message into a queue of the actor: durable when it returns. Suspends. Awake only.
  call::Outcome<call::QueueSent> send(const call::QueueSend& message);
  /// Answers a raw request; what is left to tell the client's end is a failure, or nothing. Suspends. Awake
  /// only.
  std::optional<call::Failure> request(const call::HttpRequest& request,
                                       const HttpExchangePtr& exchange);
  /// Talks over a raw WebSocket until that ends; what is left to tell the client's end is a failure, or
  /// nothing. Suspends. Awake only.
  std::optional<call::Failure> talk(const call::HttpRequest& request,
                                    const SocketExchangePtr& exchange);
  /// Runs the hooks that let a client in, and waits for durability. Suspends. Awake only.
  std::optional<call::Failure> letIn(const ConnectionPtr& connection,
                                     const call::ConnectRequest& request);
  /// Asks the actor whether the open connection may hear an event that is guarded. Suspends. Awake only.
  std::optional<call::Failure> maySubscribe(const ConnectionPtr& connection,
                                            const std::string& event);
  /// Runs the hook that hears of a connection's end. Suspends. Awake only.
  void disconnected(const ConnectionPtr& connection);
  /// Suspends until everything committed so far, or up to `txid`, is durable. For the second, the caller is
  /// inside calls().
  std::optional<call::Failure> waitDurable();
  std::optional<call::Failure> waitDurable(store::Txid txid);
  /// As waitDurable(), also of an actor type whose calls do not wait.
  std::optional<call::Failure> awaitDurable();
  /// The same, also of an actor type whose calls do not wait.
  std::optional<call::Failure> awaitDurable(store::Txid txid);

  /// Asks for a stop() by a fiber of its own. To sleep it waits until no call is under way, and serves new
  /// ones meanwhile.
  void requestStop(Stop how);
  /// The same for an actor that was idle: it does not sleep when a call comes first.
  void requestIdleSleep();
  /// The same, as the host closes: it takes no more calls.
  void requestLastSleep();
  /// Takes back a request to sleep that has not begun.
  void withdrawSleep();
  /// A turn that ends the actor was committed.
  void destroyWithTurn();
  /// Ends the instance as was requested: refuses new calls, waits for those under way (unless it
  /// sleeps they are told to stop), runs the hook and closes the database; the store forgets an actor
  /// that is destroyed. Suspends. False when there is nothing to do: it is not awake, the request was
  /// withdrawn, or another fiber stops it.
  bool stop();
  /// Why the store could not forget a destroyed actor, or did not have to.
  const std::optional<call::Failure>& stopFailure() const { return stopFailure_; }
  /// Suspends until it has ended; stopFailure() then.
  const std::optional<call::Failure>& waitUntilEnded();
  /// It has ended, but is still in the host's table: who waited for that goes on first.
  void tellEnded();
  /// The host has no more time: calls under way are told to stop, and new ones refused.
  void cutOff();

  State state() const { return state_; }
  std::optional<Stop> stopRequest() const { return stopRequest_; }
  /// Calls shall wait for the next instance.
  bool isLeaving() const { return state_ == State::Stopping || stopRequest_ > Stop::Sleep; }
  bool isDestroyed() const { return stopRequest_ == Stop::Destroy; }
  /// No call is under way, and nothing else keeps it awake.
  bool isIdle() { return calls_.count() == 0 && services_->isIdle() && !isKeptAwake(); }
  MonotonicTime lastUsed() const { return lastUsed_; }
  void noteUse() {
    lastUsed_ = clock().monotonic();
    isLean_ = false;
  }
  /// It has given back memory since its last use.
  bool isLean() const { return isLean_; }
  /// Gives back what its next use makes anew: prepared statements, SQLite's caches. Suspends.
  void releaseMemory();
  std::size_t memoryBytes() const { return state_ == State::Awake ? database_->memoryBytes() : 0; }
  /// The host has taken it out of its table: the next instance may start.
  void becomeGone();
  /// Suspends until the state changes.
  void waitForChange() { changed_.wait(); }
  /// The same, for at most so long; false when the time ran out.
  bool waitForChange(Duration patience) { return changed_.waitFor(patience); }

  const call::ActorAddress& address() const { return address_; }
  const std::string& databaseName() const { return databaseName_; }
  const ActorType& type() const { return type_; }
  sql::Database& database() { return *database_; }
  Behavior& behavior() { return *behavior_; }
  fiber::Loop& loop() { return environment_.loop; }
  Clock& clock() { return environment_.loop.clock(); }
  call::Router& router() { return owner_.router(); }
  Services& services() { return *services_; }
  /// Calls under way: who does the actor's work on a fiber of its own is inside.
  fiber::Gate& calls() { return calls_; }
  /// One run of Behavior::run(). Suspends.
  std::optional<call::Failure> runBackground(Invocation& invocation);
  /// When something of it is due, once it is Gone.
  std::optional<std::int64_t> alarmMs() const { return alarmMs_; }
  Owner& owner() { return owner_; }
  Outbox& outbox() { return outbox_; }
  Audience* audience() { return owner_.audience(databaseName_); }

 private:
  friend class Invocation;
  /// An invocation is about to commit a turn and to go on. Within the turn.
  Status noteUnfinished();
  enum class Line : std::uint8_t { Ignores, Waits };  // of calls one at a time
  std::optional<call::Failure> open(call::Existence existence);
  std::optional<call::Failure> initialize(call::Existence existence,
                                          const std::optional<call::Payload>& input,
                                          const call::Waiting& waiting);
  Done load(Invocation& invocation, call::Existence existence,
            const std::optional<call::Payload>& input);
  bool isKeptAwake() { return type_.options.connections.keepAwake && audience() != nullptr; }
  /// What a caller gets for `failure` of an invocation that was rolled back.
  call::Failure explain(call::Failure failure, const Invocation& invocation) const;
  void finishOutbox();
  std::optional<call::Failure> refuseCall(const fiber::GateHolder& inside);
  std::optional<call::Failure> passOutputGate(const Invocation& invocation);
  std::optional<call::Failure> finishCall(Invocation& invocation,
                                          std::optional<call::Failure> failed);
  std::optional<call::Failure> runWhole(Invocation& invocation, FunctionRef<Done(Invocation&)> code,
                                        Line line = Line::Ignores);
  /// The one gate of what clients ask without a connection: within the first turn, before anything else.
  /// `visit` outlives what the invocation runs.
  Done passGate(Invocation& invocation, const call::Visit& visit);
  /// As letPass(); also asks whether the client may send to that queue, unless it is null.
  std::optional<call::Failure> letPass(const call::Visit& visit, std::string_view requestId,
                                       const std::string* guardedQueue);
  /// The events of `request` that the connection may hear. Why not the others, of those that it has named.
  call::Outcome<std::vector<std::string>> allowedOf(Invocation& invocation,
                                                    const call::ConnectRequest& request,
                                                    std::vector<call::Failure>& refusals);
  Status welcome(const ConnectionPtr& connection, const call::ConnectRequest& granted,
                 const std::vector<call::Failure>& refusals);
  /// Forbidden, when the actor's code has said no to `what`.
  Done permitted(const call::Outcome<bool>& answer, const std::string& what) const;
  std::optional<call::Failure> runHook(std::string_view what, FunctionRef<Done(Invocation&)> hook,
                                       const call::Waiting& waiting = {});
  call::Failure explain(const Error& error, const Invocation* invocation);
  bool waitUntilItMaySleep();
  void stopInvocations();
  void runLastHooks();
  void runLastHook(Stop how);
  std::optional<store::Ownership> closeDatabase();

  Owner& owner_;
  vfs::Environment& environment_;
  const ActorType& type_;
  const call::ActorAddress address_;
  const std::string databaseName_;
  State state_ = State::Starting;
  std::optional<Stop> stopRequest_;
  std::optional<call::Failure> stopFailure_;
  bool isIdleSleep_ = false;      // the request is withdrawn when a call comes
  bool isLastSleep_ = false;      // the host closes
  bool isDestroyOfTurn_ = false;  // nobody else wants the actor to be destroyed
  bool isCutOff_ = false;
  bool isClosed_ = false;  // the database
  bool isEnded_ = false;
  MonotonicTime usedBeforeSleep_;  // as it was when an idle one was to sleep
  bool wasCreated_ = false;
  bool isMade_ = false;      // migrations and create() or load() are committed
  bool isHalfMade_ = false;  // turns of a creation are committed, and not the last one
  MonotonicTime lastUsed_;
  bool isLean_ = false;
  std::unique_ptr<sql::Database> database_;
  std::unique_ptr<Services> services_;  // as long as the database
  std::unique_ptr<Behavior> behavior_;
  std::optional<std::int64_t> alarmMs_;
  fiber::Mutex turn_;
  fiber::Mutex exclusive_;  // for Concurrency::OneAtATime
  fiber::Gate calls_;
  Outbox outbox_{*this};
  fiber::Event changed_;
  boost::intrusive::list<Invocation, boost::intrusive::constant_time_size<false>> invocations_;
};

}  // namespace skep::actor
