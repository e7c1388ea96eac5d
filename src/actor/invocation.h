// Invocation: one run of an actor's code (an action, a hook), made of turns.
//
// A turn is the code between two suspension points: nobody else's code of this actor runs meanwhile,
// and its writes are one transaction. pause() is such a point: it commits the turn, waits, and begins
// the next. A page of the database that has to be read is none: the turn goes on behind it.
//
// Belongs to the fiber that it runs on.
//
//   Status slept = invocation.pause([&] { fiber::sleepFor(1s, invocation.abortToken()); });

#pragma once

#include <boost/intrusive/list_hook.hpp>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "skep/actor/connection.h"
#include "skep/base/function_ref.h"
#include "skep/base/result.h"
#include "skep/call/router.h"
#include "skep/fiber/loop_watch.h"
#include "skep/fiber/timer.h"
#include "skep/sql/database.h"

namespace skep::actor {

class ActorInstance;
class Outbox;
class Services;

class Invocation : public boost::intrusive::list_base_hook<
                       boost::intrusive::link_mode<boost::intrusive::auto_unlink>> {
 public:
  /// `timeout` from now on; then abortToken() is aborted and running SQL interrupted. `callers`: the
  /// actors that wait for this one, outermost first. `what` it is, for people; it outlives this.
  Invocation(ActorInstance& instance, Duration timeout, std::vector<std::string> callers = {},
             std::string_view what = "a hook");
  ~Invocation();
  Invocation(const Invocation&) = delete;
  Invocation& operator=(const Invocation&) = delete;

  // --- For the runtime. ---

  /// Begins the first turn. Suspends. Aborted when the actor is on its way out, TimedOut.
  Status begin();
  /// The same; for Concurrency::OneAtATime, once the calls before have ended.
  Status beginAlone();
  /// Other calls of a Concurrency::OneAtATime may run, until takeLine().
  void leaveLine();
  /// As beginAlone(), without beginning a turn.
  Status takeLine();
  bool isInLine() const { return isInLine_; }
  /// Ends the invocation: commits the open turn, or rolls it back. After an error nothing of the
  /// turn stays. Does not wait for durability.
  Status commit();
  void rollback();
  /// Everything that this invocation could have seen is in this version.
  store::Txid seenTxid() const { return seenTxid_; }
  /// Whether there is a turn to commit: not after an error of pause().
  bool isInTurn() const { return inTurn_; }
  /// Something of it has happened that stays: a turn was committed that wrote or said something, or another
  /// actor was asked. Who calls again would do it twice.
  bool hasEffects() const { return hasEffects_; }
  /// It has committed a turn that ends the actor.
  bool destroysActor() const { return destroys_; }
  /// Whether the time ran out.
  bool isTimedOut() const { return isTimedOut_; }
  /// The connection whose message or coming and going this is about; before begin().
  void setConnection(ConnectionPtr connection) { connection_ = std::move(connection); }
  /// What a client from outside asks for. Outlives this.
  void setVisit(const call::Visit* visit) { visit_ = visit; }
  /// Aborts abortToken() and interrupts running SQL. `why` is told to the code. Does not suspend.
  void stop(std::string why = "the actor is on its way out");
  /// It has no time limit any more; instead it is told to stop when the actor goes to sleep.
  void goOnUntilStopped();
  bool goesOnUntilStopped() const { return goesOn_; }
  /// From now on it has so much time.
  void goOnFor(Duration limit);

  // --- For the actor's code, through the API. ---

  const call::ActorAddress& actor() const;
  sql::Database& database();
  Services& services();
  Clock& clock();
  fiber::AbortToken abortToken() const { return abort_.token(); }
  Duration timeLeft() const;

  /// Commits the turn, runs `wait`, which may suspend, and begins the next turn. Aborted when the
  /// invocation was told to stop meanwhile; there is no open turn then.
  Status pause(FunctionRef<void()> wait);
  /// From now on what this sends, and its reply, does not wait until what it wrote is durable.
  void relax() { isRelaxed_ = true; }
  bool isRelaxed() const { return isRelaxed_; }
  /// As pause(). When this is the actor's run(), the actor may fall asleep meanwhile.
  Status pauseIdle(FunctionRef<void()> wait);
  /// Suspends (as pause() does) until everything written so far is durable.
  Status flush();
  /// Calls another actor; its reply is what Router::run() gives. A pause; what was written before is
  /// durable before the other actor hears of it.
  call::Reply call(call::ActionRequest request);
  /// As call(), with a message for a queue of another actor.
  call::Outcome<call::QueueSent> send(call::QueueSend message);
  /// As call(), but only sees to it that the actor exists. True when this made it.
  call::Outcome<bool> resolve(const call::ActorAddress& actor, call::Existence existence,
                              std::optional<call::Payload> input);
  /// Whether this actor's type has an action of that name.
  bool hasAction(const std::string& name) const;
  /// Null: this is not about one.
  const ConnectionPtr& connection() const { return connection_; }
  /// Of the client that this is for, which has a connection or visits. Null: there is none, or no token was
  /// asked for.
  const call::Claims* claims() const;
  /// All that the hooks have let in, in that order; also while the actor was asleep.
  std::vector<ConnectionPtr> connections() const;
  /// What leaves with this turn: once that is durable, or never. Aborted when there is no open turn.
  /// See Outbox for the other errors.
  Status broadcast(std::string_view event, std::string value, std::string except);
  Status send(const ConnectionPtr& to, std::string_view event, std::string value);
  Status disconnect(const ConnectionPtr& connection, const std::string& reason);
  /// Something else: `leave`, which does not suspend, is called then. `bytes`: what it holds until then.
  Status say(std::size_t bytes, std::function<void()> leave);
  /// State and tags follow the turn, as all memory of the actor should.
  Status setState(const ConnectionPtr& connection, std::string state);
  Status setTags(const ConnectionPtr& connection, std::set<std::string> tags);

  /// Keeps what went wrong for whoever runs the server (call::ActorDetails).
  void noteError(std::string_view message);
  /// The actor and everything of it is removed, if this turn is committed: once this invocation, which goes
  /// on, and the others, which are told to stop, have ended.
  void destroyActor();
  /// After this invocation the actor goes to sleep as soon as nothing else runs.
  void sleepActor();

 private:
  /// `ask`: what the Router is asked for, once what was written before is durable. A pause.
  template <class Answer, class Ask>
  Answer askOthers(Ask ask);
  Status endTurn();
  call::Waiting waiting() const;
  Status checkGoing() const;
  Status checkTurn() const;

  ActorInstance& instance_;
  const fiber::Activity activity_;
  const fiber::ActivityScope activityScope_{activity_};
  MonotonicTime deadline_;
  std::vector<std::string> callers_;
  ConnectionPtr connection_;
  const call::Visit* visit_ = nullptr;
  fiber::AbortSource abort_;
  fiber::Timer timer_;
  bool inTurn_ = false;
  bool isTimedOut_ = false;
  bool goesOn_ = false;
  bool isRelaxed_ = false;
  bool isInLine_ = false;
  bool hasEffects_ = false;
  bool destroys_ = false;
  bool destroysInTurn_ = false;
  std::string stoppedBy_;
  store::Txid seenTxid_ = 0;
};

}  // namespace skep::actor
