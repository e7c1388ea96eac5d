// Connections of the test kit. The first is the example of docs/guide/testing.md.

#include <gmock/gmock.h>
#include <skep/testing.h>

namespace skep {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

struct ChatRoom : Actor {
  static void define(Definition<ChatRoom>& d) {
    d.event<std::string>("newMessage").event<std::int64_t>("count");
    d.action("send", &ChatRoom::send).action("later", &ChatRoom::later);
    d.action("leave", &ChatRoom::leave).action("fail", &ChatRoom::fail);
    d.action("people", &ChatRoom::people);
    d.createConnectionState(&ChatRoom::enter);
  }
  std::string enter(Context&, const Visitor& visitor) {
    const auto said = visitor.parameters<Value>();
    const std::string name = said.is_object() ? said.value("name", "somebody") : "somebody";
    if (name == "eve") throw Forbidden("not eve");
    return name;
  }
  void send(Context& c, std::string text) {
    const auto sender = c.connection();
    const std::string name = sender ? sender->state<std::string>() : "nobody";
    c.broadcast("newMessage", name + ": " + text);
  }
  void later(Context& c) { c.schedule().after(1min, "send", "it is time"); }
  void leave(Context& c) { c.connection()->disconnect("bye"); }
  void fail(Context&) { throw UserError("no", "not at all"); }
  std::int64_t people(Context& c) { return static_cast<std::int64_t>(c.connections().size()); }
};

TEST(ChatTest, everybody_in_the_room_hears_a_message) {
  skep::TestHost host(skep::registry<ChatRoom>("chatRoom"));
  auto ada = host.connect("chatRoom", {"lobby"}, {.subscribe = {"newMessage"}});
  auto bob = host.connect("chatRoom", {"lobby"}, {.parameters = {{"name", "bob"}}});
  bob.call("send", "hello");
  EXPECT_EQ(ada.take<std::string>("newMessage"), std::vector<std::string>{"bob: hello"});
  host.sleep("chatRoom", {"lobby"});
  EXPECT_TRUE(ada.isOpen());
}

class TestConnectionTest : public ::testing::Test {
 protected:
  TestConnection connect(const std::string& name, std::vector<std::string> events = {}) {
    return host_.connect("chatRoom", {"lobby"},
                         {.subscribe = std::move(events), .parameters = {{"name", name}}});
  }
  TestHost host_{registry<ChatRoom>("chatRoom")};
};

TEST_F(TestConnectionTest, hears_what_it_subscribed_to_in_order) {
  auto ada = connect("ada", {"newMessage"});
  auto bob = connect("bob");
  bob.call("send", "hello");
  ada.call("send", "hello to you");
  host_.call("chatRoom", {"lobby"}, "send", "a note");
  EXPECT_THAT(ada.take<std::string>("newMessage"),
              ElementsAre("bob: hello", "ada: hello to you", "nobody: a note"));
  EXPECT_THAT(ada.take<std::string>("newMessage"), IsEmpty());
  EXPECT_THAT(bob.take<std::string>("newMessage"), IsEmpty());
  bob.subscribe("newMessage");
  ada.unsubscribe("newMessage");
  ada.call("send", "again");
  EXPECT_THAT(bob.take<std::string>("newMessage"), ElementsAre("ada: again"));
  EXPECT_THAT(ada.take<std::string>("newMessage"), IsEmpty());
}

TEST_F(TestConnectionTest, stays_while_the_actor_sleeps_and_hears_of_its_timers) {
  auto ada = connect("ada", {"newMessage"});
  ada.call("later");
  host_.sleep("chatRoom", {"lobby"});
  EXPECT_FALSE(host_.isAwake("chatRoom", {"lobby"}));
  EXPECT_TRUE(ada.isOpen());
  host_.advance(59s);
  EXPECT_THAT(ada.take<std::string>("newMessage"), IsEmpty());
  host_.advance(1s);
  EXPECT_THAT(ada.take<std::string>("newMessage"), ElementsAre("nobody: it is time"));
  EXPECT_EQ(ada.call<std::int64_t>("people"), 1);
}

TEST_F(TestConnectionTest, ends_as_a_real_one_does) {
  auto left = connect("ada");
  EXPECT_THROW(left.call("leave"), ActorError) << "no reply comes any more";
  EXPECT_FALSE(left.isOpen());
  EXPECT_EQ(left.endCode(), "disconnected");
  EXPECT_THROW(left.call("send", "late"), ActorError);
  auto gone = connect("bob");
  gone.close();
  EXPECT_FALSE(gone.isOpen());
  EXPECT_EQ(gone.endCode(), "");
  auto lost = connect("carl", {"newMessage"});
  EXPECT_EQ(lost.call<std::int64_t>("people"), 1);
  host_.restart();
  EXPECT_FALSE(lost.isOpen());
  EXPECT_EQ(lost.endCode(), "shutting_down");
  auto destroyed = connect("dora");
  host_.destroy("chatRoom", {"lobby"});
  EXPECT_EQ(destroyed.endCode(), "destroyed");
}

TEST_F(TestConnectionTest, failures_are_thrown) {
  EXPECT_THROW(connect("eve"), ActorError);
  EXPECT_THROW(connect("ada", {"no such event"}), ActorError);
  auto ada = connect("ada");
  EXPECT_THROW(ada.call("fail"), ActorError);
  EXPECT_THROW(ada.subscribe("no such event"), ActorError);
  EXPECT_EQ(ada.call<std::int64_t>("people"), 1) << "and it goes on";
}

}  // namespace
}  // namespace skep
