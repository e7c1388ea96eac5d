#include "skep/backend/postgres/connection_pool.h"

#include <pthread.h>

#include <algorithm>
#include <utility>

#include "skep/backend/postgres/pg_error.h"
#include "skep/base/log.h"

namespace skep::backend::postgres {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kWatchInterval(50);
constexpr milliseconds kPauseMin(50);
constexpr milliseconds kPauseMax(1000);
constexpr int kAttemptsMax = 10;
// The server gives up first, and says so: then the outcome is certain.
constexpr milliseconds kAnswerGrace(1000);

Error unavailable(std::string message) {
  return Error{ErrorCode::Unavailable, std::move(message)};
}

Error lostSnapshot(const Error& why) {
  return Error{ErrorCode::SnapshotGone,
               "the connection that showed the store at one moment was lost: " + why.message};
}

SessionSettings settingsFor(const PostgresOptions& options, ConnectionInfo server,
                            Purpose purpose) {
  return {.server = std::move(server),
          .schema = options.schema,
          .connectTimeout = milliseconds(options.connectTimeoutMs),
          .requestTimeout = milliseconds(options.requestTimeoutMs),
          .isSnapshot = purpose == Purpose::Snapshot};
}

}  // namespace

ConnectionPool::ConnectionPool(const PostgresOptions& options, ConnectionInfo server, Clock& clock,
                               Purpose purpose)
    : options_(options),
      settings_(settingsFor(options, std::move(server), purpose)),
      resolver_("skep-pg-resolve", 1),
      loop_(clock),
      watchTimer_(loop_) {
  const std::array<std::size_t, kLaneCount> counts =
      isSnapshot() ? std::array<std::size_t, kLaneCount>{0, 1, 0}
                   : std::array{std::max<std::size_t>(options.writeConnections, 1),
                                std::max<std::size_t>(options.readConnections, 1), std::size_t{1}};
  for (std::size_t i = 0; i < lanes_.size(); ++i) {
    for (std::size_t n = 0; n < counts[i]; ++n) {
      lanes_[i].slots.push_back(std::make_unique<Slot>(lanes_[i]));
    }
  }
  thread_ = std::thread([this] {
    pthread_setname_np(pthread_self(), "skep-postgres");
    loop_.run();
  });
}

ConnectionPool::~ConnectionPool() {
  loop_.post([this] { closeAll(); });
  thread_.join();
}

void ConnectionPool::closeAll() {
  closing_.requestAbort();
  watchTimer_.cancel();
  for (LaneState& lane : lanes_) {
    for (Request* const request : std::exchange(lane.queue, {})) abandon(*request);
    for (const auto& slot : lane.slots) {
      if (slot->pipeline)
        slot->pipeline->breakOff(Error{ErrorCode::Aborted, "the store is closing"});
    }
  }
  loop_.spawn("postgres close", [this] {
    gate_.close();
    loop_.stop();
  });
}

void ConnectionPool::abandon(Request& request) {
  Answer aborted;
  aborted.error = Error{ErrorCode::Aborted, "the store is closing"};
  request.answer.set(std::move(aborted));
}

Status ConnectionPool::start() {
  fiber::OneShot<Status> connected;
  loop_.post([&] { loop_.spawn("postgres start", [&] { connectFirst(connected); }); });
  return connected.wait();
}

void ConnectionPool::connectFirst(fiber::OneShot<Status>& connected) {
  const fiber::GateHolder holder(gate_);
  Result<PgConnection> first = connect(isSnapshot() ? IfNoSchema::Fail : IfNoSchema::Create);
  if (!first) return connected.set(std::move(first).error());
  const Lane firstLane = isSnapshot() ? Lane::Read : Lane::Write;
  const auto laneFor = [this](Lane lane) -> LaneState& {
    return lanes_[static_cast<std::size_t>(lane)];
  };
  for (const Lane lane : {Lane::Write, Lane::Read}) {
    noteOutage(laneFor(lane), unavailable("the store is starting"));
  }
  serve(*laneFor(firstLane).slots.front(), std::move(first).value());
  for (const Lane lane : {Lane::Write, Lane::Read}) startLane(laneFor(lane));
  connected.set({});
}

void ConnectionPool::startLane(LaneState& lane) {
  lane.isStarted = true;
  for (const auto& slot : lane.slots) {
    loop_.spawn("postgres connection", [this, &slot = *slot] { keepConnected(slot); });
  }
}

void ConnectionPool::keepConnected(Slot& slot) {
  const fiber::GateHolder holder(gate_);
  if (!holder) return;
  const fiber::AbortToken closing = closing_.token();
  milliseconds pause = kPauseMin;
  while (!closing.isAborted()) {
    if (slot.pipeline) {
      serveUntilBroken(slot);
      pause = kPauseMin;
    }
    if (closing.isAborted() || isSnapshot()) return;
    Result<PgConnection> connection = connect(IfNoSchema::Fail);
    if (connection) {
      serve(slot, std::move(connection).value());
      continue;
    }
    noteOutage(slot.lane, connection.error());
    if (!fiber::sleepFor(pause, closing)) return;
    pause = std::min(pause * 2, kPauseMax);
  }
}

Result<PgConnection> ConnectionPool::connect(IfNoSchema ifNoSchema) {
  Session session(loop_, resolver_, settings_);
  return session.connect(ifNoSchema, closing_.token());
}

void ConnectionPool::serve(Slot& slot, PgConnection connection) {
  ++counters_.connectionsMade;
  slot.pipeline = std::make_unique<Pipeline>(
      loop_, std::move(connection), settings_.server.place,
      Pipeline::Events{
          .onAnswer = [this](Request& request, Answer answer) { take(request, std::move(answer)); },
          .onBreak = [&slot] { slot.broke.notifyAll(); }});
  slot.lane.outageSince.reset();
  dispatch(slot.lane);
}

// Suspends until the slot's connection breaks; then finds new connections for what it lost.
void ConnectionPool::serveUntilBroken(Slot& slot) {
  fiber::waitUntil(slot.broke, [&] { return slot.pipeline->isBroken(); });
  const std::unique_ptr<Pipeline> broken = std::move(slot.pipeline);
  const Error why = isSnapshot() ? lostSnapshot(broken->whyBroken()) : broken->whyBroken();
  auto lost = broken->takeLost();
  if (!closing_.isAborted()) {
    ++counters_.connectionsLost;
    logWarn("postgres", "connection lost", {{"error", why.message}, {"requests", lost.size()}});
  }
  noteOutage(slot.lane, why);
  // The newest first: each goes to the front of the queue.
  for (auto it = lost.rbegin(); it != lost.rend(); ++it) {
    repeatOrAnswer(*it->first, std::move(it->second));
  }
  dispatch(slot.lane);
}

void ConnectionPool::noteOutage(LaneState& lane, const Error& why) {
  const bool connected = std::any_of(lane.slots.begin(), lane.slots.end(),
                                     [](const auto& slot) { return slot->pipeline != nullptr; });
  if (connected) return;
  if (!lane.outageSince) {
    lane.outageSince = loop_.clock().monotonic();
    logInfo("postgres", "no connection", {{"error", why.message}});
  }
  lane.outage = why;
}

Answer ConnectionPool::ask(Request& request) {
  if (request.timeLimit == Duration::zero()) request.timeLimit = settings_.requestTimeout;
  request.timeLimit += kAnswerGrace;
  loop_.post([this, &request] { submit(request); });
  return request.answer.wait();
}

void ConnectionPool::runInBackground(std::string_view name, std::function<void()> work) {
  loop_.post([this, name, work = std::move(work)] {
    loop_.spawn(name, [this, work] {
      const fiber::GateHolder holder(gate_);
      if (holder) work();
    });
  });
}

PoolCounters ConnectionPool::counters() {
  fiber::OneShot<PoolCounters> counters;
  loop_.post([&] { counters.set(counters_); });
  return counters.wait();
}

void ConnectionPool::submit(Request& request) {
  if (closing_.isAborted()) return abandon(request);
  LaneState& lane = laneOf(request);
  request.deadline = loop_.clock().monotonic() + settings_.requestTimeout;
  if (lane.queue.size() >= options_.requestsQueuedMax) {
    Answer full;
    full.error = Error{ErrorCode::Overloaded,
                       "too many requests wait for PostgreSQL at " + settings_.server.place};
    return request.answer.set(std::move(full));
  }
  lane.queue.push_back(&request);
  if (!lane.isStarted) startLane(lane);
  dispatch(lane);
  if (!watchTimer_.isPending()) watch();
}

void ConnectionPool::dispatch(LaneState& lane) {
  while (!lane.queue.empty()) {
    Slot* const slot = leastBusy(lane, options_.requestsInFlightMax);
    if (slot == nullptr) return;
    Request& request = *lane.queue.front();
    lane.queue.pop_front();
    ++request.attempts;
    ++counters_.requestsSent;
    slot->pipeline->send(request);
  }
}

ConnectionPool::Slot* ConnectionPool::leastBusy(LaneState& lane, std::size_t inFlightMax) {
  Slot* best = nullptr;
  for (const auto& slot : lane.slots) {
    if (!slot->pipeline || slot->pipeline->isBroken()) continue;
    if (slot->pipeline->inFlight() >= inFlightMax) continue;
    if (best == nullptr || slot->pipeline->inFlight() < best->pipeline->inFlight())
      best = slot.get();
  }
  return best;
}

// The server's answer to a request.
void ConnectionPool::take(Request& request, Answer answer) {
  LaneState& lane = laneOf(request);
  if (answer.fate == Fate::NotApplied && isCollision(answer.sqlState)) {
    repeatOrAnswer(request, std::move(answer));
  } else {
    request.answer.set(std::move(answer));
  }
  dispatch(lane);
}

// For a request that may run again: because it certainly has not, or because twice is as good as
// once.
void ConnectionPool::repeatOrAnswer(Request& request, Answer answer) {
  const bool mayRepeat = answer.fate == Fate::NotApplied || request.ifLost == IfLost::Repeat;
  const bool wasRefused = !answer.sqlState.empty() && !isCollision(answer.sqlState) &&
                          answer.error.code != ErrorCode::Unavailable;
  if (mayRepeat && !wasRefused && request.attempts < kAttemptsMax && !closing_.isAborted() &&
      loop_.clock().monotonic() < request.deadline) {
    ++counters_.requestsRepeated;
    laneOf(request).queue.push_front(&request);
    return;
  }
  request.answer.set(std::move(answer));
}

// Looks after deadlines for as long as any request is there.
void ConnectionPool::watch() {
  for (LaneState& lane : lanes_) watchLane(lane);
  if (isIdle()) return;
  watchTimer_.callAfter(kWatchInterval, [this] { watch(); });
}

void ConnectionPool::watchLane(LaneState& lane) {
  for (const auto& slot : lane.slots) {
    if (slot->pipeline && !slot->pipeline->isBroken() && slot->pipeline->isOverdue()) {
      slot->pipeline->breakOff(unavailable("PostgreSQL at " + settings_.server.place +
                                           " did not answer within its time limit"));
    }
  }
  std::deque<Request*> waiting;
  for (Request* const request : std::exchange(lane.queue, {})) {
    if (std::optional<Error> why = reasonToGiveUp(lane, *request)) {
      Answer answer;
      answer.error = std::move(*why);
      request->answer.set(std::move(answer));
    } else {
      waiting.push_back(request);
    }
  }
  lane.queue = std::move(waiting);
}

std::optional<Error> ConnectionPool::reasonToGiveUp(const LaneState& lane, const Request& request) {
  const MonotonicTime now = loop_.clock().monotonic();
  if (lane.outageSince) {
    const bool outageIsLong = now - *lane.outageSince >= settings_.connectTimeout;
    if (outageIsLong || isPermanent(lane.outage.code)) return lane.outage;
  }
  if (now < request.deadline) return std::nullopt;
  if (lane.outageSince) return lane.outage;
  return unavailable("no connection to PostgreSQL at " + settings_.server.place +
                     " became free in time");
}

bool ConnectionPool::isIdle() const {
  for (const LaneState& lane : lanes_) {
    if (!lane.queue.empty()) return false;
    for (const auto& slot : lane.slots) {
      if (slot->pipeline && slot->pipeline->inFlight() > 0) return false;
    }
  }
  return true;
}

}  // namespace skep::backend::postgres
