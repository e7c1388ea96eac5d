#include "skep/api/key_value.h"

#include "skep/api/turn.h"

namespace skep {

KeyValue::KeyValue(actor::Invocation& invocation)
    : pairs_(api::servicesOf(invocation).keyValue()) {}

}  // namespace skep
