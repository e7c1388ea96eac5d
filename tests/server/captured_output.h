// A pipe's two ends as a TextSink and the text that came out of it.

#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

#include "skep/server/text_sink.h"

namespace skep::server {

/// Collects what is written to `sink` in an unlinked temporary file.
class CapturedOutput {
 public:
  CapturedOutput() : file_(std::tmpfile()), sink(fileno(file_)) {}
  ~CapturedOutput() { std::fclose(file_); }
  CapturedOutput(const CapturedOutput&) = delete;
  CapturedOutput& operator=(const CapturedOutput&) = delete;

  /// Flushes the sink and returns everything that has arrived.
  std::string text() {
    (void)sink.flush();
    std::string all;
    char block[4096];
    off_t offset = 0;
    for (ssize_t n = 0; (n = ::pread(fileno(file_), block, sizeof block, offset)) > 0;
         offset += n) {
      all.append(block, static_cast<std::size_t>(n));
    }
    return all;
  }

 private:
  std::FILE* file_;

 public:
  TextSink sink;
};

}  // namespace skep::server
