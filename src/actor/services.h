// Services: what an awake actor has beside SQL: key-value pairs, timers and jobs, queues, the code that
// runs in the background; and what must happen with each commit for their sake.
//
// Belongs to its instance. Made when the database is open, gone before it is closed.

#pragma once

#include "skep/actor/background.h"
#include "skep/actor/dispatcher.h"
#include "skep/actor/key_value.h"
#include "skep/actor/lazy_tables.h"
#include "skep/actor/queue.h"
#include "skep/actor/schedule.h"

namespace skep::actor {

class Services {
 public:
  explicit Services(ActorInstance& instance);
  Services(const Services&) = delete;
  Services& operator=(const Services&) = delete;

  LazyTables& tables() { return tables_; }
  KeyValue& keyValue() { return keyValue_; }
  Schedule& schedule() { return schedule_; }
  Queues& queues() { return queues_; }
  Dispatcher& dispatcher() { return dispatcher_; }
  Background& background() { return background_; }

  /// The actor is awake: what is due runs, and its background code.
  void start();
  /// Nothing new begins; what waits is told to end. Does not suspend.
  void stop();
  /// Suspends until the background code has ended.
  void join() { background_.join(); }
  /// Nothing of these keeps the actor awake.
  bool isIdle() const { return !background_.isBusy(); }

  // With each turn.
  Status beforeCommit() { return dispatcher_.beforeCommit(); }
  void committed() { dispatcher_.committed(); }
  void rolledBack() { dispatcher_.rolledBack(); }

 private:
  LazyTables tables_;
  KeyValue keyValue_;
  Schedule schedule_;
  Queues queues_;
  Background background_;
  Dispatcher dispatcher_;
};

}  // namespace skep::actor
