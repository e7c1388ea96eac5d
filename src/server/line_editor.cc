#include "skep/server/line_editor.h"

#include <histedit.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <system_error>

#include "skep/base/check.h"
#include "skep/sql/sql_text.h"

namespace skep::server {
namespace {

// What Tab completes: names, with their schema, and dot commands.
bool isCompletable(char c) {
  return c == '.' || sql::isWordCharacter(c);
}

std::string commonPrefix(const std::vector<std::string>& words) {
  std::string prefix = words.front();
  for (const std::string& word : words) {
    const auto end = std::mismatch(prefix.begin(), prefix.end(), word.begin(), word.end()).first;
    prefix.erase(end, prefix.end());
  }
  return prefix;
}

}  // namespace

struct LineEditor::Impl {
  LineEditorOptions options;
  EditLine* editor = nullptr;
  History* history = nullptr;
  std::string prompt;
  std::string newest;
  std::vector<std::string> words;
  bool cancelled = false;

  static Impl& of(EditLine* editor) {
    void* self = nullptr;
    el_get(editor, EL_CLIENTDATA, &self);
    return *static_cast<Impl*>(self);
  }
  static char* promptOf(EditLine* editor) { return of(editor).prompt.data(); }

  // Ctrl-C: leaves the line as it stands on the screen and starts a new one.
  static unsigned char cancel(EditLine* editor, int) {
    of(editor).cancelled = true;
    el_cursor(editor, 1 << 20);
    std::fputs("^C", stdout);
    return CC_NEWLINE;
  }

  // A Ctrl-D that was typed ahead, before the terminal was in editing mode, arrives as NUL.
  static unsigned char typedAheadEnd(EditLine* editor, int) {
    const LineInfo* line = el_line(editor);
    return line->lastchar == line->buffer ? CC_EOF : CC_ERROR;
  }

  // Nothing is thrown through libedit: a word that there is no memory for is not completed.
  static unsigned char complete(EditLine* editor, int) {
    try {
      return completeWord(editor);
    } catch (...) {
      return CC_ERROR;
    }
  }

  static unsigned char completeWord(EditLine* editor) {
    const LineInfo* line = el_line(editor);
    const char* wordStart = line->cursor;
    while (wordStart > line->buffer && isCompletable(wordStart[-1])) --wordStart;
    const std::string typed(wordStart, line->cursor);
    if (typed.empty()) return CC_ERROR;
    const std::vector<std::string> found = completionsOf(of(editor).words, typed);
    if (found.empty()) return CC_ERROR;
    const std::string longest = found.size() == 1 ? found.front() + " " : commonPrefix(found);
    if (longest.size() > typed.size()) {
      el_deletestr(editor, static_cast<int>(typed.size()));
      el_insertstr(editor, longest.c_str());
      return CC_REFRESH;
    }
    std::fputc('\n', stdout);
    for (const std::string& word : found) std::fprintf(stdout, "%s  ", word.c_str());
    std::fputc('\n', stdout);
    return CC_REDISPLAY;
  }
};

LineEditor::LineEditor(LineEditorOptions options) : impl_(std::make_unique<Impl>()) {
  impl_->options = std::move(options);
  impl_->history = history_init();
  impl_->editor = el_init("skep", stdin, stdout, stderr);
  SKEP_CHECK(impl_->history != nullptr && impl_->editor != nullptr, "libedit");
  HistEvent event;
  history(impl_->history, &event, H_SETSIZE, static_cast<int>(impl_->options.historyEntriesMax));
  if (!impl_->options.historyPath.empty()) {
    history(impl_->history, &event, H_LOAD, impl_->options.historyPath.c_str());
  }
  EditLine* editor = impl_->editor;
  el_set(editor, EL_CLIENTDATA, impl_.get());
  el_set(editor, EL_PROMPT, &Impl::promptOf);
  el_set(editor, EL_EDITOR, "emacs");
  el_set(editor, EL_HIST, history, impl_->history);
  el_set(editor, EL_ADDFN, "skep-cancel", "Drop the line", &Impl::cancel);
  el_set(editor, EL_ADDFN, "skep-complete", "Complete the word", &Impl::complete);
  el_set(editor, EL_BIND, "^I", "skep-complete", nullptr);
  el_set(editor, EL_ADDFN, "skep-end", "End the input, on an empty line", &Impl::typedAheadEnd);
  el_set(editor, EL_BIND, "^@", "skep-end", nullptr);
  el_set(editor, EL_BIND, "^R", "em-inc-search-prev", nullptr);
  // While a line is edited Ctrl-C is a key; while a statement runs it is the signal (interrupts.h).
  el_set(editor, EL_SETTY, "-d", "-isig", nullptr);
  el_set(editor, EL_BIND, "^C", "skep-cancel", nullptr);
  el_source(editor, nullptr);  // the user's ~/.editrc
}

LineEditor::~LineEditor() {
  HistEvent event;
  const std::string& path = impl_->options.historyPath;
  if (!path.empty()) {
    // SQL may hold secrets: the file is for its owner alone.
    const mode_t before = ::umask(077);
    history(impl_->history, &event, H_SAVE, path.c_str());
    ::umask(before);
  }
  el_end(impl_->editor);
  history_end(impl_->history);
}

LineEditor::Event LineEditor::readLine(const std::string& prompt, std::string& line) {
  line.clear();
  impl_->prompt = prompt;
  impl_->cancelled = false;
  // Before the prompt shows, so that a key pressed at sight of it is an editing key already.
  el_set(impl_->editor, EL_PREP_TERM, 1);
  int count = 0;
  const char* text = el_gets(impl_->editor, &count);
  if (impl_->cancelled) return Event::Cancelled;
  if (text == nullptr || count <= 0) return Event::End;
  line.assign(text, static_cast<std::size_t>(count));
  while (!line.empty() && (line.back() == '\n' || line.back() == '\r')) line.pop_back();
  return Event::Line;
}

void LineEditor::remember(std::string_view entry) {
  std::string text(entry);
  // On one line it is easier to edit again; but a comment would swallow what follows it.
  if (text.find("--") == std::string::npos) std::replace(text.begin(), text.end(), '\n', ' ');
  if (text.empty() || text == impl_->newest) return;
  HistEvent event;
  history(impl_->history, &event, H_ENTER, text.c_str());
  impl_->newest = std::move(text);
}

void LineEditor::setWords(std::vector<std::string> words) {
  impl_->words = std::move(words);
}

std::string historyPath() {
  if (const char* path = std::getenv("SKEP_HISTORY")) return path;
  std::filesystem::path folder;
  const char* state = std::getenv("XDG_STATE_HOME");
  const char* home = std::getenv("HOME");
  if (state != nullptr && *state == '/') {
    folder = state;
  } else if (home != nullptr && *home == '/') {
    folder = std::filesystem::path(home) / ".local" / "state";
  } else {
    return {};
  }
  folder /= "skep";
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  return error ? std::string() : (folder / "history").string();
}

std::vector<std::string> completionsOf(const std::vector<std::string>& words,
                                       std::string_view prefix) {
  std::vector<std::string> found;
  for (const std::string& word : words) {
    if (sql::equalsIgnoringCase(std::string_view(word).substr(0, prefix.size()), prefix))
      found.push_back(word);
  }
  std::sort(found.begin(), found.end());
  found.erase(std::unique(found.begin(), found.end()), found.end());
  return found;
}

}  // namespace skep::server
