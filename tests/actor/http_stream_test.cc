// Streams: an actor's own code answers a raw request bit by bit.

#include <gmock/gmock.h>

#include "pages.h"
#include "skep/testing/test_exchange.h"

namespace skep::testing {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

class HttpStreamTest : public ::testing::Test {
 protected:
  HttpStreamTest() {
    pageTrail.clear();
    world_.add<Feed>("feed");
  }
  static call::HttpRequest get(const std::string& path) {
    return {.actor = {.type = "feed", .key = {"a"}}, .method = "GET", .path = path};
  }
  std::string feed(const std::string& action, const std::string& arguments = "[]") {
    return world_.call("feed", "a", action, arguments);
  }
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
  bool isAwake() { return world_.host().isAwake({.type = "feed", .key = {"a"}}); }

  ActorWorld world_;
  fiber::Event durable_;
  bool mayWrite_ = true;
  Status outcome_;
};

TEST_F(HttpStreamTest, chunks_leave_as_they_are_written) {
  TestExchange stream(world_, get("/"));
  EXPECT_THAT(stream.heard(), ElementsAre("begun 200", "chunk one", "chunk two", "ended"));
  EXPECT_EQ(stream.header("Content-Type"), "text/plain");
  TestExchange silent(world_, get("/silent"));
  EXPECT_THAT(silent.heard(), ElementsAre("204 "));
}

TEST_F(HttpStreamTest, a_handler_that_throws_before_its_head_has_left_gives_its_failure) {
  TestExchange early(world_, get("/early"));
  EXPECT_THAT(early.heard(), ElementsAre("failed user.early: before the head"));
  TestExchange undone(world_, get("/undone"));
  EXPECT_THAT(undone.heard(), ElementsAre("failed user.undone: the head was not committed"));
}

TEST_F(HttpStreamTest, a_handler_that_throws_later_cuts_its_stream) {
  TestExchange late(world_, get("/late"));
  EXPECT_THAT(late.heard(),
              ElementsAre("begun 200", "chunk one", "failed user.late: behind the first chunk"));
}

TEST_F(HttpStreamTest, each_chunk_waits_until_what_it_could_have_seen_is_durable) {
  EXPECT_EQ(feed("count"), "0");
  holdWrites();
  TestExchange stream(world_, get("/write"));
  // "two" was written after the INSERT.
  EXPECT_THAT(stream.heard(), ElementsAre("begun 200", "chunk one"));
  TestExchange other(world_, get("/"));
  EXPECT_THAT(other.heard(), IsEmpty());  // it might have seen it too
  letWrite();
  EXPECT_THAT(stream.heard(), ElementsAre("chunk two", "ended"));
  EXPECT_THAT(other.heard(), ElementsAre("begun 200", "chunk one", "chunk two", "ended"));
}

TEST_F(HttpStreamTest, a_commit_that_fails_cuts_the_stream_before_what_it_wrote) {
  EXPECT_EQ(feed("count"), "0");
  holdWrites();
  TestExchange stream(world_, get("/write"));
  letWrite(Error{ErrorCode::Fenced, "another owner"});
  EXPECT_THAT(stream.heard(),
              ElementsAre("begun 200", "chunk one", StartsWith("failed actor.broken: ")));
  world_.store().beforeWrite = nullptr;
  EXPECT_EQ(feed("count"), "0");
}

TEST_F(HttpStreamTest, a_commit_that_fails_ends_a_stream_that_waits) {
  TestExchange stream(world_, get("/events"));
  stream.heard();
  holdWrites();
  world_.spawn([this] {
    (void)world_.host().run(ActorWorld::request("feed", "a", "publish", R"(["lost"])"));
  });
  world_.settle();
  EXPECT_THAT(stream.heard(), IsEmpty());
  letWrite(Error{ErrorCode::Fenced, "another owner"});
  EXPECT_THAT(stream.heard(), ElementsAre(StartsWith("failed actor.broken: ")));
}

TEST_F(HttpStreamTest, a_client_that_does_not_take_it_suspends_the_writer) {
  TestExchange slow(world_, get("/ever"), TestExchange::Client::Slow);
  const std::size_t first = slow.waitingBytes();
  EXPECT_GT(first, 256u * 1024);
  EXPECT_LT(first, 256u * 1024 + 2'000);
  world_.advance(10s);
  EXPECT_EQ(slow.waitingBytes(), first);
  EXPECT_THAT(pageTrail, IsEmpty());
  slow.take();
  EXPECT_GT(slow.waitingBytes(), 256u * 1024);  // it went on
  world_.advance(29s);
  EXPECT_THAT(pageTrail, IsEmpty());
  world_.advance(1s);
  EXPECT_THAT(pageTrail, ElementsAre("aborted: the client does not take what it is sent"));
  EXPECT_THAT(slow.heard().back(),
              StartsWith("failed actor.action_timed_out: the client does not"));
}

TEST_F(HttpStreamTest, a_store_that_stands_still_suspends_the_writer_too) {
  EXPECT_EQ(feed("count"), "0");
  holdWrites();
  TestExchange stream(world_, get("/ever"));
  EXPECT_THAT(stream.heard(), ElementsAre("begun 200", "chunk one", StartsWith("chunk xxx")));
  world_.advance(1s);
  EXPECT_THAT(pageTrail, IsEmpty());
  stream.close();
  EXPECT_THAT(pageTrail, ElementsAre("aborted: the client has gone"));
  letWrite();
}

TEST_F(HttpStreamTest, a_client_that_goes_stops_the_writer) {
  TestExchange stream(world_, get("/long"));
  EXPECT_THAT(stream.heard(), ElementsAre("begun 200", "chunk one"));
  stream.close();
  EXPECT_THAT(pageTrail, ElementsAre("aborted: the client has gone"));
  EXPECT_THAT(stream.heard(), IsEmpty());
}

TEST_F(HttpStreamTest, a_stream_has_no_time_limit_and_keeps_the_actor_awake) {
  TestExchange stream(world_, get("/long"));
  world_.advance(5min);
  EXPECT_TRUE(isAwake());
  EXPECT_THAT(stream.heard(), ElementsAre("begun 200", "chunk one"));
  world_.advance(5min);
  EXPECT_THAT(stream.heard(), ElementsAre("chunk two", "ended"));
  world_.advance(32s);
  EXPECT_FALSE(isAwake());
  EXPECT_THAT(pageTrail, ElementsAre("sleep"));
}

TEST_F(HttpStreamTest, an_actor_that_is_put_to_sleep_ends_its_streams) {
  TestExchange stream(world_, get("/long"));
  stream.heard();
  world_.run([&] { world_.host().sleep({.type = "feed", .key = {"a"}}); });
  EXPECT_THAT(pageTrail, ElementsAre("aborted: the actor is on its way out", "sleep"));
  EXPECT_THAT(stream.heard(), ElementsAre(StartsWith("failed actor.stopped: ")));
}

TEST_F(HttpStreamTest, destroy_ends_its_streams) {
  TestExchange stream(world_, get("/long"));
  stream.heard();
  feed("destroy");
  world_.settle();
  EXPECT_THAT(stream.heard(), ElementsAre(StartsWith("failed actor.destroyed: ")));
}

TEST_F(HttpStreamTest, a_host_that_closes_cuts_streams_off) {
  TestExchange stream(world_, get("/long"));
  stream.heard();
  world_.restart();
  EXPECT_THAT(stream.heard(), ElementsAre(StartsWith("failed actor.shutting_down: ")));
  EXPECT_THAT(pageTrail, ElementsAre("aborted: this node is shutting down", "sleep"));
}

TEST_F(HttpStreamTest, events_go_on_behind_the_last_one_that_a_client_has_seen) {
  feed("publish", R"(["a"])");
  TestExchange stream(world_, get("/events"));
  EXPECT_EQ(stream.header("Content-Type"), "text/event-stream");
  EXPECT_THAT(stream.heard(), ElementsAre("begun 200", "chunk event: entry\nid: 1\ndata: a\n\n"));
  feed("publish", R"(["b\nc"])");
  EXPECT_THAT(stream.heard(), ElementsAre("chunk event: entry\nid: 2\ndata: b\ndata: c\n\n"));
  world_.advance(15s);
  EXPECT_THAT(stream.heard(), ElementsAre("chunk : still here\n\n"));
  stream.close();
  call::HttpRequest again = get("/events");
  again.headers = {{"last-event-id", "1"}};
  TestExchange back(world_, again);
  EXPECT_THAT(back.heard(),
              ElementsAre("begun 200", "chunk event: entry\nid: 2\ndata: b\ndata: c\n\n"));
}

TEST_F(HttpStreamTest, many_streams_hear_of_one_signal) {
  std::vector<std::unique_ptr<TestExchange>> streams;
  for (int i = 0; i < 50; ++i)
    streams.push_back(std::make_unique<TestExchange>(world_, get("/events")));
  feed("publish", R"(["x"])");
  world_.settle();
  for (const auto& stream : streams) EXPECT_EQ(stream->heard().size(), 2u);
}

TEST(ServerSentEventTest, its_lines_follow_the_standard) {
  using api::formatEvent;
  EXPECT_EQ(formatEvent({}), "data: \n\n");
  EXPECT_EQ(formatEvent({.data = "a\r\nb\rc\nd\n"}),
            "data: a\ndata: b\ndata: c\ndata: d\ndata: \n\n");
  EXPECT_EQ(formatEvent({.data = "x", .event = "e", .id = "7", .retry = 1500ms}),
            "event: e\nid: 7\nretry: 1500\ndata: x\n\n");
  EXPECT_THROW(formatEvent({.event = "a\nb"}), std::logic_error);
  EXPECT_THROW(formatEvent({.id = std::string("a\0b", 3)}), std::logic_error);
  EXPECT_EQ(api::formatComment("a\nb"), ": a\n: b\n\n");
}

}  // namespace
}  // namespace skep::testing
