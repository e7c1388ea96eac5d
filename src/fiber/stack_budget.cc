#include "skep/fiber/stack_budget.h"

#include <algorithm>
#include <fstream>

namespace skep::fiber {
namespace {

constexpr std::size_t kMappingsPerStack = 2;
constexpr std::size_t kUsualMappingsMax = 65'530;  // of Linux
constexpr std::size_t kCountMin = 1'024;

std::size_t mappingsMax() {
  std::ifstream setting("/proc/sys/vm/max_map_count");
  std::size_t count = 0;
  return setting >> count ? count : kUsualMappingsMax;
}

}  // namespace

StackBudget& StackBudget::ofProcess() {
  // The limit is the process's, so the count has to be too.
  static StackBudget budget(std::max(mappingsMax() / 4 * 3 / kMappingsPerStack, kCountMin));
  return budget;
}

std::size_t StackBudget::shareOf(Priority priority) const {
  switch (priority) {
    case Priority::Outside:
      return countMax_ / 2;
    case Priority::Inside:
      return countMax_ - countMax_ / 4;
    case Priority::Internal:
      return countMax_ - countMax_ / 8;
    case Priority::Commit:
      return countMax_ - countMax_ / 16;
    case Priority::Last:
      break;
  }
  return countMax_;
}

}  // namespace skep::fiber
