#include "skep/sql/check.h"

#include <optional>

#include "skep/sql/database.h"
#include "skep/store/chunk.h"
#include "skep/store/record.h"
#include "skep/vfs/log_tail.h"
#include "skep/vfs/paged_file.h"

namespace skep::sql {
namespace {

constexpr std::size_t kFindingsMax = 100;
constexpr std::size_t kListMost = 256;
constexpr std::uint64_t kProgressPages = 1024;

class Checker {
 public:
  Checker(vfs::Environment& environment, CheckReport& report, const Progress& progress)
      : environment_(environment), report_(report), progress_(progress) {}

  Status run() {
    SKEP_TRY(store::OpenedDatabase opened,
             environment_.store.open(
                 {.name = report_.name, .claim = store::Claim::None, .firstChunks = 0}));
    report_.head = opened.head;
    checkRecords(opened);
    SKEP_CHECK_OK(checkChunks(opened));
    if (!report_.ok()) return {};  // pages would only repeat what is found already
    SKEP_CHECK_OK(checkPages());
    if (!report_.ok()) return {};
    return checkIntegrity();
  }

 private:
  void add(Finding::Kind kind, std::string message) {
    if (report_.findings.size() < kFindingsMax)
      report_.findings.push_back({kind, std::move(message)});
  }

  void checkRecords(const store::OpenedDatabase& opened) {
    report_.records = opened.log.size();
    for (const store::StoredRecord& record : opened.log) {
      Result<store::DecodedRecord> decoded = store::decodeRecord(opened.id, record.bytes);
      if (!decoded) add(Finding::Kind::Record, decoded.error().message);
    }
    if (!report_.ok()) return;
    vfs::LogTail tail(opened.id);
    tail.reload(opened.log);
    Status chain = tail.verify(opened.head);
    if (!chain) add(Finding::Kind::Record, chain.error().message);
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
    }
  }

  Status checkChunk(const store::OpenedDatabase& opened, const store::ChunkVersion& version) {
    ++report_.chunkVersions;
    const bool isAbove = version.txid > opened.head.txid;
    const bool isPastEnd = store::firstPageOf(version.chunk) > opened.head.pageCount &&
                           opened.properties.retentionMs == 0;
    if (isAbove || isPastEnd) {
      SKEP_TRY(store::DatabaseInfo now, environment_.store.info(report_.name));
      if (now.head.txid != opened.head.txid) return {};  // the owner went on since
      const std::string which = "chunk " + std::to_string(version.chunk) +
                                " has a version of txid " + std::to_string(version.txid);
      if (isAbove) {
        add(Finding::Kind::TornStaging, which + ", above the head's " +
                                            std::to_string(opened.head.txid) +
                                            ": a large transaction under way, or one that ended in "
                                            "a crash; the next owner removes it");
      } else {
        add(Finding::Kind::Chunk, which + ", past the end of the database (" +
                                      std::to_string(opened.head.pageCount) + " pages)");
      }
      return {};
    }
    store::ChunkReadRequest request;
    request.id = opened.id;
    request.atTxid = version.txid;
    request.chunks = {version.chunk};
    SKEP_TRY(store::ChunkRead read, environment_.store.readChunks(request));
    if (read.chunks.size() != 1 || read.chunks[0].txid != version.txid)
      return {};  // folded away meanwhile
    Result<store::DecodedChunk> decoded =
        store::decodeChunk(opened.id, version.chunk, version.txid, read.chunks[0].bytes);
    if (!decoded) add(Finding::Kind::Chunk, decoded.error().message);
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
      if (progress_ && page % kProgressPages == 0 && !progress_(page, file.pageCount())) {
        return Error{ErrorCode::Aborted, "given up"};
      }
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
};

}  // namespace

std::string_view findingKindName(Finding::Kind kind) {
  switch (kind) {
    case Finding::Kind::Record:
      return "record";
    case Finding::Kind::Chunk:
      return "chunk";
    case Finding::Kind::TornStaging:
      return "torn_staging";
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
  CheckReport report;
  report.name = name;
  Checker checker(environment, report, progress);
  SKEP_CHECK_OK(checker.run());
  return report;
}

}  // namespace skep::sql
