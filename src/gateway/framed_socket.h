// FramedSocket: one client's WebSocket below what is said over it: frames, the order of writes, the closing
// handshake, the signs of life.
//
//   Opening ──► Talking ──► Closing ──► Gone
//
// An idle one costs this object: no fiber, no buffer. The socket is waited for, and read into a buffer that
// all share; only a message that has not arrived whole is kept. What is to be sent is gathered, and
// written once in a round of the loop: many frames in one system call. A frame's bytes may be shared by
// all that it goes to.
//
// Belongs to its loop. Shared: by itself while it is not Gone, and by the actor's end, which calls what its
// kinds add from the actor's loop.

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
#include <utility>
#include <vector>

#include "skep/call/router.h"
#include "skep/fiber/loop.h"
#include "skep/fiber/timer.h"
#include "skep/gateway/credentials.h"
#include "skep/gateway/send_queue.h"
#include "skep/gateway/server.h"
#include "skep/gateway/stream.h"
#include "skep/gateway/websocket_frame.h"

namespace skep::gateway {

class FramedSocket : public std::enable_shared_from_this<FramedSocket>,
                     public boost::intrusive::list_base_hook<
                         boost::intrusive::link_mode<boost::intrusive::auto_unlink>> {
 public:
  /// What all of a loop share; outlives them, and everything that they have posted.
  struct Shared {
    fiber::Loop& loop;
    call::Router& router;
    const WebSocketOptions& options;
    const Credentials& credentials;
    std::atomic<std::size_t> openCount = 0;  // these two are read by any thread
    std::atomic<std::uint64_t> messageCount = 0;
    boost::intrusive::list<FramedSocket, boost::intrusive::constant_time_size<false>> open = {};
    std::vector<char> readBuffer = {};
    std::vector<std::shared_ptr<FramedSocket>> due = {};  // have something to do in the next round
  };

  FramedSocket(std::unique_ptr<Stream> stream, std::shared_ptr<Client> client, Shared& shared);
  virtual ~FramedSocket();
  FramedSocket(const FramedSocket&) = delete;
  FramedSocket& operator=(const FramedSocket&) = delete;

  /// Takes no more messages; says goodbye when that can be.
  virtual void finish() = 0;
  void cut() { end(); }

 protected:
  using Frame = SendQueue::Frame;
  enum class Phase : std::uint8_t { Opening, Talking, Closing, Gone };

  // --- What a kind adds. ---

  /// Whether the next message may be taken now. While not, the client's bytes wait where they are, in the end
  /// at the client.
  virtual bool mayTake() const = 0;
  /// Whether more is read though no message may be taken.
  virtual bool mayRead() const { return mayProcess(); }
  /// A text or binary message.
  virtual void received(Opcode opcode, std::string_view payload) = 0;
  /// The client has closed; is answered then.
  virtual void receivedClose(CloseCode, std::string_view) {}
  /// What the actor's end has said meanwhile.
  virtual void takeArrived() = 0;
  /// Something was written.
  virtual void written() {}
  /// Nothing more is said to the actor's end, which learns so, unless it did before.
  virtual void leaveActor() = 0;
  /// It is over. Comes once.
  virtual void gone() {}
  /// Once a pingInterval. False: it was closed.
  virtual bool mayGoOn() { return true; }

  // --- What a kind uses. ---

  /// It lives, from now on. `received`: what came behind the handshake.
  void begin(std::string received);
  /// Signs of life are asked for, from now on.
  void tick();
  bool mayProcess() const;
  /// Something to do in the next round of the loop.
  void makeDue();
  void send(Frame frame);
  /// The same, whatever waits already.
  void enqueue(Frame frame);
  void close(CloseCode code, std::string_view reason);
  /// For who does not read: nothing but the frame that is half written, and the close.
  void closeAsTooSlow(CloseCode code);
  /// Before the handshake was answered: with this response instead.
  void refuse(std::string response);
  void end();

  const SendQueue& queue() const { return queue_; }
  std::size_t unreadBytes() const { return unread_.size(); }

  std::unique_ptr<Stream> stream_;
  const std::shared_ptr<Client> client_;
  fiber::Loop& loop_;
  Shared& shared_;                      // not once Gone
  std::shared_ptr<FramedSocket> self_;  // until Gone
  fiber::Timer timer_;
  Phase phase_ = Phase::Opening;

 private:
  void awaitBytes();
  void readBytes();
  void process(std::span<char> bytes);
  std::size_t processFrames(std::span<char> bytes);
  void take(const FrameDecoder::Message& message);
  void watchMessage();
  void runDue();
  void write();
  void awaitSpace();

  FrameDecoder decoder_;
  std::string unread_;                         // has arrived, and could not be taken yet
  std::optional<MonotonicTime> messageSince_;  // of which a part has come
  SendQueue queue_;
  bool isDue_ = false;
  bool isAwaitingBytes_ = false;
  bool isAwaitingSpace_ = false;
  bool isDeaf_ = false;  // what still comes is not looked at
  bool endsWhenWritten_ = false;
  bool heard_ = true;          // since the last tick
  bool askedForSign_ = false;  // by a ping
};

/// What the actor's end has said, on its loop, until the socket's takes it.
template <class Item>
class Arrivals {
 public:
  /// True: nothing else waits, so the socket has to be told.
  bool put(Item item) {
    const std::lock_guard lock(mutex_);
    items_.push_back(std::move(item));
    return items_.size() == 1;
  }
  /// `fill(item, bytes)` may change the item, by how many bytes have come since the last take(), and gives how
  /// many come with it.
  template <class Fill>
  bool put(Item item, Fill fill) {
    const std::lock_guard lock(mutex_);
    bytes_ += fill(item, bytes_);
    items_.push_back(std::move(item));
    return items_.size() == 1;
  }
  bool isEmpty() const {
    const std::lock_guard lock(mutex_);
    return items_.empty();
  }
  std::vector<Item> take() {
    const std::lock_guard lock(mutex_);
    bytes_ = 0;
    return std::exchange(items_, {});
  }

 private:
  mutable std::mutex mutex_;
  std::vector<Item> items_;
  std::size_t bytes_ = 0;
};

}  // namespace skep::gateway
