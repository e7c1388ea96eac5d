// ConnectionPool: the store's connections, and the requests that wait for one.
//
// A thread of the pool's own runs a loop with all connections. Writes, reads and membership are lanes
// with connections and queues of their own. Connections that break are made again, with growing pauses
// between attempts; requests that certainly were not applied, or may run twice, then go to another
// one.
//
// Every request is answered within a bounded time: it waits for a connection for at most its
// deadline (and for a server that cannot be reached for at most connectTimeoutMs since that began),
// and once sent the server must answer within the time limit.
//
// A pool for a snapshot is one connection in one read-only transaction; when it is lost, so is the
// snapshot, and every request fails with SnapshotGone.
//
// Threading: ask() may be called from any fiber or thread. Lifetime: outlives the calls of ask().

#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>
#include <thread>
#include <vector>

#include "skep/backend/postgres/pipeline.h"
#include "skep/backend/postgres/postgres_options.h"
#include "skep/backend/postgres/request.h"
#include "skep/backend/postgres/session.h"
#include "skep/base/clock.h"
#include "skep/fiber/loop.h"
#include "skep/fiber/sync.h"
#include "skep/fiber/thread_pool.h"
#include "skep/fiber/timer.h"

namespace skep::backend::postgres {

/// What happened so far.
struct PoolCounters {
  std::uint64_t requestsSent = 0;  // each is one round trip
  std::uint64_t requestsRepeated = 0;
  std::uint64_t connectionsMade = 0;
  std::uint64_t connectionsLost = 0;
};

enum class Purpose : std::uint8_t { Serve, Snapshot };

class ConnectionPool {
 public:
  ConnectionPool(const PostgresOptions& options, ConnectionInfo server, Clock& clock,
                 Purpose purpose = Purpose::Serve);
  /// Gives up what is being tried and joins the thread.
  ~ConnectionPool();
  ConnectionPool(const ConnectionPool&) = delete;
  ConnectionPool& operator=(const ConnectionPool&) = delete;

  /// Makes the first connection, and the schema if there is none (but not for a snapshot), then
  /// starts with the others.
  /// Suspends.
  Status start();

  /// Suspends until the request's fate is known or its time is up.
  Answer ask(Request& request);

  /// Runs `work` on a fiber of the pool's thread; the pool's end waits for it. It may ask().
  void runInBackground(std::string_view name, std::function<void()> work);

  /// Suspends.
  PoolCounters counters();

 private:
  struct LaneState;
  // One connection's place in a lane; a fiber keeps it connected.
  struct Slot {
    explicit Slot(LaneState& owner) : lane(owner) {}
    LaneState& lane;
    std::unique_ptr<Pipeline> pipeline;
    fiber::Event broke;
  };
  struct LaneState {
    std::vector<std::unique_ptr<Slot>> slots;
    std::deque<Request*> queue;
    bool isStarted = false;                    // its connections are being made, and kept
    std::optional<MonotonicTime> outageSince;  // set while no connection is there
    Error outage;
  };

  void connectFirst(fiber::OneShot<Status>& connected);
  void startLane(LaneState& lane);
  void keepConnected(Slot& slot);
  Result<PgConnection> connect(IfNoSchema ifNoSchema);
  void serve(Slot& slot, PgConnection connection);
  void serveUntilBroken(Slot& slot);
  void noteOutage(LaneState& lane, const Error& why);
  void submit(Request& request);
  void dispatch(LaneState& lane);
  void take(Request& request, Answer answer);
  void repeatOrAnswer(Request& request, Answer answer);
  static void abandon(Request& request);
  static Slot* leastBusy(LaneState& lane, std::size_t inFlightMax);
  void watch();
  void watchLane(LaneState& lane);
  std::optional<Error> reasonToGiveUp(const LaneState& lane, const Request& request);
  LaneState& laneOf(const Request& request) {
    return lanes_[static_cast<std::size_t>(request.lane)];
  }
  bool isIdle() const;
  bool isSnapshot() const { return settings_.isSnapshot; }
  void closeAll();

  PostgresOptions options_;
  SessionSettings settings_;
  fiber::ThreadPool resolver_;
  fiber::Loop loop_;

  // The loop's own from here on.
  std::array<LaneState, kLaneCount> lanes_;
  fiber::Timer watchTimer_;
  fiber::Gate gate_;
  fiber::AbortSource closing_;
  PoolCounters counters_;

  std::thread thread_;
};

}  // namespace skep::backend::postgres
