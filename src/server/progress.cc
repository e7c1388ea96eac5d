#include "skep/server/progress.h"

#include <unistd.h>

#include <algorithm>
#include <utility>

namespace skep::server {
namespace {

constexpr Duration kDrawEvery = std::chrono::milliseconds(100);
constexpr std::uint64_t kBarColumns = 24;

std::string withThousands(std::uint64_t number) {
  std::string text = std::to_string(number);
  for (std::size_t at = text.size(); at > 3;) {
    at -= 3;
    text.insert(at, ",");
  }
  return text;
}

void writeText(int descriptor, std::string_view text) {
  // A terminal that cannot be written to shows no progress; nothing depends on it.
  [[maybe_unused]] const ssize_t count = ::write(descriptor, text.data(), text.size());
}

}  // namespace

std::string progressLine(std::string_view label, std::uint64_t done, std::uint64_t total) {
  std::string line(label);
  if (total == 0) return line + "  " + withThousands(done);
  done = std::min(done, total);
  const auto share = static_cast<double>(done) / static_cast<double>(total);
  const auto filled = static_cast<std::uint64_t>(share * kBarColumns);
  line += "  ";
  for (std::uint64_t i = 0; i < kBarColumns; ++i) line += i < filled ? "█" : "░";
  std::string percent = std::to_string(static_cast<int>(share * 100));
  percent.insert(0, 3 - percent.size(), ' ');
  return line + " " + percent + "%  " + withThousands(done) + " of " + withThousands(total);
}

Progress::Progress(Clock& clock, std::string label, int descriptor)
    : clock_(clock),
      label_(std::move(label)),
      descriptor_(descriptor),
      isTerminal_(::isatty(descriptor) == 1),
      drawNext_(clock.monotonic() + kDrawEvery) {}

void Progress::update(std::uint64_t done, std::uint64_t total) {
  if (!isTerminal_ || clock_.monotonic() < drawNext_) return;
  drawNext_ = clock_.monotonic() + kDrawEvery;
  drawn_ = true;
  writeText(descriptor_, "\r" + progressLine(label_, done, total) + "\x1b[K");
}

void Progress::finish() {
  if (!std::exchange(drawn_, false)) return;
  writeText(descriptor_, "\r\x1b[K");
}

}  // namespace skep::server
