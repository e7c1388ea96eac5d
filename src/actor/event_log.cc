#include "skep/actor/event_log.h"

#include <utility>

#include "skep/base/random_id.h"

namespace skep::actor {
namespace {

constexpr std::string_view kTable =
    "CREATE TABLE IF NOT EXISTS _skep_event_stream(id INTEGER PRIMARY KEY CHECK (id = 1), "
    "stream TEXT NOT NULL, sequence INTEGER NOT NULL)";

/// About what an event that is kept takes.
std::size_t bytesOf(const call::Event& event) {
  return event.value().size() + event.name().size() + sizeof(call::Event);
}

}  // namespace

Status EventLog::load(sql::Database& database) {
  if (!stream_.empty()) return {};
  if (memory_ == Memory::Forgets) {
    stream_ = randomId();
    return {};
  }
  SKEP_TRY(const sql::Rows table, database.execute("SELECT 1 FROM sqlite_schema WHERE name = "
                                                   "'_skep_event_stream'"));
  if (!table.rows.empty()) {
    SKEP_TRY(const sql::Rows rows,
             database.execute("SELECT stream, sequence FROM _skep_event_stream"));
    if (!rows.rows.empty()) {
      stream_ = rows.rows[0][0].text();
      sequence_ = static_cast<std::uint64_t>(rows.rows[0][1].integer());
      isSaved_ = true;
    }
  }
  if (stream_.empty()) stream_ = randomId();
  sentSequence_ = firstSequence_ = sequence_;
  return {};
}

Status EventLog::beginSending(sql::Database& database) {
  if (!isSaved_) return {};
  SKEP_CHECK_OK(database.asSystem([&]() -> Status {
    SKEP_CHECK_OK(database.execute("DELETE FROM _skep_event_stream"));
    return {};
  }));
  isSaved_ = false;
  database.onRollback([this] { isSaved_ = true; });
  return {};
}

call::EventPosition EventLog::next() {
  return {stream_, ++sequence_};
}

void EventLog::append(const EventPtr& event, const std::string& except) {
  sentSequence_ = event->position().sequence;
  keptBytes_ += bytesOf(*event);
  kept_.push_back({event, except});
  while (kept_.size() > options_.eventsKept || keptBytes_ > options_.eventBytesKept) forgetOldest();
}

void EventLog::forgetOldest() {
  const call::Event& oldest = *kept_.front().event;
  keptBytes_ -= bytesOf(oldest);
  forgotten_[oldest.name()] = oldest.position().sequence;
  kept_.pop_front();
}

std::optional<std::vector<EventLog::EventPtr>> EventLog::after(
    const call::EventPosition& seen, const std::string& connection,
    const std::set<std::string>& names) const {
  const bool isOurs = seen.stream == stream_ && seen.sequence <= sentSequence_;
  if (!isOurs || seen.sequence < firstSequence_) return std::nullopt;
  for (const std::string& name : names) {
    const auto gone = forgotten_.find(name);
    if (gone != forgotten_.end() && gone->second > seen.sequence) return std::nullopt;
  }
  std::vector<EventPtr> missing;
  for (const Kept& kept : kept_) {
    const bool isNew = kept.event->position().sequence > seen.sequence;
    const bool wasMeant = kept.except.empty() || kept.except != connection;
    if (isNew && wasMeant && names.contains(kept.event->name())) missing.push_back(kept.event);
  }
  return missing;
}

Status EventLog::save(sql::Database& database) {
  SKEP_CHECK_OK(database.asSystem([&]() -> Status {
    SKEP_CHECK_OK(database.execute(kTable));
    SKEP_CHECK_OK(
        database.execute("INSERT INTO _skep_event_stream VALUES (1, ?, ?) ON CONFLICT (id) DO "
                         "UPDATE SET stream = excluded.stream, sequence = excluded.sequence",
                         {stream_, static_cast<std::int64_t>(sequence_)}));
    return {};
  }));
  isSaved_ = true;
  database.onRollback([this] { isSaved_ = false; });
  return {};
}

}  // namespace skep::actor
