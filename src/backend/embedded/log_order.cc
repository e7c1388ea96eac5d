#include "skep/backend/embedded/log_order.h"

#include <rocksdb/file_system.h>

#include <mutex>
#include <string>
#include <utility>

namespace skep::backend::embedded {

using rocksdb::FSWritableFile;
using rocksdb::IODebugContext;
using rocksdb::IOStatus;

/// The log that is being written.
struct LogOrder::Newest {
  std::mutex mutex;
  FSWritableFile* file = nullptr;  // null: none, or its content is in other files by now

  IOStatus sync() {
    return file == nullptr ? IOStatus::OK() : file->Sync(rocksdb::IOOptions(), nullptr);
  }
};

class LogOrder::LogFile final : public rocksdb::FSWritableFileOwnerWrapper {
 public:
  LogFile(std::unique_ptr<FSWritableFile> file, std::shared_ptr<Newest> newest)
      : FSWritableFileOwnerWrapper(std::move(file)), newest_(std::move(newest)) {}
  ~LogFile() override { leave(); }
  IOStatus Close(const rocksdb::IOOptions& options, IODebugContext* context) override {
    leave();
    return FSWritableFileOwnerWrapper::Close(options, context);
  }

 private:
  void leave() {
    std::lock_guard lock(newest_->mutex);
    if (newest_->file == this) newest_->file = nullptr;
  }

  const std::shared_ptr<Newest> newest_;
};

class LogOrder::Files final : public rocksdb::FileSystemWrapper {
 public:
  Files(const std::shared_ptr<rocksdb::FileSystem>& files, std::shared_ptr<Newest> newest)
      : FileSystemWrapper(files), newest_(std::move(newest)) {}
  const char* Name() const override { return "LogOrder"; }

  IOStatus NewWritableFile(const std::string& name, const rocksdb::FileOptions& options,
                           std::unique_ptr<FSWritableFile>* file,
                           IODebugContext* context) override {
    if (!name.ends_with(".log"))
      return FileSystemWrapper::NewWritableFile(name, options, file, context);
    std::lock_guard lock(newest_->mutex);
    IOStatus status = newest_->sync();
    if (!status.ok()) return status;
    std::unique_ptr<FSWritableFile> made;
    status = FileSystemWrapper::NewWritableFile(name, options, &made, context);
    if (status.ok()) status = syncEntry(name, options, context);
    if (!status.ok()) return status;
    auto log = std::make_unique<LogFile>(std::move(made), newest_);
    newest_->file = log.get();
    *file = std::move(log);
    return status;
  }

 private:
  /// That there is such a file has to last as long as its content.
  IOStatus syncEntry(const std::string& name, const rocksdb::FileOptions& options,
                     IODebugContext* context) {
    const std::string path = name.substr(0, name.rfind('/'));
    std::unique_ptr<rocksdb::FSDirectory> directory;
    IOStatus status = NewDirectory(path, options.io_options, &directory, context);
    return status.ok() ? directory->Fsync(options.io_options, context) : status;
  }

  const std::shared_ptr<Newest> newest_;
};

LogOrder::LogOrder(rocksdb::Env& env)
    : newest_(std::make_shared<Newest>()),
      env_(rocksdb::NewCompositeEnv(std::make_shared<Files>(env.GetFileSystem(), newest_))) {}

LogOrder::~LogOrder() = default;

rocksdb::Status LogOrder::sync() {
  std::lock_guard lock(newest_->mutex);
  return newest_->sync();
}

}  // namespace skep::backend::embedded
