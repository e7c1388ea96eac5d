#include "skep/server/statement_splitter.h"

#include <algorithm>

#include "skep/base/check.h"
#include "skep/sql/sql_text.h"

namespace skep::server {
namespace {

using sql::equalsIgnoringCase;
using sql::isWordCharacter;

bool isSpace(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\f' || c == '\r';
}

bool isOneOf(std::string_view word, std::initializer_list<std::string_view> candidates) {
  return std::any_of(candidates.begin(), candidates.end(), [word](std::string_view candidate) {
    return equalsIgnoringCase(word, candidate);
  });
}

constexpr std::size_t kCompactBytes = 1 << 20;

}  // namespace

void StatementSplitter::append(std::string_view text) {
  if (start_ >= kCompactBytes) compact();
  buffer_ += text;
}

// Gives back the room of what was taken already.
void StatementSplitter::compact() {
  buffer_.erase(0, start_);
  scanned_ -= start_;
  start_ = 0;
}

std::optional<SqlPiece> StatementSplitter::next() {
  while (scan()) {
    SqlPiece piece = take();
    if (piece.text != ";") return piece;
  }
  if (finished_ && started_) {
    scanned_ = buffer_.size();
    return take();
  }
  return std::nullopt;
}

void StatementSplitter::clear() {
  *this = StatementSplitter();
}

SqlPiece StatementSplitter::take() {
  SqlPiece piece{.text = buffer_.substr(start_, scanned_ - start_), .line = startLine_};
  start_ = scanned_;
  if (start_ == buffer_.size()) compact();
  started_ = false;
  quote_ = Quote::None;
  shape_ = Shape::Start;
  return piece;
}

// Looks at new text; true when scanned_ stands behind the semicolon that ends the statement.
bool StatementSplitter::scan() {
  while (scanned_ < buffer_.size()) {
    if (quote_ != Quote::None) {
      if (!scanQuoted()) return false;
      continue;
    }
    const char c = buffer_[scanned_];
    if (isSpace(c)) {
      if (c == '\n') ++line_;
      ++scanned_;
    } else if (c == ';') {
      begin();
      ++scanned_;
      if (sawSemicolon()) return true;
    } else {
      const std::size_t before = scanned_;
      if (!scanPlain()) return false;
      SKEP_CHECK(scanned_ > before);
    }
    if (!started_) start_ = scanned_;
  }
  return false;
}

// Goes on in a quoted text or a comment; false when its end is not there yet.
bool StatementSplitter::scanQuoted() {
  const auto goTo = [this](std::size_t end) {
    line_ += static_cast<std::size_t>(
        std::count(buffer_.begin() + static_cast<std::ptrdiff_t>(scanned_),
                   buffer_.begin() + static_cast<std::ptrdiff_t>(end), '\n'));
    scanned_ = end;
  };
  std::string_view terminator;
  switch (quote_) {
    case Quote::Single:
      terminator = "'";
      break;
    case Quote::Double:
      terminator = "\"";
      break;
    case Quote::Backtick:
      terminator = "`";
      break;
    case Quote::Bracket:
      terminator = "]";
      break;
    case Quote::LineComment:
      terminator = "\n";
      break;
    case Quote::BlockComment:
      terminator = "*/";
      break;
    case Quote::None:
      SKEP_UNREACHABLE();
  }
  // A doubled quote needs no care: it ends one quoted text and begins the next.
  const std::size_t found = buffer_.find(terminator, scanned_);
  if (found == std::string::npos) {
    // The last character may be the first half of the end of a comment.
    goTo(buffer_.size() - std::min(buffer_.size() - scanned_, terminator.size() - 1));
    if (finished_) goTo(buffer_.size());
    return false;
  }
  goTo(found + terminator.size());
  quote_ = Quote::None;
  if (!started_) start_ = scanned_;
  return true;
}

// Looks at a word, a quote, the beginning of a comment or a symbol; false when more text is needed
// to tell.
bool StatementSplitter::scanPlain() {
  const char c = buffer_[scanned_];
  if (isWordCharacter(c)) {
    std::size_t end = scanned_;
    while (end < buffer_.size() && isWordCharacter(buffer_[end])) ++end;
    if (end == buffer_.size() && !finished_) return false;
    begin();
    sawWord(std::string_view(buffer_).substr(scanned_, end - scanned_));
    scanned_ = end;
    return true;
  }
  if (c == '-' || c == '/') {
    if (scanned_ + 1 == buffer_.size() && !finished_) return false;
    const bool isComment =
        scanned_ + 1 < buffer_.size() && buffer_[scanned_ + 1] == (c == '-' ? '-' : '*');
    if (isComment) {
      quote_ = c == '-' ? Quote::LineComment : Quote::BlockComment;
      scanned_ += 2;
      return true;
    }
  }
  begin();
  sawOther();
  switch (c) {
    case '\'':
      quote_ = Quote::Single;
      break;
    case '"':
      quote_ = Quote::Double;
      break;
    case '`':
      quote_ = Quote::Backtick;
      break;
    case '[':
      quote_ = Quote::Bracket;
      break;
    default:
      break;
  }
  ++scanned_;
  return true;
}

void StatementSplitter::begin() {
  if (started_) return;
  started_ = true;
  start_ = scanned_;
  startLine_ = line_;
}

void StatementSplitter::sawWord(std::string_view word) {
  switch (shape_) {
    case Shape::Start:
      shape_ = equalsIgnoringCase(word, "create")    ? Shape::Create
               : equalsIgnoringCase(word, "explain") ? Shape::Explain
                                                     : Shape::Other;
      break;
    case Shape::Explain:  // EXPLAIN QUERY PLAN CREATE …
      if (equalsIgnoringCase(word, "create")) {
        shape_ = Shape::Create;
      } else if (isOneOf(word, {"explain", "temp", "temporary", "trigger", "end"})) {
        shape_ = Shape::Other;
      }
      break;
    case Shape::Create:
      if (equalsIgnoringCase(word, "trigger")) {
        shape_ = Shape::Trigger;
      } else if (!isOneOf(word, {"temp", "temporary"})) {
        shape_ = Shape::Other;
      }
      break;
    case Shape::TriggerSemicolon:
      shape_ = equalsIgnoringCase(word, "end") ? Shape::TriggerEnd : Shape::Trigger;
      break;
    case Shape::TriggerEnd:
      shape_ = Shape::Trigger;
      break;
    case Shape::Other:
    case Shape::Trigger:
      break;
  }
}

bool StatementSplitter::sawSemicolon() {
  if (shape_ != Shape::Trigger && shape_ != Shape::TriggerSemicolon) return true;
  shape_ = Shape::TriggerSemicolon;
  return false;
}

void StatementSplitter::sawOther() {
  const bool inTrigger =
      shape_ == Shape::Trigger || shape_ == Shape::TriggerSemicolon || shape_ == Shape::TriggerEnd;
  if (inTrigger) {
    shape_ = Shape::Trigger;
  } else if (shape_ != Shape::Explain) {
    shape_ = Shape::Other;
  }
}

}  // namespace skep::server
