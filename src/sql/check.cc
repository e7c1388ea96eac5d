#include "skep/sql/check.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "skep/sql/database.h"
#include "skep/sql/record_chain.h"
#include "skep/store/chunk.h"
#include "skep/store/record.h"
#include "skep/vfs/log_tail.h"
#include "skep/vfs/paged_file.h"

namespace skep::sql {
namespace {

constexpr std::size_t kFindingsMax = 100;
constexpr std::size_t kListMost = 256;
constexpr std::size_t kLogBytesAtOnce = 4 << 20;
constexpr std::uint64_t kProgressPages = 256;
constexpr std::uint64_t kPhases = 4;  // history, chunks, pages, integrity

class Checker {
 public:
  Checker(vfs::Environment& environment, CheckReport& report, const Progress& progress)
      : environment_(environment), report_(report), progress_(progress), phases_(progress, 0, 0) {}

  Status run() {
    SKEP_TRY(store::OpenedDatabase opened,
             environment_.store.open(
                 {.name = report_.name, .claim = store::Claim::None, .firstChunks = 0}));
    report_.head = opened.head;
    phases_ = Phases(progress_, kPhases, opened.head.pageCount);
    SKEP_CHECK_OK(checkHistory(opened));
    checkTail(opened);
    phases_.next();
    SKEP_CHECK_OK(checkChunks(opened));
    if (!report_.ok()) return {};  // pages would only repeat what is found already
    phases_.next();
    SKEP_CHECK_OK(checkPages());
    if (!report_.ok()) return {};
    phases_.next();
    return checkIntegrity();
  }

 private:
  void add(Finding::Kind kind, std::string message) {
    if (report_.findings.size() < kFindingsMax)
      report_.findings.push_back({kind, std::move(message)});
  }

  void checkTail(const store::OpenedDatabase& opened) {
    for (const store::StoredRecord& record : opened.log) checkRecord(opened.id, record);
    if (!report_.ok()) return;
    vfs::LogTail tail(opened.id);
    tail.reload(opened.log);
    Status chain = tail.verify(opened.head);
    if (!chain) add(Finding::Kind::Record, chain.error().message);
  }

  void checkRecord(store::DatabaseId id, const store::StoredRecord& record) {
    ++report_.records;
    if (std::optional<std::string> wrong = takeRecord(id, record))
      add(Finding::Kind::Record, std::move(*wrong));
  }

  /// What is wrong with the next record, by itself or as the one that follows those before.
  std::optional<std::string> takeRecord(store::DatabaseId id, const store::StoredRecord& record) {
    const Result<store::DecodedRecord> decoded = store::decodeRecord(id, record.bytes);
    if (decoded && decoded->header.lastTxid == record.txid) return chain_.take(decoded->header);
    chain_.takeUnreadable(record.txid);
    if (!decoded) return decoded.error().message;
    return "the record of txid " + std::to_string(record.txid) + " names txid " +
           std::to_string(decoded->header.lastTxid);
  }

  /// The records that the head does not need any more, kept for reads of the past.
  Status checkHistory(const store::OpenedDatabase& opened) {
    store::Txid after = 0;
    while (after < opened.head.logStart) {
      SKEP_TRY(const std::vector<store::StoredRecord> records,
               environment_.store.readLog(opened.id, after, kLogBytesAtOnce));
      if (records.empty()) return {};
      for (const store::StoredRecord& record : records) {
        if (record.txid > opened.head.logStart) break;
        checkRecord(opened.id, record);
      }
      after = records.back().txid;
      if (!phases_.report(after, opened.head.logStart)) return givenUp();
    }
    return {};
  }

  Status checkChunks(const store::OpenedDatabase& opened) {
    std::optional<store::ChunkVersion> after;
    while (true) {
      SKEP_TRY(std::vector<store::ChunkVersion> versions,
               environment_.store.listChunkVersions(opened.id, after, kListMost));
      if (versions.empty()) return {};
      for (const store::ChunkVersion& version : versions)
        SKEP_CHECK_OK(checkChunk(opened, version));
      after = versions.back();
      if (!phases_.report(store::firstPageOf(after->chunk), opened.head.pageCount))
        return givenUp();
    }
  }

  Status checkChunk(const store::OpenedDatabase& opened, const store::ChunkVersion& version) {
    ++report_.chunkVersions;
    if (version.txid > opened.head.txid) return checkStaged(opened, version);
    const std::string which = describe(version);
    const bool isPastEnd = store::firstPageOf(version.chunk) > opened.head.pageCount;
    if (isPastEnd && opened.properties.retentionMs == 0) {
      add(Finding::Kind::Chunk, which + ", past the end of the database (" +
                                    std::to_string(opened.head.pageCount) + " pages)");
      return {};
    }
    store::ChunkReadRequest request;
    request.id = opened.id;
    request.atTxid = version.txid;
    request.chunks = {version.chunk};
    SKEP_TRY(store::ChunkRead read, environment_.store.readChunks(request));
    if (read.chunks.size() != 1 || read.chunks[0].txid != version.txid) {
      add(Finding::Kind::Chunk, which + " in the list of versions that can't be read");
      return {};
    }
    Result<store::DecodedChunk> decoded =
        store::decodeChunk(opened.id, version.chunk, version.txid, read.chunks[0].bytes);
    if (!decoded) {
      add(Finding::Kind::Chunk, decoded.error().message);
    } else if (!chain_.hasVersion(version.txid)) {
      add(Finding::Kind::Chunk, which + ", at which no commit ended");
    }
    return {};
  }

  static std::string describe(const store::ChunkVersion& version) {
    return "chunk " + std::to_string(version.chunk) + " has a version of txid " +
           std::to_string(version.txid);
  }

  /// A version above the head: of a large transaction, if the head knows of one.
  Status checkStaged(const store::OpenedDatabase& opened, const store::ChunkVersion& version) {
    const std::string which =
        describe(version) + ", above the head's " + std::to_string(opened.head.txid);
    if (version.txid != opened.head.stagingTxid) {
      add(Finding::Kind::Chunk, which + ", which the head does not know of");
    } else if (!std::exchange(isStagingTold_, true)) {
      add(Finding::Kind::Staging,
          which +
              ": an owner is at work on a large transaction, or one ended in a crash; the next "
              "owner removes what is left of it");
    }
    return {};
  }

  Status checkPages() {
    auto file = vfs::PagedFile::open(environment_, {.name = report_.name,
                                                    .create = store::Create::Never,
                                                    .mode = vfs::OpenFile::Mode::ReadOnly,
                                                    .databaseBytesMax = 0});
    if (!file && file.error().code == ErrorCode::Corrupt) {
      add(Finding::Kind::Page, file.error().message);
      return {};
    }
    if (!file) return std::move(file).error();
    Status walked = walkPages(**file);
    Status closed = (*file)->close();
    return walked ? closed : walked;
  }

  Status walkPages(vfs::PagedFile& file) {
    std::uint64_t digest = 0;
    for (store::PageNumber page = 1; page <= file.pageCount(); ++page) {
      Result<vfs::PageRef> content = file.readPage(page);
      if (!content && content.error().code != ErrorCode::Corrupt) return std::move(content).error();
      if (!content) {
        add(Finding::Kind::Page, content.error().message);
      } else {
        digest += (*content)->contentHash();
        ++report_.pages;
      }
      if (page % kProgressPages == 0 && !phases_.report(page, file.pageCount())) return givenUp();
    }
    if (report_.ok() && digest != file.head().digest) {
      add(Finding::Kind::Digest, "the pages of database '" + report_.name +
                                     "' do not have the digest that the head names at txid " +
                                     std::to_string(file.head().txid));
    }
    return {};
  }

  Status checkIntegrity() {
    if (report_.head.pageCount == 0) return {};
    DatabaseOptions options;
    options.name = report_.name;
    options.create = store::Create::Never;
    options.mode = DatabaseOptions::Mode::ReadOnly;
    options.keepRunning = [this] { return phases_.report(0, 0); };
    SKEP_TRY(std::unique_ptr<Database> database, Database::open(environment_, options));
    Status asked = askSqlite(*database);
    Status closed = database->close();
    return asked ? closed : asked;
  }

  Status askSqlite(Database& database) {
    SKEP_TRY(Rows integrity, database.execute("PRAGMA integrity_check"));
    for (const auto& row : integrity.rows) {
      if (row[0].text() != "ok") add(Finding::Kind::Integrity, row[0].text());
    }
    SKEP_TRY(Rows keys, database.execute("PRAGMA foreign_key_check"));
    for (const auto& row : keys.rows) {
      add(Finding::Kind::Integrity, "table " + row[0].text() + " has a row whose foreign key to " +
                                        row[2].text() + " finds nothing");
    }
    return {};
  }

  vfs::Environment& environment_;
  CheckReport& report_;
  const Progress& progress_;
  Phases phases_;
  RecordChain chain_;
  bool isStagingTold_ = false;
};

}  // namespace

bool CheckReport::ok() const {
  return std::none_of(findings.begin(), findings.end(),
                      [](const Finding& finding) { return finding.isDamage(); });
}

std::string_view findingKindName(Finding::Kind kind) {
  switch (kind) {
    case Finding::Kind::Record:
      return "record";
    case Finding::Kind::Chunk:
      return "chunk";
    case Finding::Kind::Staging:
      return "staging";
    case Finding::Kind::Page:
      return "page";
    case Finding::Kind::Digest:
      return "digest";
    case Finding::Kind::Integrity:
      return "integrity";
  }
  SKEP_UNREACHABLE();
}

Result<CheckReport> checkDatabase(vfs::Environment& environment, const std::string& name,
                                  const Progress& progress) {
  SKEP_TRY(const std::unique_ptr<store::PageStore> snapshot, environment.store.snapshot());
  vfs::Environment reading = environment.withStore(*snapshot);
  return checkInSnapshot(reading, name, progress);
}

Result<CheckReport> checkInSnapshot(vfs::Environment& snapshot, const std::string& name,
                                    const Progress& progress) {
  CheckReport report;
  report.name = name;
  Checker checker(snapshot, report, progress);
  SKEP_CHECK_OK(checker.run());
  return report;
}

}  // namespace skep::sql
