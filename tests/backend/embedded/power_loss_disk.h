// PowerLossDisk: RocksDB's file system on a machine whose power goes out.
//
// Everything is written to real files at once, as a running system sees them. Beside that it is
// known what a power failure must leave: of each file the bytes that were synced, and of each
// directory what was done to it before its last sync. restore() takes the rest away, by chance: of
// a file's unsynced end some first part stays; of the creations, renames and deletions of a
// directory some first ones, in their order.
//
//   PowerLossDisk disk(seed);
//   disk.cutPowerAfter(700);                 // writes, syncs, renames, …: then all of them fail
//   … open a store with env = disk.env(), use it until it fails, destroy it …
//   disk.restore();                          // or revive(): the process died, not the machine
//
// Any thread, but for restore() and revive(): nobody has a file open then.

#pragma once

#include <rocksdb/env.h>
#include <rocksdb/file_system.h>

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <vector>

namespace skep::testing {

class PowerLossDisk {
 public:
  explicit PowerLossDisk(std::uint64_t seed);

  rocksdb::Env* env() { return env_.get(); }
  /// The power goes out at the `operations`th change from now on.
  void cutPowerAfter(std::uint64_t operations);
  void cutPower() { cutPowerAfter(0); }
  bool isOff() const;
  /// The power is back: what the disk did not have to keep may be gone.
  void restore();
  /// The process starts again on a machine that never lost its power: everything is as written.
  void revive();
  /// How many bytes and directory changes restore() has taken away so far.
  std::uint64_t bytesLost() const { return bytesLost_; }
  std::uint64_t changesLost() const { return changesLost_; }

 private:
  class File;
  class Directory;
  class Files;

  /// What of a file's bytes is durable.
  struct Written {
    std::uint64_t synced = 0;
  };
  using WrittenPtr = std::shared_ptr<Written>;  // by the path, and by whoever has the file open

  /// A change of a directory that is not synced yet.
  struct Change {
    std::string path;     // that came into being, or went
    std::string from;     // of a rename: the path before
    std::string kept;     // where the file is that was at `path`; empty: there was none
    WrittenPtr keptFile;  // with `kept`
    bool isRemoval = false;
  };

  rocksdb::IOStatus pass();
  rocksdb::IOStatus passLocked();
  WrittenPtr track(const std::string& path, std::uint64_t synced);
  void noteCreated(const std::string& path);
  rocksdb::IOStatus rename(const std::string& from, const std::string& to);
  rocksdb::IOStatus remove(const std::string& path);
  std::string setAside(const std::string& path);
  void syncDirectory(const std::string& directory);
  void undo(const Change& change);
  void loseUnsynced();

  mutable std::mutex mutex_;  // guards everything below
  std::mt19937_64 random_;
  std::uint64_t operationsLeft_;
  std::map<std::string, WrittenPtr> files_;             // that were written since the last restore
  std::map<std::string, std::vector<Change>> changes_;  // by directory, oldest first
  std::uint64_t asideCount_ = 0;
  std::uint64_t bytesLost_ = 0;
  std::uint64_t changesLost_ = 0;
  std::unique_ptr<rocksdb::Env> env_;
};

}  // namespace skep::testing
