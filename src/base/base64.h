// Base64 text of bytes (RFC 4648 section 4, with padding). Any thread.

#pragma once

#include <string>

#include "skep/base/bytes.h"

namespace skep {

std::string encodeBase64(ByteView bytes);

}  // namespace skep
