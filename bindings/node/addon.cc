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
  bool hasRuntime = false;       // until then
  bool isEnding = false;
  napi_async_cleanup_hook_handle hook = nullptr;
  Execute::Space statements;
  napi_ref frameArray = nullptr;  // of statements.rows: there as long as the thread's JavaScript
  std::vector<actor::KeepAwake> awake;
  std::vector<std::size_t> freeTokens;
};

Instance& instance() {
  thread_local Instance all;
  return all;
}

/// The last step of the thread's end: libuv's handles must be closed before its loop is.
void closeLoop() {
  Instance& all = instance();
  all.host.reset();
  std::exchange(all.node, nullptr)->close([] {
    napi_remove_async_cleanup_hook(std::exchange(instance().hook, nullptr));
  });
}

/// The thread's JavaScript ends, with a worker or with the process.
void endThread(napi_async_cleanup_hook_handle, void*) {
  Instance& all = instance();
  all.isEnding = true;
  if (all.node == nullptr) {
    napi_remove_async_cleanup_hook(std::exchange(all.hook, nullptr));
    return;
  }
  all.node->end();
  all.awake.clear();
  Run::abandonAll();
  if (!all.hasRuntime) return closeLoop();
  if (all.runtime != nullptr) std::exchange(all.runtime, nullptr)->end();
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
    queue.isGuarded = boolOf(env, propertyOf(env, each, "isGuarded"));
    own->queues.insert(name);
    type.queues.emplace(std::move(name), queue);
  });
  forEach(env, propertyOf(env, object, "events"), [&](napi_value each) {
    type.events[textOf(env, propertyOf(env, each, "name"))] = {
        .history = sizeOf(env, each, "history", 0),
        .isGuarded = boolOf(env, propertyOf(env, each, "isGuarded"))};
  });
  type.extensions = textsOf(env, propertyOf(env, object, "extensions"));
  type.hasRun = boolOf(env, propertyOf(env, object, "hasRun"));
  type.hasGate = boolOf(env, propertyOf(env, object, "hasGate"));
  type.hasRequestHandler = boolOf(env, propertyOf(env, object, "hasRequestHandler"));
  type.hasSocketHandler = boolOf(env, propertyOf(env, object, "hasSocketHandler"));
  type.hasOnDisconnect = boolOf(env, propertyOf(env, object, "hasOnDisconnect"));
  type.options = optionsOf(env, propertyOf(env, object, "options"));
  type.makeBehavior = [host = std::move(host), own = std::move(own)] {
    return std::make_unique<JsActor>(host, own);
  };
  return type;
}

napi_value start(napi_env env, napi_callback_info info) {
  const Arguments<2> arguments(env, info);
  Instance& all = instance();
  if (all.hasRuntime) {
    napi_throw_error(env, "skep.started", "a registry has been started on this thread already");
    return nullptr;
  }
  server::ServeSettings defaults;
  defaults.threads = 1;  // the core's; actors run on this thread
  auto settings =
      server::readSettings(textsOf(env, propertyOf(env, arguments[0], "settings")), defaults);
  if (!settings) {
    napi_throw(env, errorOf(env, settings.error()));
    return nullptr;
  }
  if (!JsHost::areCallbacks(env, arguments[1])) {
    throwTypeError(env, "a runtime needs the functions that it calls");
    return nullptr;
  }
  if (all.node == nullptr) {
    all.node = new NodeLoop(env);
    all.node->setScopeEnd(&Run::scopeEnded);
  }
  const napi_value time = propertyOf(env, arguments[0], "virtualTimeMs");
  if (isNothing(env, time)) {
    all.node->clock().makeReal();
  } else {
    all.node->clock().makeVirtual(integerOf(env, time));
  }
  all.host = std::make_shared<JsHost>(*all.node, arguments[1]);
  std::vector<actor::ActorType> types;
  forEach(env, propertyOf(env, arguments[0], "types"), [&](napi_value each) {
    types.push_back(typeOf(env, each, static_cast<std::int32_t>(types.size()), all.host));
  });
  all.runtime = new Runtime(env, *std::move(settings), std::move(types), all.host, *all.node);
  all.hasRuntime = true;
  all.runtime->onGone([] {
    Instance& own = instance();
    own.hasRuntime = false;
    if (own.isEnding) closeLoop();
  });
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
std::optional<Execute::Parameters> parametersOf(napi_env env, napi_value value) {
  Execute::Parameters parameters;
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

/// Whether it is text; else a TypeError was thrown. Nothing at all would be a statement without effect.
bool checkSql(napi_env env, napi_value sql) {
  napi_valuetype type = napi_undefined;
  napi_typeof(env, sql, &type);
  if (type == napi_string) return true;
  throwTypeError(env, "SQL is a string");
  return false;
}

napi_value statement(napi_env env, napi_callback_info info) {
  const Arguments<1> arguments(env, info);
  if (!checkSql(env, arguments[0])) return nullptr;
  return toJs(env, std::int64_t{instance().statements.texts.add(textOf(env, arguments[0]))});
}

napi_value columns(napi_env env, napi_callback_info info) {
  const Arguments<1> arguments(env, info);
  const auto found =
      instance().statements.texts.columns(static_cast<std::uint32_t>(integerOf(env, arguments[0])));
  return toJs(env, found == nullptr ? std::vector<std::string>() : found->names);
}

napi_value forgetStatements(napi_env, napi_callback_info) {
  instance().statements.texts.forget();
  return nullptr;
}

/// Null: a TypeError was thrown.
std::shared_ptr<StatementText> statementOf(napi_env env, const StatementTexts& texts,
                                           napi_value number) {
  std::uint32_t index = 0;
  auto found = napi_get_value_uint32(env, number, &index) == napi_ok ? texts.find(index) : nullptr;
  if (found == nullptr) throwTypeError(env, "no statement has this number");
  return found;
}

Asked::Form formOf(napi_env env, napi_value blocks) {
  return boolOf(env, blocks) ? Asked::Form::Blocking : Asked::Form::AtOnceOrPromise;
}

napi_value execute(napi_env env, napi_callback_info info) {
  const Arguments<4> arguments(env, info);
  Run* const run = runOf(env, arguments[0]);
  if (run == nullptr) return nullptr;
  Execute::Space& space = instance().statements;
  auto text = statementOf(env, space.texts, arguments[1]);
  if (text == nullptr) return nullptr;
  auto parameters = parametersOf(env, arguments[2]);
  if (!parameters) return nullptr;
  auto* operation =
      new Execute(space, std::move(text), std::move(*parameters), Execute::Form::Flat);
  return operation->ask(env, *run, formOf(env, arguments[3]));
}

/// The same in the form that costs least: few values, by position, each an argument of its own.
napi_value query(napi_env env, napi_callback_info info) {
  constexpr std::size_t kBefore = 3;
  constexpr std::size_t kValuesMax = 16;
  napi_value arguments[kBefore + kValuesMax] = {};
  std::size_t count = std::size(arguments);
  void* data = nullptr;
  napi_get_cb_info(env, info, &count, arguments, nullptr, &data);
  auto& space = *static_cast<Execute::Space*>(data);
  space.rows.frame[0] = -1;
  Run* const run = runOf(env, arguments[0]);
  if (run == nullptr) return nullptr;
  auto text = statementOf(env, space.texts, arguments[1]);
  if (text == nullptr) return nullptr;
  if (count > std::size(arguments)) {
    throwTypeError(env, "so many values are given as an array");
    return nullptr;
  }
  Execute::Parameters parameters;
  for (std::size_t i = kBefore; i < count; ++i) {
    std::optional<sql::Value> value = sqlValueOf(env, arguments[i]);
    if (!value) return nullptr;
    parameters.push_back({{}, *std::move(value)});
  }
  auto* operation =
      new Execute(space, std::move(text), std::move(parameters), Execute::Form::InFrame);
  return operation->ask(env, *run, formOf(env, arguments[2]));
}

napi_value script(napi_env env, napi_callback_info info) {
  const Arguments<2> arguments(env, info);
  Run* const run = runOf(env, arguments[0]);
  if (run == nullptr || !checkSql(env, arguments[1])) return nullptr;
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

napi_value claims(napi_env env, napi_callback_info info) {
  const Arguments<1> arguments(env, info);
  Run* const run = runOf(env, arguments[0]);
  if (run == nullptr) return nullptr;
  const call::Claims* claims = run->invocation().claims();
  return claims == nullptr ? undefined(env) : toJs(env, *claims);
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

napi_value socketBusy(napi_env env, napi_callback_info info) {
  const Arguments<2> arguments(env, info);
  Run* const run = Run::find(static_cast<Run::Id>(integerOf(env, arguments[0])));
  if (run != nullptr) run->setBusy(boolOf(env, arguments[1]));
  return nullptr;
}

napi_value socketBuffered(napi_env env, napi_callback_info info) {
  const Arguments<1> arguments(env, info);
  Run* const run = Run::find(static_cast<Run::Id>(integerOf(env, arguments[0])));
  const bool isOpen = run != nullptr && run->socket != nullptr;
  return toJs(env, static_cast<std::int64_t>(isOpen ? run->socket->exchange()->sentCost() : 0));
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
  const Instance& all = instance();
  return toJs(env, all.node != nullptr ? all.node->clock().wallMs() : SystemClock().wallMs());
}

napi_value currentActor(napi_env env, napi_callback_info) {
  const Instance& all = instance();
  if (all.node == nullptr || !all.node->isCalling()) return toJs(env, "");
  const CurrentActor::Name name = all.node->current().name();
  return toJs(env, name.isCurrent ? std::string_view(name.actor) : std::string_view());
}

// ---- Virtual time

napi_value rounds(napi_env env, napi_callback_info) {
  const Instance& all = instance();
  return toJs(env, static_cast<std::int64_t>(all.node != nullptr ? all.node->rounds() : 0));
}

napi_value untilTimer(napi_env env, napi_callback_info) {
  const Instance& all = instance();
  const auto left =
      all.node != nullptr ? all.node->loop().untilNextTimer() : std::optional<Duration>();
  if (!left) return undefined(env);
  napi_value made = nullptr;
  napi_create_double(env, std::chrono::duration<double, std::milli>(*left).count(), &made);
  return made;
}

napi_value moveClock(napi_env env, napi_callback_info info) {
  const Arguments<1> arguments(env, info);
  double ms = 0;
  napi_get_value_double(env, arguments[0], &ms);
  Instance& all = instance();
  if (all.node == nullptr || !all.node->clock().isVirtual()) {
    napi_throw_error(env, "skep.clock",
                     "only a registry that was started for a test has a clock to be moved");
    return nullptr;
  }
  // Up to the next nanosecond: a timer at that time is due then.
  all.node->clock().advance(
      std::chrono::ceil<Duration>(std::chrono::duration<double, std::milli>(ms)));
  all.node->wake();
  return nullptr;
}

/// The frame, a Float64Array: one for the thread, however often this is loaded there.
napi_value frameOf(napi_env env) {
  constexpr std::size_t kCells = 16 * 1024;
  Instance& all = instance();
  napi_value array = nullptr;
  if (all.frameArray != nullptr) {
    napi_get_reference_value(env, all.frameArray, &array);
    return array;
  }
  void* data = nullptr;
  napi_value buffer = nullptr;
  napi_create_arraybuffer(env, kCells * sizeof(double), &data, &buffer);
  napi_create_typedarray(env, napi_float64_array, kCells, buffer, 0, &array);
  napi_create_reference(env, array, 1, &all.frameArray);
  all.statements.rows.frame = {static_cast<double*>(data), kCells};
  return array;
}

napi_value exports(napi_env env, napi_value object) {
  const auto add = [&](const char* name, napi_callback function) {
    napi_value made = nullptr;
    napi_create_function(env, name, NAPI_AUTO_LENGTH, function, &instance().statements, &made);
    setProperty(env, object, name, made);
  };
  add("start", &start);
  add("stop", &stop);
  add("settle", &settle);
  setProperty(env, object, "frame", frameOf(env));
  add("statement", &statement);
  add("forgetStatements", &forgetStatements);
  add("columns", &columns);
  add("execute", &execute);
  add("query", &query);
  add("script", &script);
  add("savepoint", &savepoint);
  add("broadcast", &broadcast);
  add("connections", &connections);
  add("claims", &claims);
  add("command", &command);
  add("socketBusy", &socketBusy);
  add("socketBuffered", &socketBuffered);
  add("keepAwake", &keepAwake);
  add("releaseAwake", &releaseAwake);
  add("now", &now);
  add("currentActor", &currentActor);
  add("rounds", &rounds);
  add("untilTimer", &untilTimer);
  add("moveClock", &moveClock);
  return object;
}

}  // namespace
}  // namespace skep::node

NAPI_MODULE_INIT() {
  // A thread may load it several times, as a tool does that gives each test modules of its own. The newest hook is the first to
  // be called, when all that the others have is still there.
  napi_async_cleanup_hook_handle& hook = skep::node::instance().hook;
  if (hook != nullptr) napi_remove_async_cleanup_hook(hook);
  napi_add_async_cleanup_hook(env, &skep::node::endThread, nullptr, &hook);
  return skep::node::exports(env, exports);
}
