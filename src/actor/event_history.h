// EventHistory: events that are kept in the actor's database, so that a client may come back after a crash
// or a long time, and hear of each.
//
// An event is written in the transaction of the turn that sends it: what is kept and what was sent are
// the same (I3). Rows are numbered across streams, in the order in which events were sent; of each name the
// newest are kept, and what was dropped last is remembered.
//
// Called within turns. Belongs to its instance.

#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "skep/base/result.h"
#include "skep/call/connection.h"
#include "skep/sql/database.h"

namespace skep::actor {

class EventHistory {
 public:
  /// Keeps an event, and drops the oldest of its name beyond about `keep`.
  Status add(sql::Database& database, const call::Event& event, const std::string& except,
             std::size_t keep);

  /// What a client that has seen the events of `names` up to `seen`, through `connection`, has yet to get.
  /// Nullopt: some of it is not kept, or it is more than `bytesMax`. `current`: the stream that
  /// is being sent.
  Result<std::optional<std::vector<std::shared_ptr<const call::Event>>>> after(
      sql::Database& database, const call::EventPosition& seen, const std::string& current,
      const std::string& connection, const std::set<std::string>& names, std::size_t bytesMax);

 private:
  Status makeTables(sql::Database& database);
  Status trim(sql::Database& database, const std::string& name, std::size_t keep);

  bool hasTables_ = false;
  std::map<std::string, std::size_t> untilTrim_;  // by name: events
};

}  // namespace skep::actor
