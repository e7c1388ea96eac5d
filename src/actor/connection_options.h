// ConnectionOptions: what connections and events of an actor type may cost. Plain values.

#pragma once

#include <cstddef>

namespace skep::actor {

struct ConnectionOptions {
  bool keepAwake = false;          // an actor with an open connection does not fall asleep
  std::size_t countMax = 100'000;  // of one actor
  std::size_t parameterBytesMax = 16 * 1024;
  std::size_t waitingMax = 1'000;         // messages of a connection that is not let in yet
  std::size_t stateBytesMax = 64 * 1024;  // of one connection, encoded
  std::size_t tagsMax = 64;               // of one connection
  std::size_t subscriptionsMax = 256;     // of one connection
  std::size_t eventsKept = 1'000;         // for clients that come back, while the actor is awake
  std::size_t eventBytesKept = 128 * 1024;
  std::size_t replayBytesMax =
      1024 * 1024;  // of kept events that one client gets when it comes back
  std::size_t outboxBytesMax = 16 * 1024 * 1024;  // waits until the turns that sent it are durable
};

struct EventOptions {
  /// About how many of its newest are kept in the database, for clients that come back after a crash or a
  /// long time. 0: only those in memory, while the actor is awake.
  std::size_t history = 0;
  bool isGuarded = false;  // Behavior::maySubscribe() is asked
};

}  // namespace skep::actor
