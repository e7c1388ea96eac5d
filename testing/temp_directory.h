// TempDirectory: an empty directory of a test's own, removed with everything in it at the end of
// the scope.

#pragma once

#include <filesystem>
#include <string>

namespace skep::testing {

class TempDirectory {
 public:
  TempDirectory();
  ~TempDirectory();
  TempDirectory(const TempDirectory&) = delete;
  TempDirectory& operator=(const TempDirectory&) = delete;

  std::string path() const { return path_.string(); }
  std::string operator/(const std::string& name) const { return (path_ / name).string(); }

 private:
  std::filesystem::path path_;
};

}  // namespace skep::testing
