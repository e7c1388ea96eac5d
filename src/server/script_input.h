// ScriptInput: the statements of a script, read from a file descriptor or a text as they are
// needed.

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "skep/base/result.h"
#include "skep/fiber/thread_pool.h"
#include "skep/server/statement_splitter.h"

namespace skep::server {

/// The longest statement that the command line accepts; a script of many statements may have any
/// size.
inline constexpr std::size_t kStatementBytesMax = 16 * 1024 * 1024;

class ScriptInput {
 public:
  /// Reads from `descriptor` (borrowed); waiting for it does not hold up the loop, `pool` waits
  /// instead.
  ScriptInput(int descriptor, fiber::ThreadPool& pool) : descriptor_(descriptor), pool_(&pool) {}
  explicit ScriptInput(std::string_view text);

  /// The next statement; nullopt at the end. Suspends. LimitExceeded when a statement is longer
  /// than kStatementBytesMax, InvalidArgument when the text cannot be SQL (it holds a NUL
  /// character).
  Result<std::optional<SqlPiece>> next();
  /// Read from the descriptor so far.
  std::uint64_t bytesRead() const { return bytesRead_; }

 private:
  Status readMore();

  int descriptor_ = -1;
  fiber::ThreadPool* pool_ = nullptr;
  StatementSplitter splitter_;
  std::uint64_t bytesRead_ = 0;
  bool atStart_ = true;
  bool ended_ = false;
};

}  // namespace skep::server
