// KeyFiles: the keys of some files, read again when one of them changes.
//
// So a key is added and removed without a restart: by whoever writes a new file in the place of the
// old one. A change that cannot be used is logged, and the keys that were loaded before stay. Any
// thread.

#pragma once

#include <memory>
#include <mutex>
#include <string>

#include "skep/access/verification_key.h"
#include "skep/base/clock.h"
#include "skep/base/result.h"

namespace skep::access {

/// Each may be empty.
struct KeyFilePaths {
  std::string secret;  // parseSecret()
  std::string pem;     // parsePem()
  std::string keySet;  // parseKeySet()
  bool isEmpty() const { return secret.empty() && pem.empty() && keySet.empty(); }
};

class KeyFiles {
 public:
  /// InvalidArgument, naming the file, when one cannot be read or has no good keys.
  static Result<std::unique_ptr<KeyFiles>> open(KeyFilePaths paths);

  /// The keys as they are now. Looks whether files have changed, at most once a second of `now`. Shared: a
  /// check that is under way keeps those that it began with.
  std::shared_ptr<const Keys> keys(MonotonicTime now);

 private:
  explicit KeyFiles(KeyFilePaths paths) : paths_(std::move(paths)) {}
  static Result<Keys> load(const KeyFilePaths& paths);
  std::string changeMark() const;
  void reloadIfChanged();

  const KeyFilePaths paths_;
  std::mutex mutex_;  // for what follows
  std::shared_ptr<const Keys> keys_;
  std::string loadedMark_;
  MonotonicTime lookedAt_{};
};

/// The content of a file that is small. InvalidArgument when it cannot be read, or is not small.
Result<std::string> readSmallFile(const std::string& path);

}  // namespace skep::access
