// What rank 0 has on its disk reaches ranks that do not see it.
#include "train/shared_files.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <functional>
#include <thread>

#include "base/atomic_file.hpp"
#include "base/file_io.hpp"
#include "cluster/thread_world.hpp"
#include "temp_dir.hpp"

namespace fabula::cluster {
namespace {

namespace fs = std::filesystem;

/// Calls work(rank) on threads; the errors' texts by rank.
std::vector<std::string> on_ranks(int size, const std::function<void(train::Reducer&)>& work) {
  auto world = thread_world(size);
  std::vector<std::string> errors(static_cast<std::size_t>(size));
  std::vector<std::thread> threads;
  for (std::size_t r = 0; r < errors.size(); ++r)
    threads.emplace_back([&, r] {
      try {
        work(*world[r]);
      } catch (const Error& error) {
        errors[r] = error.what();
        world[r]->abort(error.what());
      }
    });
  for (std::thread& thread : threads) thread.join();
  return errors;
}

TEST(SharedFiles, AnyLengthArrives) {
  const test::TempDir folder;
  for (const std::size_t bytes : {std::size_t{0}, std::size_t{1}, (std::size_t{16} << 20) + 5}) {
    std::string content(bytes, 'a');
    for (std::size_t i = 0; i < bytes; i += 1000) content[i] = static_cast<char>(i / 1000);
    write_file_atomically(folder / "from", content);
    const auto errors = on_ranks(3, [&](train::Reducer& ranks) {
      train::share_file(ranks, folder / "from", folder / fmt::format("rank{}", ranks.rank()) / "to");
    });
    EXPECT_EQ(errors, std::vector<std::string>(3));
    for (const char* rank : {"rank1", "rank2"}) EXPECT_EQ(read_file(folder / rank / "to"), content);
  }
}

TEST(SharedFiles, OnlyWhoDoesNotSeeItGetsACopy) {
  const test::TempDir folder;
  write_file_atomically(folder / "tokens", "some tokens");
  std::vector<fs::path> places(3);
  const auto errors = on_ranks(3, [&](train::Reducer& ranks) {
    // Rank 2's name for it leads nowhere.
    const fs::path seen = ranks.rank() == 2 ? folder / "elsewhere" / "tokens" : folder / "tokens";
    places[static_cast<std::size_t>(ranks.rank())] = train::share_input(ranks, seen, folder / "copy");
  });
  EXPECT_EQ(errors, std::vector<std::string>(3));
  EXPECT_EQ(places[1], folder / "tokens");
  EXPECT_EQ(places[2], folder / "copy");
  EXPECT_EQ(read_file(places[2]), "some tokens");
}

TEST(SharedFiles, AnotherFileUnderTheNameIsRefused) {
  const test::TempDir folder;
  write_file_atomically(folder / "tokens", "some tokens");
  write_file_atomically(folder / "others", "some others");
  const auto errors = on_ranks(2, [&](train::Reducer& ranks) {
    train::share_input(ranks, folder / (ranks.leads() ? "tokens" : "others"), folder / "copy");
  });
  EXPECT_NE(errors[1].find("is another file on rank 1"), std::string::npos) << errors[1];
  EXPECT_NE(errors[0].find("rank 1"), std::string::npos) << errors[0];
}

}  // namespace
}  // namespace fabula::cluster
