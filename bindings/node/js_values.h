// Between JavaScript's values and ours. On the JavaScript thread, outside any fiber.
//
// What comes from JavaScript is checked: a wrong type throws a TypeError there, and the function here
// gives nothing.

#pragma once

#include <node_api.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "skep/base/bytes.h"
#include "skep/base/result.h"
#include "skep/call/failure.h"
#include "skep/call/message.h"
#include "skep/sql/value.h"

namespace skep::node {

// To JavaScript.
napi_value toJs(napi_env env, std::string_view text);
napi_value toJs(napi_env env, const char* text);
napi_value toJs(napi_env env, std::int64_t number);  // a number; loses digits beyond 2^53
napi_value toJs(napi_env env, bool value);
napi_value bytesToJs(napi_env env, std::string_view bytes);  // a Uint8Array with a copy
napi_value undefined(napi_env env);
/// JSON as a string, CBOR as a Uint8Array.
napi_value toJs(napi_env env, const call::Payload& payload);
/// A NativeFailure (native.ts), which is thrown or rejected with.
napi_value toJs(napi_env env, const call::Failure& failure);
napi_value toJs(napi_env env, const std::vector<std::string>& texts);
/// An Error with the error's code.
napi_value errorOf(napi_env env, const Error& error);
void setProperty(napi_env env, napi_value object, const char* name, napi_value value);

// From JavaScript.
std::string textOf(napi_env env, napi_value value);  // empty when it is no string
std::int64_t integerOf(napi_env env, napi_value value, std::int64_t otherwise = 0);
bool boolOf(napi_env env, napi_value value);
bool isNothing(napi_env env, napi_value value);  // undefined or null
/// Of a Uint8Array (or Buffer); empty when it is none.
std::string_view bytesOf(napi_env env, napi_value value);
napi_value propertyOf(napi_env env, napi_value object, const char* name);
std::vector<std::string> textsOf(napi_env env, napi_value array);
/// A string is JSON, bytes are CBOR; nothing for nothing.
std::optional<call::Payload> payloadOf(napi_env env, napi_value value);
/// A parameter of a statement. Nothing: a TypeError was thrown.
std::optional<sql::Value> sqlValueOf(napi_env env, napi_value value);
call::Failure failureOf(napi_env env, napi_value value);

void throwTypeError(napi_env env, const std::string& message);

}  // namespace skep::node
