#include "skep/api/codec.h"

#include <openssl/evp.h>

#include <algorithm>
#include <span>

#include "skep/base/base64.h"
#include "skep/base/raw_value.h"
#include "skep/base/utf8.h"

namespace skep {

InvalidValue::InvalidValue(const std::string& where, const std::string& what)
    : std::runtime_error(where + ": " + what) {}

}  // namespace skep

namespace skep::api {
namespace {

std::string_view kindOf(const Value& value) {
  switch (value.type()) {
    case Value::value_t::null:
      return "null";
    case Value::value_t::object:
      return "an object";
    case Value::value_t::array:
      return "an array";
    case Value::value_t::string:
      return "a string";
    case Value::value_t::boolean:
      return "true or false";
    case Value::value_t::binary:
      return "bytes";
    default:
      return "a number";
  }
}

}  // namespace

Value parse(const call::Payload& payload) {
  // Nothing that follows should recurse as deep as a caller likes: it runs on a fiber's stack.
  std::string_view rest = payload.bytes;
  const bool isCbor = payload.encoding == call::Encoding::Cbor;
  const bool isShallow = (isCbor ? takeRawCbor(rest) : takeRawJson(rest)).has_value();
  const std::string depth = "deeper than " + std::to_string(kNestingMax);
  if (isCbor && !isShallow) {
    throw InvalidValue("CBOR", "is no whole value, or one that is nested " + depth);
  }
  try {
    if (isCbor) return Value::from_cbor(payload.bytes);
    Value value = Value::parse(payload.bytes);
    if (!isShallow) throw InvalidValue("JSON", "is nested " + depth);
    return value;
  } catch (const Value::exception& problem) {
    throw InvalidValue(isCbor ? "CBOR" : "JSON", problem.what());
  }
}

namespace {

bool isText(const Value& value) {
  if (value.is_string()) return isValidUtf8(value.get_ref<const std::string&>());
  if (value.is_array()) return std::all_of(value.begin(), value.end(), isText);
  if (!value.is_object()) return true;
  const auto& object = value.get_ref<const Value::object_t&>();
  return std::all_of(object.begin(), object.end(), [](const auto& each) {
    return isValidUtf8(each.first) && isText(each.second);
  });
}

bool hasBytes(const Value& value) {
  if (value.is_binary()) return true;
  if (!value.is_structured()) return false;
  return std::any_of(value.begin(), value.end(), hasBytes);
}

/// JSON has no bytes: they become base64 text.
Value withText(const Value& value) {
  if (value.is_binary()) return encodeBase64(std::as_bytes(std::span(value.get_binary())));
  Value copy = value;
  if (value.is_structured()) {
    for (auto& each : copy) each = withText(each);
  }
  return copy;
}

}  // namespace

Value parseFromCaller(const call::Payload& payload) {
  Value value = parse(payload);
  if (payload.encoding == call::Encoding::Cbor && !isText(value)) {
    throw InvalidValue("CBOR", "has text that is no UTF-8");
  }
  return value;
}

call::Payload format(const Value& value, call::Encoding encoding) {
  call::Payload payload{.encoding = encoding};
  if (encoding == call::Encoding::Cbor) {
    Value::to_cbor(value, payload.bytes);
  } else {
    const auto dump = [](const Value& each) {
      return each.dump(-1, ' ', false, Value::error_handler_t::replace);
    };
    payload.bytes = hasBytes(value) ? dump(withText(value)) : dump(value);
  }
  return payload;
}

Value encodeBytes(ByteView bytes) {
  const auto* data = reinterpret_cast<const std::uint8_t*>(bytes.data());
  return Value::binary(std::vector<std::uint8_t>(data, data + bytes.size()));
}

Bytes decodeBytes(const Value& value, const Place& place) {
  if (value.is_binary()) return toBytes(std::as_bytes(std::span(value.get_binary())));
  if (!value.is_string()) place.expected("bytes (base64 text)", value);
  const auto& text = value.get_ref<const std::string&>();
  // OpenSSL's decoder counts padding as bytes, and skips white space at the ends.
  Bytes bytes(text.size() / 4 * 3);
  const int decoded = text.size() % 4 != 0
                          ? -1
                          : EVP_DecodeBlock(reinterpret_cast<unsigned char*>(bytes.data()),
                                            reinterpret_cast<const unsigned char*>(text.data()),
                                            static_cast<int>(text.size()));
  if (decoded != static_cast<int>(bytes.size())) place.fail("is no base64 text");
  const std::size_t padding = text.ends_with("==") ? 2 : text.ends_with("=") ? 1 : 0;
  bytes.resize(bytes.size() - padding);
  return bytes;
}

std::string Place::text() const {
  if (outer_ == nullptr) return std::string(name_);
  return isIndex_ ? outer_->text() + "[" + std::to_string(index_) + "]"
                  : outer_->text() + "." + std::string(name_);
}

void Place::expected(std::string_view what, const Value& got) const {
  fail("expected " + std::string(what) + ", got " + std::string(kindOf(got)));
}

void Place::fail(const std::string& what) const {
  throw InvalidValue(text(), what);
}

}  // namespace skep::api
