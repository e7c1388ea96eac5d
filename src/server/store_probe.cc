#include "skep/server/store_probe.h"

#include <utility>

namespace skep::server {
namespace {

Error closingError() {
  return Error{ErrorCode::Unavailable, "the server is closing"};
}

}  // namespace

StoreProbe::StoreProbe(fiber::Loop& loop, std::function<Status()> look)
    : loop_(loop), look_(std::move(look)) {}

Status StoreProbe::ask() {
  fiber::OneShot<Status> answer;
  loop_.spawn("is the store there", [&] { answer.set(askHere()); });
  return answer.wait();
}

Status StoreProbe::askHere() {
  const fiber::GateHolder inside(work_);
  if (!inside) return closingError();
  if (!isLooking_) beginLook();
  const std::uint64_t before = looks_;
  const MonotonicTime end = loop_.clock().monotonic() + kPatience;
  while (looks_ == before) {
    if (ended_.waitFor(end - loop_.clock().monotonic())) continue;
    return Error{ErrorCode::Unavailable, "the store has not answered for a second"};
  }
  return outcome_;
}

void StoreProbe::beginLook() {
  if (!work_.tryEnter()) return;
  isLooking_ = true;
  loop_.spawn("look at the store", [this] {
    outcome_ = look_();
    isLooking_ = false;
    ++looks_;
    ended_.notifyAll();
    work_.leave();
  });
}

void StoreProbe::close() {
  work_.close();
}

}  // namespace skep::server
