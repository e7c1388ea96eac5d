#include "skep/testing/faults/sql_workload.h"

#include <utility>

namespace skep::testing {
namespace {

using sql::Value;
using Kind = Operation::Kind;

Operation make(std::string sql, std::vector<Value> parameters = {}) {
  Operation operation;
  operation.sql = std::move(sql);
  operation.parameters = std::move(parameters);
  return operation;
}

Operation make(Kind kind) {
  Operation operation;
  operation.kind = kind;
  return operation;
}

std::string_view kindName(Kind kind) {
  switch (kind) {
    case Kind::Statement:
      return "statement";
    case Kind::Begin:
      return "begin";
    case Kind::Commit:
      return "commit";
    case Kind::Rollback:
      return "rollback";
    case Kind::BeginTurn:
      return "begin turn";
    case Kind::WaitDurable:
      return "wait durable";
    case Kind::WaitBeside:
      return "wait beside";
    case Kind::ReleaseMemory:
      return "release memory";
    case Kind::SetAlarm:
      return "set alarm";
    case Kind::SetProperties:
      return "set properties";
    case Kind::CompareContent:
      return "compare content";
    case Kind::Pause:
      return "pause";
    case Kind::CloseAndOpen:
      return "close and open";
    case Kind::DestroyAndOpen:
      return "destroy and open";
  }
  return "?";
}

}  // namespace

std::string Operation::describe() const {
  std::string result = kind == Kind::Statement ? sql : std::string(kindName(kind));
  for (const Value& value : parameters) {
    result += " | ";
    if (value.type() == sql::ValueType::Integer) {
      result += std::to_string(value.integer());
    } else if (value.type() == sql::ValueType::Text) {
      result += "text of " + std::to_string(value.text().size());
    } else if (value.type() == sql::ValueType::Blob) {
      result += "blob of " + std::to_string(value.blob().size());
    }
  }
  return result;
}

SqlWorkload::SqlWorkload(std::uint64_t seed, WorkloadOptions options)
    : random_(seed), options_(options) {}

Value SqlWorkload::text() {
  const std::size_t size = random(options_.textBytesMax + 1);
  std::string made(size, ' ');
  for (char& c : made) c = static_cast<char>('a' + random(26));
  return made;
}

Value SqlWorkload::blob() {
  // Mostly small, sometimes as large as allowed.
  const std::size_t most = random(4) == 0 ? options_.blobBytesMax : options_.blobBytesMax / 8;
  Bytes made(1 + random(most));
  for (std::size_t i = 0; i < made.size(); i += 8) {
    const std::uint64_t word = random_();
    for (std::size_t j = i; j < std::min(i + 8, made.size()); ++j) {
      made[j] = static_cast<std::byte>(word >> (8 * (j - i)));
    }
  }
  return made;
}

std::vector<Operation> SqlWorkload::createSchema() {
  std::vector<Operation> all;
  if (options_.autoVacuum != 0)
    all.push_back(make("PRAGMA auto_vacuum = " + std::to_string(options_.autoVacuum)));
  const bool together = random(2) == 0;
  if (together) all.push_back(make(Kind::Begin));
  all.push_back(
      make("CREATE TABLE IF NOT EXISTS a(id INTEGER PRIMARY KEY, k INTEGER UNIQUE, v TEXT)"));
  all.push_back(
      make("CREATE TABLE IF NOT EXISTS b(k TEXT PRIMARY KEY, n INTEGER CHECK(n >= 0), d BLOB) "
           "WITHOUT ROWID"));
  all.push_back(make("CREATE TABLE IF NOT EXISTS big(id INTEGER PRIMARY KEY, data BLOB)"));
  all.push_back(
      make("CREATE TABLE IF NOT EXISTS child(id INTEGER PRIMARY KEY, parent INTEGER REFERENCES "
           "a(id) ON DELETE CASCADE)"));
  all.push_back(
      make("CREATE TABLE IF NOT EXISTS seen(id INTEGER PRIMARY KEY AUTOINCREMENT, what TEXT)"));
  all.push_back(
      make("CREATE TRIGGER IF NOT EXISTS a_gone AFTER DELETE ON a BEGIN INSERT INTO seen(what) "
           "VALUES ('gone ' || old.k); END"));
  if (options_.fullText)
    all.push_back(make("CREATE VIRTUAL TABLE IF NOT EXISTS f USING fts5(body)"));
  if (together && random(4) == 0) {
    for (int i = 0; i < 4; ++i) all.push_back(make("INSERT INTO big(data) VALUES (?)", {blob()}));
  }
  if (together) all.push_back(make(Kind::Commit));
  return all;
}

Operation SqlWorkload::next(bool inTransaction, bool inTurn) {
  const std::uint64_t dice = random(100);
  if (inTransaction) {
    if (dice < 14) return make(Kind::Commit);
    if (dice < 18) return make(Kind::Rollback);
  } else {
    if (dice < 12) return make(Kind::Begin);
    if (dice < 16) return make(Kind::BeginTurn);
    if (dice < 17) return make(Kind::CloseAndOpen);
    if (dice < 20 && options_.destroys) return make(Kind::DestroyAndOpen);
  }
  if (dice >= 97) return make(Kind::CompareContent);
  if (dice >= 94) return make(Kind::ReleaseMemory);
  if (dice >= 88) {
    Operation pause = make(Kind::Pause);
    pause.number = random_();
    return pause;
  }
  if (dice >= 82) return make(Kind::WaitDurable);
  if (dice >= 79) return make(Kind::WaitBeside);
  if (dice >= 76) {
    Operation alarm = make(Kind::SetAlarm);
    if (random(4) != 0) alarm.alarmMs = static_cast<std::int64_t>(random(1'000'000));
    return alarm;
  }
  if (dice >= 75) {
    Operation properties = make(Kind::SetProperties);
    properties.number = random_();
    return properties;
  }
  return statement(inTransaction || inTurn);
}

Operation SqlWorkload::statement(bool inTransaction) {
  const std::uint64_t dice = random(100);
  if (dice < 30) return insertSome();
  if (dice < 55) return changeSome();
  if (dice < 72) return bigValues();
  if (dice < 80) return changeSchema(inTransaction);
  if (dice < 90) return inTransaction ? savepoint() : insertSome();
  if (dice < 94 && options_.fullText) return fullTextSearch();
  return query();
}

Operation SqlWorkload::insertSome() {
  const std::int64_t rows = 1 + static_cast<std::int64_t>(random(options_.rowsMax));
  switch (random(7)) {
    case 0:
      return make("INSERT INTO a(k, v) VALUES (?, ?)", {key(), text()});
    case 1:
      return make("INSERT OR REPLACE INTO a(k, v) VALUES (?, ?)", {key(), text()});
    case 2:
      return make("INSERT INTO b VALUES (?, ?, ?) ON CONFLICT(k) DO UPDATE SET n = n + excluded.n",
                  {Value("key " + std::to_string(key())), key() - 10, text()});
    case 3:
      return make(
          "WITH RECURSIVE s(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM s WHERE i < ?) "
          "INSERT OR IGNORE INTO a(k, v) SELECT i * 7 + ?, ? || i FROM s",
          {rows, key(), text()});
    case 4:
      return make(
          "WITH RECURSIVE s(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM s WHERE i < ?) "
          "INSERT OR REPLACE INTO b SELECT 'row ' || (i + ?), i, ? FROM s",
          {rows, key(), text()});
    case 5:
      return make("INSERT INTO child(parent) SELECT id FROM a WHERE k % 5 = ?", {key() % 5});
    default:
      return make("INSERT OR ROLLBACK INTO a(k, v) VALUES (?, ?)", {key(), text()});
  }
}

Operation SqlWorkload::changeSome() {
  switch (random(7)) {
    case 0:
      return make("UPDATE a SET v = ? WHERE k % 10 = ?", {text(), key() % 10});
    case 1:
      return make("UPDATE a SET k = k + ? WHERE k BETWEEN ? AND ? + 3", {key(), key(), key()});
    case 2:
      return make("UPDATE b SET n = n - 1, d = ? WHERE k > ?",
                  {text(), Value("key " + std::to_string(key()))});
    case 3:
      return make("DELETE FROM a WHERE k BETWEEN ?1 AND ?1 + 20", {key()});
    case 4:
      return make("DELETE FROM b WHERE n % 3 = ?", {key() % 3});
    case 5:
      return make("UPDATE OR FAIL a SET k = ? WHERE k > ?", {key(), key()});
    default:
      return make("DELETE FROM seen WHERE id % 2 = 0");
  }
}

Operation SqlWorkload::bigValues() {
  switch (random(8)) {
    case 0:
    case 1:
    case 2:
      return make("INSERT INTO big(data) VALUES (?)", {blob()});
    case 3:
      return make("UPDATE big SET data = ? WHERE id % 3 = ?", {blob(), key() % 3});
    case 4:
      return make("DELETE FROM big WHERE id % 2 = ?", {key() % 2});
    case 5:
      return make("INSERT INTO big(data) SELECT zeroblob(length(data) / 2) FROM big WHERE id < 4");
    case 6:
      return make("UPDATE big SET data = substr(data, 1, length(data) / 2) WHERE id % 2 = ?",
                  {key() % 2});
    default:
      return random(3) == 0 ? make("DELETE FROM big")
                            : make("DELETE FROM big WHERE id = (SELECT max(id) FROM big)");
  }
}

Operation SqlWorkload::changeSchema(bool inTransaction) {
  switch (random(12)) {
    case 0:
      return make("CREATE INDEX a_v ON a(v)");
    case 1:
      return make("DROP INDEX IF EXISTS a_v");
    case 2:
      return make("CREATE INDEX IF NOT EXISTS b_n ON b(n, d)");
    case 3:
      return make("DROP INDEX b_n");
    case 4:
      return make("ALTER TABLE a ADD COLUMN extra TEXT DEFAULT 'none'");
    case 5:
      return make("ALTER TABLE a DROP COLUMN extra");
    case 6:
      return make("ALTER TABLE seen RENAME COLUMN what TO why");
    case 7:
      return make("CREATE TABLE copy AS SELECT * FROM a");
    case 8:
      return make("DROP TABLE IF EXISTS copy");
    case 9:
      return make("PRAGMA incremental_vacuum(" + std::to_string(1 + random(8)) + ")");
    case 10:
      return make("ANALYZE");
    default:
      return inTransaction ? make("PRAGMA user_version = " + std::to_string(key()))
                           : make("VACUUM");
  }
}

Operation SqlWorkload::fullTextSearch() {
  switch (random(4)) {
    case 0:
      return make("DELETE FROM f WHERE rowid % 3 = ?", {key() % 3});
    case 1:
      return make("SELECT rowid FROM f WHERE f MATCH ? ORDER BY rowid",
                  {Value("word" + std::to_string(key() % 10))});
    default:
      return make("INSERT INTO f(body) VALUES (?)",
                  {Value("word" + std::to_string(key() % 10) + " word" + std::to_string(key()) +
                         " " + text().text())});
  }
}

Operation SqlWorkload::query() {
  switch (random(5)) {
    case 0:
      return make("SELECT count(*), sum(k), max(v) FROM a");
    case 1:
      return make("SELECT k, n, length(d) FROM b WHERE n < ? ORDER BY k", {key()});
    case 2:
      return make("SELECT id, length(data), substr(data, 1, 8) FROM big ORDER BY id");
    case 3:
      return make(
          "SELECT a.k, count(child.id) FROM a LEFT JOIN child ON child.parent = a.id GROUP BY a.id "
          "ORDER BY a.id");
    default:
      return make("SELECT v FROM a WHERE k = ?", {key()});
  }
}

Operation SqlWorkload::savepoint() {
  const std::string name(1, static_cast<char>('p' + random(3)));
  switch (random(4)) {
    case 0:
    case 1:
      return make("SAVEPOINT " + name);
    case 2:
      return make("ROLLBACK TO " + name);
    default:
      return make("RELEASE " + name);
  }
}

}  // namespace skep::testing
