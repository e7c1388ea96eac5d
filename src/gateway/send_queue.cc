#include "skep/gateway/send_queue.h"

#include <utility>

namespace skep::gateway {
namespace {

constexpr std::size_t kPlacesKept = 16;  // by an empty queue

}  // namespace

void SendQueue::push(Frame frame) {
  // The places of what is written are used again before the vector grows.
  if (start_ > 0 && frames_.size() == frames_.capacity()) {
    frames_.erase(frames_.begin(), frames_.begin() + static_cast<std::ptrdiff_t>(start_));
    start_ = 0;
  }
  bytes_ += frame->size();
  frames_.push_back(std::move(frame));
}

SendQueue::Buffers SendQueue::next() const {
  Buffers buffers;
  for (std::size_t i = start_; i < frames_.size() && buffers.size() < kBuffersMax; ++i) {
    buffers.push_back(boost::asio::buffer(*frames_[i]));
  }
  if (!buffers.empty()) buffers.front() += writtenBytes_;
  return buffers;
}

void SendQueue::wrote(std::size_t bytes) {
  bytes_ -= bytes;
  writtenOffset_ += bytes;
  writtenBytes_ += bytes;
  while (!isEmpty() && writtenBytes_ >= frames_[start_]->size()) {
    writtenBytes_ -= frames_[start_]->size();
    frames_[start_++].reset();
  }
  if (!isEmpty()) return;
  frames_.clear();
  start_ = 0;
  if (frames_.capacity() > kPlacesKept) std::vector<Frame>().swap(frames_);
}

void SendQueue::dropWaiting() {
  const std::size_t kept = start_ + (writtenBytes_ > 0 ? 1 : 0);
  while (frames_.size() > kept) {
    bytes_ -= frames_.back()->size();
    frames_.pop_back();
  }
}

}  // namespace skep::gateway
