// EmbeddedStore against the conformance suite: called from plain threads, and from a fiber.

#include "skep/backend/embedded/embedded_store.h"
#include "skep/testing/store_conformance/on_fibers.h"
#include "skep/testing/store_conformance/store_fixture.h"
#include "skep/testing/temp_directory.h"

namespace skep::testing {
namespace {

enum class Callers { Threads, Fibers };

class EmbeddedEnvironment final : public StoreEnvironment {
 public:
  EmbeddedEnvironment(Callers callers, Clock& clock) : callers_(callers), clock_(clock) {
    openStore();
  }
  ~EmbeddedEnvironment() override { onFibers_.reset(); }

  store::PageStore& store() override {
    if (onFibers_ != nullptr) return *onFibers_;
    return *store_;
  }
  void reopen() override {
    onFibers_.reset();
    store_.reset();
    openStore();
  }

 private:
  void openStore() {
    auto opened = backend::EmbeddedStore::open({.directory = directory_.path()}, clock_);
    SKEP_CHECK(opened.ok(), "%s", opened.error().message.c_str());
    store_ = std::move(opened).value();
    if (callers_ == Callers::Fibers) onFibers_ = std::make_unique<OnFibers>(*store_, clock_);
  }

  Callers callers_;
  Clock& clock_;
  TempDirectory directory_;
  std::unique_ptr<backend::EmbeddedStore> store_;
  std::unique_ptr<OnFibers> onFibers_;
};

StoreBackend embedded(std::string name, Callers callers) {
  return {std::move(name), [callers](Clock& clock) {
            return std::make_unique<EmbeddedEnvironment>(callers, clock);
          }};
}

const auto kBoth =
    ::testing::Values(embedded("threads", Callers::Threads), embedded("fibers", Callers::Fibers));

INSTANTIATE_TEST_SUITE_P(Embedded, StoreConformance, kBoth, backendName);
INSTANTIATE_TEST_SUITE_P(Embedded, StoreReopenConformance, kBoth, backendName);

}  // namespace
}  // namespace skep::testing
