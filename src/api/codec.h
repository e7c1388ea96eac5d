// Codec: C++ values to and from JSON and CBOR (RFC 8259, RFC 8949).
//
//   bool, integers, floating point    the same; an integer that does not fit is an error
//   std::string                       text, UTF-8
//   skep::Bytes                       CBOR: a byte string; JSON: base64 text (RFC 4648 section 4)
//   std::vector, std::array           array
//   std::map<std::string, T>          object
//   std::optional<T>                  the value or null; a field may be left out
//   std::tuple, std::pair             array
//   plain structs                     object, by the names of the fields; unknown fields are an error
//   skep::Value                       anything
//
// A value that does not fit throws InvalidValue, which says where ("arguments[0].sender: expected a
// string, got a number"). Any thread.

#pragma once

#include <array>
#include <concepts>
#include <cstdint>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "skep/api/reflect.h"
#include "skep/base/bytes.h"
#include "skep/call/router.h"

namespace skep {

/// Any JSON value, and bytes.
using Value = nlohmann::json;

/// A value that is not what it should be.
class InvalidValue : public std::runtime_error {
 public:
  InvalidValue(const std::string& where, const std::string& what);
};

}  // namespace skep

namespace skep::api {

/// InvalidValue when the bytes are no JSON or CBOR.
Value parse(const call::Payload& payload);
/// The same of what a client sends: text in it has to be UTF-8, which CBOR by itself does not see to.
Value parseFromCaller(const call::Payload& payload);
call::Payload format(const Value& value, call::Encoding encoding);

/// Fields of objects that the C++ type has not.
enum class UnknownFields : std::uint8_t { AreErrors, Ignored };

/// Where a value stands in what came in, for messages; linked to the place around it.
class Place {
 public:
  explicit Place(std::string_view root, UnknownFields unknown = UnknownFields::AreErrors)
      : name_(root), unknown_(unknown) {}
  Place(const Place& outer, std::string_view field)
      : outer_(&outer), name_(field), unknown_(outer.unknown_) {}
  Place(const Place& outer, std::size_t index)
      : outer_(&outer), index_(index), isIndex_(true), unknown_(outer.unknown_) {}
  UnknownFields unknownFields() const { return unknown_; }
  std::string text() const;
  [[noreturn]] void expected(std::string_view what, const Value& got) const;
  [[noreturn]] void fail(const std::string& what) const;

 private:
  const Place* outer_ = nullptr;
  std::string_view name_;
  std::size_t index_ = 0;
  bool isIndex_ = false;
  UnknownFields unknown_;
};

Value encodeBytes(ByteView bytes);
Bytes decodeBytes(const Value& value, const Place& place);

template <class T>
struct Codec {
  // A compile error that a person can understand.
  static_assert(
      PlainStruct<T>,
      "Skep cannot send values of this type: use numbers, bool, std::string, skep::Bytes, "
      "std::vector, std::array, std::map<std::string, …>, std::optional, std::tuple, or a "
      "plain struct (public fields, no constructors, no base classes) of those");

  static Value encode(const T& object) {
    Value value = Value::object();
    forEachField(object, [&](std::string_view name, const auto& field) {
      value[std::string(name)] = Codec<std::remove_cvref_t<decltype(field)>>::encode(field);
    });
    return value;
  }
  static T decode(const Value& value, const Place& place) {
    if (!value.is_object()) place.expected("an object", value);
    T object{};
    std::size_t known = 0;
    forEachField(object, [&](std::string_view name, auto& field) {
      using Field = std::remove_cvref_t<decltype(field)>;
      const Place inner(place, name);
      const auto found = value.find(name);
      if (found != value.end()) ++known;
      field = Codec<Field>::decodeField(found == value.end() ? nullptr : &*found, inner);
    });
    if (known != value.size() && place.unknownFields() == UnknownFields::AreErrors) {
      rejectUnknown(value, place);
    }
    return object;
  }
  static T decodeField(const Value* value, const Place& place) {
    if (value == nullptr) place.fail("is missing");
    return decode(*value, place);
  }

 private:
  [[noreturn]] static void rejectUnknown(const Value& value, const Place& place) {
    for (const auto& [name, ignored] : value.items()) {
      bool isKnown = false;
      for (std::string_view field : fieldNamesOf<T>) isKnown = isKnown || field == name;
      if (!isKnown) Place(place, name).fail("is no field that is known here");
    }
    place.fail("has unknown fields");
  }
};

/// What the codecs of single values share: a field must be there.
template <class T>
struct RequiredField {
  static T decodeField(const Value* value, const Place& place) {
    if (value == nullptr) place.fail("is missing");
    return Codec<T>::decode(*value, place);
  }
};

template <>
struct Codec<bool> : RequiredField<bool> {
  static Value encode(bool v) { return v; }
  static bool decode(const Value& value, const Place& place) {
    if (!value.is_boolean()) place.expected("true or false", value);
    return value.get<bool>();
  }
};

template <std::integral T>
struct Codec<T> : RequiredField<T> {
  static Value encode(T v) { return v; }
  static T decode(const Value& value, const Place& place) {
    if (value.is_number_unsigned()) return checked(value.get<std::uint64_t>(), place);
    if (value.is_number_integer()) return checked(value.get<std::int64_t>(), place);
    // JavaScript has one kind of number: 5.0 is 5.
    if (value.is_number_float()) {
      const double number = value.get<double>();
      constexpr double kExact = 9007199254740992.0;  // 2^53
      if (number >= -kExact && number <= kExact) {
        const auto integer = static_cast<std::int64_t>(number);
        if (static_cast<double>(integer) == number) return checked(integer, place);
      }
    }
    place.expected("an integer", value);
  }

 private:
  template <class Wide>
  static T checked(Wide number, const Place& place) {
    if (!std::in_range<T>(number)) {
      place.fail("is " + std::to_string(number) + ", outside of " +
                 std::to_string(std::numeric_limits<T>::min()) + " to " +
                 std::to_string(std::numeric_limits<T>::max()));
    }
    return static_cast<T>(number);
  }
};

template <std::floating_point T>
struct Codec<T> : RequiredField<T> {
  static Value encode(T v) { return v; }
  static T decode(const Value& value, const Place& place) {
    if (!value.is_number()) place.expected("a number", value);
    return value.get<T>();
  }
};

template <>
struct Codec<std::string> : RequiredField<std::string> {
  static Value encode(const std::string& v) { return v; }
  static std::string decode(const Value& value, const Place& place) {
    if (!value.is_string()) place.expected("a string", value);
    return value.get<std::string>();
  }
};

template <>
struct Codec<Bytes> : RequiredField<Bytes> {
  static Value encode(const Bytes& v) { return encodeBytes(v); }
  static Bytes decode(const Value& value, const Place& place) { return decodeBytes(value, place); }
};

template <>
struct Codec<Value> : RequiredField<Value> {
  static Value encode(const Value& v) { return v; }
  static Value decode(const Value& value, const Place&) { return value; }
};

template <class T>
struct Codec<std::optional<T>> {
  static Value encode(const std::optional<T>& v) { return v ? Codec<T>::encode(*v) : Value(); }
  static std::optional<T> decode(const Value& value, const Place& place) {
    if (value.is_null()) return std::nullopt;
    return Codec<T>::decode(value, place);
  }
  static std::optional<T> decodeField(const Value* value, const Place& place) {
    return value == nullptr ? std::nullopt : decode(*value, place);
  }
};

template <class T>
struct Codec<std::vector<T>> : RequiredField<std::vector<T>> {
  static Value encode(const std::vector<T>& v) {
    Value value = Value::array();
    for (const auto& each : v) value.push_back(Codec<T>::encode(each));
    return value;
  }
  static std::vector<T> decode(const Value& value, const Place& place) {
    if (!value.is_array()) place.expected("an array", value);
    std::vector<T> v;
    v.reserve(value.size());
    for (std::size_t i = 0; i < value.size(); ++i) {
      v.push_back(Codec<T>::decode(value[i], Place(place, i)));
    }
    return v;
  }
};

template <class T, std::size_t count>
struct Codec<std::array<T, count>> : RequiredField<std::array<T, count>> {
  static Value encode(const std::array<T, count>& v) {
    Value value = Value::array();
    for (const T& each : v) value.push_back(Codec<T>::encode(each));
    return value;
  }
  static std::array<T, count> decode(const Value& value, const Place& place) {
    if (!value.is_array() || value.size() != count) {
      place.expected("an array of " + std::to_string(count), value);
    }
    std::array<T, count> v{};
    for (std::size_t i = 0; i < count; ++i) v[i] = Codec<T>::decode(value[i], Place(place, i));
    return v;
  }
};

template <class T>
struct Codec<std::map<std::string, T>> : RequiredField<std::map<std::string, T>> {
  static Value encode(const std::map<std::string, T>& v) {
    Value value = Value::object();
    for (const auto& [name, each] : v) value[name] = Codec<T>::encode(each);
    return value;
  }
  static std::map<std::string, T> decode(const Value& value, const Place& place) {
    if (!value.is_object()) place.expected("an object", value);
    std::map<std::string, T> v;
    for (const auto& [name, each] : value.items()) {
      v.emplace(name, Codec<T>::decode(each, Place(place, name)));
    }
    return v;
  }
};

template <class... T>
struct Codec<std::tuple<T...>> : RequiredField<std::tuple<T...>> {
  static Value encode(const std::tuple<T...>& v) {
    return std::apply([](const T&... each) { return Value::array({Codec<T>::encode(each)...}); },
                      v);
  }
  static std::tuple<T...> decode(const Value& value, const Place& place) {
    if (!value.is_array() || value.size() != sizeof...(T)) {
      place.expected("an array of " + std::to_string(sizeof...(T)), value);
    }
    return decodeAll(value, place, std::index_sequence_for<T...>());
  }

 private:
  template <std::size_t... index>
  static std::tuple<T...> decodeAll(const Value& value, const Place& place,
                                    std::index_sequence<index...>) {
    return std::tuple<T...>{Codec<T>::decode(value[index], Place(place, index))...};
  }
};

template <class A, class B>
struct Codec<std::pair<A, B>> : RequiredField<std::pair<A, B>> {
  static Value encode(const std::pair<A, B>& v) {
    return Value::array({Codec<A>::encode(v.first), Codec<B>::encode(v.second)});
  }
  static std::pair<A, B> decode(const Value& value, const Place& place) {
    if (!value.is_array() || value.size() != 2) place.expected("an array of 2", value);
    return {Codec<A>::decode(value[0], Place(place, std::size_t{0})),
            Codec<B>::decode(value[1], Place(place, std::size_t{1}))};
  }
};

}  // namespace skep::api
