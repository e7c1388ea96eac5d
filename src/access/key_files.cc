#include "skep/access/key_files.h"

#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <utility>

#include "skep/base/log.h"

namespace skep::access {
namespace {

constexpr Duration kLookInterval = std::chrono::seconds(1);
constexpr std::size_t kFileBytesMax = 1024 * 1024;

Status add(const std::string& path, Result<Keys> (*parse)(std::string_view), Keys& keys) {
  if (path.empty()) return {};
  SKEP_TRY(const std::string text, readSmallFile(path));
  auto parsed = parse(text);
  if (!parsed) {
    return Error{ErrorCode::InvalidArgument,
                 "the keys in " + path + " cannot be used: " + parsed.error().message};
  }
  for (VerificationKey& key : *parsed) keys.push_back(std::move(key));
  return {};
}

}  // namespace

Result<std::string> readSmallFile(const std::string& path) {
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  std::string content(kFileBytesMax + 1, '\0');
  file.read(content.data(), static_cast<std::streamsize>(content.size()));
  if (file.bad() || (!file && !file.eof())) {
    return Error{ErrorCode::InvalidArgument,
                 "cannot read " + path + ": " + std::strerror(errno != 0 ? errno : EIO)};
  }
  content.resize(static_cast<std::size_t>(file.gcount()));
  if (content.size() > kFileBytesMax) {
    return Error{ErrorCode::InvalidArgument, path + " is larger than 1 MiB"};
  }
  return content;
}

Result<std::unique_ptr<KeyFiles>> KeyFiles::open(KeyFilePaths paths) {
  std::unique_ptr<KeyFiles> made(new KeyFiles(std::move(paths)));
  made->loadedMark_ = made->changeMark();
  SKEP_TRY(Keys keys, load(made->paths_));
  made->keys_ = std::make_shared<const Keys>(std::move(keys));
  return made;
}

Result<Keys> KeyFiles::load(const KeyFilePaths& paths) {
  Keys keys;
  SKEP_CHECK_OK(add(paths.secret, &parseSecret, keys));
  SKEP_CHECK_OK(add(paths.pem, &parsePem, keys));
  SKEP_CHECK_OK(add(paths.keySet, &parseKeySet, keys));
  return keys;
}

std::shared_ptr<const Keys> KeyFiles::keys(MonotonicTime now) {
  const std::lock_guard lock(mutex_);
  if (now - lookedAt_ >= kLookInterval) {
    lookedAt_ = now;
    reloadIfChanged();
  }
  return keys_;
}

/// Differs when a file was written or replaced; empty while one is not there.
std::string KeyFiles::changeMark() const {
  std::string mark;
  for (const std::string& path : {paths_.secret, paths_.pem, paths_.keySet}) {
    if (path.empty()) continue;
    struct stat status {};
    if (::stat(path.c_str(), &status) != 0) return {};
    mark += std::to_string(status.st_ino) + "," + std::to_string(status.st_size) + "," +
            std::to_string(status.st_mtim.tv_sec) + "." + std::to_string(status.st_mtim.tv_nsec) +
            ";";
  }
  return mark;
}

void KeyFiles::reloadIfChanged() {
  std::string mark = changeMark();
  if (mark.empty() || mark == loadedMark_) return;
  auto loaded = load(paths_);
  loadedMark_ = std::move(mark);
  if (!loaded) {
    return logWarn("access", "the changed keys are not used", {{"error", loaded.error().message}});
  }
  keys_ = std::make_shared<const Keys>(*std::move(loaded));
  logInfo("access", "the keys for tokens were loaded anew", {{"keys", keys_->size()}});
}

}  // namespace skep::access
