// Host: runs the actors of a process. The Router behind a gateway, or behind a test.
//
// An actor belongs to one of the host's loops, chosen by its address; a request that arrives on
// another loop is handed over. The first request wakes the actor (others wait with it); one that was
// idle for its type's sleepAfter goes to sleep.
//
// Threading: make it, start() and close() on one thread or fiber; the Router's methods from any fiber.
// Lifetime: the loops, the store and the registry outlive it.
//
//   Host host(registry, {&environment});
//   host.start();
//   Reply reply = host.run({.actor = address, .action = "increment"});
//   host.close();

#pragma once

#include <memory>
#include <string>
#include <vector>

#include "skep/actor/actor_type.h"
#include "skep/actor/alarm_watch.h"
#include "skep/base/latency_histogram.h"
#include "skep/call/router.h"
#include "skep/vfs/environment.h"

namespace skep::actor {

class HostLoop;

struct HostStats {
  std::size_t actorsAwake = 0;
  std::uint64_t wakes = 0;
  std::uint64_t creations = 0;
  std::uint64_t actions = 0;
  std::uint64_t actionsFailed = 0;
  std::uint64_t broken = 0;  // actors that ended because a commit failed
  LatencyCounts actionTime;
  LatencyCounts wakeTime;
};

class Host final : public call::Router {
 public:
  /// One environment for each loop that shall run actors. `outward` is what actors call others through,
  /// and outlives the host; null: this host has all of them.
  Host(const Registry& registry, std::vector<vfs::Environment*> environments,
       AlarmWatchOptions alarms = {}, call::Router* outward = nullptr);
  ~Host() override;
  Host(const Host&) = delete;
  Host& operator=(const Host&) = delete;

  /// From now on, actors whose timers or messages are due are woken.
  void start();

  call::Reply run(call::ActionRequest request) override;
  call::Outcome<call::QueueSent> send(call::QueueSend message) override;
  call::Outcome<bool> resolve(const call::ActorAddress& actor, call::Existence existence,
                              std::optional<call::Payload> input,
                              const call::Visit* visit = nullptr,
                              call::Waiting waiting = {}) override;
  call::Outcome<std::monostate> destroy(const call::ActorAddress& actor) override;
  call::Outcome<std::monostate> sleep(const call::ActorAddress& actor) override;
  call::Outcome<call::ActorDetails> info(const call::ActorAddress& actor) override;
  call::Outcome<call::ActorList> list(const std::string& type, const std::string& after,
                                      std::size_t countMax) override;
  std::unique_ptr<call::ConnectionHandle> connect(
      call::ConnectRequest request, std::shared_ptr<call::ConnectionPeer> peer) override;
  std::unique_ptr<call::HttpHandle> request(call::HttpRequest request,
                                            std::shared_ptr<call::HttpPeer> peer) override;
  std::unique_ptr<call::WebSocketHandle> openSocket(
      call::HttpRequest request, std::shared_ptr<call::WebSocketPeer> peer) override;

  /// Whether the actor is in memory. On its loop's thread.
  bool isAwake(const call::ActorAddress& actor);
  HostStats stats() const;

  /// Before close(): calls that are under way then are told to stop after `patience`, and new ones refused,
  /// with ShuttingDown if nothing of them has happened. Suspends.
  void stopCallsAfter(Duration patience);
  /// Refuses new calls, waits for those under way and puts every actor to sleep. Suspends.
  void close();

 private:
  HostLoop& loopOf(const call::ActorAddress& actor);

  const Registry& registry_;
  std::shared_ptr<AlarmWatch> alarms_;  // shared: see there
  std::vector<std::unique_ptr<HostLoop>> loops_;
};

}  // namespace skep::actor
