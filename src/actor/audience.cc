#include "skep/actor/audience.h"

#include <algorithm>

namespace skep::actor {

void Audience::admit(const ConnectionPtr& connection) {
  connection->isAdmitted_ = true;
  connection->number_ = ++lastNumber_;
  connections_.emplace(connection->number_, connection);
}

void Audience::remove(Connection& connection) {
  while (!connection.subscriptions_.empty()) {
    const std::string event = *connection.subscriptions_.begin();
    unsubscribe(connection, event);
  }
  if (!connection.isAdmitted_) return;
  connection.isAdmitted_ = false;
  connections_.erase(connection.number_);
}

void Audience::subscribe(Connection& connection, const std::string& event) {
  if (connection.subscriptions_.insert(event).second) subscribers_[event].push_back(&connection);
}

void Audience::unsubscribe(Connection& connection, const std::string& event) {
  if (connection.subscriptions_.erase(event) == 0) return;
  const auto found = subscribers_.find(event);
  std::vector<Connection*>& subscribers = found->second;
  *std::find(subscribers.begin(), subscribers.end(), &connection) = subscribers.back();
  subscribers.pop_back();
  if (subscribers.empty()) subscribers_.erase(found);
}

std::vector<ConnectionPtr> Audience::admitted() const {
  std::vector<ConnectionPtr> all;
  all.reserve(connections_.size());
  for (const auto& [number, connection] : connections_) all.push_back(connection);
  return all;
}

}  // namespace skep::actor
