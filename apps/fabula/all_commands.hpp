#pragma once
#include "command_line.hpp"
#include "commands.hpp"
#include "serve_command.hpp"

// Every command: what the command line fills, and what declares its flags.
namespace fabula::app {

struct AllArgs {
  DevicesArgs devices;
  CorpusArgs corpus;
  TokenizerTrainArgs tokenizer_train;
  TokenizerImportArgs tokenizer_import;
  ImportArgs import;
  ConvertArgs convert;
  CompressArgs compress;
  ExportArgs export_to;
  DataPrepareArgs data_prepare;
  DataGroupsArgs data_groups;
  PlanArgs plan;
  TrainArgs train;
  CompareArgs compare;
  EvalArgs eval;
  ScoreArgs score;
  GenerateArgs generate;
  ServeArgs serve;
  CheckArgs check;
  InfoArgs info;
  BenchArgs bench_ops, bench_train;
  TuneArgs tune;
  BenchHeadsArgs bench_heads;
  BenchDecodeArgs bench_decode;
  BenchServeArgs bench_serve;
  BenchRoofArgs bench_roof;
  BenchPredictArgs bench_predict;
};

void declare_training_commands(CommandLine& line, AllArgs& args);  ///< plan, train
void declare_compare_command(CommandLine& line, AllArgs& args);
void declare_model_commands(CommandLine& line, AllArgs& args);    ///< eval, score, generate, info
void declare_convert_commands(CommandLine& line, AllArgs& args);  ///< import, export, convert, compress
void declare_serve_command(CommandLine& line, AllArgs& args);
void declare_text_commands(CommandLine& line, AllArgs& args);    ///< corpus, tokenizer, data
void declare_device_commands(CommandLine& line, AllArgs& args);  ///< devices, check, tune
void declare_bench_commands(CommandLine& line, AllArgs& args);

}  // namespace fabula::app
