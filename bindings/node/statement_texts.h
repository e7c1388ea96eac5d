// StatementTexts: what JavaScript and this side call by numbers, so that it is not copied each time: texts of
// statements, and the columns of what they give.
//
// Each JavaScript thread has one of its own. Its fibers use it too.

#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "skep/sql/statement.h"

namespace skep::node {

/// The names of columns. There is one for each list of names.
struct Columns {
  std::uint32_t number = 0;
  std::vector<std::string> names;
};

struct StatementText {
  std::string sql;
  /// Those that it had last; most have the same again. Null before the first time.
  std::shared_ptr<const Columns> columns;
};

class StatementTexts {
 public:
  /// Gives the number that find() knows it by.
  std::uint32_t add(std::string sql);
  /// Null: no statement has that number. What is found outlives forget().
  std::shared_ptr<StatementText> find(std::uint32_t number) const;
  /// Those of a statement that runs, kept in `text`.
  const std::shared_ptr<const Columns>& columnsOf(StatementText& text,
                                                  const sql::Statement& statement);
  /// Null: nothing has those.
  std::shared_ptr<const Columns> columns(std::uint32_t number) const;
  /// Programs that write values into their statements have ever more of them. Numbers of statements begin anew;
  /// those of columns do not.
  void forget();

 private:
  static bool areThose(const Columns& columns, const sql::Statement& statement);

  std::vector<std::shared_ptr<StatementText>> texts_;
  std::map<std::vector<std::string>, std::shared_ptr<const Columns>> byNames_;
  std::unordered_map<std::uint32_t, std::shared_ptr<const Columns>> byNumber_;
  std::uint32_t lastColumns_ = 0;
};

}  // namespace skep::node
