#include "skep/testing/cluster/sim_node.h"

#include <utility>

#include "skep/base/check.h"

namespace skep::testing {

using call::Failure;
using call::FailureCode;

namespace {

constexpr Duration kReplyTime = std::chrono::seconds(8);  // of another node
constexpr std::size_t kCacheBytes = 4 << 20;

}  // namespace

class SimNode::LeaseInUse final : public store::Lease {
 public:
  LeaseInUse(const cluster::NodeLease& real, bool isBroken) : real_(real), isBroken_(isBroken) {}
  store::Incarnation incarnation() const override { return real_.incarnation(); }
  bool isHeldBy(store::Incarnation incarnation) const override {
    return isBroken_ ? incarnation != 0 : real_.isHeldBy(incarnation);
  }

 private:
  const cluster::NodeLease& real_;
  const bool isBroken_;
};

/// Another node's host, over the network.
class SimNode::Remote final : public call::Router {
 public:
  Remote(SimNode& from, store::NodeInfo node) : from_(from), node_(std::move(node)) {}

  call::Reply run(call::ActionRequest request) override {
    return ask<call::Payload>([request](call::Router& host) { return host.run(request); });
  }
  call::Outcome<call::QueueSent> send(call::QueueSend message) override {
    return ask<call::QueueSent>([message](call::Router& host) { return host.send(message); });
  }
  call::Outcome<bool> resolve(const call::ActorAddress& actor, call::Existence existence,
                              std::optional<call::Payload> input, const call::Visit*,
                              call::Waiting waiting) override {
    return ask<bool>([=](call::Router& host) {
      return host.resolve(actor, existence, input, nullptr, waiting);
    });
  }
  call::Outcome<std::monostate> destroy(const call::ActorAddress& actor) override {
    return ask<std::monostate>([actor](call::Router& host) { return host.destroy(actor); });
  }
  call::Outcome<std::monostate> sleep(const call::ActorAddress& actor) override {
    return ask<std::monostate>([actor](call::Router& host) { return host.sleep(actor); });
  }
  call::Outcome<call::ActorDetails> info(const call::ActorAddress& actor) override {
    return ask<call::ActorDetails>([actor](call::Router& host) { return host.info(actor); });
  }
  call::Outcome<call::ActorList> list(const std::string&, const std::string&,
                                      std::size_t) override {
    return Failure(FailureCode::Internal, "nobody lists another node's actors");
  }
  std::unique_ptr<call::ConnectionHandle> connect(call::ConnectRequest,
                                                  std::shared_ptr<call::ConnectionPeer>) override {
    return nullptr;
  }
  std::unique_ptr<call::HttpHandle> request(call::HttpRequest,
                                            std::shared_ptr<call::HttpPeer>) override {
    return nullptr;
  }
  std::unique_ptr<call::WebSocketHandle> openSocket(call::HttpRequest,
                                                    std::shared_ptr<call::WebSocketPeer>) override {
    return nullptr;
  }

 private:
  template <class T>
  call::Outcome<T> ask(std::function<call::Outcome<T>(call::Router&)> call) {
    const std::string from = from_.settings_.name;
    const std::string to = node_.facts.address;
    SimNetwork& network = from_.network_;
    // A connection that is refused or cannot be made is known to be so.
    SimNode* now = network.at(to);
    if (now == nullptr || network.link(from, to).isCut) {
      fiber::sleepFor(std::chrono::milliseconds(50));
      return Failure(FailureCode::NodeUnreachable, "the node cannot be reached");
    }
    const auto answer = std::make_shared<SimAnswer<call::Outcome<T>>>();
    const store::Incarnation meant = node_.incarnation;
    network.link(from, to).send(network.time(), network.random(), [=, &network] {
      SimNode* node = network.at(to);
      if (node == nullptr) return;
      node->loop_.spawn("forwarded", [=, &network] {
        call::Outcome<T> outcome =
            node->member_.self() == meant
                ? call(*node->host_)
                : call::Outcome<T>(Failure(FailureCode::ActorElsewhere, "another incarnation"));
        if (node->hasCrashed_) return;
        network.link(to, from).send(
            network.time(), network.random(),
            [answer, outcome = std::move(outcome)] { answer->give(outcome); });
      });
    });
    std::optional<call::Outcome<T>> given = answer->wait(kReplyTime);
    if (given) return std::move(*given);
    return Failure(FailureCode::OutcomeUnknown, "no answer came back");
  }

  SimNode& from_;
  const store::NodeInfo node_;
};

SimNode::SimNode(SimNetwork& network, backend::MemoryStore& shared, const actor::Registry& registry,
                 Settings settings)
    : network_(network),
      settings_(std::move(settings)),
      clock_(network.time(), settings_.clockRate),
      loop_(clock_),
      store_(shared, network.time(), network.random(), settings_.broken),
      pipeline_(loop_, store_),
      cache_(kCacheBytes),
      lease_(clock_),
      leaseInUse_(std::make_unique<LeaseInUse>(lease_, settings_.broken == Broken::NoLeaseCheck)),
      environment_{loop_, store_, pipeline_, cache_, {}, leaseInUse_.get()},
      member_(loop_, store_, lease_,
              {.name = settings_.name, .address = settings_.name, .types = {"log"}},
              {.seed = settings_.seed}),
      router_(member_, *this, placement_, clock_),
      host_(std::make_unique<actor::Host>(registry, std::vector<vfs::Environment*>{&environment_},
                                          alarmOptions(), &router_)) {
  router_.attach(*host_);
}

actor::AlarmWatchOptions SimNode::alarmOptions() {
  actor::AlarmWatchOptions options;
  options.isOurs = [this](const call::ActorAddress& actor) { return router_.belongsHere(actor); };
  return options;
}

SimNode::~SimNode() {
  SKEP_CHECK(hasEnded_, "node %s goes while it runs", settings_.name.c_str());
}

void SimNode::start() {
  loop_.spawn("start", [this] {
    const Status joined = member_.join();
    if (isStopping_ || hasCrashed_) return;
    SKEP_CHECK(joined.ok(), "%s cannot join: %s", settings_.name.c_str(),
               joined.error().message.c_str());
    host_->start();
    isIn_ = true;
  });
}

void SimNode::crash() {
  hasCrashed_ = true;
  isPaused_ = false;
  store_.crash();
  if (!std::exchange(isStopping_, true)) loop_.spawn("after the crash", [this] { end(); });
}

void SimNode::stop() {
  isStopping_ = true;
  loop_.spawn("stop", [this] {
    (void)member_.drain();
    end();
  });
}

void SimNode::end() {
  host_->close();
  (void)member_.leave();
  member_.close();
  pipeline_.close();
  hasEnded_ = true;
}

std::shared_ptr<call::Router> SimNode::routerTo(const store::NodeInfo& node) {
  return std::make_shared<Remote>(*this, node);
}

}  // namespace skep::testing
