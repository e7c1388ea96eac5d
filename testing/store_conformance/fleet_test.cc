// Conformance: what concerns many databases: alarms, lists, info, destroy, and a store that is
// opened again.

#include <limits>
#include <set>

#include "skep/testing/store_conformance/store_fixture.h"

namespace skep::testing {
namespace {

using store::Create;
using store::DatabaseWrite;

constexpr std::int64_t kEndOfTime = std::numeric_limits<std::int64_t>::max();

Status setAlarm(Owner& owner, std::optional<std::int64_t> alarmMs) {
  DatabaseWrite write = owner.nothing();
  write.alarmChanged = true;
  write.alarmMs = alarmMs;
  return owner.apply(write);
}

std::string due(store::PageStore& store, std::int64_t nowMs, std::size_t limit = 100) {
  const auto alarms = store.dueAlarms(nowMs, limit);
  if (!alarms.ok()) return codeOf(alarms);
  std::string text;
  for (const store::DueAlarm& alarm : *alarms)
    text += alarm.name + "=" + std::to_string(alarm.alarmMs) + " ";
  return text;
}

TEST_P(StoreConformance, due_alarms_come_earliest_first) {
  Owner a = own("a");
  Owner b = own("b");
  Owner c = own("c");
  ASSERT_EQ(codeOf(setAlarm(a, 300)), "ok");
  ASSERT_EQ(codeOf(setAlarm(b, 100)), "ok");
  ASSERT_EQ(codeOf(setAlarm(c, 200)), "ok");
  EXPECT_EQ(due(store(), 99), "");
  EXPECT_EQ(due(store(), 100), "b=100 ");
  EXPECT_EQ(due(store(), 250), "b=100 c=200 ");
  EXPECT_EQ(due(store(), kEndOfTime), "b=100 c=200 a=300 ");
  EXPECT_EQ(due(store(), kEndOfTime, 2), "b=100 c=200 ");
  EXPECT_EQ(store().dueAlarms(100, 1)->front().id, b.id());
}

TEST_P(StoreConformance, alarms_before_1970_and_far_away_keep_their_order) {
  const std::int64_t times[] = {
      -5, std::numeric_limits<std::int64_t>::min() + 1, 0, 1, kEndOfTime, 1'000'000'000'000};
  for (const std::int64_t time : times) {
    Owner owner = own(std::to_string(time));
    ASSERT_EQ(codeOf(setAlarm(owner, time)), "ok");
  }
  EXPECT_EQ(due(store(), kEndOfTime),
            "-9223372036854775807=-9223372036854775807 -5=-5 0=0 1=1 1000000000000=1000000000000 "
            "9223372036854775807=9223372036854775807 ");
}

TEST_P(StoreConformance, an_alarm_is_changed_and_cleared) {
  Owner owner = own("acme");
  ASSERT_EQ(codeOf(setAlarm(owner, 300)), "ok");
  EXPECT_EQ(look("acme").head.alarmMs, 300);
  ASSERT_EQ(codeOf(setAlarm(owner, 200)), "ok");
  EXPECT_EQ(due(store(), kEndOfTime), "acme=200 ");
  ASSERT_EQ(codeOf(setAlarm(owner, 200)), "ok");
  EXPECT_EQ(due(store(), kEndOfTime), "acme=200 ") << "setting it to what it is";
  ASSERT_EQ(codeOf(setAlarm(owner, std::nullopt)), "ok");
  EXPECT_EQ(due(store(), kEndOfTime), "");
  EXPECT_EQ(look("acme").head.alarmMs, std::nullopt);
  ASSERT_EQ(codeOf(setAlarm(owner, std::nullopt)), "ok") << "clearing it twice";
}

TEST_P(StoreConformance, a_commit_that_says_nothing_of_the_alarm_leaves_it) {
  Owner owner = own("acme");
  ASSERT_EQ(codeOf(setAlarm(owner, 300)), "ok");
  DatabaseWrite write = owner.committing("one");
  write.alarmMs = 700;  // without alarmChanged it means nothing
  ASSERT_EQ(codeOf(owner.apply(write)), "ok");
  EXPECT_EQ(due(store(), kEndOfTime), "acme=300 ");
}

TEST_P(StoreConformance, a_refused_write_leaves_the_alarm_index_alone) {
  Owner stale = own("acme");
  ASSERT_EQ(codeOf(setAlarm(stale, 300)), "ok");
  Owner owner = own("acme");
  EXPECT_EQ(codeOf(setAlarm(stale, 100)), "fenced");
  EXPECT_EQ(due(store(), kEndOfTime), "acme=300 ");
}

TEST_P(StoreConformance, several_alarms_at_one_time_are_all_due) {
  for (const char* name : {"x", "y", "z"}) {
    Owner owner = own(name);
    ASSERT_EQ(codeOf(setAlarm(owner, 50)), "ok");
  }
  std::set<std::string> names;
  const auto alarms = store().dueAlarms(50, 10);
  for (const auto& alarm : *alarms) names.insert(alarm.name);
  EXPECT_EQ(names, (std::set<std::string>{"x", "y", "z"}));
}

TEST_P(StoreConformance, destroying_a_database_clears_its_alarm) {
  Owner owner = own("acme");
  ASSERT_EQ(codeOf(setAlarm(owner, 300)), "ok");
  ASSERT_EQ(codeOf(store().destroy("acme")), "ok");
  EXPECT_EQ(due(store(), kEndOfTime), "");
  own("acme");
  EXPECT_EQ(due(store(), kEndOfTime), "");
}

std::vector<std::string> listed(store::PageStore& store, const std::string& prefix,
                                std::size_t limit) {
  std::vector<std::string> names;
  std::string after;
  do {
    const auto page = store.list(prefix, after, limit);
    EXPECT_EQ(codeOf(page), "ok");
    if (!page.ok()) return names;
    EXPECT_LE(page->databases.size(), limit);
    if (!page->next.empty()) {
      EXPECT_EQ(page->databases.size(), limit) << "a page before the last is full";
    }
    for (const auto& database : page->databases) names.push_back(database.name);
    after = page->next;
  } while (!after.empty());
  return names;
}

TEST_P(StoreConformance, an_empty_store_lists_nothing) {
  const auto page = store().list("", "", 10);
  ASSERT_EQ(codeOf(page), "ok");
  EXPECT_TRUE(page->databases.empty());
  EXPECT_EQ(page->next, "");
}

TEST_P(StoreConformance, names_are_listed_in_byte_order_by_prefix_and_in_pages) {
  // In byte order, which is not the order of any language.
  const std::vector<std::string> names = {" ",
                                          "!",
                                          "A",
                                          "B/1",
                                          "_",
                                          "a",
                                          "a!",
                                          "a/",
                                          "a/1",
                                          "a/10",
                                          "a/2",
                                          "a0",
                                          "aa",
                                          "ab",
                                          "b",
                                          "b%",
                                          "b_",
                                          "bb",
                                          "\xc3\xa4",
                                          "\xc3\xbf",
                                          "\xc4\x80",
                                          "\xef\xbf\xbf",
                                          "\xef\xbf\xbfz",
                                          "\xf4\x8f\xbf\xbf",
                                          "\xf4\x8f\xbf\xbf\xf4\x8f\xbf\xbf"};
  for (std::size_t i = 0; i < names.size(); ++i) own(names[(i * 7) % names.size()]);
  const std::string prefixes[] = {
      "",     "a",        "a/",       "a/1",          "b%",
      "b_",   "\xc3",     "\xc3\xbf", "\xef\xbf\xbf", "\xf4\x8f\xbf\xbf",
      "\xff", "\xff\xff", "zzz",      "a/10",         "_"};
  for (const std::string& prefix : prefixes) {
    std::vector<std::string> expected;
    for (const std::string& name : names) {
      if (name.starts_with(prefix)) expected.push_back(name);
    }
    for (const std::size_t limit : {1, 2, 3, 7, 100}) {
      EXPECT_EQ(listed(store(), prefix, limit), expected)
          << "prefix '" << prefix << "', limit " << limit;
    }
  }
}

TEST_P(StoreConformance, a_list_goes_on_after_a_name_that_is_gone) {
  for (const char* name : {"p/a", "p/b", "p/c", "q"}) own(name);
  ASSERT_EQ(codeOf(store().destroy("p/b")), "ok");
  const auto page = store().list("p/", "p/b", 10);
  ASSERT_EQ(page->databases.size(), 1u);
  EXPECT_EQ(page->databases[0].name, "p/c");
  EXPECT_EQ(store().list("p/", "a", 10)->databases.size(), 2u) << "`after` before the prefix";
  EXPECT_TRUE(store().list("p/", "q", 10)->databases.empty()) << "`after` behind the prefix";
}

TEST_P(StoreConformance, a_list_tells_head_and_properties) {
  Owner owner = own("acme");
  DatabaseWrite write = owner.committing("one");
  write.properties = store::Properties{.retentionMs = 5, .metadata = "m", .hotChunks = {3}};
  write.alarmChanged = true;
  write.alarmMs = 77;
  ASSERT_EQ(codeOf(owner.apply(write)), "ok");
  const auto page = store().list("", "", 10);
  ASSERT_EQ(page->databases.size(), 1u);
  const store::DatabaseInfo& info = page->databases[0];
  EXPECT_EQ(info.id, owner.id());
  EXPECT_EQ(info.head, owner.head());
  EXPECT_EQ(info.properties, *write.properties);
  EXPECT_EQ(info.createdMs, clock_.wallMs());
  EXPECT_EQ(info.storedBytes, 0u) << "counting costs a scan";
}

TEST_P(StoreConformance, the_head_of_a_database_is_read_by_its_id) {
  Owner owner = own("acme");
  ASSERT_EQ(codeOf(owner.commit("one")), "ok");
  ASSERT_EQ(codeOf(owner.fold({chunkAt(0, 1, "zero")})), "ok");
  ASSERT_EQ(codeOf(owner.commit("two")), "ok");
  store::DatabaseWrite write = owner.committing("three");
  write.trimLogThrough = 1;
  write.alarmChanged = true;
  write.alarmMs = 77;
  ASSERT_EQ(codeOf(owner.apply(write)), "ok");
  ASSERT_EQ(codeOf(owner.apply(owner.folding({chunkAt(4, 9, "staged")}))), "ok");
  const auto head = store().readHead(owner.id());
  ASSERT_EQ(codeOf(head), "ok");
  EXPECT_EQ(describe(*head), describe(look("acme").head));
  EXPECT_EQ(head->alarmMs, 77);
  EXPECT_EQ(head->stagingTxid, 9u);
  ASSERT_EQ(codeOf(store().destroy("acme")), "ok");
  EXPECT_EQ(codeOf(store().readHead(owner.id())), "not_found");
  own("acme");
  EXPECT_EQ(codeOf(store().readHead(owner.id())), "not_found") << "it is another database now";
}

TEST_P(StoreConformance, info_counts_all_bytes_that_are_stored) {
  const std::int64_t createdMs = clock_.wallMs();
  Owner owner = own("acme");
  own("neighbour");
  clock_.advance(std::chrono::seconds(5));
  EXPECT_EQ(store().info("acme")->storedBytes, 0u);
  EXPECT_EQ(store().info("acme")->createdMs, createdMs);
  for (int i = 0; i < 3; ++i) ASSERT_EQ(codeOf(owner.commit("12345678")), "ok");
  ASSERT_EQ(codeOf(owner.fold({{0, 1, Bytes(1000)}, {0, 2, Bytes(100)}, {8, 3, Bytes(10)}})), "ok");
  ASSERT_EQ(codeOf(owner.fold({{1, 4, Bytes(1)}})), "ok");
  const auto info = store().info("acme");
  EXPECT_EQ(info->storedBytes, 24u + 1111u);
  EXPECT_EQ(info->name, "acme");
  EXPECT_EQ(info->id, owner.id());
  EXPECT_EQ(info->head, look("acme").head);
  EXPECT_EQ(store().info("neighbour")->storedBytes, 0u);
}

TEST_P(StoreConformance, a_destroyed_database_is_gone_with_all_that_it_stored) {
  Owner owner = own("acme");
  Owner neighbour = own("acme2");
  for (Owner* each : {&owner, &neighbour}) {
    ASSERT_EQ(codeOf(each->commit(each->name())), "ok");
    ASSERT_EQ(codeOf(each->fold({chunkAt(0, 1, each->name()), chunkAt(9, 2, "staged")})), "ok");
  }
  const std::string before = describeDatabase(store(), "acme2");
  ASSERT_EQ(codeOf(store().destroy("acme")), "ok");

  EXPECT_EQ(codeOf(store().open({.name = "acme"})), "not_found");
  EXPECT_EQ(codeOf(store().info("acme")), "not_found");
  EXPECT_EQ(codeOf(store().destroy("acme")), "not_found");
  EXPECT_EQ(codeOf(store().readLog(owner.id(), 0, 100)), "not_found");
  EXPECT_EQ(codeOf(store().readChunks({.id = owner.id(), .atTxid = 1, .chunks = {0}})),
            "not_found");
  EXPECT_EQ(codeOf(store().listChunkVersions(owner.id(), std::nullopt, 10)), "not_found");
  EXPECT_EQ(codeOf(owner.commit("late")), "not_found") << "its owner is fenced";
  EXPECT_EQ(listed(store(), "", 10), std::vector<std::string>{"acme2"});
  EXPECT_EQ(describeDatabase(store(), "acme2"), before);
}

TEST_P(StoreConformance, an_owner_removes_only_what_is_still_its_own) {
  const Owner first = own("acme");
  const store::Ownership mine{.id = first.id(), .epoch = first.epoch()};
  Owner second = own("acme");
  ASSERT_EQ(codeOf(second.commit("acknowledged")), "ok");
  const std::string before = describeDatabase(store(), "acme");
  EXPECT_EQ(codeOf(store().destroy("acme", mine)), "fenced") << "another owner has it";
  EXPECT_EQ(codeOf(store().destroy("acme", store::Ownership{mine.id, second.epoch() + 1})),
            "fenced");
  EXPECT_EQ(describeDatabase(store(), "acme"), before);
  EXPECT_EQ(codeOf(second.commit("the refusals took nothing from it")), "ok");

  ASSERT_EQ(codeOf(store().destroy("acme", store::Ownership{second.id(), second.epoch()})), "ok");
  EXPECT_EQ(codeOf(store().info("acme")), "not_found");
  EXPECT_EQ(codeOf(store().destroy("acme", mine)), "not_found");

  Owner heir = own("acme");
  ASSERT_EQ(heir.epoch(), mine.epoch) << "only the id tells the two apart";
  ASSERT_EQ(codeOf(heir.commit("of another database")), "ok");
  EXPECT_EQ(codeOf(store().destroy("acme", mine)), "fenced");
  EXPECT_EQ(store().info("acme")->head.txid, 1u);
}

TEST_P(StoreConformance, a_name_that_is_used_again_gets_a_new_and_empty_database) {
  std::set<store::DatabaseId> ids;
  for (int round = 0; round < 5; ++round) {
    Owner owner = own("acme");
    EXPECT_TRUE(ids.insert(owner.id()).second) << "an id was used again";
    EXPECT_EQ(owner.epoch(), 1u);
    EXPECT_EQ(owner.txid(), 0u);
    EXPECT_EQ(look("acme").properties, store::Properties{});
    EXPECT_TRUE(versions(owner.id()).empty());
    ASSERT_EQ(codeOf(owner.commit("one")), "ok");
    DatabaseWrite write = owner.folding({chunkAt(0, 1, "zero")});
    write.properties = store::Properties{.metadata = "m"};
    ASSERT_EQ(codeOf(owner.apply(write)), "ok");
    ASSERT_EQ(codeOf(store().destroy("acme")), "ok");
    EXPECT_EQ(codeOf(owner.commit("late")), "not_found");
  }
}

TEST_P(StoreConformance, a_database_with_much_in_it_is_destroyed_whole) {
  Owner owner = own("acme");
  for (int i = 0; i < 400; ++i)
    ASSERT_EQ(codeOf(owner.commit("record " + std::to_string(i))), "ok");
  std::vector<store::StoredChunk> chunks;
  for (store::ChunkNumber chunk = 0; chunk < 500; ++chunk)
    chunks.push_back({chunk, 400, noise(2000, chunk)});
  ASSERT_EQ(codeOf(owner.fold(std::move(chunks))), "ok");
  ASSERT_EQ(codeOf(store().destroy("acme")), "ok");
  Owner again = own("acme");
  EXPECT_EQ(store().info("acme")->storedBytes, 0u);
  EXPECT_TRUE(look("acme", 600).chunks.empty());
}

TEST_P(StoreReopenConformance, everything_is_kept_when_the_store_is_opened_again) {
  Owner acme = own("acme");
  for (const char* record : {"one", "two", "three"}) ASSERT_EQ(codeOf(acme.commit(record)), "ok");
  DatabaseWrite write =
      acme.folding({chunkAt(0, 2, "zero"), chunkAt(0, 3, "zero!"), chunkAt(8, 4, "staged")});
  write.trimLogThrough = 2;
  write.expireThrough = 1;
  write.alarmChanged = true;
  write.alarmMs = 4;
  write.properties = store::Properties{.retentionMs = 6, .metadata = "m", .hotChunks = {8}};
  ASSERT_EQ(codeOf(acme.apply(write)), "ok");
  Owner other = own("other");
  ASSERT_EQ(codeOf(other.commit("o")), "ok");
  own("gone");
  ASSERT_EQ(codeOf(store().destroy("gone")), "ok");

  const std::string before = describeStore(store());
  const store::DatabaseId id = acme.id();
  reopenStore();
  EXPECT_EQ(describeStore(store()), before);
  EXPECT_EQ(store().info("acme")->id, id);
  EXPECT_EQ(codeOf(store().readChunks({.id = id, .atTxid = 3, .chunks = {}, .logAfter = 0})),
            "snapshot_gone");

  Owner again = own("acme");
  EXPECT_EQ(again.epoch(), 2u);
  DatabaseWrite discard = again.nothing();
  discard.discardStaging = true;
  ASSERT_EQ(codeOf(again.apply(discard)), "ok");
  ASSERT_EQ(codeOf(again.commit("four")), "ok");
  reopenStore();
  EXPECT_EQ(look("acme").head.txid, 4u);
}

TEST_P(StoreReopenConformance, ids_are_not_used_again_after_the_store_was_opened_again) {
  std::set<store::DatabaseId> ids;
  for (int round = 0; round < 4; ++round) {
    for (const char* name : {"a", "b"}) {
      const Owner owner = own(name);
      EXPECT_TRUE(ids.insert(owner.id()).second);
      ASSERT_EQ(codeOf(store().destroy(name)), "ok");
    }
    reopenStore();
  }
}

TEST_P(StoreReopenConformance, epochs_go_on_after_the_store_was_opened_again) {
  Owner stale = own("acme");
  ASSERT_EQ(codeOf(stale.commit("one")), "ok");
  const store::Epoch epoch = stale.epoch();
  reopenStore();
  EXPECT_EQ(own("acme").epoch(), epoch + 1);
}

}  // namespace
}  // namespace skep::testing
