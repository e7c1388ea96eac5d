#include "skep/testing/temp_directory.h"

#include <cstdlib>
#include <system_error>

#include "skep/base/check.h"

namespace skep::testing {

TempDirectory::TempDirectory() {
  std::string pattern = (std::filesystem::temp_directory_path() / "skep-test-XXXXXX").string();
  SKEP_CHECK(::mkdtemp(pattern.data()) != nullptr, "no temporary directory %s", pattern.c_str());
  path_ = pattern;
}

TempDirectory::~TempDirectory() {
  std::error_code ignored;  // what cannot be removed is left for the system's cleaning
  std::filesystem::remove_all(path_, ignored);
}

}  // namespace skep::testing
