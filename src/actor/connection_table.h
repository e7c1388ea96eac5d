// ConnectionTable: the connections of all actors of one loop, whether those are awake or not.
//
// It takes what clients send, in order, and has the host run it; so a message wakes the actor, and what
// arrives while the actor falls asleep or wakes waits for it like any call. Sockets of sleeping
// actors cost what stands in Connection, and nothing else.
//
// Belongs to its loop, but for connect().

#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "skep/actor/audience.h"
#include "skep/actor/call_fibers.h"
#include "skep/actor/connection.h"
#include "skep/call/router.h"
#include "skep/fiber/loop.h"

namespace skep::actor {

struct ActorType;

/// Why a connection that has `subscriptions` can not subscribe to `event` too, if it can not.
std::optional<call::Failure> refuseSubscription(const ActorType& type, const std::string& event,
                                                std::size_t subscriptions);

/// With the names of all events of the type in the place of "*".
std::vector<std::string> expandSubscriptions(const ActorType& type,
                                             std::vector<std::string> events);

class ConnectionTable {
 public:
  /// What it needs of the host's loop. Each call of these suspends, on a fiber of its own.
  class Host {
   public:
    virtual call::Reply run(const call::ActionRequest& request, const ConnectionPtr& from) = 0;
    /// Runs the hooks that let a client in; what they refused.
    virtual std::optional<call::Failure> letIn(const ConnectionPtr& connection,
                                               const call::ConnectRequest& request) = 0;
    /// Asks the actor whether the connection may hear an event that is guarded; what it refused.
    virtual std::optional<call::Failure> maySubscribe(const ConnectionPtr& connection,
                                                      const std::string& event) = 0;
    /// Tells the actor that an open connection has ended.
    virtual void disconnected(const ConnectionPtr& connection) = 0;
    /// Null: there is no such type.
    virtual const ActorType* typeOf(const call::ActorAddress& actor) const = 0;

   protected:
    ~Host() = default;
  };

  ConnectionTable(CallFibers& fibers, Host& host)
      : loop_(fibers.loop()), fibers_(fibers), host_(host) {}
  ConnectionTable(const ConnectionTable&) = delete;
  ConnectionTable& operator=(const ConnectionTable&) = delete;

  /// Any thread. Does not suspend.
  std::unique_ptr<call::ConnectionHandle> connect(call::ConnectRequest request,
                                                  std::shared_ptr<call::ConnectionPeer> peer);

  /// Null when the actor has no connections.
  Audience* find(const std::string& databaseName);
  /// The actor's code sees the connection from now on.
  void admit(const ConnectionPtr& connection);
  /// The actor's end closes the connection.
  void end(const ConnectionPtr& connection, const call::Closed& why);
  /// The same for all of an actor's.
  void endAll(const call::ActorAddress& actor, const call::Closed& why);

  /// Ends every connection. Does not suspend: what they had begun goes on, on the host's fibers.
  void close();

 private:
  class Handle;

  void open(const ConnectionPtr& connection, call::ConnectRequest request);
  void opened(const ConnectionPtr& connection);
  void call(const ConnectionPtr& connection, call::ConnectionCall message);
  void subscribe(const ConnectionPtr& connection, const std::vector<std::string>& events);
  void startSubscribing(const ConnectionPtr& connection, const std::vector<std::string>& named);
  void subscribeTo(const ConnectionPtr& connection, const std::string& event);
  void unsubscribe(const ConnectionPtr& connection, const std::vector<std::string>& events);
  /// The client's end has closed it.
  void closed(const ConnectionPtr& connection);

  /// What has waited for the connection, until one of them makes it wait again.
  void runWaiting(const ConnectionPtr& connection);
  /// Runs `message` when the connection is open, and does not ask the actor; false when too many wait for that.
  bool whenOpen(const ConnectionPtr& connection, std::function<void()> message);
  void startCall(const ConnectionPtr& connection, call::ConnectionCall message);
  bool leave(const ConnectionPtr& connection);
  void tellActor(const ConnectionPtr& connection);

  fiber::Loop& loop_;
  CallFibers& fibers_;
  Host& host_;
  std::unordered_map<std::string, Audience> audiences_;  // by the name of the actor's database
  // By the name of the database: closed, and the actor has yet to be told.
  std::unordered_map<std::string, std::deque<ConnectionPtr>> leaving_;
};

}  // namespace skep::actor
