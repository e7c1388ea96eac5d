#include "skep/backend/embedded/rocks.h"

#include <fcntl.h>
#include <rocksdb/env.h>
#include <rocksdb/listener.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <mutex>
#include <optional>

#include "skep/backend/embedded/row_format.h"
#include "skep/base/log.h"

namespace skep::backend::embedded {
namespace {

// Holds the number of the process that has the store open; locked by it, and gone with it.
constexpr const char* kLockFileName = "OWNER";

// When fewer log files and bytes than these wait for the next open, closing leaves them there:
// reading them takes a few milliseconds, writing a file for each family takes more.
constexpr std::size_t kWalFilesAtClose = 8;
constexpr std::uint64_t kWalBytesAtClose = 4 << 20;

// RocksDB's words, in Skep's log. What fails is also returned to a caller, so its warnings (a
// stall, say) are only information, and its errors are warnings.
class WarningLogger final : public rocksdb::Logger {
 public:
  WarningLogger() : rocksdb::Logger(rocksdb::InfoLogLevel::WARN_LEVEL) {}
  using rocksdb::Logger::Logv;
  void Logv(const char* format, va_list arguments) override {
    Logv(rocksdb::InfoLogLevel::INFO_LEVEL, format, arguments);
  }
  void Logv(const rocksdb::InfoLogLevel level, const char* format, va_list arguments) override {
    if (level < rocksdb::InfoLogLevel::WARN_LEVEL || level == rocksdb::InfoLogLevel::HEADER_LEVEL)
      return;
    char message[512];
    std::vsnprintf(message, sizeof message, format, arguments);
    try {
      const bool error = level >= rocksdb::InfoLogLevel::ERROR_LEVEL;
      (error ? logWarn : logInfo)("embedded store", "rocksdb", {{"text", message}});
    } catch (...) {  // a wall: RocksDB cannot take an exception, and a lost log line is no reason
                     // to stop
    }
  }
};

// Looks at each batch of the log while it is read again after a start: their sequence numbers have
// no gap. A missing or reordered piece of the log (a lost file, or two files of which a power
// failure kept the second) would otherwise leave a hole that nobody notices.
class SequenceCheck final : public rocksdb::WalFilter {
 public:
  explicit SequenceCheck(WalProcessingOption atGap) : atGap_(atGap) {}
  const char* Name() const override { return "sequence check: a part of the log is missing"; }
  WalProcessingOption LogRecordFound(unsigned long long, const std::string&,
                                     const rocksdb::WriteBatch& batch, rocksdb::WriteBatch*,
                                     bool*) override {
    // A batch begins with its first sequence number, little-endian; each of its rows takes one.
    ByteReader in(asBytes(batch.Data()));
    const std::uint64_t sequence = in.u64();
    if (next_ && sequence != *next_) return atGap_;
    next_ = sequence + batch.Count();
    return WalProcessingOption::kContinueProcessing;
  }

 private:
  WalProcessingOption atGap_;
  std::optional<std::uint64_t> next_;
};

ErrorCode codeOf(const rocksdb::Status& status) {
  if (status.IsCorruption()) return ErrorCode::Corrupt;
  if (status.IsNoSpace() || status.subcode() == rocksdb::Status::SubCode::kSpaceLimit)
    return ErrorCode::StoreFull;
  if (status.IsIOError()) {
    const std::string message = status.ToString();
    const auto says = [&](int code) {
      return message.find(std::strerror(code)) != std::string::npos;
    };
    if (says(ENOSPC) || says(EDQUOT)) return ErrorCode::StoreFull;
    if (says(EROFS) || says(EACCES) || says(EPERM)) return ErrorCode::ReadOnly;
    return ErrorCode::Unavailable;
  }
  if (status.IsInvalidArgument() || status.IsNotSupported() || status.IsNotFound())
    return ErrorCode::Internal;
  return ErrorCode::Unavailable;
}

ErrorCode codeOfErrno(int code) {
  switch (code) {
    case ENOSPC:
    case EDQUOT:
      return ErrorCode::StoreFull;
    case EROFS:
    case EACCES:
    case EPERM:
      return ErrorCode::ReadOnly;
    case ENOTDIR:
    case EEXIST:
      return ErrorCode::InvalidArgument;
    default:
      return ErrorCode::Unavailable;
  }
}

Error directoryError(const std::string& directory, int code, const char* doing) {
  return Error{codeOfErrno(code), "the directory '" + directory + "' could not be " + doing +
                                      " as an embedded store: " + std::strerror(code)};
}

// A directory with a user's files in it is most likely a mistyped path.
Status checkDirectory(const std::string& directory) {
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  if (error) return directoryError(directory, error.value(), "created");
  std::filesystem::directory_iterator entries(directory, error);
  if (error) return directoryError(directory, error.value(), "read");
  bool empty = true;
  for (const auto& entry : entries) {
    const std::string name = entry.path().filename();
    if (name == kLockFileName || name == "CURRENT") return {};
    empty = false;
  }
  if (empty) return {};
  return Error{ErrorCode::InvalidArgument,
               "the directory '" + directory + "' holds other files and is not an embedded store"};
}

// Makes durable what an earlier process wrote to its log and died before it synced. RocksDB goes on
// in a new log and reads the old one from the page cache: without this a power failure could take
// away what later commits were built on.
rocksdb::Status syncLogs(rocksdb::Env& env, const std::string& directory) {
  std::vector<std::string> names;
  rocksdb::Status status = env.GetChildren(directory, &names);
  for (const std::string& name : names) {
    if (!name.ends_with(".log")) continue;
    std::unique_ptr<rocksdb::WritableFile> log;
    if (status.ok()) status = env.ReopenWritableFile(directory + "/" + name, &log, {});
    if (status.ok()) status = log->Sync();
  }
  std::unique_ptr<rocksdb::Directory> entries;
  if (status.ok()) status = env.NewDirectory(directory, &entries);
  return status.ok() ? entries->Fsync() : status;
}

}  // namespace

// Knows whether RocksDB has stopped writes after a failure. RocksDB itself goes on by itself after
// a full disk.
class Health final : public rocksdb::EventListener {
 public:
  void OnBackgroundError(rocksdb::BackgroundErrorReason, rocksdb::Status* error) override {
    if (error->severity() < rocksdb::Status::Severity::kHardError) return;
    std::lock_guard lock(mutex_);
    stopped_ = *error;
  }
  void OnErrorRecoveryEnd(const rocksdb::BackgroundErrorRecoveryInfo& recovery) override {
    std::lock_guard lock(mutex_);
    stopped_.reset();
    if (!recovery.new_bg_error.ok()) stopped_ = recovery.new_bg_error;
  }
  void stopForGood(const rocksdb::Status& error) {
    std::lock_guard lock(mutex_);
    if (!stoppedForGood_) stoppedForGood_ = error;
  }
  std::optional<rocksdb::Status> stopped() const {
    std::lock_guard lock(mutex_);
    return stoppedForGood_ ? stoppedForGood_ : stopped_;
  }

 private:
  mutable std::mutex mutex_;
  std::optional<rocksdb::Status> stopped_;         // until RocksDB has recovered
  std::optional<rocksdb::Status> stoppedForGood_;  // a failed sync of the log
};

Rocks::Rocks(EmbeddedOptions options)
    : options_(std::move(options)),
      health_(std::make_shared<Health>()),
      logOrder_(options_.env != nullptr ? *options_.env : *rocksdb::Env::Default()) {}

Result<std::unique_ptr<Rocks>> Rocks::open(const EmbeddedOptions& options) {
  if (options.directory.empty()) {
    return Error{ErrorCode::InvalidArgument, "an embedded store needs a directory"};
  }
  std::unique_ptr<Rocks> rocks(new Rocks(options));
  SKEP_CHECK_OK(checkDirectory(options.directory));
  SKEP_CHECK_OK(rocks->lockDirectory());
  const rocksdb::Status synced = syncLogs(*rocks->logOrder_.env(), options.directory);
  if (!synced.ok()) return rocks->errorOf(synced, "sync its log");
  SKEP_CHECK_OK(rocks->openDatabase());
  SKEP_CHECK_OK(rocks->checkFormat());
  SKEP_CHECK_OK(rocks->shortenLog());
  return rocks;
}

Rocks::~Rocks() {
  if (db_ != nullptr) {
    if (writable().ok()) {
      // Failures are logged by RocksDB; nothing that was acknowledged depends on this.
      syncLog().PermitUncheckedError();
      (void)shortenLog();
    }
    for (rocksdb::ColumnFamilyHandle* family : families_) {
      if (family != nullptr) db_->DestroyColumnFamilyHandle(family).PermitUncheckedError();
    }
    db_->Close().PermitUncheckedError();
    db_.reset();
  }
  if (lockFile_ >= 0) ::close(lockFile_);
}

Status Rocks::lockDirectory() {
  const std::string path = options_.directory + "/" + kLockFileName;
  lockFile_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (lockFile_ < 0) return directoryError(options_.directory, errno, "opened for writing");
  char owner[32] = {};
  if (::flock(lockFile_, LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return directoryError(options_.directory, errno, "locked");
    const ssize_t size = ::pread(lockFile_, owner, sizeof owner - 1, 0);
    const std::string process =
        size > 0 ? std::string(owner, static_cast<std::size_t>(size)) : "unknown";
    return Error{ErrorCode::Locked, "the embedded store in '" + options_.directory +
                                        "' is in use by another process (process id " + process +
                                        "); one process at a time can open it"};
  }
  const int size = std::snprintf(owner, sizeof owner, "%ld", static_cast<long>(::getpid()));
  // Only a help for whoever finds the store locked: the lock itself is what counts.
  if (::ftruncate(lockFile_, 0) != 0 ||
      ::pwrite(lockFile_, owner, static_cast<std::size_t>(size), 0) != size) {
    return directoryError(options_.directory, errno, "written to");
  }
  return {};
}

Status Rocks::openDatabase() {
  rocksdb::DBOptions options = databaseOptions(options_, std::make_shared<WarningLogger>());
  options.env = logOrder_.env();
  options.listeners.push_back(health_);
  const bool refuse = options_.walDamage == WalDamage::Refuse;
  walFilter_ = std::make_unique<SequenceCheck>(
      refuse ? rocksdb::WalFilter::WalProcessingOption::kCorruptedRecord
             : rocksdb::WalFilter::WalProcessingOption::kStopReplay);
  options.wal_filter = walFilter_.get();
  rocksdb::DB* opened = nullptr;
  std::vector<rocksdb::ColumnFamilyHandle*> handles;
  const rocksdb::Status status = rocksdb::DB::Open(options, options_.directory,
                                                   familyDescriptors(options_), &handles, &opened);
  if (status.ok()) {
    db_.reset(opened);
    std::copy(handles.begin(), handles.end(), families_.begin());
    if (refuse) return {};
    // What was kept moves to files, so that nobody meets the damaged log again.
    const rocksdb::Status flushed = flushAll();
    if (!flushed.ok()) return errorOf(flushed, "write its log to files");
    return {};
  }
  if (status.IsInvalidArgument()) {
    return Error{ErrorCode::VersionMismatch,
                 "the store in '" + options_.directory +
                     "' has parts that this version of Skep does not know: " + status.ToString()};
  }
  return errorOf(status, "be opened");
}

Status Rocks::checkFormat() {
  std::string value;
  const rocksdb::Status status = db_->Get({}, family(Family::Meta), slice(kFormatKey), &value);
  if (status.IsNotFound()) {
    const std::unique_ptr<rocksdb::Iterator> any(db_->NewIterator({}, family(Family::Meta)));
    any->SeekToFirst();
    if (any->Valid()) {
      return Error{ErrorCode::VersionMismatch, "the directory '" + options_.directory +
                                                   "' holds a RocksDB that is not a Skep store"};
    }
    rocksdb::WriteOptions durable;
    durable.sync = true;
    const Bytes format = encodeNumber(kFormatKey, kFormatVersion);
    const rocksdb::Status put =
        db_->Put(durable, family(Family::Meta), slice(kFormatKey), slice(format));
    if (!put.ok()) return errorOf(put, "be created");
    return {};
  }
  if (!status.ok()) return errorOf(status, "be opened");
  SKEP_TRY(const std::uint64_t format, decodeNumber(kFormatKey, value));
  if (format == kFormatVersion) return {};
  return Error{ErrorCode::VersionMismatch,
               "the store in '" + options_.directory + "' has format " + std::to_string(format) +
                   "; this version of Skep reads format " + std::to_string(kFormatVersion)};
}

Status Rocks::shortenLog() {
  rocksdb::VectorLogPtr files;
  rocksdb::Status status = db_->GetSortedWalFiles(files);
  std::uint64_t bytes = 0;
  for (const auto& file : files) bytes += file->SizeFileBytes();
  if (status.ok() && (files.size() > kWalFilesAtClose || bytes > kWalBytesAtClose))
    status = flushAll();
  if (!status.ok()) return errorOf(status, "write its log to files");
  return {};
}

rocksdb::Status Rocks::syncLog() {
  rocksdb::Status status = logOrder_.sync();
  if (!status.ok()) health_->stopForGood(status);
  return status;
}

rocksdb::Status Rocks::flushAll() {
  return db_->Flush({},
                    std::vector<rocksdb::ColumnFamilyHandle*>(families_.begin(), families_.end()));
}

rocksdb::Status Rocks::compactContents(store::DatabaseId id) {
  rocksdb::CompactRangeOptions options;
  options.exclusive_manual_compaction = false;
  options.bottommost_level_compaction = rocksdb::BottommostLevelCompaction::kForceOptimized;
  const HeadKey first = headKey(id);
  const HeadKey end = endOf(id);
  const rocksdb::Slice firstSlice = slice(first.text());
  const rocksdb::Slice endSlice = slice(end.text());
  for (const Family family : kContentFamilies) {
    const rocksdb::Status status =
        db_->CompactRange(options, this->family(family), &firstSlice, &endSlice);
    if (!status.ok()) return status;
  }
  // The log holds what was written last until no family's memory needs it.
  return flushAll();
}

rocksdb::Status Rocks::compactAll() {
  rocksdb::Status status = flushAll();
  rocksdb::CompactRangeOptions options;
  options.bottommost_level_compaction = rocksdb::BottommostLevelCompaction::kForceOptimized;
  for (rocksdb::ColumnFamilyHandle* each : families_) {
    if (status.ok()) status = db_->CompactRange(options, each, nullptr, nullptr);
  }
  return status;
}

void Rocks::cancelCompactions() {
  db_->DisableManualCompaction();
}

Status Rocks::writable() const {
  const std::optional<rocksdb::Status> stopped = health_->stopped();
  if (!stopped) return {};
  return errorOf(*stopped, "write, since an earlier write failed");
}

Error Rocks::errorOf(const rocksdb::Status& status, std::string_view doing) const {
  return Error{codeOf(status), "the embedded store in '" + options_.directory + "' could not " +
                                   std::string(doing) + ": " + status.ToString()};
}

}  // namespace skep::backend::embedded
