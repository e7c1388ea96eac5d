// Dispatcher: runs what is due in an awake actor: its timers and jobs, and the messages of its queues.
//
// With each turn that changed one of them, the time of the earliest goes into the store's alarm index, in
// the same store transaction as the commit: so somebody (AlarmWatch) wakes the actor when it sleeps.
// While it is awake, one timer of the loop stands for all of the actor's.
//
// A handler's end (a timer goes, a job gets its next slot, a message is acknowledged) commits with the
// handler's last turn. A handler that fails is rolled back and tried again later; one that could not run
// for a reason that is not its own (the store does not answer, the actor is on its way out) is tried
// again without that being counted. What runs now is known in memory only: after a crash all of it is due
// again.
//
// Belongs to its instance. Fibers that it starts count as calls of the instance.

#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "skep/actor/attempt.h"
#include "skep/actor/queue.h"
#include "skep/actor/schedule.h"
#include "skep/call/router.h"
#include "skep/fiber/timer.h"

namespace skep::actor {

class Background;

class Dispatcher {
 public:
  Dispatcher(ActorInstance& instance, Schedule& schedule, Queues& queues, Background& background);
  Dispatcher(const Dispatcher&) = delete;
  Dispatcher& operator=(const Dispatcher&) = delete;

  void start();
  void stop();
  /// Those that wait for a reply hear that there will be none now: all, or those whose message nobody handles.
  void stopReplyWaiters();
  void stopIdleReplyWaiters();

  // --- With each turn. ---

  /// Sets the store's alarm when it changes with this turn.
  Status beforeCommit();
  void committed();
  void rolledBack();

  /// When something is due, as the newest commit has it.
  std::optional<std::int64_t> alarmMs() const { return alarmMs_; }

  // --- Messages from outside, and those that code takes by itself. ---

  /// Sends within a turn of its own; waits for durability, and for the reply if asked to. Suspends.
  call::Outcome<call::QueueSent> send(const call::QueueSend& message);

  /// The first message that is due, waiting for one for up to `timeout`. A pause of the invocation; for
  /// run() an idle one. Nothing: the time ran out. Aborted when the invocation shall end. It must be
  /// settled by one of the following.
  Result<std::optional<QueuedMessage>> receive(Invocation& invocation, const std::string& queue,
                                               std::optional<Duration> timeout);
  /// What a sender that waits for the reply to this message wants.
  call::Encoding replyEncoding(std::int64_t id) const;
  /// In the turn that commits what was made of the message.
  Status complete(const std::string& queue, const QueuedMessage& message, call::Payload reply);
  Status fail(const std::string& queue, const QueuedMessage& message, const std::string& error);
  /// Its holder gave up on it: it failed. Does not suspend.
  void abandon(const std::string& queue, const QueuedMessage& message);

 private:
  struct ReplyWaiter;
  struct Receiver;
  struct Settled {
    std::string queue;
    QueuedMessage message;
    std::optional<call::Reply> reply;
  };

  // When things are due.
  Result<std::optional<std::int64_t>> earliest();
  bool wakesFor(const QueueType& queue) const;
  void arm(std::optional<std::int64_t> dueMs);
  void look();
  void lookLater();
  Status startDue(std::optional<std::int64_t>& next);
  /// Runs `body` on a fiber that counts as a call; false when the actor takes no more, or the process has
  /// no stack left.
  bool spawn(std::string_view name, std::function<void()> body);

  // Handlers.
  void runCall(std::int64_t id);
  bool settleCall(const DueCall& ran, const Attempt& attempt, std::int64_t startedMs);
  void startHandler(const std::string& queue);
  void handleMessages(const std::string& queue);
  bool handleMessage(const std::string& queue);
  bool settleMessage(const std::string& queue, const QueuedMessage& message,
                     const Attempt& attempt);
  void failAbandoned();
  void reply(std::int64_t id, call::Reply reply);
  void stopReplyWaiter(std::int64_t id, ReplyWaiter& waiter);
  void ring(const std::string& queue);

  ActorInstance& instance_;
  Schedule& schedule_;
  Queues& queues_;
  Background& background_;
  fiber::Timer timer_;
  bool isStarted_ = false;
  bool isStopped_ = false;
  bool dropsUnread_ = false;  // asleep, messages that nobody waits for wake nobody

  std::optional<std::int64_t> alarmMs_;      // as the newest commit has it
  std::optional<std::int64_t> nextAlarmMs_;  // as the open turn will have it
  bool alarmIsNew_ = true;                   // look at all tables with the next commit
  bool isTouched_ = false;
  std::set<std::string> changedQueues_;

  bool isLooking_ = false;
  bool looksAgain_ = false;
  std::set<std::int64_t> running_;  // timers and jobs
  std::set<std::string> runningJobs_;
  std::map<std::string, std::size_t> handlers_;  // fibers that handle messages, by queue
  std::set<std::int64_t> taken_;                 // messages that somebody has
  std::vector<Settled> settled_;                 // in the open turn
  std::vector<Settled> abandoned_;
  bool isFailing_ = false;
  std::map<std::int64_t, ReplyWaiter*> replyWaiters_;
  std::multimap<std::string, Receiver*> receivers_;
};

}  // namespace skep::actor
