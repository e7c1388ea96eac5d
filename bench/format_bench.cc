// The stored formats on pages of real SQLite databases: time and size of deltas, records and
// chunks.

#include <benchmark/benchmark.h>

#include <array>
#include <cstring>
#include <string>
#include <vector>

#include "skep/store/chunk.h"
#include "skep/store/delta.h"
#include "skep/store/digest.h"
#include "skep/store/record.h"
#include "skep/testing/page_history/page_history.h"

namespace skep::store {
namespace {

constexpr DatabaseId kId{7001};
using PageBytes = std::array<std::byte, kPageBytes>;

/// A page before and after a commit.
struct Step {
  PageBytes base;
  PageBytes next;
  PageNumber page = 0;
};

/// The pages of one commit that existed before it and changed.
void addSteps(const Bytes& before, const Bytes& after, std::vector<Step>& steps) {
  for (std::size_t at = 0; at < std::min(before.size(), after.size()); at += kPageBytes) {
    if (std::memcmp(before.data() + at, after.data() + at, kPageBytes) == 0) continue;
    Step& step = steps.emplace_back();
    std::memcpy(step.base.data(), before.data() + at, kPageBytes);
    std::memcpy(step.next.data(), after.data() + at, kPageBytes);
    step.page = static_cast<PageNumber>(at / kPageBytes + 1);
  }
}

constexpr char kTableWithIndex[] =
    "CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT, value INTEGER);"
    "CREATE INDEX tByName ON t(name);"
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000)"
    "INSERT INTO t SELECT i, 'name ' || (i * 7919 % 10007), i FROM n";

std::vector<Step> stepsOf(testing::PageHistory& history, int commits, auto nextSql) {
  std::vector<Step> steps;
  Bytes before = history.image();
  for (int i = 0; i < commits; ++i) {
    history.run(nextSql());
    Bytes after = history.image();
    addSteps(before, after, steps);
    before = std::move(after);
  }
  return steps;
}

/// Rows inserted one by one into a table of 10,000 rows with an index.
const std::vector<Step>& insertSteps() {
  static const std::vector<Step> steps = [] {
    testing::PageHistory history;
    history.run(kTableWithIndex);
    int i = 0;
    return stepsOf(history, 200, [&i] {
      i += 7;
      return "INSERT INTO t(name, value) VALUES ('name " + std::to_string(i * 7919 % 100003) +
             "', 1)";
    });
  }();
  return steps;
}

/// Inserts, updates and deletes of rows of many sizes.
const std::vector<Step>& mixedSteps() {
  static const std::vector<Step> steps = [] {
    testing::PageHistory history;
    history.run(testing::RandomSql::schema());
    testing::RandomSql sql(1);
    return stepsOf(history, 1500, [&sql] { return sql.next(); });
  }();
  return steps;
}

// --- Deltas ---

void encodeDeltas(benchmark::State& state, const std::vector<Step>& steps) {
  Bytes out;
  out.reserve(2 * kPageBytes);
  std::size_t bytes = 0;
  std::size_t deltas = 0;
  std::size_t i = 0;
  for (auto _ : state) {
    out.clear();
    const Step& step = steps[i++ % steps.size()];
    deltas += encodeDelta(step.base, step.next, 2048, out) ? 1 : 0;
    bytes += out.size();
    benchmark::DoNotOptimize(out.data());
  }
  state.counters["deltaBytes"] = static_cast<double>(bytes) / static_cast<double>(deltas);
  state.counters["givenUp"] =
      1 - static_cast<double>(deltas) / static_cast<double>(state.iterations());
}
void BM_EncodeDeltaOfInsert(benchmark::State& state) {
  encodeDeltas(state, insertSteps());
}
BENCHMARK(BM_EncodeDeltaOfInsert);
void BM_EncodeDeltaOfMixed(benchmark::State& state) {
  encodeDeltas(state, mixedSteps());
}
BENCHMARK(BM_EncodeDeltaOfMixed);

/// Three changed places: header bytes, a cell pointer in the middle of the array, a cell of 40
/// bytes.
void BM_EncodeDeltaOfThreeChanges(benchmark::State& state) {
  PageBytes base;
  for (std::size_t i = 0; i < kPageBytes; ++i) base[i] = static_cast<std::byte>(i * i >> 5);
  PageBytes next = base;
  next[4] ^= std::byte{1};
  next[6] ^= std::byte{40};
  std::memmove(next.data() + 102, next.data() + 100, 150);
  next[100] = std::byte{0x7f};
  next[101] = std::byte{0x35};
  for (std::size_t i = 0; i < 40; ++i) next[1000 + i] = static_cast<std::byte>(i * 31 + 7);
  Bytes out;
  out.reserve(kPageBytes);
  for (auto _ : state) {
    out.clear();
    benchmark::DoNotOptimize(encodeDelta(base, next, 2048, out));
    benchmark::DoNotOptimize(out.data());
  }
  state.counters["deltaBytes"] = static_cast<double>(out.size());
}
BENCHMARK(BM_EncodeDeltaOfThreeChanges);

void BM_EncodeDeltaOfEqualPages(benchmark::State& state) {
  const Step& step = insertSteps()[0];
  const PageBytes copy = step.base;
  Bytes out;
  for (auto _ : state) benchmark::DoNotOptimize(encodeDelta(step.base, copy, 2048, out));
}
BENCHMARK(BM_EncodeDeltaOfEqualPages);

void BM_EncodeDeltaOfNoise(benchmark::State& state) {
  PageBytes base;
  PageBytes next;
  std::uint64_t x = 1;
  for (std::size_t i = 0; i < kPageBytes; ++i) {
    x = x * 6364136223846793005 + 1442695040888963407;
    base[i] = static_cast<std::byte>(x >> 33);
    next[i] = static_cast<std::byte>(x >> 50);
  }
  Bytes out;
  for (auto _ : state) benchmark::DoNotOptimize(encodeDelta(base, next, 2048, out));
}
BENCHMARK(BM_EncodeDeltaOfNoise);

void BM_ApplyDelta(benchmark::State& state) {
  const std::vector<Step>& steps = insertSteps();
  std::vector<Bytes> deltas(steps.size());
  for (std::size_t i = 0; i < steps.size(); ++i)
    (void)encodeDelta(steps[i].base, steps[i].next, 4096, deltas[i]);
  PageBytes out;
  std::size_t i = 0;
  for (auto _ : state) {
    const std::size_t at = i++ % steps.size();
    benchmark::DoNotOptimize(applyDelta(steps[at].base, deltas[at], out).ok());
  }
}
BENCHMARK(BM_ApplyDelta);

void BM_PageHash(benchmark::State& state) {
  const Step& step = insertSteps()[0];
  PageNumber page = 1;
  for (auto _ : state) benchmark::DoNotOptimize(pageHash(page++ | 1, step.base));
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * kPageBytes));
}
BENCHMARK(BM_PageHash);

// --- Records ---

RecordHeader header(std::uint32_t pageCount) {
  return {.epoch = 3,
          .firstTxid = 1042,
          .lastTxid = 1042,
          .pageCount = pageCount,
          .digestBefore = 0x1122334455667788,
          .digestAfter = 0x99aabbccddeeff00,
          .commitId = 0x0123456789abcdef,
          .timeMs = 1'700'000'000'123,
          .alarmMs = std::nullopt,
          .flip = false};
}

/// Pages 1, 50 and 100 with deltas of 6, 30 and 36 bytes.
std::vector<PageChange> threeDeltas() {
  static const Bytes bytes(36, std::byte{7});
  const ByteView view(bytes);
  return {{1, PageChangeKind::Delta, view.first(6)},
          {50, PageChangeKind::Delta, view.first(30)},
          {100, PageChangeKind::Delta, view}};
}

std::vector<PageChange> fullPages(std::size_t count) {
  const std::vector<Step>& steps = insertSteps();
  std::vector<PageChange> changes;
  for (std::size_t i = 0; i < count; ++i) {
    changes.push_back(
        {static_cast<PageNumber>(i + 1), PageChangeKind::Full, steps[i % steps.size()].base});
  }
  return changes;
}

void recordCodec(benchmark::State& state, const std::vector<PageChange>& changes, bool decode) {
  const Bytes encoded = encodeRecord(kId, header(1000), changes);
  for (auto _ : state) {
    if (decode) {
      benchmark::DoNotOptimize(decodeRecord(kId, encoded).ok());
    } else {
      benchmark::DoNotOptimize(encodeRecord(kId, header(1000), changes).data());
    }
  }
  state.counters["recordBytes"] = static_cast<double>(encoded.size());
}
void BM_EncodeRecordOfThreeDeltas(benchmark::State& state) {
  recordCodec(state, threeDeltas(), false);
}
BENCHMARK(BM_EncodeRecordOfThreeDeltas);
void BM_DecodeRecordOfThreeDeltas(benchmark::State& state) {
  recordCodec(state, threeDeltas(), true);
}
BENCHMARK(BM_DecodeRecordOfThreeDeltas);
void BM_EncodeRecordOfFullPages(benchmark::State& state) {
  recordCodec(state, fullPages(static_cast<std::size_t>(state.range(0))), false);
}
BENCHMARK(BM_EncodeRecordOfFullPages)->Arg(1)->Arg(16)->Arg(256);
void BM_DecodeRecordOfFullPages(benchmark::State& state) {
  recordCodec(state, fullPages(static_cast<std::size_t>(state.range(0))), true);
}
BENCHMARK(BM_DecodeRecordOfFullPages)->Arg(1)->Arg(16)->Arg(256);

// --- Chunks ---

enum Image : std::int64_t { kSmall, kTable, kMixed, kMessages };

/// Messages of English-like words with authors and times, as a chat room keeps them.
std::string messagesSql(int count) {
  static constexpr const char* kWords[] = {
      "the",      "to",    "and",     "we",       "is",     "it",       "that",
      "for",      "on",    "meeting", "build",    "can",    "you",      "this",
      "with",     "have",  "from",    "tomorrow", "think",  "database", "review",
      "please",   "about", "after",   "again",    "looks",  "deploy",   "thanks",
      "question", "later", "release", "customer", "latency"};
  std::uint64_t x = 88172645463325252;
  const auto random = [&x](std::uint64_t below) {
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return x % below;
  };
  std::string sql =
      "CREATE TABLE message(id INTEGER PRIMARY KEY, room TEXT, author TEXT, atMs INTEGER, body "
      "TEXT);"
      "CREATE INDEX messageByAuthor ON message(author, atMs); BEGIN;";
  for (int i = 0; i < count; ++i) {
    std::string body;
    for (std::uint64_t words = 3 + random(20); words > 0; --words) {
      body += kWords[std::min(random(33), random(33))];
      body += ' ';
    }
    sql += "INSERT INTO message VALUES (NULL, 'room-" + std::to_string(random(20)) + "', 'user" +
           std::to_string(random(300)) + "@example.com', " +
           std::to_string(1'700'000'000'000 + i * 977) + ", '" + body + "');";
  }
  return sql + "COMMIT";
}

const Bytes& imageOf(std::int64_t which) {
  static const std::array<Bytes, 4> images = [] {
    std::array<Bytes, 4> made;
    testing::PageHistory small;
    small.run(
        "CREATE TABLE note(id INTEGER PRIMARY KEY, body TEXT); INSERT INTO note VALUES (1, "
        "'hello')");
    made[kSmall] = small.image();
    testing::PageHistory table;
    table.run(kTableWithIndex);
    made[kTable] = table.image();
    testing::PageHistory mixed;
    mixed.run(testing::RandomSql::schema());
    testing::RandomSql sql(2);
    for (int i = 0; i < 2000; ++i) mixed.run(sql.next());
    made[kMixed] = mixed.image();
    testing::PageHistory messages;
    messages.run(messagesSql(8000));
    made[kMessages] = messages.image();
    return made;
  }();
  return images[static_cast<std::size_t>(which)];
}

std::size_t chunkCountOf(const Bytes& image) {
  return (image.size() / kPageBytes + kPagesPerChunk - 1) / kPagesPerChunk;
}

std::array<const std::byte*, kPagesPerChunk> pagesOf(const Bytes& image, std::size_t chunk) {
  std::array<const std::byte*, kPagesPerChunk> pages{};
  for (std::size_t i = 0; i < kPagesPerChunk; ++i) {
    const std::size_t at = (chunk * kPagesPerChunk + i) * kPageBytes;
    if (at < image.size()) pages[i] = image.data() + at;
  }
  return pages;
}

const char* imageName(std::int64_t which) {
  return which == kSmall   ? "2 pages"
         : which == kTable ? "table+index"
         : which == kMixed ? "mixed"
                           : "messages";
}

void BM_EncodeChunk(benchmark::State& state) {
  const Bytes& image = imageOf(state.range(0));
  const auto level = static_cast<int>(state.range(1));
  std::size_t bytes = 0;
  std::size_t i = 0;
  for (auto _ : state) {
    const std::size_t chunk = i++ % chunkCountOf(image);
    bytes +=
        encodeChunk(kId, static_cast<ChunkNumber>(chunk), 1, pagesOf(image, chunk), level).size();
  }
  state.SetLabel(imageName(state.range(0)));
  state.counters["chunkBytes"] =
      static_cast<double>(bytes) / static_cast<double>(state.iterations());
}
BENCHMARK(BM_EncodeChunk)
    ->ArgsProduct({{kSmall, kTable, kMixed, kMessages}, {-1, 1, 2, 3, 4, 6, 9}});

void BM_DecodeChunk(benchmark::State& state) {
  const Bytes& image = imageOf(state.range(0));
  std::vector<Bytes> chunks;
  for (std::size_t chunk = 0; chunk < chunkCountOf(image); ++chunk) {
    chunks.push_back(encodeChunk(kId, static_cast<ChunkNumber>(chunk), 1, pagesOf(image, chunk),
                                 static_cast<int>(state.range(1))));
  }
  std::vector<PageBytes> buffers(kPagesPerChunk);
  std::size_t i = 0;
  for (auto _ : state) {
    const std::size_t chunk = i++ % chunks.size();
    const auto decoded = decodeChunk(kId, static_cast<ChunkNumber>(chunk), 1, chunks[chunk]);
    for (std::size_t page = 0; page < kPagesPerChunk; ++page) {
      if (!decoded->has(page)) continue;
      std::memcpy(buffers[page].data(), decoded->page(page).data(), kPageBytes);
    }
    benchmark::DoNotOptimize(buffers.data());
  }
  state.SetLabel(imageName(state.range(0)));
}
BENCHMARK(BM_DecodeChunk)->ArgsProduct({{kSmall, kTable, kMixed, kMessages}, {-1, 1, 3, 9}});

}  // namespace
}  // namespace skep::store

BENCHMARK_MAIN();
