// Progress: a bar on standard error while a long command runs, only when that is a terminal.
//
//   Progress progress(clock, "importing");
//   progress.update(pagesDone, pageCount);   // as often as you like: it draws ten times a second
//   progress.finish();                       // removes the bar

#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "skep/base/clock.h"

namespace skep::server {

/// The line that is drawn: "importing  ████████░░░░  66%  1,234 of 1,870". `total` 0 means unknown.
std::string progressLine(std::string_view label, std::uint64_t done, std::uint64_t total);

class Progress {
 public:
  /// Draws to `descriptor`, if that is a terminal.
  Progress(Clock& clock, std::string label, int descriptor = 2);
  ~Progress() { finish(); }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void update(std::uint64_t done, std::uint64_t total);
  void setLabel(std::string label) { label_ = std::move(label); }
  void finish();

 private:
  Clock& clock_;
  std::string label_;
  int descriptor_;
  bool isTerminal_;
  bool drawn_ = false;
  MonotonicTime drawNext_;
};

}  // namespace skep::server
