// The code of docs/guide/queues.md and docs/guide/kv.md, run.

#include <gmock/gmock.h>
#include <skep/testing.h>

namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;

struct Picture {
  std::string name;
  std::int64_t width;
};

struct Gallery : skep::Actor {
  static void define(skep::Definition<Gallery>& d) {
    d.migration(1, "CREATE TABLE picture(name TEXT PRIMARY KEY, width INTEGER NOT NULL)");
    d.queue("resize", &Gallery::resize, {.concurrency = 2, .retry = {.triesMax = 3}});
    d.queue<Picture>("print");
    d.run(&Gallery::run);
    d.action("add", &Gallery::add).action("names", &Gallery::names);
    d.action("remember", &Gallery::remember).action("recent", &Gallery::recent);
    d.action("retryAll", &Gallery::retryAll);
  }

  void add(skep::Context& c, Picture picture) {
    c.queue<Picture>("resize").send(picture);
    c.queue<Picture>("print").send(picture, {.delay = 1h});
  }
  std::string resize(skep::Context& c, Picture picture) {
    if (picture.width <= 0) throw skep::UserError("no_width", "a picture has a width");
    c.execute("INSERT INTO picture VALUES (?, ?)", picture.name, picture.width);
    return "resized " + picture.name;
  }
  void run(skep::Context& c) {
    while (auto message = c.queue<Picture>("print").next()) {
      c.execute("INSERT INTO picture VALUES (?, 0)", "print of " + message->body().name);
      message->complete();
    }
  }
  std::size_t retryAll(skep::Context& c) {
    const auto dead = c.queue<Picture>("resize").dead();
    for (const auto& message : dead) c.queue<Picture>("resize").requeueDead(message.id);
    return dead.size();
  }
  std::vector<std::string> names(skep::Context& c) {
    return c.query<std::string>("SELECT name FROM picture ORDER BY name");
  }

  void remember(skep::Context& c, Picture picture) { c.kv().put("seen/" + picture.name, picture); }
  std::vector<std::string> recent(skep::Context& c) {
    std::vector<std::string> found;
    for (const auto& [key, picture] : c.kv().list<Picture>({.prefix = "seen/", .countMax = 2})) {
      found.push_back(key + " " + std::to_string(picture.width));
    }
    return found;
  }
};

using Names = std::vector<std::string>;

TEST(GuideTest, queues) {
  skep::TestHost host(skep::registry<Gallery>("gallery"));
  host.call("gallery", {"a"}, "add", Picture{"sun", 100});
  EXPECT_EQ(host.call<Names>("gallery", {"a"}, "names"), Names{"sun"});
  host.advance(1h);
  EXPECT_THAT(host.call<Names>("gallery", {"a"}, "names"), ElementsAre("print of sun", "sun"));
  EXPECT_EQ(host.sendAndWait<std::string>("gallery", {"a"}, "resize", Picture{"sea", 5}),
            "resized sea");
  host.send("gallery", {"a"}, "resize", Picture{"nothing", 0});
  EXPECT_EQ(host.call<std::size_t>("gallery", {"a"}, "retryAll"), 0u);
  host.advance(1min);
  EXPECT_EQ(host.call<std::size_t>("gallery", {"a"}, "retryAll"), 1u);
}

TEST(GuideTest, key_value_pairs) {
  skep::TestHost host(skep::registry<Gallery>("gallery"));
  for (const char* name : {"c", "a", "b"}) {
    host.call("gallery", {"a"}, "remember", Picture{name, 7});
  }
  EXPECT_THAT(host.call<Names>("gallery", {"a"}, "recent"), ElementsAre("seen/a 7", "seen/b 7"));
}

}  // namespace
