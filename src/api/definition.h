// Definition: what an actor type is made of. Actor: the base of a type.
//
//   struct Counter : skep::Actor {
//     static void define(skep::Definition<Counter>& d) {
//       d.migration(1, "CREATE TABLE counter(value INTEGER NOT NULL)");
//       d.action("increment", &Counter::increment);
//     }
//     std::int64_t increment(skep::Context& c, std::int64_t by);
//   };
//
// Argument and result types come from the function's signature; see codec.h for what they can be. The
// first parameter is a Context&. One object of the type is made for each awake actor: its members are
// volatile memory. state() names a member that is saved with each turn and loaded on wake.

#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <typeindex>
#include <typeinfo>
#include <utility>

#include "skep/actor/actor_type.h"
#include "skep/api/codec.h"
#include "skep/api/connection.h"
#include "skep/api/context.h"
#include "skep/api/http.h"
#include "skep/api/web_socket.h"

namespace skep {

/// The base of all actor types.
class Actor {
 public:
  Actor() = default;
  virtual ~Actor() = default;
  Actor(const Actor&) = delete;
  Actor& operator=(const Actor&) = delete;
};

using ActorOptions = actor::ActorOptions;
using actor::Concurrency;
using actor::Durability;

namespace api {

/// The erased parts of a Definition, one copy for all actors of the type.
struct ActorParts {
  using Action = std::function<Value(Actor&, Context&, const Value& arguments)>;
  using Hook = std::function<void(Actor&, Context&)>;
  using CreateHook = std::function<void(Actor&, Context&, const Value* input)>;
  struct State {
    std::function<Value(const Actor&)> save;
    std::function<void(Actor&, const Value&)> load;
  };

  struct Queue {
    QueueOptions options;
    std::function<Value(const Value& body)> check;                     // gives it as it is stored
    std::function<Value(Actor&, Context&, const Value& body)> handle;  // empty: read by run()
  };

  std::function<std::unique_ptr<Actor>()> make;
  std::map<std::string, Action, std::less<>> actions;
  std::map<std::string, Queue, std::less<>> queues;
  std::optional<State> state;
  Hook run;
  CreateHook onCreate;
  Hook onWake;
  Hook onSleep;
  Hook onDestroy;

  using AdmitHook = std::function<void(Actor&, Context&, const Visitor&)>;
  using StateHook = std::function<Value(Actor&, Context&, const Visitor&)>;
  using ConnectionHook = std::function<void(Actor&, Context&, Connection&)>;
  std::map<std::string, EventType, std::less<>> events;
  AdmitHook onBeforeConnect;
  StateHook createConnectionState;
  std::optional<std::type_index> connectionState;
  ConnectionHook onConnect;
  ConnectionHook onDisconnect;

  using RequestHandler =
      std::function<void(Actor&, Context&, const call::HttpRequest&, actor::HttpResponder&)>;
  RequestHandler onRequest;
  using SocketHandler =
      std::function<void(Actor&, Context&, const call::HttpRequest&, actor::SocketSession&)>;
  SocketHandler onWebSocket;
};

/// The actor type that the runtime knows.
actor::ActorType makeActorType(std::string name, std::vector<actor::Migration> migrations,
                               ActorOptions options, ActorParts parts);

template <class T>
inline constexpr bool isBorrow =
    std::is_lvalue_reference_v<T> && !std::is_const_v<std::remove_reference_t<T>>;

template <class Result, class Call, class... Args>
Value invokeWith(const Value& arguments, Call&& call, std::type_identity<std::tuple<Args...>>) {
  static_assert((!isBorrow<Args> && ...),
                "an action's arguments are values or const references: they come from a caller");
  using Tuple = std::tuple<std::remove_cvref_t<Args>...>;
  Tuple decoded = fromCaller([&] { return Codec<Tuple>::decode(arguments, Place("arguments")); });
  const auto run = [&](auto&... each) -> Result { return call(std::move(each)...); };
  if constexpr (std::is_void_v<Result>) {
    std::apply(run, decoded);
    return nullptr;
  } else {
    return Codec<std::remove_cvref_t<Result>>::encode(std::apply(run, decoded));
  }
}

}  // namespace api

namespace api {
template <class>
inline constexpr bool isNever = false;
}  // namespace api

template <class T>
class Definition {
 public:
  static_assert(std::is_base_of_v<Actor, T>, "an actor type derives from skep::Actor");
  static_assert(
      std::is_default_constructible_v<T>,
      "an actor type is made without arguments; what it needs at its creation comes as the "
      "input of onCreate");

  /// Applied once, in order, in one transaction with what else is due.
  Definition& migration(std::int64_t version, std::string sql) {
    migrations_.push_back({.version = version, .sql = std::move(sql)});
    return *this;
  }

  /// A function of T or of a base of it.
  template <class Class, class Result, class... Args>
  Definition& action(std::string name, Result (Class::*function)(Context&, Args...)) {
    static_assert(std::is_base_of_v<Class, T>, "an action is a member of the actor type");
    return add<Result, Args...>(std::move(name), [function](T& self, Context& c, auto&&... args) {
      return (self.*function)(c, std::forward<decltype(args)>(args)...);
    });
  }
  template <class Class, class Result, class... Args>
  Definition& action(std::string name, Result (Class::*function)(Context&, Args...) const) {
    static_assert(std::is_base_of_v<Class, T>, "an action is a member of the actor type");
    return add<Result, Args...>(std::move(name), [function](T& self, Context& c, auto&&... args) {
      return (self.*function)(c, std::forward<decltype(args)>(args)...);
    });
  }

  /// Anything else is no action, and this says why.
  template <class Function>
  Definition& action(std::string, Function) {
    static_assert(api::isNever<Function>,
                  "an action is a member function of the actor type that takes a skep::Context& "
                  "first: Result say(skep::Context& c, Argument argument, ...)");
    return *this;
  }

  /// A queue whose messages this handles. When it returns, the message is done: what it wrote commits
  /// along with that, and a sender that waits gets what it returns. When it throws, the message is tried
  /// again later; after the last try it is dead.
  template <class Body = void, class Class, class Result, class Argument>
  Definition& queue(std::string name, Result (Class::*function)(Context&, Argument),
                    QueueOptions options = {}) {
    static_assert(std::is_base_of_v<Class, T>, "a handler is a member of the actor type");
    using Plain = std::remove_cvref_t<Argument>;
    static_assert(std::is_void_v<Body> || std::is_same_v<Body, Plain>,
                  "the handler of a queue takes a Context& and the body of a message");
    queue<Plain>(name, std::move(options));
    parts_.queues[name].handle = [function](Actor& self, Context& c, const Value& body) -> Value {
      Plain decoded = api::Codec<Plain>::decode(body, api::Place("message"));
      if constexpr (std::is_void_v<Result>) {
        (static_cast<T&>(self).*function)(c, std::move(decoded));
        return nullptr;
      } else {
        return api::Codec<std::remove_cvref_t<Result>>::encode(
            (static_cast<T&>(self).*function)(c, std::move(decoded)));
      }
    };
    return *this;
  }
  template <class Class, class Result>
  Definition& queue(std::string, Result (Class::*)(Context&), QueueOptions = {}) {
    static_assert(api::isNever<Class>,
                  "the handler of a queue takes a Context& and the body of a message");
    return *this;
  }
  /// A queue that the actor's own code reads.
  template <class Body>
  Definition& queue(const std::string& name, QueueOptions options = {}) {
    parts_.queues[name] = {.options = std::move(options), .check = [](const Value& body) {
                             return api::Codec<Body>::encode(api::fromCaller([&] {
                               return api::Codec<Body>::decode(body, api::Place("message"));
                             }));
                           }};
    return *this;
  }

  /// What the actor does of its own, while it is awake: started behind onWake; told to stop, by what it
  /// waits for throwing and by isAborted(), before onSleep. Keeps the actor awake, but when it waits in
  /// idleFor() or for a message. When it throws it starts again after a while; when it returns, with the
  /// next wake.
  Definition& run(void (T::*function)(Context&)) { return hook(parts_.run, function); }

  /// A member that is part of the database: saved with each turn that changed it, loaded on wake, put
  /// back when a turn is rolled back.
  template <class Member>
  Definition& state(Member T::*member) {
    parts_.state = api::ActorParts::State{
        .save =
            [member](const Actor& self) {
              return api::Codec<Member>::encode(static_cast<const T&>(self).*member);
            },
        .load =
            [member](Actor& self, const Value& value) {
              static_cast<T&>(self).*member =
                  api::Codec<Member>::decode(value, api::Place("state"));
            }};
    return *this;
  }

  /// Once, when the actor is made, in one transaction with the migrations.
  template <class Input>
  Definition& onCreate(void (T::*function)(Context&, Input)) {
    using Plain = std::remove_cvref_t<Input>;
    parts_.onCreate = [function](Actor& self, Context& c, const Value* input) {
      (static_cast<T&>(self).*function)(c,
                                        api::Codec<Plain>::decodeField(input, api::Place("input")));
    };
    return *this;
  }
  Definition& onCreate(void (T::*function)(Context&)) {
    parts_.onCreate = [function](Actor& self, Context& c, const Value*) {
      (static_cast<T&>(self).*function)(c);
    };
    return *this;
  }
  /// Each time the actor wakes, after its creation too.
  Definition& onWake(void (T::*function)(Context&)) { return hook(parts_.onWake, function); }
  /// Before it sleeps.
  Definition& onSleep(void (T::*function)(Context&)) { return hook(parts_.onSleep, function); }
  /// Before it is removed.
  Definition& onDestroy(void (T::*function)(Context&)) { return hook(parts_.onDestroy, function); }

  /// An event that the actor broadcasts or sends, and what it carries.
  ///   d.event<Message>("message", {.history = 1000});
  template <class Message>
  Definition& event(std::string name, EventOptions options = {}) {
    parts_.events.insert_or_assign(
        name, api::EventType{
                  .type = typeid(Message), .options = options, .check = [name](const Value& value) {
                    (void)api::Codec<Message>::decode(value, api::Place(name));
                  }});
    return *this;
  }
  /// The actor's gate: a client from outside wants to connect, or calls an action without a connection, before
  /// which this runs in the same turn. UserError or Forbidden refuse it, with their reason. Calls of clients that
  /// are connected, and of other actors, do not come by here.
  Definition& onBeforeConnect(void (T::*function)(Context&, const Visitor&)) {
    parts_.onBeforeConnect = [function](Actor& self, Context& c, const Visitor& visitor) {
      (static_cast<T&>(self).*function)(c, visitor);
    };
    return *this;
  }
  /// What the actor keeps for each connection: Connection::state().
  template <class State>
  Definition& createConnectionState(State (T::*function)(Context&, const Visitor&)) {
    parts_.connectionState = typeid(State);
    parts_.createConnectionState = [function](Actor& self, Context& c, const Visitor& visitor) {
      return api::Codec<State>::encode((static_cast<T&>(self).*function)(c, visitor));
    };
    return *this;
  }
  /// A client is connected: c.connections() has it from now on. What this throws ends the connection.
  Definition& onConnect(void (T::*function)(Context&, Connection&)) {
    return hook(parts_.onConnect, function);
  }
  /// A connection has ended, whichever side ended it; wakes an actor that sleeps. Not called for an
  /// actor that is destroyed, nor when the process dies.
  Definition& onDisconnect(void (T::*function)(Context&, Connection&)) {
    return hook(parts_.onDisconnect, function);
  }

  /// Raw requests, answered by this; see http.h.
  Definition& onRequest(HttpResponse (T::*function)(Context&, const HttpRequest&)) {
    parts_.onRequest = [function](Actor& self, Context& c, const call::HttpRequest& request,
                                  actor::HttpResponder& responder) {
      HttpResponse response = (static_cast<T&>(self).*function)(c, HttpRequest(request));
      api::respond(responder, std::move(response));
    };
    return *this;
  }
  /// The same, bit by bit.
  Definition& onRequest(void (T::*function)(Context&, const HttpRequest&, HttpStream&)) {
    parts_.onRequest = [function](Actor& self, Context& c, const call::HttpRequest& request,
                                  actor::HttpResponder& responder) {
      HttpStream stream(responder);
      (static_cast<T&>(self).*function)(c, HttpRequest(request), stream);
    };
    return *this;
  }

  /// Raw WebSockets, at the same paths as raw requests; see web_socket.h.
  Definition& onWebSocket(void (T::*function)(Context&, WebSocket&)) {
    return socketHandler([function](T& self, Context& c, const HttpRequest&, WebSocket& socket) {
      (self.*function)(c, socket);
    });
  }
  Definition& onWebSocket(void (T::*function)(Context&, const HttpRequest&, WebSocket&)) {
    return socketHandler([function](T& self, Context& c, const HttpRequest& request,
                                    WebSocket& socket) { (self.*function)(c, request, socket); });
  }

  ActorOptions& options() { return options_; }

  actor::ActorType take(std::string name) && {
    parts_.make = [] { return std::make_unique<T>(); };
    return api::makeActorType(std::move(name), std::move(migrations_), options_, std::move(parts_));
  }

 private:
  template <class Result, class... Args, class Function>
  Definition& add(std::string name, Function function) {
    parts_.actions.insert_or_assign(
        std::move(name), [function](Actor& self, Context& c, const Value& arguments) {
          return api::invokeWith<Result>(
              arguments,
              [&](auto&&... args) -> Result {
                return function(static_cast<T&>(self), c, std::forward<decltype(args)>(args)...);
              },
              std::type_identity<std::tuple<Args...>>());
        });
    return *this;
  }
  template <class Function>
  Definition& socketHandler(Function function) {
    parts_.onWebSocket = [function](Actor& self, Context& c, const call::HttpRequest& request,
                                    actor::SocketSession& session) {
      WebSocket socket(session);
      function(static_cast<T&>(self), c, HttpRequest(request), socket);
    };
    return *this;
  }
  Definition& hook(api::ActorParts::Hook& place, void (T::*function)(Context&)) {
    place = [function](Actor& self, Context& c) { (static_cast<T&>(self).*function)(c); };
    return *this;
  }

  Definition& hook(api::ActorParts::ConnectionHook& place,
                   void (T::*function)(Context&, Connection&)) {
    place = [function](Actor& self, Context& c, Connection& connection) {
      (static_cast<T&>(self).*function)(c, connection);
    };
    return *this;
  }

  std::vector<actor::Migration> migrations_;
  ActorOptions options_;
  api::ActorParts parts_;
};

/// The actor type `T` under `name`, for Registry::add().
template <class T>
actor::ActorType actorType(std::string name) {
  Definition<T> definition;
  T::define(definition);
  return std::move(definition).take(std::move(name));
}

}  // namespace skep
