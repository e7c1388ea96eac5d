// SourceFile: an ordinary SQLite file that is being imported, through SQLite's own VFS.
//
// Everything here works on local files and blocks its thread. The file stays as it was, except that
// a hot journal, which a crash left, is rolled back, as by whoever opens the file first. A file
// that was closed well has no -wal and -shm beside it afterwards either; a write-ahead log that a
// crash left stays, and may get the -shm that belongs to it.
//
//   SKEP_TRY(SourceFile source, SourceFile::open(path));
//   Phases phases(progress, source.mustConvert() ? 3 : 2, source.pageCount());
//   SKEP_CHECK_OK(source.verify(phases));
//   if (source.mustConvert()) SKEP_CHECK_OK(source.convert(phases));

#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "skep/base/result.h"
#include "skep/sql/progress.h"

struct sqlite3;

namespace skep::sql {

class SourceFile {
 public:
  /// NotFound (no file), InvalidArgument (no SQLite file, or an encrypted one; one that cannot be
  /// read), Corrupt (also: cut off).
  static Result<SourceFile> open(const std::string& path);
  ~SourceFile();
  SourceFile(SourceFile&& other) noexcept;
  SourceFile& operator=(SourceFile&&) = delete;

  /// Pages of the file, of its own size; after convert(), of the copy.
  std::uint64_t pageCount() const { return pageCount_; }
  /// Whether the pages cannot be taken as they are: of another size, with reserved bytes, or in WAL
  /// mode.
  bool mustConvert() const { return mustConvert_; }

  /// PRAGMA integrity_check; its first finding is Corrupt. Aborted.
  Status verify(Phases& phases);
  /// Writes the content anew into a temporary file, with pages of 4096 bytes and a rollback
  /// journal: handle() is that one's from now on. StoreFull when its disk is full. Aborted.
  Status convert(Phases& phases);

  sqlite3* handle() { return connection_.get(); }
  /// What `code` of the connection means, naming the file.
  Error explain(int code) const;

 private:
  struct CloseConnection {
    void operator()(sqlite3* connection) const;
  };
  using Connection = std::unique_ptr<sqlite3, CloseConnection>;

  explicit SourceFile(std::string path) : path_(std::move(path)) {}
  static Result<Connection> connect(const std::string& path);
  Result<std::string> queryText(const char* sql);
  Status look();
  Status checkLength(std::uint64_t pageBytes, bool hasWriteAheadLog);

  std::string path_;
  Connection connection_;
  std::uint64_t pageCount_ = 0;
  bool mustConvert_ = false;
};

}  // namespace skep::sql
