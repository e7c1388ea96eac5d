// zstd with reused contexts: one pair for each thread, made at first use.
//
// Any thread; nothing here suspends (so no other fiber runs while a context is in use).

#pragma once

#include <cstddef>
#include <memory>
#include <span>

#include "skep/base/bytes.h"

namespace skep::store {

/// Bytes of a size known at construction, not initialised: 64 KiB of zeros would cost as much as a
/// fifth of their decompression.
class RawBuffer {
 public:
  RawBuffer() = default;
  explicit RawBuffer(std::size_t size)
      : bytes_(std::make_unique_for_overwrite<std::byte[]>(size)), size_(size) {}
  std::span<std::byte> span() const { return {bytes_.get(), size_}; }
  ByteView view() const { return {bytes_.get(), size_}; }
  /// Forgets the bytes from `size` on.
  void truncate(std::size_t size) { size_ = size; }

 private:
  std::unique_ptr<std::byte[]> bytes_;
  std::size_t size_ = 0;
};

/// The zstd frame of `in`; empty when it would not be smaller than `in`.
RawBuffer compress(ByteView in, int level);

/// Fills `out` exactly from a zstd frame. False when the frame is malformed or holds another number
/// of bytes. Allocates nothing that depends on `frame`.
bool decompressInto(ByteView frame, std::span<std::byte> out);

}  // namespace skep::store
