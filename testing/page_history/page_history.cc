#include "skep/testing/page_history/page_history.h"

#include <sqlite3.h>

#include "skep/base/check.h"

namespace skep::testing {

PageHistory::PageHistory() {
  // Not ":memory:", whose pager skips the change counter: memdb is a VFS, so this is a file like
  // any other.
  const int opened =
      sqlite3_open_v2("history", &database_, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, "memdb");
  SKEP_CHECK(opened == SQLITE_OK, "%s", sqlite3_errmsg(database_));
  run("PRAGMA page_size = 4096; PRAGMA journal_mode = MEMORY");
}

PageHistory::~PageHistory() {
  sqlite3_close(database_);
}

void PageHistory::run(const std::string& sql) {
  const int ran = sqlite3_exec(database_, sql.c_str(), nullptr, nullptr, nullptr);
  SKEP_CHECK(ran == SQLITE_OK, "%s: %s", sql.c_str(), sqlite3_errmsg(database_));
}

Bytes PageHistory::image() const {
  sqlite3_int64 size = 0;
  const unsigned char* bytes = sqlite3_serialize(database_, "main", &size, SQLITE_SERIALIZE_NOCOPY);
  if (bytes == nullptr || size == 0) return {};
  const auto* begin = reinterpret_cast<const std::byte*>(bytes);
  return Bytes(begin, begin + size);
}

std::uint64_t RandomSql::random(std::uint64_t below) {
  // splitmix64
  state_ += 0x9e3779b97f4a7c15;
  std::uint64_t z = state_;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return (z ^ (z >> 31)) % below;
}

std::string RandomSql::schema() {
  return "CREATE TABLE item(id INTEGER PRIMARY KEY, name TEXT, count INTEGER, body BLOB);"
         "CREATE INDEX itemByName ON item(name);"
         "CREATE TABLE kv(key TEXT PRIMARY KEY, value BLOB) WITHOUT ROWID;"
         "CREATE TABLE event(at INTEGER, kind TEXT, data TEXT);"
         "CREATE INDEX eventByKind ON event(kind, at)";
}

std::string RandomSql::text(std::uint64_t bytesMax) {
  static constexpr char kLetters[] = "abcdefghijklmnopqrstuvwxyz  0123";
  std::string text(random(bytesMax) + 1, ' ');
  for (char& c : text) c = kLetters[random(32)];
  return text;
}

std::string RandomSql::statement() {
  const std::string id = std::to_string(random(400));
  const std::string key = "'key" + std::to_string(random(300)) + "'";
  switch (random(20)) {
    case 0:
    case 1:
    case 2:
    case 3:
      return "INSERT INTO item(name, count, body) VALUES ('" + text(30) + "', 0, randomblob(10))";
    case 4:
      return "INSERT INTO item(name, count, body) VALUES ('" + text(30) + "', 0, '" + text(9000) +
             "')";
    case 5:
    case 6:
    case 7:
      return "UPDATE item SET count = count + 1 WHERE id = " + id;
    case 8:
      return "UPDATE item SET name = '" + text(40) + "' WHERE id = " + id;
    case 9:
      return "DELETE FROM item WHERE id = " + id;
    case 10:
    case 11:
    case 12:
      return "REPLACE INTO kv VALUES (" + key + ", '" + text(200) + "')";
    case 13:
      return "DELETE FROM kv WHERE key = " + key;
    case 14:
    case 15:
    case 16:
      return "INSERT INTO event VALUES (" + std::to_string(random(1u << 30)) + ", 'kind" +
             std::to_string(random(5)) + "', '" + text(120) + "')";
    case 17:
      return "DELETE FROM event WHERE rowid % 17 = " + std::to_string(random(17));
    case 18:
      return "UPDATE event SET data = '" + text(80) + "' WHERE rowid = " + id;
    default:
      return "UPDATE kv SET value = zeroblob(" + std::to_string(random(500)) +
             ") WHERE key = " + key;
  }
}

std::string RandomSql::next() {
  switch (random(120)) {
    case 0:
      return "VACUUM";
    case 1:
      return "BEGIN; DROP INDEX eventByKind; CREATE INDEX eventByKind ON event(kind, at); COMMIT";
    case 2:
      return "DELETE FROM item WHERE id % 3 = " + std::to_string(random(3));
    default:
      break;
  }
  std::string sql = "BEGIN;";
  for (std::uint64_t left = random(4) == 0 ? random(20) + 1 : 1; left > 0; --left)
    sql += statement() + ";";
  return sql + "COMMIT";
}

}  // namespace skep::testing
