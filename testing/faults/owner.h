// Owner: one open database of one process, beside the oracle that runs the same statements.
//
// A Lineage is what a database may contain: the content of each committed txid, and what was
// acknowledged. An owner extends it with every local commit; the next owner finds one of its
// versions in the store, and cuts off what came after. Every difference, every error without a
// cause and every acknowledged version that is gone is reported through Findings. All of it on
// fibers of one loop.

#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include "skep/sql/database.h"
#include "skep/testing/faults/oracle.h"
#include "skep/testing/faults/simulation.h"
#include "skep/testing/faults/sql_workload.h"

namespace skep::testing {

/// The first thing that was found wrong.
class Findings {
 public:
  void add(const std::string& what) {
    if (first_.empty()) first_ = what;
  }
  bool any() const { return !first_.empty(); }
  const std::string& first() const { return first_; }

 private:
  std::string first_;
};

class Owner;

struct Lineage {
  struct Version {
    Oracle::Snapshot content;
    std::vector<std::optional<std::int64_t>>
        alarms;  // that the head may have at this txid, oldest first
  };

  explicit Lineage(std::string databaseName);
  /// The database was destroyed: the next one of its name is empty.
  void startOver();

  std::string name;
  std::map<store::Txid, Version> versions;  // from the newest acknowledged one on
  store::Txid acked = 0;
  std::size_t ackedAlarm = 0;           // of versions[acked].alarms
  std::optional<store::Txid> exactly;   // what the store must have: the last owner knew it
  Owner* current = nullptr;             // of those that are open, who took it last
  std::optional<store::DatabaseId> id;  // none: not opened yet
  store::Epoch epoch = 0;               // that the current owner was given
  bool wasShared = false;               // two owners have competed for it
  bool isBeingDestroyed = false;        // no other owner may begin meanwhile
  bool mayBeGone = false;               // it was destroyed, or not: the answer was lost
  bool hadRetention = false;
};

/// What of a run is the same for all of its owners.
struct RunContext {
  Simulation& simulation;
  Findings& findings;
  sql::Limits limits;
  bool expectsErrors = false;     // the limits are tight: an error needs no other cause
  std::ostream* trace = nullptr;  // gets every operation, before it is done
  std::uint64_t opened = 0;       // opens that succeeded
  std::uint64_t laterErrors = 0;  // errors of what was done with an open database
};

class Owner {
 public:
  Owner(RunContext& context, Process& process, Lineage& lineage, std::string label);
  /// close() came before.
  ~Owner();
  Owner(const Owner&) = delete;
  Owner& operator=(const Owner&) = delete;

  /// Opens the database and compares it with the lineage. False when it did not open, for a good
  /// reason.
  bool open();
  /// Whether it can go on: open, not broken, its process alive, nothing found wrong.
  bool isUsable() const;
  void perform(const Operation& operation);
  /// Makes the workload's tables in a database without a commit, as far as it stays usable.
  bool createSchema(SqlWorkload& workload);
  /// Runs `steps` operations, as long as it is usable.
  void work(SqlWorkload& workload, std::size_t steps);
  /// Performs `script` from `next` on, as long as it is usable; leaves out what does not fit the
  /// state of the transaction after an error. `next` is then the operation to go on with.
  void follow(const std::vector<Operation>& script, std::size_t& next);
  /// Closes the database. When that works, everything is durable.
  void close();
  /// What the store says of the database to those who have not opened it. Nobody has.
  void lookAround();
  /// Destroys the database, which is not open; with two owners it is left alone.
  void destroy();

  bool inTransaction() const { return state_ != State::None; }
  bool inTurn() const { return state_ == State::Turn; }
  sql::Database& database() { return *database_; }

 private:
  enum class State : std::uint8_t { None, Explicit, Turn };

  void fail(const std::string& what);
  bool isOutside(const Error& error) const;
  void note(const std::string& what);
  void expectCause(const Error& error, const std::string& doing);
  bool adopt();
  bool openAgain(Operation::Kind kind);
  void statement(const Operation& operation);
  void begin(bool turn);
  void commit();
  void rollback();
  void leaveTransaction();
  void afterOutsideError(const Error& error, const std::string& doing);
  void noteCommit(store::Txid before);
  void setAlarm(std::optional<std::int64_t> alarmMs);
  void noteAlarm();
  void setProperties(std::uint64_t number);
  void waitDurable();
  void waitBeside();
  void acknowledge(store::Txid txid, std::optional<std::size_t> alarm);
  void compareContent();
  void checkDigest();

  RunContext& context_;
  Process& process_;
  Lineage& lineage_;
  const std::string label_;
  std::unique_ptr<sql::Database> database_;
  Oracle oracle_;
  State state_ = State::None;
  std::optional<std::int64_t> alarm_;
  std::optional<std::optional<std::int64_t>> transactionAlarm_;
  std::optional<store::Txid> lostAt_;  // another owner took the database over at this txid
  Joiner waiters_;
};

}  // namespace skep::testing
