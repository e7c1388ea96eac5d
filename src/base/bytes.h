// Bytes: owned and borrowed byte strings, and the little-endian and varint codecs of every format.
//
// ByteWriter appends to a buffer; ByteReader takes from a borrowed span and turns sticky-bad at the
// first read past the end, so that a decoder checks once, at its end. Neither allocates per field.
//
//   ByteWriter out(buffer);          ByteReader in(bytes);
//   out.u8(1); out.varint(txid);     auto version = in.u8(); auto txid = in.varint();
//                                    if (!in.ok()) return Error{ErrorCode::Corrupt, "short
//                                    record"};

#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace skep {

using Bytes = std::vector<std::byte>;
using ByteView = std::span<const std::byte>;

inline ByteView asBytes(std::string_view text) {
  return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}
inline std::string_view asText(ByteView bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}
inline Bytes toBytes(ByteView bytes) {
  return Bytes(bytes.begin(), bytes.end());
}

/// The first byte string behind all that begin with `prefix`; empty when there is none (a prefix of
/// 0xff bytes, or no prefix at all).
inline std::string endOfPrefix(std::string_view prefix) {
  std::string end(prefix);
  while (!end.empty() && static_cast<unsigned char>(end.back()) == 0xff) end.pop_back();
  if (!end.empty()) end.back() = static_cast<char>(static_cast<unsigned char>(end.back()) + 1);
  return end;
}

/// Small numbers of either sign as small varints: n ≥ 0 → 2n, n < 0 → -2n - 1.
inline std::uint64_t zigzag(std::int64_t n) {
  return static_cast<std::uint64_t>(n) << 1 ^ static_cast<std::uint64_t>(n >> 63);
}
inline std::int64_t unzigzag(std::uint64_t n) {
  return static_cast<std::int64_t>(n >> 1 ^ (0 - (n & 1)));
}

/// Appends fixed-width little-endian integers and LEB128 varints.
class ByteWriter {
 public:
  explicit ByteWriter(Bytes& out) : out_(out) {}

  void u8(std::uint8_t v) { out_.push_back(static_cast<std::byte>(v)); }
  void u32(std::uint32_t v) { fixed(v); }
  void u64(std::uint64_t v) { fixed(v); }
  void varint(std::uint64_t v) {
    while (v >= 0x80) {
      u8(static_cast<std::uint8_t>(v) | 0x80);
      v >>= 7;
    }
    u8(static_cast<std::uint8_t>(v));
  }
  void bytes(ByteView v) { out_.insert(out_.end(), v.begin(), v.end()); }
  std::size_t size() const { return out_.size(); }

 private:
  template <class T>
  void fixed(T v) {
    std::byte raw[sizeof v];
    std::memcpy(
        raw, &v,
        sizeof v);  // the formats are little-endian, as is every platform that Skep builds on
    out_.insert(out_.end(), raw, raw + sizeof v);
  }
  Bytes& out_;
};

class ByteReader {
 public:
  explicit ByteReader(ByteView in) : in_(in) {}

  std::uint8_t u8() {
    ByteView v = bytes(1);
    return v.empty() ? 0 : static_cast<std::uint8_t>(v[0]);
  }
  std::uint32_t u32() { return fixed<std::uint32_t>(); }
  std::uint64_t u64() { return fixed<std::uint64_t>(); }
  /// A LEB128 varint of at most ten bytes.
  std::uint64_t varint() {
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
      std::uint8_t b = u8();
      if (shift == 63 && b > 1) break;
      value |= static_cast<std::uint64_t>(b & 0x7f) << shift;
      if ((b & 0x80) == 0) return value;
    }
    ok_ = false;
    return 0;
  }
  /// A borrowed run of `size` bytes; empty, and bad from then on, when fewer are left.
  ByteView bytes(std::size_t size) {
    if (!ok_ || size > in_.size()) {
      ok_ = false;
      in_ = {};
      return {};
    }
    ByteView head = in_.first(size);
    in_ = in_.subspan(size);
    return head;
  }
  std::size_t remaining() const { return in_.size(); }
  bool ok() const { return ok_; }

 private:
  template <class T>
  T fixed() {
    T value = 0;
    ByteView v = bytes(sizeof(T));
    if (!v.empty()) std::memcpy(&value, v.data(), sizeof value);
    return value;
  }
  ByteView in_;
  bool ok_ = true;
};

}  // namespace skep
