// The stores beneath the runs of this folder, and what its tests read from the environment.

#pragma once

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <optional>

#include "skep/backend/embedded/embedded_store.h"
#include "skep/backend/memory/memory_store.h"
#include "skep/base/check.h"
#include "skep/testing/faults/crash_run.h"
#include "skep/testing/temp_directory.h"

namespace skep::testing {

class InMemory final : public RunStore {
 public:
  explicit InMemory(Clock& clock) : store_(clock) {}
  store::PageStore& store() override { return store_; }

 private:
  backend::MemoryStore store_;
};

/// Closes its directory and opens it again between two lives.
class Embedded final : public RunStore {
 public:
  explicit Embedded(Clock& clock) : clock_(clock) { open(); }
  store::PageStore& store() override { return *store_; }
  void reopen() override {
    store_.reset();
    open();
  }

 private:
  void open() {
    auto opened = backend::EmbeddedStore::open({.directory = directory_.path()}, clock_);
    SKEP_CHECK(opened.ok(), "%s", opened.error().message.c_str());
    store_ = std::move(opened).value();
  }

  Clock& clock_;
  TempDirectory directory_;
  std::unique_ptr<backend::EmbeddedStore> store_;
};

inline std::unique_ptr<RunStore> makeInMemory(Clock& clock) {
  return std::make_unique<InMemory>(clock);
}
inline std::unique_ptr<RunStore> makeEmbedded(Clock& clock) {
  return std::make_unique<Embedded>(clock);
}

inline std::optional<std::uint64_t> numberFrom(const char* variable) {
  const char* text = std::getenv(variable);
  if (text == nullptr) return std::nullopt;
  return std::strtoull(text, nullptr, 10);
}

}  // namespace skep::testing
