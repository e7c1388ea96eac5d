#include "skep/testing/world.h"

#include "skep/backend/memory/memory_store.h"

namespace skep::testing {

World::World(vfs::PagedFileOptions options, std::size_t cacheBytes)
    : loop_(std::make_unique<fiber::Loop>(clock_)),
      ownStore_(std::make_unique<backend::MemoryStore>(clock_)),
      store_(ownStore_.get()),
      engine_(std::make_unique<Engine>(*loop_, *store_, options, cacheBytes)) {}

World::World(store::PageStore& store, vfs::PagedFileOptions options, std::size_t cacheBytes)
    : loop_(std::make_unique<fiber::Loop>(clock_)),
      store_(&store),
      engine_(std::make_unique<Engine>(*loop_, *store_, options, cacheBytes)) {}

World::~World() {
  run([&] { engine_->pipeline.close(); });
}

void World::run(const std::function<void()>& body) {
  bool done = false;
  loop_->spawn("test", [&] {
    body();
    done = true;
  });
  loop_->runUntil([&] { return done; });
}

std::unique_ptr<sql::Database> World::open(const std::string& name, sql::DatabaseOptions options) {
  options.name = name;
  Result<std::unique_ptr<sql::Database>> opened =
      sql::Database::open(environment(), std::move(options));
  EXPECT_TRUE(opened.ok()) << "open " << name << ": " << opened.error().toString();
  return opened ? std::move(opened).value() : nullptr;
}

std::string scalar(sql::Database& database, const std::string& sql) {
  Result<sql::Rows> rows = database.execute(sql);
  if (!rows) return "error: " + rows.error().toString();
  if (rows->rows.empty() || rows->rows[0].empty()) return "no row";
  const sql::Value& value = rows->rows[0][0];
  switch (value.type()) {
    case sql::ValueType::Null:
      return "null";
    case sql::ValueType::Integer:
      return std::to_string(value.integer());
    case sql::ValueType::Real:
      return std::to_string(value.real());
    case sql::ValueType::Text:
      return value.text();
    case sql::ValueType::Blob:
      return std::string(asText(value.blob()));
  }
  return {};
}

}  // namespace skep::testing
