// MemoryStore against the conformance suite.

#include "skep/backend/memory/memory_store.h"

#include "skep/testing/store_conformance/store_fixture.h"

namespace skep::testing {
namespace {

class MemoryEnvironment final : public StoreEnvironment {
 public:
  explicit MemoryEnvironment(Clock& clock) : store_(clock) {}
  store::PageStore& store() override { return store_; }
  void reopen() override { FAIL() << "a MemoryStore keeps nothing"; }

 private:
  backend::MemoryStore store_;
};

std::unique_ptr<StoreEnvironment> makeMemory(Clock& clock) {
  return std::make_unique<MemoryEnvironment>(clock);
}

INSTANTIATE_TEST_SUITE_P(Memory, StoreConformance,
                         ::testing::Values(StoreBackend{"memory", makeMemory}), backendName);
INSTANTIATE_TEST_SUITE_P(Memory, MembershipConformance,
                         ::testing::Values(StoreBackend{"memory", makeMemory}), backendName);

}  // namespace
}  // namespace skep::testing
