// Key-value pairs: their order, their bounds, and that they belong to the turn.

#include <gmock/gmock.h>

#include "skep/testing/actor_world.h"

namespace skep::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

struct User {
  std::string name;
  std::int64_t age;
};

struct Store : Actor {
  static void define(Definition<Store>& d) {
    d.migration(1, "CREATE TABLE t(x)");
    d.action("put", &Store::put).action("get", &Store::get).action("remove", &Store::remove);
    d.action("list", &Store::list).action("removeRange", &Store::removeRange);
    d.action("putAndThrow", &Store::putAndThrow).action("putWithSql", &Store::putWithSql);
    d.action("types", &Store::types).action("wrongType", &Store::wrongType);
    d.action("putSizes", &Store::putSizes).action("writeTable", &Store::writeTable);
    d.action("tables", &Store::tables);
  }
  void put(Context& c, std::string key, std::string value) { c.kv().put(key, value); }
  std::optional<std::string> get(Context& c, std::string key) {
    return c.kv().get<std::string>(key);
  }
  bool remove(Context& c, std::string key) { return c.kv().remove(key); }

  struct Range {
    std::string prefix;
    std::optional<std::string> start;
    std::optional<std::string> end;
    std::optional<std::size_t> countMax;
    std::optional<bool> reverse;
    KeyRange range() const {
      return {.prefix = prefix,
              .start = start.value_or(""),
              .end = end,
              .countMax = countMax.value_or(1000),
              .isReverse = reverse.value_or(false)};
    }
  };
  std::vector<std::string> list(Context& c, Range range) {
    std::vector<std::string> keys;
    for (const auto& [key, value] : c.kv().list<std::string>(range.range())) {
      keys.push_back(key + "=" + value);
    }
    return keys;
  }
  std::size_t removeRange(Context& c, Range range) { return c.kv().removeRange(range.range()); }

  void putAndThrow(Context& c) {
    c.kv().put("a", "changed");
    c.kv().put("b", "new");
    throw UserError("no", "not at all");
  }
  void putWithSql(Context& c) {
    c.kv().put("a", "1");
    c.execute("INSERT INTO t VALUES (1)");
  }
  Value types(Context& c) {
    c.kv().put("user", User{"Ada", 36});
    c.kv().put("number", 1.5);
    c.kv().put("big", std::numeric_limits<std::int64_t>::max());
    c.kv().put("list", std::vector<std::string>{"x", "y"});
    c.kv().put("bytes", Bytes{std::byte{0}, std::byte{255}});
    c.kv().put("nothing", std::optional<int>());
    Value all = Value::object();
    all["user"] = c.kv().get<User>("user")->name;
    all["number"] = *c.kv().get<double>("number");
    all["big"] = *c.kv().get<std::int64_t>("big");
    all["list"] = *c.kv().get<std::vector<std::string>>("list");
    all["bytes"] = c.kv().get<Bytes>("bytes")->size();
    all["nothing"] = c.kv().get<std::optional<int>>("nothing")->has_value();
    return all;
  }
  void wrongType(Context& c) {
    c.kv().put("text", "hello");
    (void)c.kv().get<std::int64_t>("text");
  }
  void putSizes(Context& c, std::size_t keyBytes, std::size_t valueBytes) {
    c.kv().put(std::string(keyBytes, 'k'), std::string(valueBytes, 'v'));
  }
  void writeTable(Context& c) { c.execute("DELETE FROM _skep_kv"); }
  std::vector<std::string> tables(Context& c) {
    return c.query<std::string>(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name GLOB '_skep_*' ORDER BY "
        "name");
  }
};

class KeyValueTest : public ::testing::Test {
 protected:
  KeyValueTest() { world_.add<Store>("store"); }
  std::string call(const std::string& action, const std::string& arguments = "[]") {
    return world_.call("store", "a", action, arguments);
  }
  void fill() {
    for (const char* key : {"b/2", "a/1", "c", "b/1", "b", "b/10", "b0"}) {
      call("put", std::string(R"([")") + key + R"(", "x"])");
    }
  }

  ActorWorld world_;
};

TEST_F(KeyValueTest, a_value_is_there_until_it_is_removed) {
  EXPECT_EQ(call("get", R"(["a"])"), "null");
  EXPECT_EQ(call("put", R"(["a", "1"])"), "null");
  EXPECT_EQ(call("get", R"(["a"])"), "\"1\"");
  call("put", R"(["a", "2"])");
  world_.restart();
  EXPECT_EQ(call("get", R"(["a"])"), "\"2\"");
  EXPECT_EQ(call("remove", R"(["a"])"), "true");
  EXPECT_EQ(call("remove", R"(["a"])"), "false");
  EXPECT_EQ(call("get", R"(["a"])"), "null");
}

TEST_F(KeyValueTest, values_are_of_any_type_that_can_be_sent) {
  EXPECT_EQ(call("types"), R"({"big":9223372036854775807,"bytes":2,"list":["x","y"],)"
                           R"("nothing":false,"number":1.5,"user":"Ada"})");
  EXPECT_THAT(call("wrongType"), StartsWith("internal.internal"));
}

TEST_F(KeyValueTest, a_range_is_listed_in_the_order_of_bytes_from_either_end) {
  EXPECT_EQ(call("list", R"([{"prefix":""}])"), "[]");
  fill();
  EXPECT_EQ(call("list", R"([{"prefix":""}])"),
            R"(["a/1=x","b=x","b/1=x","b/10=x","b/2=x","b0=x","c=x"])");
  EXPECT_EQ(call("list", R"([{"prefix":"b/"}])"), R"(["b/1=x","b/10=x","b/2=x"])");
  EXPECT_EQ(call("list", R"([{"prefix":"b/","reverse":true,"countMax":2}])"),
            R"(["b/2=x","b/10=x"])");
  EXPECT_EQ(call("list", R"([{"prefix":"b/","start":"b/10"}])"), R"(["b/10=x","b/2=x"])");
  EXPECT_EQ(call("list", R"([{"prefix":"b/","end":"b/2"}])"), R"(["b/1=x","b/10=x"])");
  EXPECT_EQ(call("list", R"([{"prefix":"","start":"b","end":"b0"}])"),
            R"(["b=x","b/1=x","b/10=x","b/2=x"])");
  EXPECT_EQ(call("list", R"([{"prefix":"","start":"c","end":"b"}])"), "[]");
  EXPECT_EQ(call("list", R"([{"prefix":"b","countMax":0}])"), "[]");
  EXPECT_EQ(call("list", R"([{"prefix":"z"}])"), "[]");
}

TEST_F(KeyValueTest, a_range_is_removed) {
  fill();
  EXPECT_EQ(call("removeRange", R"([{"prefix":"b/","countMax":1}])"), "1");
  EXPECT_EQ(call("removeRange", R"([{"prefix":"b"}])"), "4");
  EXPECT_EQ(call("list", R"([{"prefix":""}])"), R"(["a/1=x","c=x"])");
}

TEST_F(KeyValueTest, pairs_belong_to_the_turn) {
  EXPECT_THAT(call("putAndThrow"), StartsWith("user.no"));  // the table, too, is gone again
  EXPECT_EQ(call("get", R"(["b"])"), "null");
  call("put", R"(["a", "1"])");
  EXPECT_THAT(call("putAndThrow"), StartsWith("user.no"));
  EXPECT_EQ(call("get", R"(["a"])"), "\"1\"");
  EXPECT_EQ(call("get", R"(["b"])"), "null");
  int commits = 0;
  world_.store().beforeWrite = [&](const store::DatabaseWrite& write) -> Status {
    if (write.commit) ++commits;
    return {};
  };
  call("putWithSql");
  EXPECT_EQ(commits, 1);
}

TEST_F(KeyValueTest, bounds_have_names) {
  EXPECT_EQ(call("putSizes", "[2048, 1000]"), "null");
  EXPECT_THAT(call("putSizes", "[2049, 1]"),
              StartsWith("actor.key_too_large: a key has 1 to 2048 bytes, this one 2049"));
  EXPECT_THAT(call("putSizes", "[0, 1]"), StartsWith("actor.key_too_large: "));
  EXPECT_EQ(call("putSizes", "[1, 131000]"), "null");
  EXPECT_THAT(call("putSizes", "[1, 131072]"), StartsWith("actor.value_too_large: "));
}

TEST_F(KeyValueTest, sql_reads_the_table_and_does_not_write_it) {
  EXPECT_EQ(call("tables"), R"(["_skep_migration","_skep_state","_skep_version"])");
  call("put", R"(["a", "1"])");
  EXPECT_EQ(call("tables"), R"(["_skep_kv","_skep_migration","_skep_state","_skep_version"])");
  EXPECT_THAT(call("writeTable"), HasSubstr("_skep_"));
  EXPECT_EQ(call("get", R"(["a"])"), "\"1\"");
}

}  // namespace
}  // namespace skep::testing
