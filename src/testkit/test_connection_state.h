// The inside of a TestConnection, for it and its TestHost.

#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "skep/call/connection.h"
#include "skep/fiber/sync.h"
#include "skep/testkit/test_connection.h"

namespace skep {

/// What a client hears. Called on the actors' loop, which is the test's thread.
class TestPeer final : public call::ConnectionPeer {
 public:
  void connected(const call::Connected& connected) override;
  void replied(std::uint64_t callId, call::Reply reply) override;
  void event(const std::shared_ptr<const call::Event>& event) override;
  void missed(const call::EventPosition&) override {}
  void refused(const call::Failure& failure) override;
  void closed(const call::Closed& why) override;

  /// Suspends until `condition()` holds or the connection has ended.
  template <class Condition>
  void wait(Condition condition) {
    fiber::waitUntil(changed, [&] { return end.has_value() || condition(); });
  }

  fiber::Event changed;
  std::string id;
  std::map<std::uint64_t, call::Reply> replies;
  std::map<std::string, std::vector<Value>> events;
  std::optional<call::Failure> refusal;
  std::optional<call::Closed> end;
};

struct TestConnection::State {
  TestHost* host = nullptr;
  std::shared_ptr<TestPeer> peer = std::make_shared<TestPeer>();
  std::unique_ptr<call::ConnectionHandle> handle;
  std::uint64_t callCount = 0;
};

}  // namespace skep
