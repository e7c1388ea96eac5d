// The code of docs/guide/: getting-started.md, actors.md, events.md, http.md, websockets.md and access.md, as it
// stands there, run.

#include <gmock/gmock.h>
#include <skep/skep.h>
#include <skep/testing.h>

namespace getting_started {
#define main guideMain
#include <guide/getting-started.inc>
#undef main
}  // namespace getting_started

namespace {

struct Welcome {
  std::string coupon;
};

struct Orders : skep::Actor {
  static void define(skep::Definition<Orders>& d) {
    d.migration(1, "CREATE TABLE placed(id INTEGER PRIMARY KEY, sum INTEGER, coupon TEXT)");
    d.action("place", &Orders::place);
  }
  std::int64_t place(skep::Context& c, std::int64_t sum, std::string coupon) {
    c.execute("INSERT INTO placed(sum, coupon) VALUES (?, ?)", sum, coupon);
    return c.lastInsertRowid();
  }
};

#include <guide/actors.inc>

struct Ticket {
  std::int64_t id = 0;
  std::string title;
};
struct Login {
  std::string name;
};
struct Agent {
  std::string name;
};

#include <guide/events.inc>
#include <guide/http.inc>
#include <guide/websockets.inc>

#include <guide/access.inc>

TEST(GuidePagesTest, getting_started) {
  using getting_started::Note;
  using getting_started::Notes;
  skep::TestHost host(skep::registry<Notes>("notes"));
  const Note note = host.call<Note>("notes", {"ada"}, "add", "buy honey");
  EXPECT_EQ(note.id, 1);
  EXPECT_EQ(host.call<std::vector<Note>>("notes", {"ada"}, "all").size(), 1u);
  EXPECT_EQ(host.call<std::vector<Note>>("notes", {"bo"}, "all").size(), 0u);
  EXPECT_THROW(host.call("notes", {"ada"}, "add", ""), skep::ActorError);
  EXPECT_NE(&getting_started::guideMain, nullptr);
}

TEST(GuidePagesTest, actors) {
  skep::TestHost host(skep::registry<Cart, Orders>("cart", "orders"));
  host.create("cart", {"ada"}, Welcome{"SUMMER"});
  host.call("cart", {"ada"}, "put", "tea", std::int64_t{2}, std::int64_t{300});
  host.call("cart", {"ada"}, "put", "tea", std::int64_t{1}, std::int64_t{300});
  host.sleep("cart", {"ada"});
  EXPECT_EQ(host.call<std::int64_t>("cart", {"ada"}, "total"), 900);
  EXPECT_EQ(host.call<std::int64_t>("cart", {"ada"}, "checkOut"), 1);
  EXPECT_EQ(host.call<std::int64_t>("cart", {"ada"}, "total"), 0);
}

TEST(GuidePagesTest, http) {
  skep::TestHost host(skep::registry<Blog, Feed>("blog", "feed"));
  EXPECT_EQ(host.call<std::int64_t>("blog", {"ada"}, "publish", "hello"), 1);
  EXPECT_EQ(host.call<std::int64_t>("feed", {"ada"}, "publish", "hello"), 1);
}

TEST(GuidePagesTest, websockets) {
  skep::TestHost host(skep::registry<Lobby>("lobby"));
  host.call("lobby", {"ada"}, "say", "hello");
}

TEST(GuidePagesTest, events) {
  skep::TestHost host(skep::registry<Desk>("desk"));
  host.call("desk", {"front"}, "open", Ticket{1, "the printer is on fire"});
  host.call("desk", {"front"}, "tell", "nobody is busy");
}

TEST(GuidePagesTest, access) {
  skep::TestHost host(skep::registry<Board>("board"));
  const Account ada{.sub = "ada", .teams = {"red", "blue"}};
  EXPECT_EQ(host.callAs<std::int64_t>(ada, "board", {"red"}, "add", "paint"), 1);
  EXPECT_THROW(host.callAs(ada, "board", {"green"}, "add", "paint"), skep::ActorError);
  EXPECT_THROW(host.callAs(ada, "board", {"red"}, "clear"), skep::ActorError);
  EXPECT_NO_THROW(host.callAs(Account{"lead", {"red"}}, "board", {"red"}, "clear"));
  EXPECT_THROW(host.call("board", {"red"}, "add", "paint"), skep::ActorError) << "who would it be?";
}

}  // namespace
