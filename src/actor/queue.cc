#include "skep/actor/queue.h"

#include <algorithm>
#include <functional>

#include "skep/actor/outcome.h"
#include "skep/actor/row_values.h"

namespace skep::actor {
namespace {

using call::Failure;
using call::FailureCode;

constexpr std::int64_t kPostponeMs = 5000;

QueuedMessage messageOf(const std::vector<sql::Value>& row) {
  return {.id = row[0].integer(),
          .body = row[1].blob(),
          .sentMs = row[2].integer(),
          .tries = static_cast<int>(row[3].integer()),
          .error = textOr(row[4])};
}

}  // namespace

std::int64_t Queues::nowMs() {
  nowMs_ = std::max(nowMs_, clock_.wallMs());
  return nowMs_;
}

std::optional<Failure> Queues::checkQueue(const std::string& queue) const {
  if (types_.contains(queue)) return std::nullopt;
  return Failure(FailureCode::UnknownQueue, "the actor type has no queue named '" + queue + "'");
}

Status Queues::write(const std::string& queue, FunctionRef<Status()> body) {
  changed_.insert(queue);
  return database_.asSystem([&]() -> Status {
    SKEP_CHECK_OK(tables_.ensure(database_, LazyTable::Queue));
    return body();
  });
}

Result<std::size_t> Queues::count(const std::string& queue) {
  if (!tables_.has(LazyTable::Queue)) return std::size_t{0};
  if (const auto known = counts_.find(queue); known != counts_.end()) return known->second;
  SKEP_TRY(const sql::Rows rows,
           database_.execute(
               "SELECT count(*) FROM _skep_queue WHERE queue = ? AND due_ms IS NOT NULL", {queue}));
  return counts_[queue] = static_cast<std::size_t>(rows.rows[0][0].integer());
}

void Queues::addToCount(const std::string& queue, std::int64_t number) {
  const auto known = counts_.find(queue);
  if (known != counts_.end()) known->second += static_cast<std::size_t>(number);
}

call::Outcome<std::int64_t> Queues::send(const std::string& queue, Bytes body, Duration delay) {
  if (auto unknown = checkQueue(queue)) return *unknown;
  const QueueOptions& options = types_.find(queue)->second.options;
  if (body.size() > options.bodyBytesMax) {
    return Failure(FailureCode::ValueTooLarge, "a message of queue '" + queue + "' has at most " +
                                                   std::to_string(options.bodyBytesMax) +
                                                   " bytes, this one " +
                                                   std::to_string(body.size()));
  }
  const Result<std::size_t> waiting = count(queue);
  if (!waiting) return call::failureOf(waiting.error(), database_.name());
  if (*waiting >= options.messagesMax) {
    return Failure(FailureCode::QueueFull, "queue '" + queue + "' holds " +
                                               std::to_string(*waiting) +
                                               " messages already; try again later");
  }
  const std::int64_t now = nowMs();
  // Without a delay it is due now, in the order of sending.
  const std::int64_t due = delay > Duration{} ? std::max(now, clock_.wallMsAfter(delay)) : now;
  std::int64_t id = 0;
  Status written = write(queue, [&]() -> Status {
    SKEP_CHECK_OK(database_.execute(
        "INSERT INTO _skep_queue(queue, body, sent_ms, due_ms) VALUES (?, ?, ?, ?)",
        {queue, std::move(body), now, due}));
    id = database_.lastInsertRowid();
    addToCount(queue, 1);
    return {};
  });
  if (!written) return call::failureOf(written.error(), database_.name());
  return id;
}

call::Outcome<std::size_t> Queues::size(const std::string& queue) {
  if (auto unknown = checkQueue(queue)) return *unknown;
  return outcomeOf(count(queue), database_);
}

Result<std::optional<QueuedMessage>> Queues::next(const std::string& queue,
                                                  const std::set<std::int64_t>& taken) {
  if (!tables_.has(LazyTable::Queue)) return std::optional<QueuedMessage>();
  SKEP_TRY(
      const sql::Rows rows,
      database_.execute("SELECT id, body, sent_ms, tries, error FROM _skep_queue WHERE queue = "
                        "? AND due_ms <= ? ORDER BY due_ms, id LIMIT ?",
                        {queue, nowMs(), countOf(taken.size() + 1)}));
  for (const auto& row : rows.rows) {
    if (!taken.contains(row[0].integer())) return std::optional<QueuedMessage>(messageOf(row));
  }
  return std::optional<QueuedMessage>();
}

Result<bool> Queues::acknowledge(const std::string& queue, std::int64_t id) {
  bool wasThere = false;
  SKEP_CHECK_OK(write(queue, [&]() -> Status {
    SKEP_CHECK_OK(database_.execute("DELETE FROM _skep_queue WHERE id = ?", {id}));
    wasThere = database_.changes() != 0;
    if (wasThere) addToCount(queue, -1);
    return {};
  }));
  return wasThere;
}

Result<bool> Queues::fail(const std::string& queue, const QueuedMessage& message,
                          const std::string& error) {
  const QueueOptions& options = types_.find(queue)->second.options;
  const int tries = message.tries + 1;
  const bool isDead = tries >= options.retry.triesMax;
  const std::uint64_t seed =
      std::hash<std::string>{}(database_.name()) + static_cast<std::uint64_t>(message.id) * 1000;
  const sql::Value due =
      isDead ? sql::Value() : sql::Value(nowMs() + options.retry.delayMs(tries, seed));
  SKEP_CHECK_OK(write(queue, [&]() -> Status {
    SKEP_CHECK_OK(
        database_.execute("UPDATE _skep_queue SET due_ms = ?, tries = ?, error = ? WHERE id = ?",
                          {due, tries, shortened(error), message.id}));
    if (!isDead) return {};
    if (database_.changes() != 0) addToCount(queue, -1);
    SKEP_CHECK_OK(
        database_.execute("DELETE FROM _skep_queue WHERE id IN (SELECT id FROM _skep_queue WHERE "
                          "queue = ? AND due_ms "
                          "IS NULL ORDER BY id DESC LIMIT -1 OFFSET ?)",
                          {queue, countOf(options.deadMax)}));
    return {};
  }));
  return isDead;
}

Status Queues::postpone(const std::string& queue, std::int64_t id) {
  return write(queue, [&]() -> Status {
    SKEP_CHECK_OK(database_.execute("UPDATE _skep_queue SET due_ms = ? WHERE id = ?",
                                    {nowMs() + kPostponeMs, id}));
    return {};
  });
}

Result<std::optional<std::int64_t>> Queues::earliest(const std::string& queue,
                                                     std::int64_t afterMs) {
  if (!tables_.has(LazyTable::Queue)) return std::optional<std::int64_t>();
  SKEP_TRY(const sql::Rows rows,
           database_.execute("SELECT min(due_ms) FROM _skep_queue WHERE queue = ? AND due_ms > ?",
                             {queue, afterMs}));
  if (rows.rows[0][0].isNull()) return std::optional<std::int64_t>();
  return std::optional<std::int64_t>(rows.rows[0][0].integer());
}

// ---- Dead ones

call::Outcome<std::vector<QueuedMessage>> Queues::dead(const std::string& queue, std::int64_t after,
                                                       std::size_t countMax) {
  if (auto unknown = checkQueue(queue)) return *unknown;
  std::vector<QueuedMessage> messages;
  if (!tables_.has(LazyTable::Queue)) return messages;
  Result<sql::Rows> rows = database_.execute(
      "SELECT id, body, sent_ms, tries, error FROM _skep_queue WHERE queue = ? AND "
      "due_ms IS NULL AND id > ? ORDER BY id LIMIT ?",
      {queue, after, countOf(countMax)});
  if (!rows) return call::failureOf(rows.error(), database_.name());
  for (const auto& row : rows->rows) messages.push_back(messageOf(row));
  return messages;
}

call::Outcome<bool> Queues::requeueDead(const std::string& queue, std::int64_t id) {
  if (auto unknown = checkQueue(queue)) return *unknown;
  if (!tables_.has(LazyTable::Queue)) return false;
  bool wasThere = false;
  Status written = write(queue, [&]() -> Status {
    SKEP_CHECK_OK(
        database_.execute("UPDATE _skep_queue SET due_ms = ?, tries = 0, error = NULL "
                          "WHERE id = ? AND queue = ? AND due_ms IS NULL",
                          {nowMs(), id, queue}));
    wasThere = database_.changes() != 0;
    if (wasThere) addToCount(queue, 1);
    return {};
  });
  if (!written) return call::failureOf(written.error(), database_.name());
  return wasThere;
}

call::Outcome<bool> Queues::removeDead(const std::string& queue, std::int64_t id) {
  if (auto unknown = checkQueue(queue)) return *unknown;
  if (!tables_.has(LazyTable::Queue)) return false;
  bool wasThere = false;
  Status written = write(queue, [&]() -> Status {
    SKEP_CHECK_OK(database_.execute(
        "DELETE FROM _skep_queue WHERE id = ? AND queue = ? AND due_ms IS NULL", {id, queue}));
    wasThere = database_.changes() != 0;
    return {};
  });
  if (!written) return call::failureOf(written.error(), database_.name());
  return wasThere;
}

}  // namespace skep::actor
