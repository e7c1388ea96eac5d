// Signal: tells code of an actor that waits (Context::waitFor) to have a look again.
//
//   struct Feed : skep::Actor {
//     skep::Signal news_;
//     void publish(skep::Context& c, std::string text) {
//       c.execute("INSERT INTO entry(text) VALUES (?)", text);
//       news_.notify();
//     }
//   };
//
// A member of the actor. Known in memory only, and no part of a turn: who waits may find nothing new.

#pragma once

#include <utility>

#include "skep/fiber/timer.h"

namespace skep {

class Signal {
 public:
  /// All that wait now go on, one after the other, when this turn has ended.
  void notify() { std::exchange(next_, fiber::AbortSource()).requestAbort(); }

 private:
  friend class Context;
  fiber::AbortSource next_;
};

}  // namespace skep
