// A failure as it crosses the wire: {"group", "code", "message", "metadata"?}, in JSON or CBOR
// (docs/formats/http.md). Any thread.

#pragma once

#include <string>

#include "skep/call/failure.h"
#include "skep/call/router.h"

namespace skep::wire {

std::string encodeFailure(const call::Failure& failure, call::Encoding encoding);

}  // namespace skep::wire
