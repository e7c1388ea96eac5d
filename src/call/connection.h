// Connections: a client that stays, calls an actor again and again, and hears of its events.
//
// A connection has two ends, which talk in messages only, so that they may live on different loops,
// and later on different nodes: the client's (a socket of the gateway, a test), which implements
// ConnectionPeer, and the actor's, which it reaches through the ConnectionHandle that
// Router::connect() gives.
//
//   client's end                                 actor's end
//   Router::connect(request, peer)      ──►      the hooks run
//                                       ◄──      connected(), or closed()
//   call(), subscribe(), unsubscribe()  ──►      in order; calls interleave as the actor's others do
//                                       ◄──      replied(), event(), missed(), refused()
//   close()                             ──►
//                                       ◄──      closed(), unless close() was first; nothing follows
//
// Neither side waits for the other. Bounds: the client's end has only so many calls under way, and
// reads no more from its client meanwhile; and it ends a connection whose client does not take what
// it is sent. What arrives at the client's end may leave the process: it is durable (I1).

#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "skep/base/function_ref.h"
#include "skep/call/address.h"
#include "skep/call/failure.h"
#include "skep/call/message.h"
#include "skep/call/visit.h"

namespace skep::call {

/// A place in the sequence of an actor's events. `stream` names the sequence: a new one begins when the
/// old one's end is not known, after a crash.
struct EventPosition {
  std::string stream;
  std::uint64_t sequence = 0;
};

/// One event. Immutable, and shared by all connections that it goes to, which may be on other threads.
class Event {
 public:
  /// `value` is CBOR. A position without a stream: sent to some connections only, not part of the
  /// sequence.
  Event(std::string name, std::string value, EventPosition position)
      : name_(std::move(name)), value_(std::move(value)), position_(std::move(position)) {}

  const std::string& name() const { return name_; }
  const std::string& value() const { return value_; }
  const EventPosition& position() const { return position_; }
  bool isInStream() const { return !position_.stream.empty(); }

  using Frame = std::shared_ptr<const std::string>;
  /// What the client's end sends for this event, made by `make` for the first client with that encoding,
  /// and the same for all the others. Any thread.
  Frame frame(Encoding encoding, FunctionRef<std::string(const Event&)> make) const {
    const std::lock_guard lock(mutex_);
    Frame& place = frames_[static_cast<std::size_t>(encoding)];
    if (place == nullptr) place = std::make_shared<const std::string>(make(*this));
    return place;
  }

 private:
  const std::string name_;
  const std::string value_;
  const EventPosition position_;
  mutable std::mutex mutex_;
  mutable std::array<Frame, 2> frames_;
};

struct ConnectRequest {
  ActorAddress actor;
  Existence existence = Existence::GetOrCreate;
  std::optional<Payload> input;  // for an actor that is created by this
  Payload parameters;            // any value; no bytes: null
  Headers headers;               // names in lower case
  Claims claims;
  std::vector<std::string> subscriptions;
  /// What the client has seen of the subscribed events, to go on behind it.
  std::optional<EventPosition> resume;
  std::string resumedConnection;  // the id of the connection that saw it
};

struct Connected {
  std::string id;
  EventPosition position;  // behind which the connection's events begin
};

struct ConnectionCall {
  std::uint64_t id = 0;  // the client's own; replied() repeats it
  std::string action;
  Payload arguments;  // an array
  Encoding replyEncoding = Encoding::Json;
};

/// Why a connection ended.
struct Closed {
  Failure failure;
  bool mayRetry = false;  // the same client may come back, and will be served if all goes well
};

/// The client's end. Called on the actor's loop, in the order in which things happened there; does not
/// suspend, and does not call the handle from within.
class ConnectionPeer {
 public:
  virtual ~ConnectionPeer() = default;
  virtual void connected(const Connected& connected) = 0;
  virtual void replied(std::uint64_t id, Reply reply) = 0;
  virtual void event(const std::shared_ptr<const Event>& event) = 0;
  /// Events between what the client had seen and `now` are not there any more.
  virtual void missed(const EventPosition& now) = 0;
  /// Something that needs no reply could not be done: a subscription.
  virtual void refused(const Failure& failure) = 0;
  virtual void closed(const Closed& why) = 0;
};

/// The way to the actor's end. Calls arrive there in order. One thread at a time; does not suspend. Goes
/// away before the Router is closed; that alone does not close the connection.
class ConnectionHandle {
 public:
  virtual ~ConnectionHandle() = default;
  /// Also before connected(): it is run when the hooks have let the client in.
  virtual void call(ConnectionCall call) = 0;
  virtual void subscribe(std::vector<std::string> events) = 0;
  virtual void unsubscribe(std::vector<std::string> events) = 0;
  /// The client is gone, or shall be. What it called goes on; the peer hears no more of it.
  virtual void close() = 0;
};

}  // namespace skep::call
