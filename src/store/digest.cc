#include "skep/store/digest.h"

#include "skep/base/check.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace skep::store {

std::uint64_t pageHash(PageNumber page, ByteView content) {
  SKEP_CHECK(page != 0, "page numbers start at 1");
  SKEP_CHECK(content.size() == kPageBytes, "a page of %zu bytes", content.size());
  return XXH3_64bits_withSeed(content.data(), kPageBytes, page);
}

}  // namespace skep::store
