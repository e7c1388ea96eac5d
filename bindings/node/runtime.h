// Runtime: the whole of Skep inside a Node.js process: the second place, beside serve(), that wires all
// parts together.
//
//   threads of the core     the store, the commit pipeline, sockets
//   JavaScript threads      actors: their databases and their code
//
// Made, started and stopped on a JavaScript thread.

#pragma once

#include <node_api.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "js_host.h"
#include "skep/actor/host.h"
#include "skep/fiber/sync.h"
#include "skep/gateway/server.h"
#include "skep/server/engine.h"
#include "skep/server/loop_threads.h"
#include "skep/server/serve_settings.h"
#include "watchdog.h"

namespace skep::node {

class Runtime {
 public:
  /// `node`: when its clock is virtual, the store is a part of its loop too, so that nothing is under way
  /// when that has nothing to do.
  Runtime(napi_env env, server::ServeSettings settings, std::vector<actor::ActorType> types,
          std::shared_ptr<JsHost> host, NodeLoop& node);
  Runtime(const Runtime&) = delete;
  Runtime& operator=(const Runtime&) = delete;

  /// Resolves with {url, port}, or rejects with an Error.
  napi_value start();
  /// Resolves when all is put away. Also after a start that failed. Deletes this.
  napi_value stop();
  /// The same without JavaScript, which ends.
  void end();
  /// Called when this is gone.
  void onGone(std::function<void()> gone) { gone_ = std::move(gone); }

 private:
  Status openStore(fiber::Loop& loop);
  Status listenOnCore();
  fiber::Loop& storeLoop();
  void watch();
  void stopWatching();
  void giveNotice(Duration notice);
  void closeOnFiber();
  void close(Duration notice);
  void finishStart(Status started);

  const napi_env env_;
  const server::ServeSettings settings_;
  actor::Registry registry_;
  Status registered_;
  std::shared_ptr<JsHost> js_;  // shared with the actors
  NodeLoop& node_;
  SystemClock clock_;  // of the core
  std::unique_ptr<server::LoopThreads> core_;
  std::vector<fiber::Loop*> coreLoops_;
  std::unique_ptr<server::Engine> engine_;
  std::unique_ptr<vfs::Environment> environment_;
  std::unique_ptr<actor::Host> host_;
  std::unique_ptr<gateway::Server> server_;
  std::unique_ptr<Watchdog> watchdog_;
  fiber::OneShot<bool> watched_;
  std::function<void()> gone_;
  std::string url_;
  napi_deferred starting_ = nullptr;
  napi_deferred stopping_ = nullptr;
};

}  // namespace skep::node
