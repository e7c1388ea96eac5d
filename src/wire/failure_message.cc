#include "skep/wire/failure_message.h"

#include <nlohmann/json.hpp>

namespace skep::wire {

std::string encodeFailure(const call::Failure& failure, call::Encoding encoding) {
  nlohmann::json message = {
      {"group", failure.group}, {"code", failure.code}, {"message", failure.message}};
  if (!failure.metadata.empty()) {
    // The actor's code gave it as text: what is no JSON stays text.
    nlohmann::json metadata = nlohmann::json::parse(failure.metadata, nullptr, false);
    message["metadata"] =
        metadata.is_discarded() ? nlohmann::json(failure.metadata) : std::move(metadata);
  }
  std::string bytes;
  if (encoding == call::Encoding::Cbor) {
    nlohmann::json::to_cbor(message, bytes);
  } else {
    bytes = message.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  }
  return bytes;
}

}  // namespace skep::wire
