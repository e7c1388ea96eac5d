// RawWebSocket: one client's WebSocket whose messages are an actor's own matter (docs/formats/http.md).
//
// It is Opening until the actor's code has let the client in; until then it is an HTTP request that waits, and
// may be refused as one. Belongs to its loop, but for the calls of WebSocketPeer: those come from the actor's,
// and cross over.

#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <variant>

#include "skep/call/web_socket.h"
#include "skep/gateway/framed_socket.h"
#include "skep/gateway/http_handler.h"
#include "skep/gateway/websocket_upgrade.h"

namespace skep::gateway {

class RawWebSocket final : public FramedSocket, public call::WebSocketPeer {
 public:
  /// A request under way of `client`, as which the opening counts; ended by this. `handler` says how a refusal
  /// looks, and outlives this.
  RawWebSocket(std::unique_ptr<Stream> stream, RawUpgrade upgrade, HttpRequest request,
               std::shared_ptr<Client> client, Shared& shared, const HttpHandler& handler);
  ~RawWebSocket() override;

  /// Asks the actor. `received`: what came behind the handshake.
  void start(std::string received);
  void finish() override;

  void accepted(std::string subprotocol) override;
  void message(call::WebSocketMessage message) override;
  void taken(std::size_t cost) override;
  void close(call::WebSocketClose close) override;
  void failed(const call::Failure& failure) override;

 private:
  struct Accepted {
    std::string subprotocol;
  };
  struct Taken {
    std::size_t cost;
  };
  /// Something of the actor's end.
  using Said =
      std::variant<Accepted, call::WebSocketMessage, Taken, call::WebSocketClose, call::Failure>;
  /// A message that waits to be written: where it ends in all that is, and what it counts.
  struct Mark {
    std::uint64_t end;
    std::size_t cost;
  };

  bool mayTake() const override;
  bool mayRead() const override;
  void received(Opcode opcode, std::string_view payload) override;
  void receivedClose(CloseCode code, std::string_view reason) override;
  void takeArrived() override;
  void written() override;
  void leaveActor() override;
  void gone() override;
  bool mayGoOn() override;

  void arrive(Said said);
  void take(const Accepted& accepted);
  void take(const call::WebSocketMessage& message);
  void take(const Taken& taken);
  void take(const call::WebSocketClose& close);
  void take(const call::Failure& failure);
  void endOpening();

  std::unique_ptr<RawUpgrade> upgrade_;  // while Opening, as what follows
  std::unique_ptr<HttpRequest> request_;
  const HttpHandler& handler_;
  std::unique_ptr<call::WebSocketHandle> actor_;
  call::WebSocketClose ending_{.code = call::WebSocketClose::kNoClose, .reason = {}};
  const std::int64_t tokenExpiresMs_;
  std::size_t untaken_ = 0;  // of the client's messages, by the actor's code
  std::deque<Mark> marks_;
  Arrivals<Said> arrivals_;
};

}  // namespace skep::gateway
