// What the benchmarks of whole databases share: several loops over one engine, and databases that
// commit on all of them.

#pragma once

#include <chrono>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "skep/fiber/loop.h"
#include "skep/fiber/sync.h"
#include "skep/server/engine.h"
#include "skep/server/loop_threads.h"
#include "skep/sql/database.h"
#include "skep/vfs/paged_file.h"

namespace skep::bench {

template <class T>
T must(Result<T> result) {
  if (!result) {
    std::fprintf(stderr, "benchmark: %s\n", result.error().toString().c_str());
    std::abort();
  }
  if constexpr (!std::is_void_v<T>) return std::move(result).value();
}

inline std::unique_ptr<sql::Database> openDatabase(vfs::Environment& environment,
                                                   const std::string& name) {
  sql::DatabaseOptions options;
  options.name = name;
  options.limits.databaseBytesMax = 64ULL << 30;
  return must(sql::Database::open(environment, options));
}

inline std::unique_ptr<sql::Database> openDatabase(server::Engine& engine,
                                                   const std::string& name) {
  return openDatabase(engine.environment(), name);
}

/// Runs `body(i)` for i in [0, count) on `width` fibers and waits for all.
inline void inParallel(fiber::Loop& loop, std::size_t count, std::size_t width,
                       const std::function<void(std::size_t)>& body) {
  std::size_t next = 0;
  std::size_t running = width;
  fiber::Event done;
  for (std::size_t i = 0; i < width; ++i) {
    loop.spawn("bench", [&] {
      while (next < count) body(next++);
      if (--running == 0) done.notifyAll();
    });
  }
  while (running != 0) done.wait();
}

/// The engine's loop, and more of them on threads of their own.
class Loops {
 public:
  Loops(server::Engine& engine, std::size_t count)
      : own_(engine.environment()), threads_(clock_, count - 1), others_(count - 1) {
    threads_.onEach(
        [&](fiber::Loop& loop, std::size_t i) { others_[i] = engine.makeEnvironment(loop); });
  }
  ~Loops() {
    threads_.onEach([&](fiber::Loop&, std::size_t i) { others_[i].reset(); });
  }
  std::size_t count() const { return threads_.size() + 1; }
  /// Runs `body(environment, part)` on each loop at once, with parts from 0, and waits for all.
  void run(const std::function<void(vfs::Environment&, std::size_t)>& body) {
    fiber::OneShot<bool> done;
    own_.loop.spawn("bench", [&] {
      body(own_, 0);
      done.set(true);
    });
    threads_.onEach([&](fiber::Loop&, std::size_t i) { body(*others_[i], i + 1); });
    (void)done.wait();
  }

 private:
  SystemClock clock_;
  vfs::Environment& own_;
  server::LoopThreads threads_;
  std::vector<std::unique_ptr<vfs::Environment>> others_;
};

/// Databases with one table and an index, spread over the loops, which commit rows at once.
class Committers {
 public:
  Committers(Loops& loops, std::size_t count)
      : loops_(loops), share_(count / loops.count()), databases_(loops.count()) {
    loops_.run([&](vfs::Environment& environment, std::size_t part) {
      auto& mine = databases_[part];
      mine.resize(share_);
      inParallel(environment.loop, share_, 64, [&](std::size_t i) {
        // Of its own for each number of loops: a store that outlives the first run has those of that one.
        mine[i] = openDatabase(
            environment, std::to_string(loops_.count()) + "/" + std::to_string(part * share_ + i));
        must(mine[i]->run(
            "CREATE TABLE t(a INTEGER PRIMARY KEY, b INTEGER, c TEXT); CREATE INDEX tb ON t(b)"));
        must(mine[i]->waitDurable());
      });
    });
  }
  ~Committers() {
    loops_.run([&](vfs::Environment&, std::size_t part) {
      for (auto& database : databases_[part]) must(database->close());
      databases_[part].clear();
    });
  }
  /// Each database commits `rounds` rows, one after the other, each when the one before is durable.
  void commitEach(std::size_t rounds) {
    loops_.run([&](vfs::Environment& environment, std::size_t part) {
      inParallel(environment.loop, share_, share_, [&](std::size_t i) {
        for (std::size_t round = 0; round < rounds; ++round) commitOne(*databases_[part][i]);
      });
    });
  }
  std::size_t commitsOf(std::size_t rounds) const { return share_ * databases_.size() * rounds; }
  std::uint64_t recordBytes() const {
    std::uint64_t sum = 0;
    for (const auto& part : databases_) {
      for (const auto& database : part) sum += database->file().counters().recordBytes;
    }
    return sum;
  }

 private:
  static void commitOne(sql::Database& database) {
    must(database.execute(
        "INSERT INTO t(b, c) VALUES (abs(random()) % 1000000, 'some forty bytes of "
        "text as a row has it')"));
    must(database.waitDurable());
  }

  Loops& loops_;
  const std::size_t share_;
  std::vector<std::vector<std::unique_ptr<sql::Database>>> databases_;  // by loop
};

}  // namespace skep::bench
