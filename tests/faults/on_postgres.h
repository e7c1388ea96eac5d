// The store of a run on PostgreSQL: each has a schema of its own in one server.

#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <utility>

#include "skep/backend/postgres/postgres_store.h"
#include "skep/base/check.h"
#include "skep/testing/faults/crash_run.h"
#include "skep/testing/postgres_server/postgres_server.h"

namespace skep::testing {

class OnPostgres final : public RunStore {
 public:
  OnPostgres() {
    static PostgresServer server;
    static int schemas = 0;
    auto opened = backend::PostgresStore::open(
        {.url = server.url(), .schema = "history_" + std::to_string(++schemas)}, clock_);
    SKEP_CHECK(opened.ok(), "%s", opened.error().message.c_str());
    store_ = std::move(opened).value();
  }
  store::PageStore& store() override { return *store_; }

 private:
  SystemClock clock_;
  std::unique_ptr<backend::PostgresStore> store_;
};

}  // namespace skep::testing
