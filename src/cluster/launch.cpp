#include "cluster/launch.hpp"

#include <charconv>

#include "base/fail.hpp"

namespace fabula::cluster {
namespace {

/// Variables that a launcher sets for every process that it starts.
struct Sign {
  const char *launcher, *size;
  const char* needs;  ///< another one that must be there; null: none
};
// Slurm's own number stands in batch scripts too, where nothing was started: only with what srun hands to MPI does it
// count.
constexpr Sign kSigns[] = {
    {"Open MPI's mpirun", "OMPI_COMM_WORLD_SIZE", nullptr},
    {"mpiexec", "PMI_SIZE", nullptr},
    {"mpiexec", "MPI_LOCALNRANKS", "PMI_RANK"},
    {"srun", "SLURM_STEP_NUM_TASKS", "PMIX_RANK"},
    {"srun", "SLURM_NTASKS", "PMIX_RANK"},
    {"srun", "SLURM_NTASKS", "PMI_RANK"},
};

}  // namespace

std::optional<Launch> launch_of(const Environment& environment) {
  for (const Sign& sign : kSigns) {
    const std::string text = environment(sign.size);
    if (text.empty() || (sign.needs != nullptr && environment(sign.needs).empty())) continue;
    Launch launch{sign.launcher, 0};
    const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), launch.size);
    if (code != std::errc() || end != text.data() + text.size() || launch.size < 1)
      fail(ErrorCode::kInvalidArgument, "{} is \"{}\" in the environment, which is no number of processes", sign.size,
           text);
    return launch;
  }
  return std::nullopt;
}

}  // namespace fabula::cluster
