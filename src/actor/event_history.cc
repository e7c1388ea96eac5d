#include "skep/actor/event_history.h"

#include <utility>

namespace skep::actor {
namespace {

constexpr std::string_view kTables = R"sql(
CREATE TABLE IF NOT EXISTS _skep_event(
  id INTEGER PRIMARY KEY AUTOINCREMENT, stream TEXT NOT NULL, sequence INTEGER NOT NULL,
  name TEXT NOT NULL, value BLOB NOT NULL, except_connection TEXT NOT NULL);
CREATE UNIQUE INDEX IF NOT EXISTS _skep_event_position ON _skep_event(stream, sequence);
CREATE INDEX IF NOT EXISTS _skep_event_name ON _skep_event(name, id);
CREATE TABLE IF NOT EXISTS _skep_event_dropped(
  name TEXT PRIMARY KEY, id INTEGER NOT NULL, stream TEXT NOT NULL, sequence INTEGER NOT NULL) WITHOUT ROWID;
)sql";

// Dropping happens for a part of what is kept at once: 1 / kTrimPart more may be there.
constexpr std::size_t kTrimPart = 8;

Result<std::optional<std::int64_t>> integerOf(sql::Database& database, std::string_view query,
                                              std::initializer_list<sql::Value> parameters) {
  SKEP_TRY(const sql::Rows rows, database.execute(query, parameters));
  if (rows.rows.empty() || rows.rows[0][0].isNull()) return std::optional<std::int64_t>();
  return std::optional<std::int64_t>(rows.rows[0][0].integer());
}

Result<bool> isThere(sql::Database& database) {
  SKEP_TRY(const std::optional<std::int64_t> found,
           integerOf(database, "SELECT 1 FROM sqlite_schema WHERE name = '_skep_event'", {}));
  return found.has_value();
}

/// The id of the newest row at or before a position; nullopt when the history cannot say.
Result<std::optional<std::int64_t>> placeOf(sql::Database& database,
                                            const call::EventPosition& seen) {
  const auto sequence = static_cast<std::int64_t>(seen.sequence);
  SKEP_TRY(const std::optional<std::int64_t> before,
           integerOf(database, "SELECT max(id) FROM _skep_event WHERE stream = ? AND sequence <= ?",
                     {seen.stream, sequence}));
  if (before) return before;
  SKEP_TRY(const std::optional<std::int64_t> behind,
           integerOf(database, "SELECT min(id) FROM _skep_event WHERE stream = ? AND sequence > ?",
                     {seen.stream, sequence}));
  return behind ? std::optional<std::int64_t>(*behind - 1) : std::nullopt;
}

/// Whether an event of that name that came behind a position has been dropped. `place`: the position's.
Result<bool> droppedBehind(sql::Database& database, const std::string& name,
                           const call::EventPosition& seen, std::int64_t place) {
  SKEP_TRY(const sql::Rows rows,
           database.execute("SELECT id, stream, sequence FROM _skep_event_dropped WHERE name = ?",
                            {name}));
  if (rows.rows.empty()) return false;
  const auto& dropped = rows.rows[0];
  if (dropped[1].text() != seen.stream) return dropped[0].integer() > place;
  return dropped[2].integer() > static_cast<std::int64_t>(seen.sequence);
}

}  // namespace

Status EventHistory::makeTables(sql::Database& database) {
  if (hasTables_) return {};
  SKEP_CHECK_OK(database.run(kTables));
  hasTables_ = true;
  database.onRollback([this] { hasTables_ = false; });
  return {};
}

Status EventHistory::add(sql::Database& database, const call::Event& event,
                         const std::string& except, std::size_t keep) {
  return database.asSystem([&]() -> Status {
    SKEP_CHECK_OK(makeTables(database));
    SKEP_CHECK_OK(database.execute(
        "INSERT INTO _skep_event(stream, sequence, name, value, except_connection) "
        "VALUES (?, ?, ?, ?, ?)",
        {event.position().stream, static_cast<std::int64_t>(event.position().sequence),
         event.name(), sql::Value(toBytes(asBytes(event.value()))), except}));
    std::size_t& untilTrim = untilTrim_[event.name()];  // 0 after a wake: it may be due for long
    if (untilTrim > 0) {
      --untilTrim;
      return {};
    }
    untilTrim = keep / kTrimPart;
    return trim(database, event.name(), keep);
  });
}

Status EventHistory::trim(sql::Database& database, const std::string& name, std::size_t keep) {
  SKEP_TRY(const std::optional<std::int64_t> newest,
           integerOf(database,
                     "SELECT id FROM _skep_event WHERE name = ? ORDER BY id DESC LIMIT 1 OFFSET ?",
                     {name, static_cast<std::int64_t>(keep)}));
  if (!newest) return {};
  SKEP_CHECK_OK(
      database.execute("INSERT OR REPLACE INTO _skep_event_dropped "
                       "SELECT name, id, stream, sequence FROM _skep_event WHERE id = ?",
                       {*newest}));
  SKEP_CHECK_OK(
      database.execute("DELETE FROM _skep_event WHERE name = ? AND id <= ?", {name, *newest}));
  return {};
}

Result<std::optional<std::vector<std::shared_ptr<const call::Event>>>> EventHistory::after(
    sql::Database& database, const call::EventPosition& seen, const std::string& current,
    const std::string& connection, const std::set<std::string>& names, std::size_t bytesMax) {
  using Events = std::vector<std::shared_ptr<const call::Event>>;
  const bool isCurrent = seen.stream == current;
  const std::optional<Events> unknown = isCurrent ? std::optional<Events>(Events()) : std::nullopt;
  SKEP_TRY(const bool exists, isThere(database));
  if (!exists) return unknown;  // nothing was ever kept
  SKEP_TRY(const std::optional<std::int64_t> place, placeOf(database, seen));
  // The newest rows are never dropped: a current stream without any has sent nothing that is kept.
  if (!place) return unknown;
  std::size_t bytes = 0;
  std::map<std::int64_t, std::shared_ptr<const call::Event>> missing;
  for (const std::string& name : names) {
    SKEP_TRY(const bool wasDropped, droppedBehind(database, name, seen, *place));
    if (wasDropped) return std::optional<Events>();
    SKEP_TRY(
        const sql::Rows rows,
        database.execute("SELECT id, stream, sequence, value FROM _skep_event WHERE name = ? "
                         "AND id > ? AND (except_connection = '' OR except_connection <> ?) "
                         "ORDER BY id LIMIT ?",
                         {name, *place, connection, static_cast<std::int64_t>(bytesMax / 64 + 1)}));
    for (const auto& row : rows.rows) {
      std::string value(asText(row[3].blob()));
      bytes += value.size() + 64;
      if (bytes > bytesMax) return std::optional<Events>();
      const call::EventPosition position{.stream = row[1].text(),
                                         .sequence = static_cast<std::uint64_t>(row[2].integer())};
      missing.emplace(row[0].integer(),
                      std::make_shared<call::Event>(name, std::move(value), position));
    }
  }
  Events events;
  for (auto& [id, event] : missing) events.push_back(std::move(event));
  return std::optional<Events>(std::move(events));
}

}  // namespace skep::actor
