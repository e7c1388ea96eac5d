#include "run.h"

#include <algorithm>
#include <unordered_map>
#include <utility>

#include "js_actor.h"
#include "skep/base/check.h"

namespace skep::node {
namespace {

/// For code that was told to end because its actor goes; a call whose time has run out has none.
constexpr Duration kGrace = std::chrono::seconds(15);

}  // namespace

struct Run::Registry {
  std::unordered_map<Id, Run*> runs;
  std::vector<Id> touched;  // by the code that runs now
  Id next = 1;
};

/// Each JavaScript thread has its own.
Run::Registry& Run::registry() {
  thread_local Registry registry;
  return registry;
}

Run::Run(NodeLoop& node, JsActor& actor, actor::Invocation& invocation)
    : node_(node),
      actor_(actor),
      invocation_(invocation),
      all_(registry()),
      id_(all_.next++),
      grace_(node.loop()) {
  all_.runs.emplace(id_, this);
}

Run::~Run() {
  all_.runs.erase(id_);
}

Run* Run::find(Id id) {
  const Registry& all = registry();
  const auto found = all.runs.find(id);
  if (found == all.runs.end()) return nullptr;
  Run* const run = found->second;
  return run->settled_ || run->isAbandoned_ ? nullptr : run;
}

void Run::perform(Operation& operation) {
  touch();
  operations_.push_back(&operation);
  yields_ = false;
  runFiber();
  if (!operation.isDone_) operation.isAwaited_ = true;
}

bool Run::performBlocking(Operation& operation) {
  touch();
  operations_.push_back(&operation);
  yields_ = false;
  runFiber();
  if (operation.isDone_) return true;
  if (!operation.isStarted_) {
    // The turn is another run's, whose code would have to go on first: on this thread.
    operations_.erase(std::find(operations_.begin(), operations_.end(), &operation));
    return false;
  }
  node_.block([&] { return operation.isDone_; });
  return true;
}

/// When the code that runs now is over, this run's turn may be.
void Run::touch() {
  std::vector<Id>& touched = all_.touched;
  if (touched.empty() || touched.back() != id_) touched.push_back(id_);
  // Code that we did not start: timers, sockets of its own.
  if (!node_.isCalling()) node_.call([] {});
}

void Run::scopeEnded() {
  std::vector<Id>& touched = registry().touched;
  for (std::size_t i = 0; i < touched.size(); ++i) {
    if (Run* run = find(touched[i])) run->mayYield();
  }
  touched.clear();
}

void Run::mayYield() {
  if (isPaused_ && isSocketReady()) return runFiber();
  if (!operations_.empty() || !waiting_ || isPaused_ || hasSavepoint()) return;
  actor_.takeState();
  yields_ = true;
  runFiber();
}

void Run::settle(Settled settled) {
  settled_ = std::move(settled);
  actor_.takeState();
  runFiber();
}

void Run::failLater(const call::Failure& failure) {
  if (!later_) later_ = failure;
}

void Run::runFiber() {
  if (waiting_) std::exchange(waiting_, {}).wakeAndRun();
}

void Run::waitForWork() {
  while (operations_.empty() && !settled_ && !yields_ && !isAbandoned_ && !isSocketReady()) {
    fiber::suspend([&](fiber::Waker waker) { waiting_ = waker; });
  }
}

void Run::aborted() {
  const bool isTimeout = invocation_.isTimedOut();
  actor_.tellAborted(id_, isTimeout);
  if (isTimeout) return abandon();
  grace_.callAfter(kGrace, [this] { abandon(); });
}

void Run::abandon() {
  isAbandoned_ = true;
  if (waiting_) std::exchange(waiting_, {}).wake();
}

void Run::abandonAll() {
  for (const auto& [id, run] : registry().runs) run->abandon();
}

Settled Run::serve(std::function<void()> dispatch) {
  if (socket != nullptr) {
    socket->setOnChange([this] {
      if (waiting_) std::exchange(waiting_, {}).wake();
    });
  }
  fiber::AbortToken abort = invocation_.abortToken();
  const std::uint64_t hook = abort.onAbort([this] { aborted(); });
  node_.call([id = id_, dispatch = std::move(dispatch)] {
    Run* const run = find(id);
    if (run == nullptr) return;
    run->touch();
    if (run->node_.isEnded()) return run->abandon();
    run->node_.setCurrent(run->invocation_.actor().toString());
    dispatch();
  });
  while (true) {
    waitForWork();
    if (!operations_.empty()) {
      Operation& next = *operations_.front();
      operations_.pop_front();
      next.isStarted_ = true;
      next.work(invocation_, turn_);
      finish(next);
      continue;
    }
    if (settled_ || isAbandoned_) break;
    if (isSocketReady()) {
      deliverFromSocket();
      continue;
    }
    yields_ = false;
    turn_ = invocation_.pause([&] {
      isPaused_ = true;
      if (socket != nullptr && !isBusy_ && !isDelivering_) socket->letOthersRun();
      waitForWork();
      if (socket != nullptr) socket->waitForOthers();
      isPaused_ = false;
    });
  }
  abort.remove(hook);
  if (socket != nullptr) socket->setOnChange(nullptr);
  if (!settled_) {
    return {.failure = call::Failure(call::FailureCode::ActorStopped,
                                     "the actor's code was told to end, and did not")};
  }
  if (!settled_->failure && later_) settled_->failure = std::move(later_);
  if (!settled_->failure && !turn_) {
    settled_->failure = call::failureOf(turn_.error(), invocation_.actor().toString());
  }
  return *std::move(settled_);
}

void Run::setBusy(bool isBusy) {
  isBusy_ = isBusy;
  if (waiting_ && isSocketReady()) runFiber();
}

bool Run::isSocketReady() {
  return socket != nullptr && !isBusy_ && !isDelivering_ && !isSocketOver_ && socket->isReady();
}

void Run::deliverFromSocket() {
  isDelivering_ = true;
  const auto message = socket->take();
  if (!message) isSocketOver_ = true;
  const call::WebSocketClose ending =
      message ? call::WebSocketClose() : socket->exchange()->ending();
  node_.call([id = id_, message, ending] {
    Run* const run = find(id);
    if (run == nullptr) return;
    run->isDelivering_ = false;
    run->touch();
    run->node_.setCurrent(run->invocation_.actor().toString());
    JsHost& host = run->actor_.host();
    if (message) {
      host.message(id, *message);
    } else {
      host.closed(id, ending);
    }
  });
}

void Run::finish(Operation& operation) {
  operation.isDone_ = true;
  if (!operation.isAwaited_) return;
  node_.call([&operation, &node = node_, id = id_] {
    if (Run* run = find(id)) {
      run->touch();
      run->node_.setCurrent(run->invocation_.actor().toString());
    }
    if (!node.isEnded()) operation.deliver();
    delete &operation;
  });
}

}  // namespace skep::node
