// Router: the upper waist of Skep. Whoever has a request for an actor hands it to a Router; behind
// it stands the host of this process, or later the way to the node that owns the actor.
//
// Arguments and replies cross it as they came, encoded, so that a request is decoded once, by the
// code that it is for. Threading: any fiber of any loop. Each call suspends. What comes back may
// leave the process: everything that it could have seen is durable (I1).
//
//   Reply reply = router.run({.actor = address, .action = "increment",
//                             .arguments = {Encoding::Json, "[5]"}});

#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "skep/base/clock.h"
#include "skep/call/address.h"
#include "skep/call/connection.h"
#include "skep/call/failure.h"
#include "skep/call/http.h"
#include "skep/call/message.h"
#include "skep/call/visit.h"
#include "skep/call/web_socket.h"

namespace skep::call {

/// Of a request that an actor makes: who waits for it, and for how long.
struct Waiting {
  std::vector<std::string> callers = {};  // databases of the actors that wait, outermost first
  std::optional<Duration> timeout = std::nullopt;  // the actor type's own when absent
};

struct ActionRequest {
  ActorAddress actor;
  Existence existence = Existence::GetOrCreate;
  std::optional<Payload> input;  // for an actor that is created by this
  std::string action;
  Payload arguments;  // an array
  Encoding replyEncoding = Encoding::Json;
  std::optional<Duration> timeout;   // the actor type's own when absent, and never more than that
  std::vector<std::string> callers;  // databases of the actors that wait for this, outermost first
  /// There when a client from outside asks, which must pass the actor's gate (onBeforeConnect).
  std::optional<Visit> visit;
};

/// A message for one of an actor's queues.
struct QueueSend {
  ActorAddress actor;
  Existence existence = Existence::GetOrCreate;
  std::optional<Payload> input;  // for an actor that is created by this
  std::string queue;
  Payload body;
  Duration delay{};  // handled that much later at the earliest
  /// Wait so long for what the handler replies; absent: not at all. When it runs out: ReplyTimedOut, and
  /// the message stays in its queue.
  std::optional<Duration> replyTimeout;
  Encoding replyEncoding = Encoding::Json;
  std::optional<Visit> visit = std::nullopt;  // as in ActionRequest
  Waiting waiting = {};
};

struct QueueSent {
  std::int64_t id = 0;
  std::optional<Payload> reply;  // when it was waited for
};

struct ActorInfo {
  ActorAddress actor;
  std::int64_t createdMs = 0;
  std::uint64_t bytes = 0;
  bool isAwake = false;  // on this node
};

struct LastError {
  std::string message;  // for who runs the server: not masked
  std::int64_t timeMs = 0;
};

/// What is known of an actor without waking it.
struct ActorDetails {
  ActorInfo info;
  std::uint64_t storedBytes = 0;  // that it takes in the store, with all versions that are kept
  std::uint64_t txid = 0;         // of its newest commit
  std::optional<std::int64_t> alarmMs;  // when its next timer or message is due
  std::size_t connections = 0;          // on this node, as the next
  std::size_t callsUnderWay = 0;
  std::size_t memoryBytes = 0;         // of SQLite, for its database
  std::optional<LastError> lastError;  // since this node runs, unless many others had errors since
};

struct ActorList {
  std::vector<ActorInfo> actors;
  std::string next;  // pass as `after`; empty at the end
};

class Router {
 public:
  virtual ~Router() = default;
  virtual Reply run(ActionRequest request) = 0;
  /// Puts a message into a queue: durable before it returns.
  virtual Outcome<QueueSent> send(QueueSend message) = 0;
  /// Sees to it that the actor exists: its first commit is durable. True when this call made it.
  /// `visit`: there when a client from outside asks; null otherwise.
  virtual Outcome<bool> resolve(const ActorAddress& actor, Existence existence,
                                std::optional<Payload> input, const Visit* visit = nullptr,
                                Waiting waiting = {}) = 0;
  /// Ends what the actor does and removes everything of it: durably, when this returns. Calls under way
  /// fail.
  virtual Outcome<std::monostate> destroy(const ActorAddress& actor) = 0;
  /// Puts the actor to sleep once its calls have ended, if it is awake here. New calls are served
  /// meanwhile; ActionTimedOut when they do not end within the type's actionTimeout.
  virtual Outcome<std::monostate> sleep(const ActorAddress& actor) = 0;
  virtual Outcome<ActorDetails> info(const ActorAddress& actor) = 0;
  /// Actors of `type` (empty: of all types) by key; at most `countMax`.
  virtual Outcome<ActorList> list(const std::string& type, const std::string& after,
                                  std::size_t countMax) = 0;
  /// Opens a connection: `peer` hears how it goes. Does not suspend. Shared: the peer is the actor's
  /// end's until closed(), or until close() has arrived there.
  virtual std::unique_ptr<ConnectionHandle> connect(ConnectRequest request,
                                                    std::shared_ptr<ConnectionPeer> peer) = 0;
  /// Has the actor's own code answer: `peer` hears what. Does not suspend. Shared: the peer is the
  /// actor's end's until nothing follows any more, or until close() has arrived there.
  virtual std::unique_ptr<HttpHandle> request(HttpRequest request,
                                              std::shared_ptr<HttpPeer> peer) = 0;
  /// Has the actor's own code talk over a WebSocket. `request` is the one that opens it. As request().
  virtual std::unique_ptr<WebSocketHandle> openSocket(HttpRequest request,
                                                      std::shared_ptr<WebSocketPeer> peer) = 0;
};

}  // namespace skep::call
