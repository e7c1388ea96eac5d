// The messages of a connection: any bytes, as JSON and as CBOR. What is taken out of one lies within it.

#include <cstdint>
#include <string_view>
#include <variant>

#include "skep/base/check.h"
#include "skep/wire/connection_message.h"

namespace skep::wire {
namespace {

void checkWithin(std::string_view part, std::string_view whole) {
  if (part.empty()) return;
  SKEP_CHECK(part.data() >= whole.data() &&
             part.data() + part.size() <= whole.data() + whole.size());
}

void decode(std::string_view bytes, call::Encoding encoding) {
  const auto decoded = decodeClientMessage(bytes, encoding);
  if (const auto* bad = std::get_if<BadMessage>(&decoded)) {
    SKEP_CHECK(!bad->failure.message.empty());
    SKEP_CHECK(!encodeError(bad->id, bad->failure, false, encoding).empty());
    return;
  }
  const auto& message = std::get<ClientMessage>(decoded);
  SKEP_CHECK(message.type != ClientMessage::Type::Call || message.id.has_value());
  checkWithin(message.arguments, bytes);
  checkWithin(message.parameters, bytes);
  checkWithin(message.input, bytes);
}

}  // namespace
}  // namespace skep::wire

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  skep::wire::decode(bytes, skep::call::Encoding::Json);
  skep::wire::decode(bytes, skep::call::Encoding::Cbor);
  return 0;
}
