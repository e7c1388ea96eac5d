#include "skep/api/key_value.h"

#include "skep/actor/services.h"

namespace skep {

KeyValue::KeyValue(actor::Invocation& invocation) : pairs_(invocation.services().keyValue()) {}

}  // namespace skep
