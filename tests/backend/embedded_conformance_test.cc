// EmbeddedStore against the conformance suite: called from plain threads, and from a fiber.

#include "skep/backend/embedded/embedded_store.h"
#include "skep/testing/store_conformance/store_fixture.h"
#include "skep/testing/temp_directory.h"

namespace skep::testing {
namespace {

class EmbeddedEnvironment final : public StoreEnvironment {
 public:
  explicit EmbeddedEnvironment(Clock& clock) : clock_(clock) { openStore(); }
  store::PageStore& store() override { return *store_; }
  void reopen() override {
    store_.reset();
    openStore();
  }

 private:
  void openStore() {
    auto opened = backend::EmbeddedStore::open({.directory = directory_.path()}, clock_);
    SKEP_CHECK(opened.ok(), "%s", opened.error().message.c_str());
    store_ = std::move(opened).value();
  }

  Clock& clock_;
  TempDirectory directory_;
  std::unique_ptr<backend::EmbeddedStore> store_;
};

const StoreBackend kEmbedded{
    "embedded", [](Clock& clock) { return std::make_unique<EmbeddedEnvironment>(clock); }};

INSTANTIATE_TEST_SUITE_P(Embedded, StoreConformance, ::testing::Values(kEmbedded), backendName);
INSTANTIATE_TEST_SUITE_P(Embedded, StoreReopenConformance, ::testing::Values(kEmbedded),
                         backendName);

}  // namespace
}  // namespace skep::testing
