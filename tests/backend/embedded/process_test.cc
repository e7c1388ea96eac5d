// EmbeddedStore and other processes: locks, permissions, and a writer that is killed.

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <map>
#include <random>

#include "skep/backend/embedded/embedded_store.h"
#include "skep/testing/child_process/child_process.h"
#include "skep/testing/store_conformance/store_fixture.h"
#include "skep/testing/temp_directory.h"
#include "written_content.h"

namespace skep::testing {
namespace {

using backend::EmbeddedStore;

std::unique_ptr<EmbeddedStore> openStore(const std::string& directory, Clock& clock) {
  auto opened = EmbeddedStore::open({.directory = directory}, clock);
  SKEP_CHECK(opened.ok(), "%s", opened.error().message.c_str());
  return std::move(opened).value();
}

TEST(EmbeddedProcesses, a_second_process_is_told_who_has_the_store) {
  SystemClock clock;
  TempDirectory directory;
  ChildProcess holder({SKEP_STORE_PROCESS, "hold", directory.path()});
  ASSERT_EQ(holder.readLine(), "ready");
  const auto refused = EmbeddedStore::open({.directory = directory.path()}, clock);
  ASSERT_EQ(codeOf(refused), "locked");
  EXPECT_NE(refused.error().message.find(std::to_string(holder.pid())), std::string::npos)
      << refused.error().message;
  EXPECT_NE(refused.error().message.find(directory.path()), std::string::npos);

  holder.closeInput();
  EXPECT_EQ(holder.wait(), 0);
  openStore(directory.path(), clock);
}

TEST(EmbeddedProcesses, the_lock_of_a_killed_process_is_gone) {
  SystemClock clock;
  TempDirectory directory;
  ChildProcess holder({SKEP_STORE_PROCESS, "hold", directory.path()});
  ASSERT_EQ(holder.readLine(), "ready");
  holder.kill();
  holder.wait();
  openStore(directory.path(), clock);
}

TEST(EmbeddedProcesses, a_second_store_in_the_same_process_is_refused_and_the_first_goes_on) {
  SystemClock clock;
  TempDirectory directory;
  const auto store = openStore(directory.path(), clock);
  EXPECT_EQ(codeOf(EmbeddedStore::open({.directory = directory.path()}, clock)), "locked");
  EXPECT_EQ(codeOf(store->open({.name = "acme", .create = store::Create::IfMissing})), "ok");
  ChildProcess other({SKEP_STORE_PROCESS, "hold", directory.path()});
  EXPECT_TRUE(other.readLine().value_or("").starts_with("locked: "))
      << "the refusal must not have unlocked it";
}

TEST(EmbeddedProcesses, a_directory_that_may_not_be_written_is_read_only) {
  SystemClock clock;
  TempDirectory directory;
  const std::string store = directory / "store";
  openStore(store, clock);
  ::chmod(directory.path().c_str(), 0755);
  ::chmod(store.c_str(), 0555);
  ChildProcess child({SKEP_STORE_PROCESS, "try", store});
  const std::string said = child.readLine().value_or("");
  EXPECT_TRUE(said.starts_with("read_only: ")) << said;
  EXPECT_NE(said.find(store), std::string::npos) << said;

  ChildProcess creating({SKEP_STORE_PROCESS, "try", directory / "other"});
  EXPECT_TRUE(creating.readLine().value_or("").starts_with("read_only: "));
  ::chmod(store.c_str(), 0755);
}

// Everything that was acknowledged is there, and whatever is there fits together.
void expectWhole(store::PageStore& store, const std::map<std::string, store::Txid>& acknowledged) {
  for (int thread = 0; thread < kWriterThreads; ++thread) {
    for (int number = 0; number < kDatabasesPerThread; ++number) {
      const std::string name = writtenName(thread, number);
      const auto opened = store.open({.name = name});
      const auto known = acknowledged.find(name);
      if (!opened.ok() && known == acknowledged.end()) continue;
      ASSERT_EQ(codeOf(opened), "ok") << name;
      const store::Head& head = opened->head;
      if (known != acknowledged.end()) {
        ASSERT_GE(head.txid, known->second) << name << " lost a commit";
      }
      ASSERT_EQ(head.digest, head.txid);
      ASSERT_EQ(head.logStart, head.txid / kCommitsPerFold * kCommitsPerFold);
      ASSERT_EQ(opened->log.size(), head.txid - head.logStart);
      for (std::size_t i = 0; i < opened->log.size(); ++i) {
        const store::StoredRecord& record = opened->log[i];
        ASSERT_EQ(record.txid, head.logStart + 1 + i);
        ASSERT_TRUE(record.bytes == writtenContent(name, record.txid, "record"))
            << name << " " << record.txid;
      }
      ASSERT_EQ(opened->chunks.size(), head.logStart > 0 ? 1u : 0u);
      for (const store::StoredChunk& chunk : opened->chunks) {
        ASSERT_EQ(chunk.txid, head.logStart);
        ASSERT_TRUE(chunk.bytes == writtenContent(name, chunk.txid, "chunk"));
      }
      const auto versions = store.listChunkVersions(opened->id, std::nullopt, 10);
      ASSERT_EQ(versions->size(), opened->chunks.size());
    }
  }
}

TEST(EmbeddedProcesses, a_killed_writer_loses_no_acknowledged_commit) {
  constexpr int kRounds = 20;
  const std::uint64_t seed = testSeed("a_killed_writer_loses_no_acknowledged_commit");
  std::mt19937_64 random(seed);
  SystemClock clock;
  TempDirectory directory;
  std::map<std::string, store::Txid> acknowledged;
  for (int round = 0; round < kRounds; ++round) {
    SCOPED_TRACE("round " + std::to_string(round) + ", SKEP_SEED=" + std::to_string(seed));
    ChildProcess writer({SKEP_STORE_PROCESS, "write", directory.path(), std::to_string(random())});
    ASSERT_EQ(writer.readLine(), "ready");
    // In some rounds it dies before it has committed anything, or while it claims.
    std::uint64_t linesToRead = random() % 5 == 0 ? random() % 3 : random() % 800;
    while (true) {
      if (linesToRead-- == 0) writer.kill();
      const auto line = writer.readLine();
      if (!line) break;
      const std::size_t space = line->rfind(' ');
      acknowledged[line->substr(0, space)] = std::stoull(line->substr(space + 1));
    }
    ASSERT_EQ(writer.wait(), 128 + SIGKILL);
    const auto store = openStore(directory.path(), clock);
    expectWhole(*store, acknowledged);
    if (HasFatalFailure()) return;
  }
  EXPECT_FALSE(acknowledged.empty());
}

}  // namespace
}  // namespace skep::testing
