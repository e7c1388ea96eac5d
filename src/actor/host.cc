#include "skep/actor/host.h"

#include <functional>
#include <utility>

#include "skep/actor/host_loop.h"
#include "skep/base/check.h"
#include "skep/fiber/loop.h"
#include "skep/fiber/sync.h"

namespace skep::actor {
namespace {

/// Runs `body` on a fiber of `loop` and waits for what it gives; at once when we are there already.
template <class Body>
auto onLoop(fiber::Loop& loop, Body body) -> decltype(body()) {
  if (fiber::currentLoop() == &loop && fiber::onFiber()) return body();
  fiber::OneShot<decltype(body())> done;
  loop.spawn("request", [&] { done.set(body()); });
  return done.wait();
}

/// The same for what may be refused, when the process has no stack left for it.
template <class Body>
auto tryOnLoop(fiber::Loop& loop, Body body) -> decltype(body()) {
  if (fiber::currentLoop() == &loop && fiber::onFiber()) return body();
  fiber::OneShot<decltype(body())> done;
  const auto ask = [&] { done.set(body()); };
  if (!loop.trySpawn("request", ask, fiber::Priority::Inside)) {
    return call::Failure(call::FailureCode::ActorOverloaded,
                         "too many calls are under way on this node");
  }
  return done.wait();
}

}  // namespace

Host::Host(const Registry& registry, std::vector<vfs::Environment*> environments,
           AlarmWatchOptions alarms, call::Router* outward)
    : registry_(registry) {
  SKEP_CHECK(!environments.empty(), "a host has a loop");
  alarms_ = std::make_shared<AlarmWatch>(
      environments.front()->loop, environments.front()->store,
      [this, outward](const call::ActorAddress& actor) {
        HostLoop& loop = loopOf(actor);
        const AlarmWatch::Woken woken = onLoop(loop.loop(), [&] { return loop.wake(actor); });
        if (woken != AlarmWatch::Woken::Elsewhere || outward == nullptr) return woken;
        const auto found = outward->resolve(actor, call::Existence::Get, std::nullopt);
        return std::holds_alternative<bool>(found) ? AlarmWatch::Woken::Now : woken;
      },
      alarms);
  for (vfs::Environment* environment : environments) {
    call::Router& router = outward != nullptr ? *outward : *this;
    loops_.push_back(std::make_unique<HostLoop>(router, registry_, *environment, *alarms_));
  }
}

Host::~Host() = default;

HostLoop& Host::loopOf(const call::ActorAddress& actor) {
  if (loops_.size() == 1) return *loops_.front();
  return *loops_[std::hash<std::string>{}(actor.databaseName()) % loops_.size()];
}

void Host::start() {
  onLoop(loops_.front()->loop(), [this] {
    alarms_->start();
    return true;
  });
}

call::Reply Host::run(call::ActionRequest request) {
  HostLoop& loop = loopOf(request.actor);
  return tryOnLoop(loop.loop(), [&] { return loop.run(request); });
}

call::Outcome<call::QueueSent> Host::send(call::QueueSend message) {
  HostLoop& loop = loopOf(message.actor);
  return tryOnLoop(loop.loop(), [&] { return loop.send(message); });
}

call::Outcome<bool> Host::resolve(const call::ActorAddress& actor, call::Existence existence,
                                  std::optional<call::Payload> input, const call::Visit* visit,
                                  call::Waiting waiting) {
  HostLoop& loop = loopOf(actor);
  return tryOnLoop(loop.loop(),
                   [&] { return loop.resolve(actor, existence, input, visit, waiting); });
}

call::Outcome<std::monostate> Host::destroy(const call::ActorAddress& actor) {
  HostLoop& loop = loopOf(actor);
  return tryOnLoop(loop.loop(), [&] { return loop.destroy(actor); });
}

call::Outcome<call::ActorList> Host::list(const std::string& type, const std::string& after,
                                          std::size_t countMax) {
  const std::string prefix = type.empty() ? std::string() : type + "/";
  auto listed = loops_.front()->store().list(prefix, after, countMax);
  if (!listed) return call::failureOf(listed.error(), "the store");
  call::ActorList list;
  list.next = listed->next;
  for (const store::DatabaseInfo& info : listed->databases) {
    Result<call::ActorAddress> address = call::ActorAddress::ofDatabase(info.name);
    if (!address || info.head.txid == 0) continue;
    HostLoop& loop = loopOf(*address);
    const bool isAwake = onLoop(loop.loop(), [&] { return loop.isAwake(info.name); });
    list.actors.push_back({.actor = std::move(*address),
                           .createdMs = info.createdMs,
                           .bytes = std::uint64_t{info.head.pageCount} * store::kPageBytes,
                           .isAwake = isAwake});
  }
  return list;
}

std::unique_ptr<call::ConnectionHandle> Host::connect(call::ConnectRequest request,
                                                      std::shared_ptr<call::ConnectionPeer> peer) {
  ConnectionTable& connections = loopOf(request.actor).connections();
  return connections.connect(std::move(request), std::move(peer));
}

std::unique_ptr<call::HttpHandle> Host::request(call::HttpRequest request,
                                                std::shared_ptr<call::HttpPeer> peer) {
  HttpExchanges& exchanges = loopOf(request.actor).exchanges();
  return exchanges.start(std::move(request), std::move(peer));
}

std::unique_ptr<call::WebSocketHandle> Host::openSocket(call::HttpRequest request,
                                                        std::shared_ptr<call::WebSocketPeer> peer) {
  SocketExchanges& sockets = loopOf(request.actor).sockets();
  return sockets.start(std::move(request), std::move(peer));
}

call::Outcome<std::monostate> Host::sleep(const call::ActorAddress& actor) {
  HostLoop& loop = loopOf(actor);
  return tryOnLoop(loop.loop(), [&] { return loop.sleep(actor); });
}

call::Outcome<call::ActorDetails> Host::info(const call::ActorAddress& actor) {
  HostLoop& loop = loopOf(actor);
  return tryOnLoop(loop.loop(), [&] { return loop.info(actor); });
}

bool Host::isAwake(const call::ActorAddress& actor) {
  return loopOf(actor).isAwake(actor.databaseName());
}

HostStats Host::stats() const {
  HostStats stats;
  for (const auto& loop : loops_) loop->addTo(stats);
  return stats;
}

void Host::stopCallsAfter(Duration patience) {
  for (const auto& loop : loops_) {
    onLoop(loop->loop(), [&] {
      loop->stopCallsAfter(patience);
      return true;
    });
  }
}

void Host::close() {
  onLoop(loops_.front()->loop(), [this] {
    alarms_->close();
    return true;
  });
  for (const auto& loop : loops_) {
    onLoop(loop->loop(), [&] {
      loop->close();
      return true;
    });
  }
}

}  // namespace skep::actor
