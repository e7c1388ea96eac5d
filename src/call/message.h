// Payload, Headers, Outcome, Reply: what requests and replies are made of. Plain values, any thread.

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "skep/call/failure.h"

namespace skep::call {

enum class Encoding : std::uint8_t { Json, Cbor };

/// One encoded value.
struct Payload {
  Encoding encoding = Encoding::Json;
  std::string bytes;
};

/// Fields of an HTTP message, in their order.
using Headers = std::vector<std::pair<std::string, std::string>>;

template <class T>
using Outcome = std::variant<T, Failure>;
using Reply = Outcome<Payload>;

/// What to do about an actor that does not exist yet, or does.
enum class Existence : std::uint8_t { GetOrCreate, Get, Create };

}  // namespace skep::call
