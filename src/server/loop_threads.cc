#include "skep/server/loop_threads.h"

#include <thread>

#include "skep/fiber/sync.h"

namespace skep::server {

class LoopThreads::Thread {
 public:
  explicit Thread(Clock& clock) : loop_(clock), thread_([this] { loop_.run(); }) {}
  ~Thread() {
    loop_.stop();
    thread_.join();
  }
  fiber::Loop& loop() { return loop_; }

 private:
  fiber::Loop loop_;
  std::thread thread_;
};

LoopThreads::LoopThreads(Clock& clock, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) threads_.push_back(std::make_unique<Thread>(clock));
}

LoopThreads::~LoopThreads() = default;

void LoopThreads::onEach(const std::function<void(fiber::Loop&, std::size_t)>& body) {
  std::vector<fiber::OneShot<bool>> done(threads_.size());
  for (std::size_t i = 0; i < threads_.size(); ++i) {
    fiber::Loop& loop = threads_[i]->loop();
    loop.spawn("start", [&, i] {
      body(loop, i);
      done[i].set(true);
    });
  }
  for (auto& each : done) (void)each.wait();
}

}  // namespace skep::server
