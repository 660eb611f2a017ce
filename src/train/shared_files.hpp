#pragma once
#include <filesystem>

#include "train/reducer.hpp"
#include "train/run_folder.hpp"

// What rank 0 has on its disk and the other ranks need: their hosts may see other files, or none.
namespace fabula::train {

/// Rank 0's file `from` appears at `to` on the other ranks. Errors: those of reading and writing; kPeer.
void share_file(Reducer& ranks, const std::filesystem::path& from, const std::filesystem::path& to);

/// Where this rank finds rank 0's file `path`: there too, or where it is not seen in a copy at `copy`. Throws
/// kInvalidArgument where a rank sees another file there: it names the file and the rank.
std::filesystem::path share_input(Reducer& ranks, const std::filesystem::path& path, const std::filesystem::path& copy);

/// The checkpoint of rank 0's run, where it has one, appears in `folder` on the other ranks.
void share_checkpoint(Reducer& ranks, const RunFolder* run, const std::filesystem::path& folder);

}  // namespace fabula::train
