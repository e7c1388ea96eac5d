// The memory of this process, as the system counts it. Any thread.

#pragma once

#include <cstddef>

namespace skep {

/// Bytes in memory now; 0 when the system does not say.
std::size_t residentBytes();

}  // namespace skep
