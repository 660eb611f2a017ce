#pragma once
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/atomic_file.hpp"
#include "base/file_io.hpp"
#include "study/compare.hpp"
#include "temp_dir.hpp"
#include "text/corpus.hpp"
#include "text/documents.hpp"
#include "text/text_file.hpp"
#include "text/tokenizer_files.hpp"
#include "text/train_bpe.hpp"

namespace fabula::study {

inline constexpr const char* kConfig =
    R"({"model_type": "gpt2", "n_positions": 16, "n_embd": 16, "n_layer": 1, "n_head": 2,
  "embd_pdrop": 0.1, "attn_pdrop": 0, "resid_pdrop": 0, "head": {"kind": "grouped"},
  "train": {"batch_size": 4, "steps": 8, "warmup_steps": 2, "save_every": 3, "eval_every": 4, "eval_batches": 2, "sample_every": 0}})";

/// A folder with prepared data of 280 tokens, a config of a thousand parameters, and studies of them.
class StudyScene : public testing::Test {
 protected:
  StudyScene() {
    text::write_corpus_file(path("train.txt"), 1, 40);
    text::write_corpus_file(path("valid.txt"), 2, 1);
    const text::TextFile file(path("train.txt"), {});
    const text::Documents documents = file.documents();
    text::TrainBpeOptions options;
    options.vocab_size = 280;
    const text::Tokenizer tokenizer = text::train_bpe(documents.views, options);
    text::write_tokenizer_json(tokenizer, path("tokenizer.json"));
    for (const std::string name : {"train", "valid"})
      text::prepare_token_file(std::vector<std::filesystem::path>{path(name + ".txt")}, tokenizer,
                               path(name + ".tokens"));
    write("config.json", kConfig);
  }

  std::filesystem::path path(const std::string& name) const { return folder_ / name; }
  void write(const std::string& name, const std::string& text) const { write_file_atomically(path(name), text); }
  std::string read(const std::string& name) const { return read_file(path(name)); }

  /// Writes study.json: rows, and more keys of the study.
  void write_study(const std::string& rows, const std::string& more = {}) const {
    write("study.json", R"({"config": "config.json", "data": {}, "rows": [)" + rows + "]" + more + "}");
  }
  CompareOptions options(const std::string& out, const std::vector<std::string>& rows = {}) const {
    CompareOptions result;
    result.study = path("study.json");
    result.out = path(out);
    result.rows = rows;
    result.program = "test";
    result.device.cache_dir = path("cache").string();
    return result;
  }
  CompareOutcome compare(const CompareOptions& with, const std::function<bool()>& stop = {}) const {
    Comparison comparison(with);
    comparison.check_rows();
    return comparison.run(stop);
  }
  CompareOutcome compare(const std::string& out, const std::vector<std::string>& rows = {}) const {
    return compare(options(out, rows));
  }

  /// OUT/study.json, the order of its keys included, but for what a clock says.
  nlohmann::ordered_json table(const std::string& out) const {
    nlohmann::ordered_json json = nlohmann::ordered_json::parse(read(out + "/study.json"));
    for (const char* list : {"rows", "cells"})
      for (nlohmann::ordered_json& entry : json[list]) {
        EXPECT_EQ(entry.erase("timings"), 1u);
        // A map's file lies in the study's folder.
        if (entry.contains("set"))
          for (nlohmann::ordered_json& text : entry["set"])
            if (text.get<std::string>().starts_with("head.map_file=")) text = "head.map_file";
      }
    return json;
  }

 private:
  test::TempDir folder_;
};

}  // namespace fabula::study
