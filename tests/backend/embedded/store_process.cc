// Another process with an embedded store, for the tests of locks, permissions and crashes.
//
//   hold DIR         opens the store, says "ready", keeps it until its input ends
//   try DIR          opens the store without a superuser's rights, says "ok" or the error
//   write DIR SEED   says "ready", then commits until it is killed; says "name txid" for each
//   commit that was
//                    acknowledged

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "skep/backend/embedded/embedded_store.h"
#include "skep/base/check.h"
#include "written_content.h"

namespace skep::testing {
namespace {

using backend::EmbeddedStore;
using store::DatabaseWrite;

void say(const std::string& lines) {
  SKEP_CHECK(
      ::write(STDOUT_FILENO, lines.data(), lines.size()) == static_cast<ssize_t>(lines.size()),
      "pipe");
}

int hold(const std::string& directory) {
  SystemClock clock;
  const auto store = EmbeddedStore::open({.directory = directory}, clock);
  say(store.ok() ? "ready\n" : store.error().toString() + "\n");
  char byte = 0;
  return ::read(STDIN_FILENO, &byte, 1) == 0 ? 0 : 1;
}

int tryToOpen(const std::string& directory) {
  constexpr uid_t kNobody = 65534;
  if (::geteuid() == 0) SKEP_CHECK(::setuid(kNobody) == 0, "setuid");
  SystemClock clock;
  const auto store = EmbeddedStore::open({.directory = directory}, clock);
  say(store.ok() ? "ok\n" : store.error().toString() + "\n");
  return 0;
}

// One thread's databases: commits batches of them, folding each now and then.
class Writer {
 public:
  Writer(EmbeddedStore& store, int thread, std::uint64_t seed) : store_(store), random_(seed) {
    for (int number = 0; number < kDatabasesPerThread; ++number) {
      const std::string name = writtenName(thread, number);
      const auto opened = store.open(
          {.name = name, .create = store::Create::IfMissing, .claim = store::Claim::Take});
      SKEP_CHECK(opened.ok(), "%s", opened.error().message.c_str());
      databases_.push_back({name, opened->id, opened->head.epoch, opened->head.txid});
    }
  }

  void writeBatch(std::mutex& output) {
    std::vector<DatabaseWrite> batch;
    std::string acknowledged;
    for (Database& database : databases_) {
      if (random_() % 3 == 0) continue;
      batch.push_back(nextWrite(database));
      acknowledged += database.name + " " + std::to_string(database.txid) + "\n";
    }
    for (const Status& status : store_.write(batch)) {
      SKEP_CHECK(status.ok(), "%s", status.error().message.c_str());
    }
    std::lock_guard lock(output);
    say(acknowledged);
  }

 private:
  struct Database {
    std::string name;
    store::DatabaseId id;
    store::Epoch epoch;
    store::Txid txid;
  };

  DatabaseWrite nextWrite(Database& database) {
    DatabaseWrite write;
    write.id = database.id;
    write.epoch = database.epoch;
    write.expectedTxid = database.txid;
    const store::Txid txid = ++database.txid;
    write.commit =
        store::CommitHead{.txid = txid, .pageCount = 2, .digest = txid, .commitId = txid};
    write.record = writtenContent(database.name, txid, "record");
    if (txid % kCommitsPerFold == 0) {
      write.chunks = {{0, txid, writtenContent(database.name, txid, "chunk")}};
      write.superseded = {{0, txid}};
      write.trimLogThrough = write.expireThrough = txid;
    }
    return write;
  }

  EmbeddedStore& store_;
  std::mt19937_64 random_;
  std::vector<Database> databases_;
};

int writeUntilKilled(const std::string& directory, std::uint64_t seed) {
  SystemClock clock;
  // A small log and small memory, so that files are written all the time.
  auto opened = EmbeddedStore::open(
      {.directory = directory, .memtableBytes = 512 << 10, .walBytesMax = 256 << 10}, clock);
  SKEP_CHECK(opened.ok(), "%s", opened.error().message.c_str());
  EmbeddedStore& store = **opened;
  say("ready\n");
  std::mutex output;
  std::vector<std::thread> threads;
  for (int thread = 0; thread < kWriterThreads; ++thread) {
    threads.emplace_back([&, thread] {
      Writer writer(store, thread, seed + static_cast<std::uint64_t>(thread));
      while (true) writer.writeBatch(output);
    });
  }
  for (std::thread& thread : threads) thread.join();
  return 0;
}

}  // namespace
}  // namespace skep::testing

int main(int argc, char** argv) {
  using namespace skep::testing;
  const std::string command = argc > 2 ? argv[1] : "";
  if (command == "hold") return hold(argv[2]);
  if (command == "try") return tryToOpen(argv[2]);
  if (command == "write" && argc == 4)
    return writeUntilKilled(argv[2], std::strtoull(argv[3], nullptr, 10));
  std::fprintf(stderr, "usage: %s hold|try|write DIR [SEED]\n", argv[0]);
  return 2;
}
