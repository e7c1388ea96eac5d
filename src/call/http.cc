#include "skep/call/http.h"

#include <algorithm>
#include <array>
#include <string_view>

namespace skep::call {
namespace {

bool isTokenCharacter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
}

bool isControl(char c) {
  return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7f;
}

/// RFC 9110 section 7.6.1, in lower case.
constexpr std::array<std::string_view, 7> kOfTheGateway = {
    "connection", "keep-alive",        "proxy-connection", "te",
    "trailer",    "transfer-encoding", "upgrade"};

bool isOfTheGateway(std::string_view name) {
  return std::any_of(kOfTheGateway.begin(), kOfTheGateway.end(), [&](std::string_view own) {
    return std::equal(name.begin(), name.end(), own.begin(), own.end(),
                      [](char c, char lower) { return (c | 0x20) == lower; });
  });
}

}  // namespace

std::string_view requestIdOf(const Headers& headers) {
  const auto found = std::find_if(headers.begin(), headers.end(),
                                  [](const auto& each) { return each.first == "x-request-id"; });
  return found == headers.end() ? std::string_view() : found->second;
}

Status checkHead(const HttpHead& head) {
  if (head.status < 200 || head.status > 599) {
    return Error{ErrorCode::InvalidArgument,
                 "a response's status is 200 to 599, not " + std::to_string(head.status)};
  }
  std::size_t bytes = 0;
  for (const auto& [name, value] : head.headers) {
    bytes += name.size() + value.size();
    if (bytes > kHeadBytesMax) {
      return Error{ErrorCode::InvalidArgument, "the headers of a response have at most " +
                                                   std::to_string(kHeadBytesMax) + " bytes"};
    }
    const bool isToken = !name.empty() && std::all_of(name.begin(), name.end(), &isTokenCharacter);
    if (!isToken) return Error{ErrorCode::InvalidArgument, "a header's name is a token"};
    if (std::any_of(value.begin(), value.end(), &isControl)) {
      return Error{ErrorCode::InvalidArgument,
                   "the value of header '" + name + "' has control characters"};
    }
    if (isOfTheGateway(name)) {
      return Error{ErrorCode::InvalidArgument, "header '" + name + "' is for the gateway to set"};
    }
  }
  return {};
}

}  // namespace skep::call
