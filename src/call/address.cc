#include "skep/call/address.h"

#include <algorithm>
#include <utility>

#include "skep/base/utf8.h"

namespace skep::call {
namespace {

bool isLetter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
bool isDigit(char c) {
  return c >= '0' && c <= '9';
}

bool isTypeName(std::string_view name) {
  if (name.empty() || name.size() > kTypeBytesMax || !isLetter(name.front())) return false;
  return std::all_of(name.begin(), name.end(),
                     [](char c) { return isLetter(c) || isDigit(c) || c == '_' || c == '-'; });
}

bool mustBeEncoded(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte < 0x20 || byte == 0x7f || c == '/' || c == '%';
}

void appendEncoded(std::string& out, std::string_view part) {
  static constexpr char kHex[] = "0123456789ABCDEF";
  for (const char c : part) {
    if (!mustBeEncoded(c)) {
      out += c;
      continue;
    }
    const auto byte = static_cast<unsigned char>(c);
    out += '%';
    out += kHex[byte >> 4];
    out += kHex[byte & 15];
  }
}

int hexDigit(char c) {
  if (isDigit(c)) return c - '0';
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

/// Only what appendEncoded() makes: one name, one address.
bool decode(std::string_view text, std::string& part) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      if (mustBeEncoded(text[i])) return false;
      part += text[i];
      continue;
    }
    if (i + 2 >= text.size()) return false;
    const int high = hexDigit(text[i + 1]);
    const int low = hexDigit(text[i + 2]);
    if (high < 0 || low < 0) return false;
    const char c = static_cast<char>(high * 16 + low);
    if (!mustBeEncoded(c)) return false;
    part += c;
    i += 2;
  }
  return true;
}

Error invalid(std::string message) {
  return {ErrorCode::InvalidArgument, std::move(message)};
}

}  // namespace

Result<ActorAddress> ActorAddress::make(std::string type, std::vector<std::string> key) {
  if (!isTypeName(type)) {
    return invalid(
        "an actor type's name is a letter followed by letters, digits, '_' or '-', at most " +
        std::to_string(kTypeBytesMax) + " characters");
  }
  if (key.empty() || key.size() > kKeyPartsMax) {
    return invalid("an actor's key has 1 to " + std::to_string(kKeyPartsMax) + " parts, not " +
                   std::to_string(key.size()));
  }
  for (const std::string& part : key) {
    if (part.empty() || part.size() > kKeyPartBytesMax) {
      return invalid("each part of an actor's key has 1 to " + std::to_string(kKeyPartBytesMax) +
                     " bytes; one has " + std::to_string(part.size()));
    }
    if (!isValidUtf8(part)) return invalid("a part of the actor's key is no valid UTF-8");
  }
  ActorAddress address{.type = std::move(type), .key = std::move(key)};
  if (address.databaseName().size() > kDatabaseNameBytesMax) {
    return invalid("the actor's key is longer than " + std::to_string(kDatabaseNameBytesMax) +
                   " bytes in all");
  }
  return address;
}

Result<ActorAddress> ActorAddress::ofDatabase(std::string_view name) {
  std::vector<std::string> parts;
  for (std::string_view rest = name;;) {
    const std::size_t end = rest.find('/');
    if (!decode(rest.substr(0, end), parts.emplace_back())) {
      return invalid("the database's name is not that of an actor");
    }
    if (end == std::string_view::npos) break;
    rest.remove_prefix(end + 1);
  }
  std::string type = std::move(parts.front());
  parts.erase(parts.begin());
  return make(std::move(type), std::move(parts));
}

std::string ActorAddress::databaseName() const {
  std::string name = type;
  for (const std::string& part : key) {
    name += '/';
    appendEncoded(name, part);
  }
  return name;
}

std::string ActorAddress::toString() const {
  std::string text = type + "[";
  for (const std::string& part : key) {
    if (text.back() != '[') text += ',';
    text += '"' + part + '"';
  }
  return text + "]";
}

}  // namespace skep::call
