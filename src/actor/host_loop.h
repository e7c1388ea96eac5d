// HostLoop: the awake actors of one loop. The inside of Host.
//
// Threading: belongs to its loop, but for stats().

#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <type_traits>
#include <unordered_map>

#include "skep/actor/actor_instance.h"
#include "skep/actor/alarm_watch.h"
#include "skep/actor/connection_table.h"
#include "skep/actor/host.h"
#include "skep/actor/last_errors.h"
#include "skep/fiber/sync.h"
#include "skep/fiber/timer.h"

namespace skep::actor {

class HostLoop final : public ActorInstance::Owner, public ConnectionTable::Host {
 public:
  HostLoop(call::Router& router, const Registry& registry, vfs::Environment& environment,
           AlarmWatch& alarms);

  call::Reply run(const call::ActionRequest& request, const ConnectionPtr& from = nullptr) override;
  call::Outcome<call::QueueSent> send(const call::QueueSend& message);
  /// For its alarm.
  AlarmWatch::Woken wake(const call::ActorAddress& actor);
  ConnectionTable& connections() { return connections_; }
  HttpExchanges& exchanges() { return exchanges_; }
  SocketExchanges& sockets() { return sockets_; }
  call::Outcome<bool> resolve(const call::ActorAddress& actor, call::Existence existence,
                              const std::optional<call::Payload>& input, const call::Visit* visit,
                              const call::Waiting& waiting);
  call::Outcome<std::monostate> destroy(const call::ActorAddress& actor);
  call::Outcome<std::monostate> sleep(const call::ActorAddress& actor);
  call::Outcome<call::ActorDetails> info(const call::ActorAddress& actor);
  bool isAwake(const std::string& databaseName) const { return instances_.contains(databaseName); }
  void stopCallsAfter(Duration patience);
  void close();
  void addTo(HostStats& stats) const;

  fiber::Loop& loop() { return environment_.loop; }
  store::PageStore& store() { return environment_.store; }

 private:
  // Shared: see ActorInstance.
  using InstancePtr = std::shared_ptr<ActorInstance>;

  call::Router& router() override { return router_; }
  void stopRequested(ActorInstance& instance) override;
  Audience* audience(const std::string& databaseName) override {
    return connections_.find(databaseName);
  }
  void admit(const ConnectionPtr& connection) override { connections_.admit(connection); }
  void endConnection(const ConnectionPtr& connection, const call::Closed& why) override {
    connections_.end(connection, why);
  }
  std::optional<call::Failure> letIn(const ConnectionPtr& connection,
                                     const call::ConnectRequest& request) override;
  std::optional<call::Failure> maySubscribe(const ConnectionPtr& connection,
                                            const std::string& event) override;
  void disconnected(const ConnectionPtr& connection) override;
  std::optional<call::Failure> answer(const call::HttpRequest& request,
                                      const HttpExchangePtr& exchange);
  std::optional<call::Failure> talk(const call::HttpRequest& request,
                                    const SocketExchangePtr& exchange);
  const ActorType* typeOf(const call::ActorAddress& actor) const override {
    return registry_.find(actor.type);
  }
  void noteError(const call::ActorAddress& actor, std::string_view message) override;
  void endConnections(const ActorInstance& instance);

  /// The awake instance, woken if need be. Suspends.
  call::Outcome<InstancePtr> acquire(const call::ActorAddress& actor, call::Existence existence,
                                     const std::optional<call::Payload>& input,
                                     const call::Waiting& waiting, bool* created);
  template <class Body>
  auto withActor(const call::ActorAddress& actor, call::Existence existence,
                 const std::optional<call::Payload>& input, const call::Waiting& waiting, Body body,
                 bool* created = nullptr) -> std::invoke_result_t<Body, ActorInstance&>;
  call::Outcome<InstancePtr> start(const ActorType& type, const call::ActorAddress& actor,
                                   call::Existence existence,
                                   const std::optional<call::Payload>& input,
                                   const call::Waiting& waiting, bool* created);
  /// Why a request of actors that wait would wait for itself, if it would.
  std::optional<call::Failure> refuseCycle(const call::ActorAddress& actor,
                                           const call::Waiting& waiting) const;
  void cutOff();
  void stop(const InstancePtr& instance);
  void noteFailedWake(const call::ActorAddress& actor, const call::Failure& failure);
  void watchIdle();
  void sleepIdle();
  void makeLean(std::vector<InstancePtr> unused);

  call::Router& router_;
  const Registry& registry_;
  vfs::Environment& environment_;
  AlarmWatch& alarms_;
  std::unordered_map<std::string, InstancePtr> instances_;
  CallFibers fibers_;
  ConnectionTable connections_;
  LastErrors errors_;
  HttpExchanges exchanges_;
  SocketExchanges sockets_;
  fiber::Gate calls_;
  fiber::Gate stops_;
  fiber::Timer idleTimer_;
  fiber::Timer patience_;  // then calls are told to stop
  bool isCutOff_ = false;
  std::atomic<std::size_t> awake_{0};
  std::atomic<std::uint64_t> wakes_{0};
  std::atomic<std::uint64_t> creations_{0};
  std::atomic<std::uint64_t> actions_{0};
  std::atomic<std::uint64_t> actionsFailed_{0};
  std::atomic<std::uint64_t> broken_{0};
  LatencyHistogram actionTime_;
  LatencyHistogram wakeTime_;
};

}  // namespace skep::actor
