// Calls that do not wait for durability: what leaves early, what does not, and what is heard when the
// commit fails.

#include <gmock/gmock.h>

#include "skep/testing/test_client.h"
#include "skep/testing/test_exchange.h"

namespace skep::testing {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::StartsWith;

struct Meter : Actor {
  static void define(Definition<Meter>& d) {
    d.migration(1, "CREATE TABLE reading(value INTEGER NOT NULL)");
    d.event<std::int64_t>("reading");
    d.action("add", &Meter::add).action("addRelaxed", &Meter::addRelaxed);
    d.action("count", &Meter::count).action("relaxedThenThrow", &Meter::relaxedThenThrow);
    d.onRequest(&Meter::request);
  }
  std::int64_t count(Context& c) {
    return c.queryOne<std::int64_t>("SELECT count(*) FROM reading");
  }
  std::int64_t add(Context& c, std::int64_t value) {
    c.execute("INSERT INTO reading VALUES (?)", value);
    c.broadcast("reading", value);
    return count(c);
  }
  std::int64_t addRelaxed(Context& c, std::int64_t value) {
    c.relax();
    return add(c, value);
  }
  void relaxedThenThrow(Context& c) {
    addRelaxed(c, 0);
    throw UserError("undone", "after all");
  }
  void request(Context& c, const HttpRequest&, HttpStream& stream) {
    c.relax();
    stream.begin();
    c.execute("INSERT INTO reading VALUES (7)");
    stream.write("written");
  }
};

class RelaxedTest : public ::testing::Test {
 protected:
  RelaxedTest() { world_.add<Meter>("meter"); }
  std::string call(const std::string& action, const std::string& arguments = "[]") {
    return world_.call("meter", "a", action, arguments);
  }
  /// The reply, once it has come.
  std::shared_ptr<std::string> begin(const std::string& action, const std::string& arguments) {
    auto reply = std::make_shared<std::string>();
    world_.spawn([this, reply, action, arguments] {
      *reply = ActorWorld::textOf(
          world_.host().run(ActorWorld::request("meter", "a", action, arguments)));
    });
    world_.settle();
    return reply;
  }
  void holdWrites() {
    mayWrite_ = false;
    world_.store().beforeWrite = [this](const store::DatabaseWrite&) -> Status {
      while (!mayWrite_) durable_.wait();
      return outcome_;
    };
  }
  void letWrite(Status outcome = {}) {
    outcome_ = std::move(outcome);
    mayWrite_ = true;
    durable_.notifyAll();
    world_.settle();
    world_.store().beforeWrite = nullptr;
  }
  static Error fenced() { return {ErrorCode::Fenced, "another owner"}; }

  ActorWorld world_;
  fiber::Event durable_;
  bool mayWrite_ = true;
  Status outcome_;
};

TEST_F(RelaxedTest, a_relaxed_call_replies_before_it_is_durable_and_others_wait) {
  EXPECT_EQ(call("add", "[1]"), "1");
  TestClient ada(world_, "meter", "a", {.subscriptions = {"reading"}});
  EXPECT_THAT(ada.heard(), ElementsAre("connected"));
  holdWrites();
  EXPECT_EQ(*begin("addRelaxed", "[2]"), "2");
  EXPECT_THAT(ada.heard(), ElementsAre("reading 2 #2"));
  const auto strict = begin("count", "[]");
  EXPECT_EQ(*strict, "");  // it has seen what is not durable
  letWrite();
  EXPECT_EQ(*strict, "2");
}

TEST_F(RelaxedTest, what_is_relaxed_does_not_overtake_what_is_not) {
  EXPECT_EQ(call("add", "[1]"), "1");
  TestClient ada(world_, "meter", "a", {.subscriptions = {"reading"}});
  ada.heard();
  holdWrites();
  const auto strict = begin("add", "[2]");
  const auto relaxed = begin("addRelaxed", "[3]");
  EXPECT_THAT(ada.heard(), IsEmpty());
  EXPECT_EQ(*relaxed, "");  // its event has not left
  letWrite();
  EXPECT_THAT(ada.heard(), ElementsAre("reading 2 #2", "reading 3 #3"));
  EXPECT_EQ(*strict, "2");
  EXPECT_EQ(*relaxed, "3");
}

TEST_F(RelaxedTest, a_relaxed_commit_that_fails_breaks_the_actor_and_its_clients_hear_of_it) {
  EXPECT_EQ(call("add", "[1]"), "1");
  TestClient ada(world_, "meter", "a", {.subscriptions = {"reading"}});
  ada.heard();
  holdWrites();
  EXPECT_EQ(*begin("addRelaxed", "[2]"), "2");
  EXPECT_THAT(ada.heard(), ElementsAre("reading 2 #2"));
  const auto later = begin("addRelaxed", "[3]");
  const auto strict = begin("count", "[]");
  letWrite(fenced());
  // Nobody has to ask: the connection ends by itself, and the client may come back.
  EXPECT_THAT(ada.heard(), ElementsAre("reading 3 #3", StartsWith("closed: actor.broken: ")));
  EXPECT_TRUE(ada.mayRetry());
  EXPECT_EQ(*later, "3");
  EXPECT_THAT(*strict, StartsWith("actor.broken: "));
  EXPECT_EQ(call("count"), "1");
}

TEST_F(RelaxedTest, a_failure_between_the_reply_and_sleep_is_heard_of_too) {
  EXPECT_EQ(call("add", "[1]"), "1");
  TestClient ada(world_, "meter", "a", {.subscriptions = {"reading"}});
  ada.heard();
  holdWrites();
  EXPECT_EQ(*begin("addRelaxed", "[2]"), "2");
  world_.spawn([this] { world_.host().sleep({.type = "meter", .key = {"a"}}); });
  world_.settle();
  letWrite(fenced());
  EXPECT_THAT(ada.heard(), ElementsAre("reading 2 #2", StartsWith("closed: actor.broken: ")));
}

TEST_F(RelaxedTest, the_first_event_after_a_wake_waits_until_its_stream_has_durably_begun) {
  EXPECT_EQ(call("add", "[1]"), "1");
  TestClient ada(world_, "meter", "a", {.subscriptions = {"reading"}});
  ada.heard();
  world_.run([this] { world_.host().sleep({.type = "meter", .key = {"a"}}); });
  holdWrites();
  const auto first = begin("addRelaxed", "[2]");
  EXPECT_THAT(ada.heard(), IsEmpty());
  letWrite();
  EXPECT_THAT(ada.heard(), ElementsAre("reading 2 #2"));
  EXPECT_EQ(*first, "2");
  holdWrites();
  EXPECT_EQ(*begin("addRelaxed", "[3]"), "3");
  EXPECT_THAT(ada.heard(), ElementsAre("reading 3 #3"));
  letWrite();
}

TEST_F(RelaxedTest, a_turn_that_is_rolled_back_sends_nothing) {
  EXPECT_EQ(call("add", "[1]"), "1");
  TestClient ada(world_, "meter", "a", {.subscriptions = {"reading"}});
  ada.heard();
  EXPECT_EQ(call("relaxedThenThrow"), "user.undone: after all");
  EXPECT_THAT(ada.heard(), IsEmpty());
  EXPECT_EQ(call("count"), "1");
}

TEST_F(RelaxedTest, streams_can_be_relaxed_and_are_cut_when_the_commit_fails) {
  EXPECT_EQ(call("count"), "0");
  holdWrites();
  TestExchange stream(world_, {.actor = {.type = "meter", .key = {"a"}}, .method = "GET"});
  EXPECT_THAT(stream.heard(), ElementsAre("begun 200", "chunk written", "ended"));
  letWrite(fenced());
  EXPECT_EQ(call("count"), "0");
}

TEST_F(RelaxedTest, a_type_that_is_relaxed_breaks_without_being_asked) {
  actor::ActorType relaxed = actorType<Meter>("relaxed");
  relaxed.options.durability = Durability::Relaxed;
  world_.add(relaxed);
  EXPECT_EQ(world_.call("relaxed", "a", "count"), "0");
  TestClient ada(world_, "relaxed", "a", {.subscriptions = {"reading"}});
  ada.heard();
  holdWrites();
  std::string reply;
  world_.spawn([&] {
    reply =
        ActorWorld::textOf(world_.host().run(ActorWorld::request("relaxed", "a", "add", "[1]")));
  });
  world_.settle();
  EXPECT_EQ(reply, "1");
  EXPECT_THAT(ada.heard(), ElementsAre("reading 1 #1"));
  letWrite(fenced());
  EXPECT_THAT(ada.heard(), ElementsAre(StartsWith("closed: actor.broken: ")));
}

}  // namespace
}  // namespace skep::testing
