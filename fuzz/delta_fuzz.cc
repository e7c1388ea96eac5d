// Deltas: any bytes as a delta, and the way from one page to the next for pages that the input
// describes.
//
// Input: the bytes as a delta, and also, from the second byte on, a list of edits that turn a base
// into the next page; the first byte chooses the base. An edit is: kind, target (2 bytes), length
// (2 bytes), then for kind % 3 == 0 one byte to fill with, 1 the offset (2 bytes) of content that
// moves there, 2 bytes of the input.

#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

#include "skep/base/check.h"
#include "skep/store/delta.h"

namespace skep::store {
namespace {

using Page = std::array<std::byte, kPageBytes>;

Page basePage(unsigned which) {
  Page page{};
  std::uint32_t x = 1;
  for (std::size_t i = 0; i < kPageBytes && which % 4 != 0; ++i) {
    x = x * 1664525 + 1013904223;
    const unsigned noise = x >> 24;
    page[i] = static_cast<std::byte>(which % 4 == 1   ? noise
                                     : which % 4 == 2 ? noise % 3
                                                      : i / 2 % 7);
  }
  return page;
}

void edit(ByteReader& in, Page& page) {
  const unsigned kind = in.u8();
  const unsigned target = (in.u8() | in.u8() << 8u) % kPageBytes;
  const unsigned length =
      std::min<unsigned>((in.u8() | in.u8() << 8u) % kPageBytes, kPageBytes - target);
  if (kind % 3 == 0) {
    std::fill_n(page.begin() + target, length, static_cast<std::byte>(in.u8()));
  } else if (kind % 3 == 1) {
    const unsigned source = (in.u8() | in.u8() << 8u) % (kPageBytes - length + 1);
    std::memmove(page.data() + target, page.data() + source, length);
  } else {
    const ByteView bytes = in.bytes(std::min<std::size_t>(length, in.remaining()));
    std::copy(bytes.begin(), bytes.end(), page.begin() + target);
  }
}

void checkEncoding(const Page& base, const Page& next, std::size_t bytesMax) {
  Bytes delta{std::byte{42}};
  if (!encodeDelta(base, next, bytesMax, delta)) {
    SKEP_CHECK(delta == Bytes{std::byte{42}}, "a delta that was given up left something behind");
    return;
  }
  SKEP_CHECK(delta.size() <= bytesMax + 1, "%zu bytes, not %zu", delta.size() - 1, bytesMax);
  Page applied;
  const Status status = applyDelta(base, ByteView(delta).subspan(1), applied);
  SKEP_CHECK(status.ok(), "%s", status.error().message.c_str());
  SKEP_CHECK(applied == next, "the delta does not lead to the next page");
}

}  // namespace
}  // namespace skep::store

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace skep;
  const ByteView input(reinterpret_cast<const std::byte*>(data), size);
  static const store::Page base = store::basePage(1);
  store::Page page;
  const Status applied = store::applyDelta(base, input, page);
  SKEP_CHECK(applied.ok() || applied.error().code == ErrorCode::Corrupt, "%s",
             applied.error().message.c_str());
  if (applied.ok()) store::checkEncoding(base, page, store::kPageBytes);

  ByteReader in(input);
  const store::Page before = store::basePage(in.u8());
  store::Page after = before;
  while (in.ok() && in.remaining() > 0) store::edit(in, after);
  store::checkEncoding(before, after, store::kPageBytes);
  store::checkEncoding(before, after, 100);
  return 0;
}
