#include "skep/store/delta.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <string>

#include "skep/base/check.h"
#include "skep/store/page_compare.h"

namespace skep::store {

namespace {

// A copy costs three to five bytes and often splits a literal: shorter matches do not pay.
constexpr unsigned kMatchMin = 8;
// From this many new bytes on, an index over the base is worth its construction.
constexpr unsigned kIndexFromLiteralBytes = 96;
constexpr unsigned kIndexStride = 8;
constexpr unsigned kIndexBits = 10;

constexpr unsigned kPage = kPageBytes;

// --- Matches elsewhere in the base ---

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

struct Match {
  unsigned target = 0;
  unsigned source = 0;
  unsigned length = 0;
};

// --- Writing operations ---

/// Writes operations to a buffer of its own. Full, for good, once one would pass the limit.
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
  unsigned bytesLeft() const { return static_cast<unsigned>(bytesMax_ - size_); }
  void clear() {
    size_ = 0;
    position_ = 0;
    full_ = false;
  }
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

// --- Choosing operations ---

/// Covers the differing ranges with copies where it finds them, and with new bytes elsewhere.
class DeltaEncoder {
 public:
  /// Without an index, finds only content that has shifted by a cell pointer or as what was found
  /// before it.
  DeltaEncoder(const std::byte* base, const std::byte* next, const BaseIndex* index,
               OperationWriter& out)
      : base_(base), next_(next), index_(index), out_(out) {}

  /// False, and nothing usable written, when there were more than `literalBytesMax` new bytes.
  bool run(const DifferingRanges& ranges, unsigned literalBytesMax) {
    unsigned literalBytes = 0;
    unsigned done = 0;
    const PageRange* range = ranges.begin();
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
  unsigned emitCopy(Match match, const DifferingRanges& ranges, const PageRange*& range) {
    const unsigned matchEnd = match.target + match.length;
    while (range + 1 != ranges.end() && range[1].begin < matchEnd) ++range;
    match.length = std::min<unsigned>(matchEnd, range->end) - match.target;
    lastShift_ = static_cast<int>(match.source) - static_cast<int>(match.target);
    out_.copy(match);
    return match.target + match.length;
  }

  /// The first match that starts in [begin, end) and pays; length 0 when there is none.
  Match findMatch(unsigned begin, unsigned end) {
    if (end - begin < kMatchMin) return {};
    unsigned at = end;  // where the first match known so far begins
    int shift = 0;
    for (ShiftSearch& search : pointerShifts_) {
      if (search.end != end || search.found < begin)
        search = {search.shift, end, findShifted(begin, end, search.shift)};
      if (search.found < at) {
        at = search.found;
        shift = search.shift;
      }
    }
    if (index_ == nullptr)
      return at == end ? Match{} : extended(begin, at, at + static_cast<unsigned>(shift));
    // What moved often goes on by the same distance soon after a small change.
    const unsigned near = std::min(at, begin + kCompareBlock);
    if (const unsigned found = findShifted(begin, near, lastShift_); found < near) {
      at = found;
      shift = lastShift_;
    }
    // A match that more new bytes precede than there is room for would come too late.
    const Match indexed = findIndexed(begin, std::min(at, begin + out_.bytesLeft()));
    if (indexed.length != 0) return indexed;
    return at == end ? Match{} : extended(begin, at, at + static_cast<unsigned>(shift));
  }

  /// The first place in [begin, end) where eight bytes stand in the base `shift` bytes further on;
  /// end when none.
  unsigned findShifted(unsigned begin, unsigned end, int shift) const {
    // Windows of 64 bytes that lie within the page on both sides: none when the shift is nearly a
    // page.
    constexpr int kLastWindow = static_cast<int>(kPage - kCompareBlock);
    const int lowest = std::max(0, -shift);
    const int highest = std::min(kLastWindow, kLastWindow - shift);
    if (lowest > highest) return end;
    const auto lastWindow = static_cast<unsigned>(highest);
    begin = std::max(begin, static_cast<unsigned>(lowest));
    while (begin < end) {
      const unsigned window = std::min(begin, lastWindow);
      std::uint64_t equal =
          ~differenceMask64(next_ + window, base_ + static_cast<int>(window) + shift);
      equal &= equal >> 1;  // bit i: bytes i and i + 1 …
      equal &= equal >> 2;
      equal &= equal >> 4;  // … to i + 7 are equal
      if (begin - window >= kCompareBlock) return end;
      equal &= ~std::uint64_t{0} << (begin - window);
      if (equal != 0) return std::min(end, window + static_cast<unsigned>(std::countr_zero(equal)));
      if (window == lastWindow) return end;
      begin = window + kCompareBlock - 7;
    }
    return end;
  }

  /// The first match in [begin, end) that the index knows.
  Match findIndexed(unsigned begin, unsigned end) const {
    end = std::min(end, kPage - 7);
    for (unsigned at = begin; at < end;) {
      const std::uint64_t word = load64(next_ + at);
      const unsigned source = index_->find(word);
      if (load64(base_ + source) == word && source != at) return extended(begin, at, source);
      // Over long content that is new, look less often. The steps are odd, so that they still meet
      // the index's places, which are multiples of eight apart.
      const unsigned missed = at - begin;
      at += missed < 256 ? 1 : missed < 1024 ? 3 : 5;
    }
    return {};
  }

  /// The match of at least eight bytes at (at, source), as long as it gets, but not from before
  /// `begin`.
  Match extended(unsigned begin, unsigned at, unsigned source) const {
    unsigned length =
        8 + commonLength(next_ + at + 8, base_ + source + 8, kPage - 8 - std::max(at, source));
    while (at > begin && source > 0 && next_[at - 1] == base_[source - 1]) {
      --at;
      --source;
      ++length;
    }
    return {at, source, length};
  }

  /// The first match at a distance within a range, kept while the range is gone through.
  struct ShiftSearch {
    int shift = 0;
    unsigned end = 0;  // of the range; 0: none yet
    unsigned found = 0;
  };

  const std::byte* const base_;
  const std::byte* const next_;
  const BaseIndex* const index_;
  OperationWriter& out_;
  // A pointer was inserted before what moved, or removed.
  std::array<ShiftSearch, 2> pointerShifts_{ShiftSearch{.shift = -2}, ShiftSearch{.shift = 2}};
  int lastShift_ = -2;
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
  OperationWriter written(bytesMax);
  // Most pages changed in a few short places: try without an index first.
  const bool fewNewBytes =
      DeltaEncoder(base.data(), next.data(), nullptr, written).run(ranges, kIndexFromLiteralBytes);
  if (!fewNewBytes || written.isFull()) {
    written.clear();
    const BaseIndex index(base.data());
    DeltaEncoder(base.data(), next.data(), &index, written).run(ranges, kPage);
  }
  if (written.isFull()) return false;
  out.insert(out.end(), written.bytes().begin(), written.bytes().end());
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
