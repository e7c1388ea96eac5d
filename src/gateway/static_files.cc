#include "skep/gateway/static_files.h"

#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <system_error>
#include <utility>

namespace skep::gateway {
namespace {

namespace filesystem = std::filesystem;

constexpr std::array<std::pair<std::string_view, std::string_view>, 20> kMediaTypes{{
    {".html", "text/html; charset=utf-8"},
    {".js", "text/javascript; charset=utf-8"},
    {".mjs", "text/javascript; charset=utf-8"},
    {".css", "text/css; charset=utf-8"},
    {".json", "application/json"},
    {".map", "application/json"},
    {".txt", "text/plain; charset=utf-8"},
    {".md", "text/plain; charset=utf-8"},
    {".xml", "application/xml"},
    {".svg", "image/svg+xml"},
    {".png", "image/png"},
    {".jpg", "image/jpeg"},
    {".jpeg", "image/jpeg"},
    {".gif", "image/gif"},
    {".webp", "image/webp"},
    {".ico", "image/x-icon"},
    {".woff2", "font/woff2"},
    {".wasm", "application/wasm"},
    {".webmanifest", "application/manifest+json"},
    {".pdf", "application/pdf"},
}};

std::string_view mediaTypeOf(const std::string& extension) {
  for (const auto& [each, type] : kMediaTypes) {
    if (each == extension) return type;
  }
  return "application/octet-stream";
}

/// FNV-1a with 64 bits: tells versions of a file apart.
std::string tagOf(std::string_view bytes) {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const char c : bytes) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  std::array<char, 24> text{};
  std::snprintf(text.data(), text.size(), "\"%016llx\"", static_cast<unsigned long long>(hash));
  return text.data();
}

bool isHidden(const filesystem::path& path) {
  return path.filename().string().starts_with('.');
}

}  // namespace

Result<StaticFiles> StaticFiles::load(const std::string& directory) {
  StaticFiles files;
  std::error_code error;
  std::size_t bytes = 0;
  filesystem::recursive_directory_iterator each(directory, error);
  for (; !error && each != filesystem::recursive_directory_iterator(); each.increment(error)) {
    const filesystem::path& path = each->path();
    if (isHidden(path)) each.disable_recursion_pending();
    if (isHidden(path) || !each->is_regular_file(error)) continue;
    std::ifstream file(path, std::ios::binary);
    std::string content{std::istreambuf_iterator<char>(file), {}};
    if (!file) {
      return Error{ErrorCode::InvalidArgument, "the file " + path.string() + " cannot be read"};
    }
    bytes += content.size();
    if (bytes > kBytesMax) {
      return Error{ErrorCode::InvalidArgument, "the directory " + directory + " has more than " +
                                                   std::to_string(kBytesMax / 1024 / 1024) +
                                                   " MiB of files"};
    }
    std::string tag = tagOf(content);
    files.files_["/" + path.lexically_relative(directory).generic_string()] = {
        .mediaType = std::string(mediaTypeOf(path.extension().string())),
        .bytes = std::move(content),
        .tag = std::move(tag)};
  }
  if (error) {
    return Error{ErrorCode::InvalidArgument,
                 "the directory " + directory + " cannot be read: " + error.message()};
  }
  return files;
}

const StaticFiles::File* StaticFiles::find(std::string_view path) const {
  std::string name(path);
  if (name.ends_with('/')) name += "index.html";
  const auto found = files_.find(name);
  return found == files_.end() ? nullptr : &found->second;
}

}  // namespace skep::gateway
