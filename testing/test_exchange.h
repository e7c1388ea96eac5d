// TestExchange: the client's end of a raw request to an actor of an ActorWorld, writing down what it hears.
//
//   TestExchange page(world, {.actor = {"page", {"a"}}, .method = "GET", .path = "/"});
//   EXPECT_THAT(page.heard(), ElementsAre("200 hello"));
//
// A whole response is written "status body", a stream "begun status", "chunk bytes" …, "ended"; a failure
// "failed group.code: message". It takes what it is sent, unless it is slow.

#pragma once

#include <memory>
#include <string>
#include <vector>

#include "skep/call/http.h"
#include "skep/testing/actor_world.h"

namespace skep::testing {

class TestExchange {
 public:
  enum class Client { Quick, Slow };

  /// Asks; settle() the world to see how it goes.
  TestExchange(ActorWorld& world, call::HttpRequest request, Client client = Client::Quick);
  ~TestExchange();

  /// What was heard since the last time.
  std::vector<std::string> heard();
  /// Of the response.
  std::string header(const std::string& name) const;
  /// Bytes of chunks that a slow client was sent and has not taken.
  std::size_t waitingBytes() const;
  /// A slow client takes all that it was sent.
  void take();
  void close();

 private:
  class Peer;

  ActorWorld& world_;
  const std::shared_ptr<Peer> peer_;
  std::unique_ptr<call::HttpHandle> handle_;
};

}  // namespace skep::testing
