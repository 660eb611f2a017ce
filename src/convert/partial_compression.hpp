#pragma once
#include <filesystem>
#include <optional>
#include <string>

#include "formats/coded_matrix.hpp"

namespace fabula::convert {

/// A matrix in few bits, and what that changes: the error of its layer's outputs, in parts of them (E / tr(W Sigma
/// W^T)).
struct FittedMatrix {
  CodedMatrix coded;
  double error = 0;
};

/// Where that is kept until all is done.
std::filesystem::path partial_folder(const std::filesystem::path& out);

/// What is done of a compression, matrix by matrix, in a folder beside the one that it will make: a kill at any moment
/// loses the matrix at hand alone.
class PartialCompression {
 public:
  /// OUT.partial. `settings` says all that the matrices depend on. Errors: kInvalidArgument where it holds matrices of
  /// other settings, saying which folder and what to do; kIo.
  PartialCompression(const std::filesystem::path& out, const std::string& settings);

  const std::filesystem::path& path() const { return path_; }
  /// One that is done; nothing where it is not, or was damaged since.
  std::optional<FittedMatrix> find(const std::string& name) const;
  /// Error kIo: what was saved before is still there.
  void save(const std::string& name, const FittedMatrix& matrix) const;
  /// Removes the folder: the compression is where it belongs.
  void remove() const;

 private:
  std::filesystem::path file_of(const std::string& name) const;

  std::filesystem::path path_;
};

}  // namespace fabula::convert
