// WritePlan: a batch of DatabaseWrites as the statements of one transaction.
//
// What a write needs of the database's head is checked inside the statements; everything that
// can be decided without the head is refused here, by the rules that all backends share
// (store/head_rules.h).

#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "skep/backend/postgres/request.h"
#include "skep/store/page_store.h"

namespace skep::backend::postgres {

struct WritePlan {
  std::vector<Status> statuses;      // one a write; of the planned ones: not decided yet
  std::vector<std::size_t> refused;  // indexes of writes that no head could make acceptable
  std::vector<std::size_t>
      planned;                // indexes of the writes that the statements carry, by database id
  std::vector<Call> calls;    // empty when nothing is planned
  std::size_t headCall = 0;   // index of the call that returns what was accepted
  std::size_t sizeBytes = 0;  // of records and chunks
  bool isLong = false;        // it may delete much: it starts with AllowLong
};

/// `longTimeLimit`: what a long transaction's statements may take each.
WritePlan planWrites(std::span<const store::DatabaseWrite> writes, Duration longTimeLimit);

}  // namespace skep::backend::postgres
