#include "skep/testing/actor_world.h"

#include <utility>

namespace skep::testing {

ActorWorld::Process& ActorWorld::process() {
  if (process_ == nullptr) process_ = std::make_unique<Process>(clock_, store_, registry_, loopOptions_);
  return *process_;
}

void ActorWorld::run(const std::function<void()>& body) {
  bool done = false;
  process().loop.spawn("test", [&] {
    body();
    done = true;
  });
  process().loop.runUntilIdle();
  ASSERT_TRUE(done) << "the test's fiber waits for something that does not come";
}

call::ActionRequest ActorWorld::request(const std::string& type, const std::string& key,
                                        const std::string& action, const std::string& arguments) {
  return {.actor = {.type = type, .key = {key}},
          .action = action,
          .arguments = {.encoding = call::Encoding::Json, .bytes = arguments}};
}

std::string ActorWorld::textOf(const call::Reply& reply) {
  if (const auto* failure = std::get_if<call::Failure>(&reply)) return failure->toString();
  return std::get<call::Payload>(reply).bytes;
}

std::string ActorWorld::call(call::ActionRequest request) {
  std::string text;
  run([&] { text = textOf(host().run(std::move(request))); });
  return text;
}

std::string ActorWorld::call(const std::string& type, const std::string& key,
                             const std::string& action, const std::string& arguments) {
  return call(request(type, key, action, arguments));
}

void ActorWorld::advance(Duration duration) {
  clock_.advance(duration);
  settle();
}

void ActorWorld::end() {
  if (process_ == nullptr) return;
  bool done = false;
  process_->loop.spawn("end", [&] {
    process_->host.close();
    process_->pipeline.close();
    done = true;
  });
  settle();
  // What is under way may need its time.
  for (int seconds = 0; !done && seconds < 600; ++seconds) advance(std::chrono::seconds(1));
  ASSERT_TRUE(done) << "the host does not close";
  process_.reset();
}

void ActorWorld::crash() {
  // A process that is dead does nothing any more, not even free its memory; kept where leak checkers see it.
  static auto& graves = *new std::vector<std::unique_ptr<Process>>();
  if (process_ != nullptr) graves.push_back(std::move(process_));
}

void ActorWorld::restart() {
  end();
}

}  // namespace skep::testing
