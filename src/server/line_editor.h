// LineEditor: one edited line from a terminal, with history and completion (libedit).
//
// readLine() blocks its thread, so a program with fibers calls it through offload(); all calls of
// one editor must come from the same thread. Ctrl-C drops the line, Ctrl-D on an empty line ends
// the input.
//
//   LineEditor editor({.historyPath = path});
//   while (editor.readLine("tenant/acme> ", line) != LineEditor::Event::End) …

#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace skep::server {

struct LineEditorOptions {
  std::string historyPath;  // read now and written by the destructor; empty: no file
  std::size_t historyEntriesMax = 1000;
};

class LineEditor {
 public:
  enum class Event : std::uint8_t { Line, Cancelled, End };

  explicit LineEditor(LineEditorOptions options);
  ~LineEditor();
  LineEditor(const LineEditor&) = delete;
  LineEditor& operator=(const LineEditor&) = delete;

  /// Reads into `line`, without the newline.
  Event readLine(const std::string& prompt, std::string& line);
  /// Adds an entry; one that equals the newest is not added again.
  void remember(std::string_view entry);
  /// The words that Tab completes to.
  void setWords(std::vector<std::string> words);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Where the shell's history is kept: $SKEP_HISTORY, else skep/history in $XDG_STATE_HOME or
/// ~/.local/state. Makes the folder. Empty when there is no such place (or SKEP_HISTORY is set and
/// empty).
std::string historyPath();

/// The words that begin with `prefix`, ignoring case; each once, sorted.
std::vector<std::string> completionsOf(const std::vector<std::string>& words,
                                       std::string_view prefix);

}  // namespace skep::server
