// TestSocket: the client's end of a raw WebSocket to an actor of an ActorWorld, writing down what it hears.
//
//   TestSocket socket(world, {.actor = {"echo", {"a"}}, .path = "/"});
//   socket.sendText("hello");
//   EXPECT_THAT(socket.heard(), ElementsAre("accepted", "text you said hello"));
//
// Also "binary bytes", "close 1000 reason" and "failed group.code: message". It takes what it is sent, unless
// it is slow.

#pragma once

#include <memory>
#include <string>
#include <vector>

#include "skep/call/http.h"
#include "skep/call/web_socket.h"
#include "skep/testing/actor_world.h"

namespace skep::testing {

class TestSocket {
 public:
  enum class Client { Quick, Slow };

  /// Asks; settle() the world to see how it goes.
  TestSocket(ActorWorld& world, call::HttpRequest request, Client client = Client::Quick);
  ~TestSocket();

  void sendText(const std::string& text);
  void sendBinary(const std::string& bytes);
  void close(std::uint16_t code, const std::string& reason = "");
  /// It is gone, without a close.
  void vanish();

  /// What was heard since the last time.
  std::vector<std::string> heard();
  /// What a slow client was sent and has not taken, as it counts.
  std::size_t waitingCost() const;
  /// A slow client takes all that it was sent.
  void take();
  /// Of what it sent, as it counts, the actor's code has taken so much.
  std::size_t takenCost() const;

 private:
  class Peer;

  ActorWorld& world_;
  const std::shared_ptr<Peer> peer_;
  std::unique_ptr<call::WebSocketHandle> handle_;
};

}  // namespace skep::testing
