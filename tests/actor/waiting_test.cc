// Who waits for whom: calls in line, calls that go round in a circle, and how long all of them wait.

#include <gmock/gmock.h>

#include <string>
#include <vector>

#include "skep/testing/actor_world.h"

namespace skep::testing {
namespace {

using namespace std::chrono_literals;
using ::testing::StartsWith;

/// One call at a time.
struct Link : Actor {
  static void define(Definition<Link>& d) {
    d.action("relay", &Link::relay)
        .action("slowRelay", &Link::slowRelay)
        .action("rest", &Link::rest);
    d.options().concurrency = Concurrency::OneAtATime;
  }
  /// Calls the first of `path`, which calls the next.
  std::int64_t relay(Context& c, std::vector<std::string> path) {
    if (path.empty()) return 0;
    const std::string next = path.front();
    path.erase(path.begin());
    return 1 + c.call<std::int64_t>("link", {next}, "relay", path);
  }
  std::int64_t slowRelay(Context& c, std::vector<std::string> path) {
    c.sleepFor(10ms);
    return relay(c, std::move(path));
  }
  void rest(Context& c, std::int64_t seconds) { c.sleepFor(std::chrono::seconds(seconds)); }
};

/// Makes others as it is made: see the key's first part.
struct Twin : Actor {
  static void define(Definition<Twin>& d) {
    d.onCreate(&Twin::onCreate).action("ping", &Twin::ping);
    d.queue<std::int64_t>("letters");
  }
  void onCreate(Context& c) {
    const std::string how = c.key()[0];
    const std::string which = c.key()[1];
    const std::string other = which == "a" ? "b" : "a";
    if (how == "calls") c.call("twin", {how, other}, "ping");
    if (how == "sends") c.send("twin", {how, other}, "letters", std::int64_t{1});
    if (how == "endless") c.call("twin", {how, which + "x"}, "ping");
    if (how == "late") {
      c.sleepFor(10ms);
      c.call("twin", {how, other}, "ping");
    }
  }
  std::int64_t ping(Context&) { return 7; }
};

class WaitingTest : public ::testing::Test {
 protected:
  WaitingTest() {
    world_.add<Link>("link");
    world_.add<Twin>("twin");
  }
  std::string relay(const std::string& key, const std::string& path) {
    return world_.call("link", key, "relay", "[" + path + "]");
  }
  /// Begins a call; what came of it is in `to`, which is empty until then.
  void begin(call::ActionRequest request, std::string& to) {
    world_.spawn([this, request = std::move(request), &to] {
      to = ActorWorld::textOf(world_.host().run(request));
    });
    world_.settle();
  }
  static call::ActionRequest link(const std::string& key, const std::string& action,
                                  const std::string& arguments) {
    return ActorWorld::request("link", key, action, arguments);
  }
  static call::ActionRequest twin(const std::string& how, const std::string& which) {
    call::ActionRequest request = ActorWorld::request("twin", how, "ping");
    request.actor.key.push_back(which);
    return request;
  }

  ActorWorld world_;
};

TEST_F(WaitingTest, a_chain_that_comes_back_is_found_at_once) {
  EXPECT_EQ(relay("a", R"(["b", "c"])"), "2");
  EXPECT_THAT(relay("a", R"(["b", "a"])"), StartsWith("actor.call_cycle: "));
  EXPECT_THAT(relay("a", R"(["b", "c", "b"])"), StartsWith("actor.call_cycle: "));
  EXPECT_EQ(relay("b", R"(["a"])"), "1") << "nobody is held by what failed";
}

TEST_F(WaitingTest, two_chains_in_opposite_directions_end_with_their_time) {
  std::string first;
  std::string second;
  begin(link("a", "slowRelay", R"([["b"]])"), first);
  begin(link("b", "slowRelay", R"([["a"]])"), second);
  world_.advance(10ms);
  EXPECT_EQ(first + second, "");
  world_.advance(60s);
  EXPECT_THAT(first, StartsWith("actor.action_timed_out: "));
  EXPECT_THAT(second, StartsWith("actor.action_timed_out: "));
  EXPECT_EQ(relay("a", R"(["b"])"), "1");
}

TEST_F(WaitingTest, who_waits_in_line_goes_when_its_time_is_over) {
  std::string first;
  std::string second;
  std::string third;
  begin(link("a", "rest", "[10]"), first);
  call::ActionRequest hasty = link("a", "rest", "[0]");
  hasty.timeout = 1s;
  begin(hasty, second);
  begin(link("a", "rest", "[0]"), third);
  world_.advance(1s);
  EXPECT_THAT(second, StartsWith("actor.action_timed_out: "));
  EXPECT_EQ(first + third, "");
  world_.advance(9s);
  EXPECT_EQ(first, "null");
  EXPECT_EQ(third, "null");
}

TEST_F(WaitingTest, a_call_of_a_call_has_the_time_that_its_caller_has_left) {
  std::string busy;
  std::string asked;
  begin(link("b", "rest", "[30]"), busy);
  call::ActionRequest hasty = link("a", "relay", R"([["b"]])");
  hasty.timeout = 2s;
  begin(hasty, asked);
  world_.advance(2s);
  EXPECT_THAT(asked, StartsWith("actor.action_timed_out: "));
  EXPECT_EQ(relay("a", "[]"), "0");
  world_.advance(28s);
  EXPECT_EQ(busy, "null");
}

TEST_F(WaitingTest, actors_that_make_each_other_as_they_are_made_fail_at_once) {
  std::string calls;
  std::string sends;
  begin(twin("calls", "a"), calls);
  begin(twin("sends", "a"), sends);
  EXPECT_THAT(calls, StartsWith("actor.call_cycle: "));
  EXPECT_THAT(sends, StartsWith("actor.call_cycle: "));
  world_.run([&] {
    EXPECT_EQ(std::get<call::ActorList>(world_.host().list("twin", "", 10)).actors.size(), 0U);
  });
}

TEST_F(WaitingTest, actors_that_each_make_the_other_end_with_their_time) {
  std::string first;
  std::string second;
  begin(twin("late", "a"), first);
  begin(twin("late", "b"), second);
  world_.advance(10ms);
  EXPECT_EQ(first + second, "");
  world_.advance(30s);
  world_.advance(30s);
  EXPECT_THAT(first, StartsWith("actor.action_timed_out: "));
  EXPECT_THAT(second, StartsWith("actor.action_timed_out: "));
}

TEST_F(WaitingTest, creations_are_nested_no_deeper_than_calls) {
  std::string made;
  begin(twin("endless", "a"), made);
  EXPECT_THAT(made, StartsWith("actor.call_cycle: "));
}

}  // namespace
}  // namespace skep::testing
