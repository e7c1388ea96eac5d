#include "skep/fiber/loop.h"

#include <utility>

#include "skep/fiber/loop_core.h"

namespace skep::fiber {

Loop::Loop(Clock& clock, LoopOptions options)
    : clock_(clock), core_(std::make_unique<detail::LoopCore>(*this, clock, options)) {}
Loop::~Loop() = default;

void Loop::spawn(std::string_view name, std::function<void()> body, Priority priority) {
  core_->spawn(name, std::move(body), priority);
}
bool Loop::trySpawn(std::string_view name, std::function<void()> body, Priority priority) {
  if (!core_->hasRoom(priority)) return false;
  core_->spawn(name, std::move(body), priority);
  return true;
}
bool Loop::hasRoom(Priority priority) const {
  return core_->hasRoom(priority);
}
void Loop::post(std::function<void()> function) {
  core_->post(std::move(function));
}
void Loop::run() {
  core_->run();
}
void Loop::stop() {
  core_->stop();
}
void Loop::runUntilIdle() {
  core_->runUntilIdle();
}
void Loop::runUntil(const std::function<bool()>& done) {
  core_->runUntil(done);
}
void Loop::poll() {
  core_->poll();
}
void Loop::setNotifier(std::function<void()> notify) {
  core_->setNotifier(std::move(notify));
}
std::optional<Duration> Loop::untilNextTimer() const {
  return core_->untilNextTimer();
}
boost::asio::io_context& Loop::context() {
  return core_->ioContext();
}
std::size_t Loop::fiberCount() const {
  return core_->fiberCount();
}

void runOnFreshLoop(Clock& clock, const std::function<void(Loop&)>& body) {
  Loop loop(clock);
  bool done = false;
  loop.spawn("main", [&] {
    body(loop);
    done = true;
  });
  loop.runUntil([&] { return done; });
  loop.runUntilIdle();
}

}  // namespace skep::fiber
