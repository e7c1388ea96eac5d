#include "skep/api/connection.h"

#include <boost/core/demangle.hpp>
#include <stdexcept>

#include "skep/api/context.h"
#include "skep/api/definition.h"

namespace skep {
namespace {

std::string nameOf(std::type_index type) {
  return "'" + boost::core::demangle(type.name()) + "'";
}

void checkStateType(const api::ActorParts& parts, std::type_index given) {
  if (!parts.connectionState) {
    throw std::logic_error(
        "connections of this actor type have no state: declare createConnectionState()");
  }
  if (*parts.connectionState == given) return;
  throw std::logic_error("the state of a connection is " + nameOf(*parts.connectionState) +
                         " here, not " + nameOf(given));
}

void checkDone(const Status& done) {
  if (!done) api::throwError(done.error());
}

}  // namespace

namespace api {

std::string encodeEvent(const ActorParts& parts, std::string_view event, const Value& value,
                        std::type_index given) {
  const auto declared = parts.events.find(event);
  if (declared == parts.events.end()) {
    std::string names;
    for (const auto& [name, type] : parts.events) {
      names += (names.empty() ? "" : ", ") + ("'" + name + "'");
    }
    throw std::logic_error("no event named '" + std::string(event) +
                           "' is declared; declared are: " + (names.empty() ? "none" : names));
  }
  if (declared->second.type != given) {
    // Another type is good enough when it looks the same once encoded: 5 for an event of int64_t.
    try {
      declared->second.check(value);
    } catch (const InvalidValue& wrong) {
      throw std::logic_error("event '" + std::string(event) + "' carries " +
                             nameOf(declared->second.type) + ", not " + nameOf(given) + ": " +
                             wrong.what());
    }
  }
  return format(value, call::Encoding::Cbor).bytes;
}

Value parseClaims(const call::Claims* claims) {
  if (claims != nullptr) return parse(*claims);
  throw ActorError(call::Failure(call::FailureCode::TokenMissing, "a token is needed here"));
}

void throwLackingClaims(const InvalidValue& lack) {
  throw ActorError(call::Failure(call::FailureCode::Forbidden, lack.what()));
}

}  // namespace api

std::optional<std::string> Visitor::header(std::string_view name) const {
  if (headers_ == nullptr && !gathered_) {
    gathered_ = head_ == nullptr ? call::Headers() : head_->fields();
  }
  for (const auto& [key, value] : headers_ == nullptr ? *gathered_ : *headers_) {
    if (key == name) return value;
  }
  return std::nullopt;
}

Value Visitor::parameterValue() const {
  if (parameters_ != nullptr) return api::parseFromCaller(*parameters_);
  auto text = header("x-skep-params");
  if (!text) return Value();
  return api::parse({.encoding = call::Encoding::Json, .bytes = *std::move(text)});
}

Value Connection::stateValue(std::type_index type) const {
  checkStateType(*parts_, type);
  return api::parse({.encoding = call::Encoding::Cbor, .bytes = connection_->state()});
}

void Connection::setStateValue(std::type_index type, const Value& state) {
  checkStateType(*parts_, type);
  checkDone(invocation_->setState(connection_, api::format(state, call::Encoding::Cbor).bytes));
}

void Connection::addTag(std::string tag) {
  std::set<std::string> tags = connection_->tags();
  if (tags.insert(std::move(tag)).second) {
    checkDone(invocation_->setTags(connection_, std::move(tags)));
  }
}

void Connection::removeTag(const std::string& tag) {
  std::set<std::string> tags = connection_->tags();
  if (tags.erase(tag) != 0) checkDone(invocation_->setTags(connection_, std::move(tags)));
}

void Connection::sendEncoded(std::string_view event, std::string value) {
  checkDone(invocation_->send(connection_, event, std::move(value)));
}

void Connection::disconnect(const std::string& reason) {
  checkDone(invocation_->disconnect(connection_, reason));
}

// ---- Context

std::optional<Connection> Context::connection() const {
  if (invocation_.connection() == nullptr) return std::nullopt;
  return Connection(invocation_, parts_, invocation_.connection());
}

std::vector<Connection> Context::connections() const {
  std::vector<Connection> all;
  for (actor::ConnectionPtr& each : invocation_.connections()) {
    all.emplace_back(invocation_, parts_, std::move(each));
  }
  return all;
}

void Context::broadcastEncoded(std::string_view event, std::string value, std::string except) {
  checkDone(invocation_.broadcast(event, std::move(value), std::move(except)));
}

void Context::sendTaggedEncoded(const std::string& tag, std::string_view event,
                                const std::string& value) {
  for (const actor::ConnectionPtr& each : invocation_.connections()) {
    if (each->tags().contains(tag)) checkDone(invocation_.send(each, event, value));
  }
}

}  // namespace skep
