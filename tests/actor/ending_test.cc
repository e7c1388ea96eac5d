// How actors end: destroyed by their own turn, asleep though calls are under way, and with their host.

#include <gmock/gmock.h>

#include <string>
#include <vector>

#include "skep/testing/actor_world.h"
#include "skep/testing/test_client.h"

namespace skep::testing {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::StartsWith;

bool destroysInSleep = false;

struct Mortal : Actor {
  static void define(Definition<Mortal>& d) {
    d.migration(1, "CREATE TABLE item(name TEXT NOT NULL)");
    d.action("add", &Mortal::add).action("count", &Mortal::count).action("wait", &Mortal::wait);
    d.action("addAndWait", &Mortal::addAndWait).action("end", &Mortal::end);
    d.action("endAndThrow", &Mortal::endAndThrow).action("endAndWait", &Mortal::endAndWait);
    d.action("endThenThrowLater", &Mortal::endThenThrowLater).action("ask", &Mortal::ask);
    d.action("nap", &Mortal::nap).action("endAndCallSelf", &Mortal::endAndCallSelf);
    d.onSleep(&Mortal::onSleep);
  }
  void add(Context& c) { c.execute("INSERT INTO item VALUES ('x')"); }
  std::int64_t count(Context& c) { return c.queryOne<std::int64_t>("SELECT count(*) FROM item"); }
  void wait(Context& c, std::int64_t seconds) { c.sleepFor(std::chrono::seconds(seconds)); }
  void addAndWait(Context& c, std::int64_t seconds) {
    add(c);
    wait(c, seconds);
  }
  void end(Context& c) { c.destroy(); }
  void endAndThrow(Context& c) {
    c.destroy();
    throw UserError("no", "changed my mind");
  }
  std::int64_t endAndWait(Context& c) {
    c.destroy();
    c.sleepFor(10ms);
    return 7;
  }
  void endThenThrowLater(Context& c) {
    c.destroy();
    c.sleepFor(10ms);
    throw UserError("no", "too late");
  }
  void endAndCallSelf(Context& c) {
    c.destroy();
    c.sleepFor(10ms);
    c.call("mortal", {"a"}, "add");
  }
  void ask(Context& c, bool writes) {
    if (writes) add(c);
    c.call("mortal", {"other"}, "add");
  }
  void nap(Context& c) { c.sleep(); }
  void onSleep(Context& c) {
    if (destroysInSleep) c.destroy();
  }
};

class EndingTest : public ::testing::Test {
 protected:
  EndingTest() {
    destroysInSleep = false;
    world_.add<Mortal>("mortal");
  }
  std::string call(const std::string& action, const std::string& arguments = "[]") {
    return world_.call("mortal", "a", action, arguments);
  }
  void begin(const std::string& action, const std::string& arguments, std::string& to) {
    world_.spawn([this, request = ActorWorld::request("mortal", "a", action, arguments), &to] {
      to = ActorWorld::textOf(world_.host().run(request));
    });
    world_.settle();
  }
  const call::ActorAddress actor_{.type = "mortal", .key = {"a"}};
  bool isAwake() { return world_.host().isAwake(actor_); }

  ActorWorld world_;
};

// ---- Destroyed

TEST_F(EndingTest, a_turn_that_throws_destroys_nothing) {
  call("add");
  EXPECT_EQ(call("endAndThrow"), "user.no: changed my mind");
  EXPECT_EQ(call("count"), "1");
}

TEST_F(EndingTest, who_destroys_the_actor_goes_on_to_its_own_end) {
  call("add");
  std::string ended;
  begin("endAndWait", "[]", ended);
  EXPECT_EQ(ended, "");
  world_.advance(10ms);
  EXPECT_EQ(ended, "7");
  EXPECT_EQ(call("count"), "0");
}

TEST_F(EndingTest, what_a_committed_turn_destroyed_stays_so_though_a_later_one_throws) {
  call("add");
  std::string ended;
  begin("endThenThrowLater", "[]", ended);
  world_.advance(10ms);
  EXPECT_EQ(ended, "user.no: too late");
  EXPECT_EQ(call("count"), "0");
}

TEST_F(EndingTest, its_reply_and_the_others_come_when_the_store_has_destroyed_it) {
  std::string waiting;
  std::string ended;
  std::string next;
  begin("wait", "[50]", waiting);
  world_.store().beforeDestroy = [](std::string_view) -> Status {
    fiber::sleepFor(1s);
    return {};
  };
  begin("end", "[]", ended);
  begin("count", "[]", next);
  EXPECT_EQ(waiting + ended + next, "");
  world_.advance(1s);
  EXPECT_EQ(ended, "null");
  EXPECT_THAT(waiting, StartsWith("actor.destroyed: "));
  EXPECT_EQ(next, "0") << "a new one";
}

TEST_F(EndingTest, nobody_hears_that_it_is_destroyed_when_the_store_could_not) {
  call("add");
  TestClient client(world_, "mortal", "a", {});
  world_.settle();
  (void)client.heard();
  world_.store().beforeDestroy = [](std::string_view) -> Status {
    return Error{ErrorCode::Unavailable, "as the test wants it"};
  };
  EXPECT_THAT(call("end"), StartsWith("actor.unavailable: "));
  EXPECT_THAT(client.heard(), ElementsAre(StartsWith("closed: actor.broken: ")));
  EXPECT_EQ(call("count"), "1");
}

TEST_F(EndingTest, a_turn_that_was_lost_destroys_nothing) {
  call("add");
  world_.store().beforeWrite = [](const store::DatabaseWrite&) -> Status {
    return Error{ErrorCode::Fenced, "as the test wants it"};
  };
  world_.run([&] {
    call::ActionRequest request = ActorWorld::request("mortal", "a", "end");
    (void)world_.host().run(request);
  });
  world_.store().beforeWrite = nullptr;
  EXPECT_NE(call("count"), "");
}

TEST_F(EndingTest, an_actor_that_falls_asleep_can_be_destroyed_by_its_hook) {
  call("add");
  destroysInSleep = true;
  world_.run([&] { (void)world_.host().sleep(actor_); });
  destroysInSleep = false;
  world_.run([&] { EXPECT_EQ(world_.store().info("mortal/a").error().code, ErrorCode::NotFound); });
}

TEST_F(EndingTest, an_actor_that_is_about_to_sleep_can_be_destroyed) {
  std::string waiting;
  begin("wait", "[10]", waiting);
  call("add");
  call("nap");
  EXPECT_EQ(call("end"), "null");
  EXPECT_THAT(waiting, StartsWith("actor.destroyed: "));
  world_.run([&] { EXPECT_EQ(world_.store().info("mortal/a").error().code, ErrorCode::NotFound); });
}

TEST_F(EndingTest, an_actor_that_is_destroyed_and_calls_itself_is_told) {
  std::string ended;
  begin("endAndCallSelf", "[]", ended);
  world_.advance(10ms);
  EXPECT_THAT(ended, StartsWith("actor.stopped: "));
}

// ---- Asleep

TEST_F(EndingTest, new_calls_are_served_while_a_long_one_holds_up_sleep) {
  std::string waiting;
  bool sleeps = false;
  begin("wait", "[10]", waiting);
  world_.spawn(
      [&] { sleeps = std::holds_alternative<std::monostate>(world_.host().sleep(actor_)); });
  world_.settle();
  EXPECT_EQ(call("add"), "null");
  EXPECT_EQ(call("count"), "1");
  EXPECT_FALSE(sleeps);
  world_.advance(10s);
  EXPECT_EQ(waiting, "null");
  EXPECT_TRUE(sleeps);
  EXPECT_FALSE(isAwake());
}

TEST_F(EndingTest, a_sleep_that_never_finds_the_actor_idle_is_given_up) {
  std::string waiting[3];
  call::Outcome<std::monostate> slept;
  begin("wait", "[50]", waiting[0]);
  world_.spawn([&] { slept = world_.host().sleep(actor_); });
  world_.settle();
  world_.advance(40s);
  begin("wait", "[50]", waiting[1]);
  world_.advance(20s);
  ASSERT_TRUE(std::holds_alternative<call::Failure>(slept));
  EXPECT_TRUE(std::get<call::Failure>(slept).is(call::FailureCode::ActionTimedOut));
  world_.advance(30s);
  EXPECT_EQ(waiting[1], "null");
  EXPECT_TRUE(isAwake());
}

// ---- The host's end

TEST_F(EndingTest, at_the_end_of_its_patience_a_host_stops_what_is_under_way) {
  std::string untouched;
  std::string begun;
  std::string late;
  begin("wait", "[50]", untouched);
  begin("addAndWait", "[50]", begun);
  world_.run([&] { world_.host().stopCallsAfter(5s); });
  EXPECT_EQ(call("count"), "1") << "there is time left";
  world_.advance(5s);
  EXPECT_THAT(untouched, StartsWith("actor.shutting_down: "));
  EXPECT_THAT(begun, StartsWith("actor.stopped: "));
  EXPECT_THAT(call("count"), StartsWith("actor.shutting_down: "));
}

// ---- What may be repeated

TEST_F(EndingTest, a_call_that_has_done_a_part_is_not_said_to_be_safe_to_repeat) {
  world_.store().beforeOpen = [](const store::OpenRequest& request) -> Status {
    if (request.name != "mortal/other") return {};
    return Error{ErrorCode::Unavailable, "as the test wants it"};
  };
  EXPECT_THAT(call("ask", "[false]"), StartsWith("actor.unavailable: "));
  EXPECT_THAT(call("ask", "[true]"), StartsWith("actor.stopped: a part of the call was done"));
}

TEST_F(EndingTest, that_an_actor_exists_is_told_when_its_creation_is_durable) {
  world_.store().beforeWrite = [](const store::DatabaseWrite&) -> Status {
    fiber::sleepFor(5s);
    return {};
  };
  std::string told[2];
  for (std::string& each : told) {
    call::ActionRequest create = ActorWorld::request("mortal", "a", "count");
    create.existence = call::Existence::Create;
    world_.spawn([&, create] { each = ActorWorld::textOf(world_.host().run(create)); });
  }
  world_.settle();
  EXPECT_EQ(told[0] + told[1], "");
  world_.advance(5s);
  world_.store().beforeWrite = nullptr;
  EXPECT_EQ(told[0], "0");
  EXPECT_THAT(told[1], StartsWith("actor.already_exists: "));
}

}  // namespace
}  // namespace skep::testing
