// The gate of an actor: which clients from outside it lets in, and what it knows of them afterwards.

#include <gmock/gmock.h>

#include "skep/testing/actor_world.h"
#include "skep/testing/test_client.h"

namespace skep::testing {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

struct User {
  std::string sub;
  std::optional<std::string> role;
};

struct Nested {
  struct Realm {
    std::vector<std::string> roles;
  };
  std::string sub;
  Realm realm;
};

struct Vault : Actor {
  static void define(Definition<Vault>& d) {
    d.migration(1, "CREATE TABLE visit(who TEXT)");
    d.action("open", &Vault::open).action("whoAsks", &Vault::whoAsks);
    d.action("visits", &Vault::visits).action("fail", &Vault::fail);
    d.action("others", &Vault::others);
    d.queue<std::string>("letters");
    d.onBeforeConnect(&Vault::admit);
  }
  void admit(Context& c, const Visitor& visitor) {
    const auto user = visitor.claims<User>();
    if (user.sub == "eve") throw Forbidden("not eve");
    if (visitor.header("x-slow")) c.sleepFor(10ms);
    c.execute("INSERT INTO visit VALUES (?)",
              user.sub + (visitor.wantsConnection() ? " connects" : " asks"));
  }
  std::string open(Context& c) {
    if (c.claims<User>().role != "keeper") throw Forbidden("keepers only");
    return "open";
  }
  std::string whoAsks(Context& c) { return c.hasClaims() ? c.claims<User>().sub : "nobody"; }
  std::vector<std::string> visits(Context& c) {
    return c.query<std::string>("SELECT who FROM visit ORDER BY rowid");
  }
  void fail(Context&) { throw UserError("wrong", "as asked"); }
  std::vector<std::string> others(Context& c) {
    std::vector<std::string> names;
    for (const Connection& each : c.connections()) names.push_back(each.claims<User>().sub);
    return names;
  }
};

/// Has no gate.
struct Hall : Actor {
  static void define(Definition<Hall>& d) {
    d.action("whoAsks", &Hall::whoAsks).action("askVault", &Hall::askVault);
    d.action("realm", &Hall::realm).action("user", &Hall::user);
  }
  std::string whoAsks(Context& c) { return c.hasClaims() ? c.claims<User>().sub : "nobody"; }
  std::string askVault(Context& c, std::string action) {
    return c.call<std::string>("vault", {"a"}, action);
  }
  std::vector<std::string> realm(Context& c) { return c.claims<Nested>().realm.roles; }
  std::string user(Context& c) { return c.claims<User>().sub; }
};

/// Asks its visitors for a word.
struct Cellar : Actor {
  struct Word {
    std::string word;
  };
  static void define(Definition<Cellar>& d) {
    d.action("taste", &Cellar::taste);
    d.onBeforeConnect(&Cellar::admit);
  }
  void admit(Context&, const Visitor& visitor) {
    const auto said = visitor.parameters<std::optional<Word>>();
    if (!said || said->word != "gr\u00fcn") throw Forbidden("the word is wrong");
  }
  std::string taste(Context&) { return "good"; }
};

/// Counts how often somebody looks.
class CountedHead final : public call::RequestHead {
 public:
  call::Headers fields() const override {
    ++looks;
    return fields_;
  }
  explicit CountedHead(call::Headers fields) : fields_(std::move(fields)) {}
  mutable int looks = 0;

 private:
  const call::Headers fields_;
};

class GateTest : public ::testing::Test {
 protected:
  GateTest() {
    world_.add<Vault>("vault");
    world_.add<Hall>("hall");
    world_.add<Cellar>("cellar");
  }
  static call::Visit visitOf(const std::string& claims, const call::RequestHead* head = nullptr) {
    return {.claims = {call::Encoding::Json, claims}, .head = head};
  }
  std::string visit(const std::string& type, const std::string& action, const std::string& claims,
                    const std::string& arguments = "[]", const call::RequestHead* head = nullptr) {
    call::ActionRequest request = ActorWorld::request(type, "a", action, arguments);
    request.visit = visitOf(claims, head);
    return world_.call(std::move(request));
  }
  std::string visits() { return world_.call("vault", "a", "visits"); }

  ActorWorld world_;
};

constexpr const char* kAda = R"({"sub":"ada","exp":5,"aud":["x"],"role":"keeper"})";
constexpr const char* kBob = R"({"sub":"bob"})";
constexpr const char* kEve = R"({"sub":"eve"})";

TEST_F(GateTest, a_call_from_outside_passes_it) {
  EXPECT_EQ(visit("vault", "open", kAda), "\"open\"");
  EXPECT_EQ(visit("vault", "open", kBob), "request.forbidden: keepers only");
  EXPECT_EQ(visit("vault", "open", kEve), "request.forbidden: not eve");
  EXPECT_EQ(visits(), R"(["ada asks"])");
}

TEST_F(GateTest, what_it_writes_belongs_to_the_call) {
  EXPECT_EQ(visit("vault", "fail", kAda), "user.wrong: as asked");
  EXPECT_EQ(visits(), "[]");
}

TEST_F(GateTest, it_may_wait_and_look_at_headers) {
  const CountedHead slow(call::Headers{{"x-slow", "yes"}});
  std::string reply;
  world_.spawn([&] {
    call::ActionRequest request = ActorWorld::request("vault", "a", "whoAsks");
    request.visit = visitOf(kAda, &slow);
    reply = ActorWorld::textOf(world_.host().run(std::move(request)));
  });
  world_.settle();
  EXPECT_EQ(reply, "");
  world_.advance(11ms);
  EXPECT_EQ(reply, "\"ada\"");
  EXPECT_EQ(slow.looks, 1);
}

TEST_F(GateTest, parameters_of_a_call_are_json_in_a_header) {
  const auto taste = [&](const std::string& parameters) {
    const CountedHead head(call::Headers{{"x-skep-params", parameters}});
    return visit("cellar", "taste", "", "[]", &head);
  };
  EXPECT_EQ(taste(R"({"word":"gr\u00fcn"})"), "\"good\"");
  EXPECT_EQ(taste(R"({"word":"rot"})"), "request.forbidden: the word is wrong");
  EXPECT_EQ(taste("null"), "request.forbidden: the word is wrong");
  EXPECT_THAT(taste(R"({"word":5})"), StartsWith("request.invalid_arguments"));
  EXPECT_THAT(taste("{"), StartsWith("request."));
  EXPECT_EQ(visit("cellar", "taste", ""), "request.forbidden: the word is wrong");
}

TEST_F(GateTest, an_actor_without_one_looks_at_no_headers) {
  const CountedHead head(call::Headers{});
  EXPECT_EQ(visit("hall", "whoAsks", kAda, "[]", &head), "\"ada\"");
  EXPECT_EQ(head.looks, 0);
}

TEST_F(GateTest, calls_of_other_actors_and_of_the_runtime_do_not_come_by_it) {
  EXPECT_EQ(visit("hall", "askVault", kEve, R"(["whoAsks"])"), "\"nobody\"")
      << "an actor speaks for itself";
  EXPECT_EQ(world_.call("vault", "a", "whoAsks"), "\"nobody\"");
  EXPECT_EQ(visits(), "[]");
}

TEST_F(GateTest, a_client_without_a_token_is_told_that_one_is_needed) {
  EXPECT_THAT(visit("vault", "whoAsks", ""), StartsWith("access.token_missing"));
  EXPECT_THAT(visit("hall", "user", ""), StartsWith("access.token_missing"));
  EXPECT_EQ(visit("hall", "whoAsks", ""), "\"nobody\"");
}

TEST_F(GateTest, claims_are_typed_and_those_that_nobody_asks_for_do_not_matter) {
  EXPECT_EQ(visit("hall", "realm",
                  R"({"sub":"ada","realm":{"roles":["r1","r2"],"more":1},"iss":"somebody"})"),
            R"(["r1","r2"])");
  EXPECT_EQ(visit("hall", "realm", kAda), "request.forbidden: token.realm: is missing");
  EXPECT_THAT(visit("hall", "user", R"({"sub":7})"), HasSubstr("token.sub: expected a string"));
}

TEST_F(GateTest, looking_an_actor_up_and_creating_it_pass_it_too) {
  const call::ActorAddress actor{.type = "vault", .key = {"a"}};
  const auto resolve = [&](const char* claims, call::Existence existence) {
    std::string result;
    world_.run([&] {
      const call::Visit visit = visitOf(claims);
      const auto resolved = world_.host().resolve(actor, existence, std::nullopt, &visit);
      const auto* failure = std::get_if<call::Failure>(&resolved);
      result = failure != nullptr         ? failure->toString()
               : std::get<bool>(resolved) ? "made"
                                          : "is there";
    });
    return result;
  };
  EXPECT_EQ(resolve(kAda, call::Existence::GetOrCreate), "made");
  EXPECT_EQ(resolve(kAda, call::Existence::Get), "is there");
  EXPECT_EQ(resolve(kEve, call::Existence::Get), "request.forbidden: not eve");
  EXPECT_EQ(visits(), R"(["ada asks","ada asks"])");
}

TEST_F(GateTest, messages_for_queues_pass_it_too) {
  const auto send = [&](const char* claims) {
    std::string result;
    world_.run([&] {
      const auto sent = world_.host().send({.actor = {.type = "vault", .key = {"a"}},
                                            .queue = "letters",
                                            .body = {call::Encoding::Json, "\"hello\""},
                                            .visit = visitOf(claims)});
      const auto* failure = std::get_if<call::Failure>(&sent);
      result = failure != nullptr ? failure->toString() : "sent";
    });
    return result;
  };
  EXPECT_EQ(send(kAda), "sent");
  EXPECT_EQ(send(kEve), "request.forbidden: not eve");
}

TEST_F(GateTest, a_connection_passes_it_once_and_keeps_its_claims_while_the_actor_sleeps) {
  TestClient ada(world_, "vault", "a", {.claims = kAda});
  TestClient eve(world_, "vault", "a", {.claims = kEve});
  EXPECT_THAT(ada.heard(), ElementsAre("connected"));
  EXPECT_THAT(eve.heard(), ElementsAre("closed: request.forbidden: not eve"));
  world_.advance(60s);
  ada.call(1, "whoAsks");
  ada.call(2, "others");
  world_.settle();
  EXPECT_THAT(ada.heard(), ElementsAre("reply 1: \"ada\"", "reply 2: [\"ada\"]"));
  EXPECT_EQ(world_.host().stats().wakes, 2u);
  EXPECT_EQ(visits(), R"(["ada connects"])");
}

// I1: whoever is refused learns nothing that is not durable yet.
TEST_F(GateTest, a_refusal_waits_for_what_it_could_have_seen) {
  EXPECT_EQ(visit("vault", "whoAsks", kAda), "\"ada\"");
  fiber::Event mayWrite;
  bool isHeld = true;
  world_.store().beforeWrite = [&](const store::DatabaseWrite&) -> Status {
    while (isHeld) mayWrite.wait();
    return {};
  };
  std::vector<std::string> replies;
  const auto ask = [&](const char* claims) {
    world_.spawn([&, claims] {
      call::ActionRequest request = ActorWorld::request("vault", "a", "whoAsks");
      request.visit = visitOf(claims);
      replies.push_back(ActorWorld::textOf(world_.host().run(std::move(request))));
    });
    world_.settle();
  };
  ask(kAda);
  ask(kEve);
  EXPECT_THAT(replies, ElementsAre());
  isHeld = false;
  mayWrite.notifyAll();
  world_.settle();
  EXPECT_THAT(replies, ::testing::UnorderedElementsAre("\"ada\"", "request.forbidden: not eve"));
}

}  // namespace
}  // namespace skep::testing
