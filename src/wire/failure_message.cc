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
    // As in JSON: what is no UTF-8 is replaced.
    const std::string text = message.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
    nlohmann::json::to_cbor(nlohmann::json::parse(text), bytes);
  } else {
    bytes = message.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  }
  return bytes;
}

}  // namespace skep::wire
