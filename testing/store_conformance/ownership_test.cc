// Conformance: which node may claim which database, and until when.

#include <atomic>
#include <thread>

#include "skep/testing/store_conformance/store_fixture.h"

namespace skep::testing {
namespace {

using store::Claim;
using store::Create;
using store::Incarnation;
using store::NodeState;
using store::OpenedDatabase;
using store::OpenRequest;

OpenRequest claimBy(Incarnation owner, const std::string& name) {
  return {.name = name, .create = Create::IfMissing, .claim = Claim::Take, .owner = owner};
}

TEST_P(MembershipConformance, a_claim_makes_its_node_the_owner) {
  const Incarnation one = join("node-1");
  const auto made = store().open(claimBy(one, "acme"));
  ASSERT_EQ(codeOf(made), "ok");
  EXPECT_EQ(made->owner, one);
  EXPECT_EQ(made->head.epoch, 1u);
  EXPECT_EQ(store().info("acme")->owner, one);
  EXPECT_EQ(look("acme").owner, one) << "looking takes nothing away";
  const auto again = store().open(claimBy(one, "acme"));
  ASSERT_EQ(codeOf(again), "ok");
  EXPECT_EQ(again->head.epoch, 2u) << "also its own earlier claim is fenced";
}

TEST_P(MembershipConformance, while_an_owner_lives_others_are_told_who_it_is) {
  const Incarnation one = join("node-1");
  const Incarnation two = join("node-2");
  Owner owner = ownAs(one, "acme");
  const auto refused = store().open(claimBy(two, "acme"));
  ASSERT_EQ(codeOf(refused), "owned_elsewhere");
  EXPECT_EQ(refused.error().owner, one);
  EXPECT_EQ(codeOf(owner.commit("one")), "ok") << "nothing has happened to the owner";
  EXPECT_EQ(look("acme").head.epoch, 1u);
  EXPECT_EQ(look("acme").owner, one);
}

TEST_P(MembershipConformance, that_a_lease_ran_out_does_not_free_anything_by_itself) {
  const Incarnation one = join("node-1", kRunOut);
  const Incarnation two = join("node-2");
  ownAs(one, "acme");
  EXPECT_EQ(codeOf(store().open(claimBy(two, "acme"))), "owned_elsewhere");
}

TEST_P(MembershipConformance, a_draining_node_keeps_what_it_has_and_may_claim_for_the_last_time) {
  const Incarnation one = join("node-1");
  const Incarnation two = join("node-2");
  ownAs(one, "acme");
  ASSERT_EQ(codeOf(membership().advance(one, NodeState::Draining)), "ok");
  EXPECT_EQ(codeOf(store().open(claimBy(two, "acme"))), "owned_elsewhere");
  EXPECT_EQ(codeOf(store().open(claimBy(one, "acme"))), "ok");
}

TEST_P(MembershipConformance,
       what_a_dead_node_owned_is_anybodys_and_the_dead_are_fenced_by_the_claim) {
  const Incarnation one = join("node-1");
  const Incarnation two = join("node-2");
  Owner before = ownAs(one, "acme");
  ASSERT_EQ(codeOf(before.commit("one")), "ok");
  kill(one);
  EXPECT_EQ(codeOf(before.commit("two")), "ok")
      << "it is still the only owner, and what it commits will be found";
  Owner after = ownAs(two, "acme");
  EXPECT_EQ(after.txid(), 2u);
  EXPECT_EQ(codeOf(before.commit("three")), "fenced");
  EXPECT_EQ(codeOf(after.commit("three")), "ok");
}

TEST_P(MembershipConformance, what_a_node_that_left_owned_is_anybodys) {
  const Incarnation one = join("node-1");
  const Incarnation two = join("node-2");
  ownAs(one, "a");
  ownAs(one, "b");
  ASSERT_EQ(codeOf(membership().advance(one, NodeState::Left)), "ok");
  EXPECT_EQ(codeOf(store().open(claimBy(two, "a"))), "ok");
  EXPECT_EQ(codeOf(store().open(claimBy(two, "b"))), "ok");
}

TEST_P(MembershipConformance, a_node_that_has_ended_claims_nothing) {
  const Incarnation one = join("node-1");
  ownAs(one, "acme");
  kill(one);
  EXPECT_EQ(codeOf(store().open(claimBy(one, "acme"))), "fenced") << "not even what it had";
  EXPECT_EQ(codeOf(store().open(claimBy(one, "other"))), "fenced");
  EXPECT_EQ(codeOf(store().info("other")), "not_found") << "and it creates nothing";
  EXPECT_EQ(codeOf(store().open(claimBy(one + 100, "other"))), "fenced") << "nor does nobody";
}

TEST_P(MembershipConformance, a_new_incarnation_of_a_node_does_not_inherit) {
  const Incarnation before = join("node-1");
  Owner owner = ownAs(before, "acme");
  kill(before);
  const Incarnation after = join("node-1");
  Owner next = ownAs(after, "acme");
  EXPECT_EQ(codeOf(owner.commit("late")), "fenced");
  EXPECT_EQ(codeOf(next.commit("one")), "ok");
}

TEST_P(MembershipConformance, a_released_database_is_anybodys_at_once) {
  const Incarnation one = join("node-1");
  const Incarnation two = join("node-2");
  Owner before = ownAs(one, "acme");
  ASSERT_EQ(codeOf(before.commit("one")), "ok");
  store::DatabaseWrite release = before.nothing();
  release.release = true;
  ASSERT_EQ(codeOf(before.apply(release)), "ok");
  EXPECT_EQ(look("acme").owner, 0u);
  EXPECT_EQ(look("acme").head.epoch, 1u);
  Owner after = ownAs(two, "acme");
  EXPECT_EQ(after.txid(), 1u);
  EXPECT_EQ(codeOf(before.commit("two")), "fenced");
}

TEST_P(MembershipConformance, a_release_can_ride_with_a_commit_and_is_refused_to_who_was_fenced) {
  const Incarnation one = join("node-1");
  Owner before = ownAs(one, "acme");
  Owner after = ownAs(one, "acme");
  store::DatabaseWrite late = before.nothing();
  late.release = true;
  EXPECT_EQ(codeOf(before.apply(late)), "fenced");
  EXPECT_EQ(look("acme").owner, one);
  store::DatabaseWrite last = after.committing("last");
  last.release = true;
  ASSERT_EQ(codeOf(after.apply(last)), "ok");
  EXPECT_EQ(look("acme").owner, 0u);
  EXPECT_EQ(look("acme").head.txid, 1u);
}

TEST_P(MembershipConformance, a_process_that_is_no_node_takes_nothing_from_one_that_lives) {
  const Incarnation one = join("node-1");
  ownAs(one, "acme");
  EXPECT_EQ(codeOf(store().open({.name = "acme", .claim = Claim::Take})), "owned_elsewhere");
  kill(one);
  EXPECT_EQ(codeOf(store().open({.name = "acme", .claim = Claim::Take})), "ok");
  EXPECT_EQ(look("acme").owner, 0u);
}

TEST_P(MembershipConformance, a_retake_keeps_the_owner) {
  const Incarnation one = join("node-1");
  const Owner owner = ownAs(one, "acme");
  const auto again = store().open(owner.retaking());
  ASSERT_EQ(codeOf(again), "ok");
  EXPECT_EQ(again->owner, one);
  EXPECT_EQ(look("acme").owner, one);
}

TEST_P(MembershipConformance,
       of_nodes_that_race_for_a_database_one_gets_it_and_the_others_hear_who) {
  constexpr std::size_t kNodes = 4;
  constexpr int kRounds = 30;
  std::vector<Incarnation> nodes;
  for (std::size_t i = 0; i < kNodes; ++i) nodes.push_back(join("node-" + std::to_string(i)));
  for (int round = 0; round < kRounds; ++round) {
    const std::string name = "database-" + std::to_string(round);
    if (round % 2 == 0) {
      ASSERT_EQ(codeOf(store().open({.name = name, .create = Create::IfMissing})), "ok");
    }
    std::vector<Incarnation> heard(kNodes);
    std::vector<std::thread> threads;
    for (std::size_t i = 0; i < kNodes; ++i) {
      threads.emplace_back([&, i] {
        const Result<OpenedDatabase> opened = store().open(claimBy(nodes[i], name));
        EXPECT_TRUE(opened.ok() || codeOf(opened) == "owned_elsewhere") << codeOf(opened);
        heard[i] = opened.ok() ? opened->owner : opened.error().owner;
      });
    }
    for (std::thread& thread : threads) thread.join();
    const OpenedDatabase now = look(name);
    EXPECT_EQ(now.head.epoch, 1u) << "one claim";
    for (const Incarnation owner : heard) EXPECT_EQ(owner, now.owner);
  }
}

TEST_P(MembershipConformance, a_takeover_and_a_commit_in_flight_have_an_order) {
  const Incarnation two = join("node-2");
  for (int round = 0; round < 30; ++round) {
    const std::string name = "database-" + std::to_string(round);
    const Incarnation one = join("node-1-" + std::to_string(round));
    Owner before = ownAs(one, name);
    ASSERT_EQ(codeOf(before.commit("one")), "ok");
    kill(one);
    std::string outcome;
    std::thread writer([&] { outcome = codeOf(before.commit("two")); });
    const auto taken = store().open(claimBy(two, name));
    writer.join();
    ASSERT_EQ(codeOf(taken), "ok");
    ASSERT_TRUE(outcome == "ok" || outcome == "fenced") << outcome;
    EXPECT_EQ(taken->head.txid, outcome == "ok" ? 2u : 1u);
    EXPECT_EQ(look(name).head.txid, taken->head.txid) << "nothing arrives after the claim";
  }
}

}  // namespace
}  // namespace skep::testing
