#include "power_loss_disk.h"

#include <filesystem>
#include <limits>
#include <utility>

#include "skep/base/check.h"

namespace skep::testing {
namespace {

namespace fs = std::filesystem;
using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;

constexpr std::uint64_t kForEver = std::numeric_limits<std::uint64_t>::max();
// Files that a rename or a deletion replaced, until their directory is synced. Beside the store's
// own, which does not know them.
constexpr const char* kAside = ".aside-";

std::string directoryOf(const std::string& path) {
  return fs::path(path).parent_path().lexically_normal();
}

}  // namespace

class PowerLossDisk::File final : public rocksdb::FSWritableFileOwnerWrapper {
 public:
  File(PowerLossDisk& disk, std::string path, std::unique_ptr<rocksdb::FSWritableFile> file,
       WrittenPtr written)
      : FSWritableFileOwnerWrapper(std::move(file)),
        disk_(disk),
        path_(std::move(path)),
        written_(std::move(written)) {}

  IOStatus Append(const rocksdb::Slice& data, const IOOptions& options,
                  IODebugContext* context) override {
    const IOStatus status = disk_.pass();
    return status.ok() ? FSWritableFileOwnerWrapper::Append(data, options, context) : status;
  }
  IOStatus Append(const rocksdb::Slice& data, const IOOptions& options,
                  const rocksdb::DataVerificationInfo& verification,
                  IODebugContext* context) override {
    const IOStatus status = disk_.pass();
    return status.ok() ? FSWritableFileOwnerWrapper::Append(data, options, verification, context)
                       : status;
  }
  IOStatus Truncate(std::uint64_t size, const IOOptions& options,
                    IODebugContext* context) override {
    const IOStatus status = disk_.pass();
    return status.ok() ? FSWritableFileOwnerWrapper::Truncate(size, options, context) : status;
  }
  IOStatus Sync(const IOOptions&, IODebugContext*) override { return sync(); }
  IOStatus Fsync(const IOOptions&, IODebugContext*) override { return sync(); }

 private:
  /// Durable is what is known to be: no real disk needs to be asked.
  IOStatus sync() {
    std::lock_guard lock(disk_.mutex_);
    const IOStatus status = disk_.passLocked();
    std::error_code gone;  // renamed or removed since: then nobody appends to it any more
    const std::uint64_t size = fs::file_size(path_, gone);
    if (status.ok() && !gone) written_->synced = std::max(written_->synced, size);
    return status;
  }

  PowerLossDisk& disk_;
  const std::string path_;
  WrittenPtr written_;
};

class PowerLossDisk::Directory final : public rocksdb::FSDirectoryWrapper {
 public:
  Directory(PowerLossDisk& disk, std::string path, std::unique_ptr<rocksdb::FSDirectory> directory)
      : FSDirectoryWrapper(std::move(directory)), disk_(disk), path_(std::move(path)) {}
  IOStatus Fsync(const IOOptions&, IODebugContext*) override { return sync(); }
  IOStatus FsyncWithDirOptions(const IOOptions&, IODebugContext*,
                               const rocksdb::DirFsyncOptions&) override {
    return sync();
  }

 private:
  IOStatus sync() {
    std::lock_guard lock(disk_.mutex_);
    IOStatus status = disk_.passLocked();
    if (status.ok()) disk_.syncDirectory(path_);
    return status;
  }

  PowerLossDisk& disk_;
  std::string path_;
};

class PowerLossDisk::Files final : public rocksdb::FileSystemWrapper {
 public:
  explicit Files(PowerLossDisk& disk)
      : FileSystemWrapper(rocksdb::FileSystem::Default()), disk_(disk) {}
  const char* Name() const override { return "PowerLossDisk"; }

  IOStatus NewWritableFile(const std::string& name, const rocksdb::FileOptions& options,
                           std::unique_ptr<rocksdb::FSWritableFile>* file,
                           IODebugContext* context) override {
    std::lock_guard lock(disk_.mutex_);
    IOStatus status = disk_.passLocked();
    if (!status.ok()) return status;
    const bool isNew = !fs::exists(name);
    std::unique_ptr<rocksdb::FSWritableFile> opened;
    status = FileSystemWrapper::NewWritableFile(name, options, &opened, context);
    if (!status.ok()) return status;
    if (isNew) disk_.noteCreated(name);
    disk_.files_.erase(name);  // its content begins anew
    *file = std::make_unique<File>(disk_, name, std::move(opened), disk_.track(name, 0));
    return status;
  }
  IOStatus ReopenWritableFile(const std::string& name, const rocksdb::FileOptions& options,
                              std::unique_ptr<rocksdb::FSWritableFile>* file,
                              IODebugContext* context) override {
    std::lock_guard lock(disk_.mutex_);
    IOStatus status = disk_.passLocked();
    if (!status.ok()) return status;
    const std::uint64_t size = fs::file_size(name);
    std::unique_ptr<rocksdb::FSWritableFile> opened;
    status = FileSystemWrapper::ReopenWritableFile(name, options, &opened, context);
    if (!status.ok()) return status;
    *file = std::make_unique<File>(disk_, name, std::move(opened), disk_.track(name, size));
    return status;
  }
  IOStatus ReuseWritableFile(const std::string&, const std::string&, const rocksdb::FileOptions&,
                             std::unique_ptr<rocksdb::FSWritableFile>*, IODebugContext*) override {
    return IOStatus::NotSupported("nothing is known of what stays of a file that is used again");
  }
  IOStatus NewDirectory(const std::string& name, const IOOptions& options,
                        std::unique_ptr<rocksdb::FSDirectory>* directory,
                        IODebugContext* context) override {
    std::unique_ptr<rocksdb::FSDirectory> opened;
    IOStatus status = FileSystemWrapper::NewDirectory(name, options, &opened, context);
    if (status.ok()) {
      const std::string path = fs::path(name + "/").parent_path().lexically_normal();
      *directory = std::make_unique<Directory>(disk_, path, std::move(opened));
    }
    return status;
  }
  IOStatus DeleteFile(const std::string& name, const IOOptions&, IODebugContext*) override {
    return disk_.remove(name);
  }
  IOStatus RenameFile(const std::string& from, const std::string& to, const IOOptions&,
                      IODebugContext*) override {
    return disk_.rename(from, to);
  }
  IOStatus GetChildren(const std::string& directory, const IOOptions& options,
                       std::vector<std::string>* names, IODebugContext* context) override {
    IOStatus status = FileSystemWrapper::GetChildren(directory, options, names, context);
    std::erase_if(*names, [](const std::string& name) { return name.starts_with(kAside); });
    return status;
  }

 private:
  PowerLossDisk& disk_;
};

PowerLossDisk::PowerLossDisk(std::uint64_t seed)
    : random_(seed),
      operationsLeft_(kForEver),
      env_(rocksdb::NewCompositeEnv(std::make_shared<Files>(*this))) {}

void PowerLossDisk::cutPowerAfter(std::uint64_t operations) {
  std::lock_guard lock(mutex_);
  operationsLeft_ = operations;
}

bool PowerLossDisk::isOff() const {
  std::lock_guard lock(mutex_);
  return operationsLeft_ == 0;
}

IOStatus PowerLossDisk::pass() {
  std::lock_guard lock(mutex_);
  return passLocked();
}

IOStatus PowerLossDisk::passLocked() {
  if (operationsLeft_ == 0) return IOStatus::IOError("the power is off");
  if (operationsLeft_ != kForEver) --operationsLeft_;
  return IOStatus::OK();
}

/// A file of which nothing is known was there before: all of it is durable.
PowerLossDisk::WrittenPtr PowerLossDisk::track(const std::string& path, std::uint64_t synced) {
  WrittenPtr& written = files_[path];
  if (written == nullptr) written = std::make_shared<Written>(Written{.synced = synced});
  return written;
}

void PowerLossDisk::noteCreated(const std::string& path) {
  changes_[directoryOf(path)].push_back({.path = path});
}

std::string PowerLossDisk::setAside(const std::string& path) {
  const std::string kept = directoryOf(path) + "/" + kAside + std::to_string(++asideCount_);
  fs::rename(path, kept);
  return kept;
}

IOStatus PowerLossDisk::rename(const std::string& from, const std::string& to) {
  std::lock_guard lock(mutex_);
  IOStatus status = passLocked();
  if (!status.ok()) return status;
  SKEP_CHECK(directoryOf(from) == directoryOf(to), "a rename between directories");
  Change change{.path = to, .from = from};
  if (fs::exists(to)) {
    change.kept = setAside(to);
    change.keptFile = std::exchange(files_[to], nullptr);
  }
  fs::rename(from, to);
  files_[to] = std::exchange(files_[from], nullptr);
  files_.erase(from);
  if (files_[to] == nullptr) files_.erase(to);
  changes_[directoryOf(to)].push_back(std::move(change));
  return status;
}

IOStatus PowerLossDisk::remove(const std::string& path) {
  std::lock_guard lock(mutex_);
  IOStatus status = passLocked();
  if (!status.ok()) return status;
  if (!fs::exists(path)) return IOStatus::PathNotFound(path);
  Change change{.path = path, .isRemoval = true};
  change.kept = setAside(path);
  if (const auto file = files_.find(path); file != files_.end()) {
    change.keptFile = std::move(file->second);
    files_.erase(file);
  }
  changes_[directoryOf(path)].push_back(std::move(change));
  return status;
}

void PowerLossDisk::syncDirectory(const std::string& directory) {
  for (const Change& change : changes_[directory]) {
    if (!change.kept.empty()) fs::remove(change.kept);
  }
  changes_.erase(directory);
}

void PowerLossDisk::undo(const Change& change) {
  ++changesLost_;
  if (!change.from.empty()) {
    fs::rename(change.path, change.from);
    if (const auto file = files_.find(change.path); file != files_.end()) {
      files_[change.from] = std::move(file->second);
      files_.erase(file);
    }
  } else if (!change.isRemoval) {
    fs::remove(change.path);
    files_.erase(change.path);
  }
  if (change.kept.empty()) return;
  fs::rename(change.kept, change.path);
  if (change.keptFile != nullptr) files_[change.path] = change.keptFile;
}

void PowerLossDisk::loseUnsynced() {
  for (const auto& [path, written] : files_) {
    if (!fs::exists(path)) continue;
    const std::uint64_t size = fs::file_size(path);
    if (size <= written->synced) continue;
    const std::uint64_t unsynced = size - written->synced;
    // Often none or all of it: that is where files differ most.
    const std::uint64_t dice = random_() % 4;
    const std::uint64_t stays = dice == 0 ? 0 : dice == 1 ? unsynced : random_() % (unsynced + 1);
    fs::resize_file(path, written->synced + stays);
    bytesLost_ += unsynced - stays;
  }
}

void PowerLossDisk::restore() {
  std::lock_guard lock(mutex_);
  for (auto& [directory, changes] : changes_) {
    const std::size_t stay = random_() % (changes.size() + 1);
    while (changes.size() > stay) {
      undo(changes.back());
      changes.pop_back();
    }
    for (const Change& change : changes) {
      if (!change.kept.empty()) fs::remove(change.kept);
    }
  }
  loseUnsynced();
  changes_.clear();
  files_.clear();
  operationsLeft_ = kForEver;
}

void PowerLossDisk::revive() {
  std::lock_guard lock(mutex_);
  operationsLeft_ = kForEver;
}

}  // namespace skep::testing
