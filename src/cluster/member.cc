#include "skep/cluster/member.h"

#include <algorithm>
#include <utility>

#include "skep/base/check.h"
#include "skep/base/log.h"

namespace skep::cluster {

using store::Incarnation;
using store::NodeInfo;
using store::NodeState;

namespace {

constexpr Duration kWatchAgain = std::chrono::milliseconds(100);

Error closingError() {
  return Error{ErrorCode::Aborted, "this node is closing"};
}

bool mayPass(ErrorCode code) {
  return code == ErrorCode::Unavailable || code == ErrorCode::UnknownOutcome ||
         code == ErrorCode::Overloaded;
}

}  // namespace

Member::Member(fiber::Loop& loop, store::Membership& membership, NodeLease& lease,
               store::NodeFacts facts, MemberOptions options)
    : loop_(loop),
      membership_(membership),
      lease_(lease),
      facts_(std::move(facts)),
      options_(std::move(options)),
      random_(options_.seed != 0 ? options_.seed : std::random_device{}()),
      watch_(options_.lease, options_.renewEvery * 2),
      tickTimer_(loop),
      watchTimer_(loop),
      nodes_(std::make_shared<NodeList>()) {}

Member::~Member() {
  SKEP_CHECK(work_.count() == 0, "a member is closed before it goes");
}

// ---- Joining

Status Member::join() {
  const fiber::GateHolder inside(work_);
  if (!inside) return closingError();
  isJoining_ = true;
  Status joined = joinPatiently();
  isJoining_ = false;
  return joined;
}

Status Member::joinPatiently() {
  while (true) {
    Status joined = joinOnce();
    if (joined) return {};
    const ErrorCode code = joined.error().code;
    if (code == ErrorCode::AlreadyExists) {
      SKEP_CHECK_OK(endPredecessor());
    } else if (!mayPass(code)) {
      return joined;
    } else if (!fiber::sleepFor(pause(), closing_.token())) {
      return closingError();
    }
  }
}

Status Member::joinOnce() {
  const std::uint64_t nonce = random_() >> 1;
  while (true) {
    const MonotonicTime sentAt = loop_.clock().monotonic();
    Result<Incarnation> joined = membership_.join(facts_, options_.lease, nonce);
    if (closing_.isAborted()) return closingError();
    if (joined) {
      becomeMember(*joined, sentAt);
      return learnNodes();
    }
    if (joined.error().code != ErrorCode::UnknownOutcome) return std::move(joined).error();
    // The same nonce finds what this attempt has made.
    if (!fiber::sleepFor(pause(), closing_.token())) return closingError();
  }
}

Status Member::learnNodes() {
  const Incarnation incarnation = incarnation_;
  while (true) {
    const Status renewed = renew();
    if (closing_.isAborted()) return closingError();
    if (incarnation_ != incarnation) {
      return Error{ErrorCode::Unavailable, "this node was declared dead as soon as it had joined"};
    }
    if (renewed) return {};
    if (!fiber::sleepFor(pause(), closing_.token())) return closingError();
  }
}

/// Waits until the node that has our name has missed its renewals for a lease, and ends it. AlreadyExists when
/// it renews more often than what a process that died could have left on its way: it is no former life of ours.
Status Member::endPredecessor() {
  std::optional<NodeInfo> seen;
  std::size_t beats = 0;
  MonotonicTime since;
  while (true) {
    Result<std::vector<NodeInfo>> nodes = membership_.nodes();
    if (!nodes && !mayPass(nodes.error().code)) return std::move(nodes).error();
    if (nodes) {
      const MonotonicTime now = loop_.clock().monotonic();
      const auto found = std::find_if(nodes->begin(), nodes->end(), [&](const NodeInfo& node) {
        return node.facts.name == facts_.name && store::isAlive(node.state);
      });
      if (found == nodes->end()) return {};
      if (!seen || seen->incarnation != found->incarnation) {
        beats = 0;
        since = now;
        logInfo("cluster", "waiting for the end of a former node of this name",
                {{"name", facts_.name}, {"incarnation", found->incarnation}});
      } else if (found->beat != seen->beat) {
        if (++beats > options_.renewalsAtOnce) return store::nameTaken(*found);
        since = now;
      }
      seen = *found;
      if (now - since >= options_.lease) {
        const Result<bool> ended = membership_.declareDead(found->incarnation, found->beat);
        if (ended && *ended) return {};
      }
    }
    if (!fiber::sleepFor(pause(), closing_.token())) return closingError();
  }
}

void Member::becomeMember(Incarnation incarnation, MonotonicTime sentAt) {
  incarnation_ = incarnation;
  watch_.forget();
  isFailing_ = false;
  lease_.begin(incarnation, sentAt, options_.lease);
  logInfo("cluster", "joined", {{"name", facts_.name}, {"incarnation", incarnation}});
  tickTimer_.callAfter(options_.renewEvery, [this] { tick(); });
}

// ---- Renewing

void Member::tick() {
  tickTimer_.callAfter(options_.renewEvery, [this] { tick(); });
  if (renewalsUnderWay_ >= options_.renewalsAtOnce || !work_.tryEnter()) return;
  loop_.spawn("renew lease", [this] {
    (void)renew();
    work_.leave();
  });
}

Status Member::renew() {
  const Incarnation incarnation = incarnation_;
  if (incarnation == 0) return Error{ErrorCode::Unavailable, "this node is not in the cluster now"};
  const MonotonicTime sentAt = loop_.clock().monotonic();
  ++renewalsUnderWay_;
  Result<store::Renewal> renewal = membership_.renew({.incarnation = incarnation,
                                                      .lease = options_.lease,
                                                      .load = options_.load ? options_.load() : 0,
                                                      .knownVersion = nodes()->version()});
  --renewalsUnderWay_;
  if (incarnation != incarnation_) return Error{ErrorCode::Fenced, "this node has ended"};
  if (renewal) return apply(*renewal, sentAt);
  ++stats_.renewalsFailed;
  if (renewal.error().code == ErrorCode::NotFound) lost(NodeState::Dead);
  if (!std::exchange(isFailing_, true)) {
    logWarn("cluster", "the lease cannot be renewed", {{"why", renewal.error().message}});
  }
  return std::move(renewal).error();
}

Status Member::apply(const store::Renewal& renewal, MonotonicTime sentAt) {
  if (!store::isAlive(renewal.state)) {
    lost(renewal.state);
    return Error{ErrorCode::Fenced, "this node has ended"};
  }
  ++stats_.renewals;
  if (std::exchange(isFailing_, false)) logInfo("cluster", "the lease is renewed again");
  lease_.extend(sentAt, options_.lease);
  // What came back late tells of the past.
  if (NodeListPtr list = nodes()->updated(renewal)) {
    watch_.see(renewal.beats, incarnation_, loop_.clock().monotonic());
    setNodes(std::move(list));
    armWatch();
  }
  return {};
}

/// The store says that this incarnation has ended, for good.
void Member::lost(NodeState how) {
  lease_.end();
  incarnation_ = 0;
  tickTimer_.cancel();
  watchTimer_.cancel();
  logWarn("cluster", "this node has ended and joins anew",
          {{"name", facts_.name}, {"state", store::nodeStateName(how)}});
  if (isJoining_ || closing_.isAborted() || !work_.tryEnter()) return;
  loop_.spawn("join again", [this] {
    rejoin();
    work_.leave();
  });
}

void Member::rejoin() {
  ++stats_.joins;
  while (!closing_.isAborted()) {
    const Status joined = join();
    if (joined || closing_.isAborted()) return;
    logWarn("cluster", "this node cannot join again", {{"why", joined.error().message}});
    if (!fiber::sleepFor(options_.lease, closing_.token())) return;
  }
}

// ---- Others that do not renew

void Member::armWatch() {
  const std::optional<MonotonicTime> next = watch_.nextSuspicion();
  if (!next) return watchTimer_.cancel();
  const Duration left = *next - loop_.clock().monotonic();
  watchTimer_.callAfter(std::max(left, kWatchAgain), [this] {
    if (isEndingSuspects_ || !work_.tryEnter()) return;
    loop_.spawn("end suspects", [this] {
      endSuspects();
      work_.leave();
    });
  });
}

void Member::endSuspects() {
  isEndingSuspects_ = true;
  bool hasEnded = false;
  for (const NodeWatch::Suspect& suspect : watch_.suspects(loop_.clock().monotonic())) {
    const Result<bool> ended = membership_.declareDead(suspect.incarnation, suspect.beat);
    if (!ended || !*ended) continue;
    hasEnded = true;
    ++stats_.declaredDead;
    logWarn("cluster", "declared a node dead", {{"incarnation", suspect.incarnation}});
  }
  isEndingSuspects_ = false;
  if (closing_.isAborted() || incarnation_ == 0) return;
  if (hasEnded) {
    (void)renew();
  } else {
    armWatch();
  }
}

// ---- The list

NodeListPtr Member::nodes() const {
  const std::lock_guard lock(mutex_);
  return nodes_;
}

void Member::setNodes(NodeListPtr nodes) {
  {
    const std::lock_guard lock(mutex_);
    nodes_ = nodes;
  }
  if (options_.onNodes) options_.onNodes(*nodes);
}

Status Member::refresh() {
  if (fiber::currentLoop() == &loop_ && fiber::onFiber()) return refreshHere();
  fiber::OneShot<Status> done;
  loop_.spawn("refresh nodes", [&] { done.set(refreshHere()); });
  return done.wait();
}

/// Those who ask while a look is under way share the next one.
Status Member::refreshHere() {
  const fiber::GateHolder inside(work_);
  if (!inside) return closingError();
  fiber::OneShot<Status> done;
  refreshers_.push_back(&done);
  if (isRefreshing_) return done.wait();
  isRefreshing_ = true;
  while (!refreshers_.empty()) {
    const auto waiters = std::exchange(refreshers_, {});
    const Status outcome = renew();
    for (fiber::OneShot<Status>* waiter : waiters) waiter->set(outcome);
  }
  isRefreshing_ = false;
  return done.wait();
}

// ---- The end

Status Member::drain() {
  return advance(NodeState::Draining);
}

Status Member::leave() {
  const Incarnation incarnation = incarnation_;
  tickTimer_.cancel();
  watchTimer_.cancel();
  incarnation_ = 0;
  lease_.end();
  if (incarnation == 0) return {};
  return membership_.advance(incarnation, NodeState::Left);
}

Status Member::advance(NodeState state) {
  const fiber::GateHolder inside(work_);
  if (!inside || incarnation_ == 0) return closingError();
  SKEP_CHECK_OK(membership_.advance(incarnation_, state));
  return renew();
}

void Member::close() {
  closing_.requestAbort();
  tickTimer_.cancel();
  watchTimer_.cancel();
  lease_.end();
  work_.close();
  tickTimer_.cancel();
  watchTimer_.cancel();
  incarnation_ = 0;
}

/// Not all at once, when many wait for the same.
Duration Member::pause() {
  const Duration step = options_.renewEvery / 4;
  return step +
         Duration(static_cast<std::int64_t>(random_() % static_cast<std::uint64_t>(step.count())));
}

}  // namespace skep::cluster
