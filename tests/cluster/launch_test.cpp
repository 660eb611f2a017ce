// What launchers leave in the environment.
#include "cluster/launch.hpp"

#include <gtest/gtest.h>

#include <map>

#include "expect_error.hpp"

namespace fabula::cluster {
namespace {

std::optional<Launch> launch_in(const std::map<std::string, std::string>& variables) {
  return launch_of([&](const char* name) {
    const auto found = variables.find(name);
    return found == variables.end() ? std::string() : found->second;
  });
}

TEST(Launch, AProgramAloneHasNone) {
  EXPECT_FALSE(launch_in({}));
  EXPECT_FALSE(launch_in({{"SLURM_NTASKS", "4"}}));  // of a batch script: srun has started nothing yet
}

TEST(Launch, OfEveryLauncher) {
  EXPECT_EQ(launch_in({{"OMPI_COMM_WORLD_SIZE", "4"}})->size, 4);
  EXPECT_EQ(launch_in({{"PMI_SIZE", "8"}, {"PMI_RANK", "3"}})->size, 8);
  EXPECT_EQ(launch_in({{"SLURM_NTASKS", "16"}, {"SLURM_STEP_NUM_TASKS", "2"}, {"PMIX_RANK", "0"}})->size, 2);
  EXPECT_EQ(launch_in({{"OMPI_COMM_WORLD_SIZE", "1"}})->size, 1);
}

TEST(Launch, ANumberThatIsNoneIsNamed) {
  test::expect_error(ErrorCode::kInvalidArgument, {"OMPI_COMM_WORLD_SIZE", "four"}, [] {
    launch_in({{"OMPI_COMM_WORLD_SIZE", "four"}});
  });
  test::expect_error(ErrorCode::kInvalidArgument, {"PMI_SIZE"}, [] { launch_in({{"PMI_SIZE", "0"}}); });
}

}  // namespace
}  // namespace fabula::cluster
