// Encoded values, taken apart without being decoded: where one ends, and how deep it is nested.
//
// What is within a value is looked at only as far as that needs: whether it is well-formed shows when it
// is decoded. Decoders recurse, so nothing that is nested deeper than kNestingMax should reach them.
// Any thread; nothing allocates.

#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

namespace skep {

inline constexpr std::size_t kNestingMax = 200;

/// Takes a JSON value (RFC 8259), and the white space before it, off the front of `text`; gives the
/// value. Nullopt: it does not end, or is nested too deep.
std::optional<std::string_view> takeRawJson(std::string_view& text);
/// The same for CBOR (RFC 8949).
std::optional<std::string_view> takeRawCbor(std::string_view& bytes);

void skipJsonSpace(std::string_view& text);

}  // namespace skep
