#include "skep/base/check.h"

#include <cstdarg>
#include <cstdio>
#include <cstdlib>

namespace skep {

void checkFailed(const char* condition, const char* file, int line, const char* format, ...) {
  char message[512];
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(message, sizeof message, format, arguments);
  va_end(arguments);
  std::fprintf(stderr, "skep: check failed: %s at %s:%d %s\n", condition, file, line, message);
  std::fflush(stderr);
  std::abort();
}

}  // namespace skep
