// Connection: one client that stays connected to the actor. Visitor: one that asks to be let in, to connect
// or for one call.
//
// What is sent, and disconnect(), leaves with the turn: once that is durable, in the order in which it
// was said; nothing of a turn that is rolled back. The same holds for state and tags. Both outlive
// the actor's sleep, and end with the connection.
//
//   for (skep::Connection& other : c.connections()) {
//     if (other.state<Member>().name == name) other.send("whisper", text);
//   }
//
// A Connection is valid as long as the Context that gave it, also when the client has gone: then nobody
// gets what is sent.

#pragma once

#include <functional>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <type_traits>
#include <typeindex>
#include <typeinfo>
#include <utility>

#include "skep/actor/connection.h"
#include "skep/actor/connection_options.h"
#include "skep/actor/invocation.h"
#include "skep/api/codec.h"
#include "skep/api/errors.h"

namespace skep {

using actor::EventOptions;

namespace api {

/// An event as the Definition declares it.
struct EventType {
  std::type_index type;
  actor::EventOptions options;
  /// InvalidValue when a value that was encoded from another type does not fit.
  std::function<void(const Value&)> check;
};

struct ActorParts;

/// What travels for a value: text literals are strings.
template <class T>
using Sent = std::conditional_t<std::is_convertible_v<const T&, std::string_view>, std::string,
                                std::decay_t<T>>;

/// A value of an event, checked against its declaration and encoded. std::logic_error when no event is
/// declared by that name, or with another type.
std::string encodeEvent(const ActorParts& parts, std::string_view event, const Value& value,
                        std::type_index given);
template <class T>
std::string encodeEvent(const ActorParts& parts, std::string_view event, const T& value) {
  return encodeEvent(parts, event, Codec<Sent<T>>::encode(value), typeid(Sent<T>));
}

[[noreturn]] void throwError(const Error& error);

/// Decodes what a caller sent: what is wrong with it is the caller's error, not the actor's.
template <class Decode>
auto fromCaller(Decode decode) {
  try {
    return decode();
  } catch (const InvalidValue& wrong) {
    throw ActorError(call::Failure(call::FailureCode::InvalidArguments, wrong.what()));
  }
}

/// The claims as a value; throws what Visitor::claims() says.
Value parseClaims(const call::Claims* claims);
[[noreturn]] void throwLackingClaims(const InvalidValue& lack);
template <class T>
T decodeClaims(const call::Claims* claims) {
  const Value value = parseClaims(claims);
  try {
    return Codec<T>::decode(value, Place("token", UnknownFields::Ignored));
  } catch (const InvalidValue& lack) {
    throwLackingClaims(lack);
  }
}

}  // namespace api

class Visitor {
 public:
  Visitor(const call::ConnectRequest& request, const call::Payload& parameters)
      : headers_(&request.headers), parameters_(&parameters), claims_(&request.claims) {}
  explicit Visitor(const call::Visit& visit) : head_(visit.head), claims_(&visit.claims) {}

  /// Whether the client wants to connect; else it calls an action, or asks for something else, once.
  bool wantsConnection() const { return parameters_ != nullptr; }
  /// What the client said about itself: when it connects, or in the header X-Skep-Params. null when it said
  /// nothing; `request.invalid_arguments` when it is no T.
  template <class T>
  T parameters() const {
    return api::fromCaller(
        [&] { return api::Codec<T>::decode(parameterValue(), api::Place("parameters")); });
  }
  /// A header of the HTTP request that opened the connection, or asks; `name` in lower case.
  std::optional<std::string> header(std::string_view name) const;

  /// Whether the client showed a token, which was checked.
  bool hasClaims() const { return !claims_->bytes.empty(); }
  /// What the token says: its claims that are fields of T, the others left out.
  /// `access.token_missing` without a token, `request.forbidden` when it lacks some.
  template <class T>
  T claims() const {
    return api::decodeClaims<T>(hasClaims() ? claims_ : nullptr);
  }

 private:
  Value parameterValue() const;

  const call::Headers* headers_ = nullptr;
  const call::RequestHead* head_ = nullptr;
  mutable std::optional<call::Headers> gathered_;  // what head_ has
  const call::Payload* parameters_ = nullptr;
  const call::Claims* claims_;
};

class Connection {
 public:
  Connection(actor::Invocation& invocation, const api::ActorParts& parts,
             actor::ConnectionPtr connection)
      : invocation_(&invocation), parts_(&parts), connection_(std::move(connection)) {}

  /// Unique, and new for each connection: a client that comes back has another.
  const std::string& id() const { return connection_->id(); }
  bool isOpen() const { return connection_->phase() != actor::Connection::Phase::Closed; }
  template <class T>
  T parameters() const {
    return api::fromCaller([&] {
      const Value value = api::parseFromCaller(connection_->parameters());
      return api::Codec<T>::decode(value, api::Place("parameters"));
    });
  }

  /// Of the token with which the client connected; see Visitor::claims(). They stay as they were then.
  bool hasClaims() const { return !connection_->claims().bytes.empty(); }
  template <class T>
  T claims() const {
    return api::decodeClaims<T>(hasClaims() ? &connection_->claims() : nullptr);
  }

  /// What createConnectionState() made, or setState() put there since. std::logic_error for another
  /// type than the declared one.
  template <class S>
  S state() const {
    return api::Codec<S>::decode(stateValue(typeid(S)), api::Place("connection state"));
  }
  template <class S>
  void setState(const S& state) {
    setStateValue(typeid(S), api::Codec<S>::encode(state));
  }

  const std::set<std::string>& tags() const { return connection_->tags(); }
  bool hasTag(const std::string& tag) const { return tags().contains(tag); }
  void addTag(std::string tag);
  void removeTag(const std::string& tag);

  /// Sends an event to this client, whether it subscribes to it or not. Not repeated to a client that
  /// comes back.
  template <class T>
  void send(std::string_view event, const T& value) {
    sendEncoded(event, api::encodeEvent(*parts_, event, value));
  }
  /// Ends the connection; the client learns the reason, and does not come back by itself.
  void disconnect(const std::string& reason);

  friend bool operator==(const Connection& a, const Connection& b) {
    return a.connection_ == b.connection_;
  }

 private:
  friend class Context;
  void sendEncoded(std::string_view event, std::string value);
  Value stateValue(std::type_index type) const;
  void setStateValue(std::type_index type, const Value& state);

  actor::Invocation* invocation_;
  const api::ActorParts* parts_;
  actor::ConnectionPtr connection_;
};

}  // namespace skep
