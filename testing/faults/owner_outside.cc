// What an Owner does with a database that is not open: asks the store about it, and destroys it.

#include <algorithm>
#include <limits>

#include "skep/testing/faults/owner.h"

namespace skep::testing {
namespace {

constexpr std::size_t kMost = 100;

}  // namespace

bool Owner::openAgain(Operation::Kind kind) {
  close();
  if (context_.findings.any() || process_.store().hasCrashed()) return false;
  if (kind == Operation::Kind::DestroyAndOpen) destroy();
  lookAround();
  return !context_.findings.any() && !process_.store().hasCrashed() && open();
}

void Owner::lookAround() {
  const bool isKnown = lineage_.exactly && !lineage_.wasShared && !lineage_.mayBeGone;
  const std::optional<store::Txid> before = lineage_.exactly;
  const auto snapshot = process_.store().snapshot();
  if (!snapshot) return expectCause(snapshot.error(), "snapshot");
  Result<store::ListPage> names = (*snapshot)->list("", "", kMost);
  if (!names) return expectCause(names.error(), "list");
  const bool isListed = std::ranges::any_of(
      names->databases, [&](const auto& each) { return each.name == lineage_.name; });
  if (!isListed && isKnown && *lineage_.exactly > 0) fail("the store does not list it");
  Result<store::DatabaseInfo> info = (*snapshot)->info(lineage_.name);
  if (info) {
    // Other owners may have come and gone since the snapshot was taken.
    if (isKnown && before == lineage_.exactly && info->head.txid != *before) {
      fail("the store has it at " + std::to_string(info->head.txid) + ", not at " +
           std::to_string(*before));
    }
  } else if (info.error().code != ErrorCode::NotFound) {
    return expectCause(info.error(), "info");
  } else if (isListed) {
    fail("the store lists it and tells nothing of it");
  }

  constexpr std::int64_t kEver = std::numeric_limits<std::int64_t>::max();
  Result<std::vector<store::DueAlarm>> due = process_.store().dueAlarms(kEver, kMost);
  if (!due) return expectCause(due.error(), "due alarms");
  const auto found =
      std::ranges::find(*due, lineage_.name, [](const auto& each) { return each.name; });
  std::optional<std::int64_t> alarm;
  if (found != due->end()) alarm = found->alarmMs;
  if (!isKnown || lineage_.wasShared) return;
  const auto& may = lineage_.versions[*lineage_.exactly].alarms;
  if (std::ranges::find(may, alarm) == may.end())
    fail("the store's alarms have it at " + (alarm ? std::to_string(*alarm) : "none"));
}

void Owner::destroy() {
  if (lineage_.wasShared) return;
  note("destroy");
  lineage_.isBeingDestroyed = true;
  const Status gone = process_.store().destroy(lineage_.name);
  lineage_.isBeingDestroyed = false;
  if (gone) return lineage_.startOver();
  // Nobody may have created it yet, or the one who destroyed it heard nothing of it.
  if (gone.error().code == ErrorCode::NotFound) {
    if (!lineage_.mayBeGone && lineage_.acked > 0) fail("it is gone, and nobody destroyed it");
    return lineage_.startOver();
  }
  lineage_.mayBeGone |=
      gone.error().code == ErrorCode::UnknownOutcome || process_.store().hasCrashed();
  expectCause(gone.error(), "destroy");
}

}  // namespace skep::testing
