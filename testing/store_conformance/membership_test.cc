// Conformance: the nodes that share a store: joining, renewing, being declared dead, leaving.

#include <algorithm>
#include <atomic>
#include <thread>

#include "skep/testing/store_conformance/store_fixture.h"

namespace skep::testing {
namespace {

using store::Incarnation;
using store::NodeInfo;
using store::NodeState;
using store::Renewal;

/// "node-1 live, node-2 dead"
std::string describe(const std::vector<NodeInfo>& nodes) {
  std::string text;
  for (const NodeInfo& node : nodes) {
    text += (text.empty() ? "" : ", ") + node.facts.name + " " +
            std::string(store::nodeStateName(node.state));
  }
  return text;
}

std::vector<Incarnation> incarnations(const Renewal& renewal) {
  std::vector<Incarnation> all;
  for (const store::NodeBeat& beat : renewal.beats) all.push_back(beat.incarnation);
  return all;
}

std::uint64_t beatOf(const Renewal& renewal, Incarnation incarnation) {
  for (const store::NodeBeat& beat : renewal.beats) {
    if (beat.incarnation == incarnation) return beat.beat;
  }
  return 0;
}

TEST_P(MembershipConformance, a_node_that_joins_is_live_and_known_with_all_that_it_said) {
  const Incarnation one = join("node-1");
  EXPECT_NE(one, 0u);
  const auto nodes = membership().nodes();
  ASSERT_EQ(codeOf(nodes), "ok");
  ASSERT_EQ(nodes->size(), 1u);
  const NodeInfo& node = nodes->front();
  EXPECT_EQ(node.incarnation, one);
  EXPECT_EQ(node.facts, facts("node-1"));
  EXPECT_EQ(node.state, NodeState::Live);
  EXPECT_EQ(node.beat, 0u);
  EXPECT_GT(node.leaseLeftMs, 0);
  EXPECT_GT(node.joinedMs, 0);
}

TEST_P(MembershipConformance, each_join_is_a_new_and_greater_incarnation) {
  const Incarnation one = join("node-1");
  const Incarnation two = join("node-2");
  ASSERT_EQ(codeOf(membership().advance(one, NodeState::Left)), "ok");
  const Incarnation again = join("node-1");
  EXPECT_LT(one, two);
  EXPECT_LT(two, again);
}

TEST_P(MembershipConformance, a_name_belongs_to_one_node_that_is_alive) {
  const Incarnation one = join("node-1", kRunOut);
  const auto twin = membership().join(facts("node-1"), kEndless, 4711);
  ASSERT_EQ(codeOf(twin), "already_exists")
      << "also when its lease has run out: it may be renewed until it is declared dead";
  EXPECT_NE(twin.error().message.find("node-1.example:6421"), std::string::npos);
  EXPECT_NE(twin.error().message.find(std::to_string(one)), std::string::npos);
  kill(one);
  EXPECT_EQ(codeOf(membership().join(facts("node-1"), kEndless, 4711)), "ok");
}

TEST_P(MembershipConformance, a_join_that_is_repeated_gives_the_same_incarnation) {
  const auto first = membership().join(facts("node-1"), kEndless, 4711);
  const auto again = membership().join(facts("node-1"), kEndless, 4711);
  ASSERT_EQ(codeOf(first), "ok");
  ASSERT_EQ(codeOf(again), "ok");
  EXPECT_EQ(*first, *again);
  EXPECT_EQ(membership().nodes()->size(), 1u);
}

TEST_P(MembershipConformance, facts_past_their_limits_are_refused) {
  const auto refused = [&](auto change) {
    store::NodeFacts wrong = facts("node-1");
    change(wrong);
    return codeOf(membership().join(wrong, kEndless, 1));
  };
  EXPECT_EQ(refused([](auto& f) { f.name = ""; }), "invalid_argument");
  EXPECT_EQ(refused([](auto& f) { f.address = ""; }), "invalid_argument");
  EXPECT_EQ(refused([](auto& f) { f.name = std::string(129, 'x'); }), "invalid_argument");
  EXPECT_EQ(refused([](auto& f) { f.zone = "a\nb"; }), "invalid_argument");
  EXPECT_EQ(refused([](auto& f) { f.version = "\xff"; }), "invalid_argument");
  EXPECT_EQ(refused([](auto& f) { f.types = {"two words"}; }), "invalid_argument");
  EXPECT_EQ(refused([](auto& f) { f.types.assign(1001, "t"); }), "invalid_argument");
  EXPECT_TRUE(membership().nodes()->empty());
}

TEST_P(MembershipConformance, a_node_without_types_and_one_with_many_are_known_as_such) {
  store::NodeFacts none = facts("none");
  none.types.clear();
  store::NodeFacts many = facts("many");
  many.types.clear();
  for (int i = 100; i < 1100; ++i) many.types.push_back("type" + std::to_string(i));
  ASSERT_EQ(codeOf(membership().join(none, kEndless, 1)), "ok");
  ASSERT_EQ(codeOf(membership().join(many, kEndless, 2)), "ok");
  const auto nodes = membership().nodes();
  EXPECT_EQ(nodes->at(0).facts, none);
  EXPECT_EQ(nodes->at(1).facts, many);
}

TEST_P(MembershipConformance,
       a_renewal_raises_the_beat_and_tells_those_of_all_nodes_that_are_alive) {
  const Incarnation one = join("node-1");
  const Incarnation two = join("node-2");
  const Incarnation three = join("node-3");
  ASSERT_EQ(codeOf(membership().advance(three, NodeState::Left)), "ok");
  EXPECT_EQ(beatOf(renew(one), one), 1u);
  EXPECT_EQ(beatOf(renew(one), one), 2u);
  const Renewal renewal = renew(two);
  EXPECT_EQ(incarnations(renewal), (std::vector<Incarnation>{one, two}));
  EXPECT_EQ(beatOf(renewal, one), 2u);
  EXPECT_EQ(beatOf(renewal, two), 1u);
  EXPECT_EQ(renewal.beats.front().load, 7u);
  EXPECT_GT(renewal.beats.front().leaseLeftMs, 0);
  EXPECT_EQ(renewal.state, NodeState::Live);
}

TEST_P(MembershipConformance, a_renewal_tells_what_changed_since_the_version_that_the_node_knows) {
  const Incarnation one = join("node-1");
  const Renewal first = renew(one);
  EXPECT_EQ(describe(first.changed), "node-1 live");
  EXPECT_EQ(describe(renew(one, kEndless, first.version).changed), "");
  EXPECT_EQ(renew(one, kEndless, first.version).version, first.version)
      << "renewals change nothing that others must hear of";
  const Incarnation two = join("node-2");
  const Renewal second = renew(one, kEndless, first.version);
  EXPECT_EQ(describe(second.changed), "node-2 live");
  EXPECT_EQ(second.changed.front().facts, facts("node-2"));
  EXPECT_GT(second.version, first.version);
  ASSERT_EQ(codeOf(membership().advance(two, NodeState::Draining)), "ok");
  const Renewal third = renew(one, kEndless, second.version);
  EXPECT_EQ(describe(third.changed), "node-2 draining");
  kill(two);
  EXPECT_EQ(describe(renew(one, kEndless, third.version).changed), "node-2 dead");
  EXPECT_EQ(describe(renew(one, kEndless, first.version).changed), "node-2 dead");
}

TEST_P(MembershipConformance,
       only_a_node_whose_lease_ran_out_and_that_did_not_renew_can_be_declared_dead) {
  const Incarnation one = join("node-1");
  EXPECT_FALSE(*membership().declareDead(one, 0)) << "its lease has not run out";
  const std::uint64_t beat = beatOf(renew(one, kRunOut), one);
  EXPECT_FALSE(*membership().declareDead(one, beat - 1)) << "it has renewed since";
  EXPECT_FALSE(*membership().declareDead(one, beat + 1));
  EXPECT_TRUE(*membership().declareDead(one, beat));
  EXPECT_FALSE(*membership().declareDead(one, beat)) << "somebody was first";
  EXPECT_FALSE(*membership().declareDead(one + 100, 0)) << "nobody";
  EXPECT_EQ(describe(*membership().nodes()), "node-1 dead");
}

TEST_P(MembershipConformance, dead_is_final) {
  const Incarnation one = join("node-1");
  const Incarnation two = join("node-2");
  kill(one);
  const Renewal late = renew(one);
  EXPECT_EQ(late.state, NodeState::Dead);
  EXPECT_EQ(incarnations(late), std::vector<Incarnation>{two});
  EXPECT_EQ(renew(one).state, NodeState::Dead);
  EXPECT_EQ(codeOf(membership().advance(one, NodeState::Draining)), "invalid_argument");
  EXPECT_EQ(codeOf(membership().advance(one, NodeState::Left)), "invalid_argument");
}

TEST_P(MembershipConformance, a_node_goes_from_live_to_draining_to_left_and_never_back) {
  const Incarnation one = join("node-1");
  ASSERT_EQ(codeOf(membership().advance(one, NodeState::Draining)), "ok");
  EXPECT_EQ(codeOf(membership().advance(one, NodeState::Draining)), "ok") << "it is so already";
  EXPECT_EQ(renew(one).state, NodeState::Draining) << "and it keeps its lease";
  EXPECT_EQ(codeOf(membership().advance(one, NodeState::Live)), "invalid_argument");
  EXPECT_EQ(codeOf(membership().advance(one, NodeState::Dead)), "invalid_argument");
  ASSERT_EQ(codeOf(membership().advance(one, NodeState::Left)), "ok");
  EXPECT_EQ(codeOf(membership().advance(one, NodeState::Left)), "ok");
  EXPECT_EQ(codeOf(membership().advance(one, NodeState::Draining)), "invalid_argument");
  EXPECT_EQ(renew(one).state, NodeState::Left);
  EXPECT_FALSE(*membership().declareDead(one, 1));
}

TEST_P(MembershipConformance, who_never_joined_is_not_found) {
  EXPECT_EQ(codeOf(membership().renew({.incarnation = 12, .lease = kEndless})), "not_found");
  EXPECT_EQ(codeOf(membership().advance(12, NodeState::Left)), "not_found");
}

TEST_P(MembershipConformance, of_many_that_join_under_one_name_at_once_one_succeeds) {
  constexpr int kNodes = 8;
  std::atomic<int> joined = 0;
  std::atomic<int> refused = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < kNodes; ++i) {
    threads.emplace_back([&, i] {
      const auto outcome =
          membership().join(facts("node-1"), kEndless, 100u + static_cast<unsigned>(i));
      ++(codeOf(outcome) == "ok" ? joined : refused);
      EXPECT_TRUE(outcome.ok() || codeOf(outcome) == "already_exists") << codeOf(outcome);
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(joined, 1);
  EXPECT_EQ(refused, kNodes - 1);
}

TEST_P(MembershipConformance,
       whoever_follows_the_versions_misses_no_change_of_nodes_that_come_and_go_at_once) {
  const Incarnation watcher = join("watcher");
  constexpr int kThreads = 4;
  constexpr int kRounds = 10;
  std::atomic<int> running = kThreads;
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&, i] {
      for (int round = 0; round < kRounds; ++round) {
        const std::string name = "node-" + std::to_string(i) + "-" + std::to_string(round);
        const auto nonce = static_cast<std::uint64_t>(1000 + i * kRounds + round);
        const auto joined = membership().join(facts(name), kEndless, nonce);
        ASSERT_EQ(codeOf(joined), "ok");
        if (round % 2 != 0) continue;
        EXPECT_EQ(codeOf(membership().advance(*joined, NodeState::Left)), "ok");
      }
      --running;
    });
  }
  std::map<std::string, NodeState> seen;
  std::uint64_t version = 0;
  const auto look = [&] {
    const Renewal renewal = renew(watcher, kEndless, version);
    EXPECT_GE(renewal.version, version);
    version = renewal.version;
    for (const NodeInfo& node : renewal.changed) seen[node.facts.name] = node.state;
  };
  while (running > 0) look();
  for (std::thread& thread : threads) thread.join();
  look();
  const auto nodes = membership().nodes();
  ASSERT_EQ(codeOf(nodes), "ok");
  for (const NodeInfo& node : *nodes) {
    ASSERT_TRUE(seen.contains(node.facts.name)) << node.facts.name;
    EXPECT_EQ(seen[node.facts.name], node.state) << node.facts.name;
  }
  EXPECT_EQ(seen.size(), 1u + kThreads * kRounds);
}

}  // namespace
}  // namespace skep::testing
