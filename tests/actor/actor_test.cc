// Actors through their Host: what a caller gets, what is stored, in which order.

#include <gmock/gmock.h>

#include "skep/testing/actor_world.h"

namespace skep::testing {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

struct Note {
  std::int64_t id;
  std::string author;
  std::optional<std::string> text;
};

/// What the actors of a test did, in order.
std::vector<std::string> trail;

struct Notes : Actor {
  static void define(Definition<Notes>& d) {
    d.migration(1, "CREATE TABLE note(id INTEGER PRIMARY KEY, author TEXT NOT NULL, text TEXT)");
    d.migration(2, "CREATE INDEX note_author ON note(author)");
    d.action("add", &Notes::add).action("all", &Notes::all).action("addTwo", &Notes::addTwo);
    d.action("addThenWait", &Notes::addThenWait).action("count", &Notes::count);
    d.action("remember", &Notes::remember).action("addAndThrow", &Notes::addAndThrow);
    d.action("tag", &Notes::tag).action("raise", &Notes::raise).action("bad", &Notes::bad);
    d.action("askOther", &Notes::askOther).action("vanish", &Notes::vanish);
    d.action("descend", &Notes::descend);
    d.action("forever", &Notes::forever).action("spin", &Notes::spin);
    d.state(&Notes::state);
    d.onCreate(&Notes::onCreate).onWake(&Notes::onWake).onSleep(&Notes::onSleep);
    d.onDestroy(&Notes::onDestroy);
  }

  struct State {
    std::int64_t tags = 0;
    std::vector<std::string> names;
  };
  State state;
  std::int64_t calls = 0;  // volatile

  void onCreate(Context&, std::optional<std::string> greeting) {
    trail.push_back("create " + greeting.value_or("-"));
    if (greeting == "refuse") throw UserError("refused", "not today");
  }
  void onWake(Context&) { trail.push_back("wake"); }
  void onSleep(Context&) { trail.push_back("sleep"); }
  void onDestroy(Context&) { trail.push_back("destroy"); }

  Note add(Context& c, std::string author, std::optional<std::string> text) {
    return c.queryOne<Note>("INSERT INTO note(author, text) VALUES (?, ?) RETURNING *", author,
                            text);
  }
  std::vector<Note> all(Context& c) {
    return c.query<Note>("SELECT id, author, text FROM note ORDER BY id");
  }
  void addTwo(Context& c, const std::string& author) {
    add(c, author, "one");
    add(c, author, "two");
  }
  void addThenWait(Context& c, std::string author, std::int64_t ms) {
    add(c, author, "before");
    c.sleepFor(std::chrono::milliseconds(ms));
    add(c, author, "after");
    if (author == "throws") throw UserError("late", "after the wait");
  }
  void addAndThrow(Context& c, std::string author) {
    add(c, author, "never");
    state.tags = 99;
    throw UserError("no_notes", "no notes from " + author, "{\"author\":\"" + author + "\"}");
  }
  std::int64_t count(Context& c) { return c.queryOne<std::int64_t>("SELECT count(*) FROM note"); }
  std::int64_t remember(Context&) { return ++calls; }
  State tag(Context&, std::string name) {
    ++state.tags;
    state.names.push_back(name);
    return state;
  }
  void raise(Context&) { throw std::runtime_error("the secret is 42"); }
  void bad(Context& c) { c.execute("SELECT * FROM nowhere"); }
  std::string askOther(Context& c, std::string key) {
    add(c, "asked " + key, std::nullopt);
    return std::to_string(c.call<std::int64_t>("notes", {key}, "count"));
  }
  std::int64_t descend(Context& c, std::int64_t levels) {
    if (levels == 0) return 0;
    return 1 + c.call<std::int64_t>("notes", {std::to_string(levels)}, "descend", levels - 1);
  }
  void vanish(Context& c) { c.destroy(); }
  void forever(Context& c) {
    while (true) c.sleepFor(10ms);
  }
  std::int64_t spin(Context& c) {
    return c.queryOne<std::int64_t>(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n");
  }
};

struct OneByOne : Notes {
  static void define(Definition<OneByOne>& d) {
    d.migration(1, "CREATE TABLE note(id INTEGER PRIMARY KEY, author TEXT NOT NULL, text TEXT)");
    d.action("addThenWait", &OneByOne::wait).action("askSelf", &OneByOne::askSelf);
    d.options().concurrency = Concurrency::OneAtATime;
  }
  void wait(Context& c, std::string name) {
    trail.push_back(name + " begins");
    c.sleepFor(10ms);
    trail.push_back(name + " ends");
  }
  void askSelf(Context& c) { c.call("oneByOne", {c.key()[0]}, "addThenWait", std::string("self")); }
};

class ActorTest : public ::testing::Test {
 protected:
  ActorTest() {
    trail.clear();
    world_.add<Notes>("notes");
    world_.add<OneByOne>("oneByOne");
  }
  std::string notes(const std::string& action, const std::string& arguments = "[]") {
    return world_.call("notes", "a", action, arguments);
  }

  ActorWorld world_;
};

TEST_F(ActorTest, an_action_gets_typed_arguments_and_gives_a_typed_result) {
  EXPECT_EQ(notes("add", R"(["Ada", "hello"])"), R"({"author":"Ada","id":1,"text":"hello"})");
  EXPECT_EQ(notes("add", R"(["Bob", null])"), R"({"author":"Bob","id":2,"text":null})");
  EXPECT_EQ(notes("all"),
            R"([{"author":"Ada","id":1,"text":"hello"},{"author":"Bob","id":2,"text":null}])");
}

TEST_F(ActorTest, arguments_that_do_not_fit_are_refused_with_their_place) {
  EXPECT_THAT(
      notes("add", "[1, null]"),
      HasSubstr("request.invalid_arguments: arguments[0]: expected a string, got a number"));
  EXPECT_THAT(notes("add", R"(["Ada"])"), HasSubstr("arguments: expected an array of 2"));
  EXPECT_THAT(notes("add", "{}"), HasSubstr("arguments: expected an array of 2, got an object"));
  EXPECT_THAT(notes("add", "[1"), StartsWith("request.invalid_arguments: JSON"));
  EXPECT_THAT(notes("addThenWait", R"(["Ada", 1.5])"),
              HasSubstr("arguments[1]: expected an integer, got a number"));
  EXPECT_EQ(notes("count"), "0");
}

TEST_F(ActorTest, arguments_that_are_nested_too_deep_are_refused) {
  const std::size_t depth = 1'000'000;
  EXPECT_THAT(notes("add", std::string(depth, '[') + std::string(depth, ']')),
              HasSubstr("JSON: is nested deeper than 200"));
  call::ActionRequest cbor = ActorWorld::request("notes", "a", "add");
  cbor.arguments = {call::Encoding::Cbor, std::string(depth, '\x81')};
  EXPECT_THAT(world_.call(cbor), HasSubstr("CBOR: is no whole value, or one that is nested"));
  EXPECT_EQ(notes("count"), "0");
}

TEST_F(ActorTest, unknown_types_and_actions_are_named) {
  EXPECT_EQ(world_.call("nobody", "a", "x"), "actor.unknown_type: no actor type is named 'nobody'");
  EXPECT_EQ(notes("nothing"),
            "actor.unknown_action: actor type 'notes' has no action named 'nothing'");
}

TEST_F(ActorTest, hooks_run_in_order_and_volatile_memory_ends_with_sleep) {
  EXPECT_EQ(notes("remember"), "1");
  EXPECT_EQ(notes("remember"), "2");
  world_.advance(29s);
  EXPECT_EQ(notes("remember"), "3");  // it is awake until it was idle for 30 s
  world_.advance(29s);
  EXPECT_EQ(notes("remember"), "4");
  world_.advance(31s);
  world_.advance(1s);
  EXPECT_EQ(world_.host().stats().actorsAwake, 0u);
  EXPECT_EQ(notes("remember"), "1");
  EXPECT_THAT(trail, ElementsAre("create -", "wake", "sleep", "wake"));
}

TEST_F(ActorTest, what_was_written_is_there_after_a_restart) {
  notes("addTwo", R"(["Ada"])");
  EXPECT_EQ(notes("tag", R"(["x"])"), R"({"names":["x"],"tags":1})");
  world_.restart();
  EXPECT_EQ(notes("count"), "2");
  EXPECT_EQ(notes("tag", R"(["y"])"), R"({"names":["x","y"],"tags":2})");
}

TEST_F(ActorTest, a_throw_rolls_back_sql_and_state_and_tells_the_caller) {
  EXPECT_EQ(notes("tag", R"(["x"])"), R"({"names":["x"],"tags":1})");
  world_.run([&] {
    const call::Reply reply =
        world_.host().run(ActorWorld::request("notes", "a", "addAndThrow", R"(["Ada"])"));
    const auto& failure = std::get<call::Failure>(reply);
    EXPECT_EQ(failure.toString(), "user.no_notes: no notes from Ada");
    EXPECT_EQ(failure.metadata, R"({"author":"Ada"})");
  });
  EXPECT_EQ(notes("count"), "0");
  EXPECT_EQ(notes("tag", R"(["y"])"), R"({"names":["x","y"],"tags":2})");
}

TEST_F(ActorTest, other_exceptions_are_masked) {
  const std::string text = notes("raise");
  EXPECT_THAT(text, StartsWith("internal.internal: "));
  EXPECT_THAT(text, ::testing::Not(HasSubstr("42")));
  EXPECT_THAT(notes("bad"), HasSubstr("actor.sql: no such table: nowhere"));
}

TEST_F(ActorTest, a_wait_commits_what_was_written_before_it) {
  EXPECT_EQ(world_.call("notes", "b", "count"), "0");
  std::string late;
  world_.spawn([&] {
    late = ActorWorld::textOf(
        world_.host().run(ActorWorld::request("notes", "a", "addThenWait", R"(["throws", 100])")));
  });
  world_.settle();
  EXPECT_EQ(late, "");
  EXPECT_EQ(notes("count"), "1");  // another call runs while that one waits
  world_.advance(100ms);
  EXPECT_EQ(late, "user.late: after the wait");
  EXPECT_EQ(notes("count"), "1");  // only the turn that threw is rolled back
}

TEST_F(ActorTest, one_at_a_time_waits_for_the_call_before) {
  int done = 0;
  for (const char* name : {"[\"first\"]", "[\"second\"]"}) {
    world_.spawn([&, name] {
      world_.host().run(ActorWorld::request("oneByOne", "a", "addThenWait", name));
      ++done;
    });
  }
  for (int i = 0; i < 3; ++i) world_.advance(10ms);
  EXPECT_EQ(done, 2);
  EXPECT_THAT(trail, ElementsAre("first begins", "first ends", "second begins", "second ends"));
}

TEST_F(ActorTest, a_call_that_would_wait_for_itself_fails) {
  EXPECT_THAT(world_.call("oneByOne", "a", "askSelf"), StartsWith("actor.call_cycle: "));
}

TEST_F(ActorTest, calls_are_nested_so_deep_and_no_deeper) {
  EXPECT_EQ(world_.call("notes", "a", "descend", "[31]"), "31");
  EXPECT_THAT(world_.call("notes", "a", "descend", "[32]"), StartsWith("actor.call_cycle: "));
  EXPECT_EQ(world_.call("notes", "a", "descend", "[3]"), "3");
}

TEST_F(ActorTest, actors_call_each_other_also_themselves) {
  world_.call("notes", "b", "addTwo", R"(["Ada"])");
  EXPECT_EQ(notes("askOther", R"(["b"])"), "\"2\"");
  EXPECT_EQ(notes("askOther", R"(["a"])"), "\"2\"");
}

// ---- The output gate

TEST_F(ActorTest, a_reply_waits_until_what_it_tells_is_durable) {
  EXPECT_EQ(notes("count"), "0");
  fiber::Event durable;
  bool mayWrite = false;
  world_.store().beforeWrite = [&](const store::DatabaseWrite&) -> Status {
    while (!mayWrite) durable.wait();
    return {};
  };
  std::string written;
  std::string read;
  world_.spawn([&] {
    written = ActorWorld::textOf(
        world_.host().run(ActorWorld::request("notes", "a", "add", R"(["Ada", null])")));
  });
  world_.settle();
  world_.spawn([&] {
    read = ActorWorld::textOf(world_.host().run(ActorWorld::request("notes", "a", "count")));
  });
  world_.settle();
  EXPECT_EQ(written, "");
  EXPECT_EQ(read, "");  // it has seen what is not durable yet
  mayWrite = true;
  durable.notifyAll();
  world_.settle();
  EXPECT_EQ(read, "1");
  EXPECT_THAT(written, HasSubstr("Ada"));
}

TEST_F(ActorTest, a_commit_that_fails_breaks_the_actor_and_the_next_call_reloads_it) {
  EXPECT_EQ(notes("remember"), "1");
  notes("add", R"(["Ada", null])");
  bool fails = true;
  world_.store().beforeWrite = [&](const store::DatabaseWrite&) -> Status {
    if (std::exchange(fails, false)) return Error{ErrorCode::Fenced, "another owner"};
    return {};
  };
  EXPECT_THAT(notes("add", R"(["Bob", null])"), StartsWith("actor.broken: "));
  EXPECT_EQ(notes("count"), "1");     // what the broken actor knew is gone
  EXPECT_EQ(notes("remember"), "1");  // its memory too
}

// ---- Existence

TEST_F(ActorTest, get_and_create_look_whether_the_actor_exists) {
  call::ActionRequest get = ActorWorld::request("notes", "a", "count");
  get.existence = call::Existence::Get;
  EXPECT_EQ(world_.call(get), R"(actor.not_found: there is no actor notes["a"])");
  call::ActionRequest create = ActorWorld::request("notes", "a", "count");
  create.existence = call::Existence::Create;
  create.input = call::Payload{.bytes = "\"welcome\""};
  EXPECT_EQ(world_.call(create), "0");
  EXPECT_EQ(trail.front(), "create welcome");
  EXPECT_THAT(world_.call(create), StartsWith("actor.already_exists: "));
  EXPECT_EQ(world_.call(get), "0");
  world_.restart();
  EXPECT_THAT(world_.call(create), StartsWith("actor.already_exists: "));
}

TEST_F(ActorTest, a_creation_that_is_refused_leaves_nothing) {
  call::ActionRequest create = ActorWorld::request("notes", "a", "count");
  create.input = call::Payload{.bytes = "\"refuse\""};
  EXPECT_EQ(world_.call(create), "user.refused: not today");
  world_.run([&] { EXPECT_EQ(world_.store().info("notes/a").error().code, ErrorCode::NotFound); });
}

TEST_F(ActorTest, destroy_removes_everything) {
  notes("addTwo", R"(["Ada"])");
  world_.run([&] {
    EXPECT_TRUE(std::holds_alternative<std::monostate>(
        world_.host().destroy({.type = "notes", .key = {"a"}})));
    EXPECT_EQ(world_.store().info("notes/a").error().code, ErrorCode::NotFound);
    const auto again = world_.host().destroy({.type = "notes", .key = {"a"}});
    EXPECT_TRUE(std::get<call::Failure>(again).is(call::FailureCode::ActorNotFound));
  });
  EXPECT_EQ(trail.back(), "destroy");
  EXPECT_EQ(notes("count"), "0");  // a new one
}

TEST_F(ActorTest, an_actor_that_destroys_itself_fails_the_others_calls) {
  std::string waiting;
  world_.spawn([&] {
    waiting = ActorWorld::textOf(
        world_.host().run(ActorWorld::request("notes", "a", "addThenWait", R"(["Ada", 1000])")));
  });
  world_.settle();
  EXPECT_EQ(notes("vanish"), "null");
  EXPECT_THAT(waiting, StartsWith("actor.destroyed: "));
  EXPECT_EQ(notes("count"), "0");
}

TEST_F(ActorTest, list_tells_what_exists_and_what_is_awake) {
  notes("count");
  world_.call("notes", "b", "count");
  world_.run([&] {
    world_.host().sleep({.type = "notes", .key = {"b"}});
    const auto listed = world_.host().list("notes", "", 10);
    const auto& actors = std::get<call::ActorList>(listed).actors;
    ASSERT_EQ(actors.size(), 2u);
    EXPECT_EQ(actors[0].actor.toString(), R"(notes["a"])");
    EXPECT_TRUE(actors[0].isAwake);
    EXPECT_FALSE(actors[1].isAwake);
  });
}

// ---- Time

TEST_F(ActorTest, an_action_that_never_ends_is_told_to_and_its_caller_gets_an_answer) {
  std::string reply;
  world_.spawn([&] {
    reply = ActorWorld::textOf(world_.host().run(ActorWorld::request("notes", "a", "forever")));
  });
  world_.settle();
  for (int i = 0; i < 59; ++i) world_.advance(1s);
  EXPECT_EQ(reply, "");
  world_.advance(1s);
  EXPECT_EQ(reply, "actor.action_timed_out: the action took too long");
  EXPECT_EQ(notes("count"), "0");
}

// ---- Migrations

TEST_F(ActorTest, a_migration_that_fails_keeps_the_old_data_and_says_where) {
  notes("addTwo", R"(["Ada"])");
  world_.restart();
  actor::ActorType type = actorType<Notes>("notes");
  type.migrations.push_back({.version = 3, .sql = "CREATE TABLE x(a); SELECT nope FROM note"});
  world_.registry() = actor::Registry();
  world_.add(type);
  world_.run([&] {
    const call::Reply reply = world_.host().run(ActorWorld::request("notes", "a", "count"));
    const auto& failure = std::get<call::Failure>(reply);
    EXPECT_EQ(failure.toString(), "actor.migration_failed: migration 3: no such column: nope");
    EXPECT_EQ(failure.metadata, R"({"version":3,"sqliteCode":1,"sqlOffset":26})");
  });
  world_.restart();
  world_.registry() = actor::Registry();
  world_.add<Notes>("notes");
  EXPECT_EQ(notes("count"), "2");
}

TEST_F(ActorTest, migrations_are_applied_once_and_in_order) {
  notes("addTwo", R"(["Ada"])");
  world_.restart();
  actor::ActorType type = actorType<Notes>("notes");
  type.migrations.push_back({.version = 7, .sql = "DELETE FROM note WHERE text = 'one'"});
  world_.registry() = actor::Registry();
  world_.add(type);
  EXPECT_EQ(notes("count"), "1");
  notes("addTwo", R"(["Bob"])");
  world_.restart();
  EXPECT_EQ(notes("count"), "3");
}

}  // namespace
}  // namespace skep::testing
