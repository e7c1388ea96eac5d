// Connections: who is let in, what the actor knows of them, and how they end.

#include <gmock/gmock.h>

#include "chat.h"
#include "skep/testing/test_client.h"

namespace skep::testing {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

class ConnectionsTest : public ::testing::Test {
 protected:
  ConnectionsTest() {
    hooks.clear();
    world_.add<Chat>("chat");
  }
  static TestClient::Options as(const std::string& name) {
    return {.parameters = R"({"name":")" + name + "\"}", .subscriptions = {"message", "count"}};
  }
  std::string chat(const std::string& action, const std::string& arguments = "[]") {
    return world_.call("chat", "a", action, arguments);
  }

  ActorWorld world_;
};

TEST_F(ConnectionsTest, the_hooks_run_in_order) {
  TestClient ada(world_, "chat", "a", as("ada"));
  EXPECT_THAT(ada.heard(), ElementsAre("connected"));
  ada.close();
  EXPECT_THAT(hooks, ElementsAre("wake 0", "admit ada", "state", "connect ada", "disconnect ada"));
  EXPECT_THAT(ada.heard(), IsEmpty());  // who closes hears no more
  EXPECT_EQ(chat("who"), "[]");
  EXPECT_EQ(chat("count"), "1");
}

TEST_F(ConnectionsTest, a_hook_refuses_with_its_reason) {
  TestClient bob(world_, "chat", "a", as("bob"));
  EXPECT_THAT(bob.heard(), ElementsAre("closed: user.name_taken: bob is here"));
  EXPECT_FALSE(bob.mayRetry());
  TestClient::Options banned = as("eve");
  banned.headers = {{"x-banned", "yes"}};
  TestClient eve(world_, "chat", "a", banned);
  EXPECT_THAT(eve.heard(), ElementsAre("closed: request.forbidden: you are banned"));
  TestClient nobody(world_, "chat", "a", {.parameters = R"({"nam":"x"})"});
  EXPECT_THAT(nobody.heard(), ElementsAre(HasSubstr("parameters.name: is missing")));
  EXPECT_EQ(chat("who"), "[]");
  EXPECT_THAT(hooks, ElementsAre("wake 0", "admit bob", "admit eve"));
}

TEST_F(ConnectionsTest, on_connect_that_throws_ends_the_connection_without_a_disconnect_hook) {
  TestClient late(world_, "chat", "a", as("late"));
  EXPECT_THAT(late.heard(), ElementsAre("closed: user.late: too late"));
  EXPECT_EQ(chat("who"), "[]");
  EXPECT_THAT(hooks, ElementsAre("wake 0", "admit late", "state", "connect late"));
}

TEST_F(ConnectionsTest, what_on_connect_broadcasts_comes_after_connected) {
  TestClient loud(world_, "chat", "a", as("loud"));
  EXPECT_THAT(loud.heard(), ElementsAre("connected", "count 1 #1"));
}

TEST_F(ConnectionsTest, a_connection_to_a_missing_actor_or_type_is_refused) {
  TestClient::Options get = as("ada");
  get.existence = call::Existence::Get;
  TestClient ada(world_, "chat", "a", get);
  EXPECT_THAT(ada.heard(), ElementsAre(StartsWith("closed: actor.not_found: ")));
  TestClient eve(world_, "nothing", "a", get);
  EXPECT_THAT(eve.heard(), ElementsAre(StartsWith("closed: actor.unknown_type: ")));
}

TEST_F(ConnectionsTest, calls_know_their_connection_and_its_state) {
  TestClient ada(world_, "chat", "a", as("ada"));
  TestClient eve(world_, "chat", "a", as("eve"));
  ada.call(1, "me");
  ada.call(2, "rename", R"(["Ada Lovelace"])");
  ada.call(3, "me");
  eve.call(1, "who");
  world_.settle();
  EXPECT_THAT(ada.heard(), ElementsAre("connected", R"(reply 1: "ada/ada")", "reply 2: null",
                                       R"(reply 3: "Ada Lovelace/ada")"));
  EXPECT_THAT(eve.heard(), ElementsAre("connected", R"(reply 1: ["Ada Lovelace","eve"])"));
  EXPECT_EQ(chat("me"), "null");
}

TEST_F(ConnectionsTest, calls_sent_before_it_is_open_wait_and_keep_their_order) {
  fiber::Event let;
  bool mayOpen = false;
  world_.store().beforeOpen = [&](const store::OpenRequest&) -> Status {
    while (!mayOpen) let.wait();
    return {};
  };
  TestClient ada(world_, "chat", "a", as("ada"));
  ada.call(1, "rename", R"(["one"])");
  ada.call(2, "me");
  ada.subscribe("whisper");
  world_.settle();
  EXPECT_THAT(ada.heard(), IsEmpty());
  mayOpen = true;
  let.notifyAll();
  world_.settle();
  world_.store().beforeOpen = nullptr;
  EXPECT_THAT(ada.heard(), ElementsAre("connected", "reply 1: null", R"(reply 2: "one/ada")"));
}

TEST_F(ConnectionsTest, calls_of_one_connection_interleave_and_answer_out_of_order) {
  TestClient ada(world_, "chat", "a", {.parameters = R"({"name":"ada"})"});
  ada.call(1, "sayThenWait", R"(["ada", 100])");
  ada.call(2, "count");
  world_.settle();
  EXPECT_THAT(ada.heard(), ElementsAre("connected", "reply 2: 1"));
  world_.advance(100ms);
  EXPECT_THAT(ada.heard(), ElementsAre("reply 1: null"));
}

TEST_F(ConnectionsTest, calls_to_an_actor_that_runs_one_at_a_time_are_answered_in_order) {
  actor::ActorType serial = actorType<Chat>("serial");
  serial.options.concurrency = Concurrency::OneAtATime;
  world_.add(serial);
  TestClient ada(world_, "serial", "a", {.parameters = R"({"name":"ada"})"});
  ada.call(1, "sayThenWait", R"(["ada", 100])");
  ada.call(2, "count");
  world_.settle();
  EXPECT_THAT(ada.heard(), ElementsAre("connected"));
  world_.advance(100ms);
  EXPECT_THAT(ada.heard(), ElementsAre("reply 1: null", "reply 2: 2"));
}

TEST_F(ConnectionsTest, messages_go_to_one_or_to_those_with_a_tag) {
  TestClient ada(world_, "chat", "a", as("ada"));
  TestClient eve(world_, "chat", "a", as("eve"));
  TestClient joe(world_, "chat", "a", as("joe"));
  chat("whisper", R"(["eve", "psst"])");
  EXPECT_THAT(eve.heard(), ElementsAre("connected", R"(whisper "psst")"));
  EXPECT_THAT(ada.heard(), ElementsAre("connected"));
  ada.call(1, "tag", R"(["admin"])");
  joe.call(1, "tag", R"(["admin"])");
  world_.settle();
  chat("sendTagged", R"(["admin", "hush"])");
  EXPECT_THAT(ada.heard(), ElementsAre("reply 1: null", R"(whisper "hush")"));
  EXPECT_THAT(joe.heard(), ElementsAre("connected", "reply 1: null", R"(whisper "hush")"));
  EXPECT_THAT(eve.heard(), IsEmpty());
}

TEST_F(ConnectionsTest, the_actor_ends_a_connection_with_a_reason) {
  TestClient ada(world_, "chat", "a", as("ada"));
  chat("kick", R"(["ada", "behave"])");
  world_.settle();
  EXPECT_THAT(ada.heard(), ElementsAre("connected", "closed: actor.disconnected: behave"));
  EXPECT_FALSE(ada.mayRetry());
  EXPECT_EQ(hooks.back(), "disconnect ada");
  EXPECT_EQ(chat("who"), "[]");
}

TEST_F(ConnectionsTest, a_reply_comes_after_what_its_turn_sent_and_the_close_after_that) {
  TestClient ada(world_, "chat", "a", as("ada"));
  ada.call(1, "say", R"(["ada", "hello"])");
  world_.settle();
  EXPECT_THAT(ada.heard(), ElementsAre("connected", R"(message {"sender":"ada","text":"hello"} #1)",
                                       "reply 1: null"));
}

TEST_F(ConnectionsTest, a_turn_that_is_rolled_back_changes_and_sends_nothing) {
  TestClient ada(world_, "chat", "a", as("ada"));
  ada.call(1, "sayAndThrow", R"(["ada"])");
  ada.call(2, "me");
  world_.settle();
  chat("sendTagged", R"(["never", "x"])");
  EXPECT_THAT(ada.heard(),
              ElementsAre("connected", "reply 1: user.thrown: as asked", R"(reply 2: "ada/ada")"));
}

TEST_F(ConnectionsTest, a_client_that_goes_while_its_call_runs_does_not_stop_the_call) {
  TestClient ada(world_, "chat", "a", as("ada"));
  ada.call(1, "sayThenWait", R"(["ada", 100])");
  world_.settle();
  ada.close();
  world_.advance(100ms);
  EXPECT_EQ(chat("count"), "3");  // before, left, after
}

TEST_F(ConnectionsTest, a_client_that_goes_before_it_is_let_in_is_seen_to_go) {
  fiber::Event let;
  bool mayOpen = false;
  world_.store().beforeOpen = [&](const store::OpenRequest&) -> Status {
    while (!mayOpen) let.wait();
    return {};
  };
  TestClient ada(world_, "chat", "a", as("ada"));
  ada.close();
  mayOpen = true;
  let.notifyAll();
  world_.settle();
  world_.store().beforeOpen = nullptr;
  EXPECT_THAT(ada.heard(), IsEmpty());
  EXPECT_EQ(hooks.back(), "disconnect ada");
  EXPECT_EQ(chat("who"), "[]");
}

TEST_F(ConnectionsTest, many_that_leave_at_once_are_seen_to_leave_one_after_the_other) {
  std::vector<std::unique_ptr<TestClient>> clients;
  for (int i = 0; i < 100; ++i) {
    clients.push_back(std::make_unique<TestClient>(world_, "chat", "a", as(std::to_string(i))));
  }
  hooks.clear();
  chat("kickAll");
  world_.settle();
  ASSERT_EQ(hooks.size(), 100u);
  for (std::size_t i = 0; i < 100; ++i) EXPECT_EQ(hooks[i], "disconnect " + std::to_string(i));
  EXPECT_EQ(chat("count"), "100");
}

TEST_F(ConnectionsTest, destroy_ends_all_connections) {
  TestClient ada(world_, "chat", "a", as("ada"));
  TestClient eve(world_, "chat", "a", as("eve"));
  ada.call(1, "vanish");
  world_.settle();
  EXPECT_THAT(ada.heard(),
              ElementsAre("connected", "reply 1: null", StartsWith("closed: actor.destroyed: ")));
  EXPECT_THAT(eve.heard(), ElementsAre("connected", StartsWith("closed: actor.destroyed: ")));
  EXPECT_FALSE(eve.mayRetry());
}

TEST_F(ConnectionsTest, a_host_that_closes_ends_connections_and_says_that_they_may_come_back) {
  TestClient ada(world_, "chat", "a", as("ada"));
  ada.heard();
  world_.restart();
  EXPECT_THAT(ada.heard(), ElementsAre(StartsWith("closed: actor.shutting_down: ")));
  EXPECT_TRUE(ada.mayRetry());
  EXPECT_THAT(
      hooks, ElementsAre("wake 0", "admit ada", "state", "connect ada", "disconnect ada", "sleep"));
}

TEST_F(ConnectionsTest, connections_are_bounded_in_number_and_parameters) {
  actor::ActorType small = actorType<Chat>("small");
  small.options.connections.countMax = 1;
  small.options.connections.parameterBytesMax = 100;
  world_.add(small);
  TestClient ada(world_, "small", "a", as("ada"));
  TestClient eve(world_, "small", "a", as("eve"));
  EXPECT_THAT(eve.heard(), ElementsAre(StartsWith("closed: actor.overloaded: ")));
  EXPECT_TRUE(eve.mayRetry());
  TestClient big(world_, "small", "b", as(std::string(200, 'x')));
  EXPECT_THAT(big.heard(), ElementsAre(HasSubstr("at most 100 bytes")));
}

}  // namespace
}  // namespace skep::testing
