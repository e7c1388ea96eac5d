// Connection: the actor's end of one client's connection (call/connection.h).
//
//   Connecting ──(hooks have let it in)──► Open ──► Closed
//
// It belongs to the host, not to the awake actor: it outlives sleep. What the actor keeps for it (state,
// tags) is memory that follows the turns of the actor: put back when a turn is rolled back, gone
// with the process.
//
// Belongs to the actor's loop. Shared: by its Audience, by the calls that it made and by what waits to
// be sent to it.

#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "skep/call/connection.h"

namespace skep::actor {

class Audience;

class Connection {
 public:
  enum class Phase : std::uint8_t { Connecting, Open, Closed };

  Connection(std::string id, call::ActorAddress actor, call::Payload parameters,
             call::Claims claims, std::shared_ptr<call::ConnectionPeer> peer)
      : id_(std::move(id)),
        actor_(std::move(actor)),
        parameters_(std::move(parameters)),
        claims_(std::move(claims)),
        peer_(std::move(peer)) {}
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  const std::string& id() const { return id_; }
  const call::ActorAddress& actor() const { return actor_; }
  const call::Payload& parameters() const { return parameters_; }
  /// As they were when the client connected.
  const call::Claims& claims() const { return claims_; }
  Phase phase() const { return phase_; }

  /// What the actor's code keeps for it: one encoded value, and names to find it by.
  const std::string& state() const { return state_; }
  void setState(std::string state) { state_ = std::move(state); }
  const std::set<std::string>& tags() const { return tags_; }
  void setTags(std::set<std::string> tags) { tags_ = std::move(tags); }

  /// Whether the actor is being asked for a subscription: messages behind that wait.
  bool isAsking() const { return isAsking_; }
  /// Its client has asked for all events, whatever they are: no error that it may not hear some.
  bool wantsAll() const { return wantsAll_; }

  /// Tells the client's end; nobody hears what is said to a closed connection.
  template <class Say>
  void tell(Say say) {
    if (peer_ != nullptr) say(*peer_);
  }

 private:
  friend class Audience;
  friend class ConnectionTable;

  const std::string id_;
  const call::ActorAddress actor_;
  const call::Payload parameters_;
  const call::Claims claims_;
  std::shared_ptr<call::ConnectionPeer> peer_;  // null once Closed
  Phase phase_ = Phase::Connecting;
  bool wantsAll_ = false;
  bool isAsking_ = false;
  bool isAdmitted_ = false;   // the actor's code sees it
  std::uint64_t number_ = 0;  // among those that the actor's code sees
  std::string state_;
  std::set<std::string> tags_;
  std::set<std::string> subscriptions_;
  std::deque<std::function<void()>> waiting_;  // messages of one that is not Open yet, or asks
};

using ConnectionPtr = std::shared_ptr<Connection>;

}  // namespace skep::actor
