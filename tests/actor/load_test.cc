// Many calls at once: they share commits, and there are no more than the process has stacks for. And what is
// told of rows that are not durable yet.

#include <gmock/gmock.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "skep/testing/actor_world.h"
#include "skep/testing/test_client.h"

namespace skep::testing {
namespace {

using namespace std::chrono_literals;
using ::testing::Each;
using ::testing::StartsWith;

struct Shop : Actor {
  static void define(Definition<Shop>& d) {
    d.migration(1, "CREATE TABLE sale(n INTEGER)");
    d.action("sell", &Shop::sell).action("count", &Shop::count).action("wait", &Shop::wait);
    d.action("remind", &Shop::remind).action("ring", &Shop::ring).action("ask", &Shop::ask);
    d.queue("orders", &Shop::order, {.messagesMax = 1});
  }
  void sell(Context& c) { c.execute("INSERT INTO sale VALUES (1)"); }
  std::int64_t count(Context& c) { return c.queryOne<std::int64_t>("SELECT count(*) FROM sale"); }
  void wait(Context& c) { c.sleepFor(10s); }
  void remind(Context& c, std::int64_t ms) {
    c.schedule().after(std::chrono::milliseconds(ms), "ring");
  }
  void ring(Context& c) { sell(c); }
  void ask(Context& c) { c.call("shop", {"other"}, "sell"); }
  void order(Context& c, std::int64_t) {
    c.sleepFor(1s);
    sell(c);
  }
};

class LoadTest : public ::testing::Test {
 protected:
  LoadTest() { world_.add<Shop>("shop"); }
  std::string shop(const std::string& action, const std::string& arguments = "[]") {
    return world_.call("shop", "a", action, arguments);
  }
  call::Outcome<call::QueueSent> send(std::optional<Duration> wait = {}) {
    return world_.host().send({.actor = {.type = "shop", .key = {"a"}},
                               .queue = "orders",
                               .body = {.encoding = call::Encoding::Json, .bytes = "1"},
                               .replyTimeout = wait});
  }
  static Status slowly(const store::DatabaseWrite&) {
    fiber::sleepFor(5s);
    return {};
  }

  fiber::StackBudget budget_{64};
  ActorWorld world_{{.budget = &budget_}};
};

TEST_F(LoadTest, concurrent_writes_to_one_actor_share_commits) {
  shop("count");
  world_.settle();
  world_.store().resetCalls();
  world_.store().beforeWrite = slowly;
  std::vector<std::string> replies(20);
  for (std::string& reply : replies) {
    world_.spawn([&] {
      reply = ActorWorld::textOf(world_.host().run(ActorWorld::request("shop", "a", "sell")));
    });
  }
  world_.settle();
  EXPECT_THAT(replies, Each(""));
  world_.advance(5s);
  world_.advance(5s);
  EXPECT_THAT(replies, Each("null"));
  EXPECT_LE(world_.store().calls().commits, 2U);
  world_.store().beforeWrite = nullptr;
  EXPECT_EQ(shop("count"), "20");
}

TEST_F(LoadTest, calls_beyond_what_there_are_stacks_for_are_refused_and_the_others_end_well) {
  TestClient client(world_, "shop", "a", {});
  world_.settle();
  (void)client.heard();
  for (std::uint64_t id = 0; id < 80; ++id) client.call(id, "wait");
  world_.settle();
  const std::vector<std::string> refused = client.heard();
  EXPECT_GT(refused.size(), 40U);
  EXPECT_LT(refused.size(), 60U);
  for (const std::string& each : refused)
    EXPECT_THAT(each, ::testing::HasSubstr("actor.overloaded"));
  world_.advance(10s);
  const std::vector<std::string> done = client.heard();
  EXPECT_EQ(refused.size() + done.size(), 80U);
  for (const std::string& each : done) EXPECT_THAT(each, ::testing::EndsWith(": null"));
  EXPECT_EQ(shop("count"), "0");
}

TEST_F(LoadTest, what_is_under_way_can_commit_when_no_more_calls_are_taken) {
  TestClient client(world_, "shop", "a", {});
  world_.settle();
  (void)client.heard();
  for (std::uint64_t id = 0; id < 80; ++id) client.call(id, id % 2 == 0 ? "wait" : "sell");
  world_.settle();
  const std::vector<std::string> now = client.heard();
  EXPECT_EQ(std::count_if(now.begin(), now.end(),
                          [](const std::string& each) { return each.ends_with(": null"); }),
            std::stol(shop("count")));
  world_.advance(10s);
}

TEST_F(LoadTest, a_timer_is_not_early_by_a_part_of_a_millisecond) {
  shop("count");
  world_.advance(900us);
  shop("remind", "[10]");
  world_.advance(9'950us);
  EXPECT_EQ(shop("count"), "0");
  world_.advance(1'050us);
  EXPECT_EQ(shop("count"), "1");
}

TEST_F(LoadTest, that_a_queue_is_full_is_told_when_the_messages_in_it_are_durable) {
  shop("count");
  world_.store().beforeWrite = slowly;
  call::Outcome<call::QueueSent> first;
  std::string second;
  world_.spawn([&] { first = send(); });
  world_.spawn([&] { second = std::get<call::Failure>(send()).toString(); });
  world_.settle();
  EXPECT_EQ(second, "");
  world_.advance(5s);
  EXPECT_THAT(second, StartsWith("actor.queue_full: "));
  world_.store().beforeWrite = nullptr;
  world_.advance(10s);
}

TEST_F(LoadTest, who_waits_for_a_reply_hears_what_becomes_of_a_message_that_is_handled_at_the_end) {
  std::string waiting;
  world_.spawn([&] { waiting = std::get<call::Failure>(send(60s)).toString(); });
  world_.settle();
  world_.run([&] { world_.host().stopCallsAfter(500ms); });
  world_.advance(500ms);
  EXPECT_THAT(waiting, ::testing::HasSubstr("the message is being handled"));
}

TEST_F(LoadTest, a_sleep_waits_for_a_message_that_is_handled_and_its_sender_gets_the_reply) {
  call::Outcome<call::QueueSent> sent;
  world_.spawn([&] { sent = send(60s); });
  world_.settle();
  world_.spawn([&] { (void)world_.host().sleep({.type = "shop", .key = {"a"}}); });
  world_.settle();
  world_.advance(1s);
  EXPECT_TRUE(std::holds_alternative<call::QueueSent>(sent));
  EXPECT_FALSE(world_.host().isAwake({.type = "shop", .key = {"a"}}));
}

}  // namespace
}  // namespace skep::testing
