// Record decoder: any bytes, and any bytes under a checksum that fits them.
//
// What decodes must survive being encoded again, and its deltas must be safe to apply.

#include <algorithm>
#include <array>
#include <cstdint>

#include "skep/base/check.h"
#include "skep/store/checksum.h"
#include "skep/store/delta.h"
#include "skep/store/record.h"

namespace skep::store {
namespace {

constexpr DatabaseId kId{7001};

bool sameRecord(const DecodedRecord& a, const DecodedRecord& b) {
  const auto sameChange = [](const PageChange& x, const PageChange& y) {
    return x.page == y.page && x.kind == y.kind && asText(x.payload) == asText(y.payload);
  };
  return a.header == b.header && std::equal(a.changes.begin(), a.changes.end(), b.changes.begin(),
                                            b.changes.end(), sameChange);
}

void checkRecord(const DecodedRecord& record) {
  const Bytes bytes = encodeRecord(kId, record.header, record.changes);
  const Result<DecodedRecord> again = decodeRecord(kId, bytes);
  SKEP_CHECK(again.ok() && sameRecord(record, *again), "a record changed on its way");
  static const std::array<std::byte, kPageBytes> base{};
  std::array<std::byte, kPageBytes> page;
  for (const PageChange& change : record.changes) {
    if (change.kind != PageChangeKind::Delta) continue;
    const Status applied = applyDelta(base, change.payload, page);
    SKEP_CHECK(applied.ok() || applied.error().code == ErrorCode::Corrupt, "%s",
               applied.error().message.c_str());
  }
}

void decode(ByteView bytes) {
  const Result<DecodedRecord> record = decodeRecord(kId, bytes);
  if (record.ok()) {
    checkRecord(*record);
  } else {
    SKEP_CHECK(record.error().code == ErrorCode::Corrupt ||
                   record.error().code == ErrorCode::VersionMismatch,
               "%s", record.error().message.c_str());
  }
}

}  // namespace
}  // namespace skep::store

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace skep;
  const ByteView input(reinterpret_cast<const std::byte*>(data), size);
  store::decode(input);
  Bytes withChecksum = toBytes(input);
  ByteWriter(withChecksum).u64(store::recordChecksum(store::kId, input));
  store::decode(withChecksum);
  return 0;
}
