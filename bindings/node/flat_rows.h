// FlatRows: the rows of a statement on their way to JavaScript: all values one after the other, all texts and blobs in
// one piece of memory. Kept on the fiber, handed over outside of it.
//
// Most results are small, and what costs is not their bytes but the calls that each value takes into JavaScript's
// engine. So numbers are written into a Float64Array that both sides have, the frame:
//
//   frame[0]    how many values there are; -1: they are not here
//   frame[1]    the number of their columns
//   frame[2…]   the values that are numbers; NaN in place of others, which come in that order beside it

#pragma once

#include <node_api.h>

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "skep/sql/statement.h"

namespace skep::node {

class FlatRows {
  struct Cell;

 public:
  /// What those of one thread share. Outlives them.
  struct Space {
    std::span<double> frame;
    // What the last one has left.
    std::vector<Cell> cells;
    std::string bytes;
  };

  explicit FlatRows(Space& space);
  /// Leaves its memory to the next one.
  ~FlatRows();
  FlatRows(const FlatRows&) = delete;
  FlatRows& operator=(const FlatRows&) = delete;

  /// Keeps the row that the statement is at; gives how many bytes that takes.
  std::size_t add(const sql::Statement& statement, int columns);
  std::size_t size() const { return cells_.size(); }

  /// An array of all values.
  napi_value toArray(napi_env env) const;
  /// Writes into the frame, if fitsIntoFrame(). Gives what is no number: nothing, a string when it is one only
  /// and a text, an array else.
  napi_value toFrame(napi_env env, std::uint32_t columns) const;
  bool fitsIntoFrame() const { return cells_.size() + 2 <= space_.frame.size(); }

 private:
  struct Cell {
    sql::ValueType type = sql::ValueType::Null;
    union {
      std::int64_t integer = 0;
      double real;
      std::size_t bytes;  // of a text or blob: the next ones of bytes_
    };
  };
  static bool isNumber(const Cell& cell);
  napi_value toJs(napi_env env, const Cell& cell, const char*& bytes) const;

  Space& space_;
  std::vector<Cell> cells_;
  std::string bytes_;
};

}  // namespace skep::node
