#include "skep/fiber/loop_core.h"

#include <cxxabi.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <exception>
#include <limits>
#include <thread>
#include <utility>

#include "skep/base/check.h"

namespace skep::fiber::detail {
namespace {

using boost::context::detail::jump_fcontext;
using boost::context::detail::make_fcontext;
using boost::context::detail::transfer_t;

// Looking for I/O costs a system call, several times what a round of one fiber does. Small rounds
// are taken together up to these bounds; a round is never cut short.
constexpr std::size_t kTasksPerTurn = 64;
constexpr Duration kTurnDuration = std::chrono::microseconds(20);

// An alarm of a ManualClock never finds its timer due: it must not spin meanwhile.
constexpr Duration kAlarmDelayAfterEarly = std::chrono::microseconds(100);
constexpr Duration kAlarmDelayMax = std::chrono::hours(1);
// How often those that wait for a stack look whether another loop has given one back.
constexpr Duration kStackRetry = std::chrono::milliseconds(10);

struct Running {
  LoopCore* core = nullptr;
  Fiber* fiber = nullptr;
};
thread_local Running running;

ExceptionGlobals& exceptionGlobals() {
  return *reinterpret_cast<ExceptionGlobals*>(abi::__cxa_get_globals());
}

}  // namespace

/// Marks the loop as run by this thread. Loops nest: a fiber may run another loop to its end.
class LoopCore::RunScope {
 public:
  explicit RunScope(LoopCore& core) : core_(core), outer_(running) {
    SKEP_CHECK(!core.running_, "the loop is already being run");
    core.running_ = true;
    core.home_.sanitizer.adoptThreadState();
    core.inbox_.setAwake();
    running = {&core, nullptr};
  }
  ~RunScope() {
    running = outer_;
    core_.running_ = false;
    const bool slept = core_.inbox_.leaveAwake(LoopState::Elsewhere);
    if (core_.notify_ && (!slept || !core_.ready_.isEmpty())) core_.notify_();
  }
  RunScope(const RunScope&) = delete;
  RunScope& operator=(const RunScope&) = delete;

 private:
  LoopCore& core_;
  const Running outer_;
};

LoopCore::LoopCore(Loop& loop, Clock& clock, LoopOptions options)
    : loop_(loop),
      clock_(clock),
      options_(options),
      keepIo_(io_.get_executor()),
      alarm_(io_),
      budget_(options.budget == nullptr ? StackBudget::ofProcess() : *options.budget) {}

LoopCore::~LoopCore() {
  SKEP_CHECK(!running_, "a loop is destroyed from within");
  inbox_.drainPushers();
  inbox_.moveTo(ready_);
  for (Task* task = ready_.takeAll(); task != nullptr;) {
    SKEP_CHECK(task->kind == Task::Kind::Call,
               "a loop is destroyed while a fiber is ready to run on it");
    delete static_cast<Call*>(std::exchange(task, task->next));
  }
  SKEP_CHECK(fiberCount_ == 0, "a loop is destroyed while %zu of its fibers wait", fiberCount_);
  SKEP_CHECK(timers_.isEmpty(), "a loop is destroyed while a timer is pending");
  home_.sanitizer.adoptThreadState();
  for (Strand* strand : idleStrands_) endStrand(strand);
}

LoopCore* LoopCore::current() {
  return running.core;
}
Fiber* LoopCore::currentFiber() {
  return running.fiber;
}

void LoopCore::spawn(std::string_view name, std::function<void()> body, Priority priority) {
  unstartedCount_.fetch_add(1, std::memory_order_relaxed);
  makeReady(*new Fiber(*this, name, std::move(body), priority));
}

bool LoopCore::hasRoom(Priority priority) const {
  // Those that have not begun will take one each.
  return stacksInUse() + unstartedCount_.load(std::memory_order_relaxed) <
         budget_.shareOf(priority);
}

/// Those that other loops keep for reuse count too: they are mapped.
std::size_t LoopCore::stacksInUse() const {
  const std::size_t mapped = budget_.count();
  const std::size_t idle = idleCount_.load(std::memory_order_relaxed);
  return mapped > idle ? mapped - idle : 0;
}

void LoopCore::post(std::function<void()> function) {
  makeReady(*new Call(std::move(function)));
}

void LoopCore::stop() {
  post([this] { stopping_ = true; });
}

void LoopCore::makeReady(Task& task) {
  if (running.core == this) {
    ready_.append(task);
  } else {
    inbox_.push(task, [this](LoopState state) { wakeUp(state); });
  }
}

void LoopCore::wakeUp(LoopState state) {
  if (state == LoopState::Blocked) {
    boost::asio::post(io_, [] {});
  } else if (notify_) {
    notify_();
  }
}

void LoopCore::run() {
  RunScope scope(*this);
  while (!std::exchange(stopping_, false)) {
    if (!takeTurn()) block();
  }
}

void LoopCore::runUntilIdle() {
  RunScope scope(*this);
  while (takeTurn()) {
  }
}

void LoopCore::runUntil(const std::function<bool()>& done) {
  RunScope scope(*this);
  while (!done()) {
    if (!takeTurn()) block();
  }
}

void LoopCore::poll() {
  RunScope scope(*this);
  takeTurn();
}

void LoopCore::runNow(Fiber& fiber) {
  if (running.core == this) return resume(fiber);
  RunScope scope(*this);
  resume(fiber);
}

void LoopCore::setNotifier(std::function<void()> notify) {
  SKEP_CHECK(!running_, "the notifier is set while the loop is not being run");
  notify_ = std::move(notify);
  if (notify_ && !inbox_.leaveAwake(LoopState::Elsewhere)) notify_();
}

/// Returns whether anything ran. False also means that nothing was ready: the loop may block.
bool LoopCore::takeTurn() {
  inbox_.moveTo(ready_);
  std::size_t count = fireTimers();
  count += runReady();
  if (ioUsed_) count += io_.poll();
  return count != 0;
}

std::size_t LoopCore::runReady() {
  if (ready_.isEmpty()) return 0;
  const MonotonicTime end = clock_.monotonic() + kTurnDuration;
  std::size_t count = 0;
  do {
    count += runRound();
    inbox_.moveTo(ready_);
  } while (!ready_.isEmpty() && !stopping_ && count < kTasksPerTurn && clock_.monotonic() < end);
  return count;
}

/// Runs what is ready now, but not what becomes ready meanwhile.
std::size_t LoopCore::runRound() {
  std::size_t count = 0;
  for (Task* task = ready_.takeAll(); task != nullptr; ++count) {
    runTask(*std::exchange(task, task->next));
  }
  return count;
}

std::size_t LoopCore::fireTimers() {
  if (timers_.isEmpty()) return 0;
  return timers_.fireDue(clock_.monotonic());
}

void LoopCore::runTask(Task& task) {
  const std::uint64_t beat = beat_.load(std::memory_order_relaxed);
  beat_.store(beat + 1, std::memory_order_relaxed);
  if (task.kind == Task::Kind::Fiber) {
    resume(static_cast<Fiber&>(task));
  } else {
    Call& call = static_cast<Call&>(task);
    call.function();
    delete &call;
  }
  beat_.store(beat + 2, std::memory_order_relaxed);
}

void LoopCore::resume(Fiber& fiber) {
  if (fiber.strand_ == nullptr && !start(fiber)) return waitForStack(fiber);
  Strand& strand = *fiber.strand_;
  if (fiber.activity_ != nullptr) publishActivity(fiber.activity_);
  running.fiber = &fiber;
  ExceptionGlobals& globals = exceptionGlobals();
  home_.exceptions = std::exchange(globals, strand.context.exceptions);
  enter(strand);
  strand.context.exceptions = std::exchange(globals, home_.exceptions);
  running.fiber = nullptr;
  if (activity_.load(std::memory_order_relaxed) != nullptr) publishActivity(nullptr);
  if (strand.fiber == nullptr) finish(strand);
}

void LoopCore::enter(Strand& strand) {
  home_.sanitizer.leaveFor(strand.context.sanitizer);
  const transfer_t back = jump_fcontext(strand.context.handle, &strand);
  home_.sanitizer.arriveFrom(strand.context.sanitizer);
  strand.context.handle = back.fctx;
}

void LoopCore::leave(Fiber& fiber) {
  fiber.strand_->leave();
}

/// Gives the fiber a stack; false when there is none for it now.
bool LoopCore::start(Fiber& fiber) {
  if (stacksInUse() >= budget_.shareOf(fiber.priority_)) return false;
  if (idleStrands_.empty()) {
    std::unique_ptr<Stack> stack = Stack::map(options_.stackBytes);
    if (stack == nullptr) return false;
    fiber.strand_ = new Strand(*this, std::move(stack));
    budget_.noteMapped();
  } else {
    fiber.strand_ = idleStrands_.back();
    idleStrands_.pop_back();
    idleCount_.store(idleStrands_.size(), std::memory_order_relaxed);
  }
  fiber.strand_->fiber = &fiber;
  unstartedCount_.fetch_sub(1, std::memory_order_relaxed);
  ++fiberCount_;
  return true;
}

void LoopCore::finish(Strand& strand) {
  --fiberCount_;
  // Nobody keeps for himself what others may need.
  const bool isPlenty = budget_.count() <= budget_.shareOf(Priority::Outside);
  if (isPlenty && idleStrands_.size() < options_.pooledStacksMax) {
    idleStrands_.push_back(&strand);
    idleCount_.store(idleStrands_.size(), std::memory_order_relaxed);
  } else {
    endStrand(&strand);
  }
  if (retry_.isQueued()) stackIsFree();
}

/// It begins when a fiber of this loop has ended, or of another: those are looked at now and then.
void LoopCore::waitForStack(Fiber& fiber) {
  starved_[static_cast<std::size_t>(fiber.priority_)].append(fiber);
  if (!retry_.isQueued()) armTimer(retry_, kStackRetry);
}

/// Whom others may wait for comes first.
void LoopCore::stackIsFree() {
  for (std::size_t i = kPriorityCount; i-- > 0;) {
    if (!starved_[i].isEmpty()) return makeReady(starved_[i].takeFirst());
  }
  timers_.cancel(retry_);
}

void LoopCore::wakeStarved() {
  for (std::size_t i = kPriorityCount; i-- > 0;) {
    while (!starved_[i].isEmpty()) makeReady(starved_[i].takeFirst());
  }
}

/// Lets strandMain() end, which tells the sanitizers, then frees the strand.
void LoopCore::endStrand(Strand* strand) {
  enter(*strand);
  delete strand;
  budget_.noteUnmapped();
}

Strand::Strand(LoopCore& loopCore, std::unique_ptr<Stack> mapped)
    : core(loopCore), stack(std::move(mapped)) {
  context.handle = make_fcontext(stack->top(), stack->bytes(), &LoopCore::strandMain);
  context.sanitizer.setBounds(stack->bottom(), stack->bytes());
  context.sanitizer.createThreadState();
}

Strand::~Strand() {
  context.sanitizer.destroyThreadState();
}

void Strand::leave() {
  ExecutionContext& home = core.home_;
  context.sanitizer.leaveFor(home.sanitizer);
  const transfer_t back = jump_fcontext(home.handle, nullptr);
  context.sanitizer.arriveFrom(home.sanitizer);
  home.handle = back.fctx;
}

void LoopCore::strandMain(transfer_t transfer) {
  Strand& strand = *static_cast<Strand*>(transfer.data);
  ExecutionContext& home = strand.core.home_;
  SanitizerStack& sanitizer = strand.context.sanitizer;
  sanitizer.arriveFrom(home.sanitizer);
  home.handle = transfer.fctx;
  while (strand.fiber != nullptr) {
    runBody(*strand.fiber);
    delete std::exchange(strand.fiber, nullptr);
    strand.leave();
  }
  sanitizer.leaveForever(home.sanitizer);
  jump_fcontext(home.handle, nullptr);
  SKEP_UNREACHABLE();
}

void LoopCore::runBody(Fiber& fiber) {
  const auto name = fiber.name_;
  try {
    fiber.body_();
    fiber.body_ = nullptr;
  } catch (const std::exception& error) {
    SKEP_CHECK(false, "fiber '%.*s' ended with an exception: %s", static_cast<int>(name.size()),
               name.data(), error.what());
  } catch (...) {
    SKEP_CHECK(false, "fiber '%.*s' ended with an exception", static_cast<int>(name.size()),
               name.data());
  }
}

std::uint64_t LoopCore::beginSuspension(Fiber& fiber) {
  const std::uint64_t suspension = fiber.suspension_.load(std::memory_order_relaxed) + 1;
  SKEP_CHECK(suspension % 2 == 1, "a fiber suspends while it suspends");
  fiber.suspension_.store(suspension, std::memory_order_relaxed);
  return suspension;
}

void LoopCore::checkMaySuspend() {
  SKEP_CHECK(exceptionGlobals().caughtExceptions == nullptr, "no suspension in a catch block");
}

// ---- For the watch

const Activity* LoopCore::setActivity(const Activity* activity) {
  Fiber* const fiber = currentFiber();
  SKEP_CHECK(fiber != nullptr, "only a fiber is about something");
  publishActivity(activity);
  return std::exchange(fiber->activity_, activity);
}

/// The activity before may go away when this has returned: whoever looks at it sets isLookedAt_ before it
/// reads activity_, and we write activity_ before we read isLookedAt_, so one of the two sees the other.
void LoopCore::publishActivity(const Activity* activity) {
  activity_.exchange(activity, std::memory_order_seq_cst);
  while (isLookedAt_.load(std::memory_order_seq_cst)) std::this_thread::yield();
}

HeldLoop LoopCore::look() {
  HeldLoop held;
  isLookedAt_.store(true, std::memory_order_seq_cst);
  if (const Activity* activity = activity_.load(std::memory_order_seq_cst)) {
    held.actor = activity->actor;
    held.what = activity->what;
  }
  isLookedAt_.store(false, std::memory_order_seq_cst);
  return held;
}

void LoopCore::armTimer(TimerEntry& entry, Duration delay) {
  const MonotonicTime now = clock_.monotonic();
  const Duration longest(std::numeric_limits<std::int64_t>::max() - now.ns);
  timers_.arm(entry, now + std::clamp(delay, Duration::zero(), longest));
}

std::optional<Duration> LoopCore::untilNextTimer() const {
  if (timers_.isEmpty()) return std::nullopt;
  return std::max(timers_.earliest() - clock_.monotonic(), Duration::zero());
}

boost::asio::io_context& LoopCore::ioContext() {
  ioUsed_ = true;
  return io_;
}

void LoopCore::block() {
  if (stopping_ || !inbox_.leaveAwake(LoopState::Blocked)) return;
  armAlarm();
  io_.run_one();
  inbox_.setAwake();
}

void LoopCore::armAlarm() {
  if (timers_.isEmpty()) return;
  const MonotonicTime due = timers_.earliest();
  // An alarm that is too early only costs a turn; setting it back would cost a system call each
  // time.
  if (alarmDue_ && *alarmDue_ <= due) return;
  const Duration shortest = alarmWasEarly_ ? kAlarmDelayAfterEarly : Duration::zero();
  alarm_.expires_after(std::clamp(due - clock_.monotonic(), shortest, kAlarmDelayMax));
  alarm_.async_wait([this](boost::system::error_code cancelled) {
    if (cancelled) return;
    alarmWasEarly_ = alarmDue_ && clock_.monotonic() < *alarmDue_;
    alarmDue_.reset();
  });
  alarmDue_ = due;
}

}  // namespace skep::fiber::detail
