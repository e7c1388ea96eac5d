// Writes the hand-made part of the corpora of the stored formats: run it again when a format
// changes.
//
//   build/fuzz_targets/fuzz_make_seeds fuzz/corpus
//
// Most inputs lack the checksum at the end, because the targets add the right one: so damage
// reaches what stands behind the check.

#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "skep/base/check.h"
#include "skep/store/checksum.h"
#include "skep/store/chunk.h"
#include "skep/store/delta.h"
#include "skep/store/record.h"
#include "skep/testing/hex/hex.h"
#include "skep/testing/page_history/page_history.h"

namespace skep::store {
namespace {

namespace fs = std::filesystem;
using Page = std::array<std::byte, kPageBytes>;

constexpr DatabaseId kId{7001};

class SeedWriter {
 public:
  SeedWriter(const fs::path& corpora, const std::string& target) : folder_(corpora / target) {
    fs::create_directories(folder_);
  }
  void write(const std::string& name, const std::string& about, ByteView input) const {
    std::ofstream file(folder_ / (name + ".hex"));
    file << "# " << about << "\n" << testing::toHexText(input);
    file.flush();
    SKEP_CHECK(file.good(), "cannot write %s", name.c_str());
  }

 private:
  fs::path folder_;
};

ByteView withoutChecksum(const Bytes& bytes) {
  return ByteView(bytes).first(bytes.size() - kChecksumBytes);
}

Page stripes(unsigned salt) {
  Page page;
  for (std::size_t i = 0; i < kPageBytes; ++i) page[i] = static_cast<std::byte>(i / 512 + salt);
  return page;
}

void writeRecordSeeds(const SeedWriter& seeds) {
  const RecordHeader header{.epoch = 3,
                            .firstTxid = 1041,
                            .lastTxid = 1042,
                            .pageCount = 212,
                            .digestBefore = 0x1122334455667788,
                            .digestAfter = 0x99aabbccddeeff00,
                            .commitId = 0x0123456789abcdef,
                            .timeMs = 1'700'000'000'123,
                            .alarmMs = std::nullopt,
                            .flip = false};
  const Bytes delta = testing::fromHex("080205ab01540103e0");
  const Page full = stripes(1);
  const std::vector<PageChange> deltas = {{1, PageChangeKind::Delta, delta},
                                          {57, PageChangeKind::Delta, delta}};
  const std::vector<PageChange> mixed = {{1, PageChangeKind::Full, full},
                                         {2, PageChangeKind::Zero, {}},
                                         {3, PageChangeKind::Delta, {}},
                                         {212, PageChangeKind::Full, full}};
  RecordHeader flip = header;
  flip.flip = true;
  flip.alarmMs = 1'700'000'060'000;
  const Bytes whole = encodeRecord(kId, header, deltas);
  seeds.write("deltas_with_checksum", "two page deltas, with the checksum", whole);
  seeds.write("deltas", "two page deltas", withoutChecksum(whole));
  seeds.write("mixed", "full pages (compressed), a page of zeros, an empty delta",
              withoutChecksum(encodeRecord(kId, header, mixed)));
  seeds.write("flip", "no change, an alarm, a flip", withoutChecksum(encodeRecord(kId, flip, {})));
  seeds.write("empty", "no bytes", {});
}

void writeChunkSeeds(const SeedWriter& seeds) {
  const auto chunkOfPages = [](const std::vector<Page>& pages, std::size_t first) {
    std::array<const std::byte*, kPagesPerChunk> pointers{};
    for (std::size_t i = 0; i < pages.size(); ++i) pointers[first + i] = pages[i].data();
    return encodeChunk(kId, 5, 1042, pointers);
  };
  testing::PageHistory history;
  history.run(
      "CREATE TABLE note(id INTEGER PRIMARY KEY, body TEXT); INSERT INTO note VALUES (1, 'hello')");
  const Bytes image = history.image();
  std::vector<Page> database(image.size() / kPageBytes);
  for (std::size_t i = 0; i < database.size(); ++i) {
    std::memcpy(database[i].data(), image.data() + i * kPageBytes, kPageBytes);
  }
  const Bytes whole = chunkOfPages(database, 0);
  seeds.write("database_with_checksum", "a database of one table, with the checksum", whole);
  seeds.write("database", "a database of one table", withoutChecksum(whole));
  seeds.write("no_pages", "a chunk without pages", withoutChecksum(chunkOfPages({}, 0)));
  seeds.write("stripes", "pages 3, 4 and 5 of the chunk",
              withoutChecksum(chunkOfPages({stripes(0), stripes(9), stripes(3)}, 3)));
  Bytes plain = testing::fromHex("01 00 00 80");
  plain.resize(plain.size() + kPageBytes, std::byte{7});
  seeds.write("plain", "one page, not compressed", plain);
  seeds.write("empty", "no bytes", {});
}

void writeDeltaSeeds(const SeedWriter& seeds) {
  seeds.write("insertion",
              "as a delta: header bytes, a new cell pointer, the others shifted, a cell",
              testing::fromHex("06020102a5 8a01012233 01c70103 8210 04aabbccddee"));
  seeds.write("whole_page_copy", "as a delta: 4096 bytes from offset 0",
              testing::fromHex("01ff1f00"));
  seeds.write("edits", "as edits: a move by two, bytes, a fill",
              testing::fromHex("01 01 6600 2c01 6400  02 e803 0500 0102030405  00 d007 4000 00"));
  seeds.write("noisy_moves", "as edits: content that moved far",
              testing::fromHex("01 01 0001 0004 0008  01 0008 0004 0001  01 0009 2000 1100"));
  seeds.write("empty", "no bytes", {});
}

}  // namespace
}  // namespace skep::store

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: %s <folder of the corpora>\n", argv[0]);
    return 2;
  }
  using namespace skep::store;
  writeRecordSeeds({argv[1], "record_decoder_fuzz"});
  writeChunkSeeds({argv[1], "chunk_decoder_fuzz"});
  writeDeltaSeeds({argv[1], "delta_fuzz"});
  return 0;
}
