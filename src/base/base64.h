// Base64 text of bytes (RFC 4648): section 4 with padding, and the form for URLs and tokens, section 5
// without. Any thread.

#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "skep/base/bytes.h"

namespace skep {

std::string encodeBase64(ByteView bytes);

std::string encodeBase64Url(ByteView bytes);
/// Nullopt when `text` is not exactly what encodeBase64Url() gives for some bytes: no padding, no white
/// space, no bits set that stand for nothing. So no two texts are the same bytes.
std::optional<std::string> decodeBase64Url(std::string_view text);

}  // namespace skep
