#include "skep/cluster/cluster_router.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "skep/base/check.h"
#include "skep/fiber/fiber.h"

namespace skep::cluster {

using call::ActorAddress;
using call::Failure;
using call::FailureCode;
using store::Incarnation;
using store::NodeInfo;

namespace {

/// The owner that an ActorElsewhere names; 0: it does not know.
Incarnation ownerIn(const Failure& failure) {
  Incarnation owner = 0;
  const std::string& text = failure.metadata;
  std::from_chars(text.data(), text.data() + text.size(), owner);
  return owner;
}

}  // namespace

/// One request's way to the owner of its actor. Of one fiber.
class ClusterRouter::Search {
 public:
  Search(ClusterRouter& router, const ActorAddress& actor, std::optional<Duration> timeout)
      : router_(router),
        actor_(actor),
        name_(actor.databaseName()),
        end_(router.clock_.monotonic() +
             std::min(timeout.value_or(router.options_.patience), router.options_.patience)),
        pause_(router.options_.pauseFirst) {}

  /// Whom to ask now; nothing: nobody hosts this type, as far as is known.
  std::optional<NodeInfo> target() {
    const NodeListPtr nodes = router_.member_.nodes();
    if (const auto believed = router_.locations_.find(name_)) {
      if (const NodeInfo* node = nodes->find(*believed)) return *node;
      if (nodes->hasEnded(*believed)) router_.locations_.forget(name_, *believed);
    }
    const NodeInfo* placed = router_.placement_.choose(*nodes, actor_.type, name_);
    return placed == nullptr ? std::nullopt : std::optional(*placed);
  }

  void hasAnswered(const NodeInfo& node) { router_.locations_.put(name_, node.incarnation); }

  /// Whether it makes sense to ask again, somebody else or later, after this failure of `asked`. Suspends.
  bool goesOn(const NodeInfo& asked, const Failure& failure) {
    if (failure.is(FailureCode::ActorElsewhere)) return follow(asked, ownerIn(failure));
    const bool isGone =
        failure.is(FailureCode::NodeUnreachable) || failure.is(FailureCode::ShuttingDown);
    if (!isGone) return false;
    router_.locations_.forget(name_, asked.incarnation);
    return pauseAndLook();
  }

  /// Suspends until it makes sense to look again; false when the time is up.
  bool pauseAndLook() {
    if (router_.clock_.monotonic() + pause_ >= end_) return false;
    router_.retried_.fetch_add(1, std::memory_order_relaxed);
    fiber::sleepFor(pause_);
    pause_ = std::min(pause_ * 2, router_.options_.pauseLongest);
    (void)router_.member_.refresh();
    return router_.clock_.monotonic() < end_;
  }

 private:
  /// Goes to the owner that was named; at first without a pause.
  bool follow(const NodeInfo& asked, Incarnation owner) {
    router_.corrected_.fetch_add(1, std::memory_order_relaxed);
    router_.locations_.forget(name_, asked.incarnation);
    if (owner == 0 || owner == asked.incarnation || ++follows_ > kFollowsMax) return pauseAndLook();
    NodeListPtr nodes = router_.member_.nodes();
    if (nodes->find(owner) == nullptr && !nodes->hasEnded(owner)) {
      (void)router_.member_.refresh();
      nodes = router_.member_.nodes();
    }
    // The claim that named it knew of no end: the next one will.
    if (nodes->find(owner) == nullptr) return pauseAndLook();
    router_.locations_.put(name_, owner);
    return true;
  }

  static constexpr int kFollowsMax = 4;

  ClusterRouter& router_;
  const ActorAddress& actor_;
  const std::string name_;
  const MonotonicTime end_;
  Duration pause_;
  int follows_ = 0;
};

ClusterRouter::ClusterRouter(Member& member, Peers& peers, const Placement& placement, Clock& clock,
                             RouterOptions options)
    : member_(member), peers_(peers), placement_(placement), clock_(clock), options_(options) {}

/// `ask` is called with the Router of each node that is asked, until one has answered.
template <class T, class Ask>
call::Outcome<T> ClusterRouter::route(const ActorAddress& actor, std::optional<Duration> timeout,
                                      Ask ask) {
  SKEP_CHECK(local_ != nullptr, "a ClusterRouter has a host");
  Search search(*this, actor, timeout);
  while (true) {
    const std::optional<NodeInfo> target = search.target();
    if (!target) {
      if (search.pauseAndLook()) continue;
      return Failure(FailureCode::UnknownType,
                     "no node that is live hosts actors of type '" + actor.type + "'");
    }
    const bool isHere = target->incarnation == member_.self();
    (isHere ? localCalls_ : forwarded_).fetch_add(1, std::memory_order_relaxed);
    call::Outcome<T> outcome = isHere ? ask(*local_) : ask(*peers_.routerTo(*target));
    const Failure* failure = std::get_if<Failure>(&outcome);
    if (failure == nullptr) {
      search.hasAnswered(*target);
      return outcome;
    }
    if (!search.goesOn(*target, *failure)) return outcome;
  }
}

call::Reply ClusterRouter::run(call::ActionRequest request) {
  return route<call::Payload>(request.actor, request.timeout,
                              [&](Router& router) { return router.run(request); });
}

call::Outcome<call::QueueSent> ClusterRouter::send(call::QueueSend message) {
  return route<call::QueueSent>(message.actor, message.waiting.timeout,
                                [&](Router& router) { return router.send(message); });
}

call::Outcome<bool> ClusterRouter::resolve(const ActorAddress& actor, call::Existence existence,
                                           std::optional<call::Payload> input,
                                           const call::Visit* visit, call::Waiting waiting) {
  return route<bool>(actor, waiting.timeout, [&](Router& router) {
    return router.resolve(actor, existence, input, visit, waiting);
  });
}

call::Outcome<std::monostate> ClusterRouter::destroy(const ActorAddress& actor) {
  return route<std::monostate>(actor, std::nullopt,
                               [&](Router& router) { return router.destroy(actor); });
}

call::Outcome<std::monostate> ClusterRouter::sleep(const ActorAddress& actor) {
  return route<std::monostate>(actor, std::nullopt,
                               [&](Router& router) { return router.sleep(actor); });
}

call::Outcome<call::ActorDetails> ClusterRouter::info(const ActorAddress& actor) {
  return route<call::ActorDetails>(actor, std::nullopt,
                                   [&](Router& router) { return router.info(actor); });
}

call::Outcome<call::ActorList> ClusterRouter::list(const std::string& type,
                                                   const std::string& after, std::size_t countMax) {
  return local_->list(type, after, countMax);
}

std::unique_ptr<call::ConnectionHandle> ClusterRouter::connect(
    call::ConnectRequest request, std::shared_ptr<call::ConnectionPeer> peer) {
  return local_->connect(std::move(request), std::move(peer));
}

std::unique_ptr<call::HttpHandle> ClusterRouter::request(call::HttpRequest request,
                                                         std::shared_ptr<call::HttpPeer> peer) {
  return local_->request(std::move(request), std::move(peer));
}

std::unique_ptr<call::WebSocketHandle> ClusterRouter::openSocket(
    call::HttpRequest request, std::shared_ptr<call::WebSocketPeer> peer) {
  return local_->openSocket(std::move(request), std::move(peer));
}

bool ClusterRouter::belongsHere(const ActorAddress& actor) const {
  const NodeListPtr nodes = member_.nodes();
  const NodeInfo* placed = placement_.choose(*nodes, actor.type, actor.databaseName());
  return placed != nullptr && placed->incarnation == member_.self();
}

RouterStats ClusterRouter::stats() const {
  return {
      .local = localCalls_, .forwarded = forwarded_, .corrected = corrected_, .retried = retried_};
}

}  // namespace skep::cluster
