#include "node_loop.h"

#include <utility>

#include "skep/base/check.h"

namespace skep::node {
namespace {

constexpr int kRoundsMax = 64;  // of fibers and calls, before libuv gets its turn

}  // namespace

NodeLoop::NodeLoop(napi_env env) : env_(env), loop_(clock_) {
  uv_loop_t* uv = nullptr;
  SKEP_CHECK(napi_get_uv_event_loop(env_, &uv) == napi_ok);
  SKEP_CHECK(uv_async_init(uv, &async_, [](uv_async_t* handle) {
               static_cast<NodeLoop*>(handle->data)->drive();
             }) == 0);
  SKEP_CHECK(uv_timer_init(uv, &timer_) == 0);
  async_.data = this;
  timer_.data = this;
  unref();
  napi_value resource = nullptr;
  napi_value name = nullptr;
  napi_create_object(env_, &resource);
  napi_create_string_utf8(env_, "skep", NAPI_AUTO_LENGTH, &name);
  SKEP_CHECK(napi_async_init(env_, resource, name, &context_) == napi_ok);
  SKEP_CHECK(napi_create_reference(env_, resource, 1, &resource_) == napi_ok);
  loop_.setNotifier([this] { uv_async_send(&async_); });
}

NodeLoop::~NodeLoop() = default;

void NodeLoop::ref() {
  uv_ref(reinterpret_cast<uv_handle_t*>(&async_));
}

void NodeLoop::unref() {
  uv_unref(reinterpret_cast<uv_handle_t*>(&async_));
  uv_unref(reinterpret_cast<uv_handle_t*>(&timer_));
}

void NodeLoop::close(std::function<void()> whenClosed) {
  closed_ = std::move(whenClosed);
  loop_.setNotifier(nullptr);
  napi_async_destroy(env_, context_);
  napi_delete_reference(env_, resource_);
  const auto letGo = [](uv_handle_t* handle) {
    auto* self = static_cast<NodeLoop*>(handle->data);
    if (--self->openHandles_ > 0) return;
    const std::function<void()> closed = std::move(self->closed_);
    delete self;
    closed();
  };
  uv_close(reinterpret_cast<uv_handle_t*>(&async_), letGo);
  uv_close(reinterpret_cast<uv_handle_t*>(&timer_), letGo);
}

void NodeLoop::call(std::function<void()> function) {
  calls_.push_back(std::move(function));
  // While drive() runs it looks by itself; else the fibers that called were run by block() or at once.
  if (!isDriving_) uv_async_send(&async_);
}

void NodeLoop::setCurrent(std::string actor) {
  current_.set(std::move(actor));
  hasCurrent_ = true;
}

void NodeLoop::drive() {
  if (isDriving_) return;
  isDriving_ = true;
  ++rounds_;
  int rounds = 0;
  do {
    loop_.poll();
    runCalls();
  } while (!calls_.empty() && ++rounds < kRoundsMax);
  isDriving_ = false;
  if (!calls_.empty()) uv_async_send(&async_);
  armTimer();
}

void NodeLoop::runCalls() {
  std::deque<std::function<void()>> calls;
  calls.swap(calls_);
  for (std::function<void()>& each : calls) {
    napi_handle_scope handles = nullptr;
    if (isEnded_) {
      napi_open_handle_scope(env_, &handles);
      each();
      each = nullptr;
      napi_close_handle_scope(env_, handles);
      continue;
    }
    napi_callback_scope scope = nullptr;
    napi_value resource = nullptr;
    napi_open_handle_scope(env_, &handles);
    napi_get_reference_value(env_, resource_, &resource);
    napi_open_callback_scope(env_, resource, context_, &scope);
    isCalling_ = true;
    each();
    each = nullptr;
    napi_close_callback_scope(env_, scope);
    isCalling_ = false;
    if (std::exchange(hasCurrent_, false)) current_.clear();
    if (scopeEnded_) scopeEnded_();
    napi_close_handle_scope(env_, handles);
  }
}

void NodeLoop::armTimer() {
  const auto delay = loop_.untilNextTimer();
  // Who moves a clock that stands still also wakes this.
  if (!delay || clock_.isVirtual()) {
    uv_timer_stop(&timer_);
    return;
  }
  // Never early: part of a millisecond is a whole one.
  const auto ms = std::chrono::ceil<std::chrono::milliseconds>(*delay).count();
  uv_timer_start(
      &timer_, [](uv_timer_t* handle) { static_cast<NodeLoop*>(handle->data)->drive(); },
      static_cast<std::uint64_t>(ms), 0);
}

}  // namespace skep::node
