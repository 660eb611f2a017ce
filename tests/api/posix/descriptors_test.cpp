// Models from descriptors of files, as those of an Android asset.
#include <fcntl.h>
#include <unistd.h>

#include <fstream>
#include <iterator>

#include "api/api_test.hpp"
#include "temp_dir.hpp"

namespace fabula::test {
namespace {

/// A descriptor that is closed at the end.
class OpenFile {
 public:
  explicit OpenFile(const std::filesystem::path& path) : fd_(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {}
  ~OpenFile() { ::close(fd_); }
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;
  int fd() const { return fd_; }

 private:
  int fd_;
};

/// The files of a folder one behind the other in one file, as in an archive.
std::vector<DescriptorFile> pack(const std::filesystem::path& folder, const std::filesystem::path& archive) {
  std::ofstream out(archive, std::ios::binary);
  std::vector<DescriptorFile> files;
  out << "something before";
  for (const char* name : {"config.json", "tokenizer.json", "model.safetensors"}) {
    std::ifstream in(folder / name, std::ios::binary);
    const std::string content(std::istreambuf_iterator<char>(in), {});
    files.push_back({name, -1, static_cast<std::int64_t>(out.tellp()), static_cast<std::int64_t>(content.size())});
    out << content << "between";
  }
  return files;
}

TEST(ApiDescriptors, PartsOfAFileAreThatOfTheFolder) {
  const std::string expected = session().generate("abc", text_options(12, 1, 5));
  const TempDir folder;
  std::vector<DescriptorFile> files = pack(grouped_model(), folder / "archive");
  const auto open = [&] {
    const OpenFile archive(folder / "archive");
    for (DescriptorFile& file : files) file.descriptor = archive.fd();
    return Model(files);
  };
  const Model packed = open();  // the descriptor is closed already
  EXPECT_EQ(Session(device(), packed).generate("abc", text_options(12, 1, 5)), expected);
}

TEST(ApiDescriptors, WholeFilesAreThoseOfTheFolder) {
  const std::string expected = session().generate("abc", text_options(12, 1, 5));
  const OpenFile config(grouped_model() / "config.json"), tokenizer(grouped_model() / "tokenizer.json"),
      weights(grouped_model() / "model.safetensors");
  const std::vector<DescriptorFile> files = {
      {"config.json", config.fd()}, {"tokenizer.json", tokenizer.fd()}, {"model.safetensors", weights.fd()}};
  EXPECT_EQ(Session(device(), Model(files)).generate("abc", text_options(12, 1, 5)), expected);
}

TEST(ApiDescriptors, WhatIsNoFileIsRefused) {
  int pipe_ends[2];
  ASSERT_EQ(::pipe(pipe_ends), 0);
  const auto config_from = [](int descriptor, std::int64_t offset, std::int64_t bytes) {
    return [=] { Model(std::vector<DescriptorFile>{{"config.json", descriptor, offset, bytes}}); };
  };
  expect_thrown(config_from(pipe_ends[0], 0, -1), FABULA_UNSUPPORTED, "config.json");
  ::close(pipe_ends[0]);
  ::close(pipe_ends[1]);
  expect_thrown(config_from(-1, 0, -1), FABULA_INVALID_ARGUMENT, "config.json");
  const OpenFile config(grouped_model() / "config.json");
  expect_thrown(config_from(config.fd(), 0, 1 << 20), FABULA_INVALID_ARGUMENT, "config.json");
  expect_thrown(config_from(config.fd(), -5, -1), FABULA_INVALID_ARGUMENT, "config.json");
}

}  // namespace
}  // namespace fabula::test
