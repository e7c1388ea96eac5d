// Conformance: finding, creating, claiming and opening a database; its properties; names.

#include "skep/testing/store_conformance/store_fixture.h"

namespace skep::testing {
namespace {

using store::Claim;
using store::Create;
using store::Head;
using store::OpenRequest;
using store::Properties;

TEST_P(StoreConformance, a_database_that_does_not_exist_is_not_found) {
  EXPECT_EQ(codeOf(store().open({.name = "absent"})), "not_found");
  EXPECT_EQ(codeOf(store().open({.name = "absent", .claim = Claim::Take})), "not_found");
  EXPECT_EQ(codeOf(store().info("absent")), "not_found");
  EXPECT_EQ(codeOf(store().destroy("absent")), "not_found");
}

TEST_P(StoreConformance, a_new_database_is_empty_and_has_no_owner) {
  const auto opened = store().open({.name = "acme", .create = Create::IfMissing});
  ASSERT_EQ(codeOf(opened), "ok");
  EXPECT_TRUE(opened->created);
  EXPECT_EQ(opened->head, Head{});
  EXPECT_EQ(opened->properties, Properties{});
  EXPECT_TRUE(opened->log.empty());
  EXPECT_TRUE(opened->chunks.empty());
}

TEST_P(StoreConformance, create_if_missing_creates_once_and_then_finds_the_same) {
  const OpenRequest request{.name = "acme", .create = Create::IfMissing};
  const auto first = store().open(request);
  const auto second = store().open(request);
  ASSERT_TRUE(first.ok() && second.ok());
  EXPECT_TRUE(first->created);
  EXPECT_FALSE(second->created);
  EXPECT_EQ(first->id, second->id);
}

TEST_P(StoreConformance, create_must_be_new_refuses_an_existing_database) {
  const OpenRequest request{.name = "acme", .create = Create::MustBeNew, .claim = Claim::Take};
  const auto first = store().open(request);
  ASSERT_EQ(codeOf(first), "ok");
  EXPECT_TRUE(first->created);
  EXPECT_EQ(codeOf(store().open(request)), "already_exists");
  EXPECT_EQ(look("acme").head.epoch, 1u) << "the refused open must not have claimed";
}

TEST_P(StoreConformance, databases_have_different_ids) {
  const Owner a = own("a");
  const Owner b = own("b");
  EXPECT_NE(a.id(), b.id());
}

TEST_P(StoreConformance, opening_without_a_claim_leaves_the_owner_alone) {
  Owner owner = own("acme");
  look("acme");
  EXPECT_EQ(look("acme").head.epoch, owner.epoch());
  EXPECT_EQ(codeOf(owner.commit("one")), "ok");
}

TEST_P(StoreConformance, each_claim_raises_the_epoch_by_one) {
  EXPECT_EQ(own("acme").epoch(), 1u);
  EXPECT_EQ(own("acme").epoch(), 2u);
  EXPECT_EQ(own("acme").epoch(), 3u);
  EXPECT_EQ(look("acme").head.epoch, 3u);
}

TEST_P(StoreConformance, a_claim_changes_nothing_else_of_the_head) {
  Owner owner = own("acme");
  ASSERT_EQ(codeOf(owner.commit("one")), "ok");
  Head expected = look("acme").head;
  own("acme");
  expected.epoch = 2;
  EXPECT_EQ(look("acme").head, expected);
}

TEST_P(StoreConformance, a_retake_succeeds_while_the_epoch_is_still_its_own) {
  Owner owner = own("acme");
  ASSERT_EQ(codeOf(owner.commit("one")), "ok");
  const auto again = store().open(owner.retaking());
  ASSERT_EQ(codeOf(again), "ok");
  EXPECT_EQ(again->head.epoch, 2u);
  EXPECT_EQ(again->head.txid, 1u);
  EXPECT_EQ(describe(again->log), "1=one");
  EXPECT_EQ(codeOf(owner.commit("two")), "fenced");
}

TEST_P(StoreConformance, a_retake_after_someone_else_took_over_is_fenced) {
  const Owner first = own("acme");
  own("acme");
  OpenRequest request = first.retaking();
  EXPECT_EQ(codeOf(store().open(request)), "fenced");
  request.retakeEpoch = 3;
  EXPECT_EQ(codeOf(store().open(request)), "fenced");
  EXPECT_EQ(look("acme").head.epoch, 2u) << "a refused retake must leave the epoch as it is";
}

TEST_P(StoreConformance, a_retake_leaves_a_database_alone_that_was_made_anew_under_its_name) {
  const Owner before = own("acme");
  ASSERT_EQ(codeOf(store().destroy("acme")), "ok");
  EXPECT_EQ(codeOf(store().open(before.retaking())), "not_found");
  Owner after = own("acme");
  ASSERT_EQ(after.epoch(), before.epoch());
  EXPECT_EQ(codeOf(store().open(before.retaking())), "not_found");
  OpenRequest anonymous = before.retaking();
  anonymous.retakeId = {};
  EXPECT_EQ(codeOf(store().open(anonymous)), "not_found") << "an id of nobody";
  EXPECT_EQ(look("acme").head.epoch, after.epoch());
  EXPECT_EQ(codeOf(after.commit("one")), "ok") << "its owner has done nothing wrong";
}

TEST_P(StoreConformance, a_retake_creates_nothing) {
  const auto opened = store().open(
      {.name = "acme", .create = Create::IfMissing, .claim = Claim::Retake, .retakeEpoch = 4});
  EXPECT_EQ(codeOf(opened), "not_found");
  EXPECT_EQ(codeOf(store().info("acme")), "not_found");
}

TEST_P(StoreConformance, open_returns_the_records_that_the_head_needs) {
  Owner owner = own("acme");
  for (const char* record : {"one", "two", "three", "four"})
    ASSERT_EQ(codeOf(owner.commit(record)), "ok");
  store::DatabaseWrite trim = owner.nothing();
  trim.trimLogThrough = 2;
  ASSERT_EQ(codeOf(owner.apply(trim)), "ok");
  EXPECT_EQ(describe(look("acme").log), "3=three 4=four");
}

TEST_P(StoreConformance, open_returns_the_first_chunks_that_exist_in_order) {
  Owner owner = own("acme");
  ASSERT_EQ(codeOf(owner.commit("one")), "ok");
  ASSERT_EQ(
      codeOf(owner.fold({chunkAt(5, 1, "five"), chunkAt(3, 1, "three"), chunkAt(0, 1, "zero")})),
      "ok");
  EXPECT_EQ(describe(look("acme").chunks), "0@1=zero 3@1=three");
  EXPECT_EQ(describe(look("acme", 6).chunks), "0@1=zero 3@1=three 5@1=five");
  EXPECT_EQ(describe(look("acme", 3).chunks), "0@1=zero");
  EXPECT_EQ(describe(look("acme", 0).chunks), "");
}

TEST_P(StoreConformance, open_returns_the_newest_version_of_each_chunk) {
  Owner owner = own("acme");
  ASSERT_EQ(codeOf(owner.commit("one")), "ok");
  ASSERT_EQ(codeOf(owner.fold({chunkAt(0, 1, "old"), chunkAt(1, 1, "kept")})), "ok");
  ASSERT_EQ(codeOf(owner.commit("two")), "ok");
  ASSERT_EQ(codeOf(owner.fold({chunkAt(0, 2, "new")})), "ok");
  EXPECT_EQ(describe(look("acme").chunks), "0@2=new 1@1=kept");
}

TEST_P(StoreConformance, open_returns_the_hot_chunks_once_and_in_order) {
  Owner owner = own("acme");
  store::DatabaseWrite write = owner.committing("one");
  write.properties = Properties{.hotChunks = {40, 2, 9, 7}};
  write.chunks = {chunkAt(0, 1, "zero"), chunkAt(2, 1, "two"), chunkAt(5, 1, "five"),
                  chunkAt(9, 1, "nine"), chunkAt(40, 1, "forty")};
  ASSERT_EQ(codeOf(owner.apply(write)), "ok");
  EXPECT_EQ(describe(look("acme").chunks), "0@1=zero 2@1=two 9@1=nine 40@1=forty");
  EXPECT_EQ(describe(look("acme", 0).chunks), "2@1=two 9@1=nine 40@1=forty");
}

TEST_P(StoreConformance, properties_are_kept_and_replaced_as_a_whole) {
  Owner owner = own("acme");
  std::vector<store::ChunkNumber> hot;
  for (store::ChunkNumber chunk = 0; chunk < store::kHotChunksMax; ++chunk)
    hot.push_back(chunk * 1'000'000);
  const Properties most{.retentionMs = 86'400'000'000,
                        .metadata = std::string(asText(noise(store::kMetadataBytesMax, 1))),
                        .hotChunks = hot};
  store::DatabaseWrite write = owner.nothing();
  write.properties = most;
  ASSERT_EQ(codeOf(owner.apply(write)), "ok");
  EXPECT_EQ(look("acme").properties, most);
  EXPECT_EQ(store().info("acme")->properties, most);

  ASSERT_EQ(codeOf(owner.commit("one")), "ok");
  EXPECT_EQ(look("acme").properties, most) << "a write without properties leaves them";
  write = owner.nothing();
  write.properties = Properties{.metadata = "only this"};
  ASSERT_EQ(codeOf(owner.apply(write)), "ok");
  EXPECT_EQ(look("acme").properties, *write.properties);
}

TEST_P(StoreConformance, properties_past_their_limits_are_refused) {
  Owner owner = own("acme");
  for (const Properties& bad :
       {Properties{.metadata = std::string(store::kMetadataBytesMax + 1, 'x')},
        Properties{.hotChunks = std::vector<store::ChunkNumber>(store::kHotChunksMax + 1)},
        Properties{.retentionMs = -1}}) {
    store::DatabaseWrite write = owner.nothing();
    write.properties = bad;
    EXPECT_EQ(codeOf(owner.apply(write)), "invalid_argument");
  }
  EXPECT_EQ(look("acme").properties, Properties{});
}

TEST_P(StoreConformance, bad_names_are_refused) {
  const std::string bad[] = {"",          std::string(store::kNameBytesMax + 1, 'n'),
                             "line\nend", std::string("nul\0here", 8),
                             "\x7f",      "\xff",
                             "\xc0\xaf",  "half \xe2\x82"};
  for (const std::string& name : bad) {
    EXPECT_EQ(codeOf(store().open({.name = name, .create = Create::IfMissing})),
              "invalid_argument");
    EXPECT_EQ(codeOf(store().info(name)), "invalid_argument");
    EXPECT_EQ(codeOf(store().destroy(name)), "invalid_argument");
  }
  EXPECT_TRUE(store().list("", "", 10)->databases.empty());
}

TEST_P(StoreConformance, every_other_name_is_a_database_of_its_own) {
  const std::string names[] = {std::string(store::kNameBytesMax, 'n'),
                               "a",
                               "A",
                               " a",
                               "a ",
                               "tenant/acme",
                               "%_'\"\\;--$1{}",
                               "caf\xc3\xa9",   // é as one code point
                               "cafe\xcc\x81",  // and as two
                               "\xf0\x9f\x90\x9d",
                               "\xf4\x8f\xbf\xbf",  // the last code point
                               "0",
                               "null"};
  for (const std::string& name : names) {
    const auto opened = store().open({.name = name, .create = Create::MustBeNew});
    ASSERT_EQ(codeOf(opened), "ok") << name;
  }
  for (const std::string& name : names) EXPECT_EQ(store().info(name)->name, name);
}

TEST_P(StoreConformance, the_store_says_what_it_is) {
  EXPECT_FALSE(store().kind().empty());
}

}  // namespace
}  // namespace skep::testing
