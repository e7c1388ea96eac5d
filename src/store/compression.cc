#include "skep/store/compression.h"

#include <zstd.h>

#include <memory>

#include "skep/base/check.h"

namespace skep::store {

namespace {

template <auto free>
struct Free {
  template <class T>
  void operator()(T* context) const {
    free(context);
  }
};

ZSTD_CCtx* compressionContext() {
  thread_local const std::unique_ptr<ZSTD_CCtx, Free<ZSTD_freeCCtx>> context(ZSTD_createCCtx());
  SKEP_CHECK(context != nullptr, "out of memory");
  return context.get();
}

ZSTD_DCtx* decompressionContext() {
  thread_local const std::unique_ptr<ZSTD_DCtx, Free<ZSTD_freeDCtx>> context(ZSTD_createDCtx());
  SKEP_CHECK(context != nullptr, "out of memory");
  return context.get();
}

}  // namespace

RawBuffer compress(ByteView in, int level) {
  if (in.size() < 2) return {};
  // One byte less than the input: zstd stops by itself when it would not win.
  RawBuffer out(in.size() - 1);
  const std::size_t size = ZSTD_compressCCtx(compressionContext(), out.span().data(),
                                             out.span().size(), in.data(), in.size(), level);
  out.truncate(ZSTD_isError(size) != 0 ? 0 : size);
  return out;
}

bool decompressInto(ByteView frame, std::span<std::byte> out) {
  // Only today's frames: the library would also take those of its own early versions, and skippable
  // ones.
  const bool isFrame = frame.size() >= 4 && ByteReader(frame).u32() == ZSTD_MAGICNUMBER;
  if (!isFrame || ZSTD_getFrameContentSize(frame.data(), frame.size()) != out.size()) return false;
  const std::size_t size = ZSTD_decompressDCtx(decompressionContext(), out.data(), out.size(),
                                               frame.data(), frame.size());
  return ZSTD_isError(size) == 0 && size == out.size();
}

}  // namespace skep::store
