// The rules of PageStore::write as pure functions: may this write happen, and what does it make of
// the head?
//
// Every backend that decides in C++ decides here, so that the rules exist once (Postgres decides
// inside its own statement, by the same rules; the conformance suite compares them). No I/O, no
// state, any thread.
//
//   SKEP_TRY(Head after, headAfter(before, write));
//   if (isPartlyTrimmed(before, after))
//     after.logBytes -= bytesOfRecords(before.logStart, after.logStart);

#pragma once

#include "skep/base/result.h"
#include "skep/store/page_store.h"

namespace skep::store {

/// The head that `write` leaves behind, or why it is refused: Fenced for an epoch that is not the
/// head's, InvalidArgument for everything else. logBytes counts the new record; it is 0 when the
/// trim leaves no record, and otherwise does not yet know of the trim, since only the store knows
/// the sizes of what it trims.
Result<Head> headAfter(const Head& before, const DatabaseWrite& write);

/// Whether a trim left some records and took off others, so that the store must correct logBytes.
bool isPartlyTrimmed(const Head& before, const Head& after);

/// Whether `request`, if it is a Retake, may claim the database `id`, which has the name now and
/// whose epoch is `epoch`: NotFound, Fenced.
Status checkRetake(const OpenRequest& request, DatabaseId id, Epoch epoch);

/// Whether `request`, if it is a Take, may claim a database that `owner` owns now, where `hasEnded` says that
/// `owner` has ended: OwnedElsewhere.
Status checkTake(const OpenRequest& request, Incarnation owner, bool hasEnded);

/// OwnedElsewhere: what a Take is told while `owner` owns the database.
Error ownedElsewhere(std::string_view name, Incarnation owner);

/// Fenced: what a Take by an incarnation that has ended is told.
Error claimantEnded(std::string_view name, Incarnation claimant);

/// Fenced when `request` is an owner's, and the database, whose epoch is `epoch`, has another one.
Status checkReader(const ChunkReadRequest& request, Epoch epoch);

/// Fenced: what PageStore::destroy says when the database is not `onlyAs`'s any more.
Error notToDestroy(std::string_view name);

/// notToDestroy() unless database `id` of this name, whose epoch is `epoch`, is what `onlyAs` means.
Status checkDestroyer(std::string_view name, const std::optional<Ownership>& onlyAs, DatabaseId id,
                      Epoch epoch);

/// InvalidArgument for properties past their limits.
Status checkProperties(const Properties& properties);

}  // namespace skep::store
