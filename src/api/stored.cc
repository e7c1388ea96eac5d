#include "skep/api/stored.h"

namespace skep::api {

void throwError(const Error& error) {
  throw ActorError(call::failureOf(error, "the actor's log"));
}

Bytes toStored(const Value& value) {
  return toBytes(asBytes(format(value, call::Encoding::Cbor).bytes));
}

Value fromStored(ByteView bytes) {
  return parse({.encoding = call::Encoding::Cbor, .bytes = std::string(asText(bytes))});
}

}  // namespace skep::api
