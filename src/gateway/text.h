// Small things about the text of HTTP messages. Any thread.

#pragma once

#include <boost/beast/core/string_type.hpp>
#include <string>
#include <string_view>

namespace skep::gateway {

inline std::string_view view(boost::beast::string_view text) {
  return {text.data(), text.size()};
}

/// Of ASCII letters: names of fields, hosts and schemes do not depend on their case.
inline std::string lowerCase(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return lower;
}

}  // namespace skep::gateway
