#include "skep/wire/actor_message.h"

#include <nlohmann/json.hpp>

namespace skep::wire {
namespace {

std::string format(const nlohmann::json& message, call::Encoding encoding) {
  std::string bytes;
  if (encoding == call::Encoding::Cbor) {
    nlohmann::json::to_cbor(message, bytes);
  } else {
    bytes = message.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  }
  return bytes;
}

nlohmann::json infoOf(const call::ActorInfo& info) {
  return {{"type", info.actor.type},
          {"key", info.actor.key},
          {"createdMs", info.createdMs},
          {"bytes", info.bytes},
          {"awake", info.isAwake}};
}

}  // namespace

std::string encodeActor(const call::ActorAddress& actor, call::Encoding encoding) {
  return format({{"type", actor.type}, {"key", actor.key}}, encoding);
}

std::string encodeList(const call::ActorList& list, call::Encoding encoding) {
  nlohmann::json actors = nlohmann::json::array();
  for (const call::ActorInfo& info : list.actors) {
    actors.push_back(infoOf(info));
  }
  nlohmann::json message = {{"actors", std::move(actors)}};
  if (!list.next.empty()) message["next"] = list.next;
  return format(message, encoding);
}

std::string encodeDetails(const call::ActorDetails& details, call::Encoding encoding) {
  nlohmann::json message = infoOf(details.info);
  message["storedBytes"] = details.storedBytes;
  message["txid"] = details.txid;
  message["connections"] = details.connections;
  message["callsUnderWay"] = details.callsUnderWay;
  message["memoryBytes"] = details.memoryBytes;
  if (details.alarmMs) message["alarmMs"] = *details.alarmMs;
  if (details.lastError) {
    message["lastError"] = {{"message", details.lastError->message},
                            {"timeMs", details.lastError->timeMs}};
  }
  return format(message, encoding);
}

std::string encodeSent(const call::QueueSent& sent, call::Encoding encoding) {
  std::string message = format({{"id", sent.id}}, encoding);
  if (!sent.reply) return message;
  if (encoding == call::Encoding::Cbor) {
    message.front() = '\xa2';  // a map of two
    return message.append("\x65reply").append(sent.reply->bytes);
  }
  message.back() = ',';
  return message.append("\"reply\":").append(sent.reply->bytes).append("}");
}

std::string encodeNull(call::Encoding encoding) {
  return format(nullptr, encoding);
}

}  // namespace skep::wire
