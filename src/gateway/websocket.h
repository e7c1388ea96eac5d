// WebSocket: one client's WebSocket, and so one connection to an actor (docs/formats/websocket.md).
//
//   Greeting ──connect──► Talking ──► Closing ──► Gone
//
// An idle one costs this object and what the actor's end keeps: no fiber, no buffer. The socket is
// waited for, and read into a buffer that all share; only a message that has not arrived whole is
// kept. What is to be sent is gathered, and written once in a round of the loop: many events in one
// system call. An event's bytes are shared by all that it goes to.
//
// Belongs to its loop, but for the calls of ConnectionPeer: those come from the actor's, and cross over.
// Shared: by itself while it is not Gone, and by the actor's end.

#pragma once

#include <atomic>
#include <boost/intrusive/list.hpp>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "skep/call/router.h"
#include "skep/fiber/loop.h"
#include "skep/fiber/timer.h"
#include "skep/gateway/send_queue.h"
#include "skep/gateway/server.h"
#include "skep/gateway/stream.h"
#include "skep/gateway/websocket_frame.h"
#include "skep/gateway/websocket_upgrade.h"
#include "skep/wire/connection_message.h"

namespace skep::gateway {

class WebSocket final : public call::ConnectionPeer,
                        public std::enable_shared_from_this<WebSocket>,
                        public boost::intrusive::list_base_hook<
                            boost::intrusive::link_mode<boost::intrusive::auto_unlink>> {
 public:
  /// What all of a loop share; outlives them, and everything that they have posted.
  struct Shared {
    fiber::Loop& loop;
    call::Router& router;
    const WebSocketOptions& options;
    std::atomic<std::size_t> openCount = 0;  // these two are read by any thread
    std::atomic<std::uint64_t> messageCount = 0;
    boost::intrusive::list<WebSocket, boost::intrusive::constant_time_size<false>> open = {};
    std::vector<char> readBuffer = {};
    std::vector<std::shared_ptr<WebSocket>> due = {};  // have something to do in the next round
  };

  WebSocket(std::unique_ptr<Stream> stream, WebSocketUpgrade upgrade,
            std::shared_ptr<Client> client, Shared& shared);
  ~WebSocket() override;

  /// Answers the handshake and begins. `received`: what came behind it.
  void start(std::string received);
  /// Takes no more messages; says goodbye when the calls under way are answered.
  void finish();
  void cut();

  void connected(const call::Connected& connected) override;
  void replied(std::uint64_t id, call::Reply reply) override;
  void event(const std::shared_ptr<const call::Event>& event) override;
  void missed(const call::EventPosition& now) override;
  void refused(const call::Failure& failure) override;
  void closed(const call::Closed& why) override;

 private:
  using Frame = SendQueue::Frame;
  enum class Phase : std::uint8_t { Greeting, Talking, Closing, Gone };

  /// Something of the actor's end.
  struct Incoming {
    Frame frame;
    bool endsCall = false;
    bool isTooMuch = false;  // its frame was not kept
    std::optional<call::Closed> close = {};
  };

  // Reading.
  void awaitBytes();
  void readBytes();
  void process(std::span<char> bytes);
  std::size_t processFrames(std::span<char> bytes);
  bool mayProcess() const;
  void received(const FrameDecoder::Message& message);
  void receivedClose(const FrameDecoder::Message& message);
  void receivedMessage(const FrameDecoder::Message& message);
  void handle(wire::ClientMessage& message);
  void connect(wire::ClientMessage& message);
  void call(wire::ClientMessage& message);

  // From the actor's end.
  void arrive(Incoming incoming);
  void takeArrived();
  void take(Incoming& incoming);
  void endCall();

  // Writing.
  void send(Frame frame);
  void sendMessage(std::string_view message);
  void enqueue(Frame frame);
  void makeDue();
  void runDue();
  void write();
  void awaitSpace();
  Opcode opcode() const;
  Frame frameOf(std::string_view message) const;

  // The end.
  void close(CloseCode code, std::string_view reason);
  void closeFor(const call::Closed& why);
  void closeAsTooSlow();
  void sayGoodbye();
  void leaveActor();
  void end();
  void tick();

  std::unique_ptr<Stream> stream_;
  std::shared_ptr<Client> client_;
  fiber::Loop& loop_;
  Shared& shared_;                             // not once Gone
  std::shared_ptr<WebSocket> self_;            // until Gone
  std::unique_ptr<WebSocketUpgrade> upgrade_;  // until the connection is asked for
  std::unique_ptr<call::ConnectionHandle> actor_;
  FrameDecoder decoder_;
  fiber::Timer timer_;

  std::string unread_;  // has arrived, and could not be taken yet
  SendQueue queue_;
  std::size_t callsUnderWay_ = 0;

  Phase phase_ = Phase::Greeting;
  call::Encoding encoding_ = call::Encoding::Json;
  bool isDue_ = false;
  bool isAwaitingBytes_ = false;
  bool isAwaitingSpace_ = false;
  bool isFinishing_ = false;
  bool isDeaf_ = false;  // what still comes is not looked at
  bool endsWhenWritten_ = false;
  bool heard_ = true;          // since the last tick
  bool askedForSign_ = false;  // by a ping

  std::mutex arrivedMutex_;  // for what follows: the actor's loop writes it
  std::vector<Incoming> arrived_;
  std::size_t arrivedBytes_ = 0;
};

}  // namespace skep::gateway
