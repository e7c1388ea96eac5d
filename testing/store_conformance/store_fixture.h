// The conformance suite of PageStore: what every backend must do, sentence by sentence of
// page_store.h.
//
// The tests are in the other files of this folder, compiled into the object library
// skep_store_conformance. A backend's own test program links that and says how to make a store:
//
//   INSTANTIATE_TEST_SUITE_P(Memory, StoreConformance, ::testing::Values(StoreBackend{"memory",
//   makeMemory})); INSTANTIATE_TEST_SUITE_P(Embedded, StoreReopenConformance, …);   // only for
//   stores that keep their data
//
// Each test gets a store of its own, empty, and a clock that stands still. Random tests print their
// seed; SKEP_SEED=n replays one.

#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <optional>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include "skep/base/clock.h"
#include "skep/store/page_store.h"

namespace skep::testing {

/// One store under test with what it lives in (a directory, a server's schema), removed at the end.
class StoreEnvironment {
 public:
  virtual ~StoreEnvironment() = default;
  virtual store::PageStore& store() = 0;
  /// Closes the store and opens it again on the same data. Only asked of stores that keep their
  /// data.
  virtual void reopen() = 0;
};

struct StoreBackend {
  std::string name;
  std::function<std::unique_ptr<StoreEnvironment>(Clock&)> make;
};

/// The name of an instantiated test: the backend's.
inline std::string backendName(const ::testing::TestParamInfo<StoreBackend>& parameter) {
  return parameter.param.name;
}

inline std::ostream& operator<<(std::ostream& out, const StoreBackend& backend) {
  return out << backend.name;
}

/// The owner of one database, as the tests play it: it remembers its epoch and the head's txid.
class Owner {
 public:
  Owner(store::PageStore& store, std::string name, store::DatabaseId id, const store::Head& head);

  const std::string& name() const { return name_; }
  store::DatabaseId id() const { return id_; }
  store::Epoch epoch() const { return epoch_; }
  store::Txid txid() const { return txid_; }
  void setTxid(store::Txid txid) { txid_ = txid; }

  /// A write that would be accepted and changes nothing: the start of every other one.
  store::DatabaseWrite nothing() const;
  /// A commit of the next txid whose record is `record`.
  store::DatabaseWrite committing(std::string_view record) const;
  /// A fold: puts `chunks` and nothing else.
  store::DatabaseWrite folding(std::vector<store::StoredChunk> chunks) const;

  Status apply(const store::DatabaseWrite& write);
  Status commit(std::string_view record) { return apply(committing(record)); }
  Status fold(std::vector<store::StoredChunk> chunks) { return apply(folding(std::move(chunks))); }

  store::Head head() const;
  /// The open by which this owner learns what became of its newest write.
  store::OpenRequest retaking() const;

 private:
  store::PageStore* store_;
  std::string name_;
  store::DatabaseId id_;
  store::Epoch epoch_;
  store::Txid txid_;
};

class StoreConformance : public ::testing::TestWithParam<StoreBackend> {
 protected:
  StoreConformance();
  ~StoreConformance() override;

  store::PageStore& store() { return environment_->store(); }
  void reopenStore() { environment_->reopen(); }

  /// Creates the database if need be and takes it over.
  Owner own(const std::string& name);
  /// Opens without a claim; the database must be there.
  store::OpenedDatabase look(const std::string& name, std::uint32_t firstChunks = 4);
  store::ChunkRead read(const store::ChunkReadRequest& request);
  std::vector<store::ChunkVersion> versions(store::DatabaseId id);

  ManualClock clock_;

 private:
  std::unique_ptr<StoreEnvironment> environment_;
};

class StoreReopenConformance : public StoreConformance {};

/// Stores that several nodes can share. Leases in these tests are endless or have run out already: the
/// store's clock may be a real one.
class MembershipConformance : public StoreConformance {
 protected:
  static constexpr Duration kEndless = std::chrono::hours(1);
  static constexpr Duration kRunOut = Duration::zero();

  store::Membership& membership() { return *store().membership(); }
  static store::NodeFacts facts(const std::string& name);
  store::Incarnation join(const std::string& name, Duration lease = kEndless);
  store::Renewal renew(store::Incarnation incarnation, Duration lease = kEndless,
                       std::uint64_t knownVersion = 0);
  /// Claims a database for a node, and creates it if need be.
  Owner ownAs(store::Incarnation owner, const std::string& name);
  /// Ends it as other nodes do: its lease runs out, and they say so.
  void kill(store::Incarnation incarnation);
};

/// Bytes of a text, and back.
Bytes bytesOf(std::string_view text);
/// `size` bytes that differ for each `seed` and do not compress.
Bytes noise(std::size_t size, std::uint64_t seed);

store::StoredChunk chunkAt(store::ChunkNumber chunk, store::Txid txid, std::string_view text);

/// "ok" or the code's name.
std::string codeOf(const Status& status);
template <class T>
std::string codeOf(const Result<T>& result) {
  return result.ok() ? "ok" : std::string(errorCodeName(result.error().code));
}

/// "3@7=text" for each: for short comparisons of what was read.
std::string describe(const std::vector<store::StoredChunk>& chunks);
std::string describe(const std::vector<store::StoredRecord>& records);
std::string describe(const std::vector<store::ChunkVersion>& versions);
std::string describe(const store::Head& head);

/// Everything that a store says about one database, or all of it, except ids: two stores that hold
/// the same give the same text.
std::string describeDatabase(store::PageStore& store, const std::string& name);
std::string describeStore(store::PageStore& store);

/// The seed of a random test: SKEP_SEED, or a new one. Printed, and shown by a failing test.
std::uint64_t testSeed(std::string_view test);

}  // namespace skep::testing
