#include "statement_texts.h"

#include <utility>

namespace skep::node {

std::uint32_t StatementTexts::add(std::string sql) {
  texts_.push_back(std::make_shared<StatementText>(StatementText{std::move(sql), nullptr}));
  return static_cast<std::uint32_t>(texts_.size() - 1);
}

std::shared_ptr<StatementText> StatementTexts::find(std::uint32_t number) const {
  return number < texts_.size() ? texts_[number] : nullptr;
}

bool StatementTexts::areThose(const Columns& columns, const sql::Statement& statement) {
  const auto count = static_cast<std::size_t>(statement.columnCount());
  if (columns.names.size() != count) return false;
  for (std::size_t i = 0; i < count; ++i) {
    if (columns.names[i] != statement.columnName(static_cast<int>(i))) return false;
  }
  return true;
}

const std::shared_ptr<const Columns>& StatementTexts::columnsOf(StatementText& text,
                                                                const sql::Statement& statement) {
  if (text.columns != nullptr && areThose(*text.columns, statement)) return text.columns;
  std::vector<std::string> names;
  for (int i = 0; i < statement.columnCount(); ++i) names.emplace_back(statement.columnName(i));
  std::shared_ptr<const Columns>& known = byNames_[names];
  if (known == nullptr) {
    known = std::make_shared<const Columns>(Columns{++lastColumns_, std::move(names)});
    byNumber_.emplace(known->number, known);
  }
  text.columns = known;
  return text.columns;
}

std::shared_ptr<const Columns> StatementTexts::columns(std::uint32_t number) const {
  const auto found = byNumber_.find(number);
  return found == byNumber_.end() ? nullptr : found->second;
}

void StatementTexts::forget() {
  texts_.clear();
  byNames_.clear();
  byNumber_.clear();
}

}  // namespace skep::node
