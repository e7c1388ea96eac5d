#include "skep/testing/test_exchange.h"

#include <utility>

namespace skep::testing {

class TestExchange::Peer final : public call::HttpPeer {
 public:
  explicit Peer(ActorWorld& world) : world_(world) {}

  void answered(call::HttpResponse response) override {
    head = std::move(response.head);
    heard.push_back(std::to_string(head.status) + " " + response.body);
    isOver = true;
  }
  void begun(call::HttpHead begun) override {
    head = std::move(begun);
    heard.push_back("begun " + std::to_string(head.status));
  }
  void chunk(std::string bytes) override {
    waitingBytes += bytes.size();
    heard.push_back("chunk " + std::move(bytes));
    if (handle == nullptr) return;
    // Not from within this call.
    world_.spawn([this] { take(); });
  }
  void ended() override {
    heard.emplace_back("ended");
    isOver = true;
  }
  void failed(const call::Failure& failure) override {
    heard.push_back("failed " + failure.toString());
    isOver = true;
  }

  void take() {
    if (handle != nullptr) handle->taken(std::exchange(waitingBytes, 0));
  }

  ActorWorld& world_;
  call::HttpHandle* handle = nullptr;  // of a quick client
  call::HttpHead head;
  std::vector<std::string> heard;
  std::size_t waitingBytes = 0;
  bool isOver = false;
};

TestExchange::TestExchange(ActorWorld& world, call::HttpRequest request, Client client)
    : world_(world), peer_(std::make_shared<Peer>(world)) {
  world_.run([&] { handle_ = world_.host().request(std::move(request), peer_); });
  if (client == Client::Quick) {
    peer_->handle = handle_.get();
    take();
  }
}

TestExchange::~TestExchange() {
  if (!peer_->isOver) close();
}

std::vector<std::string> TestExchange::heard() {
  return std::exchange(peer_->heard, {});
}

std::string TestExchange::header(const std::string& name) const {
  for (const auto& [key, value] : peer_->head.headers) {
    if (key == name) return value;
  }
  return "";
}

std::size_t TestExchange::waitingBytes() const {
  return peer_->waitingBytes;
}

void TestExchange::take() {
  handle_->taken(std::exchange(peer_->waitingBytes, 0));
  world_.settle();
}

void TestExchange::close() {
  peer_->handle = nullptr;
  peer_->isOver = true;
  handle_->close();
  world_.settle();
}

}  // namespace skep::testing
