// A whole life of an actor, hook by hook, and migrations that a fault or the death of the process meets.

#include <gmock/gmock.h>

#include "skep/testing/test_client.h"

namespace skep::testing {
namespace {

using namespace std::chrono_literals;
using ::testing::AnyOf;
using ::testing::ElementsAre;
using ::testing::StartsWith;

// ---- The hooks

std::vector<std::string> trail;

/// Each hook finds what the one before it has left: in the database, and in memory while the actor is awake.
struct Life : Actor {
  static void define(Definition<Life>& d) {
    d.migration(1, "CREATE TABLE mark(name TEXT NOT NULL)");
    d.onCreate(&Life::created).onWake(&Life::woken).run(&Life::runs);
    d.onBeforeConnect(&Life::admits).createConnectionState(&Life::makesState);
    d.onConnect(&Life::connected).onDisconnect(&Life::disconnected);
    d.onSleep(&Life::sleeps).onDestroy(&Life::destroyed);
    d.action("act", &Life::acts).action("end", &Life::ends);
  }
  void mark(Context& c, const std::string& name) {
    c.execute("INSERT INTO mark VALUES (?)", name);
    const auto marks = c.queryOne<std::int64_t>("SELECT count(*) FROM mark");
    trail.push_back(name + " " + std::to_string(marks) + "/" + std::to_string(++inMemory));
  }
  void created(Context& c) { mark(c, "create"); }
  void woken(Context& c) { mark(c, "wake"); }
  void runs(Context& c) { mark(c, "run"); }
  void admits(Context& c, const Visitor&) { mark(c, "admit"); }
  std::int64_t makesState(Context& c, const Visitor&) {
    mark(c, "state");
    return 1;
  }
  void connected(Context& c, Connection&) { mark(c, "connect"); }
  void disconnected(Context& c, Connection&) { mark(c, "disconnect"); }
  void sleeps(Context& c) { mark(c, "sleep"); }
  void destroyed(Context& c) { mark(c, "destroy"); }
  void acts(Context& c) { mark(c, "act"); }
  void ends(Context& c) {
    mark(c, "end");
    c.destroy();
  }
  int inMemory = 0;
};

TEST(Lifecycle, hooks_come_in_their_order_once_each) {
  trail.clear();
  ActorWorld world;
  world.add<Life>("life");
  EXPECT_EQ(world.call("life", "a", "act"), "null");
  // run() goes on beside the call that has woken the actor.
  EXPECT_THAT(trail, ElementsAre("create 1/1", "wake 2/2", "act 3/3", "run 4/4"));
  trail.clear();
  {
    TestClient ada(world, "life", "a", {});
    EXPECT_THAT(ada.heard(), ElementsAre("connected"));
    ada.close();
    world.settle();
  }
  EXPECT_THAT(trail, ElementsAre("admit 5/5", "state 6/6", "connect 7/7", "disconnect 8/8"));
  trail.clear();
  world.advance(1min);
  EXPECT_THAT(trail, ElementsAre("sleep 9/9"));
  trail.clear();
  EXPECT_EQ(world.call("life", "a", "act"), "null");
  EXPECT_THAT(trail, ElementsAre("wake 10/1", "act 11/2", "run 12/3"));
  trail.clear();
  world.restart();
  EXPECT_EQ(world.call("life", "a", "end"), "null");
  EXPECT_THAT(trail,
              ElementsAre("sleep 13/4", "wake 14/1", "end 15/2", "run 16/3", "destroy 17/4"));
  trail.clear();
  EXPECT_EQ(world.call("life", "a", "act"), "null");
  EXPECT_THAT(trail, ElementsAre("create 1/1", "wake 2/2", "act 3/3", "run 4/4"));
}

// ---- Migrations that something happens to

constexpr int kRows = 400;  // of half a page each

struct Shop : Actor {
  static void define(Definition<Shop>& d) {
    d.migration(1, "CREATE TABLE item(price INTEGER NOT NULL, text BLOB NOT NULL)");
    d.action("fill", &Shop::fill).action("sum", &Shop::sum).action("columns", &Shop::columns);
  }
  void fill(Context& c) {
    for (int i = 0; i < kRows; ++i) c.execute("INSERT INTO item VALUES (1, randomblob(2000))");
  }
  std::int64_t sum(Context& c) { return c.queryOne<std::int64_t>("SELECT sum(price) FROM item"); }
  std::int64_t columns(Context& c) {
    return c.queryOne<std::int64_t>("SELECT count(*) FROM pragma_table_info('item')");
  }
};

/// Its two new migrations double each price, and touch every page.
actor::ActorType newerShop() {
  actor::ActorType type = actorType<Shop>("shop");
  type.migrations.push_back({.version = 2,
                             .sql = "ALTER TABLE item ADD COLUMN stock INTEGER NOT NULL DEFAULT 7;"
                                    "UPDATE item SET price = price * 2, text = randomblob(2000)"});
  type.migrations.push_back({.version = 3, .sql = "CREATE INDEX item_price ON item(price)"});
  return type;
}

enum class Fault { Fenced, UnknownAndApplied, UnknownAndNotApplied, CrashBefore, CrashAfter };

/// The old shop wakes as the newer one, and something happens at the `nth` write; whether it came to that.
bool migrateWith(Fault fault, int nth) {
  ActorWorld world;
  world.add<Shop>("shop");
  EXPECT_EQ(world.call("shop", "a", "fill"), "null");
  world.restart();
  world.settle();
  world.registry() = actor::Registry();
  world.add(newerShop());

  int writes = 0;
  bool fired = false;
  bool isDead = false;
  fiber::Event never;
  const auto happen = [&]() -> Status {
    if (++writes != nth) return {};
    fired = true;
    if (fault == Fault::Fenced) return Error{ErrorCode::Fenced, "another owner"};
    if (fault == Fault::UnknownAndApplied || fault == Fault::UnknownAndNotApplied) {
      return Error{ErrorCode::UnknownOutcome, "who knows"};
    }
    isDead = true;
    while (true) never.wait();
  };
  const bool isAfter = fault == Fault::UnknownAndApplied || fault == Fault::CrashAfter;
  (isAfter ? world.store().afterWrite
           : world.store().beforeWrite) = [&](const store::DatabaseWrite&) { return happen(); };
  std::string reply;
  world.spawn([&] {
    reply = ActorWorld::textOf(world.host().run(ActorWorld::request("shop", "a", "sum")));
  });
  for (int second = 0; second < 20; ++second) world.advance(1s);
  EXPECT_THAT(reply, AnyOf("", "800", StartsWith("actor.broken: ")));
  world.store().forgetHooks();
  if (isDead) world.crash();
  // Whatever the fault has left, the migrations are applied once, both of them.
  std::string sum = world.call("shop", "a", "sum");
  // The fault came after the migration, to a write of which no caller had heard.
  if (fault == Fault::Fenced && sum.starts_with("actor.broken: ")) {
    sum = world.call("shop", "a", "sum");
  }
  EXPECT_EQ(sum, std::to_string(2 * kRows));
  EXPECT_EQ(world.call("shop", "a", "columns"), "3");
  world.restart();
  EXPECT_EQ(world.call("shop", "a", "sum"), std::to_string(2 * kRows));
  return fired;
}

class MigrationFaultTest : public ::testing::TestWithParam<Fault> {};

TEST_P(MigrationFaultTest, migrations_are_applied_as_a_whole_and_once_whichever_write_fails) {
  int nth = 1;
  while (migrateWith(GetParam(), nth) && !HasFailure()) ++nth;
  EXPECT_GT(nth, 1) << "a migration writes";
}

INSTANTIATE_TEST_SUITE_P(Faults, MigrationFaultTest,
                         ::testing::Values(Fault::Fenced, Fault::UnknownAndApplied,
                                           Fault::UnknownAndNotApplied, Fault::CrashBefore,
                                           Fault::CrashAfter));

}  // namespace
}  // namespace skep::testing
