// TestConnection: a client's connection to an actor of a TestHost, as a browser would have one.
//
//   auto ada = host.connect("chatRoom", {"lobby"}, {.subscribe = {"newMessage"}});
//   host.call("chatRoom", {"lobby"}, "send", "bob", "hello");
//   EXPECT_EQ(ada.take<Message>("newMessage").size(), 1u);
//   ada.call("send", "ada", "hello to you");
//
// As a real one it stays open while the actor sleeps, and ends with restart() or the actor's end. Moves,
// does not copy; goes before its TestHost.

#pragma once

#include <memory>
#include <string>
#include <vector>

#include "skep/api/codec.h"
#include "skep/api/stored.h"
#include "skep/call/failure.h"

namespace skep {

class TestHost;

struct TestConnectOptions {
  std::vector<std::string> subscribe = {};
  Value parameters = {};  // for onBeforeConnect; null: none
  Value claims = {};      // of the client's token; null: it has none
};

class TestConnection {
 public:
  ~TestConnection();
  TestConnection(TestConnection&&) noexcept;
  TestConnection& operator=(TestConnection&&) noexcept;

  /// Runs an action through the connection, which c.connection() is then. An ActorError when it fails,
  /// or when the connection has ended.
  template <class Result = void, class... Args>
  Result call(const std::string& action, const Args&... args) {
    const Value reply = callValue(action, Value::array({api::toValue(args)...}));
    if constexpr (!std::is_void_v<Result>) {
      return api::Codec<Result>::decode(reply, api::Place("reply"));
    }
  }
  /// An ActorError when the actor refuses it.
  void subscribe(const std::string& event);
  void unsubscribe(const std::string& event);

  /// The values of the events of that name that came since the last take(), oldest first.
  template <class T>
  std::vector<T> take(const std::string& event) {
    std::vector<T> values;
    for (const Value& each : takeValues(event)) {
      values.push_back(api::Codec<T>::decode(each, api::Place("event")));
    }
    return values;
  }

  /// The client goes.
  void close();
  bool isOpen() const;
  /// Why the actor's side ended it; empty while it is open, and after close().
  const std::string& endCode() const;
  /// Which the actor's code knows it by.
  const std::string& id() const;

 private:
  friend class TestHost;
  struct State;
  explicit TestConnection(std::shared_ptr<State> state);
  Value callValue(const std::string& action, const Value& arguments);
  std::vector<Value> takeValues(const std::string& event);

  std::shared_ptr<State> state_;  // shared with the host, which ends it at restart()
};

}  // namespace skep
