// Creations that pause, and what is left of them when they do not come to their end.

#include <gmock/gmock.h>

#include "skep/testing/actor_world.h"

namespace skep::testing {
namespace {

using namespace std::chrono_literals;
using ::testing::AnyOf;
using ::testing::StartsWith;

/// Is made in four steps, the first of which asks for a timer.
struct House : Actor {
  static constexpr std::int64_t kSteps = 4;
  static inline int alarms = 0;

  static void define(Definition<House>& d) {
    d.migration(1, "CREATE TABLE step(owner TEXT NOT NULL)");
    d.onCreate(&House::onCreate).action("steps", &House::steps).action("ring", &House::ring);
    d.action("owners", &House::owners);
  }
  void onCreate(Context& c, std::optional<std::string> owner) {
    for (std::int64_t i = 0; i < kSteps; ++i) {
      if (i == 0) c.schedule().after(1h, "ring");
      c.execute("INSERT INTO step VALUES (?)", owner.value_or("nobody"));
      if (i + 1 < kSteps) c.flush();
    }
    if (owner == "refused") throw UserError("refused", "not today");
  }
  void ring(Context&) { ++alarms; }
  std::int64_t steps(Context& c) { return c.queryOne<std::int64_t>("SELECT count(*) FROM step"); }
  std::vector<std::string> owners(Context& c) {
    return c.query<std::string>("SELECT DISTINCT owner FROM step");
  }
};

class CreationTest : public ::testing::Test {
 protected:
  CreationTest() {
    House::alarms = 0;
    world_.add<House>("house");
  }
  static call::ActionRequest steps(call::Existence existence, const std::string& owner = "ada") {
    call::ActionRequest request = ActorWorld::request("house", "a", "steps");
    request.existence = existence;
    if (existence != call::Existence::Get) {
      request.input = call::Payload{.bytes = "\"" + owner + "\""};
    }
    return request;
  }
  /// Begins to make the actor in a process that dies at its `nth` write, before it or after; whether it did.
  bool dieAt(int nth, bool isDone) {
    int writes = 0;
    bool isDead = false;
    const auto die = [&]() -> Status {
      isDead = true;
      while (true) never_.wait();
    };
    (isDone ? world_.store().afterWrite : world_.store().beforeWrite) =
        [&](const store::DatabaseWrite&) -> Status { return ++writes == nth ? die() : Status{}; };
    world_.spawn([this] { (void)world_.host().run(steps(call::Existence::GetOrCreate)); });
    world_.settle();
    world_.store().forgetHooks();
    world_.crash();
    return isDead;
  }
  bool isInStore() {
    bool isThere = false;
    world_.run([&] { isThere = world_.store().info("house/a").ok(); });
    return isThere;
  }

  ActorWorld world_;
  fiber::Event never_;
};

TEST_F(CreationTest, with_pauses_is_whole_once_it_has_ended) {
  EXPECT_EQ(world_.call(steps(call::Existence::Create)), "4");
  world_.restart();
  EXPECT_EQ(world_.call(steps(call::Existence::Get)), "4");
  EXPECT_THAT(world_.call(steps(call::Existence::Create)), StartsWith("actor.already_exists: "));
  world_.advance(2h);
  EXPECT_EQ(House::alarms, 1);
}

TEST_F(CreationTest, that_is_refused_after_pauses_leaves_nothing) {
  EXPECT_EQ(world_.call(steps(call::Existence::GetOrCreate, "refused")), "user.refused: not today");
  EXPECT_FALSE(isInStore());
}

TEST_F(CreationTest, that_a_crash_cuts_short_has_never_been) {
  for (const bool isDone : {false, true}) {
    for (const auto next :
         {call::Existence::Get, call::Existence::Create, call::Existence::GetOrCreate}) {
      int nth = 1;
      for (; dieAt(nth, isDone); ++nth) {
        SCOPED_TRACE(std::to_string(nth) + (isDone ? " done" : " not done"));
        // All of it may have been committed when the process died.
        const std::string found = world_.call(steps(call::Existence::Get));
        EXPECT_THAT(found, AnyOf("4", StartsWith("actor.not_found: ")));
        if (found != "4" && next != call::Existence::Get) {
          EXPECT_EQ(world_.call(steps(next, "bob")), "4");
          EXPECT_EQ(world_.call("house", "a", "owners"), R"(["bob"])");
        }
        world_.run([&] { (void)world_.host().destroy({.type = "house", .key = {"a"}}); });
        EXPECT_FALSE(isInStore());
      }
      EXPECT_GT(nth, House::kSteps);
      world_.run([&] { (void)world_.host().destroy({.type = "house", .key = {"a"}}); });
    }
  }
}

TEST_F(CreationTest, that_is_cut_short_is_begun_anew_by_who_comes_first) {
  for (const auto next : {call::Existence::Create, call::Existence::GetOrCreate}) {
    ASSERT_TRUE(dieAt(3, false));
    EXPECT_TRUE(isInStore());
    EXPECT_EQ(world_.call(steps(next, "bob")), "4");
    EXPECT_EQ(world_.call("house", "a", "owners"), R"(["bob"])");
    world_.run([&] { (void)world_.host().destroy({.type = "house", .key = {"a"}}); });
  }
}

TEST_F(CreationTest, that_is_cut_short_has_timers_that_never_ring) {
  ASSERT_TRUE(dieAt(3, false));
  EXPECT_TRUE(isInStore());
  world_.advance(2h);
  EXPECT_EQ(House::alarms, 0);
  EXPECT_FALSE(isInStore());
}

TEST_F(CreationTest, whose_rest_cannot_be_removed_now_is_tried_again) {
  ASSERT_TRUE(dieAt(3, false));
  world_.store().beforeDestroy = [](std::string_view) -> Status {
    return Error{ErrorCode::Unavailable, "away"};
  };
  EXPECT_THAT(world_.call(steps(call::Existence::Get)), StartsWith("actor.unavailable: "));
  world_.store().forgetHooks();
  EXPECT_THAT(world_.call(steps(call::Existence::Get)), StartsWith("actor.not_found: "));
  EXPECT_FALSE(isInStore());
}

}  // namespace
}  // namespace skep::testing
