#include "train/shared_files.hpp"

#include <algorithm>
#include <system_error>

#include "base/atomic_file.hpp"
#include "base/checksum.hpp"
#include "base/fail.hpp"
#include "base/mapped_file.hpp"

namespace fabula::train {
namespace {

namespace fs = std::filesystem;
constexpr std::size_t kPieceBytes = std::size_t{16} << 20;

std::span<std::byte> bytes_of(std::uint64_t& value) {
  return std::as_writable_bytes(std::span(&value, 1));
}

void send_file(Reducer& ranks, const fs::path& path) {
  const MappedFile file(path);
  std::uint64_t size = file.size();
  ranks.broadcast(bytes_of(size), kSetupPatience);
  std::vector<std::byte> piece;
  for (std::size_t at = 0; at < size; at += piece.size()) {
    const auto part = file.bytes().subspan(at, std::min(kPieceBytes, file.size() - at));
    piece.assign(part.begin(), part.end());
    ranks.broadcast(piece, kSetupPatience);
  }
  file.check();
}

void receive_file(Reducer& ranks, AtomicFile* file) {
  std::uint64_t size = 0;
  ranks.broadcast(bytes_of(size), kSetupPatience);
  std::vector<std::byte> piece;
  for (std::uint64_t at = 0; at < size; at += piece.size()) {
    piece.resize(std::min<std::uint64_t>(kPieceBytes, size - at));
    ranks.broadcast(piece, kSetupPatience);
    if (file != nullptr) file->write(piece);
  }
}

/// What tells a file from others.
std::string identity(const fs::path& path) {
  return fmt::format("{} bytes {}", fs::file_size(path), checksum_text(file_checksum(path)));
}

/// Whether any rank says so.
bool any(Reducer& ranks, bool here) {
  const std::byte own{static_cast<unsigned char>(here ? 1 : 0)};
  std::uint64_t some = 0;
  for (const std::vector<std::byte>& one : ranks.gather(std::span(&own, 1), kSetupPatience))
    some |= static_cast<std::uint64_t>(one.front());
  ranks.broadcast(bytes_of(some), kSetupPatience);
  return some != 0;
}

}  // namespace

void share_file(Reducer& ranks, const fs::path& from, const fs::path& to) {
  if (ranks.leads()) return send_file(ranks, from);
  ensure_directory(to.parent_path());
  AtomicFile file(to);
  receive_file(ranks, &file);
  file.commit();
}

fs::path share_input(Reducer& ranks, const fs::path& path, const fs::path& copy) {
  const std::string there = ranks.broadcast_text(ranks.leads() ? identity(path) : "");
  std::error_code code;
  const bool seen = ranks.leads() || fs::is_regular_file(path, code);
  if (seen && !ranks.leads())
    if (const std::string here = identity(path); here != there)
      fail(ErrorCode::kInvalidArgument, "{} is another file on rank {} ({}) than on rank 0 ({})", path.string(),
           ranks.rank(), here, there);
  if (!any(ranks, !seen)) return path;
  if (!seen) {
    share_file(ranks, path, copy);
    return copy;
  }
  if (ranks.leads())
    send_file(ranks, path);
  else
    receive_file(ranks, nullptr);
  return path;
}

void share_checkpoint(Reducer& ranks, const RunFolder* run, const fs::path& folder) {
  const std::vector<std::string> own = run == nullptr ? std::vector<std::string>() : run->checkpoint_files();
  const std::string all = ranks.broadcast_text(fmt::format("{}", fmt::join(own, "\n")));
  for (std::size_t begin = 0; begin < all.size();) {
    const std::size_t end = std::min(all.find('\n', begin), all.size());
    const std::string name = all.substr(begin, end - begin);
    share_file(ranks, run == nullptr ? fs::path() : run->file(name), folder / name);
    begin = end + 1;
  }
}

}  // namespace fabula::train
