// StaticFiles: the files of a web page, which a server may hand out beside its actors.
//
// A directory is read whole at the start: what a path can reach is what was there, and handing it out
// touches no disk. Names that begin with a dot are left out. Immutable: any thread.

#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <string_view>

#include "skep/base/result.h"

namespace skep::gateway {

class StaticFiles {
 public:
  static constexpr std::size_t kBytesMax = 64 * 1024 * 1024;  // of all files

  struct File {
    std::string mediaType;
    std::string bytes;
    std::string tag;  // changes with the bytes: an entity tag (RFC 9110 section 8.8.3)
  };

  StaticFiles() = default;
  /// InvalidArgument: no directory, one that cannot be read, or one with more than kBytesMax.
  static Result<StaticFiles> load(const std::string& directory);

  bool isEmpty() const { return files_.empty(); }
  /// What a request's path (decoded, without query) asks for: that of a folder is its index.html. Null: nothing.
  const File* find(std::string_view path) const;

 private:
  std::map<std::string, File, std::less<>> files_;  // by path, as "/assets/page.js"
};

}  // namespace skep::gateway
