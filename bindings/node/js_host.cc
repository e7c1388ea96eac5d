#include "js_host.h"

#include "js_values.h"
#include "skep/base/check.h"

namespace skep::node {
namespace {

constexpr const char* kNames[] = {"dispatch", "abort",   "takeState", "restoreState",
                                  "forget",   "message", "closed"};

}  // namespace

bool JsHost::areCallbacks(napi_env env, napi_value callbacks) {
  if (isNothing(env, callbacks)) return false;
  for (const char* name : kNames) {
    napi_valuetype type = napi_undefined;
    napi_typeof(env, propertyOf(env, callbacks, name), &type);
    if (type != napi_function) return false;
  }
  return true;
}

JsHost::JsHost(NodeLoop& node, napi_value callbacks) : node_(node) {
  napi_env env = node_.env();
  for (std::size_t i = 0; i < std::size(kNames); ++i) {
    napi_create_reference(env, propertyOf(env, callbacks, kNames[i]), 1, &callbacks_[i]);
  }
}

JsHost::~JsHost() {
  for (napi_ref each : callbacks_) napi_delete_reference(node_.env(), each);
}

napi_value JsHost::invoke(Callback callback, std::size_t count, const napi_value* arguments) {
  napi_env env = node_.env();
  napi_value function = nullptr;
  napi_value result = nullptr;
  napi_get_reference_value(env, callbacks_[callback], &function);
  const napi_status status =
      napi_call_function(env, undefined(env), function, count, arguments, &result);
  if (status == napi_ok) return result;
  // These functions do not throw: whatever comes is a bug there, and the process says so.
  napi_value thrown = nullptr;
  napi_get_and_clear_last_exception(env, &thrown);
  napi_fatal_exception(env, thrown);
  return undefined(env);
}

void JsHost::dispatch(const Dispatch& what, std::uint32_t run, std::uint32_t actor,
                      std::int32_t type, const std::vector<std::string>* key) {
  if (node_.isEnded()) return;
  napi_env env = node_.env();
  napi_value headers = undefined(env);
  if (what.headers != nullptr) {
    napi_create_object(env, &headers);
    for (const auto& [name, value] : *what.headers) {
      setProperty(env, headers, name.c_str(), toJs(env, std::string_view(value)));
    }
  }
  const napi_value arguments[] = {
      toJs(env, static_cast<std::int64_t>(what.kind)),
      toJs(env, static_cast<std::int64_t>(run)),
      toJs(env, static_cast<std::int64_t>(actor)),
      toJs(env, static_cast<std::int64_t>(type)),
      key != nullptr ? toJs(env, *key) : undefined(env),
      toJs(env, std::string_view(what.name)),
      what.payload ? toJs(env, *what.payload) : undefined(env),
      toJs(env, static_cast<std::int64_t>(what.replyEncoding)),
      what.connection != nullptr ? toJs(env, what.connection) : undefined(env),
      headers,
  };
  invoke(OnDispatch, std::size(arguments), arguments);
}

void JsHost::abort(std::uint32_t run, bool isTimeout) {
  if (node_.isEnded()) return;
  napi_env env = node_.env();
  const napi_value arguments[] = {toJs(env, static_cast<std::int64_t>(run)), toJs(env, isTimeout)};
  invoke(OnAbort, 2, arguments);
}

std::optional<std::string> JsHost::takeState(std::uint32_t actor) {
  if (node_.isEnded()) return std::nullopt;
  napi_env env = node_.env();
  const napi_value argument = toJs(env, static_cast<std::int64_t>(actor));
  const napi_value state = invoke(OnTakeState, 1, &argument);
  if (isNothing(env, state)) return std::nullopt;
  return std::string(bytesOf(env, state));
}

void JsHost::restoreState(std::uint32_t actor, const std::string& state) {
  if (node_.isEnded()) return;
  napi_env env = node_.env();
  const napi_value arguments[] = {toJs(env, static_cast<std::int64_t>(actor)),
                                  state.empty() ? undefined(env) : bytesToJs(env, state)};
  invoke(OnRestoreState, 2, arguments);
}

void JsHost::forget(std::uint32_t actor) {
  if (node_.isEnded()) return;
  const napi_value argument = toJs(node_.env(), static_cast<std::int64_t>(actor));
  invoke(OnForget, 1, &argument);
}

void JsHost::message(std::uint32_t run, const call::WebSocketMessage& message) {
  if (node_.isEnded()) return;
  napi_env env = node_.env();
  const bool isText = message.kind == call::WebSocketMessage::Kind::Text;
  const napi_value arguments[] = {
      toJs(env, static_cast<std::int64_t>(run)),
      isText ? toJs(env, std::string_view(message.bytes)) : bytesToJs(env, message.bytes)};
  invoke(OnMessage, 2, arguments);
}

void JsHost::closed(std::uint32_t run, const call::WebSocketClose& ending) {
  if (node_.isEnded()) return;
  napi_env env = node_.env();
  const napi_value arguments[] = {toJs(env, static_cast<std::int64_t>(run)),
                                  toJs(env, static_cast<std::int64_t>(ending.code)),
                                  toJs(env, std::string_view(ending.reason))};
  invoke(OnClosed, 3, arguments);
}

napi_value toJs(napi_env env, const actor::ConnectionPtr& connection) {
  napi_value object = nullptr;
  napi_create_object(env, &object);
  setProperty(env, object, "id", toJs(env, std::string_view(connection->id())));
  setProperty(env, object, "params", toJs(env, connection->parameters()));
  setProperty(env, object, "state", bytesToJs(env, connection->state()));
  const std::set<std::string>& tags = connection->tags();
  setProperty(env, object, "tags", toJs(env, std::vector<std::string>(tags.begin(), tags.end())));
  setProperty(env, object, "open",
              toJs(env, connection->phase() != actor::Connection::Phase::Closed));
  return object;
}

}  // namespace skep::node
