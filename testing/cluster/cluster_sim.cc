#include "skep/testing/cluster/cluster_sim.h"

#include <algorithm>
#include <iostream>

#include "skep/api/definition.h"
#include "skep/base/check.h"

namespace skep::testing {

using namespace std::chrono_literals;
using call::Failure;

namespace {

constexpr Duration kQuiet = 30s;  // after the faults: long enough for everything to be well again
constexpr Duration kEndTime = 120s;

/// A list that only grows.
struct LogActor : Actor {
  static void define(Definition<LogActor>& d) {
    d.migration(1, "CREATE TABLE entry(place INTEGER PRIMARY KEY, value INTEGER NOT NULL)");
    d.action("append", &LogActor::append).action("read", &LogActor::read);
    d.action("appendLater", &LogActor::appendLater);
    d.options().actionTimeout = 6s;
    d.options().sleepAfter = 1s;
  }
  std::int64_t append(Context& c, std::int64_t value) {
    return c.queryOne<std::int64_t>("INSERT INTO entry(value) VALUES (?) RETURNING place", value);
  }
  void appendLater(Context& c, std::int64_t value, std::int64_t delayMs) {
    c.schedule().after(std::chrono::milliseconds(delayMs), "append", value);
  }
  std::vector<std::int64_t> read(Context& c) {
    return c.query<std::int64_t>("SELECT value FROM entry ORDER BY place");
  }
};

std::vector<std::int64_t> numbersIn(const std::string& json) {
  std::vector<std::int64_t> numbers;
  const char* at = json.c_str();
  while (*at != '\0') {
    char* after = nullptr;
    const std::int64_t number = std::strtoll(at, &after, 10);
    if (after != at) numbers.push_back(number);
    at = after != at ? after : at + 1;
  }
  return numbers;
}

call::ActionRequest requestFor(const Operation& operation) {
  call::ActionRequest request{.actor = {.type = "log", .key = {operation.list}}};
  const std::string value = std::to_string(operation.value);
  switch (operation.kind) {
    case Operation::Kind::Append:
      request.action = "append";
      request.arguments.bytes = "[" + value + "]";
      break;
    case Operation::Kind::AppendLater:
      request.action = "appendLater";
      request.arguments.bytes = "[" + value + "," + std::to_string(operation.delayMs) + "]";
      break;
    case Operation::Kind::Read:
      request.action = "read";
      request.arguments.bytes = "[]";
  }
  return request;
}

void conclude(Operation& operation, const call::Reply& reply) {
  if (const auto* failure = std::get_if<Failure>(&reply)) {
    operation.outcome =
        failure->isRetryable ? Operation::Outcome::NotDone : Operation::Outcome::Unknown;
    operation.note += " " + failure->toString();
    return;
  }
  operation.outcome = Operation::Outcome::Done;
  std::vector<std::int64_t> numbers = numbersIn(std::get<call::Payload>(reply).bytes);
  if (operation.kind == Operation::Kind::Append) {
    operation.place = numbers.at(0);
  } else if (operation.kind == Operation::Kind::Read) {
    operation.content = std::move(numbers);
  }
}

}  // namespace

void ClusterSimCounts::add(const ClusterSimCounts& other) {
  crashes += other.crashes;
  drains += other.drains;
  pauses += other.pauses;
  cuts += other.cuts;
  declaredDead += other.declaredDead;
  joinedAgain += other.joinedAgain;
  forwarded += other.forwarded;
  corrected += other.corrected;
  done += other.done;
  notDone += other.notDone;
  unknown += other.unknown;
}

std::string ClusterSimCounts::describe() const {
  const auto part = [](const char* name, std::uint64_t count) {
    return std::string(name) + "=" + std::to_string(count) + " ";
  };
  return part("crashes", crashes) + part("drains", drains) + part("pauses", pauses) +
         part("cuts", cuts) + part("declaredDead", declaredDead) +
         part("joinedAgain", joinedAgain) + part("forwarded", forwarded) +
         part("corrected", corrected) + part("done", done) + part("notDone", notDone) +
         part("unknown", unknown);
}

ClusterSim::ClusterSim(ClusterSimOptions options)
    : options_(options), random_(options.seed), storesClock_(time_, 1), shared_(storesClock_) {
  const Status added = registry_.add(actorType<LogActor>("log"));
  SKEP_CHECK(added.ok(), "the actor type of the simulation");
}

ClusterSim::~ClusterSim() = default;

SimNode* ClusterSim::at(const std::string& address) {
  for (auto node = nodes_.rbegin(); node != nodes_.rend(); ++node) {
    if ((*node)->name() == address)
      return (*node)->hasCrashed() || (*node)->hasEnded() ? nullptr : node->get();
  }
  return nullptr;
}

Duration ClusterSim::between(Duration least, Duration most) {
  return least + Duration(static_cast<std::int64_t>(
                     below(static_cast<std::uint64_t>((most - least).count()))));
}

void ClusterSim::say(const std::string& what) const {
  if (options_.traces) std::cerr << time_.now().ns / 1'000'000 << "ms " << what << "\n";
}

// ---- What happens

void ClusterSim::startNode(const std::string& name) {
  // Two clocks differ by at most 4 percent; a lease allows for 10.
  const bool isWild = options_.broken == Broken::WildClocks;
  const double rate =
      isWild ? (below(2) == 0 ? 0.4 : 1.6) : 0.98 + 0.02 * static_cast<double>(below(2000)) / 1000;
  nodes_.push_back(std::make_unique<SimNode>(
      *this, shared_, registry_,
      SimNode::Settings{
          .name = name, .clockRate = rate, .seed = random_(), .broken = options_.broken}));
  say(name + " starts");
  nodes_.back()->start();
}

void ClusterSim::planOperation() {
  time_.after(between(0s, options_.busyFor), [this] {
    Operation operation;
    operation.list = "list-" + std::to_string(below(options_.lists));
    const std::uint64_t kind = below(10);
    operation.kind = kind < 4   ? Operation::Kind::Append
                     : kind < 5 ? Operation::Kind::AppendLater
                                : Operation::Kind::Read;
    if (operation.kind != Operation::Kind::Read) operation.value = ++lastValue_;
    operation.delayMs = static_cast<std::int64_t>(below(12'000));
    SimNode* node = at(nodeName(below(options_.nodes)));
    if (node == nullptr || !node->isIn()) return;
    operation.begin = time_.now();
    operation.note = "via " + node->name();
    ask(*node, history_.begin(std::move(operation)));
  });
}

void ClusterSim::ask(SimNode& node, std::size_t index) {
  ++underWay_;
  node.loop().spawn("client", [this, &node, index] {
    const call::Reply reply = node.router().run(requestFor(history_.at(index)));
    --underWay_;
    if (node.hasCrashed()) return;
    Operation& operation = history_.at(index);
    operation.end = time_.now();
    conclude(operation, reply);
  });
}

void ClusterSim::planFault() {
  time_.after(between(1s, options_.busyFor), [this] {
    SimNode* node = at(nodeName(below(options_.nodes)));
    const std::uint64_t kind = below(100);
    if (kind < 5) return jumpStoresClock();
    if (kind < 20) return cutNodes();
    if (node == nullptr) return;
    if (kind < 30) return drain(*node);
    if (kind < 45) return crash(*node);
    if (kind < 60) return pause(*node);
    if (kind < 80) return cutStore(*node);
    slowStore(*node);
  });
}

void ClusterSim::crash(SimNode& node) {
  ++counts_.crashes;
  say(node.name() + " crashes");
  node.crash();
  time_.after(between(10ms, 6s), [this, name = node.name()] { startNode(name); });
}

void ClusterSim::drain(SimNode& node) {
  if (node.isStopping()) return;
  ++counts_.drains;
  say(node.name() + " is told to end");
  node.stop();
  startWhenEnded(node);
}

void ClusterSim::startWhenEnded(SimNode& node) {
  time_.after(between(100ms, 2s), [this, &node] {
    if (node.hasCrashed()) return;  // that starts it again itself
    node.hasEnded() ? startNode(node.name()) : startWhenEnded(node);
  });
}

void ClusterSim::pause(SimNode& node) {
  ++counts_.pauses;
  say(node.name() + " freezes");
  node.pause();
  time_.after(between(100ms, 8s), [this, &node] {
    say(node.name() + " goes on");
    node.resume();
  });
}

void ClusterSim::cutStore(SimNode& node) {
  ++counts_.cuts;
  const std::uint64_t which = below(3);
  say(node.name() + " loses the store, way " + std::to_string(which));
  if (which != 1) node.store().toStore.isCut = true;
  if (which != 0) node.store().fromStore.isCut = true;
  time_.after(between(100ms, 8s), [this, &node] {
    say(node.name() + " has the store again");
    node.store().toStore.isCut = false;
    node.store().fromStore.isCut = false;
  });
}

void ClusterSim::cutNodes() {
  ++counts_.cuts;
  const std::string from = nodeName(below(options_.nodes));
  const std::string to = nodeName(below(options_.nodes));
  say(from + " cannot reach " + to);
  link(from, to).isCut = true;
  time_.after(between(100ms, 8s), [this, from, to] { link(from, to).isCut = false; });
}

void ClusterSim::slowStore(SimNode& node) {
  say("the store is slow for " + node.name());
  SimLink& link = below(2) == 0 ? node.store().toStore : node.store().fromStore;
  link.delayMax = between(100ms, 3s);
  link.loss = 0.02;
  time_.after(between(1s, 8s), [&link] {
    link.delayMax = 3ms;
    link.loss = 0;
  });
}

void ClusterSim::jumpStoresClock() {
  const std::int64_t hours = static_cast<std::int64_t>(below(48)) - 24;
  say("the store's clock jumps by " + std::to_string(hours) + " hours");
  storesClock_.jumpWall(hours * 3'600'000);
}

void ClusterSim::heal() {
  say("all is well again");
  links_.clear();
  for (const auto& node : nodes_) {
    node->resume();
    node->store().toStore = {};
    node->store().fromStore = {};
  }
}

// ---- Time

/// Everybody runs until there is nothing to do, then time goes on to what comes next, at most to `until`.
bool ClusterSim::step(MonotonicTime until) {
  std::vector<SimNode*> running;
  for (const auto& node : nodes_) {
    if (!node->isPaused() && !(node->hasEnded() && node->loop().fiberCount() == 0))
      running.push_back(node.get());
  }
  std::shuffle(running.begin(), running.end(), random_);
  for (SimNode* node : running) node->loop().runUntilIdle();
  MonotonicTime next = until;
  if (const auto event = time_.next()) next = std::min(next, *event);
  for (SimNode* node : running) {
    if (const auto timer = node->loop().untilNextTimer()) {
      next = std::min(next, node->clock().trueTimeAfter(*timer));
    }
  }
  if (next >= until) {
    time_.advanceTo(until);
    return false;
  }
  time_.advanceTo(next);
  return true;
}

bool ClusterSim::runUntil(MonotonicTime until, const std::function<bool()>& isDone) {
  while (!isDone()) {
    if (!step(until)) return isDone();
  }
  return true;
}

// ---- The whole

std::optional<std::string> ClusterSim::run() {
  for (std::size_t i = 0; i < options_.nodes; ++i) startNode(nodeName(i));
  const auto allAreIn = [this] {
    return std::all_of(nodes_.begin(), nodes_.end(), [](const auto& node) { return node->isIn(); });
  };
  if (!runUntil(time_.now() + 10s, allAreIn)) return "the nodes do not join";
  for (int i = 0; i < options_.operations; ++i) planOperation();
  for (int i = 0; i < options_.faults; ++i) planFault();
  runUntil(time_.now() + options_.busyFor, [] { return false; });
  heal();
  runUntil(time_.now() + kQuiet, [] { return false; });
  std::map<std::string, std::vector<std::int64_t>> final;
  std::optional<std::string> wrong = readAtTheEnd(final);
  const bool isSound = options_.broken == Broken::Nothing;
  if (!wrong && isSound && underWay_ != 0)
    wrong = std::to_string(underWay_) + " requests have not ended";
  end();
  for (const Operation& operation : history_.operations()) {
    if (operation.outcome == Operation::Outcome::Done) ++counts_.done;
    if (operation.outcome == Operation::Outcome::NotDone) ++counts_.notDone;
    if (operation.outcome == Operation::Outcome::Unknown) ++counts_.unknown;
  }
  if (!wrong) wrong = history_.violation(final);
  if (wrong) *wrong += "\n" + history_.describe();
  return wrong;
}

std::optional<std::string> ClusterSim::readAtTheEnd(
    std::map<std::string, std::vector<std::int64_t>>& final) {
  for (std::size_t i = 0; i < options_.lists; ++i) {
    const std::string list = "list-" + std::to_string(i);
    SimNode* node = at(nodeName(below(options_.nodes)));
    if (node == nullptr || !node->isIn()) return "a node is not back";
    std::optional<Operation> read;
    node->loop().spawn("last read", [&, node] {
      Operation operation{.kind = Operation::Kind::Read, .list = list};
      conclude(operation, node->router().run(requestFor(operation)));
      read = std::move(operation);
    });
    runUntil(time_.now() + kQuiet, [&] { return read.has_value(); });
    if (!read) return "a last read does not end";
    if (read->outcome != Operation::Outcome::Done)
      return "a list cannot be read at the end: " + read->note;
    final[list] = read->content;
  }
  return std::nullopt;
}

void ClusterSim::end() {
  for (const auto& node : nodes_) {
    counts_.declaredDead += node->member().stats().declaredDead;
    counts_.joinedAgain += node->member().stats().joins;
    counts_.forwarded += node->router().stats().forwarded;
    counts_.corrected += node->router().stats().corrected;
    if (!node->isStopping()) node->stop();
  }
  const bool ended = runUntil(time_.now() + kEndTime, [this] {
    return std::all_of(nodes_.begin(), nodes_.end(), [](const auto& node) {
      return node->hasEnded() && node->loop().fiberCount() == 0;
    });
  });
  SKEP_CHECK(ended, "a node does not end (seed %llu)",
             static_cast<unsigned long long>(options_.seed));
}

}  // namespace skep::testing
