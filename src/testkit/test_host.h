// TestHost: runs actors in a test, in memory, on a virtual clock.
//
// Time stands still unless the test moves it: then timers, jobs, delayed messages, waits and sleep happen
// in their order, one after the other, without waiting. The same test gives the same result each time. An
// action that waits (c.sleepFor()) moves the clock itself, as far as it needs.
//
//   skep::TestHost host(skep::registry<Reminders>("reminders"));
//   host.call("reminders", {"ada"}, "remindMe", "milk", 60);
//   host.advance(1h);
//   EXPECT_EQ(host.call<int>("reminders", {"ada"}, "count"), 1);
//
// What an actor answers with a failure is thrown here as an ActorError. One thread: the one that made it.

#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "skep/api/queue.h"
#include "skep/api/registry.h"
#include "skep/api/schedule.h"
#include "skep/api/stored.h"
#include "skep/call/router.h"
#include "skep/testkit/test_connection.h"

namespace skep {

struct TestOptions {
  /// What the clock shows first.
  Time start = Time(std::chrono::seconds(1'700'000'000));  // 2023-11-14 22:13:20 UTC
  /// A call that has not ended after so much virtual time waits for what does not come: it throws.
  std::chrono::nanoseconds callTimeMax = std::chrono::hours(1);
};

class TestHost {
 public:
  using Key = std::vector<std::string>;

  explicit TestHost(Registry registry, TestOptions options = {});
  ~TestHost();
  TestHost(const TestHost&) = delete;
  TestHost& operator=(const TestHost&) = delete;

  /// Runs an action of an actor, which is made when it does not exist; its result, once it is durable.
  template <class Result = void, class... Args>
  Result call(const std::string& type, const Key& key, const std::string& action,
              const Args&... args) {
    const Value reply =
        callValue(nullptr, type, key, action, Value::array({api::toValue(args)...}));
    if constexpr (!std::is_void_v<Result>) {
      return api::Codec<Result>::decode(reply, api::Place("reply"));
    }
  }
  /// The same by a client from outside, whose token says `claims`: it passes the actor's onBeforeConnect, as
  /// calls of other actors, and call(), do not.
  template <class Result = void, class Claims, class... Args>
  Result callAs(const Claims& claims, const std::string& type, const Key& key,
                const std::string& action, const Args&... args) {
    const Value shown = api::toValue(claims);
    const Value reply = callValue(&shown, type, key, action, Value::array({api::toValue(args)...}));
    if constexpr (!std::is_void_v<Result>) {
      return api::Codec<Result>::decode(reply, api::Place("reply"));
    }
  }
  /// Makes an actor with the input of its onCreate. already_exists when there is one.
  template <class Input>
  void create(const std::string& type, const Key& key, const Input& input) {
    createWith(type, key, api::toValue(input));
  }
  void destroy(const std::string& type, const Key& key);

  /// Sends a message to a queue of an actor; its id.
  template <class Body>
  std::int64_t send(const std::string& type, const Key& key, const std::string& queue,
                    const Body& body, const SendOptions& options = {}) {
    return sendValue(type, key, queue, api::toValue(body), options, std::nullopt).id;
  }
  /// And waits for the reply.
  template <class Reply, class Body>
  Reply sendAndWait(const std::string& type, const Key& key, const std::string& queue,
                    const Body& body, std::chrono::nanoseconds timeout = std::chrono::minutes(1)) {
    const call::QueueSent sent = sendValue(type, key, queue, api::toValue(body), {}, timeout);
    return api::Codec<Reply>::decode(api::parse(*sent.reply), api::Place("reply"));
  }

  /// Connects as a client does: the actor's hooks let it in, or the ActorError says why not.
  TestConnection connect(const std::string& type, const Key& key, TestConnectOptions options = {});

  /// Moves the clock; what is due meanwhile happens at its time.
  void advance(std::chrono::nanoseconds duration);
  /// As far as `time`, which is not in the past.
  void advanceTo(Time time);
  Time now() const;

  /// Whether the actor is in memory.
  bool isAwake(const std::string& type, const Key& key) const;
  /// Puts it to sleep now, when its calls have ended.
  void sleep(const std::string& type, const Key& key);
  /// Ends the process, as it were, and starts another one on what is stored: every actor sleeps.
  void restart();

 private:
  friend class TestConnection;
  struct World;
  void settle();
  void drive(std::function<void()> body);
  void start();
  void end();
  Value callValue(const Value* claims, const std::string& type, const Key& key,
                  const std::string& action, const Value& arguments);
  void createWith(const std::string& type, const Key& key, const Value& input);
  call::QueueSent sendValue(const std::string& type, const Key& key, const std::string& queue,
                            const Value& body, const SendOptions& options,
                            std::optional<std::chrono::nanoseconds> replyTimeout);

  const Registry registry_;
  const TestOptions options_;
  std::unique_ptr<World> world_;
};

}  // namespace skep
