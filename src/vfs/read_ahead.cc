#include "skep/vfs/read_ahead.h"

#include <algorithm>

namespace skep::vfs {
namespace {

// A scan may skip this many chunks: pages that it wants a little later, or not at all.
constexpr store::ChunkNumber kSkipMax = 4;

}  // namespace

ReadAhead::Range ReadAhead::plan(store::ChunkNumber missed, std::size_t countMax) {
  ++uses_;
  Scan* oldest = scans_.data();
  for (Scan& scan : scans_) {
    if (scan.lastUse < oldest->lastUse) oldest = &scan;
    if (scan.window == 0) continue;
    if (missed >= scan.next && missed - scan.next <= kSkipMax) {
      const std::size_t skipped = missed - scan.next;
      scan.window = std::min(std::max(scan.window * 2, skipped + 1), countMax);
      scan.lastUse = uses_;
      const store::ChunkNumber first = skipped < scan.window ? scan.next : missed;
      scan.next = first + static_cast<store::ChunkNumber>(scan.window);
      return {first, scan.window};
    }
    if (missed < scan.next && scan.next - missed <= 2 * scan.window) {
      scan.lastUse = uses_;
      return {missed, 1};  // looked back: at what has left memory since
    }
  }
  *oldest = {.next = missed + 1, .window = 1, .lastUse = uses_};
  return {missed, 1};
}

}  // namespace skep::vfs
