// Fault points: every place where a call to the store can go wrong, by name.
//
// A point is a kind of call and what happens to it: "commit_fold.late" is a commit that also folds,
// whose answer is lost and which reaches the store only after its owner has asked for the outcome.
// The registry is the product of the two tables in the .cc; FaultyStore (faulty_store.h) fires
// points and counts each firing.
//
//   for (const FaultPoint& point : faultPoints()) use(point.name(), point.faultClass());

#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "skep/store/page_store.h"

namespace skep::testing {

/// What a call is for. Writes are named by the most important thing that they carry.
enum class CallKind : std::uint8_t {
  Open,        // open() with Claim::Take or None
  Retake,      // open() with Claim::Retake
  Read,        // readChunks()
  Head,        // readHead()
  List,        // listChunkVersions()
  Log,         // readLog()
  VersionAt,   // versionAt()
  Names,       // list()
  Info,        // info()
  DueAlarms,   // dueAlarms()
  Snapshot,    // snapshot(); what is read from it then counts as any other read
  Commit,      // a new version
  CommitFold,  // a new version, and chunks that let the log be trimmed
  Fold,        // chunks alone
  Flip,        // the commit of staged chunks
  Stage,       // chunks above the head
  Discard,     // removes staged chunks
  Sweep,       // removes what a flip superseded
  Alarm,       // the alarm alone
  Properties,  // properties alone
  Destroy,     // destroy()
};
inline constexpr std::size_t kCallKinds = 21;

enum class FaultAction : std::uint8_t {
  Before,    // Unavailable; not applied
  Refused,   // StoreFull; not applied
  ReadOnly,  // ReadOnly; not applied
  Lost,      // UnknownOutcome; not applied, and never will be
  After,     // UnknownOutcome; applied
  Delayed,   // UnknownOutcome; applied before the next call reaches the store
  Late,  // UnknownOutcome; reaches the store after the next claim of the database, which must have
         // shut it out
  CrashBefore,  // the process dies; not applied
  CrashAfter,   // the process dies; applied
  CrashLate,    // the process dies; reaches the store after the next claim
  Fail,         // a read: Unavailable
  Corrupt,      // a read: one bit of one chunk or record in the answer is wrong
  LostRecord,   // a read: one record is missing from the answer
};
inline constexpr std::size_t kFaultActions = 13;

enum class FaultClass : std::uint8_t {
  BeforeDurable,  // certainly not applied
  Ambiguous,      // the caller cannot tell
  AfterDurable,   // applied, and nobody was told
  Read,           // nothing was to be applied
};

std::string_view callKindName(CallKind kind);
std::string_view faultActionName(FaultAction action);
std::string_view faultClassName(FaultClass faultClass);

struct FaultPoint {
  CallKind kind;
  FaultAction action;

  std::string name() const;  // "commit.before"
  FaultClass faultClass() const;
  bool isCrash() const;
  /// Whether the owner may lose its database handle over it (and must open again): the others it
  /// has to survive.
  bool mayBreakOwner() const;
  std::size_t index() const {
    return static_cast<std::size_t>(kind) * kFaultActions + static_cast<std::size_t>(action);
  }
  friend bool operator==(const FaultPoint&, const FaultPoint&) = default;
};

/// All of them, in the order of the kinds.
std::span<const FaultPoint> faultPoints();
/// Whether `action` can happen to a call of `kind`.
bool isFaultPoint(CallKind kind, FaultAction action);
std::optional<FaultPoint> findFaultPoint(std::string_view name);

bool isWriteKind(CallKind kind);
CallKind kindOf(const store::DatabaseWrite& write);
CallKind kindOf(const store::OpenRequest& request);

}  // namespace skep::testing
