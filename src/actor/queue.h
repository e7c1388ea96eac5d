// Queues: an actor's durable queues, in the table _skep_queue of its database.
//
// A message is a row until it is acknowledged; sending, acknowledging and failing one belong to a turn,
// like SQL (I3). Messages are taken in the order in which they became due: the order of sending, but for
// those with a delay and those that failed. Who handles a message now is not stored: when the process
// dies, all messages are free again, in the same order. One that failed too often is dead: it stays, in
// nobody's way, until it is queued again or removed.
//
// This class knows the rows; when they are handled is the Dispatcher's business. Called on the actor's
// fiber inside a turn. Lives as long as the database.

#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "skep/actor/lazy_tables.h"
#include "skep/actor/retry.h"
#include "skep/base/clock.h"
#include "skep/call/router.h"
#include "skep/sql/database.h"

namespace skep::actor {

struct QueueOptions {
  std::size_t concurrency = 1;     // messages that are handled at once
  std::size_t messagesMax = 1000;  // that wait; then QueueFull
  std::size_t bodyBytesMax = 64 * 1024;
  std::size_t deadMax = 1000;  // then the oldest dead one goes
  RetryOptions retry;
};

/// A queue that an actor type has: with a handler, or to be read by its own code.
struct QueueType {
  QueueOptions options;
  bool hasHandler = false;
  bool isGuarded = false;  // Behavior::mayPublish() is asked
};
using QueueTypes = std::map<std::string, QueueType, std::less<>>;

struct QueuedMessage {
  std::int64_t id = 0;
  Bytes body;  // an encoded value, CBOR
  std::int64_t sentMs = 0;
  int tries = 0;      // that failed
  std::string error;  // of the newest one
};

class Queues {
 public:
  Queues(sql::Database& database, LazyTables& tables, const QueueTypes& types, Clock& clock)
      : database_(database), tables_(tables), types_(types), clock_(clock) {}

  /// Gives the message's id, which is never used again. UnknownQueue, QueueFull, ValueTooLarge.
  call::Outcome<std::int64_t> send(const std::string& queue, Bytes body, Duration delay);
  /// How many wait, or are handled now; the dead ones not.
  call::Outcome<std::size_t> size(const std::string& queue);
  /// Dead ones with a greater id than `after`, by id.
  call::Outcome<std::vector<QueuedMessage>> dead(const std::string& queue, std::int64_t after,
                                                 std::size_t countMax);
  /// A dead one waits again, behind the others, as if it had never failed. Whether there was one.
  call::Outcome<bool> requeueDead(const std::string& queue, std::int64_t id);
  call::Outcome<bool> removeDead(const std::string& queue, std::int64_t id);

  // --- For the dispatcher and those that take messages. ---

  /// The first that is due and not among `taken`.
  Result<std::optional<QueuedMessage>> next(const std::string& queue,
                                            const std::set<std::int64_t>& taken);
  /// It was handled: the row goes. Whether it was still there.
  Result<bool> acknowledge(const std::string& queue, std::int64_t id);
  /// It failed: due again later, or dead. Whether it is dead now.
  Result<bool> fail(const std::string& queue, const QueuedMessage& message,
                    const std::string& error);
  /// It could not be handled for a reason that is not its own: later, and this was no try.
  Status postpone(const std::string& queue, std::int64_t id);
  /// When the next one is due, among those that are due later than `afterMs`.
  Result<std::optional<std::int64_t>> earliest(const std::string& queue, std::int64_t afterMs);
  std::int64_t nowMs();

  const QueueTypes& types() const { return types_; }
  /// The queues with new messages, or with others that are due at another time, since the last call.
  std::set<std::string> takeChanged() { return std::exchange(changed_, {}); }
  void forgetCounts() { counts_.clear(); }

 private:
  Status write(const std::string& queue, FunctionRef<Status()> body);
  Result<std::size_t> count(const std::string& queue);
  void addToCount(const std::string& queue, std::int64_t number);
  std::optional<call::Failure> checkQueue(const std::string& queue) const;

  sql::Database& database_;
  LazyTables& tables_;
  const QueueTypes& types_;
  Clock& clock_;
  std::int64_t nowMs_ = 0;  // never goes back, so that a clock that is set back changes no order
  std::set<std::string> changed_;
  std::map<std::string, std::size_t> counts_;  // those that are known
};

}  // namespace skep::actor
