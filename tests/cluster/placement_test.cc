// Where actors without an owner go, and what is remembered of where they are.

#include "skep/cluster/placement.h"

#include <gtest/gtest.h>

#include "skep/cluster/location_cache.h"

namespace skep::cluster {
namespace {

using store::NodeState;

/// A list of nodes that host "counter", by name; each one's incarnation is its place.
NodeListPtr listOf(const std::vector<std::pair<std::string, NodeState>>& nodes,
                   store::Incarnation first = 1) {
  store::Renewal renewal;
  for (const auto& [name, state] : nodes) {
    if (store::isAlive(state)) renewal.beats.push_back({.incarnation = first});
    renewal.changed.push_back({.incarnation = first++,
                               .facts = {.name = name, .address = "a:1", .types = {"counter"}},
                               .state = state});
  }
  renewal.version = first;
  return NodeList().updated(renewal);
}

std::string chosen(const NodeList& list, const std::string& key,
                   const std::string& type = "counter") {
  const store::NodeInfo* node = Placement().choose(list, type, type + "/" + key);
  return node == nullptr ? "" : node->facts.name;
}

constexpr int kActors = 10'000;

TEST(Placement, spreads_actors_evenly) {
  const NodeListPtr list = listOf({{"a", NodeState::Live},
                                   {"b", NodeState::Live},
                                   {"c", NodeState::Live},
                                   {"d", NodeState::Live}});
  std::map<std::string, int> counts;
  for (int i = 0; i < kActors; ++i) ++counts[chosen(*list, std::to_string(i))];
  ASSERT_EQ(counts.size(), 4u);
  for (const auto& [name, count] : counts) EXPECT_NEAR(count, kActors / 4, kActors / 40) << name;
}

TEST(Placement, a_node_that_comes_takes_only_its_share_and_gives_it_back_when_it_goes) {
  const NodeListPtr before =
      listOf({{"a", NodeState::Live}, {"b", NodeState::Live}, {"c", NodeState::Live}});
  const NodeListPtr after = listOf({{"a", NodeState::Live},
                                    {"b", NodeState::Live},
                                    {"c", NodeState::Live},
                                    {"d", NodeState::Live}});
  int moved = 0;
  for (int i = 0; i < kActors; ++i) {
    const std::string key = std::to_string(i);
    if (chosen(*before, key) == chosen(*after, key)) continue;
    EXPECT_EQ(chosen(*after, key), "d");
    ++moved;
  }
  EXPECT_NEAR(moved, kActors / 4, kActors / 40);
}

TEST(Placement, depends_on_names_and_not_on_incarnations) {
  const NodeListPtr before = listOf({{"a", NodeState::Live}, {"b", NodeState::Live}});
  const NodeListPtr restarted = listOf({{"b", NodeState::Live}, {"a", NodeState::Live}}, 50);
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(chosen(*before, std::to_string(i)), chosen(*restarted, std::to_string(i)));
  }
}

TEST(Placement, chooses_only_live_nodes_that_host_the_type) {
  const NodeListPtr list = listOf({{"a", NodeState::Draining}, {"b", NodeState::Live}});
  for (int i = 0; i < 100; ++i) EXPECT_EQ(chosen(*list, std::to_string(i)), "b");
  EXPECT_EQ(chosen(*list, "1", "chatRoom"), "");
  EXPECT_EQ(chosen(*listOf({{"a", NodeState::Draining}}), "1"), "");
  EXPECT_EQ(chosen(NodeList(), "1"), "");
}

TEST(NodeList, knows_who_has_certainly_ended) {
  const NodeListPtr list = listOf({{"a", NodeState::Live}, {"b", NodeState::Left}});
  EXPECT_FALSE(list->hasEnded(1));
  EXPECT_TRUE(list->hasEnded(2));
  EXPECT_FALSE(list->hasEnded(list->version() + 1)) << "it joined later";
}

TEST(NodeList, a_node_whose_end_was_forgotten_goes_when_it_has_no_beat) {
  const NodeListPtr list = listOf({{"a", NodeState::Live}, {"b", NodeState::Live}});
  store::Renewal later;
  later.version = list->version() + 5;
  later.beats = {{.incarnation = 2}};
  const NodeListPtr updated = list->updated(later);
  EXPECT_EQ(updated->find(1), nullptr);
  EXPECT_NE(updated->find(2), nullptr);
}

TEST(NodeList, an_answer_that_comes_late_changes_nothing) {
  const NodeListPtr list = listOf({{"a", NodeState::Live}});
  store::Renewal late;
  late.version = list->version() - 1;
  EXPECT_EQ(list->updated(late), nullptr);
}

TEST(LocationCache, finds_the_newest_belief_and_forgets_only_that) {
  LocationCache cache;
  EXPECT_EQ(cache.find("counter/a"), std::nullopt);
  cache.put("counter/a", 1);
  cache.put("counter/a", 2);
  EXPECT_EQ(cache.find("counter/a"), 2u);
  cache.forget("counter/a", 1);
  EXPECT_EQ(cache.find("counter/a"), 2u) << "somebody has learned better since";
  cache.forget("counter/a", 2);
  EXPECT_EQ(cache.find("counter/a"), std::nullopt);
}

TEST(LocationCache, is_bounded_and_keeps_what_is_used) {
  LocationCache cache(100);
  cache.put("hot", 7);
  for (int i = 0; i < 10'000; ++i) {
    cache.put("actor-" + std::to_string(i), 1);
    ASSERT_LE(cache.size(), 102u);
    if (i % 20 != 0) continue;
    ASSERT_EQ(cache.find("hot"), 7u);
  }
  EXPECT_EQ(cache.find("actor-0"), std::nullopt);
}

}  // namespace
}  // namespace skep::cluster
