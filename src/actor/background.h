// Background: an actor's run(), and what else keeps the actor awake.
//
// run() starts when the actor is awake and is told to stop when it goes to sleep. When it throws it is
// started again after a while; when it returns it has ended until the next wake. While it runs, or waits
// to be started again, the actor does not fall asleep, unless it sits in an idle wait: there it is known
// to need nothing but a message or a time.
//
// Belongs to its instance.

#pragma once

#include <memory>

#include "skep/actor/retry.h"
#include "skep/fiber/sync.h"
#include "skep/fiber/timer.h"

namespace skep::actor {

class ActorInstance;
class Invocation;

/// While one exists, its actor does not fall asleep for being idle.
class KeepAwake {
 public:
  KeepAwake() = default;

 private:
  friend class Background;
  explicit KeepAwake(std::shared_ptr<char> token) : token_(std::move(token)) {}
  // Shared: counts the holders; may be held longer than the actor is there.
  std::shared_ptr<char> token_;
};

class Background {
 public:
  explicit Background(ActorInstance& instance) : instance_(instance) {}
  Background(const Background&) = delete;
  Background& operator=(const Background&) = delete;

  void start();
  void stop();
  void join() { running_.close(); }

  /// Keeps the actor awake.
  bool isBusy() const {
    return keepAwake_.use_count() > 1 || (running_.count() != 0 && !isWaiting_);
  }
  KeepAwake keepAwake() { return KeepAwake(keepAwake_); }
  /// Whether `invocation` is that of run().
  bool isRun(const Invocation& invocation) const { return &invocation == invocation_; }
  /// run() waits and may be put to sleep meanwhile.
  void setWaiting(bool isWaiting) { isWaiting_ = isWaiting; }

 private:
  void runAgainAndAgain();

  ActorInstance& instance_;
  const std::shared_ptr<char> keepAwake_ = std::make_shared<char>();
  fiber::AbortSource stop_;
  fiber::Gate running_;
  Invocation* invocation_ = nullptr;
  bool isWaiting_ = false;
};

}  // namespace skep::actor
