// The output gate towards other actors: what an actor wrote is durable before another one hears of it, and when
// that fails nobody ever does.

#include <gmock/gmock.h>

#include "skep/testing/actor_world.h"

namespace skep::testing {
namespace {

using namespace std::chrono_literals;
using ::testing::StartsWith;

struct Clerk : Actor {
  static inline int heard = 0;

  static void define(Definition<Clerk>& d) {
    d.action("note", &Clerk::note).action("greet", &Clerk::greet);
    d.queue("letters", &Clerk::handle);
  }
  void note(Context&) { ++heard; }
  void handle(Context&, std::string) { ++heard; }
  std::string greet(Context&) { return "hello"; }
};

struct Desk : Actor {
  static void define(Definition<Desk>& d) {
    d.migration(1, "CREATE TABLE entry(what TEXT NOT NULL)");
    d.action("call", &Desk::callClerk).action("send", &Desk::sendClerk);
    d.action("callRelaxed", &Desk::callRelaxed).action("entries", &Desk::entries);
  }
  void callClerk(Context& c, std::string clerk) {
    c.execute("INSERT INTO entry VALUES ('call')");
    c.call<void>("clerk", {clerk}, "note");
  }
  void sendClerk(Context& c, std::string clerk) {
    c.execute("INSERT INTO entry VALUES ('send')");
    c.send("clerk", {clerk}, "letters", std::string("dear clerk"));
  }
  void callRelaxed(Context& c, std::string clerk) {
    c.relax();
    callClerk(c, clerk);
  }
  std::int64_t entries(Context& c) {
    return c.queryOne<std::int64_t>("SELECT count(*) FROM entry");
  }
};

/// An action that writes, and then turns to another actor.
class CallGateTest : public ::testing::TestWithParam<const char*> {
 protected:
  CallGateTest() {
    Clerk::heard = 0;
    world_.add<Clerk>("clerk");
    world_.add<Desk>("desk");
    EXPECT_EQ(entries(), "0");
    EXPECT_EQ(world_.call("clerk", "old", "greet"), "\"hello\"");
    world_.store().beforeWrite = [this](const store::DatabaseWrite&) -> Status {
      while (isHeld_) released_.wait();
      return outcome_;
    };
  }
  void begin(const std::string& clerk) {
    world_.spawn([this, clerk] {
      reply_ = ActorWorld::textOf(
          world_.host().run(ActorWorld::request("desk", "a", GetParam(), "[\"" + clerk + "\"]")));
    });
    world_.settle();
  }
  void release(Status outcome = {}) {
    outcome_ = std::move(outcome);
    isHeld_ = false;
    released_.notifyAll();
    world_.settle();
    outcome_ = {};
    world_.advance(1s);
  }
  std::string entries() { return world_.call("desk", "a", "entries"); }
  bool isThere(const std::string& clerk) {
    bool isThere = false;
    world_.run([&] {
      auto found = world_.host().resolve({.type = "clerk", .key = {clerk}}, call::Existence::Get,
                                         std::nullopt, nullptr, {});
      isThere = std::holds_alternative<bool>(found);
    });
    return isThere;
  }

  ActorWorld world_;
  fiber::Event released_;
  bool isHeld_ = true;
  Status outcome_;
  std::string reply_;
};

TEST_P(CallGateTest, is_heard_once_its_write_is_durable) {
  begin("old");
  EXPECT_EQ(Clerk::heard, 0);
  EXPECT_EQ(reply_, "");
  release();
  EXPECT_EQ(Clerk::heard, 1);
  EXPECT_EQ(reply_, "null");
  EXPECT_EQ(entries(), "1");
}

TEST_P(CallGateTest, is_never_heard_when_its_write_fails) {
  begin("old");
  release(Error{ErrorCode::Fenced, "another owner"});
  EXPECT_THAT(reply_, StartsWith("actor.broken: "));
  world_.advance(1min);
  EXPECT_EQ(Clerk::heard, 0);
  EXPECT_EQ(entries(), "0");
}

TEST_P(CallGateTest, creates_nobody_before_its_write_is_durable) {
  begin("new");
  EXPECT_FALSE(isThere("new"));
  release();
  EXPECT_TRUE(isThere("new"));
  EXPECT_EQ(Clerk::heard, 1);
}

TEST_P(CallGateTest, creates_nobody_when_its_write_fails) {
  begin("new");
  release(Error{ErrorCode::Fenced, "another owner"});
  world_.advance(1min);
  EXPECT_FALSE(isThere("new"));
  EXPECT_EQ(Clerk::heard, 0);
}

TEST_P(CallGateTest, is_never_heard_when_the_process_dies_first) {
  begin("old");
  world_.crash();
  isHeld_ = false;
  world_.settle();
  world_.advance(1min);
  EXPECT_EQ(Clerk::heard, 0);
  EXPECT_EQ(entries(), "0");
}

INSTANTIATE_TEST_SUITE_P(An, CallGateTest, ::testing::Values("call", "send", "callRelaxed"),
                         [](const auto& how) { return std::string(how.param); });

}  // namespace
}  // namespace skep::testing
