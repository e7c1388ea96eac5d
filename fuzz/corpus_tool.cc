// Corpora are kept as text (corpus_files.h); libFuzzer wants binary files.
//
//   fuzz_corpus_tool unpack <corpus> <folder>   writes each input to a file of its own
//   fuzz_corpus_tool pack <folder> <corpus>     writes the inputs that have no file of their own to
//   found.lines

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <string>

#include "corpus_files.h"
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

void unpack(const fs::path& corpus, const fs::path& folder) {
  fs::create_directories(folder);
  for (const fuzz::CorpusInput& input : fuzz::readCorpus(corpus)) {
    writeFile(folder / input.name, asText(input.bytes));
  }
}

void pack(const fs::path& folder, const fs::path& corpus) {
  std::set<Bytes> named;
  for (const fuzz::CorpusInput& input : fuzz::readCorpus(corpus)) {
    if (!input.isFound) named.insert(input.bytes);
  }
  std::set<std::string> lines;  // sorted: the file changes little from run to run
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string content = readFile(entry.path());
    if (named.count(toBytes(asBytes(content))) == 0) lines.insert(testing::toHex(asBytes(content)));
  }
  std::string text = "# Inputs that fuzz/run.sh has found, one a line.\n";
  for (const std::string& line : lines) text += line + "\n";
  writeFile(corpus / fuzz::kFoundFile, text);
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
