#pragma once
#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "graph/runtime.hpp"
#include "heads/head.hpp"

namespace fabula::test {

/// Something that runs the graphs of a workload: a device, or the CPU references in double.
class Machine {
 public:
  virtual ~Machine() = default;
  /// What the store holds, by name, dense.
  virtual void upload(const std::string& name, const std::vector<float>& data) = 0;
  virtual void upload(const std::string& name, const std::vector<std::uint32_t>& words) = 0;
  virtual bool holds(const std::string& name) const = 0;
  virtual std::vector<double> download(const std::string& name) = 0;
  virtual void set_input(std::size_t graph, const std::string& name, const std::vector<std::uint32_t>& words) = 0;
  virtual void set_input(std::size_t graph, const std::string& name, const std::vector<float>& data) = 0;
  virtual void run(std::size_t graph) = 0;
  /// A kept value of the graph's last run.
  virtual std::vector<double> read(std::size_t graph, graph::Value value) = 0;

  void upload_constants(const std::vector<heads::NamedWords>& constants) {
    for (const heads::NamedWords& constant : constants)
      if (holds(constant.name)) upload(constant.name, constant.words);
  }
};

class DeviceMachine final : public Machine {
 public:
  DeviceMachine(vk::Device& device, std::vector<graph::Graph> graphs)
      : runtime_(device, plan(device, std::move(graphs))) {}

  void upload(const std::string& name, const std::vector<float>& data) override { runtime_.upload(name, data); }
  void upload(const std::string& name, const std::vector<std::uint32_t>& words) override {
    runtime_.upload(name, runtime_.workload().stored().at(name).shape.dtype, std::as_bytes(std::span(words)));
  }
  bool holds(const std::string& name) const override { return runtime_.workload().stored().contains(name); }
  std::vector<double> download(const std::string& name) override {
    std::vector<float> data(static_cast<std::size_t>(runtime_.workload().stored().at(name).shape.count()));
    runtime_.download(name, data);
    return {data.begin(), data.end()};
  }
  void set_input(std::size_t graph, const std::string& name, const std::vector<std::uint32_t>& words) override {
    runtime_.set_input(graph, name, std::span<const std::uint32_t>(words));
  }
  void set_input(std::size_t graph, const std::string& name, const std::vector<float>& data) override {
    runtime_.set_input(graph, name, std::span<const float>(data));
  }
  void run(std::size_t graph) override { runtime_.submit({graph}); }
  std::vector<double> read(std::size_t graph, graph::Value value) override {
    const std::vector<float> data = runtime_.read(graph, value);
    return {data.begin(), data.end()};
  }

 private:
  static graph::Workload plan(vk::Device& device, std::vector<graph::Graph> graphs) {
    graph::Workload workload(device.profile());
    for (graph::Graph& g : graphs) workload.add(fmt_name(workload.graphs().size()), std::move(g));
    return workload;
  }
  static std::string fmt_name(std::size_t index) { return "graph " + std::to_string(index); }

  graph::Runtime runtime_;
};

/// Evaluates the graphs by the references; what the store holds is shared between them by name, as on a device.
class ReferenceMachine final : public Machine {
 public:
  explicit ReferenceMachine(std::vector<graph::Graph> graphs) {
    for (graph::Graph& g : graphs) {
      const std::size_t count = g.values().size();
      runs_.push_back({std::move(g), std::vector<graph::RefTensor<double>>(count)});
    }
  }

  void upload(const std::string& name, const std::vector<float>& data) override {
    graph::RefTensor<double>& tensor = stored_[name];
    tensor = graph::RefTensor<double>(shape_of(name), graph::DType::kF32);
    std::copy(data.begin(), data.end(), tensor.f.begin());
  }
  void upload(const std::string& name, const std::vector<std::uint32_t>& words) override {
    graph::RefTensor<double>& tensor = stored_[name];
    tensor = graph::RefTensor<double>(shape_of(name));
    graph::set_words(tensor, words);
  }
  bool holds(const std::string& name) const override {
    return std::any_of(runs_.begin(), runs_.end(), [&](const Run& run) { return bool(run.graph.find(name)); });
  }
  std::vector<double> download(const std::string& name) override { return stored_.at(name).f; }
  void set_input(std::size_t graph, const std::string& name, const std::vector<std::uint32_t>& words) override {
    graph::set_words(input(graph, name), words);
  }
  void set_input(std::size_t graph, const std::string& name, const std::vector<float>& data) override {
    input(graph, name).f.assign(data.begin(), data.end());
  }
  void run(std::size_t graph) override {
    Run& run = runs_.at(graph);
    for_stored(run, [&](const std::string& name, graph::RefTensor<double>& tensor, bool produced) {
      if (!produced) tensor = stored_.at(name);
    });
    graph::interpret(run.graph, run.values);
    for_stored(run, [&](const std::string& name, graph::RefTensor<double>& tensor, bool) { stored_[name] = tensor; });
  }
  std::vector<double> read(std::size_t graph, graph::Value value) override {
    return runs_.at(graph).values.at(static_cast<std::size_t>(value.id)).f;
  }

 private:
  struct Run {
    graph::Graph graph;
    std::vector<graph::RefTensor<double>> values;
  };

  graph::RefTensor<double>& input(std::size_t graph, const std::string& name) {
    Run& run = runs_.at(graph);
    const graph::Value value = run.graph.find(name);
    graph::RefTensor<double>& tensor = run.values.at(static_cast<std::size_t>(value.id));
    tensor = graph::RefTensor<double>(run.graph.shape(value));
    return tensor;
  }
  graph::Shape shape_of(const std::string& name) const {
    for (const Run& run : runs_) {
      if (const graph::Value value = run.graph.find(name)) return run.graph.shape(value);
    }
    throw std::out_of_range("no graph has " + name);
  }
  template <class F>
  static void for_stored(Run& run, F&& visit) {
    for (std::size_t i = 0; i < run.graph.values().size(); ++i) {
      const graph::ValueInfo& info = run.graph.values()[i];
      if (info.role == graph::Role::kInput || info.role == graph::Role::kActivation) continue;
      visit(info.name, run.values[i], info.producer >= 0);
    }
  }

  std::vector<Run> runs_;
  std::map<std::string, graph::RefTensor<double>> stored_;
};

}  // namespace fabula::test
