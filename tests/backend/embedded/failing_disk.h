// FailingDisk: RocksDB's file system whose writes fail while a test says so.

#pragma once

#include <rocksdb/env.h>
#include <rocksdb/file_system.h>

#include <atomic>
#include <memory>
#include <string>

namespace skep::testing {

enum class DiskFault {
  None,
  Full,       // nothing more can be written: ENOSPC
  SyncFails,  // what was written may or may not be there: EIO of an fsync
};

class FailingDisk {
 public:
  FailingDisk() : env_(rocksdb::NewCompositeEnv(std::make_shared<Files>(fault_))) {}

  rocksdb::Env* env() { return env_.get(); }
  void set(DiskFault fault) { fault_ = fault; }

 private:
  class File final : public rocksdb::FSWritableFileOwnerWrapper {
   public:
    File(std::unique_ptr<rocksdb::FSWritableFile> file, const std::atomic<DiskFault>& fault)
        : FSWritableFileOwnerWrapper(std::move(file)), fault_(fault) {}
    rocksdb::IOStatus Append(const rocksdb::Slice& data, const rocksdb::IOOptions& options,
                             rocksdb::IODebugContext* context) override {
      if (fault_ == DiskFault::Full) return rocksdb::IOStatus::NoSpace("the test's disk is full");
      return FSWritableFileOwnerWrapper::Append(data, options, context);
    }
    rocksdb::IOStatus Append(const rocksdb::Slice& data, const rocksdb::IOOptions& options,
                             const rocksdb::DataVerificationInfo& verification,
                             rocksdb::IODebugContext* context) override {
      if (fault_ == DiskFault::Full) return rocksdb::IOStatus::NoSpace("the test's disk is full");
      return FSWritableFileOwnerWrapper::Append(data, options, verification, context);
    }
    rocksdb::IOStatus Sync(const rocksdb::IOOptions& options,
                           rocksdb::IODebugContext* context) override {
      if (fault_ == DiskFault::SyncFails)
        return rocksdb::IOStatus::IOError("the test's disk fails");
      return FSWritableFileOwnerWrapper::Sync(options, context);
    }
    rocksdb::IOStatus Fsync(const rocksdb::IOOptions& options,
                            rocksdb::IODebugContext* context) override {
      if (fault_ == DiskFault::SyncFails)
        return rocksdb::IOStatus::IOError("the test's disk fails");
      return FSWritableFileOwnerWrapper::Fsync(options, context);
    }

   private:
    const std::atomic<DiskFault>& fault_;
  };

  class Files final : public rocksdb::FileSystemWrapper {
   public:
    explicit Files(const std::atomic<DiskFault>& fault)
        : FileSystemWrapper(rocksdb::FileSystem::Default()), fault_(fault) {}
    const char* Name() const override { return "FailingDisk"; }
    rocksdb::IOStatus NewWritableFile(const std::string& name, const rocksdb::FileOptions& options,
                                      std::unique_ptr<rocksdb::FSWritableFile>* file,
                                      rocksdb::IODebugContext* context) override {
      if (fault_ == DiskFault::Full) return rocksdb::IOStatus::NoSpace("the test's disk is full");
      std::unique_ptr<rocksdb::FSWritableFile> opened;
      rocksdb::IOStatus status =
          FileSystemWrapper::NewWritableFile(name, options, &opened, context);
      if (status.ok()) *file = std::make_unique<File>(std::move(opened), fault_);
      return status;
    }
    rocksdb::IOStatus GetFreeSpace(const std::string& path, const rocksdb::IOOptions& options,
                                   std::uint64_t* bytes,
                                   rocksdb::IODebugContext* context) override {
      rocksdb::IOStatus status = FileSystemWrapper::GetFreeSpace(path, options, bytes, context);
      if (fault_ == DiskFault::Full) *bytes = 0;
      return status;
    }

   private:
    const std::atomic<DiskFault>& fault_;
  };

  std::atomic<DiskFault> fault_ = DiskFault::None;
  std::unique_ptr<rocksdb::Env> env_;
};

}  // namespace skep::testing
