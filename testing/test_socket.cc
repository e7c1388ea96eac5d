#include "skep/testing/test_socket.h"

#include <utility>

namespace skep::testing {

class TestSocket::Peer final : public call::WebSocketPeer {
 public:
  explicit Peer(ActorWorld& world) : world_(world) {}

  void accepted(std::string subprotocol) override {
    heard.push_back(subprotocol.empty() ? "accepted" : "accepted " + subprotocol);
  }
  void message(call::WebSocketMessage message) override {
    waitingCost += message.cost();
    const bool isText = message.kind == call::WebSocketMessage::Kind::Text;
    heard.push_back((isText ? "text " : "binary ") + message.bytes);
    if (handle == nullptr) return;
    // Not from within this call.
    world_.spawn([this] { take(); });
  }
  void taken(std::size_t cost) override { takenCost += cost; }
  void close(call::WebSocketClose close) override {
    heard.push_back("close " + std::to_string(close.code) +
                    (close.reason.empty() ? "" : " " + close.reason));
    isOver = true;
  }
  void failed(const call::Failure& failure) override {
    heard.push_back("failed " + failure.toString());
    isOver = true;
  }

  void take() {
    if (handle != nullptr) handle->taken(std::exchange(waitingCost, 0));
  }

  ActorWorld& world_;
  call::WebSocketHandle* handle = nullptr;  // of a quick client
  std::vector<std::string> heard;
  std::size_t waitingCost = 0;
  std::size_t takenCost = 0;
  bool isOver = false;
};

TestSocket::TestSocket(ActorWorld& world, call::HttpRequest request, Client client)
    : world_(world), peer_(std::make_shared<Peer>(world)) {
  request.method = "GET";
  world_.run([&] { handle_ = world_.host().openSocket(std::move(request), peer_); });
  if (client == Client::Quick) {
    peer_->handle = handle_.get();
    peer_->take();
  }
}

TestSocket::~TestSocket() {
  if (!peer_->isOver) vanish();
}

void TestSocket::sendText(const std::string& text) {
  handle_->message({.kind = call::WebSocketMessage::Kind::Text, .bytes = text});
  world_.settle();
}

void TestSocket::sendBinary(const std::string& bytes) {
  handle_->message({.kind = call::WebSocketMessage::Kind::Binary, .bytes = bytes});
  world_.settle();
}

void TestSocket::close(std::uint16_t code, const std::string& reason) {
  peer_->handle = nullptr;
  peer_->isOver = true;
  handle_->closed({.code = code, .reason = reason});
  world_.settle();
}

void TestSocket::vanish() {
  close(call::WebSocketClose::kNoClose);
}

std::vector<std::string> TestSocket::heard() {
  return std::exchange(peer_->heard, {});
}

std::size_t TestSocket::waitingCost() const {
  return peer_->waitingCost;
}

void TestSocket::take() {
  handle_->taken(std::exchange(peer_->waitingCost, 0));
  world_.settle();
}

std::size_t TestSocket::takenCost() const {
  return peer_->takenCost;
}

}  // namespace skep::testing
