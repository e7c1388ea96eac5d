// Raw requests: an actor's own code answers them as a whole.

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

class RawHttpTest : public ::testing::Test {
 protected:
  RawHttpTest() {
    world_.add<Page>("page");
    world_.add<Guarded>("guarded");
    world_.add<Feed>("feed");
  }
  static call::HttpRequest get(const std::string& path, const std::string& type = "page") {
    return {.actor = {.type = type, .key = {"a"}}, .method = "GET", .path = path};
  }
  std::vector<std::string> ask(call::HttpRequest request) {
    TestExchange exchange(world_, std::move(request));
    return exchange.heard();
  }
  std::string visits(const std::string& type = "page") { return world_.call(type, "a", "visits"); }

  ActorWorld world_;
};

TEST_F(RawHttpTest, a_request_arrives_as_it_was_sent) {
  call::HttpRequest request = get("/echo");
  request.method = "PATCH";
  request.query = "a=1&b=%20";
  request.headers = {{"x-one", "1"}, {"x-one", "2"}};
  request.body = std::string("\0\xff", 2);
  const std::string echo = "200 PATCH a=1&b=%20 " + request.body + "\nx-one: 1\nx-one: 2";
  EXPECT_THAT(ask(request), ElementsAre(echo));
}

TEST_F(RawHttpTest, status_headers_and_body_are_the_handlers) {
  TestExchange cookies(world_, get("/cookies"));
  EXPECT_THAT(cookies.heard(), ElementsAre("201 x"));
  EXPECT_EQ(cookies.header("Set-Cookie"), "a=1");
  EXPECT_THAT(ask(get("/missing")), ElementsAre("404 nothing here"));
  call::HttpRequest json = get("/json");
  json.body = "[1, 2]";
  EXPECT_THAT(ask(json), ElementsAre("200 [1,2]"));
  json.body = "[1,";
  EXPECT_THAT(ask(json), ElementsAre(StartsWith("failed request.invalid_arguments: ")));
}

TEST_F(RawHttpTest, what_it_wrote_stays_and_when_it_throws_does_not) {
  EXPECT_THAT(ask(get("/x")), ElementsAre("200 <p>1</p>"));
  EXPECT_THAT(ask(get("/throw")), ElementsAre("failed user.wrong: as asked"));
  EXPECT_THAT(ask(get("/bug")), ElementsAre(StartsWith("failed internal.internal: ")));
  EXPECT_EQ(visits(), R"(["/x"])");
}

TEST_F(RawHttpTest, a_response_that_would_forge_another_header_is_an_error_of_the_actor) {
  EXPECT_THAT(ask(get("/split")), ElementsAre(StartsWith("failed internal.internal: ")));
  EXPECT_EQ(visits(), "[]");
}

TEST_F(RawHttpTest, a_response_waits_until_what_it_tells_is_durable) {
  ask(get("/x"));
  fiber::Event durable;
  bool mayWrite = false;
  world_.store().beforeWrite = [&](const store::DatabaseWrite&) -> Status {
    while (!mayWrite) durable.wait();
    return {};
  };
  TestExchange page(world_, get("/y"));
  EXPECT_THAT(page.heard(), IsEmpty());
  mayWrite = true;
  durable.notifyAll();
  world_.settle();
  EXPECT_THAT(page.heard(), ElementsAre("200 <p>2</p>"));
}

TEST_F(RawHttpTest, a_commit_that_fails_is_no_response) {
  ask(get("/x"));
  bool fails = true;
  world_.store().beforeWrite = [&](const store::DatabaseWrite&) -> Status {
    if (std::exchange(fails, false)) return Error{ErrorCode::Fenced, "another owner"};
    return {};
  };
  EXPECT_THAT(ask(get("/y")), ElementsAre(StartsWith("failed actor.broken: ")));
  EXPECT_EQ(visits(), R"(["/x"])");
}

TEST_F(RawHttpTest, a_handler_has_the_time_of_an_action) {
  TestExchange slow(world_, get("/wait"));
  world_.advance(61s);
  EXPECT_THAT(slow.heard(), ElementsAre(StartsWith("failed actor.action_timed_out: ")));
}

TEST_F(RawHttpTest, a_client_that_goes_ends_the_handler) {
  TestExchange slow(world_, get("/wait"));
  slow.close();
  EXPECT_THAT(slow.heard(), IsEmpty());
  world_.advance(32s);  // nothing keeps it awake
  EXPECT_FALSE(world_.host().isAwake({.type = "page", .key = {"a"}}));
  EXPECT_EQ(visits(), R"(["/wait"])");  // committed before it waited
}

TEST_F(RawHttpTest, a_type_without_a_handler_says_so_and_does_not_wake) {
  struct Plain : Actor {
    static void define(Definition<Plain>&) {}
  };
  world_.add<Plain>("plain");
  EXPECT_THAT(ask(get("/", "plain")), ElementsAre(StartsWith("failed request.not_found: ")));
  EXPECT_FALSE(world_.host().isAwake({.type = "plain", .key = {"a"}}));
  EXPECT_THAT(ask(get("/", "nothing")), ElementsAre(StartsWith("failed actor.unknown_type: ")));
  call::HttpRequest absent = get("/x");
  absent.existence = call::Existence::Get;
  EXPECT_THAT(ask(absent), ElementsAre(StartsWith("failed actor.not_found: ")));
}

TEST_F(RawHttpTest, what_guards_connections_guards_requests) {
  call::HttpRequest request = get("/x", "guarded");
  EXPECT_THAT(ask(request), ElementsAre("failed request.forbidden: say the word"));
  EXPECT_EQ(visits("guarded"), "[]");
  request.headers = {{"x-word", "sesame"}};
  EXPECT_THAT(ask(request), ElementsAre("200 <p>1</p>"));
}

TEST_F(RawHttpTest, requests_to_an_actor_that_is_destroyed_fail) {
  TestExchange slow(world_, get("/wait"));
  world_.call("page", "a", "destroy");
  EXPECT_THAT(slow.heard(), ElementsAre(StartsWith("failed actor.destroyed: ")));
}

TEST_F(RawHttpTest, a_host_that_closes_waits_for_what_is_under_way) {
  TestExchange slow(world_, get("/wait"));
  world_.restart();
  EXPECT_THAT(slow.heard(), ElementsAre(StartsWith("failed actor.action_timed_out: ")));
}

TEST(HttpHeadTest, what_would_break_the_framing_of_a_response_is_refused) {
  using call::checkHead;
  EXPECT_TRUE(checkHead({.status = 200, .headers = {{"X-A", "tab\tand \xc3\xa4"}}}));
  for (const unsigned status : {0u, 100u, 101u, 199u, 600u, 1000u}) {
    EXPECT_FALSE(checkHead({.status = status}));
  }
  for (const char* name : {"", "a b", "a:", "a\r\n", "ä", "Transfer-Encoding", "connection",
                           "UPGRADE", "Keep-Alive", "TE"}) {
    EXPECT_FALSE(checkHead({.headers = {{name, "x"}}})) << name;
  }
  for (const std::string& value : {std::string("a\nb"), std::string("a\r"), std::string(1, '\0')}) {
    EXPECT_FALSE(checkHead({.headers = {{"X-A", value}}}));
  }
}

TEST(HttpHeadTest, has_a_bounded_size) {
  const std::string half(16'000, 'x');
  EXPECT_TRUE(call::checkHead({.headers = {{"X-A", half}, {"X-B", half}}}));
  EXPECT_FALSE(call::checkHead({.headers = {{"X-A", half}, {"X-B", half}, {"X-C", half}}}));
  EXPECT_FALSE(call::checkHead({.headers = {{"X-A", std::string(70'000, 'x')}}}));
  EXPECT_FALSE(call::checkHead({.headers = {{std::string(70'000, 'x'), "x"}}}));
}

}  // namespace
}  // namespace skep::testing
