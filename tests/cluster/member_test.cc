// Nodes that join, renew, miss each other, and come back, on a clock that the test moves.

#include "skep/cluster/member.h"

#include <gtest/gtest.h>

#include <deque>

#include "skep/backend/memory/memory_store.h"

namespace skep::cluster {
namespace {

using namespace std::chrono_literals;
using store::Incarnation;
using store::NodeInfo;
using store::NodeState;

constexpr Duration kLease = 3s;
constexpr Duration kStep = 10ms;

/// One node's way to the store, which a test can cut.
class Line final : public store::Membership {
 public:
  explicit Line(store::Membership& inner) : inner_(inner) {}

  bool isCut = false;         // requests do not arrive
  bool losesAnswers = false;  // they arrive, and nobody hears of it
  Duration delay{};           // of answers

  Result<Incarnation> join(const store::NodeFacts& facts, Duration lease,
                           std::uint64_t nonce) override {
    return pass<Incarnation>([&] { return inner_.join(facts, lease, nonce); });
  }
  Result<store::Renewal> renew(const store::RenewRequest& request) override {
    return pass<store::Renewal>([&] { return inner_.renew(request); });
  }
  Result<bool> declareDead(Incarnation incarnation, std::uint64_t beat) override {
    return pass<bool>([&] { return inner_.declareDead(incarnation, beat); });
  }
  Status advance(Incarnation incarnation, NodeState state) override {
    return pass<void>([&] { return inner_.advance(incarnation, state); });
  }
  Result<std::vector<NodeInfo>> nodes() override {
    return pass<std::vector<NodeInfo>>([&] { return inner_.nodes(); });
  }

 private:
  template <class T, class Call>
  Result<T> pass(Call call) {
    if (isCut) {
      fiber::sleepFor(1s);
      return Error{ErrorCode::Unavailable, "the line is cut"};
    }
    Result<T> answer = call();
    if (delay != Duration::zero()) fiber::sleepFor(delay);
    if (losesAnswers) return Error{ErrorCode::UnknownOutcome, "the answer was lost"};
    return answer;
  }

  store::Membership& inner_;
};

class MemberTest : public testing::Test {
 protected:
  struct Node {
    Node(MemberTest& test, const std::string& name)
        : line(*test.store.membership()),
          lease(test.clock),
          member(test.loop, line, lease,
                 {.name = name, .address = name + ":1", .types = {"counter"}},
                 {.seed = 7 + test.nodes.size()}) {}
    Line line;
    NodeLease lease;
    Member member;
    std::optional<Status> joined;
  };

  ~MemberTest() override {
    for (Node& node : nodes) {
      loop.spawn("close", [&node] { node.member.close(); });
    }
    advance(5s);
    EXPECT_EQ(loop.fiberCount(), 0u);
  }

  Node& start(const std::string& name) {
    Node& node = nodes.emplace_back(*this, name);
    loop.spawn("join", [&node] { node.joined = node.member.join(); });
    loop.runUntilIdle();
    return node;
  }
  Node& in(const std::string& name) {
    Node& node = start(name);
    EXPECT_TRUE(node.joined && node.joined->ok());
    return node;
  }
  /// Moves on step by step; `each` looks after every step.
  void advance(Duration duration, const std::function<void()>& each = nullptr) {
    const MonotonicTime end = clock.monotonic() + duration;
    while (clock.monotonic() < end) {
      clock.advance(kStep);
      loop.runUntilIdle();
      if (each) each();
    }
  }
  NodeState stateOf(Incarnation incarnation) {
    const auto all = store.membership()->nodes();
    for (const NodeInfo& node : *all) {
      if (node.incarnation == incarnation) return node.state;
    }
    ADD_FAILURE() << "no node " << incarnation;
    return NodeState::Dead;
  }
  template <class Body>
  void onFiber(Body body) {
    loop.spawn("test", body);
    loop.runUntilIdle();
  }
  static std::vector<std::string> namesOf(const Node& node) {
    std::vector<std::string> names;
    for (const NodeInfo& info : node.member.nodes()->nodes()) names.push_back(info.facts.name);
    return names;
  }

  ManualClock clock;
  fiber::Loop loop{clock};
  backend::MemoryStore store{clock};
  std::deque<Node> nodes;
};

using Names = std::vector<std::string>;

TEST_F(MemberTest, a_node_that_joins_holds_its_lease_and_knows_the_others) {
  Node& one = in("one");
  EXPECT_TRUE(one.lease.isHeld());
  EXPECT_EQ(namesOf(one), Names{"one"});
  Node& two = in("two");
  EXPECT_EQ(namesOf(two), (Names{"one", "two"}));
  EXPECT_NE(one.member.self(), two.member.self());
  advance(1s);
  EXPECT_EQ(namesOf(one), (Names{"one", "two"}));
}

TEST_F(MemberTest, a_lease_is_held_for_as_long_as_the_store_answers) {
  Node& one = in("one");
  const Incarnation self = one.member.self();
  advance(60s, [&] { ASSERT_TRUE(one.lease.isHeldBy(self)); });
  EXPECT_FALSE(one.lease.isHeldBy(self + 1));
  EXPECT_FALSE(one.lease.isHeldBy(0));
}

TEST_F(MemberTest, an_idle_node_asks_the_store_less_than_one_and_a_half_times_a_second) {
  Node& one = in("one");
  in("two");
  const std::uint64_t before = one.member.stats().renewals;
  advance(60s);
  EXPECT_LE(one.member.stats().renewals - before, 90u);
}

TEST_F(MemberTest, a_node_that_is_cut_off_stops_answering_before_others_may_end_it) {
  Node& one = in("one");
  Node& two = in("two");
  advance(2s);
  const Incarnation self = one.member.self();
  one.line.isCut = true;
  std::optional<MonotonicTime> stopped;
  std::optional<MonotonicTime> ended;
  advance(6s, [&] {
    if (!stopped && !one.lease.isHeldBy(self)) stopped = clock.monotonic();
    if (!ended && stateOf(self) == NodeState::Dead) ended = clock.monotonic();
  });
  ASSERT_TRUE(stopped && ended);
  EXPECT_LT(*stopped, *ended);
  EXPECT_EQ(namesOf(two), Names{"two"});
}

TEST_F(MemberTest, renewals_whose_answers_are_lost_keep_others_away_and_still_end_the_lease_here) {
  Node& one = in("one");
  in("two");
  const Incarnation self = one.member.self();
  one.line.losesAnswers = true;
  advance(10s);
  EXPECT_FALSE(one.lease.isHeldBy(self)) << "nobody has told it that it may answer";
  EXPECT_EQ(stateOf(self), NodeState::Live) << "and nobody has any reason to end it";
  one.line.losesAnswers = false;
  advance(1s);
  EXPECT_TRUE(one.lease.isHeldBy(self)) << "the same incarnation goes on";
}

TEST_F(MemberTest, a_slow_answer_extends_the_lease_from_when_it_was_asked_for) {
  Node& one = in("one");
  const Incarnation self = one.member.self();
  one.line.delay = 1800ms;
  advance(20s, [&] { ASSERT_TRUE(one.lease.isHeldBy(self)); });
  one.line.delay = 2800ms;
  advance(10s);
  EXPECT_FALSE(one.lease.isHeldBy(self)) << "each renewal is over before it has come back";
}

TEST_F(MemberTest, a_node_that_was_declared_dead_joins_again_as_another) {
  Node& one = in("one");
  Node& two = in("two");
  const Incarnation before = one.member.self();
  one.line.isCut = true;
  advance(8s);
  ASSERT_EQ(stateOf(before), NodeState::Dead);
  one.line.isCut = false;
  advance(3s);
  const Incarnation after = one.member.self();
  EXPECT_GT(after, before);
  EXPECT_TRUE(one.lease.isHeldBy(after));
  EXPECT_FALSE(one.lease.isHeldBy(before)) << "what it claimed before is not its own any more";
  EXPECT_EQ(namesOf(two), (Names{"two", "one"}));
  EXPECT_EQ(one.member.stats().joins, 1u);
}

TEST_F(MemberTest, an_outage_of_the_store_ends_leases_and_nobody) {
  Node& one = in("one");
  Node& two = in("two");
  Node& three = in("three");
  const std::vector<Node*> all = {&one, &two, &three};
  advance(2s);
  for (Node* node : all) node->line.isCut = true;
  advance(30s);
  for (Node* node : all) EXPECT_FALSE(node->lease.isHeld());
  for (Node* node : all) {
    node->line.isCut = false;
    advance(1200ms);
  }
  advance(10s);
  for (Node* node : all) {
    EXPECT_TRUE(node->lease.isHeld());
    EXPECT_EQ(node->member.stats().joins, 0u) << "nobody was declared dead for it";
    EXPECT_EQ(node->member.stats().declaredDead, 0u);
  }
}

TEST_F(MemberTest, a_jump_of_the_stores_wall_clock_ends_nobody) {
  ManualClock storesClock;
  backend::MemoryMembership membership(storesClock);
  std::deque<NodeLease> leases;
  std::deque<Member> members;
  for (const char* name : {"a", "b"}) {
    members.emplace_back(loop, membership, leases.emplace_back(clock),
                         store::NodeFacts{.name = name, .address = "x:1"},
                         MemberOptions{.seed = 3});
    loop.spawn("join", [&] { EXPECT_TRUE(members.back().join().ok()); });
    loop.runUntilIdle();
  }
  const auto step = [&] { storesClock.advance(kStep); };
  advance(3s, step);
  storesClock.advance(24h);
  advance(10s, step);
  for (Member& member : members) EXPECT_EQ(member.stats().declaredDead, 0u);
  for (NodeLease& lease : leases) EXPECT_TRUE(lease.isHeld());
  for (Member& member : members) loop.spawn("close", [&member] { member.close(); });
  loop.runUntilIdle();
}

TEST_F(MemberTest, a_node_that_starts_again_waits_for_its_former_life_to_be_over) {
  in("one");
  nodes.front().line.isCut = true;
  onFiber([&] { nodes.front().member.close(); });
  const Incarnation before = 1;
  Node& again = start("one");
  EXPECT_FALSE(again.joined.has_value());
  advance(2500ms);
  EXPECT_FALSE(again.joined.has_value()) << "the former one might still answer";
  advance(2s);
  ASSERT_TRUE(again.joined && again.joined->ok());
  EXPECT_EQ(stateOf(before), NodeState::Dead);
  EXPECT_TRUE(again.lease.isHeld());
}

TEST_F(MemberTest, a_second_node_of_the_same_name_is_refused_and_the_first_one_goes_on) {
  Node& one = in("one");
  Node& twin = start("one");
  advance(6s);
  ASSERT_TRUE(twin.joined.has_value());
  ASSERT_FALSE(twin.joined->ok());
  EXPECT_EQ(twin.joined->error().code, ErrorCode::AlreadyExists);
  EXPECT_FALSE(twin.lease.isHeld());
  EXPECT_TRUE(one.lease.isHeld());
  EXPECT_EQ(one.member.stats().joins, 0u);
}

TEST_F(MemberTest, a_join_whose_answer_was_lost_is_the_same_join_when_it_is_tried_again) {
  Node& one = nodes.emplace_back(*this, "one");
  one.line.losesAnswers = true;
  loop.spawn("join", [&] { one.joined = one.member.join(); });
  advance(1s);
  EXPECT_FALSE(one.joined.has_value());
  one.line.losesAnswers = false;
  advance(1s);
  ASSERT_TRUE(one.joined && one.joined->ok());
  EXPECT_EQ(store.membership()->nodes()->size(), 1u);
}

TEST_F(MemberTest, a_node_that_drains_is_known_as_such_and_one_that_leaves_is_gone_at_once) {
  Node& one = in("one");
  Node& two = in("two");
  onFiber([&] { EXPECT_TRUE(two.member.drain().ok()); });
  EXPECT_TRUE(two.lease.isHeld()) << "it still answers";
  advance(1s);
  EXPECT_EQ(one.member.nodes()->find(two.member.self())->state, NodeState::Draining);
  const Incarnation self = two.member.self();
  onFiber([&] { EXPECT_TRUE(two.member.leave().ok()); });
  EXPECT_FALSE(two.lease.isHeldBy(self));
  EXPECT_EQ(stateOf(self), NodeState::Left);
  advance(1s);
  EXPECT_EQ(namesOf(one), Names{"one"});
  EXPECT_TRUE(one.member.nodes()->hasEnded(self));
}

TEST_F(MemberTest, a_refresh_knows_who_joined_before_it) {
  Node& one = in("one");
  in("two");
  EXPECT_EQ(namesOf(one), Names{"one"});
  one.line.delay = 50ms;
  int done = 0;
  for (int i = 0; i < 10; ++i) {
    loop.spawn("refresh", [&] {
      EXPECT_TRUE(one.member.refresh().ok());
      EXPECT_EQ(namesOf(one), (Names{"one", "two"}));
      ++done;
    });
  }
  const std::uint64_t before = one.member.stats().renewals;
  advance(200ms);
  EXPECT_EQ(done, 10);
  EXPECT_LE(one.member.stats().renewals - before, 2u) << "those who ask at once share the answer";
}

TEST_F(MemberTest, closing_while_the_store_is_away_ends) {
  Node& one = nodes.emplace_back(*this, "one");
  one.line.isCut = true;
  loop.spawn("join", [&] { one.joined = one.member.join(); });
  advance(3s);
  bool isClosed = false;
  loop.spawn("close", [&] {
    one.member.close();
    isClosed = true;
  });
  advance(3s);
  EXPECT_TRUE(isClosed);
  ASSERT_TRUE(one.joined.has_value());
  EXPECT_EQ(one.joined->error().code, ErrorCode::Aborted);
}

}  // namespace
}  // namespace skep::cluster
