#include "runtime.h"

#include <utility>

#include "js_values.h"
#include "skep/fiber/sync.h"
#include "skep/server/health.h"
#include "skep/server/serve_settings.h"
#include "skep/server/store_url.h"

namespace skep::node {
namespace {

/// Runs `body` on a fiber of `loop` and waits for what it gives. On a fiber.
template <class Body>
auto onLoop(fiber::Loop& loop, Body body) -> decltype(body()) {
  fiber::OneShot<decltype(body())> done;
  loop.spawn("runtime", [&] { done.set(body()); });
  return done.wait();
}

/// In a test there is nobody else whose alarms would have to be looked for.
actor::AlarmWatchOptions alarmsOf(const LoopClock& clock) {
  if (!clock.isVirtual()) return {};
  return {.poll = std::chrono::hours(24)};
}

}  // namespace

Runtime::Runtime(napi_env env, server::ServeSettings settings, std::vector<actor::ActorType> types,
                 std::shared_ptr<JsHost> host, NodeLoop& node)
    : env_(env), settings_(std::move(settings)), js_(std::move(host)), node_(node) {
  for (actor::ActorType& type : types) {
    if (registered_) registered_ = registry_.add(std::move(type));
  }
}

napi_value Runtime::start() {
  napi_value promise = nullptr;
  napi_create_promise(env_, &starting_, &promise);
  node_.ref();
  server::applyLogSettings(settings_);
  core_ = std::make_unique<server::LoopThreads>(clock_, settings_.threads);
  node_.loop().spawn("start", [this] {
    core_->onEach([&](fiber::Loop& loop, std::size_t) { coreLoops_.push_back(&loop); });
    Status started = registered_;
    if (started) {
      started = onLoop(storeLoop(), [this] { return openStore(storeLoop()); });
    }
    if (started) {
      environment_ = engine_->makeEnvironment(node_.loop());
      host_ = std::make_unique<actor::Host>(registry_, std::vector{environment_.get()},
                                            alarmsOf(node_.clock()));
      host_->start();
      started = onLoop(*coreLoops_.front(), [this] { return listenOnCore(); });
      watch();
    }
    if (!started) closeOnFiber();
    node_.call([this, started] { finishStart(started); });
  });
  return promise;
}

fiber::Loop& Runtime::storeLoop() {
  return node_.clock().isVirtual() ? node_.loop() : *coreLoops_.front();
}

void Runtime::watch() {
  watchdog_ = std::make_unique<Watchdog>(node_.loop(), node_.current());
  coreLoops_.front()->spawn("watchdog", [this] {
    watchdog_->watch();
    watched_.set(true);
  });
}

void Runtime::stopWatching() {
  if (watchdog_ == nullptr) return;
  onLoop(*coreLoops_.front(), [this] {
    watchdog_->stop();
    return true;
  });
  (void)watched_.wait();
  watchdog_.reset();
}

Status Runtime::openStore(fiber::Loop& loop) {
  SKEP_TRY(const server::StoreUrl url, server::parseStoreUrl(settings_.store));
  SKEP_TRY(engine_, server::Engine::open(loop, url, {.cacheBytes = settings_.cacheBytes}));
  return {};
}

Status Runtime::listenOnCore() {
  SKEP_TRY(gateway::ServerOptions options,
           server::gatewayOptions(settings_, coreLoops_.front()->clock()));
  server::addHealth(options, *engine_, *host_, clock_, [this] { return server_->stats(); });
  server_ = std::make_unique<gateway::Server>(coreLoops_, *host_, options);
  SKEP_CHECK_OK(server_->listen());
  url_ = server::urlOf(options, server_->port());
  return {};
}

void Runtime::finishStart(Status started) {
  if (node_.isEnded()) return;
  if (!started) {
    node_.unref();
    napi_reject_deferred(env_, starting_, errorOf(env_, started.error()));
    return;
  }
  napi_value result = nullptr;
  napi_create_object(env_, &result);
  setProperty(env_, result, "url", toJs(env_, std::string_view(url_)));
  setProperty(env_, result, "port", toJs(env_, static_cast<std::int64_t>(server_->port())));
  napi_resolve_deferred(env_, starting_, result);
}

napi_value Runtime::stop() {
  napi_value promise = nullptr;
  napi_create_promise(env_, &stopping_, &promise);
  close(server::secondsOf(settings_.seconds.notice));
  return promise;
}

void Runtime::end() {
  close({});
}

void Runtime::close(Duration notice) {
  node_.loop().spawn("stop", [this, notice] {
    if (server_ != nullptr && notice > Duration{}) giveNotice(notice);
    closeOnFiber();
    node_.call([this] {
      // The threads of the core end here; nothing of theirs is left to wait for.
      core_.reset();
      node_.unref();
      if (!node_.isEnded()) napi_resolve_deferred(env_, stopping_, undefined(env_));
      const std::function<void()> gone = std::move(gone_);
      delete this;
      gone();
    });
  });
}

/// Lets those who distribute requests learn of the end, while all goes on. Suspends.
void Runtime::giveNotice(Duration notice) {
  onLoop(*coreLoops_.front(), [this, notice] {
    server_->announceEnd();
    fiber::sleepFor(notice);
    return true;
  });
}

/// In the reverse order of start(). Suspends.
void Runtime::closeOnFiber() {
  stopWatching();
  if (server_ != nullptr) {
    // So early that what the calls are told still leaves.
    host_->stopCallsAfter(server::secondsOf(settings_.seconds.drain) * 9 / 10);
    onLoop(*coreLoops_.front(), [this] {
      server_->close();
      server_.reset();
      return true;
    });
  }
  if (host_ != nullptr) host_->close();
  host_.reset();
  environment_.reset();
  if (engine_ != nullptr) {
    onLoop(storeLoop(), [this] {
      engine_->close();
      engine_.reset();
      return true;
    });
  }
}

}  // namespace skep::node
