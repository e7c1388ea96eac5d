// Shell: the interactive form of `skep sql NAME`, at a terminal.
//
// Reads lines with an editor on a thread of its own (the loop goes on meanwhile), gathers them into
// statements and runs each when its semicolon is there; a line that begins with a dot is a command
// (dot_commands.h). Ctrl-C stops the statement that runs, or drops what was typed; Ctrl-D leaves.

#pragma once

#include <string>

#include "skep/fiber/thread_pool.h"
#include "skep/server/command.h"
#include "skep/server/line_editor.h"
#include "skep/server/script_runner.h"

namespace skep::server {

class Shell {
 public:
  /// `editorThread` is a pool of exactly one thread.
  Shell(sql::Database& database, CommandContext& context, fiber::ThreadPool& editorThread,
        ScriptOptions options);

  /// Until the user leaves. Errors of statements are printed; returned is only what ends the shell
  /// (a broken database). Suspends.
  Status run();

 private:
  std::string prompt() const;
  Status runStatements();
  void refreshWords(LineEditor& editor);

  sql::Database& database_;
  CommandContext& context_;
  fiber::ThreadPool& editorThread_;
  ScriptRunner runner_;
  StatementSplitter splitter_;
};

}  // namespace skep::server
