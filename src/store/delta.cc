#include "skep/store/delta.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <string>

#include "skep/base/check.h"

namespace skep::store {

namespace {

// Equal runs this short between two differing bytes are sent along: a new operation would cost as
// much.
constexpr unsigned kGapMax = 2;
// A copy costs three to five bytes and often splits a literal: shorter matches do not pay.
constexpr unsigned kMatchMin = 8;
// From this many new bytes on, an index over the base is worth its construction.
constexpr unsigned kIndexFromLiteralBytes = 96;
constexpr unsigned kIndexStride = 8;
constexpr unsigned kIndexBits = 10;

constexpr unsigned kPage = kPageBytes;
constexpr unsigned kBlock = 64;
static_assert(kPage % kBlock == 0);

std::uint64_t load64(const std::byte* at) {
  std::uint64_t value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

// --- Where the pages differ
// --------------------------------------------------------------------------

struct Range {
  std::uint16_t begin;
  std::uint16_t end;
};

/// Differing ranges in page order, separated by more than kGapMax equal bytes.
class DifferingRanges {
 public:
  DifferingRanges(const std::byte* base, const std::byte* next) {
    for (unsigned at = 0; at < kPage; at += kBlock) {
      if (!blocksDiffer(base + at, next + at)) continue;
      add(at, differenceMask(base + at, next + at));
    }
  }
  const Range* begin() const { return ranges_.data(); }
  const Range* end() const { return ranges_.data() + count_; }

 private:
  // A vector of the compiler: SSE2 on x86-64, NEON on AArch64.
  using Lane = std::uint64_t __attribute__((vector_size(16)));

  static bool blocksDiffer(const std::byte* a, const std::byte* b) {
    Lane x[4];
    Lane y[4];
    std::memcpy(x, a, sizeof x);
    std::memcpy(y, b, sizeof y);
    const Lane difference = (x[0] ^ y[0]) | (x[1] ^ y[1]) | (x[2] ^ y[2]) | (x[3] ^ y[3]);
    return (difference[0] | difference[1]) != 0;
  }

  /// Bit i is set when byte i differs.
  static std::uint64_t differenceMask(const std::byte* a, const std::byte* b) {
    std::uint64_t mask = 0;
    for (unsigned word = 0; word < 8; ++word) {
      const std::uint64_t x = load64(a + word * 8) ^ load64(b + word * 8);
      if (x == 0) continue;
      // The high bit of each byte that is not zero; the product then gathers those eight bits.
      constexpr std::uint64_t kLow7 = 0x7f7f7f7f7f7f7f7f;
      const std::uint64_t highBits = (((x & kLow7) + kLow7) | x) & ~kLow7;
      mask |= (((highBits >> 7) * 0x0102040810204080) >> 56) << (word * 8);
    }
    return mask;
  }

  void add(unsigned at, std::uint64_t mask) {
    // Close gaps of one and two, so that the loop below runs once a range and not once a byte.
    mask |= ((mask << 1) & (mask >> 1)) | ((mask << 1) & (mask >> 2)) | ((mask << 2) & (mask >> 1));
    while (mask != 0) {
      const unsigned first = static_cast<unsigned>(std::countr_zero(mask));
      const unsigned length = static_cast<unsigned>(std::countr_one(mask >> first));
      const unsigned begin = at + first;
      const unsigned end = begin + length;
      if (count_ != 0 && begin - ranges_[count_ - 1].end <= kGapMax) {
        ranges_[count_ - 1].end = static_cast<std::uint16_t>(end);
      } else {
        ranges_[count_++] = {static_cast<std::uint16_t>(begin), static_cast<std::uint16_t>(end)};
      }
      if (first + length == 64) break;
      mask &= ~std::uint64_t{0} << (first + length);
    }
  }

  std::array<Range, kPage / (kGapMax + 1) + 1> ranges_;
  std::size_t count_ = 0;
};

// --- Matches elsewhere in the base
// ---------------------------------------------------------------------

/// One place of the base for each hash of eight bytes that start at a multiple of kIndexStride.
class BaseIndex {
 public:
  explicit BaseIndex(const std::byte* base) {
    slots_.fill(0);
    // Downwards, so that the lowest place wins: a run of equal bytes is then found at its start.
    for (unsigned at = kPage - 8; at >= kIndexStride; at -= kIndexStride) {
      slots_[slotOf(load64(base + at))] = static_cast<std::uint16_t>(at);
    }
    slots_[slotOf(load64(base))] = 0;
  }
  /// A place that may hold `word`; compare before use.
  unsigned find(std::uint64_t word) const { return slots_[slotOf(word)]; }

 private:
  static std::size_t slotOf(std::uint64_t word) {
    return (word * 0x9e3779b97f4a7c15) >> (64 - kIndexBits);
  }
  std::array<std::uint16_t, 1u << kIndexBits> slots_;
};

/// How many bytes from a and b on are equal, at most `max`.
unsigned commonLength(const std::byte* a, const std::byte* b, unsigned max) {
  unsigned length = 0;
  for (; length + 8 <= max; length += 8) {
    const std::uint64_t x = load64(a + length) ^ load64(b + length);
    if (x != 0) return length + static_cast<unsigned>(std::countr_zero(x)) / 8;
  }
  while (length < max && a[length] == b[length]) ++length;
  return length;
}

struct Match {
  unsigned target = 0;
  unsigned source = 0;
  unsigned length = 0;
};

// --- Writing operations
// ----------------------------------------------------------------------------------

/// Writes operations to a buffer on the stack. Full, for good, at the first operation that passes
/// the limit.
class OperationWriter {
 public:
  explicit OperationWriter(std::size_t bytesMax) : bytesMax_(std::min(bytesMax, kPageBytes)) {}

  void literal(const std::byte* next, unsigned begin, unsigned end) {
    const unsigned length = end - begin;
    if (!begins(begin, length, 0, length)) return;
    std::memcpy(bytes_.data() + size_, next + begin, length);
    size_ += length;
  }
  void copy(const Match& match) {
    const int distance = static_cast<int>(match.source) - static_cast<int>(match.target);
    const unsigned zigzag = static_cast<unsigned>(distance >= 0 ? 2 * distance : -2 * distance - 1);
    if (begins(match.target, match.length, 1, numberBytes(zigzag))) number(zigzag);
  }
  bool isFull() const { return full_; }
  ByteView bytes() const { return {bytes_.data(), size_}; }

 private:
  bool begins(unsigned target, unsigned length, unsigned kind, std::size_t payloadBytes) {
    const unsigned head = (target - position_) << 1 | kind;
    full_ = full_ || size_ + numberBytes(head) + numberBytes(length - 1) + payloadBytes > bytesMax_;
    if (full_) return false;
    number(head);
    number(length - 1);
    position_ = target + length;
    return true;
  }
  static std::size_t numberBytes(unsigned value) { return value < 0x80 ? 1 : 2; }
  void number(unsigned value) {
    if (value >= 0x80) {
      bytes_[size_++] = static_cast<std::byte>(value | 0x80);
      value >>= 7;
    }
    bytes_[size_++] = static_cast<std::byte>(value);
  }

  std::array<std::byte, kPageBytes> bytes_;
  std::size_t size_ = 0;
  const std::size_t bytesMax_;
  unsigned position_ = 0;
  bool full_ = false;
};

// --- Choosing operations
// -----------------------------------------------------------------------------------

/// Covers the differing ranges with copies where it finds them, and with new bytes elsewhere. One
/// pass.
class DeltaEncoder {
 public:
  DeltaEncoder(const std::byte* base, const std::byte* next, const BaseIndex* index,
               OperationWriter& out)
      : base_(base), next_(next), index_(index), out_(out) {}

  /// False, and nothing usable written, when there were more than `literalBytesMax` new bytes.
  bool run(const DifferingRanges& ranges, unsigned literalBytesMax) {
    unsigned literalBytes = 0;
    unsigned done = 0;
    const Range* range = ranges.begin();
    while (range != ranges.end() && !out_.isFull()) {
      const unsigned begin = std::max<unsigned>(range->begin, done);
      if (begin >= range->end) {
        ++range;
        continue;
      }
      const Match match = findMatch(begin, range->end);
      const unsigned literalEnd = match.length == 0 ? range->end : match.target;
      if (literalEnd > begin) out_.literal(next_, begin, literalEnd);
      literalBytes += literalEnd - begin;
      if (literalBytes > literalBytesMax) return false;
      done = match.length == 0 ? range->end : emitCopy(match, ranges, range);
    }
    return true;
  }

 private:
  /// A match goes on over equal bytes and into later ranges; it ends with the last differing byte
  /// that it covers.
  unsigned emitCopy(Match match, const DifferingRanges& ranges, const Range*& range) {
    const unsigned matchEnd = match.target + match.length;
    while (range + 1 != ranges.end() && range[1].begin < matchEnd) ++range;
    match.length = std::min<unsigned>(matchEnd, range->end) - match.target;
    lastDistance_ = static_cast<int>(match.source) - static_cast<int>(match.target);
    out_.copy(match);
    return match.target + match.length;
  }

  /// The first match that starts in [begin, end) and pays; length 0 when there is none.
  Match findMatch(unsigned begin, unsigned end) const {
    Match best;
    if (end - begin < kMatchMin) return best;
    const unsigned last = std::min(end - 1, kPage - 8);
    for (unsigned at = begin; at <= last && best.length == 0; ++at) {
      const std::uint64_t word = load64(next_ + at);
      consider(word, begin, at, static_cast<int>(at) - 2, best);  // a pointer was inserted before
      consider(word, begin, at, static_cast<int>(at) + 2, best);  // a pointer was removed before
      consider(word, begin, at, static_cast<int>(at) + lastDistance_, best);
      if (index_ != nullptr) consider(word, begin, at, static_cast<int>(index_->find(word)), best);
    }
    return best;
  }

  /// Takes the match at (at, source), extended both ways but not before `begin`, when it beats
  /// `best`.
  void consider(std::uint64_t word, unsigned begin, unsigned at, int source, Match& best) const {
    if (source < 0 || source > static_cast<int>(kPage - 8) || load64(base_ + source) != word)
      return;
    unsigned from = static_cast<unsigned>(source);
    if (from == at) return;
    unsigned length =
        8 + commonLength(next_ + at + 8, base_ + from + 8, kPage - 8 - std::max(at, from));
    while (at > begin && from > 0 && next_[at - 1] == base_[from - 1]) {
      --at;
      --from;
      ++length;
    }
    if (length > best.length) best = {at, from, length};
  }

  const std::byte* const base_;
  const std::byte* const next_;
  const BaseIndex* const index_;
  OperationWriter& out_;
  int lastDistance_ = -2;
};

Error malformed(std::size_t at, const char* what) {
  return Error{ErrorCode::Corrupt,
               "page delta: " + std::string(what) + " at byte " + std::to_string(at)};
}

/// Reads numbers and new bytes of a delta that may hold anything.
class OperationReader {
 public:
  explicit OperationReader(ByteView in) : in_(in) {}

  bool atEnd() const { return at_ == in_.size(); }
  std::size_t offset() const { return at_; }
  /// At most 16383. False when the delta ends within the number or the number has a third byte.
  bool number(unsigned& value) {
    if (at_ == in_.size()) return false;
    value = static_cast<unsigned>(in_[at_++]);
    if (value < 0x80) return true;
    if (at_ == in_.size()) return false;
    const auto high = static_cast<unsigned>(in_[at_++]);
    value = (value & 0x7f) | high << 7;
    return high < 0x80;
  }
  /// Null when fewer than `size` bytes are left.
  const std::byte* bytes(std::size_t size) {
    if (in_.size() - at_ < size) return nullptr;
    at_ += size;
    return in_.data() + at_ - size;
  }

 private:
  ByteView in_;
  std::size_t at_ = 0;
};

}  // namespace

bool encodeDelta(ByteView base, ByteView next, std::size_t bytesMax, Bytes& out) {
  SKEP_CHECK(base.size() == kPageBytes && next.size() == kPageBytes, "pages of %zu and %zu bytes",
             base.size(), next.size());
  const DifferingRanges ranges(base.data(), next.data());
  OperationWriter quick(bytesMax);
  if (DeltaEncoder(base.data(), next.data(), nullptr, quick).run(ranges, kIndexFromLiteralBytes)) {
    if (quick.isFull()) return false;
    out.insert(out.end(), quick.bytes().begin(), quick.bytes().end());
    return true;
  }
  const BaseIndex index(base.data());
  OperationWriter thorough(bytesMax);
  DeltaEncoder(base.data(), next.data(), &index, thorough).run(ranges, kPage);
  if (thorough.isFull()) return false;
  out.insert(out.end(), thorough.bytes().begin(), thorough.bytes().end());
  return true;
}

Status applyDelta(ByteView base, ByteView delta, std::span<std::byte> out) {
  SKEP_CHECK(base.size() == kPageBytes && out.size() == kPageBytes, "pages of %zu and %zu bytes",
             base.size(), out.size());
  SKEP_CHECK(out.data() + kPageBytes <= base.data() || base.data() + kPageBytes <= out.data(),
             "base and out overlap");
  std::memcpy(out.data(), base.data(), kPageBytes);
  OperationReader in(delta);
  std::size_t position = 0;
  while (!in.atEnd()) {
    const std::size_t operationAt = in.offset();
    unsigned head = 0;
    unsigned lengthMinusOne = 0;
    if (!in.number(head) || !in.number(lengthMinusOne)) return malformed(operationAt, "bad number");
    const std::size_t target = position + (head >> 1);
    const std::size_t length = std::size_t{lengthMinusOne} + 1;
    position = target + length;
    if (position > kPageBytes) return malformed(operationAt, "operation beyond the page's end");
    if ((head & 1) == 0) {
      const std::byte* bytes = in.bytes(length);
      if (bytes == nullptr) return malformed(operationAt, "new bytes cut short");
      std::memcpy(out.data() + target, bytes, length);
    } else {
      unsigned zigzag = 0;
      if (!in.number(zigzag)) return malformed(operationAt, "bad number");
      const auto half = static_cast<std::ptrdiff_t>(zigzag >> 1);
      const std::ptrdiff_t source =
          static_cast<std::ptrdiff_t>(target) + ((zigzag & 1) == 0 ? half : -half - 1);
      if (source < 0 || static_cast<std::size_t>(source) + length > kPageBytes) {
        return malformed(operationAt, "copy from outside the page");
      }
      std::memcpy(out.data() + target, base.data() + source, length);
    }
  }
  return {};
}

}  // namespace skep::store
