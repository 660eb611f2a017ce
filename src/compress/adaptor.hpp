#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "compress/coded_table.hpp"
#include "compress/steps.hpp"

namespace fabula::compress {

/// CARVQ's corrective adaptor: a few numbers a token and a small network, which the token's codes are added to. Row v
/// is max(0, table[v] first + first_bias) second + second_bias.
struct Adaptor {
  std::int64_t rows = 0, columns = 0;
  std::int64_t width = 0;                ///< numbers a token
  std::int64_t hidden = 0;               ///< of the network
  std::vector<double> table = {};        ///< [rows, width]
  std::vector<double> first = {};        ///< [width, hidden]
  std::vector<double> first_bias = {};   ///< [hidden]
  std::vector<double> second = {};       ///< [hidden, columns]
  std::vector<double> second_bias = {};  ///< [columns]

  /// All of it in fp16.
  std::int64_t bits() const;
  std::vector<std::vector<double>*> parts() { return {&table, &first, &first_bias, &second, &second_bias}; }
};

/// A network of random numbers with a last layer of zeros, so that all its rows are zero.
Adaptor new_adaptor(std::int64_t rows, std::int64_t columns, std::int64_t width, std::int64_t hidden,
                    std::uint64_t seed);

/// Rows [rows, columns].
std::vector<float> expand(const Adaptor& of, const Work& work = {});

/// Half of the weighted squared distance of the given rows from `target` [rows, columns], and its gradient added to
/// `gradient`. `weights` [rows].
double adaptor_cost(const Adaptor& adaptor, std::span<const float> target, std::span<const float> weights,
                    std::span<const std::uint32_t> rows, Adaptor& gradient);

struct AdaptorOptions {
  std::int64_t width = 4, hidden = 64;
  int epochs = 20;
  std::int64_t batch = 1024;  ///< rows
  double learning_rate = 0.01;
  std::uint64_t seed = 0;
};

/// Lowers the weighted squared distance from `target` by Adam, the learning rate falling to zero; of all epochs' ends
/// and the start, that of the least distance, its numbers rounded to fp16.
Adaptor improved(const Adaptor& start, std::span<const float> target, std::span<const float> weights,
                 const AdaptorOptions& options, const Work& work = {}, const Part& part = {});

struct AdaptedTable {
  CodedTable codes = {};
  Adaptor adaptor = {};
  std::int64_t bits() const { return codes.bits() + adaptor.bits(); }
};

/// Codes of what the adaptor leaves and an adaptor of what the codes leave, `rounds` times in turn. Arguments and
/// errors as fit_table's; `weights` are needed.
AdaptedTable fit_adapted(std::span<const float> table, std::int64_t columns, std::span<const float> weights,
                         const TableOptions& options, const AdaptorOptions& adaptor, int rounds, const Work& work = {});

/// The rows [rows, columns].
std::vector<float> expand(const AdaptedTable& of);

}  // namespace fabula::compress
