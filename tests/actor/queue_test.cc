// Queues: order, acknowledgement, redelivery, dead letters, replies; and what a crash leaves of all that.

#include <gmock/gmock.h>

#include "skep/testing/actor_world.h"

namespace skep::testing {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

std::vector<std::string> trail;
std::map<std::string, int> failuresLeft;

struct Job {
  std::string name;
  std::optional<std::int64_t> ms;
};

struct Worker : Actor {
  static void define(Definition<Worker>& d) {
    d.migration(1, "CREATE TABLE done(what TEXT NOT NULL)");
    d.queue("jobs", &Worker::handle,
            {.messagesMax = 5,
             .bodyBytesMax = 1000,
             .deadMax = 2,
             .retry = {.triesMax = 3, .first = 1s, .longest = 10s}});
    d.queue<Job>("wide", &Worker::handle, {.concurrency = 2});
    d.action("send", &Worker::send).action("sendAndThrow", &Worker::sendAndThrow);
    d.action("done", &Worker::done).action("size", &Worker::size).action("dead", &Worker::dead);
    d.action("requeue", &Worker::requeue).action("removeDead", &Worker::removeDead);
    d.action("sendOther", &Worker::sendOther).action("sendUnknown", &Worker::sendUnknown);
  }
  std::int64_t send(Context& c, std::string queue, Job job, std::int64_t delayMs) {
    return c.queue<Job>(queue).send(job, {.delay = std::chrono::milliseconds(delayMs)});
  }
  void sendAndThrow(Context& c) {
    c.queue<Job>("jobs").send({.name = "never", .ms = {}});
    throw UserError("no", "not at all");
  }
  std::string handle(Context& c, Job job) {
    trail.push_back(job.name);
    c.execute("INSERT INTO done VALUES (?)", job.name);
    if (failuresLeft[job.name]-- > 0) throw UserError("flaky", "not this time");
    if (job.ms) {
      c.sleepFor(std::chrono::milliseconds(*job.ms));
      c.execute("INSERT INTO done VALUES (?)", job.name + " ends");
    }
    if (job.name == "goodnight") c.sleep();
    return "did " + job.name;
  }
  std::vector<std::string> done(Context& c) {
    return c.query<std::string>("SELECT what FROM done ORDER BY rowid");
  }
  std::size_t size(Context& c, std::string queue) { return c.queue<Job>(queue).size(); }
  std::vector<std::string> dead(Context& c) {
    std::vector<std::string> texts;
    for (const auto& message : c.queue<Job>("jobs").dead()) {
      texts.push_back(std::to_string(message.id) + " " + message.body.name + ": " + message.error);
    }
    return texts;
  }
  bool requeue(Context& c, std::int64_t id) { return c.queue<Job>("jobs").requeueDead(id); }
  bool removeDead(Context& c, std::int64_t id) { return c.queue<Job>("jobs").removeDead(id); }
  std::int64_t sendOther(Context& c, std::string key, std::string name) {
    return c.send("worker", {key}, "jobs", Job{.name = name, .ms = {}});
  }
  void sendUnknown(Context& c) { c.queue<Job>("nothing").send({}); }
};

class QueueTest : public ::testing::Test {
 protected:
  QueueTest() {
    trail.clear();
    failuresLeft.clear();
    world_.add<Worker>("worker");
  }
  std::string call(const std::string& action, const std::string& arguments = "[]") {
    return world_.call("worker", "a", action, arguments);
  }
  std::string send(const std::string& name, const std::string& queue = "jobs",
                   std::int64_t delayMs = 0) {
    return call("send", R"([")" + queue + R"(", {"name":")" + name + R"("}, )" +
                            std::to_string(delayMs) + "]");
  }
  static call::QueueSend message(const std::string& body,
                                 std::optional<Duration> replyTimeout = std::nullopt) {
    return {.actor = {.type = "worker", .key = {"a"}},
            .queue = "jobs",
            .body = {.encoding = call::Encoding::Json, .bytes = body},
            .replyTimeout = replyTimeout};
  }
  std::string textOf(const call::Outcome<call::QueueSent>& sent) {
    if (const auto* failed = std::get_if<call::Failure>(&sent)) return failed->toString();
    const auto& reply = std::get<call::QueueSent>(sent).reply;
    return reply ? reply->bytes : std::to_string(std::get<call::QueueSent>(sent).id);
  }
  std::string sendFromOutside(call::QueueSend message) {
    std::string text;
    world_.run([&] { text = textOf(world_.host().send(std::move(message))); });
    return text;
  }
  void pass(std::chrono::seconds time) {
    for (; time > 0s; time -= 1s) world_.advance(1s);
  }

  ActorWorld world_;
};

TEST_F(QueueTest, messages_are_handled_in_the_order_of_sending) {
  EXPECT_EQ(send("a"), "1");
  EXPECT_EQ(send("b"), "2");
  EXPECT_EQ(sendFromOutside(message(R"({"name":"c"})")), "3");
  EXPECT_EQ(call("done"), R"(["a","b","c"])");
  EXPECT_EQ(call("size", R"(["jobs"])"), "0");
}

TEST_F(QueueTest, a_message_from_outside_wakes_and_makes_the_actor) {
  EXPECT_EQ(sendFromOutside(message(R"({"name":"a"})")), "1");
  EXPECT_THAT(trail, ElementsAre("a"));
  world_.run([&] { world_.host().sleep({.type = "worker", .key = {"a"}}); });
  EXPECT_EQ(sendFromOutside(message(R"({"name":"b"})")), "2");
  EXPECT_THAT(trail, ElementsAre("a", "b"));
}

TEST_F(QueueTest, a_body_that_does_not_fit_is_the_senders_error) {
  EXPECT_THAT(sendFromOutside(message(R"({"nam":"a"})")),
              StartsWith("request.invalid_arguments: message"));
  EXPECT_THAT(sendFromOutside(message("{")), StartsWith("request.invalid_arguments: JSON"));
  auto unknown = message("{}");
  unknown.queue = "nothing";
  EXPECT_THAT(sendFromOutside(unknown), StartsWith("actor.unknown_queue: "));
  EXPECT_THAT(call("sendUnknown"), StartsWith("actor.unknown_queue: "));
  EXPECT_EQ(call("size", R"(["jobs"])"), "0");
}

TEST_F(QueueTest, a_turn_that_is_rolled_back_sends_nothing) {
  EXPECT_THAT(call("sendAndThrow"), StartsWith("user.no"));
  world_.settle();
  EXPECT_THAT(trail, ElementsAre());
  EXPECT_EQ(send("a"), "1");
  EXPECT_THAT(trail, ElementsAre("a"));
}

TEST_F(QueueTest, a_message_with_a_delay_waits_also_when_the_actor_sleeps) {
  send("late", "jobs", 60'000);
  send("now");
  pass(59s);
  EXPECT_EQ(world_.host().stats().actorsAwake, 0u);
  EXPECT_THAT(trail, ElementsAre("now"));
  pass(1s);
  EXPECT_THAT(trail, ElementsAre("now", "late"));
}

TEST_F(QueueTest, what_a_handler_wrote_and_the_acknowledgement_commit_together) {
  send("warm up");
  int commits = 0;
  world_.store().beforeWrite = [&](const store::DatabaseWrite& write) -> Status {
    if (write.commit) ++commits;
    return {};
  };
  world_.run([&] {
    (void)world_.host().send(message(R"({"name":"a"})"));
    EXPECT_EQ(commits, 1);
  });
  EXPECT_EQ(commits, 2);
}

TEST_F(QueueTest, a_handler_that_throws_is_rolled_back_and_gets_the_message_again_later) {
  failuresLeft["a"] = 2;
  send("a");
  send("b");
  EXPECT_THAT(trail, ElementsAre("a", "b"));  // others pass it meanwhile
  pass(1s);
  EXPECT_THAT(trail, ElementsAre("a", "b", "a"));
  pass(2s);
  EXPECT_THAT(trail, ElementsAre("a", "b", "a", "a"));
  EXPECT_EQ(call("done"), R"(["b","a"])");
  EXPECT_EQ(call("dead"), "[]");
}

TEST_F(QueueTest, after_the_last_try_a_message_is_dead_and_can_be_read_queued_again_and_removed) {
  failuresLeft["a"] = 3;
  send("a");
  pass(60s);
  EXPECT_EQ(call("dead"), R"(["1 a: user.flaky: not this time"])");
  EXPECT_EQ(call("size", R"(["jobs"])"), "0");
  EXPECT_EQ(call("requeue", "[1]"), "true");
  EXPECT_EQ(call("requeue", "[1]"), "false");
  EXPECT_EQ(call("done"), R"(["a"])");
  failuresLeft["b"] = 3;
  send("b");
  pass(10s);
  EXPECT_EQ(call("dead"), R"(["2 b: user.flaky: not this time"])");
  EXPECT_EQ(call("removeDead", "[2]"), "true");
  EXPECT_EQ(call("removeDead", "[2]"), "false");
  EXPECT_EQ(call("dead"), "[]");
}

TEST_F(QueueTest, the_oldest_dead_messages_go_when_there_are_too_many) {
  for (const char* name : {"a", "b", "c"}) {
    failuresLeft[name] = 3;
    send(name);
    pass(10s);
  }
  EXPECT_THAT(call("dead"), ::testing::AllOf(HasSubstr("2 b"), HasSubstr("3 c"),
                                             ::testing::Not(HasSubstr("1 a"))));
}

TEST_F(QueueTest, a_queue_that_is_full_says_so) {
  for (int i = 0; i < 5; ++i) EXPECT_EQ(send("late", "jobs", 60'000), std::to_string(i + 1));
  EXPECT_THAT(send("more"), StartsWith("actor.queue_full: "));
  EXPECT_THAT(sendFromOutside(message(R"({"name":"c"})")), StartsWith("actor.queue_full: "));
  EXPECT_THAT(send(std::string(2000, 'x')), StartsWith("actor.value_too_large: "));
  EXPECT_EQ(send("other", "wide"), "6");  // each queue has its own bound
  pass(60s);
  EXPECT_EQ(send("more"), "7");
}

TEST_F(QueueTest, messages_that_were_handled_when_the_process_died_come_again_in_order) {
  call("send", R"(["jobs", {"name":"a","ms":10000}, 0])");
  send("b");
  send("c");
  EXPECT_EQ(call("done"), R"(["a"])");
  world_.crash();
  world_.settle();  // nobody calls the actor
  EXPECT_THAT(trail, ElementsAre("a", "a"));
  pass(10s);
  EXPECT_THAT(trail, ElementsAre("a", "a", "b", "c"));
  world_.crash();
  pass(60s);
  EXPECT_EQ(call("done"), R"(["a","a","a ends","b","c"])");
}

TEST_F(QueueTest, a_store_that_fails_a_commit_is_no_try) {
  send("a", "jobs", 1000);
  bool isAway = true;
  world_.store().beforeWrite = [&](const store::DatabaseWrite&) -> Status {
    if (isAway) return Error{ErrorCode::Fenced, "another owner"};
    return {};
  };
  pass(60s);
  EXPECT_GT(trail.size(), 3u);
  isAway = false;
  pass(61s);
  EXPECT_EQ(call("done"), R"(["a"])");
  EXPECT_EQ(call("dead"), "[]");
}

TEST_F(QueueTest, as_many_messages_are_handled_at_once_as_the_queue_says) {
  for (const char* name : {"a", "b", "c"}) {
    call("send", std::string(R"(["wide", {"name":")") + name + R"(","ms":5000}, 0])");
  }
  EXPECT_THAT(trail, ElementsAre("a", "b"));
  EXPECT_EQ(call("size", R"(["wide"])"), "3");
  pass(5s);
  EXPECT_THAT(trail, ElementsAre("a", "b", "c"));
  pass(5s);
  EXPECT_EQ(call("size", R"(["wide"])"), "0");
}

TEST_F(QueueTest, a_sender_may_wait_for_the_reply) {
  EXPECT_EQ(sendFromOutside(message(R"({"name":"a"})", 10s)), "\"did a\"");
  std::string late;
  world_.spawn(
      [&] { late = textOf(world_.host().send(message(R"({"name":"b","ms":3000})", 10s))); });
  world_.settle();
  EXPECT_EQ(late, "");
  pass(3s);
  EXPECT_EQ(late, "\"did b\"");
}

TEST_F(QueueTest, a_wait_for_the_reply_ends_and_the_message_stays) {
  std::string late;
  world_.spawn(
      [&] { late = textOf(world_.host().send(message(R"({"name":"a","ms":5000})", 2s))); });
  world_.settle();
  pass(2s);
  EXPECT_THAT(late, StartsWith("actor.reply_timed_out: "));
  pass(3s);
  EXPECT_EQ(call("done"), R"(["a","a ends"])");
}

TEST_F(QueueTest, a_sender_that_waits_hears_of_the_last_failure) {
  failuresLeft["a"] = 3;
  std::string late;
  world_.spawn([&] { late = textOf(world_.host().send(message(R"({"name":"a"})", 1min))); });
  world_.settle();
  EXPECT_EQ(late, "");
  pass(10s);
  EXPECT_EQ(late, "user.flaky: not this time");
}

TEST_F(QueueTest, a_reply_waits_until_what_it_tells_is_durable) {
  send("warm up");
  fiber::Event durable;
  bool mayWrite = false;
  world_.store().beforeWrite = [&](const store::DatabaseWrite&) -> Status {
    while (!mayWrite && trail.size() > 1) durable.wait();
    return {};
  };
  std::string reply;
  world_.spawn([&] { reply = textOf(world_.host().send(message(R"({"name":"a"})", 10s))); });
  world_.settle();
  EXPECT_THAT(trail, ElementsAre("warm up", "a"));
  EXPECT_EQ(reply, "");
  mayWrite = true;
  durable.notifyAll();
  world_.settle();
  EXPECT_EQ(reply, "\"did a\"");
}

TEST_F(QueueTest, an_actor_that_is_put_to_sleep_tells_senders_that_wait_and_keeps_their_messages) {
  std::string late;
  call("send", R"(["jobs", {"name":"first","ms":20000}, 0])");
  world_.spawn([&] { late = textOf(world_.host().send(message(R"({"name":"a"})", 1min))); });
  world_.settle();
  world_.spawn([&] { world_.host().sleep({.type = "worker", .key = {"a"}}); });
  world_.settle();
  EXPECT_THAT(late, StartsWith("actor.stopped: "));
  pass(21s);
  EXPECT_EQ(call("done"), R"(["first","first ends","a"])");
}

TEST_F(QueueTest, a_reply_that_is_there_arrives_though_the_actor_goes_to_sleep) {
  EXPECT_EQ(sendFromOutside(message(R"({"name":"goodnight"})", 1min)), "\"did goodnight\"");
  EXPECT_EQ(call("size", R"(["jobs"])"), "0");
}

TEST_F(QueueTest, actors_send_to_each_other) {
  EXPECT_EQ(call("sendOther", R"(["b", "hello"])"), "1");
  EXPECT_EQ(world_.call("worker", "b", "done"), R"(["hello"])");
}

TEST_F(QueueTest, a_backlog_is_worked_off_after_a_restart) {
  world_.store().beforeWrite = [](const store::DatabaseWrite&) -> Status { return {}; };
  send("late", "jobs", 5000);
  world_.restart();
  world_.clock().advance(1h);
  world_.settle();
  EXPECT_THAT(trail, ElementsAre("late"));
}

}  // namespace
}  // namespace skep::testing
