// Raw WebSockets: an actor's own code talks with a client.

#include <gmock/gmock.h>

#include "skep/testing/test_socket.h"
#include "talkers.h"

namespace guide {
#include <guide/websockets.inc>
}  // namespace guide

namespace skep::testing {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

class RawSocketTest : public ::testing::Test {
 protected:
  RawSocketTest() {
    talkTrail.clear();
    world_.add<Talker>("talker");
    world_.add<GuardedTalker>("guarded");
    world_.add<Turnwise>("turnwise");
  }
  static call::HttpRequest at(const std::string& path, const std::string& type = "talker") {
    return {.actor = {.type = type, .key = {"a"}}, .path = path};
  }
  std::string talker(const std::string& action, const std::string& arguments = "[]") {
    return world_.call("talker", "a", action, arguments);
  }
  std::string lines(const std::string& type = "talker") { return world_.call(type, "a", "lines"); }
  bool isAwake() { return world_.host().isAwake({.type = "talker", .key = {"a"}}); }
  /// Writes wait from now on until letWrite().
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
  }

  ActorWorld world_;
  fiber::Event durable_;
  bool mayWrite_ = true;
  Status outcome_;
};

// ---- To and fro

TEST_F(RawSocketTest, messages_go_both_ways_as_text_and_as_bytes) {
  TestSocket socket(world_, at("/"));
  EXPECT_THAT(socket.heard(), ElementsAre("accepted"));
  socket.sendText("a");
  socket.sendBinary(std::string("\0\xff", 2));
  socket.sendText("");
  EXPECT_THAT(socket.heard(),
              ElementsAre("text said a", "binary " + std::string("\0\xff", 2), "text said "));
  socket.sendText("numbers");
  socket.sendText("[7, 8, 9]");
  EXPECT_THAT(socket.heard(), ElementsAre("text [1,2]", "text 3"));
  EXPECT_EQ(lines(), R"(["opened /","a","","numbers","[7, 8, 9]"])");
}

TEST_F(RawSocketTest, messages_that_wait_are_received_in_their_order) {
  TestSocket socket(world_, at("/"));
  socket.sendText("wait");
  for (const char* text : {"a", "b", "c"}) socket.sendText(text);
  EXPECT_THAT(socket.heard(), ElementsAre("accepted"));
  world_.advance(10s);
  EXPECT_THAT(socket.heard(),
              ElementsAre("text said wait", "text said a", "text said b", "text said c"));
}

TEST_F(RawSocketTest, the_code_may_wait_for_a_message_for_some_time_only) {
  TestSocket socket(world_, at("/"));
  socket.heard();
  socket.sendText("patience");
  world_.advance(5s);
  EXPECT_THAT(socket.heard(), ElementsAre("text nothing came"));
  socket.sendText("patience");
  socket.sendText("this");
  EXPECT_THAT(socket.heard(), ElementsAre("text came"));
}

TEST_F(RawSocketTest, other_code_of_the_actor_sends_to_it_too) {
  TestSocket one(world_, at("/"));
  TestSocket two(world_, at("/"));
  EXPECT_EQ(talker("tell", R"(["news"])"), "null");
  EXPECT_THAT(one.heard(), ElementsAre("accepted", "text news"));
  EXPECT_THAT(two.heard(), ElementsAre("accepted", "text news"));
  one.vanish();
  EXPECT_EQ(talker("tell", R"(["more"])"), "null");
  EXPECT_THAT(one.heard(), IsEmpty());
  EXPECT_EQ(talker("dismiss"), "null");
  EXPECT_THAT(two.heard(), ElementsAre("text more", "close 4007 dismissed"));
  EXPECT_THAT(talkTrail, ElementsAre("ended 1006 ", "ended 4007 dismissed"));
}

TEST_F(RawSocketTest, the_lobby_of_the_guide_passes_on_what_its_guests_say) {
  world_.add<guide::Lobby>("lobby");
  TestSocket ada(world_, at("/talk", "lobby"));
  ada.sendText("hello");
  call::HttpRequest late = at("/talk", "lobby");
  late.query = "after=0";
  TestSocket bo(world_, late);
  EXPECT_EQ(world_.call("lobby", "a", "say", R"(["dinner"])"), "null");
  EXPECT_THAT(ada.heard(), ElementsAre("accepted", "text hello", "text dinner"));
  EXPECT_THAT(bo.heard(), ElementsAre("accepted", "text hello", "text dinner"));
  bo.sendBinary("?");
  EXPECT_THAT(bo.heard(), ElementsAre("close 1003 text only"));
  ada.sendText("alone");
  EXPECT_THAT(ada.heard(), ElementsAre("text alone"));
  EXPECT_THAT(TestSocket(world_, at("/elsewhere", "lobby")).heard(),
              ElementsAre(StartsWith("failed request.not_found: ")));
}

// ---- Let in or not

TEST_F(RawSocketTest, a_subprotocol_is_one_of_those_that_the_client_offers) {
  call::HttpRequest request = at("/");
  request.query = "protocol=b.v1";
  request.headers = {{"sec-websocket-protocol", "a.v1 ,\tb.v1"}, {"sec-websocket-protocol", "c"}};
  TestSocket chosen(world_, request);
  EXPECT_THAT(chosen.heard(), ElementsAre("accepted b.v1"));
  request.query = "protocol=c";
  TestSocket third(world_, request);
  EXPECT_THAT(third.heard(), ElementsAre("accepted c"));
  request.query = "protocol=d";
  TestSocket other(world_, request);
  EXPECT_THAT(other.heard(), ElementsAre(StartsWith("failed internal.internal: ")));
}

TEST_F(RawSocketTest, who_is_not_accepted_is_refused_as_a_request_is) {
  EXPECT_THAT(TestSocket(world_, at("/refused")).heard(),
              ElementsAre("failed user.refused: not today"));
  EXPECT_THAT(TestSocket(world_, at("/bug")).heard(),
              ElementsAre(StartsWith("failed internal.internal: ")));
  EXPECT_THAT(TestSocket(world_, at("/undone")).heard(),
              ElementsAre("failed user.undone: in the turn that accepted"));
  EXPECT_EQ(lines(), "[]");
  EXPECT_THAT(TestSocket(world_, at("/nothing")).heard(),
              ElementsAre(StartsWith("failed request.not_found: ")));
}

TEST_F(RawSocketTest, a_type_without_a_handler_says_so_and_does_not_wake) {
  struct Plain : Actor {
    static void define(Definition<Plain>&) {}
  };
  world_.add<Plain>("plain");
  EXPECT_THAT(TestSocket(world_, at("/", "plain")).heard(),
              ElementsAre(StartsWith("failed request.not_found: ")));
  EXPECT_FALSE(world_.host().isAwake({.type = "plain", .key = {"a"}}));
  EXPECT_THAT(TestSocket(world_, at("/", "nothing")).heard(),
              ElementsAre(StartsWith("failed actor.unknown_type: ")));
  call::HttpRequest absent = at("/");
  absent.existence = call::Existence::Get;
  EXPECT_THAT(TestSocket(world_, absent).heard(),
              ElementsAre(StartsWith("failed actor.not_found: ")));
}

TEST_F(RawSocketTest, what_guards_connections_guards_raw_ones) {
  call::HttpRequest request = at("/", "guarded");
  EXPECT_THAT(TestSocket(world_, request).heard(),
              ElementsAre("failed request.forbidden: say the word"));
  EXPECT_EQ(lines("guarded"), "[]");
  request.headers = {{"x-word", "sesame"}};
  EXPECT_THAT(TestSocket(world_, request).heard(), ElementsAre("accepted"));
}

TEST_F(RawSocketTest, a_handler_has_the_time_of_an_action_to_accept) {
  TestSocket slow(world_, at("/wait"));
  world_.advance(61s);
  EXPECT_THAT(slow.heard(), ElementsAre(StartsWith("failed actor.action_timed_out: ")));
}

TEST_F(RawSocketTest, a_client_that_goes_before_it_is_accepted_ends_the_handler) {
  TestSocket slow(world_, at("/wait"));
  slow.vanish();
  EXPECT_THAT(talkTrail, ElementsAre("aborted: the client has gone"));
}

// ---- The gate

TEST_F(RawSocketTest, what_is_sent_waits_until_what_it_could_have_seen_is_durable) {
  TestSocket socket(world_, at("/"));
  socket.heard();
  holdWrites();
  TestSocket other(world_, at("/"));
  socket.sendText("a");
  socket.sendBinary("b");
  socket.sendText("close");
  EXPECT_THAT(socket.heard(), IsEmpty());
  EXPECT_THAT(other.heard(), IsEmpty());
  letWrite();
  EXPECT_THAT(socket.heard(), ElementsAre("text said a", "binary b", "close 4001 as asked"));
  EXPECT_THAT(other.heard(), ElementsAre("accepted"));
}

TEST_F(RawSocketTest, a_turn_that_is_rolled_back_sends_and_closes_nothing) {
  TestSocket socket(world_, at("/"));
  socket.heard();
  EXPECT_EQ(talker("tellAndThrow", R"(["undone"])"), "user.undone: as asked");
  EXPECT_THAT(socket.heard(), IsEmpty());
  socket.sendText("a");
  EXPECT_THAT(socket.heard(), ElementsAre("text said a"));
  EXPECT_EQ(lines(), R"(["opened /","a"])");
}

TEST_F(RawSocketTest, a_commit_that_fails_ends_all_of_the_actors_and_sends_nothing_of_it) {
  TestSocket socket(world_, at("/"));
  TestSocket other(world_, at("/"));
  EXPECT_THAT(socket.heard(), ElementsAre("accepted"));
  EXPECT_THAT(other.heard(), ElementsAre("accepted"));
  holdWrites();
  socket.sendText("lost");
  letWrite(Error{ErrorCode::Fenced, "another owner"});
  EXPECT_THAT(socket.heard(), ElementsAre(StartsWith("failed actor.broken: ")));
  EXPECT_THAT(other.heard(), ElementsAre(StartsWith("failed actor.broken: ")));
  world_.store().beforeWrite = nullptr;
  EXPECT_EQ(lines(), R"(["opened /","opened /"])");
  TestSocket again(world_, at("/"));
  EXPECT_THAT(again.heard(), ElementsAre("accepted"));
}

// ---- The end

TEST_F(RawSocketTest, it_is_closed_when_the_handler_returns) {
  TestSocket silent(world_, at("/silent"));
  EXPECT_THAT(silent.heard(), ElementsAre("accepted", "close 1000"));
}

TEST_F(RawSocketTest, a_close_of_the_client_is_seen_with_its_code_and_reason) {
  TestSocket socket(world_, at("/"));
  socket.sendText("wait");
  socket.sendText("before the close");
  socket.close(4005, "bye");
  EXPECT_THAT(talkTrail, IsEmpty());
  world_.advance(10s);
  EXPECT_THAT(talkTrail, ElementsAre("ended 4005 bye"));
  EXPECT_EQ(lines(), R"(["opened /","wait","before the close","closed"])");
  EXPECT_THAT(socket.heard(), ElementsAre("accepted"));
}

TEST_F(RawSocketTest, a_handler_has_the_time_of_an_action_after_the_end) {
  TestSocket socket(world_, at("/stays"));
  socket.vanish();
  EXPECT_THAT(talkTrail, ElementsAre("ended 1006 "));
  world_.advance(59s);
  EXPECT_TRUE(isAwake());
  world_.advance(1s);
  EXPECT_EQ(talkTrail.size(), 2u);
  EXPECT_EQ(lines(), R"(["opened /stays","closed"])");
  world_.advance(32s);
  EXPECT_FALSE(isAwake());
}

TEST_F(RawSocketTest, after_its_own_close_the_code_receives_nothing_more) {
  TestSocket socket(world_, at("/"));
  socket.sendText("wait");
  socket.sendText("close");
  socket.sendText("too late");
  world_.advance(10s);
  EXPECT_THAT(socket.heard(), ElementsAre("accepted", "text said wait", "close 4001 as asked"));
  EXPECT_EQ(lines(), R"(["opened /","wait","close","closed"])");
  EXPECT_THAT(talkTrail, ElementsAre("ended 4001 as asked"));
}

TEST_F(RawSocketTest, what_the_handler_throws_fails_it_and_rolls_its_turn_back) {
  TestSocket socket(world_, at("/"));
  socket.sendText("kept");
  socket.sendText("throw");
  EXPECT_THAT(socket.heard(),
              ElementsAre("accepted", "text said kept", "failed user.wrong: as asked"));
  TestSocket bug(world_, at("/"));
  bug.sendText("bug");
  EXPECT_THAT(bug.heard(), ElementsAre("accepted", StartsWith("failed internal.internal: ")));
  EXPECT_EQ(lines(), R"(["opened /","kept","opened /"])");
}

TEST_F(RawSocketTest, what_breaks_the_protocol_is_an_error_of_the_actor) {
  for (const char* text : {"bad text", "bad close"}) {
    TestSocket socket(world_, at("/"));
    socket.sendText(text);
    EXPECT_THAT(socket.heard(), ElementsAre("accepted", StartsWith("failed internal.internal: ")));
  }
}

// ---- Too much

TEST_F(RawSocketTest, what_the_code_does_not_take_is_known_to_the_client) {
  TestSocket socket(world_, at("/"));
  socket.sendText("wait");
  const std::size_t taken = socket.takenCost();
  EXPECT_EQ(taken, 64u + 4);
  socket.sendBinary(std::string(1000, 'x'));
  EXPECT_EQ(socket.takenCost(), taken);
  world_.advance(10s);
  EXPECT_EQ(socket.takenCost(), taken + 64 + 1000);
}

TEST_F(RawSocketTest, a_client_that_does_not_take_it_suspends_who_sends) {
  TestSocket slow(world_, at("/ever"), TestSocket::Client::Slow);
  const std::size_t first = slow.waitingCost();
  EXPECT_GT(first, 256u * 1024);
  EXPECT_LT(first, 256u * 1024 + 2'000);
  world_.advance(29s);
  EXPECT_EQ(slow.waitingCost(), first);
  slow.take();
  EXPECT_GT(slow.waitingCost(), 256u * 1024);  // it went on
  world_.advance(30s);
  EXPECT_THAT(slow.heard().back(),
              StartsWith("failed actor.action_timed_out: the client does not"));
  EXPECT_EQ(lines(), R"(["opened /ever","not open"])");
}

TEST_F(RawSocketTest, a_client_that_does_not_take_its_answers_is_not_read_from) {
  TestSocket slow(world_, at("/"), TestSocket::Client::Slow);
  for (int i = 0; i < 300; ++i) slow.sendBinary(std::string(1000, 'x'));
  const std::size_t taken = slow.takenCost();
  EXPECT_GT(taken, 256u * 1024);
  EXPECT_LT(taken, 256u * 1024 + 2'000);
  slow.take();
  EXPECT_EQ(slow.takenCost(), 300u * 1064);
}

TEST_F(RawSocketTest, who_sends_without_waiting_loses_a_client_that_is_too_slow) {
  TestSocket slow(world_, at("/"), TestSocket::Client::Slow);
  TestSocket quick(world_, at("/"));
  slow.sendText("much");
  EXPECT_THAT(slow.heard(), ElementsAre("accepted", StartsWith("failed actor.action_timed_out: ")));
  EXPECT_THAT(talkTrail, ElementsAre(StartsWith("ended 1006 ")));
  quick.sendText("a");
  EXPECT_THAT(quick.heard(), ElementsAre("accepted", "text said a"));
}

// ---- Sleep, destroy, drain

TEST_F(RawSocketTest, it_has_no_time_limit_and_keeps_the_actor_awake) {
  TestSocket socket(world_, at("/"));
  world_.advance(10min);
  EXPECT_TRUE(isAwake());
  socket.sendText("a");
  EXPECT_THAT(socket.heard(), ElementsAre("accepted", "text said a"));
  socket.close(1000);
  world_.advance(32s);
  EXPECT_FALSE(isAwake());
  EXPECT_THAT(talkTrail, ElementsAre("ended 1000 ", "sleep"));
}

TEST_F(RawSocketTest, an_actor_that_is_put_to_sleep_ends_it) {
  TestSocket socket(world_, at("/"));
  EXPECT_EQ(talker("sleep"), "null");
  world_.settle();
  EXPECT_THAT(socket.heard(), ElementsAre("accepted", StartsWith("failed actor.stopped: ")));
  EXPECT_THAT(talkTrail, ElementsAre("aborted: the actor is on its way out", "sleep"));
}

TEST_F(RawSocketTest, destroy_ends_it) {
  TestSocket socket(world_, at("/"));
  talker("destroy");
  world_.settle();
  EXPECT_THAT(socket.heard(), ElementsAre("accepted", StartsWith("failed actor.destroyed: ")));
}

TEST_F(RawSocketTest, a_host_that_closes_ends_it) {
  TestSocket socket(world_, at("/"));
  TestSocket asking(world_, at("/wait"));
  world_.restart();
  EXPECT_THAT(socket.heard(), ElementsAre("accepted", StartsWith("failed actor.shutting_down: ")));
  EXPECT_THAT(asking.heard(), ElementsAre(StartsWith("failed actor.action_timed_out: ")));
}

TEST_F(RawSocketTest, in_an_actor_that_does_one_thing_at_a_time_each_message_is_one) {
  TestSocket socket(world_, at("/", "turnwise"));
  EXPECT_EQ(lines("turnwise"), R"(["opened /"])");  // it waits for a message: others run
  socket.sendText("wait");
  std::string seen;
  world_.spawn([&] {
    seen = ActorWorld::textOf(world_.host().run(ActorWorld::request("turnwise", "a", "lines")));
  });
  world_.settle();
  EXPECT_EQ(seen, "");  // the message is not done
  world_.advance(10s);
  EXPECT_EQ(seen, R"(["opened /","wait"])");
  EXPECT_THAT(socket.heard(), ElementsAre("accepted", "text said wait"));
}

}  // namespace
}  // namespace skep::testing
