// WebSocket: one client's WebSocket that speaks `skep.1`, and so one connection to an actor
// (docs/formats/websocket.md).
//
// It is Opening until the client's connect message has come. An event's bytes are shared by all that it goes
// to.
//
// Belongs to its loop, but for the calls of ConnectionPeer: those come from the actor's, and cross over.

#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "skep/call/router.h"
#include "skep/gateway/framed_socket.h"
#include "skep/gateway/websocket_upgrade.h"
#include "skep/wire/connection_message.h"

namespace skep::gateway {

class WebSocket final : public FramedSocket, public call::ConnectionPeer {
 public:
  WebSocket(std::unique_ptr<Stream> stream, WebSocketUpgrade upgrade,
            std::shared_ptr<Client> client, Shared& shared);
  ~WebSocket() override;

  /// Answers the handshake and begins. `received`: what came behind it.
  void start(std::string received);
  /// Says goodbye when the calls under way are answered.
  void finish() override;

  void connected(const call::Connected& connected) override;
  void replied(std::uint64_t id, call::Reply reply) override;
  void event(const std::shared_ptr<const call::Event>& event) override;
  void missed(const call::EventPosition& now) override;
  void refused(const call::Failure& failure) override;
  void closed(const call::Closed& why) override;

 private:
  /// Something of the actor's end.
  struct Incoming {
    Frame frame;
    bool endsCall = false;
    bool isTooMuch = false;  // its frame was not kept
    std::optional<call::Closed> close = {};
  };

  bool mayTake() const override;
  void received(Opcode opcode, std::string_view payload) override;
  void takeArrived() override;
  void leaveActor() override;
  void gone() override;
  bool mayGoOn() override;

  // From the client.
  void handle(wire::ClientMessage& message);
  void connect(wire::ClientMessage& message);
  void call(wire::ClientMessage& message);

  // From the actor's end.
  void arrive(Incoming incoming);
  bool mayQueue(const Incoming& incoming) const;
  void take(Incoming& incoming);
  void endCall();

  void sendMessage(std::string_view message);
  Opcode opcode() const;
  Frame frameOf(std::string_view message) const;
  void closeFor(const call::Closed& why);
  void sayGoodbye();

  std::unique_ptr<WebSocketUpgrade> upgrade_;  // until the connection is asked for
  std::unique_ptr<call::ConnectionHandle> actor_;
  std::size_t callsUnderWay_ = 0;
  call::Encoding encoding_ = call::Encoding::Json;
  std::int64_t tokenExpiresMs_ = 0;  // 0: never
  bool isFinishing_ = false;
  Arrivals<Incoming> arrivals_;
};

}  // namespace skep::gateway
