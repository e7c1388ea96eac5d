// LiveServer: a gateway in front of a real host, on sockets of this machine; and clients for it that
// block.
//
// The actors may run on a loop (and thread) of their own, as they do behind a gateway with several
// loops. Their store may be told to fail: set its hooks with onLoop(), with actors on the same loop.

#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <thread>

#include "skep/actor/host.h"
#include "skep/api/definition.h"
#include "skep/backend/memory/memory_store.h"
#include "skep/fiber/loop.h"
#include "skep/fiber/sync.h"
#include "skep/gateway/server.h"
#include "skep/store/commit_pipeline.h"
#include "skep/testing/watched_store.h"
#include "skep/vfs/environment.h"

namespace skep::testing {

class LiveServer {
 public:
  enum class Actors { OnTheSameLoop, OnAnother };

  explicit LiveServer(gateway::ServerOptions options = {}, Actors place = Actors::OnTheSameLoop)
      : options_(std::move(options)), place_(place) {
    options_.port = 0;
  }

  template <class T>
  void add(const std::string& name) {
    add(actorType<T>(name));
  }
  void add(actor::ActorType type) {
    const Status added = registry_.add(std::move(type));
    ASSERT_TRUE(added.ok()) << added.error().toString();
  }

  /// Runs `body` on a thread of its own, and the server until that ends.
  void serve(const std::function<void()>& body) {
    SystemClock clock;
    fiber::runOnFreshLoop(clock, [&](fiber::Loop& loop) {
      if (place_ == Actors::OnTheSameLoop) {
        serveActors(loop, [&] { serveSockets(loop, body); });
        return;
      }
      fiber::Loop actors(clock, actorsLoop_);
      fiber::OneShot<bool> ended;
      fiber::OneShot<bool> ready;
      fiber::OneShot<bool> mayEnd;
      actors.spawn("actors", [&] {
        serveActors(actors, [&] {
          ready.set(true);
          mayEnd.wait();
        });
        actors.stop();
      });
      std::thread thread([&] {
        actors.run();
        ended.set(true);
      });
      ready.wait();
      serveSockets(loop, body);
      mayEnd.set(true);
      ended.wait();
      thread.join();
    });
  }

  std::uint16_t port() const { return port_; }
  /// While it serves.
  WatchedStore& store() { return *store_; }
  /// Before it serves.
  vfs::PagedFileOptions& databases() { return databases_; }
  /// Before it serves; of actors on another loop.
  fiber::LoopOptions& actorsLoop() { return actorsLoop_; }
  actor::Host& host() { return *host_; }
  /// From the body: the server begins to close.
  void closeEarly() {
    loop_->spawn("close", [this] { server_->close(); });
  }
  /// From the body: runs `function` on a fiber of the gateway's loop, and waits for it.
  void onLoop(const std::function<void()>& function) {
    fiber::OneShot<bool> done;
    loop_->spawn("test", [&] {
      function();
      done.set(true);
    });
    done.wait();
  }
  gateway::ServerStats stats() {
    gateway::ServerStats stats;
    onLoop([&] { stats = server_->stats(); });
    return stats;
  }

 private:
  void serveActors(fiber::Loop& loop, const std::function<void()>& body) {
    backend::MemoryStore memory(loop.clock());
    WatchedStore watched(memory);
    store_ = &watched;
    store::CommitPipeline pipeline(loop, watched);
    vfs::PageCache cache(64 * 1024 * 1024);
    vfs::Environment environment{loop, watched, pipeline, cache, databases_};
    host_ = std::make_unique<actor::Host>(registry_, std::vector<vfs::Environment*>{&environment});
    body();
    watched.forgetHooks();
    host_->close();
    pipeline.close();
    awaitOthers(loop);
    host_.reset();
  }

  void serveSockets(fiber::Loop& loop, const std::function<void()>& body) {
    loop_ = &loop;
    server_ = std::make_unique<gateway::Server>(loop, *host_, options_);
    const Status listens = server_->listen();
    ASSERT_TRUE(listens.ok()) << listens.error().toString();
    port_ = server_->port();
    fiber::OneShot<bool> done;
    std::thread clients([&] {
      body();
      done.set(true);
    });
    done.wait();
    clients.join();
    server_->close();
    awaitOthers(loop);
    server_.reset();
  }

  /// What has ended is about to leave its fiber.
  static void awaitOthers(fiber::Loop& loop) {
    while (loop.fiberCount() > 1) fiber::sleepFor(std::chrono::milliseconds(1));
  }

  gateway::ServerOptions options_;
  const Actors place_;
  actor::Registry registry_;
  vfs::PagedFileOptions databases_;
  fiber::LoopOptions actorsLoop_;
  WatchedStore* store_ = nullptr;
  std::unique_ptr<actor::Host> host_;
  std::unique_ptr<gateway::Server> server_;
  fiber::Loop* loop_ = nullptr;
  std::uint16_t port_ = 0;
};

}  // namespace skep::testing
