// TestClient: the client's end of a connection to an actor of an ActorWorld, writing down what it hears.
//
//   TestClient ada(world, "room", "lobby", {.subscriptions = {"message"}});
//   ada.call(1, "send", R"(["hello"])");
//   world.settle();
//   EXPECT_THAT(ada.heard(), ElementsAre("connected", R"(message "hello" #1)", "reply 1: null"));
//
// Events are written "name value", with "#number" when they are part of the sequence.

#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "skep/testing/actor_world.h"

namespace skep::testing {

class TestClient {
 public:
  struct Options {
    std::string parameters = "null";
    std::vector<std::string> subscriptions = {};
    std::vector<std::pair<std::string, std::string>> headers = {};
    std::optional<call::EventPosition> resume = {};
    std::string resumedConnection = {};
    call::Existence existence = call::Existence::GetOrCreate;
    std::string claims = {};  // JSON; empty: no token
  };

  /// Starts to connect; settle() the world to see how it goes.
  TestClient(ActorWorld& world, const std::string& type, const std::string& key, Options options);
  ~TestClient();

  void call(std::uint64_t id, const std::string& action, const std::string& arguments = "[]");
  void subscribe(const std::string& event);
  void unsubscribe(const std::string& event);
  /// Its last word: who has closed cannot call or subscribe. Nothing happens where the connection has ended.
  void close();

  /// What it has heard since the last heard().
  std::vector<std::string> heard();
  const std::string& id() const;
  /// Of the newest event, or of the connection.
  const call::EventPosition& position() const;
  bool isClosed() const;
  bool mayRetry() const;

 private:
  class Peer;

  ActorWorld& world_;
  std::shared_ptr<Peer> peer_;
  std::unique_ptr<call::ConnectionHandle> handle_;
};

}  // namespace skep::testing
