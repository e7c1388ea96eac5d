// Arguments of actions: any bytes, as JSON and as CBOR, into each kind of type that an action can take. What is
// taken is the same when it has been sent back and taken again.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <string_view>

#include "skep/api/codec.h"
#include "skep/base/check.h"
#include "skep/base/utf8.h"

namespace skep::api {
namespace {

using call::Encoding;
using call::Payload;

struct Point {
  std::int32_t x = 0;
  std::optional<double> y;
};

struct Everything {
  bool isTrue = false;
  std::int8_t small = 0;
  std::uint64_t large = 0;
  float inexact = 0;
  std::string text;
  Bytes bytes;
  std::optional<Point> point;
  std::vector<Point> points;
  std::array<std::uint16_t, 2> two{};
  std::map<std::string, std::int64_t> byName;
  std::pair<std::string, bool> pair;
  Value any;
};

bool isText(const Value& value) {
  if (value.is_string()) return isValidUtf8(value.get_ref<const std::string&>());
  if (!value.is_structured()) return true;
  for (const auto& [name, each] : value.items()) {
    if ((value.is_object() && !isValidUtf8(name)) || !isText(each)) return false;
  }
  return true;
}

/// JSON has no numbers that are not finite.
bool isFinite(const Value& value) {
  if (value.is_number_float()) return std::isfinite(value.get<double>());
  if (!value.is_structured()) return true;
  return std::all_of(value.begin(), value.end(), isFinite);
}

template <class T>
void checkSame(const T& taken, Encoding encoding) {
  const Value encoded = Codec<T>::encode(taken);
  if (encoding == Encoding::Json && !isFinite(encoded)) return;
  const Payload sent = format(encoded, encoding);
  const T again = Codec<T>::decode(parse(sent), Place("again"));
  SKEP_CHECK(format(Codec<T>::encode(again), encoding).bytes == sent.bytes,
             "%s became something else", sent.bytes.c_str());
}

template <class T>
void take(const Value& value, Encoding encoding) {
  for (const UnknownFields unknown : {UnknownFields::AreErrors, UnknownFields::Ignored}) {
    try {
      const T taken = Codec<T>::decode(value, Place("arguments", unknown));
      checkSame(taken, Encoding::Cbor);
      checkSame(taken, Encoding::Json);
    } catch (const InvalidValue& problem) {
      SKEP_CHECK(std::string_view(problem.what()).starts_with("arguments"), "%s: %s",
                 format(value, encoding).bytes.c_str(), problem.what());
    }
  }
}

template <class... T>
void takeEach(const Value& value, Encoding encoding) {
  (take<T>(value, encoding), ...);
  (take<std::tuple<T>>(value, encoding), ...);
  (take<std::vector<T>>(value, encoding), ...);
  take<std::tuple<T...>>(value, encoding);
}

void run(std::string_view bytes, Encoding encoding) {
  Value value;
  try {
    value = parseFromCaller({.encoding = encoding, .bytes = std::string(bytes)});
  } catch (const InvalidValue& problem) {
    SKEP_CHECK(problem.what()[0] != '\0');
    return;
  }
  SKEP_CHECK(isText(value), "text that is no UTF-8 was taken");
  takeEach<bool, std::int8_t, std::uint8_t, std::int64_t, std::uint64_t, float, double, std::string,
           Bytes, Point, Everything, std::optional<std::int32_t>, std::pair<Point, std::string>,
           std::array<double, 3>, std::map<std::string, Value>, Value>(value, encoding);
}

}  // namespace
}  // namespace skep::api

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  skep::api::run(bytes, skep::call::Encoding::Json);
  skep::api::run(bytes, skep::call::Encoding::Cbor);
  return 0;
}
