// PostgresMembership: the nodes that share a PostgresStore, in its tables `node` and `membership`
// (docs/formats/postgres.md).
//
// Its statements go over a connection of their own, so that renewals wait neither behind commits nor
// behind reads. A renewal that is not answered within a second costs that connection, and the next one
// finds a new one.
//
// Threading: any fiber or thread; suspends. Lifetime: the pool outlives it.

#pragma once

#include <string>
#include <vector>

#include "skep/backend/postgres/connection_pool.h"
#include "skep/store/membership.h"

namespace skep::backend::postgres {

class PostgresMembership final : public store::Membership {
 public:
  explicit PostgresMembership(ConnectionPool& pool) : pool_(pool) {}

  Result<store::Incarnation> join(const store::NodeFacts& facts, Duration lease,
                                  std::uint64_t nonce) override;
  Result<store::Renewal> renew(const store::RenewRequest& request) override;
  Result<bool> declareDead(store::Incarnation incarnation, std::uint64_t beat) override;
  Status advance(store::Incarnation incarnation, store::NodeState state) override;
  Result<std::vector<store::NodeInfo>> nodes() override;

 private:
  Result<PgResult> ask(std::vector<Call> calls, IfLost ifLost, const char* what);

  ConnectionPool& pool_;
};

}  // namespace skep::backend::postgres
