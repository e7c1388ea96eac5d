// Values as they are stored: CBOR, through their codecs. And what the runtime answers, as exceptions.

#pragma once

#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "skep/api/codec.h"
#include "skep/api/errors.h"
#include "skep/base/bytes.h"
#include "skep/call/router.h"

namespace skep::api {

[[noreturn]] void throwError(const Error& error);

/// The value of an outcome; its failure as an ActorError.
template <class T>
T unwrap(call::Outcome<T> outcome) {
  if (auto* failure = std::get_if<call::Failure>(&outcome)) throw ActorError(std::move(*failure));
  return std::get<T>(std::move(outcome));
}
template <class T>
T unwrap(Result<T> result) {
  if (!result) throwError(result.error());
  return std::move(result).value();
}
inline void unwrap(Status status) {
  if (!status) throwError(status.error());
}

/// What a value is stored as: text for whatever is text.
template <class T>
using Stored = std::conditional_t<std::is_convertible_v<const T&, std::string_view>, std::string,
                                  std::decay_t<const T>>;

template <class T>
Value toValue(const T& value) {
  return Codec<Stored<T>>::encode(Stored<T>(value));
}

Bytes toStored(const Value& value);
/// InvalidValue when it is no CBOR.
Value fromStored(ByteView bytes);

template <class T>
T fromStoredAs(ByteView bytes, std::string_view what) {
  return Codec<T>::decode(fromStored(bytes), Place(what));
}

}  // namespace skep::api
