#include "skep/store/page_store.h"

#include "skep/base/utf8.h"

namespace skep::store {

std::size_t DatabaseWrite::sizeBytes() const {
  constexpr std::size_t kHeadBytes = 128;
  // A row that goes costs Postgres about what putting one of this size does.
  constexpr std::size_t kRemovalBytes = 4096;
  constexpr std::size_t kDiscardedAtOnce = 1000;  // and the caller repeats it
  std::size_t total = kHeadBytes + record.size();
  for (const StoredChunk& chunk : chunks) total += chunk.bytes.size() + sizeof(StoredChunk);
  total += (superseded.size() + dropsAbout) * kRemovalBytes;
  if (discardStaging) total += kDiscardedAtOnce * kRemovalBytes;
  if (properties) total += properties->metadata.size();
  return total;
}

Status checkName(std::string_view name) {
  if (name.empty()) return Error{ErrorCode::InvalidArgument, "a database name must not be empty"};
  if (name.size() > kNameBytesMax) {
    return Error{ErrorCode::InvalidArgument, "a database name has at most " + std::to_string(kNameBytesMax) +
                                                 " bytes; this one has " + std::to_string(name.size())};
  }
  for (char c : name) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f) {
      return Error{ErrorCode::InvalidArgument, "a database name must not contain control characters"};
    }
  }
  if (!isValidUtf8(name)) return Error{ErrorCode::InvalidArgument, "a database name must be valid UTF-8"};
  return {};
}

}  // namespace skep::store
