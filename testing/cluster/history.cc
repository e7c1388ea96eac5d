#include "skep/testing/cluster/history.h"

#include <algorithm>
#include <set>

namespace skep::testing {
namespace {

using Content = std::vector<std::int64_t>;
using Kind = Operation::Kind;
using Outcome = Operation::Outcome;

std::string textOf(const Content& content) {
  std::string text = "[";
  for (const std::int64_t value : content)
    text += (text.size() > 1 ? " " : "") + std::to_string(value);
  return text + "]";
}

std::string textOf(const Operation& operation) {
  const auto ms = [](MonotonicTime time) { return std::to_string(time.ns / 1'000'000) + "ms"; };
  std::string text = ms(operation.begin) + "–" + (operation.end ? ms(*operation.end) : "") + " " +
                     operation.list + ": ";
  if (operation.kind != Kind::Read) {
    text += operation.kind == Kind::Append ? "append " : "append later ";
    text += std::to_string(operation.value);
    if (operation.kind == Kind::AppendLater)
      text += " after " + std::to_string(operation.delayMs) + "ms";
    if (operation.outcome == Outcome::Done)
      text += " done, place " + std::to_string(operation.place);
  } else {
    text += "read";
    if (operation.outcome == Outcome::Done) text += " " + textOf(operation.content);
  }
  if (operation.outcome == Outcome::Unknown) text += " unknown";
  if (operation.outcome == Outcome::NotDone) text += " not done";
  return text + " " + operation.note;
}

/// How long the list was known to be at some time: by operations that had ended by then.
struct Known {
  MonotonicTime since;
  std::size_t length = 0;
  const Operation* by = nullptr;
};

std::optional<std::string> checkContent(const Operation& read, const Content& final,
                                        const std::map<std::int64_t, const Operation*>& appends) {
  if (read.content.size() > final.size() ||
      !std::equal(read.content.begin(), read.content.end(), final.begin())) {
    return "a read gave what is not the beginning of the list " + textOf(final) + ": " +
           textOf(read);
  }
  for (const std::int64_t value : read.content) {
    if (*read.end < appends.at(value)->begin) return "a read saw the future: " + textOf(read);
  }
  return std::nullopt;
}

std::optional<std::string> checkFinal(const Content& final,
                                      const std::map<std::int64_t, const Operation*>& appends) {
  std::set<std::int64_t> seen;
  for (const std::int64_t value : final) {
    if (!appends.contains(value)) return "nobody appended " + std::to_string(value);
    if (!seen.insert(value).second)
      return std::to_string(value) + " is there twice: " + textOf(final);
    if (appends.at(value)->outcome == Outcome::NotDone) {
      return "it was said not to be done, and was: " + textOf(*appends.at(value));
    }
  }
  for (const auto& [value, append] : appends) {
    if (append->outcome != Outcome::Done) continue;
    if (append->kind == Kind::AppendLater) {
      if (!seen.contains(value)) return "a timer was lost: " + textOf(*append);
      continue;
    }
    const auto place = static_cast<std::size_t>(append->place);
    if (place == 0 || place > final.size() || final[place - 1] != value) {
      return "an acknowledged append is lost from " + textOf(final) + ": " + textOf(*append);
    }
  }
  return std::nullopt;
}

/// In the order of their ends: each that begins later knows at least as much.
std::optional<std::string> checkOrder(const std::vector<const Operation*>& done) {
  std::vector<Known> known;
  std::vector<const Operation*> byEnd = done;
  std::sort(byEnd.begin(), byEnd.end(),
            [](const Operation* a, const Operation* b) { return *a->end < *b->end; });
  for (const Operation* operation : byEnd) {
    const std::size_t length = operation->kind == Kind::Append
                                   ? static_cast<std::size_t>(operation->place)
                                   : operation->content.size();
    if (known.empty() || length > known.back().length)
      known.push_back({*operation->end, length, operation});
  }
  for (const Operation* operation : done) {
    const auto after =
        std::upper_bound(known.begin(), known.end(), operation->begin,
                         [](MonotonicTime time, const Known& each) { return time <= each.since; });
    if (after == known.begin()) continue;
    const Known& before = *std::prev(after);
    const bool isAppend = operation->kind == Kind::Append;
    const std::size_t length =
        isAppend ? static_cast<std::size_t>(operation->place) : operation->content.size();
    if (length >= before.length + (isAppend ? 1 : 0)) continue;
    return "an old answer: " + textOf(*operation) + "\n  after: " + textOf(*before.by);
  }
  return std::nullopt;
}

}  // namespace

std::optional<std::string> History::violation(const std::map<std::string, Content>& final) const {
  std::map<std::string, std::map<std::int64_t, const Operation*>> appends;
  std::map<std::string, std::vector<const Operation*>> done;
  for (const Operation& operation : operations_) {
    if (operation.kind != Kind::Read) appends[operation.list][operation.value] = &operation;
    if (operation.outcome != Outcome::Done || operation.kind == Kind::AppendLater) continue;
    done[operation.list].push_back(&operation);
  }
  for (const auto& [list, content] : final) {
    if (auto wrong = checkFinal(content, appends[list])) return list + ": " + *wrong;
    for (const Operation* operation : done[list]) {
      if (operation->kind != Kind::Read) continue;
      if (auto wrong = checkContent(*operation, content, appends[list]))
        return list + ": " + *wrong;
    }
    if (auto wrong = checkOrder(done[list])) return list + ": " + *wrong;
  }
  return std::nullopt;
}

std::string History::describe() const {
  std::string text;
  for (const Operation& operation : operations_) text += textOf(operation) + "\n";
  return text;
}

}  // namespace skep::testing
