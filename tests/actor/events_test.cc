// Events: who gets them, when they may leave, and how a client goes on where it stopped.

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

class EventsTest : public ::testing::Test {
 protected:
  EventsTest() {
    hooks.clear();
    world_.add<Chat>("chat");
  }
  static TestClient::Options as(const std::string& name) {
    return {.parameters = R"({"name":")" + name + "\"}", .subscriptions = {"message"}};
  }
  /// A client that comes back.
  static TestClient::Options again(const TestClient& before) {
    TestClient::Options options = as("again");
    options.resume = before.position();
    options.resumedConnection = before.id();
    return options;
  }
  std::string chat(const std::string& action, const std::string& arguments = "[]") {
    return world_.call("chat", "a", action, arguments);
  }
  void say(const std::string& text) { chat("say", R"(["x",")" + text + "\"]"); }
  static std::string said(const std::string& text, int number) {
    return R"(message {"sender":"x","text":")" + text + "\"} #" + std::to_string(number);
  }

  ActorWorld world_;
};

TEST_F(EventsTest, those_who_subscribe_get_them_as_long_as_they_do) {
  TestClient ada(world_, "chat", "a", as("ada"));
  TestClient eve(world_, "chat", "a", {.parameters = R"({"name":"eve"})"});
  say("one");
  eve.subscribe("message");
  ada.unsubscribe("message");
  say("two");
  EXPECT_THAT(ada.heard(), ElementsAre("connected", said("one", 1)));
  EXPECT_THAT(eve.heard(), ElementsAre("connected", said("two", 2)));
}

TEST_F(EventsTest, a_star_stands_for_all_events_of_the_type) {
  TestClient ada(world_, "chat", "a", {.parameters = R"({"name":"ada"})", .subscriptions = {"*"}});
  TestClient eve(world_, "chat", "a", {.parameters = R"({"name":"eve"})"});
  eve.subscribe("*");
  say("one");
  EXPECT_EQ(world_.call("chat", "a", "readOnly"), "null");
  EXPECT_THAT(ada.heard(), ElementsAre("connected", said("one", 1), "count 1 #2"));
  EXPECT_THAT(eve.heard(), ElementsAre("connected", said("one", 1), "count 1 #2"));
  eve.unsubscribe("*");
  say("two");
  EXPECT_THAT(eve.heard(), ElementsAre());
}

TEST_F(EventsTest, a_broadcast_can_leave_one_out) {
  TestClient ada(world_, "chat", "a", as("ada"));
  TestClient eve(world_, "chat", "a", as("eve"));
  ada.call(1, "sayToOthers", R"(["hi"])");
  world_.settle();
  EXPECT_THAT(ada.heard(), ElementsAre("connected", "reply 1: null"));
  EXPECT_THAT(eve.heard(),
              ElementsAre("connected", R"(message {"sender":"other","text":"hi"} #1)"));
  TestClient back(world_, "chat", "a", [&] {
    TestClient::Options options = again(ada);
    options.resume = call::EventPosition{ada.position().stream, 0};
    return options;
  }());
  EXPECT_THAT(back.heard(), ElementsAre("connected"));  // nor later
}

TEST_F(EventsTest, events_that_nobody_declared_are_clear_errors) {
  TestClient ada(world_, "chat", "a", as("ada"));
  ada.subscribe("mesage");
  world_.settle();
  EXPECT_THAT(ada.heard(), ElementsAre("connected",
                                       "refused: actor.unknown_event: actor type 'chat' has no "
                                       "event named 'mesage'"));
  TestClient eve(world_, "chat", "a",
                 {.parameters = R"({"name":"eve"})", .subscriptions = {"nothing"}});
  EXPECT_THAT(eve.heard(), ElementsAre(StartsWith("closed: actor.unknown_event: ")));
  ::testing::internal::CaptureStderr();
  EXPECT_THAT(chat("undeclared"), StartsWith("internal.internal: "));
  EXPECT_THAT(chat("wrongType"), StartsWith("internal.internal: "));
  const std::string log = ::testing::internal::GetCapturedStderr();
  EXPECT_THAT(log, HasSubstr("no event named 'mesage' is declared; declared are: 'count', "
                             "'message', 'whisper'"));
  EXPECT_THAT(log, HasSubstr("event 'message' carries 'skep::testing::Message', not 'int'"));
}

// ---- The output gate

TEST_F(EventsTest, events_wait_until_what_they_tell_is_durable) {
  TestClient ada(world_, "chat", "a", as("ada"));
  ada.heard();
  fiber::Event durable;
  bool mayWrite = false;
  world_.store().beforeWrite = [&](const store::DatabaseWrite&) -> Status {
    while (!mayWrite) durable.wait();
    return {};
  };
  ada.call(1, "say", R"(["x", "one"])");
  ada.call(2, "readOnly");  // it has seen what is not durable yet
  ada.call(3, "leave");
  world_.settle();
  EXPECT_THAT(ada.heard(), IsEmpty());
  mayWrite = true;
  durable.notifyAll();
  world_.settle();
  world_.store().beforeWrite = nullptr;
  // Replies of turns that became durable together follow what all of them had to say.
  std::vector<std::string> heard = ada.heard();
  ASSERT_FALSE(heard.empty());
  EXPECT_EQ(heard.front(), said("one", 1));
  EXPECT_EQ(heard.back(), "closed: actor.disconnected: bye");
}

TEST_F(EventsTest, events_leave_without_a_reply_that_waits_for_them) {
  TestClient ada(world_, "chat", "a", as("ada"));
  ada.heard();
  ada.call(1, "sayThenWait", R"(["x", 1000])");
  world_.settle();
  EXPECT_THAT(ada.heard(), ElementsAre(said("before", 1)));
  world_.advance(1s);
  EXPECT_THAT(ada.heard(), ElementsAre(said("after", 2), "reply 1: null"));
}

TEST_F(EventsTest, after_a_commit_that_failed_nothing_leaves_and_connections_are_closed) {
  TestClient ada(world_, "chat", "a", as("ada"));
  TestClient eve(world_, "chat", "a", as("eve"));
  ada.heard();
  eve.heard();
  bool fails = true;
  world_.store().beforeWrite = [&](const store::DatabaseWrite&) -> Status {
    if (std::exchange(fails, false)) return Error{ErrorCode::Fenced, "another owner"};
    return {};
  };
  ada.call(1, "say", R"(["x", "lost"])");
  world_.settle();
  world_.store().beforeWrite = nullptr;
  EXPECT_THAT(ada.heard(), ElementsAre(StartsWith("reply 1: actor.broken: "),
                                       StartsWith("closed: actor.broken: ")));
  EXPECT_THAT(eve.heard(), ElementsAre(StartsWith("closed: actor.broken: ")));
  EXPECT_TRUE(ada.mayRetry());
  // Who comes back is told: the old stream's end is not known.
  TestClient back(world_, "chat", "a", again(ada));
  EXPECT_THAT(back.heard(), ElementsAre("connected", "missed"));
  say("next");
  EXPECT_THAT(back.heard(), ElementsAre(said("next", 1)));
}

TEST_F(EventsTest, every_event_that_was_heard_follows_from_durable_data) {
  // The store fails its write number N, in each of its ways, for N = 1, 2, 3… until none is left.
  for (const ErrorCode code :
       {ErrorCode::Fenced, ErrorCode::Unavailable, ErrorCode::UnknownOutcome}) {
    std::uint64_t failed = 0;
    bool wasReached = true;
    for (std::uint64_t n = 1; wasReached; ++n) {
      const std::string room = std::to_string(static_cast<int>(code)) + "-" + std::to_string(n);
      std::uint64_t writes = 0;
      wasReached = false;
      world_.store().beforeWrite = [&](const store::DatabaseWrite&) -> Status {
        if (++writes != n) return {};
        wasReached = true;
        return Error{code, "as the test wants it"};
      };
      std::vector<std::string> heard;
      for (int i = 0; i < 4; ++i) {
        TestClient ada(world_, "chat", room, as("ada"));
        ada.call(1, "say", "[\"x\", \"" + std::to_string(i) + "a\"]");
        ada.call(2, "say", "[\"x\", \"" + std::to_string(i) + "b\"]");
        world_.settle();
        for (int waits = 0; waits < 10; ++waits) world_.advance(1s);  // the store's own retries
        for (const std::string& each : ada.heard()) {
          if (each.starts_with("message ")) heard.push_back(each);
        }
      }
      for (int waits = 0; waits < 10; ++waits) world_.advance(1s);
      world_.store().beforeWrite = nullptr;
      if (wasReached) ++failed;
      world_.restart();
      const std::string stored = world_.call("chat", room, "texts");
      for (const std::string& each : heard) {
        const std::string text = each.substr(each.find("text") + 7, 2);
        EXPECT_THAT(stored, HasSubstr(text)) << "write " << n << " heard " << each;
      }
      if (!wasReached) {
        EXPECT_EQ(heard.size(), 8u);
      }
    }
    EXPECT_GT(failed, 4u);
  }
}

TEST_F(EventsTest, a_relaxed_actor_does_not_wait) {
  actor::ActorType relaxed = actorType<Chat>("relaxed");
  relaxed.options.durability = Durability::Relaxed;
  world_.add(relaxed);
  TestClient ada(world_, "relaxed", "a", as("ada"));
  ada.heard();
  fiber::Event durable;
  bool mayWrite = false;
  world_.store().beforeWrite = [&](const store::DatabaseWrite&) -> Status {
    while (!mayWrite) durable.wait();
    return {};
  };
  ada.call(1, "say", R"(["x", "soon"])");
  world_.settle();
  EXPECT_THAT(ada.heard(), ElementsAre(said("soon", 1), "reply 1: null"));
  mayWrite = true;
  durable.notifyAll();
  world_.settle();
  world_.store().beforeWrite = nullptr;
  // Its events leave before the database knows of them, so sleep begins a new stream.
  ada.close();
  world_.advance(32s);
  world_.advance(1s);
  TestClient back(world_, "relaxed", "a", again(ada));
  EXPECT_THAT(back.heard(), ElementsAre("connected", "missed"));
}

TEST_F(EventsTest, what_waits_to_become_durable_is_bounded) {
  actor::ActorType small = actorType<Chat>("small");
  small.options.connections.outboxBytesMax = 10'000;
  world_.add(small);
  EXPECT_EQ(world_.call("small", "a", "flood", "[10, 500]"), "null");
  EXPECT_THAT(world_.call("small", "a", "flood", "[20, 500]"),
              StartsWith("actor.limit_exceeded: more than 10000 bytes"));
  EXPECT_EQ(world_.call("small", "a", "flood", "[10, 500]"), "null");
}

// ---- Continuation

TEST_F(EventsTest, a_client_that_comes_back_goes_on_where_it_stopped) {
  TestClient ada(world_, "chat", "a", as("ada"));
  say("one");
  ada.close();
  say("two");
  say("three");
  TestClient back(world_, "chat", "a", again(ada));
  say("four");
  EXPECT_THAT(back.heard(),
              ElementsAre("connected", said("two", 2), said("three", 3), said("four", 4)));
}

TEST_F(EventsTest, a_client_that_was_away_too_long_is_told_so) {
  actor::ActorType small = actorType<Chat>("chat");
  small.options.connections.eventsKept = 2;
  world_.registry() = actor::Registry();
  world_.add(small);
  TestClient ada(world_, "chat", "a", as("ada"));
  say("one");
  ada.close();
  for (const char* text : {"two", "three", "four"}) say(text);
  TestClient back(world_, "chat", "a", again(ada));
  say("five");
  EXPECT_THAT(back.heard(), ElementsAre("connected", "missed", said("five", 5)));
}

TEST_F(EventsTest, only_events_that_it_subscribes_to_can_be_missed) {
  actor::ActorType small = actorType<Chat>("chat");
  small.options.connections.eventsKept = 2;
  world_.registry() = actor::Registry();
  world_.add(small);
  TestClient ada(world_, "chat", "a", as("ada"));
  say("one");
  ada.close();
  for (int i = 0; i < 5; ++i) chat("readOnly");
  TestClient back(world_, "chat", "a", again(ada));
  EXPECT_THAT(back.heard(), ElementsAre("connected"));
}

TEST_F(EventsTest, kept_events_are_bounded_in_bytes) {
  actor::ActorType small = actorType<Chat>("chat");
  small.options.connections.eventBytesKept = 5'000;
  world_.registry() = actor::Registry();
  world_.add(small);
  TestClient ada(world_, "chat", "a", as("ada"));
  chat("flood", "[3, 1000]");
  ada.close();
  chat("flood", "[3, 1000]");
  TestClient back(world_, "chat", "a", again(ada));
  EXPECT_EQ(back.heard().size(), 4u);
  back.close();
  chat("flood", "[10, 1000]");
  TestClient late(world_, "chat", "a", again(back));
  EXPECT_THAT(late.heard(), ElementsAre("connected", "missed"));
}

TEST_F(EventsTest, a_position_stays_valid_across_sleep) {
  TestClient ada(world_, "chat", "a", as("ada"));
  say("one");
  ada.close();
  world_.advance(31s);
  world_.advance(1s);
  ASSERT_EQ(world_.host().stats().actorsAwake, 0u);
  TestClient back(world_, "chat", "a", again(ada));
  say("two");
  EXPECT_THAT(back.heard(), ElementsAre("connected", said("two", 2)));
}

TEST_F(EventsTest, a_position_from_before_sleep_that_lacks_events_is_told_so) {
  TestClient ada(world_, "chat", "a", as("ada"));
  say("one");
  ada.close();
  say("two");
  world_.advance(31s);
  world_.advance(1s);
  TestClient back(world_, "chat", "a", again(ada));
  EXPECT_THAT(back.heard(), ElementsAre("connected", "missed"));
}

TEST_F(EventsTest, a_crash_begins_a_new_stream) {
  TestClient ada(world_, "chat", "a", as("ada"));
  say("one");
  ada.close();
  world_.advance(32s);
  world_.advance(1s);  // asleep: its position is saved
  say("two");          // and now it holds no longer
  world_.store().beforeWrite = [&](const store::DatabaseWrite&) -> Status {
    return Error{ErrorCode::Fenced, "another owner"};
  };
  chat("say", R"(["x", "never"])");
  world_.store().beforeWrite = nullptr;
  TestClient back(world_, "chat", "a", again(ada));
  EXPECT_THAT(back.heard(), ElementsAre("connected", "missed"));
  EXPECT_NE(back.position().stream, ada.position().stream);
}

TEST_F(EventsTest, a_turn_that_is_rolled_back_leaves_the_saved_position_alone) {
  TestClient ada(world_, "chat", "a", as("ada"));
  say("one");
  ada.call(1, "sayAndThrow", R"(["ada"])");
  world_.settle();
  ada.close();
  world_.advance(32s);
  world_.advance(1s);
  TestClient eve(world_, "chat", "a", {.parameters = R"({"name":"eve"})"});
  eve.call(1, "sayAndThrow", R"(["eve"])");
  world_.settle();
  TestClient back(world_, "chat", "a", again(ada));
  say("two");
  EXPECT_THAT(back.heard(), ElementsAre("connected", said("two", 2)));
}

// ---- Events that are kept

class KeptEventsTest : public EventsTest {
 protected:
  static constexpr std::size_t kKept = 16;

  KeptEventsTest() { keep(kKept); }
  void keep(std::size_t history) {
    actor::ActorType type = actorType<Chat>("chat");
    type.events["message"].history = history;
    world_.registry() = actor::Registry();
    world_.add(type);
  }
  /// The actor loses its database in the middle of a turn.
  void crash() {
    world_.store().beforeWrite = [&](const store::DatabaseWrite&) -> Status {
      return Error{ErrorCode::Fenced, "another owner"};
    };
    say("lost");
    world_.store().beforeWrite = nullptr;
  }
};

TEST_F(KeptEventsTest, a_client_goes_on_after_a_crash) {
  TestClient ada(world_, "chat", "a", as("ada"));
  say("one");
  ada.close();
  say("two");
  crash();
  say("three");
  TestClient back(world_, "chat", "a", again(ada));
  say("four");
  EXPECT_THAT(back.heard(),
              ElementsAre("connected", said("two", 2), said("three", 1), said("four", 2)));
  EXPECT_NE(back.position().stream, ada.position().stream);
  // Also from a position in between, and after another process has taken over.
  back.close();
  world_.restart();
  say("five");
  TestClient later(world_, "chat", "a", again(ada));
  EXPECT_THAT(later.heard(), ElementsAre("connected", said("two", 2), said("three", 1),
                                         said("four", 2), said("five", 3)));
  TestClient recent(world_, "chat", "a", again(back));
  EXPECT_THAT(recent.heard(), ElementsAre("connected", said("five", 3)));
}

TEST_F(KeptEventsTest, a_client_goes_on_after_sleep) {
  TestClient ada(world_, "chat", "a", as("ada"));
  ada.close();
  say("one");
  world_.advance(32s);
  world_.advance(1s);
  TestClient back(world_, "chat", "a", again(ada));
  EXPECT_THAT(back.heard(), ElementsAre("connected", said("one", 1)));
}

TEST_F(KeptEventsTest, the_oldest_are_dropped_and_who_lacks_them_is_told) {
  TestClient ada(world_, "chat", "a", as("ada"));
  say("first");
  ada.close();
  for (std::size_t i = 0; i < kKept; ++i) say("more");
  TestClient eve(world_, "chat", "a", as("eve"));
  eve.close();
  for (std::size_t i = 0; i < kKept - 1; ++i) say("more");
  world_.restart();
  TestClient back(world_, "chat", "a", again(ada));
  EXPECT_THAT(back.heard(), ElementsAre("connected", "missed"));
  TestClient recent(world_, "chat", "a", again(eve));
  EXPECT_EQ(recent.heard().size(), kKept);  // "connected" is one of them
  const std::string rows = chat("kept");
  EXPECT_LE(std::stoul(rows), kKept + kKept / 4);
  EXPECT_GE(std::stoul(rows), kKept);
}

TEST_F(KeptEventsTest, a_turn_that_is_rolled_back_keeps_nothing) {
  TestClient ada(world_, "chat", "a", as("ada"));
  say("one");
  ada.call(1, "sayAndThrow", R"(["ada"])");
  world_.settle();
  say("two");
  EXPECT_EQ(chat("kept"), "2");
  EXPECT_THAT(ada.heard(), ElementsAre("connected", said("one", 1),
                                       "reply 1: user.thrown: as asked", said("two", 2)));
}

TEST_F(KeptEventsTest, what_would_not_fit_is_kept_neither_in_the_database_nor_sent) {
  actor::ActorType small = actorType<Chat>("small");
  small.events["message"].history = kKept;
  small.options.connections.outboxBytesMax = 10'000;
  world_.add(small);
  TestClient ada(world_, "small", "a", as("ada"));
  ada.call(1, "floodAndGoOn", "[100, 500]");
  world_.settle();
  const std::vector<std::string> heard = ada.heard();
  EXPECT_EQ(world_.call("small", "a", "kept"), std::to_string(heard.size() - 2));
}

TEST_F(KeptEventsTest, who_was_left_out_stays_left_out) {
  TestClient ada(world_, "chat", "a", as("ada"));
  ada.call(1, "sayToOthers", R"(["secret"])");
  world_.settle();
  ada.close();
  say("public");
  world_.restart();
  TestClient back(world_, "chat", "a", [&] {
    TestClient::Options options = again(ada);
    return options;
  }());
  EXPECT_THAT(back.heard(), ElementsAre("connected", said("public", 2)));
}

TEST_F(KeptEventsTest, who_also_wants_others_depends_on_what_is_in_memory) {
  TestClient::Options both = as("ada");
  both.subscriptions = {"message", "count"};
  TestClient ada(world_, "chat", "a", both);
  say("one");
  ada.close();
  say("two");
  both.resume = ada.position();
  TestClient back(world_, "chat", "a", both);
  EXPECT_THAT(back.heard(), ElementsAre("connected", said("two", 2)));
  world_.restart();
  TestClient late(world_, "chat", "a", both);
  EXPECT_THAT(late.heard(), ElementsAre("connected", "missed"));
}

TEST_F(KeptEventsTest, too_much_to_repeat_is_missed) {
  actor::ActorType small = actorType<Chat>("small");
  small.events["message"].history = 1'000;
  small.options.connections.replayBytesMax = 10'000;
  small.options.connections.eventBytesKept = 1;
  world_.add(small);
  TestClient ada(world_, "small", "a", as("ada"));
  ada.close();
  world_.call("small", "a", "flood", "[10, 500]");
  TestClient back(world_, "small", "a", again(ada));
  EXPECT_EQ(back.heard().size(), 11u);
  world_.call("small", "a", "flood", "[10, 500]");
  TestClient late(world_, "small", "a", again(ada));
  EXPECT_THAT(late.heard(), ElementsAre("connected", "missed"));
}

}  // namespace
}  // namespace skep::testing
