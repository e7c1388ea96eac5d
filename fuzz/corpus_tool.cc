// Corpora are kept as hex text (testing/hex/hex.h); libFuzzer wants binary files.
//
//   fuzz_corpus_tool unpack <folder of .hex files> <folder of binary files>
//   fuzz_corpus_tool pack <folder of binary files> <folder of .hex files>   only adds inputs that
//   are not there

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <string>

#include "skep/base/check.h"
#include "skep/testing/hex/hex.h"

namespace skep {
namespace {

namespace fs = std::filesystem;

std::string readFile(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  SKEP_CHECK(file.good(), "cannot read %s", path.c_str());
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

void writeFile(const fs::path& path, std::string_view content) {
  std::ofstream file(path, std::ios::binary);
  file << content;
  file.flush();
  SKEP_CHECK(file.good(), "cannot write %s", path.c_str());
}

void unpack(const fs::path& hexFolder, const fs::path& binaryFolder) {
  fs::create_directories(binaryFolder);
  for (const auto& entry : fs::directory_iterator(hexFolder)) {
    if (entry.path().extension() != ".hex") continue;
    writeFile(binaryFolder / entry.path().stem(), asText(testing::fromHex(readFile(entry.path()))));
  }
}

void pack(const fs::path& binaryFolder, const fs::path& hexFolder) {
  fs::create_directories(hexFolder);
  std::set<Bytes> known;
  for (const auto& entry : fs::directory_iterator(hexFolder)) {
    if (entry.path().extension() == ".hex") known.insert(testing::fromHex(readFile(entry.path())));
  }
  for (const auto& entry : fs::directory_iterator(binaryFolder)) {
    const std::string content = readFile(entry.path());
    if (!known.insert(toBytes(asBytes(content))).second) continue;
    writeFile(hexFolder / ("found_" + entry.path().filename().string().substr(0, 12) + ".hex"),
              testing::toHexText(asBytes(content)));
  }
}

}  // namespace
}  // namespace skep

int main(int argc, char** argv) {
  const std::string command = argc == 4 ? argv[1] : "";
  if (command == "unpack") {
    skep::unpack(argv[2], argv[3]);
  } else if (command == "pack") {
    skep::pack(argv[2], argv[3]);
  } else {
    std::fprintf(stderr, "usage: %s unpack|pack <from> <to>\n", argv[0]);
    return 2;
  }
  return 0;
}
