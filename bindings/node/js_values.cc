#include "js_values.h"

#include <array>
#include <cmath>
#include <limits>

namespace skep::node {
namespace {

constexpr std::int64_t kSafeInteger = (std::int64_t{1} << 53) - 1;

napi_valuetype typeOf(napi_env env, napi_value value) {
  napi_valuetype type = napi_undefined;
  napi_typeof(env, value, &type);
  return type;
}

}  // namespace

napi_value toJs(napi_env env, std::string_view text) {
  napi_value value = nullptr;
  napi_create_string_utf8(env, text.data(), text.size(), &value);
  return value;
}

napi_value toJs(napi_env env, const char* text) {
  return toJs(env, std::string_view(text));
}

napi_value toJs(napi_env env, std::int64_t number) {
  napi_value value = nullptr;
  napi_create_int64(env, number, &value);
  return value;
}

napi_value toJs(napi_env env, bool flag) {
  napi_value value = nullptr;
  napi_get_boolean(env, flag, &value);
  return value;
}

napi_value bytesToJs(napi_env env, std::string_view bytes) {
  void* data = nullptr;
  napi_value buffer = nullptr;
  napi_value array = nullptr;
  napi_create_arraybuffer(env, bytes.size(), &data, &buffer);
  if (!bytes.empty()) bytes.copy(static_cast<char*>(data), bytes.size());
  napi_create_typedarray(env, napi_uint8_array, bytes.size(), buffer, 0, &array);
  return array;
}

napi_value undefined(napi_env env) {
  napi_value value = nullptr;
  napi_get_undefined(env, &value);
  return value;
}

napi_value toJs(napi_env env, const call::Payload& payload) {
  if (payload.encoding == call::Encoding::Json) return toJs(env, std::string_view(payload.bytes));
  return bytesToJs(env, payload.bytes);
}

napi_value toJs(napi_env env, const call::Failure& failure) {
  napi_value object = nullptr;
  napi_create_object(env, &object);
  setProperty(env, object, "group", toJs(env, std::string_view(failure.group)));
  setProperty(env, object, "code", toJs(env, std::string_view(failure.code)));
  setProperty(env, object, "message", toJs(env, std::string_view(failure.message)));
  setProperty(env, object, "metadata", toJs(env, std::string_view(failure.metadata)));
  setProperty(env, object, "retryable", toJs(env, failure.isRetryable));
  return object;
}

napi_value toJs(napi_env env, const std::vector<std::string>& texts) {
  napi_value array = nullptr;
  napi_create_array_with_length(env, texts.size(), &array);
  for (std::uint32_t i = 0; i < texts.size(); ++i) {
    napi_set_element(env, array, i, toJs(env, std::string_view(texts[i])));
  }
  return array;
}

napi_value errorOf(napi_env env, const Error& error) {
  const std::string text = error.toString();  // "code: message"
  const napi_value code = toJs(env, std::string_view(text).substr(0, text.find(':')));
  napi_value made = nullptr;
  napi_create_error(env, code, toJs(env, std::string_view(error.message)), &made);
  return made;
}

void setProperty(napi_env env, napi_value object, const char* name, napi_value value) {
  napi_set_named_property(env, object, name, value);
}

std::string textOf(napi_env env, napi_value value) {
  // Most are short: then one call does.
  std::array<char, 512> buffer;
  std::size_t bytes = 0;
  if (napi_get_value_string_utf8(env, value, buffer.data(), buffer.size(), &bytes) != napi_ok) {
    return {};
  }
  if (bytes + 4 < buffer.size()) return {buffer.data(), bytes};  // else cut off, perhaps
  napi_get_value_string_utf8(env, value, nullptr, 0, &bytes);
  std::string text(bytes, '\0');
  napi_get_value_string_utf8(env, value, text.data(), bytes + 1, &bytes);
  return text;
}

std::int64_t integerOf(napi_env env, napi_value value, std::int64_t otherwise) {
  std::int64_t number = otherwise;
  return napi_get_value_int64(env, value, &number) == napi_ok ? number : otherwise;
}

bool boolOf(napi_env env, napi_value value) {
  bool flag = false;
  napi_get_value_bool(env, value, &flag);
  return flag;
}

bool isNothing(napi_env env, napi_value value) {
  const napi_valuetype type = typeOf(env, value);
  return type == napi_undefined || type == napi_null;
}

std::string_view bytesOf(napi_env env, napi_value value) {
  bool isArray = false;
  napi_is_typedarray(env, value, &isArray);
  if (!isArray) return {};
  napi_typedarray_type type = napi_uint8_array;
  std::size_t length = 0;
  void* data = nullptr;
  napi_get_typedarray_info(env, value, &type, &length, &data, nullptr, nullptr);
  if (type != napi_uint8_array && type != napi_uint8_clamped_array) return {};
  return {static_cast<const char*>(data), length};
}

napi_value propertyOf(napi_env env, napi_value object, const char* name) {
  napi_value value = nullptr;
  if (napi_get_named_property(env, object, name, &value) != napi_ok) return undefined(env);
  return value;
}

std::vector<std::string> textsOf(napi_env env, napi_value array) {
  std::uint32_t length = 0;
  napi_get_array_length(env, array, &length);
  std::vector<std::string> texts;
  for (std::uint32_t i = 0; i < length; ++i) {
    napi_value each = nullptr;
    napi_get_element(env, array, i, &each);
    texts.push_back(textOf(env, each));
  }
  return texts;
}

std::optional<call::Payload> payloadOf(napi_env env, napi_value value) {
  if (typeOf(env, value) == napi_string) {
    return call::Payload{call::Encoding::Json, textOf(env, value)};
  }
  if (isNothing(env, value)) return std::nullopt;
  return call::Payload{call::Encoding::Cbor, std::string(bytesOf(env, value))};
}

std::optional<sql::Value> sqlValueOf(napi_env env, napi_value value) {
  switch (typeOf(env, value)) {
    case napi_undefined:
    case napi_null:
      return sql::Value();
    case napi_boolean:
      return sql::Value(boolOf(env, value) ? 1 : 0);
    case napi_string:
      return sql::Value(textOf(env, value));
    case napi_number: {
      double number = 0;
      napi_get_value_double(env, value, &number);
      const bool isInteger = std::trunc(number) == number && std::abs(number) <= kSafeInteger;
      if (isInteger && !(number == 0 && std::signbit(number))) {
        return sql::Value(static_cast<std::int64_t>(number));
      }
      return sql::Value(number);
    }
    case napi_bigint: {
      std::int64_t number = 0;
      bool isExact = false;
      napi_get_value_bigint_int64(env, value, &number, &isExact);
      if (isExact) return sql::Value(number);
      throwTypeError(env, "a BigInt parameter has at most 64 bits, with its sign");
      return std::nullopt;
    }
    default:
      break;
  }
  bool isView = false;
  napi_is_typedarray(env, value, &isView);
  if (isView) {
    const std::string_view bytes = bytesOf(env, value);
    if (bytes.data() != nullptr || bytes.empty()) {
      const ByteView view = asBytes(bytes);
      return sql::Value(Bytes(view.begin(), view.end()));
    }
  }
  throwTypeError(env,
                 "a statement's parameter is a number, bigint, string, boolean, Uint8Array, null "
                 "or undefined; anything else must be made one of these first");
  return std::nullopt;
}

call::Failure failureOf(napi_env env, napi_value value) {
  return call::Failure::named(textOf(env, propertyOf(env, value, "group")),
                              textOf(env, propertyOf(env, value, "code")),
                              textOf(env, propertyOf(env, value, "message")),
                              textOf(env, propertyOf(env, value, "metadata")));
}

void throwTypeError(napi_env env, const std::string& message) {
  napi_throw_type_error(env, "skep.invalid", message.c_str());
}

}  // namespace skep::node
