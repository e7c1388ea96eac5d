#include "skep/testing/faults/fault_points.h"

#include <algorithm>
#include <array>
#include <vector>

#include "skep/base/check.h"

namespace skep::testing {
namespace {

struct KindRow {
  CallKind kind;
  std::string_view name;
};

constexpr std::array<KindRow, kCallKinds> kKinds{{
    {CallKind::Open, "open"},
    {CallKind::Retake, "retake"},
    {CallKind::Read, "read"},
    {CallKind::Head, "head"},
    {CallKind::List, "list"},
    {CallKind::Log, "log"},
    {CallKind::VersionAt, "version_at"},
    {CallKind::Names, "names"},
    {CallKind::Info, "info"},
    {CallKind::DueAlarms, "due_alarms"},
    {CallKind::Snapshot, "snapshot"},
    {CallKind::Commit, "commit"},
    {CallKind::CommitFold, "commit_fold"},
    {CallKind::Fold, "fold"},
    {CallKind::Flip, "flip"},
    {CallKind::Stage, "stage"},
    {CallKind::Discard, "discard"},
    {CallKind::Sweep, "sweep"},
    {CallKind::Alarm, "alarm"},
    {CallKind::Properties, "properties"},
    {CallKind::Destroy, "destroy"},
}};

struct ActionRow {
  FaultAction action;
  std::string_view name;
  FaultClass faultClass;
};

constexpr std::array<ActionRow, kFaultActions> kActions{{
    {FaultAction::Before, "before", FaultClass::BeforeDurable},
    {FaultAction::Refused, "refused", FaultClass::BeforeDurable},
    {FaultAction::ReadOnly, "read_only", FaultClass::BeforeDurable},
    {FaultAction::Lost, "lost", FaultClass::Ambiguous},
    {FaultAction::After, "after", FaultClass::Ambiguous},
    {FaultAction::Delayed, "delayed", FaultClass::Ambiguous},
    {FaultAction::Late, "late", FaultClass::Ambiguous},
    {FaultAction::CrashBefore, "crash_before", FaultClass::BeforeDurable},
    {FaultAction::CrashAfter, "crash_after", FaultClass::AfterDurable},
    {FaultAction::CrashLate, "crash_late", FaultClass::Ambiguous},
    {FaultAction::Fail, "fail", FaultClass::Read},
    {FaultAction::Corrupt, "corrupt", FaultClass::Read},
    {FaultAction::LostRecord, "lost_record", FaultClass::Read},
}};

std::vector<FaultAction> actionsOf(CallKind kind) {
  using enum FaultAction;
  switch (kind) {
    case CallKind::Open:
      return {Before, Lost, After, CrashBefore, CrashAfter, Corrupt, LostRecord};
    case CallKind::Retake:
      return {Before, Lost, After, CrashBefore, CrashAfter};
    case CallKind::Read:
      return {CrashBefore, Fail, Corrupt, LostRecord};
    case CallKind::Head:
    case CallKind::List:
    case CallKind::Log:
    case CallKind::VersionAt:
    case CallKind::Names:
    case CallKind::Info:
    case CallKind::DueAlarms:
    case CallKind::Snapshot:
      return {CrashBefore, Fail};
    case CallKind::Destroy:
      return {Before, Refused, ReadOnly, Lost, After, CrashBefore, CrashAfter};
    default:
      return {Before,  Refused, ReadOnly,    Lost,       After,
              Delayed, Late,    CrashBefore, CrashAfter, CrashLate};
  }
}

bool stages(const store::DatabaseWrite& write) {
  return std::any_of(
      write.chunks.begin(), write.chunks.end(),
      [&](const store::StoredChunk& chunk) { return chunk.txid > write.expectedTxid; });
}

}  // namespace

std::string_view callKindName(CallKind kind) {
  return kKinds[static_cast<std::size_t>(kind)].name;
}
std::string_view faultActionName(FaultAction action) {
  return kActions[static_cast<std::size_t>(action)].name;
}
std::string_view faultClassName(FaultClass faultClass) {
  switch (faultClass) {
    case FaultClass::BeforeDurable:
      return "before_durable";
    case FaultClass::Ambiguous:
      return "ambiguous";
    case FaultClass::AfterDurable:
      return "after_durable";
    case FaultClass::Read:
      return "read";
  }
  SKEP_UNREACHABLE();
}

std::string FaultPoint::name() const {
  return std::string(callKindName(kind)) + "." + std::string(faultActionName(action));
}

FaultClass FaultPoint::faultClass() const {
  return kActions[static_cast<std::size_t>(action)].faultClass;
}

bool FaultPoint::isCrash() const {
  return action == FaultAction::CrashBefore || action == FaultAction::CrashAfter ||
         action == FaultAction::CrashLate;
}

bool FaultPoint::mayBreakOwner() const {
  if (isCrash()) return true;
  if (kind == CallKind::Destroy) return false;  // it has no owner then
  switch (action) {
    case FaultAction::Refused:  // a full disk: what was committed locally can't be kept
    case FaultAction::ReadOnly:
    case FaultAction::Corrupt:  // a fold reads, too
    case FaultAction::LostRecord:
      return true;
    case FaultAction::After:
      // The new epoch is taken, but nobody can know by whom.
      return kind == CallKind::Open || kind == CallKind::Retake;
    default:
      return false;
  }
}

std::span<const FaultPoint> faultPoints() {
  static const std::vector<FaultPoint> points = [] {
    std::vector<FaultPoint> made;
    for (const KindRow& row : kKinds) {
      for (const FaultAction action : actionsOf(row.kind)) made.push_back({row.kind, action});
    }
    return made;
  }();
  return points;
}

bool isFaultPoint(CallKind kind, FaultAction action) {
  return std::ranges::find(faultPoints(), FaultPoint{kind, action}) != faultPoints().end();
}

std::optional<FaultPoint> findFaultPoint(std::string_view name) {
  for (const FaultPoint& point : faultPoints()) {
    if (point.name() == name) return point;
  }
  return std::nullopt;
}

bool isWriteKind(CallKind kind) {
  return kind >= CallKind::Commit;
}

CallKind kindOf(const store::DatabaseWrite& write) {
  if (write.commit && write.flip) return CallKind::Flip;
  if (write.commit) return write.chunks.empty() ? CallKind::Commit : CallKind::CommitFold;
  if (write.discardStaging) return CallKind::Discard;
  if (!write.chunks.empty()) return stages(write) ? CallKind::Stage : CallKind::Fold;
  if (!write.superseded.empty() || write.sweepDone) return CallKind::Sweep;
  if (write.expireThrough != 0 && write.trimLogThrough == 0) return CallKind::Sweep;
  if (write.alarmChanged) return CallKind::Alarm;
  if (write.properties) return CallKind::Properties;
  // A fold of chunks that are all past the end: only the log is trimmed.
  return CallKind::Fold;
}

CallKind kindOf(const store::OpenRequest& request) {
  return request.claim == store::Claim::Retake ? CallKind::Retake : CallKind::Open;
}

}  // namespace skep::testing
