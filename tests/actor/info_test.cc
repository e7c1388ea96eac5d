// What a host tells of its actors without waking them.

#include <gmock/gmock.h>

#include "skep/actor/last_errors.h"
#include "skep/testing/actor_world.h"
#include "skep/testing/test_client.h"

namespace skep::testing {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

struct Worker : Actor {
  static void define(Definition<Worker>& d) {
    d.migration(1, "CREATE TABLE t(a)");
    d.action("work", &Worker::work).action("crash", &Worker::crash).action("plan", &Worker::plan);
    d.action("wait", &Worker::wait).action("refuse", &Worker::refuse);
  }
  void work(Context& c) { c.execute("INSERT INTO t VALUES (1)"); }
  void crash(Context&) { throw std::runtime_error("the engine fell off"); }
  void refuse(Context&) { throw UserError("no", "as a rule"); }
  void plan(Context& c) { c.schedule().after(std::chrono::hours(1), "work"); }
  void wait(Context& c) { c.sleepFor(std::chrono::minutes(2)); }
};

class InfoTest : public ::testing::Test {
 protected:
  InfoTest() { world_.add<Worker>("worker"); }
  call::ActorAddress actor(const std::string& key = "a") {
    return {.type = "worker", .key = {key}};
  }
  call::ActorDetails info(const std::string& key = "a") {
    call::ActorDetails details;
    world_.run([&] {
      auto known = world_.host().info(actor(key));
      const auto* failure = std::get_if<call::Failure>(&known);
      ASSERT_EQ(failure, nullptr) << failure->toString();
      details = std::get<call::ActorDetails>(std::move(known));
    });
    return details;
  }
  template <class Ask>
  std::string failureOf(Ask ask) {
    std::string result = "none";
    world_.run([&] {
      const auto outcome = ask();
      if (const auto* failure = std::get_if<call::Failure>(&outcome)) result = failure->toString();
    });
    return result;
  }
  std::string work(const std::string& action, const std::string& key = "a") {
    return world_.call("worker", key, action);
  }

  ActorWorld world_;
};

TEST_F(InfoTest, tells_of_an_actor_awake_and_asleep_without_waking_it) {
  const std::int64_t createdMs = world_.clock().wallMs();
  work("plan");
  TestClient client(world_, "worker", "a", {});
  const call::ActorDetails awake = info();
  EXPECT_TRUE(awake.info.isAwake);
  EXPECT_EQ(awake.info.actor, actor());
  EXPECT_EQ(awake.info.createdMs, createdMs);
  EXPECT_GE(awake.info.bytes, 2 * 4096u);
  EXPECT_GT(awake.storedBytes, 0u);
  EXPECT_GE(awake.txid, 1u);
  EXPECT_EQ(awake.alarmMs, createdMs + 3'600'000);
  EXPECT_EQ(awake.connections, 1u);
  EXPECT_EQ(awake.callsUnderWay, 0u);
  EXPECT_FALSE(awake.lastError.has_value());

  world_.advance(60s);
  const call::ActorDetails asleep = info();
  EXPECT_FALSE(asleep.info.isAwake);
  EXPECT_EQ(asleep.connections, 1u) << "the connection outlives sleep";
  EXPECT_EQ(asleep.alarmMs, awake.alarmMs);
  EXPECT_EQ(world_.host().stats().wakes, 1u);
}

TEST_F(InfoTest, counts_the_calls_that_are_under_way) {
  world_.spawn([&] { (void)world_.host().run(ActorWorld::request("worker", "a", "wait")); });
  world_.settle();
  EXPECT_EQ(info().callsUnderWay, 1u);
  world_.advance(130s);
}

TEST_F(InfoTest, an_actor_that_is_not_used_gives_back_memory_and_works_on) {
  work("work");
  const std::size_t used = info().memoryBytes;
  world_.advance(5s);
  EXPECT_TRUE(info().info.isAwake);
  const std::size_t idle = info().memoryBytes;
  EXPECT_LT(idle, used * 3 / 4);
  EXPECT_EQ(work("work"), "null");
  EXPECT_GT(info().memoryBytes, idle);
  world_.advance(5s);
  EXPECT_EQ(info().memoryBytes, idle) << "each time anew";
  world_.advance(1min);
  EXPECT_EQ(info().memoryBytes, 0u);
}

TEST_F(InfoTest, an_actor_that_does_not_exist_is_not_found) {
  EXPECT_THAT(failureOf([&] { return world_.host().info(actor("x")); }),
              HasSubstr("actor.not_found"));
  EXPECT_THAT(failureOf([&] { return world_.host().sleep(actor("x")); }),
              HasSubstr("actor.not_found"));
}

TEST_F(InfoTest, an_actor_is_put_to_sleep_though_it_has_connections) {
  work("work");
  TestClient client(world_, "worker", "a", {});
  EXPECT_EQ(failureOf([&] { return world_.host().sleep(actor()); }), "none");
  EXPECT_FALSE(info().info.isAwake);
  EXPECT_EQ(failureOf([&] { return world_.host().sleep(actor()); }), "none") << "sleeps already";
  EXPECT_FALSE(client.isClosed());
}

TEST_F(InfoTest, the_last_error_is_what_callers_are_not_told) {
  EXPECT_THAT(work("refuse"), HasSubstr("user.no"));
  EXPECT_FALSE(info().lastError.has_value()) << "that is no error of the actor's";
  EXPECT_THAT(work("crash"), ::testing::Not(HasSubstr("engine")));
  world_.advance(60s);
  const auto error = info().lastError;
  ASSERT_TRUE(error.has_value());
  EXPECT_EQ(error->message, "the engine fell off");
  EXPECT_EQ(error->timeMs, world_.clock().wallMs() - 60'000);
}

TEST_F(InfoTest, a_commit_that_fails_and_a_wake_that_fails_are_last_errors) {
  work("work");
  world_.store().beforeWrite = [](const store::DatabaseWrite&) -> Status {
    return Error{ErrorCode::StoreFull, "no room"};
  };
  work("work");
  world_.store().beforeWrite = nullptr;
  ASSERT_TRUE(info().lastError.has_value());
  EXPECT_THAT(info().lastError->message, HasSubstr("it lost its database"));
  world_.store().beforeOpen = [](const store::OpenRequest&) -> Status {
    return Error{ErrorCode::Unavailable, "away"};
  };
  work("work");
  world_.store().beforeOpen = nullptr;
  EXPECT_THAT(info().lastError->message, HasSubstr("it cannot wake: actor.unavailable"));
}

TEST_F(InfoTest, a_destroyed_actor_leaves_no_error_behind) {
  work("crash");
  world_.run([&] { (void)world_.host().destroy(actor()); });
  work("work");
  EXPECT_FALSE(info().lastError.has_value());
}

TEST_F(InfoTest, actors_of_all_types_are_listed_in_pages) {
  for (const char* key : {"a", "b", "c"}) work("work", key);
  std::vector<std::string> seen;
  world_.run([&] {
    std::string after;
    do {
      auto listed = world_.host().list("", after, 2);
      for (const auto& each : std::get<call::ActorList>(listed).actors) {
        seen.push_back(each.actor.toString());
      }
      after = std::get<call::ActorList>(listed).next;
    } while (!after.empty());
  });
  EXPECT_THAT(seen, ElementsAre(R"(worker["a"])", R"(worker["b"])", R"(worker["c"])"));
}

TEST(LastErrors, keeps_those_of_a_bounded_number_of_actors) {
  actor::LastErrors errors(3);
  for (int i = 0; i < 4; ++i) errors.note("a" + std::to_string(i), "oh", i);
  EXPECT_FALSE(errors.find("a0").has_value());
  EXPECT_TRUE(errors.find("a1").has_value());
  for (int i = 0; i < 3; ++i) errors.note("a3", "again " + std::to_string(i), 10 + i);
  EXPECT_TRUE(errors.find("a1").has_value()) << "one that fails again and again takes one place";
  EXPECT_EQ(errors.find("a3")->message, "again 2");
  for (int i = 0; i < 100; ++i) errors.note("a3", "x", i);
  EXPECT_TRUE(errors.find("a3").has_value());
}

TEST(LastErrors, cuts_messages_between_characters) {
  actor::LastErrors errors;
  std::string text = "x";
  while (text.size() < 2 * actor::LastErrors::kMessageBytesMax) text += "é";
  errors.note("a", text, 1);
  const std::string kept = errors.find("a")->message;
  EXPECT_EQ(kept.size(), actor::LastErrors::kMessageBytesMax - 1);
  EXPECT_TRUE(kept.ends_with("é"));
}

}  // namespace
}  // namespace skep::testing
