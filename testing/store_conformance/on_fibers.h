// OnFibers: a PageStore whose calls all run as fibers of one loop, whichever thread makes them.
//
// The conformance suite calls a store from plain threads; through this it also tries what a store
// does when its callers suspend: many calls in flight on one thread. The loop has a thread of its
// own; the store underneath and the clock outlive this.

#pragma once

#include <future>
#include <thread>

#include "skep/fiber/loop.h"
#include "skep/fiber/sync.h"
#include "skep/store/page_store.h"

namespace skep::testing {

class OnFibers final : public store::PageStore {
 public:
  OnFibers(store::PageStore& inner, Clock& clock) : inner_(inner) {
    std::promise<fiber::Loop*> started;
    thread_ = std::thread([&clock, &started] {
      fiber::Loop loop(clock);
      started.set_value(&loop);
      loop.run();
    });
    loop_ = started.get_future().get();
  }
  /// No call may be under way.
  ~OnFibers() override {
    loop_->stop();
    thread_.join();
  }
  OnFibers(const OnFibers&) = delete;
  OnFibers& operator=(const OnFibers&) = delete;

  Result<store::OpenedDatabase> open(const store::OpenRequest& request) override {
    return onFiber([&] { return inner_.open(request); });
  }
  std::vector<Status> write(std::span<const store::DatabaseWrite> writes) override {
    return onFiber([&] { return inner_.write(writes); });
  }
  Result<store::ChunkRead> readChunks(const store::ChunkReadRequest& request) override {
    return onFiber([&] { return inner_.readChunks(request); });
  }
  Result<store::Head> readHead(store::DatabaseId id) override {
    return onFiber([&] { return inner_.readHead(id); });
  }
  Result<store::DatabaseInfo> info(std::string_view name) override {
    return onFiber([&] { return inner_.info(name); });
  }
  Result<store::ListPage> list(std::string_view prefix, std::string_view after,
                               std::size_t limit) override {
    return onFiber([&] { return inner_.list(prefix, after, limit); });
  }
  Result<std::vector<store::StoredRecord>> readLog(store::DatabaseId id, store::Txid afterTxid,
                                                   std::size_t bytesMax) override {
    return onFiber([&] { return inner_.readLog(id, afterTxid, bytesMax); });
  }
  Result<std::vector<store::ChunkVersion>> listChunkVersions(
      store::DatabaseId id, std::optional<store::ChunkVersion> after, std::size_t limit) override {
    return onFiber([&] { return inner_.listChunkVersions(id, after, limit); });
  }
  Result<store::VersionAt> versionAt(store::DatabaseId id, std::int64_t timeMs) override {
    return onFiber([&] { return inner_.versionAt(id, timeMs); });
  }
  Status destroy(std::string_view name,
                 std::optional<store::Ownership> onlyAs = std::nullopt) override {
    return onFiber([&] { return inner_.destroy(name, onlyAs); });
  }
  Result<std::vector<store::DueAlarm>> dueAlarms(std::int64_t nowMs, std::size_t limit) override {
    return onFiber([&] { return inner_.dueAlarms(nowMs, limit); });
  }
  /// Only the taking of it runs on a fiber.
  Result<std::unique_ptr<store::PageStore>> snapshot() override {
    return onFiber([&] { return inner_.snapshot(); });
  }
  std::string_view kind() const override { return inner_.kind(); }

 private:
  template <class Call>
  auto onFiber(Call call) -> std::invoke_result_t<Call> {
    std::promise<std::invoke_result_t<Call>> done;
    loop_->spawn("store call", [&] { done.set_value(call()); });
    return done.get_future().get();
  }

  store::PageStore& inner_;
  fiber::Loop* loop_ = nullptr;
  std::thread thread_;
};

}  // namespace skep::testing
