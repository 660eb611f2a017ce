#pragma once
#include <functional>
#include <map>
#include <utility>
#include <vector>

#include "bench/roof.hpp"
#include "formats/table.hpp"
#include "graph/runtime.hpp"

namespace fabula::bench {

/// Where the time of a step that is made of some graphs goes: by kernel of an op, or by op.
class KernelShares {
 public:
  using CostOf = std::function<graph::Cost(const graph::Graph&, const graph::Node&)>;
  /// `runs`: how often a step runs each graph. The runtime is a timed one, and must outlive this.
  KernelShares(const graph::Runtime& runtime, std::map<std::size_t, int> runs, bool by_op,
               CostOf cost_of = graph::cost_of);

  void add_step();         ///< takes the times of the step just run
  double seconds() const;  ///< of all kernels of a step, median

  /// A row for each, by falling time, with the rates that the counts of operations and bytes give.
  Table table(const Roof& roof) const;

 private:
  struct Share {
    std::vector<double> seconds;  ///< by step
    int launches = 0;             ///< a step
    graph::Cost cost;             ///< a step
  };
  using RowName = std::pair<std::string, std::string>;  ///< kernel (empty: all of the op), op

  RowName row_of(const graph::PlannedGraph& planned, const graph::Step& step) const;
  void count_work(const graph::PlannedGraph& planned, const std::vector<vk::CommandList::Timing>& timings, int runs);
  std::vector<std::string> row_text(const RowName& name, const Share& share, const Roof& roof) const;

  const graph::Runtime& runtime_;
  std::map<std::size_t, int> runs_;
  bool by_op_;
  CostOf cost_of_;
  std::map<RowName, Share> shares_;
  std::vector<double> totals_;  ///< by step
};

/// What the rates of KernelShares::table are measured by, a note each; `notes` are added to.
void add_roof_notes(std::vector<std::string>& notes, const Roof& roof);

}  // namespace fabula::bench
