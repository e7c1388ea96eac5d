#include "skep/testing/test_client.h"

#include "skep/api/codec.h"

namespace skep::testing {

class TestClient::Peer final : public call::ConnectionPeer {
 public:
  void connected(const call::Connected& connected) override {
    id = connected.id;
    position = connected.position;
    heard.emplace_back("connected");
  }
  void replied(std::uint64_t callId, call::Reply reply) override {
    heard.push_back("reply " + std::to_string(callId) + ": " + ActorWorld::textOf(reply));
  }
  void event(const std::shared_ptr<const call::Event>& event) override {
    const Value value = api::parse({.encoding = call::Encoding::Cbor, .bytes = event->value()});
    std::string text = event->name() + " " + value.dump();
    if (event->isInStream()) {
      position = event->position();
      text += " #" + std::to_string(position.sequence);
    }
    heard.push_back(std::move(text));
  }
  void missed(const call::EventPosition& now) override {
    position = now;
    heard.emplace_back("missed");
  }
  void refused(const call::Failure& failure) override {
    heard.push_back("refused: " + failure.toString());
  }
  void closed(const call::Closed& why) override {
    isClosed = true;
    mayRetry = why.mayRetry;
    heard.push_back("closed: " + why.failure.toString());
  }

  std::vector<std::string> heard;
  std::string id;
  call::EventPosition position;
  bool isClosed = false;
  bool mayRetry = false;
};

TestClient::TestClient(ActorWorld& world, const std::string& type, const std::string& key,
                       Options options)
    : world_(world), peer_(std::make_shared<Peer>()) {
  world_.run([&] {
    handle_ = world_.host().connect(
        {.actor = {.type = type, .key = {key}},
         .existence = options.existence,
         .input = std::nullopt,
         .parameters = {.encoding = call::Encoding::Json, .bytes = options.parameters},
         .headers = options.headers,
         .claims = {.encoding = call::Encoding::Json, .bytes = options.claims},
         .subscriptions = options.subscriptions,
         .resume = options.resume,
         .resumedConnection = options.resumedConnection},
        peer_);
  });
}

TestClient::~TestClient() {
  close();
}

void TestClient::call(std::uint64_t id, const std::string& action, const std::string& arguments) {
  handle_->call({.id = id,
                 .action = action,
                 .arguments = {.encoding = call::Encoding::Json, .bytes = arguments},
                 .replyEncoding = call::Encoding::Json});
}
void TestClient::subscribe(const std::string& event) {
  handle_->subscribe({event});
}
void TestClient::unsubscribe(const std::string& event) {
  handle_->unsubscribe({event});
}
void TestClient::close() {
  // A connection that has ended may have ended with its process.
  if (handle_ != nullptr && !peer_->isClosed) {
    handle_->close();
    world_.settle();
  }
  handle_ = nullptr;
}

std::vector<std::string> TestClient::heard() {
  return std::exchange(peer_->heard, {});
}
const std::string& TestClient::id() const {
  return peer_->id;
}
const call::EventPosition& TestClient::position() const {
  return peer_->position;
}
bool TestClient::isClosed() const {
  return peer_->isClosed;
}
bool TestClient::mayRetry() const {
  return peer_->mayRetry;
}

}  // namespace skep::testing
