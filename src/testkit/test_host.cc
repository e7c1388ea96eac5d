#include "skep/testkit/test_host.h"

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "skep/actor/host.h"
#include "skep/backend/memory/memory_store.h"
#include "skep/base/clock.h"
#include "skep/fiber/loop.h"
#include "skep/store/commit_pipeline.h"
#include "skep/testkit/test_connection_state.h"
#include "skep/vfs/environment.h"

namespace skep {
namespace {

constexpr std::size_t kCacheBytes = 64 * 1024 * 1024;
// There is one host: nobody else's alarms have to be looked for.
const actor::AlarmWatchOptions kAlarms = {.poll = std::chrono::hours(24)};

std::int64_t unixMs(Time time) {
  return std::chrono::floor<std::chrono::milliseconds>(time).time_since_epoch().count();
}

call::ActorAddress addressOf(const std::string& type, const std::vector<std::string>& key) {
  return api::unwrap(call::ActorAddress::make(type, key));
}

}  // namespace

struct TestHost::World {
  struct Process {
    Process(World& world, const Registry& registry)
        : loop(world.clock),
          pipeline(loop, world.store),
          cache(kCacheBytes),
          environment{loop, world.store, pipeline, cache, {}},
          host(registry, {&environment}, kAlarms) {}
    fiber::Loop loop;
    store::CommitPipeline pipeline;
    vfs::PageCache cache;
    vfs::Environment environment;
    actor::Host host;
  };

  explicit World(Time start) : clock(unixMs(start)), store(clock) {}
  fiber::Loop& loop() { return process->loop; }
  actor::Host& host() { return process->host; }

  ManualClock clock;
  backend::MemoryStore store;
  std::unique_ptr<Process> process;
  std::vector<std::weak_ptr<TestConnection::State>> connections;  // those that were made
};

TestHost::TestHost(Registry types, TestOptions options)
    : registry_(std::move(types)),
      options_(options),
      world_(std::make_unique<World>(options.start)) {
  start();
}

TestHost::~TestHost() {
  end();
}

void TestHost::start() {
  world_->process = std::make_unique<World::Process>(*world_, registry_);
  drive([this] { world_->host().start(); });
}

void TestHost::end() {
  for (const auto& each : world_->connections) {
    // Handles go before the host; the host's end is what closes the connections.
    if (const auto connection = each.lock()) connection->handle.reset();
  }
  world_->connections.clear();
  drive([this] {
    world_->host().close();
    world_->process->pipeline.close();
  });
  world_->process.reset();
}

void TestHost::restart() {
  end();
  start();
}

/// Runs `body` on a fiber, and moves the clock from one timer to the next until it has ended.
void TestHost::drive(std::function<void()> body) {
  // Shared: a fiber that never ends may look at it when we have given up.
  const auto done = std::make_shared<bool>(false);
  fiber::Loop& loop = world_->loop();
  loop.spawn("test", [body = std::move(body), done] {
    body();
    *done = true;
  });
  loop.runUntilIdle();
  const MonotonicTime limit = world_->clock.monotonic() + options_.callTimeMax;
  while (!*done) {
    const std::optional<Duration> next = loop.untilNextTimer();
    if (!next || world_->clock.monotonic() + *next > limit) {
      throw std::runtime_error("a call waits for something that does not come");
    }
    world_->clock.advance(*next);
    loop.runUntilIdle();
  }
}

void TestHost::advance(std::chrono::nanoseconds duration) {
  fiber::Loop& loop = world_->loop();
  const MonotonicTime end = world_->clock.monotonic() + std::max(duration, Duration{});
  loop.runUntilIdle();
  while (true) {
    const std::optional<Duration> next = loop.untilNextTimer();
    if (!next || world_->clock.monotonic() + *next > end) break;
    world_->clock.advance(*next);
    loop.runUntilIdle();
  }
  world_->clock.advance(end - world_->clock.monotonic());
}

void TestHost::advanceTo(Time time) {
  advance(time - now());
}

Time TestHost::now() const {
  return Time(std::chrono::milliseconds(world_->clock.wallMs()));
}

Value TestHost::callValue(const Value* claims, const std::string& type, const Key& key,
                          const std::string& action, const Value& arguments) {
  // Shared: see drive().
  const auto reply = std::make_shared<call::Reply>();
  call::ActionRequest request{.actor = addressOf(type, key),
                              .action = action,
                              .arguments = api::format(arguments, call::Encoding::Cbor),
                              .replyEncoding = call::Encoding::Cbor};
  if (claims != nullptr) request.visit = {.claims = api::format(*claims, call::Encoding::Json)};
  drive([this, reply, request = std::move(request)] { *reply = world_->host().run(request); });
  return api::parse(api::unwrap(std::move(*reply)));
}

void TestHost::createWith(const std::string& type, const Key& key, const Value& input) {
  const auto made = std::make_shared<call::Outcome<bool>>();
  drive([this, made, address = addressOf(type, key),
         payload = api::format(input, call::Encoding::Cbor)] {
    *made = world_->host().resolve(address, call::Existence::Create, payload);
  });
  (void)api::unwrap(std::move(*made));
}

void TestHost::destroy(const std::string& type, const Key& key) {
  const auto gone = std::make_shared<call::Outcome<std::monostate>>();
  drive([this, gone, address = addressOf(type, key)] { *gone = world_->host().destroy(address); });
  (void)api::unwrap(std::move(*gone));
}

call::QueueSent TestHost::sendValue(const std::string& type, const Key& key,
                                    const std::string& queue, const Value& body,
                                    const SendOptions& options,
                                    std::optional<std::chrono::nanoseconds> replyTimeout) {
  const auto sent = std::make_shared<call::Outcome<call::QueueSent>>();
  call::QueueSend message{.actor = addressOf(type, key),
                          .queue = queue,
                          .body = api::format(body, call::Encoding::Cbor),
                          .delay = options.delay,
                          .replyTimeout = replyTimeout,
                          .replyEncoding = call::Encoding::Cbor};
  drive([this, sent, message = std::move(message)] { *sent = world_->host().send(message); });
  return api::unwrap(std::move(*sent));
}

TestConnection TestHost::connect(const std::string& type, const Key& key,
                                 TestConnectOptions options) {
  auto state = std::make_shared<TestConnection::State>();
  state->host = this;
  call::ConnectRequest request{.actor = addressOf(type, key),
                               .parameters = api::format(options.parameters, call::Encoding::Json),
                               .subscriptions = std::move(options.subscribe)};
  if (!options.claims.is_null()) {
    request.claims = api::format(options.claims, call::Encoding::Json);
  }
  drive([this, state, request = std::move(request)] {
    state->handle = world_->host().connect(request, state->peer);
    state->peer->wait([&] { return !state->peer->id.empty(); });
  });
  if (state->peer->end) throw ActorError(state->peer->end->failure);
  world_->connections.push_back(state);
  return TestConnection(std::move(state));
}

void TestHost::settle() {
  world_->loop().runUntilIdle();
}

bool TestHost::isAwake(const std::string& type, const Key& key) const {
  return world_->host().isAwake(addressOf(type, key));
}

void TestHost::sleep(const std::string& type, const Key& key) {
  drive([this, address = addressOf(type, key)] { world_->host().sleep(address); });
}

}  // namespace skep
