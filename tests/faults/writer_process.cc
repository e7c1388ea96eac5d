// Writes to some ledgers at once until it is killed: `writer_process STORE_URL COUNT`. Prints a
// ledger's index and the number of an entry once everything up to it is durable there, and a reason,
// with exit code 1, should anything fail.

#include <unistd.h>

#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "ledger.h"
#include "skep/base/clock.h"
#include "skep/fiber/loop.h"
#include "skep/fiber/sync.h"
#include "skep/server/store_url.h"
#include "skep/sql/database.h"
#include "skep/store/commit_pipeline.h"

namespace skep::testing {
namespace {

constexpr std::size_t kWaitersMax = 16;

void say(const std::string& line) {
  const std::string text = line + "\n";
  if (::write(STDOUT_FILENO, text.data(), text.size()) < 0) ::_exit(2);
}

class Writer {
 public:
  Writer(fiber::Loop& loop, sql::Database& database, std::size_t index)
      : loop_(loop), database_(database), index_(index) {}

  /// Makes the tables, which are durable then.
  Status prepare() {
    SKEP_CHECK_OK(database_.begin());
    SKEP_CHECK_OK(
        database_.run("CREATE TABLE IF NOT EXISTS entry(id INTEGER PRIMARY KEY, content TEXT);"
                      "CREATE INDEX IF NOT EXISTS entry_content ON entry(content);"
                      "CREATE TABLE IF NOT EXISTS scratch(id INTEGER PRIMARY KEY, v BLOB)"));
    SKEP_TRY(sql::Rows rows, database_.execute("SELECT ifnull(max(id), 0) FROM entry"));
    last_ = rows.rows[0][0].integer();
    SKEP_TRY(const store::Txid txid, database_.commit());
    return database_.waitDurable(txid);
  }

  Status run() {
    for (int turn = 0;; ++turn) {
      const int count = turn % 20 == 19 ? 150 : 1 + turn % 7;
      SKEP_CHECK_OK(database_.begin());
      for (int i = 0; i < count; ++i) {
        ++last_;
        SKEP_CHECK_OK(database_.execute("INSERT INTO entry VALUES (?, ?)",
                                        {sql::Value(last_), sql::Value(ledgerContent(last_))}));
      }
      SKEP_CHECK_OK(stir(turn));
      SKEP_TRY(const store::Txid txid, database_.commit());
      if (turn % 50 == 49) SKEP_CHECK_OK(database_.run("VACUUM"));
      if (turn % 13 == 12) database_.releaseMemory();
      acknowledge(txid, last_);
    }
  }

 private:
  /// Pages come and go, so that the file is truncated and grows.
  Status stir(int turn) {
    if (turn % 3 == 0) return database_.run("INSERT INTO scratch(v) VALUES (randomblob(9000))");
    if (turn % 10 == 7) return database_.run("DELETE FROM scratch");
    return {};
  }

  void acknowledge(store::Txid txid, std::int64_t last) {
    fiber::waitUntil(ended_, [this] { return waiters_ < kWaitersMax; });
    ++waiters_;
    loop_.spawn("acknowledge", [this, txid, last] {
      Status durable = database_.waitDurable(txid);
      say(durable ? std::to_string(index_) + " " + std::to_string(last)
                  : durable.error().toString());
      --waiters_;
      ended_.notifyAll();
    });
  }

  fiber::Loop& loop_;
  sql::Database& database_;
  const std::size_t index_;
  std::int64_t last_ = 0;
  std::size_t waiters_ = 0;
  fiber::Event ended_;
};

Status writeForEver(fiber::Loop& loop, Clock& clock, const std::string& url, std::size_t count) {
  SKEP_TRY(const server::StoreUrl parsed, server::parseStoreUrl(url));
  SKEP_TRY(const auto store, server::openStore(parsed, clock));
  store::CommitPipeline pipeline(loop, *store);
  vfs::PageCache cache(kLedgerCacheBytes);
  vfs::Environment environment{loop, *store, pipeline, cache, ledgerSizes()};
  std::vector<std::unique_ptr<sql::Database>> databases;
  std::vector<std::unique_ptr<Writer>> writers;
  for (std::size_t i = 0; i < count; ++i) {
    SKEP_TRY(auto database, sql::Database::open(environment, {.name = ledgerName(i)}));
    databases.push_back(std::move(database));
    writers.push_back(std::make_unique<Writer>(loop, *databases.back(), i));
    SKEP_CHECK_OK(writers.back()->prepare());
  }
  say("ready");
  for (const auto& writer : writers) {
    loop.spawn("writer", [&writer] {
      say(writer->run().error().toString());
      ::_exit(1);
    });
  }
  fiber::Event never;
  while (true) never.wait();
}

}  // namespace
}  // namespace skep::testing

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  const std::size_t count = std::strtoull(argv[2], nullptr, 10);
  skep::SystemClock clock;
  skep::fiber::runOnFreshLoop(clock, [&](skep::fiber::Loop& loop) {
    skep::Status failed = skep::testing::writeForEver(loop, clock, argv[1], count);
    skep::testing::say(failed.error().toString());
  });
  return 1;
}
