// Audience: the connections of one actor, awake or asleep, and who of them wants which events.
//
// Belongs to the actor's loop. What is called for each must not change the audience.

#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include "skep/actor/connection.h"

namespace skep::actor {

class Audience {
 public:
  /// The actor's code sees it from now on.
  void admit(const ConnectionPtr& connection);
  /// Also of one that was never admitted.
  void remove(Connection& connection);
  void subscribe(Connection& connection, const std::string& event);
  void unsubscribe(Connection& connection, const std::string& event);

  /// In the order of their admission.
  std::vector<ConnectionPtr> admitted() const;
  std::size_t count() const { return connections_.size(); }

  template <class Function>
  void forSubscribers(const std::string& event, Function function) const {
    const auto found = subscribers_.find(event);
    if (found == subscribers_.end()) return;
    for (Connection* connection : found->second) function(*connection);
  }

 private:
  std::map<std::uint64_t, ConnectionPtr> connections_;
  std::unordered_map<std::string, std::vector<Connection*>> subscribers_;
  std::uint64_t lastNumber_ = 0;
};

}  // namespace skep::actor
