#include "skep/testing/temp_directory.h"

#include <cstdlib>
#include <system_error>

#include "skep/base/check.h"

namespace skep::testing {

TempDirectory::TempDirectory() {
  const char* chosen = std::getenv("TMPDIR");
  const std::filesystem::path parent = chosen == nullptr || *chosen == '\0' ? "/tmp" : chosen;
  std::string pattern = (parent / "skep-test-XXXXXX").string();
  SKEP_CHECK(::mkdtemp(pattern.data()) != nullptr, "no temporary directory %s", pattern.c_str());
  path_ = pattern;
}

TempDirectory::~TempDirectory() {
  std::error_code ignored;  // what cannot be removed is left for the system's cleaning
  std::filesystem::remove_all(path_, ignored);
}

}  // namespace skep::testing
