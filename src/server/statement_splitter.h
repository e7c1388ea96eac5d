// StatementSplitter: cuts a stream of SQL text into statements, as the text arrives.
//
// A statement ends at a semicolon outside quotes and comments; that of CREATE TRIGGER ends at
// ";END;". The rule is the one of sqlite3_complete(), but incremental: what was looked at is not
// looked at again when more text comes, so a script of any size streams through in the memory of
// its longest statement. Belongs to one thread.
//
//   StatementSplitter splitter;
//   splitter.append("SELECT 1; SEL");
//   while (auto statement = splitter.next()) run(statement->text);   // "SELECT 1;"
//   splitter.finish();   // the rest counts as a statement, if not blank

#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace skep::server {

struct SqlPiece {
  std::string text;      // without the blanks and comments before it, with its semicolon
  std::size_t line = 1;  // of its first character in the stream, from 1
};

class StatementSplitter {
 public:
  void append(std::string_view text);
  /// Says that nothing follows: next() then also returns a last statement without a semicolon.
  void finish() { finished_ = true; }

  /// The next whole statement; nullopt when the text so far holds none. Empty statements (";") are
  /// passed over.
  std::optional<SqlPiece> next();

  /// Whether all that is left is blanks and finished comments. Known once next() has returned
  /// nullopt.
  bool isBlank() const { return !started_ && quote_ == Quote::None && scanned_ == buffer_.size(); }
  /// Bytes of the statement that has begun and not ended.
  std::size_t pendingBytes() const { return buffer_.size() - start_; }
  /// Forgets what is left.
  void clear();

 private:
  enum class Quote : std::uint8_t {
    None,
    Single,
    Double,
    Backtick,
    Bracket,
    LineComment,
    BlockComment
  };
  // How far the statement is recognized as CREATE TRIGGER, whose body holds semicolons.
  enum class Shape : std::uint8_t {
    Start,
    Explain,
    Create,
    Other,
    Trigger,
    TriggerSemicolon,
    TriggerEnd
  };

  bool scan();
  bool scanQuoted();
  bool scanPlain();
  void sawWord(std::string_view word);
  bool sawSemicolon();
  void sawOther();
  void begin();
  SqlPiece take();
  void compact();

  std::string buffer_;
  std::size_t start_ = 0;    // where the statement begins, once it has
  std::size_t scanned_ = 0;  // everything before was looked at
  bool started_ = false;
  bool finished_ = false;
  Quote quote_ = Quote::None;
  Shape shape_ = Shape::Start;
  std::size_t line_ = 1;       // at scanned_
  std::size_t startLine_ = 1;  // at start_
};

}  // namespace skep::server
