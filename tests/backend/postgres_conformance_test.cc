// PostgresStore against the conformance suite, on a private server.

#include <atomic>
#include <string>

#include "skep/backend/postgres/postgres_store.h"
#include "skep/testing/postgres_server/postgres_server.h"
#include "skep/testing/store_conformance/store_fixture.h"

namespace skep::testing {
namespace {

// One server for the program; each test has a schema of its own in it.
PostgresServer& server() {
  static PostgresServer instance;
  return instance;
}

/// Dates are the suite's, time limits are real: the server answers when it does, however far a test
/// has moved its clock meanwhile.
class DatingClock final : public Clock {
 public:
  explicit DatingClock(const Clock& dates) : dates_(dates) {}
  std::int64_t wallMs() const override { return dates_.wallMs(); }
  std::int64_t wallMsAfter(Duration delay) const override { return dates_.wallMsAfter(delay); }
  MonotonicTime monotonic() const override { return limits_.monotonic(); }

 private:
  const Clock& dates_;
  SystemClock limits_;
};

class PostgresEnvironment final : public StoreEnvironment {
 public:
  explicit PostgresEnvironment(const Clock& dates) : clock_(dates) {
    static std::atomic<int> schemas = 0;
    schema_ = "test_" + std::to_string(++schemas);
    connect();
  }

  store::PageStore& store() override { return *store_; }
  void reopen() override {
    store_.reset();
    connect();
  }

 private:
  void connect() {
    auto opened = backend::PostgresStore::open({.url = server().url(), .schema = schema_}, clock_);
    SKEP_CHECK(opened.ok(), "%s", opened.error().message.c_str());
    store_ = std::move(opened).value();
  }

  DatingClock clock_;
  std::string schema_;
  std::unique_ptr<backend::PostgresStore> store_;
};

std::unique_ptr<StoreEnvironment> makePostgres(Clock& clock) {
  return std::make_unique<PostgresEnvironment>(clock);
}

INSTANTIATE_TEST_SUITE_P(Postgres, StoreConformance,
                         ::testing::Values(StoreBackend{"postgres", makePostgres}), backendName);
INSTANTIATE_TEST_SUITE_P(Postgres, MembershipConformance,
                         ::testing::Values(StoreBackend{"postgres", makePostgres}), backendName);
INSTANTIATE_TEST_SUITE_P(Postgres, StoreReopenConformance,
                         ::testing::Values(StoreBackend{"postgres", makePostgres}), backendName);

}  // namespace
}  // namespace skep::testing
