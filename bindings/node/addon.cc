// The addon's exports: Native of packages/skep/src/native.ts. Each function is a wall: what it is given is
// looked at, and nothing is thrown but JavaScript's own.

#include <node_api.h>

#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "commands.h"
#include "js_actor.h"
#include "js_host.h"
#include "js_values.h"
#include "node_loop.h"
#include "operations.h"
#include "run.h"
#include "runtime.h"
#include "skep/actor/services.h"

namespace skep::node {
namespace {

/// What this thread has: one loop, and at most one runtime.
struct Instance {
  NodeLoop* node = nullptr;
  std::shared_ptr<JsHost> host;  // shared with the actors
  Runtime* runtime = nullptr;    // deletes itself when it has stopped
  std::vector<actor::KeepAwake> awake;
  std::vector<std::size_t> freeTokens;
};

Instance& instance() {
  thread_local Instance all;
  return all;
}

template <std::size_t kCount>
struct Arguments {
  Arguments(napi_env env, napi_callback_info info) {
    std::size_t count = kCount;
    napi_get_cb_info(env, info, &count, values, nullptr, nullptr);
  }
  napi_value operator[](std::size_t i) const { return values[i]; }
  napi_value values[kCount] = {};
};

/// The run that the first argument names. Null: it is over, and that was thrown.
Run* runOf(napi_env env, napi_value id) {
  Run* const run = Run::find(static_cast<Run::Id>(integerOf(env, id)));
  if (run == nullptr) {
    napi_throw(env, toJs(env, call::Failure(call::FailureCode::ActorStopped,
                                            "this call of the actor is over: its database, "
                                            "connections and queues are not to be used any more")));
  }
  return run;
}

// ---- Starting

std::size_t sizeOf(napi_env env, napi_value object, const char* name, std::size_t otherwise) {
  const napi_value value = propertyOf(env, object, name);
  return isNothing(env, value) ? otherwise : static_cast<std::size_t>(integerOf(env, value));
}

Duration durationOf(napi_env env, napi_value object, const char* name, Duration otherwise) {
  const napi_value value = propertyOf(env, object, name);
  if (isNothing(env, value)) return otherwise;
  return std::chrono::milliseconds(integerOf(env, value));
}

template <class Function>
void forEach(napi_env env, napi_value array, Function function) {
  std::uint32_t length = 0;
  napi_get_array_length(env, array, &length);
  for (std::uint32_t i = 0; i < length; ++i) {
    napi_value each = nullptr;
    napi_get_element(env, array, i, &each);
    function(each);
  }
}

actor::ActorOptions optionsOf(napi_env env, napi_value object) {
  actor::ActorOptions options;
  options.sleepAfter = durationOf(env, object, "sleepAfterMs", options.sleepAfter);
  options.actionTimeout = durationOf(env, object, "actionTimeoutMs", options.actionTimeout);
  options.hookTimeout = durationOf(env, object, "hookTimeoutMs", options.hookTimeout);
  if (boolOf(env, propertyOf(env, object, "oneAtATime"))) {
    options.concurrency = actor::Concurrency::OneAtATime;
  }
  options.connections.keepAwake = boolOf(env, propertyOf(env, object, "keepAwakeWhileConnected"));
  options.limits.databaseBytesMax =
      sizeOf(env, object, "databaseBytesMax", options.limits.databaseBytesMax);
  return options;
}

actor::ActorType typeOf(napi_env env, napi_value object, std::int32_t index,
                        std::shared_ptr<JsHost> host) {
  auto own = std::make_shared<JsType>();
  own->index = index;
  actor::ActorType type;
  type.name = textOf(env, propertyOf(env, object, "name"));
  forEach(env, propertyOf(env, object, "migrations"), [&](napi_value each) {
    type.migrations.push_back({.version = integerOf(env, propertyOf(env, each, "version")),
                               .sql = textOf(env, propertyOf(env, each, "sql"))});
  });
  for (std::string& action : textsOf(env, propertyOf(env, object, "actions"))) {
    own->actions.insert(std::move(action));
  }
  forEach(env, propertyOf(env, object, "queues"), [&](napi_value each) {
    std::string name = textOf(env, propertyOf(env, each, "name"));
    actor::QueueType queue;
    queue.hasHandler = boolOf(env, propertyOf(env, each, "hasHandler"));
    queue.options.messagesMax = sizeOf(env, each, "messagesMax", queue.options.messagesMax);
    queue.options.retry.triesMax = static_cast<int>(
        sizeOf(env, each, "triesMax", static_cast<std::size_t>(queue.options.retry.triesMax)));
    own->queues.insert(name);
    type.queues.emplace(std::move(name), queue);
  });
  forEach(env, propertyOf(env, object, "events"), [&](napi_value each) {
    type.events[textOf(env, propertyOf(env, each, "name"))] = {.history =
                                                                   sizeOf(env, each, "history", 0)};
  });
  type.hasRun = boolOf(env, propertyOf(env, object, "hasRun"));
  type.hasGate = boolOf(env, propertyOf(env, object, "hasGate"));
  type.hasRequestHandler = boolOf(env, propertyOf(env, object, "hasRequestHandler"));
  type.hasOnDisconnect = boolOf(env, propertyOf(env, object, "hasOnDisconnect"));
  type.options = optionsOf(env, propertyOf(env, object, "options"));
  type.makeBehavior = [host = std::move(host), own = std::move(own)] {
    return std::make_unique<JsActor>(host, own);
  };
  return type;
}

server::ServeSettings settingsOf(napi_env env, napi_value object) {
  server::ServeSettings settings;
  settings.store = textOf(env, propertyOf(env, object, "store"));
  settings.listen = textOf(env, propertyOf(env, object, "listen"));
  settings.cacheBytes = sizeOf(env, object, "cacheBytes", settings.cacheBytes);
  settings.threads = sizeOf(env, object, "threads", 1);
  settings.isInsecure = boolOf(env, propertyOf(env, object, "insecure"));
  const auto set = [&](const char* name, std::string& place) {
    const napi_value value = propertyOf(env, object, name);
    if (!isNothing(env, value)) place = textOf(env, value);
  };
  set("pages", settings.pages);
  set("logLevel", settings.logLevel);
  const napi_value origins = propertyOf(env, object, "allowedOrigins");
  if (!isNothing(env, origins)) settings.allowedOrigins = textsOf(env, origins);
  return settings;
}

napi_value start(napi_env env, napi_callback_info info) {
  const Arguments<2> arguments(env, info);
  Instance& all = instance();
  if (all.runtime != nullptr) {
    napi_throw_error(env, "skep.started", "a registry has been started on this thread already");
    return nullptr;
  }
  if (all.node == nullptr) {
    all.node = new NodeLoop(env);
    all.node->setScopeEnd(&Run::scopeEnded);
  }
  all.host = std::make_shared<JsHost>(*all.node, arguments[1]);
  std::vector<actor::ActorType> types;
  forEach(env, propertyOf(env, arguments[0], "types"), [&](napi_value each) {
    types.push_back(typeOf(env, each, static_cast<std::int32_t>(types.size()), all.host));
  });
  all.runtime =
      new Runtime(env, settingsOf(env, arguments[0]), std::move(types), all.host, *all.node);
  return all.runtime->start();
}

napi_value stop(napi_env env, napi_callback_info) {
  Instance& all = instance();
  if (all.runtime == nullptr) {
    napi_throw_error(env, "skep.stopped", "nothing has been started");
    return nullptr;
  }
  all.host.reset();
  return std::exchange(all.runtime, nullptr)->stop();
}

// ---- Runs

napi_value settle(napi_env env, napi_callback_info info) {
  const Arguments<3> arguments(env, info);
  // It may have been given up meanwhile: nobody waits for what it gives.
  Run* const run = Run::find(static_cast<Run::Id>(integerOf(env, arguments[0])));
  if (run == nullptr) return nullptr;
  Settled settled;
  if (!isNothing(env, arguments[1])) settled.failure = failureOf(env, arguments[1]);
  settled.result = payloadOf(env, arguments[2]);
  run->settle(std::move(settled));
  return nullptr;
}

/// Nothing: something was thrown.
std::optional<std::vector<Execute::Parameter>> parametersOf(napi_env env, napi_value value) {
  std::vector<Execute::Parameter> parameters;
  if (isNothing(env, value)) return parameters;
  bool isArray = false;
  napi_is_array(env, value, &isArray);
  napi_value list = value;
  if (!isArray) napi_get_property_names(env, value, &list);
  std::uint32_t length = 0;
  napi_get_array_length(env, list, &length);
  parameters.reserve(length);
  for (std::uint32_t i = 0; i < length; ++i) {
    napi_value each = nullptr;
    napi_get_element(env, list, i, &each);
    std::string name;
    if (!isArray) {
      name = textOf(env, each);
      napi_get_property(env, value, each, &each);
    }
    std::optional<sql::Value> converted = sqlValueOf(env, each);
    if (!converted) return std::nullopt;
    parameters.push_back({std::move(name), *std::move(converted)});
  }
  return parameters;
}

napi_value execute(napi_env env, napi_callback_info info) {
  const Arguments<4> arguments(env, info);
  Run* const run = runOf(env, arguments[0]);
  if (run == nullptr) return nullptr;
  auto parameters = parametersOf(env, arguments[2]);
  if (!parameters) return nullptr;
  auto* operation =
      new Execute(*instance().host, textOf(env, arguments[1]), std::move(*parameters));
  return operation->ask(
      env, *run, boolOf(env, arguments[3]) ? Asked::Form::Blocking : Asked::Form::AtOnceOrPromise);
}

napi_value script(napi_env env, napi_callback_info info) {
  const Arguments<2> arguments(env, info);
  Run* const run = runOf(env, arguments[0]);
  if (run == nullptr) return nullptr;
  return (new Script(textOf(env, arguments[1])))->ask(env, *run);
}

napi_value savepoint(napi_env env, napi_callback_info info) {
  const Arguments<2> arguments(env, info);
  Run* const run = runOf(env, arguments[0]);
  if (run == nullptr) return nullptr;
  const std::string step = textOf(env, arguments[1]);
  auto what = Savepoint::Step::Begin;
  if (step == "release") what = Savepoint::Step::Release;
  if (step == "rollback") what = Savepoint::Step::RollBack;
  return (new Savepoint(*run, what))->ask(env, *run);
}

napi_value broadcast(napi_env env, napi_callback_info info) {
  const Arguments<4> arguments(env, info);
  Run* const run = runOf(env, arguments[0]);
  if (run == nullptr) return nullptr;
  auto operation = std::make_unique<Broadcast>(*run, textOf(env, arguments[1]),
                                               std::string(bytesOf(env, arguments[2])),
                                               textOf(env, arguments[3]));
  run->perform(*operation);
  if (!operation->isDone()) operation.release();  // the run's now
  return nullptr;
}

napi_value connections(napi_env env, napi_callback_info info) {
  const Arguments<1> arguments(env, info);
  Run* const run = runOf(env, arguments[0]);
  if (run == nullptr) return nullptr;
  napi_value array = nullptr;
  napi_create_array(env, &array);
  std::uint32_t i = 0;
  for (const actor::ConnectionPtr& each : run->invocation().connections()) {
    napi_set_element(env, array, i++, toJs(env, each));
  }
  return array;
}

napi_value command(napi_env env, napi_callback_info info) {
  const Arguments<3> arguments(env, info);
  Run* const run = runOf(env, arguments[0]);
  if (run == nullptr) return nullptr;
  auto decoded = nlohmann::json::from_cbor(bytesOf(env, arguments[2]), true, false);
  if (decoded.is_discarded()) {
    throwTypeError(env, "a command's arguments are an array in CBOR");
    return nullptr;
  }
  return (new CommandOperation(*run, integerOf(env, arguments[1]), std::move(decoded)))
      ->ask(env, *run);
}

napi_value keepAwake(napi_env env, napi_callback_info info) {
  const Arguments<1> arguments(env, info);
  Run* const run = runOf(env, arguments[0]);
  if (run == nullptr) return nullptr;
  Instance& all = instance();
  actor::KeepAwake awake = run->invocation().services().background().keepAwake();
  if (all.freeTokens.empty()) {
    all.freeTokens.push_back(all.awake.size());
    all.awake.emplace_back();
  }
  const std::size_t token = all.freeTokens.back();
  all.freeTokens.pop_back();
  all.awake[token] = std::move(awake);
  return toJs(env, static_cast<std::int64_t>(token));
}

napi_value releaseAwake(napi_env env, napi_callback_info info) {
  const Arguments<1> arguments(env, info);
  Instance& all = instance();
  const auto token = static_cast<std::size_t>(integerOf(env, arguments[0], -1));
  if (token >= all.awake.size()) return nullptr;
  all.awake[token] = {};
  all.freeTokens.push_back(token);
  return nullptr;
}

napi_value now(napi_env env, napi_callback_info) {
  return toJs(env, SystemClock().wallMs());
}

napi_value exports(napi_env env, napi_value object) {
  const auto add = [&](const char* name, napi_callback function) {
    napi_value made = nullptr;
    napi_create_function(env, name, NAPI_AUTO_LENGTH, function, nullptr, &made);
    setProperty(env, object, name, made);
  };
  add("start", &start);
  add("stop", &stop);
  add("settle", &settle);
  add("execute", &execute);
  add("script", &script);
  add("savepoint", &savepoint);
  add("broadcast", &broadcast);
  add("connections", &connections);
  add("command", &command);
  add("keepAwake", &keepAwake);
  add("releaseAwake", &releaseAwake);
  add("now", &now);
  return object;
}

}  // namespace
}  // namespace skep::node

NAPI_MODULE_INIT() {
  return skep::node::exports(env, exports);
}
