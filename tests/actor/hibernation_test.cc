// Hibernation: the actor sleeps, its connections stay, and nothing is lost in between.

#include <gmock/gmock.h>

#include "chat.h"
#include "skep/testing/test_client.h"

namespace skep::testing {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

class HibernationTest : public ::testing::Test {
 protected:
  HibernationTest() {
    hooks.clear();
    world_.add<Chat>("chat");
  }
  static TestClient::Options as(const std::string& name) {
    return {.parameters = R"({"name":")" + name + "\"}", .subscriptions = {"message"}};
  }
  void fallAsleep() {
    world_.advance(31s);
    world_.advance(1s);
    ASSERT_EQ(world_.host().stats().actorsAwake, 0u);
  }
  static std::string said(const std::string& text, int number) {
    return R"(message {"sender":"x","text":")" + text + "\"} #" + std::to_string(number);
  }

  ActorWorld world_;
};

TEST_F(HibernationTest, an_open_connection_lets_its_actor_sleep_and_a_message_wakes_it) {
  TestClient ada(world_, "chat", "a", as("ada"));
  TestClient eve(world_, "chat", "a", as("eve"));
  ada.call(1, "rename", R"(["Ada"])");
  ada.call(2, "tag", R"(["admin"])");
  world_.settle();
  ada.heard();
  eve.heard();
  fallAsleep();
  hooks.clear();
  eve.call(7, "who");
  world_.settle();
  EXPECT_THAT(eve.heard(), ElementsAre(R"(reply 7: ["Ada","eve"])"));
  EXPECT_THAT(hooks, ElementsAre("wake 2"));  // no hook of a new connection
  eve.call(8, "sendTagged", R"(["admin", "back"])");
  eve.call(9, "say", R"(["x", "all"])");
  world_.settle();
  EXPECT_THAT(ada.heard(), ElementsAre(R"(whisper "back")", said("all", 1)));
}

TEST_F(HibernationTest, subscriptions_while_it_sleeps_count_when_it_wakes) {
  TestClient ada(world_, "chat", "a", {.parameters = R"({"name":"ada"})"});
  fallAsleep();
  ada.subscribe("message");
  world_.settle();
  EXPECT_EQ(world_.host().stats().actorsAwake, 0u);  // that alone is nothing to wake for
  world_.call("chat", "a", "say", R"(["x", "hello"])");
  EXPECT_THAT(ada.heard(), ElementsAre("connected", said("hello", 1)));
}

TEST_F(HibernationTest, messages_that_arrive_while_it_falls_asleep_are_handled_in_order) {
  TestClient ada(world_, "chat", "a", as("ada"));
  ada.call(1, "say", R"(["x", "one"])");
  world_.settle();
  ada.heard();
  // The last commit of the actor that falls asleep hangs in the store.
  fiber::Event go;
  bool mayWrite = false;
  world_.store().beforeWrite = [&](const store::DatabaseWrite&) -> Status {
    while (!mayWrite) go.wait();
    return {};
  };
  world_.advance(31s);
  world_.advance(1s);
  ASSERT_EQ(world_.host().stats().actorsAwake, 1u);  // on its way
  EXPECT_EQ(hooks.back(), "sleep");
  for (std::uint64_t id = 2; id <= 5; ++id) {
    ada.call(id, "say", R"(["x", ")" + std::to_string(id) + "\"]");
  }
  world_.settle();
  EXPECT_THAT(ada.heard(), IsEmpty());
  mayWrite = true;
  go.notifyAll();
  world_.settle();
  world_.store().beforeWrite = nullptr;
  std::vector<std::string> events;
  for (std::string& each : ada.heard()) {
    if (each.starts_with("message")) events.push_back(each);
  }
  EXPECT_THAT(events, ElementsAre(said("2", 2), said("3", 3), said("4", 4), said("5", 5)));
  EXPECT_EQ(hooks.back(), "wake 1");
}

TEST_F(HibernationTest, messages_that_arrive_while_it_wakes_are_handled_in_order) {
  TestClient ada(world_, "chat", "a", as("ada"));
  fallAsleep();
  ada.heard();
  fiber::Event go;
  bool mayOpen = false;
  world_.store().beforeOpen = [&](const store::OpenRequest&) -> Status {
    while (!mayOpen) go.wait();
    return {};
  };
  for (std::uint64_t id = 1; id <= 4; ++id) {
    ada.call(id, "rename", "[\"" + std::to_string(id) + "\"]");
    ada.call(id + 10, "me");
    world_.settle();
  }
  mayOpen = true;
  go.notifyAll();
  world_.settle();
  world_.store().beforeOpen = nullptr;
  EXPECT_THAT(ada.heard(),
              ElementsAre("reply 1: null", R"(reply 11: "1/ada")", "reply 2: null",
                          R"(reply 12: "2/ada")", "reply 3: null", R"(reply 13: "3/ada")",
                          "reply 4: null", R"(reply 14: "4/ada")"));
}

TEST_F(HibernationTest, a_client_that_goes_while_the_actor_sleeps_wakes_it_for_the_hook) {
  TestClient ada(world_, "chat", "a", as("ada"));
  fallAsleep();
  hooks.clear();
  ada.close();
  EXPECT_THAT(hooks, ElementsAre("wake 0", "disconnect ada"));
  EXPECT_EQ(world_.call("chat", "a", "count"), "1");
}

TEST_F(HibernationTest, an_actor_that_cannot_wake_fails_the_call_and_keeps_the_connection) {
  TestClient ada(world_, "chat", "a", as("ada"));
  fallAsleep();
  ada.heard();
  world_.store().beforeOpen = [](const store::OpenRequest&) -> Status {
    return Error{ErrorCode::Unavailable, "down"};
  };
  ada.call(1, "who");
  world_.settle();
  EXPECT_THAT(ada.heard(), ElementsAre(::testing::StartsWith("reply 1: actor.unavailable: ")));
  world_.store().beforeOpen = nullptr;
  ada.call(2, "who");
  world_.settle();
  EXPECT_THAT(ada.heard(), ElementsAre(R"(reply 2: ["ada"])"));
}

TEST_F(HibernationTest, a_type_may_say_that_connections_keep_it_awake) {
  actor::ActorType awake = actorType<Chat>("awake");
  awake.options.connections.keepAwake = true;
  world_.add(awake);
  TestClient ada(world_, "awake", "a", as("ada"));
  world_.advance(31s);
  world_.advance(1s);
  EXPECT_EQ(world_.host().stats().actorsAwake, 1u);
  ada.close();
  world_.advance(31s);
  world_.advance(1s);
  EXPECT_EQ(world_.host().stats().actorsAwake, 0u);
}

TEST_F(HibernationTest, an_actor_without_events_writes_nothing_more_when_it_sleeps_again) {
  TestClient ada(world_, "chat", "a", as("ada"));
  fallAsleep();
  ada.call(1, "who");
  world_.settle();
  world_.store().resetCalls();
  fallAsleep();
  EXPECT_EQ(world_.store().calls().commits, 0u);
}

}  // namespace
}  // namespace skep::testing
