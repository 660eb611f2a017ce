#include "all_commands.hpp"
#include "common_flags.hpp"
#include "convert/compress.hpp"
#include "convert/convert.hpp"

namespace fabula::app {
namespace {

void add_dtype_flag(CLI::App* sub, std::string& dtype) {
  sub->add_option("--dtype", dtype, "what weights are written in; missing: as they are. q8_0: GGUF alone")
      ->check(CLI::IsMember(
          std::vector<std::string>(std::begin(convert::kWeightTypeNames), std::end(convert::kWeightTypeNames))));
}

void declare_head_command(CommandLine& line, ConvertArgs& args) {
  CLI::App* sub = line.command(line.app(), "convert", "a model with another vocabulary head, and what that costs", args,
                               convert_head, kTrainingMemory);
  sub->add_option("run", args.run, "run folder or Hugging Face folder, which is only read")->required();
  sub->add_option("--head", args.head,
                  "grouped, full, fused; the \"head\" of a config as JSON; or a config file, whose head is taken")
      ->required();
  sub->add_option("--set", args.overrides,
                  "override a key of the head or of training: --set head.shortlist=512 (repeatable)")
      ->allow_extra_args(false);
  sub->add_option("--out", args.out, "folder to write, which is not there yet or empty")->required();
  sub->add_flag("--overwrite", args.overwrite, "replace the model that is there");
  CLI::Option* data = sub->add_option(
      "--data", args.data, "token file or text that a grouped head is fitted to, and trained on; such as training's");
  sub->add_option("--valid", args.valid, "token file or text to measure perplexity on, before and after");
  sub->add_option("--fine-tune", args.fine_tune, "train the new model so many steps, into OUT/fine_tuned")
      ->check(positive())
      ->needs(data);
  add_end_token_flag(sub, args.end_token);
  add_reading_flags(sub, args.reading);
  sub->add_flag("--json", args.json, "what it costs as JSON");
  add_work_device_flags(sub, args.device);
}

void declare_compress_command(CommandLine& line, CompressArgs& args) {
  CLI::App* sub = line.command(line.app(), "compress", "a model whose matrices lie in few bits, in a new folder", args,
                               compress, kEvaluationMemory);
  sub->add_option("run", args.run, "run folder or Hugging Face folder, which is only read")->required();
  sub->add_option("--method", args.method,
                  "rtn: each weight to the nearest; gptq: with what that does to outputs made up for")
      ->check(CLI::IsMember(
          std::vector<std::string>(convert::kCompressMethodNames.begin(), convert::kCompressMethodNames.end())))
      ->capture_default_str();
  sub->add_option("--bits", args.bits, "of a weight, 3, 4 or 8; scales come to half a bit more")
      ->check(CLI::IsMember({3, 4, 8}))
      ->capture_default_str();
  sub->add_option("--table-bits", args.table_bits,
                  "of what has a row a token, 3, 4, 8 or 16 (floats); missing: as --bits")
      ->check(CLI::IsMember({3, 4, 8, convert::kKeptBits}));
  sub->add_flag("--offsets", args.offsets, "groups of 3 and 4 bits have offsets too: half a bit more");
  sub->add_option("--data", args.data, "token file or text that tells what linear layers read; such as training's")
      ->required();
  sub->add_option("--positions", args.positions, "of that text to go over, about")
      ->check(positive())
      ->capture_default_str();
  sub->add_option("--valid", args.valid, "token file or text to measure perplexity on, before and after");
  sub->add_option("--out", args.out, "folder to write, which is not there yet or empty")->required();
  sub->add_flag("--overwrite", args.overwrite, "replace a model that is in the folder");
  add_end_token_flag(sub, args.end_token);
  add_reading_flags(sub, args.reading);
  add_format_flag(sub, args.format);
  sub->add_flag("--json", args.json, "what became of each matrix as JSON");
  add_work_device_flags(sub, args.device);
}

}  // namespace

void declare_convert_commands(CommandLine& line, AllArgs& args) {
  CLI::App* sub = line.command(line.app(), "import", "a model of another program as a folder that every command reads",
                               args.import, import_model);
  sub->add_option("source", args.import.source,
                  "Hugging Face folder (GPT-2, GPT-Neo, Llama), GGUF file, or llama2.c checkpoint of version 0")
      ->required();
  sub->add_option("--tokenizer", args.import.tokenizer,
                  "of a llama2.c checkpoint: its tokenizer.bin, or a tokenizer.json; missing: tokenizer.bin beside it");
  sub->add_option("--out", args.import.out, "folder to write, which is not there yet or empty")->required();
  add_dtype_flag(sub, args.import.dtype);
  sub->add_flag("--overwrite", args.import.overwrite, "replace a model that is in the folder");
  sub->add_flag("--json", args.import.json, "the model's sizes as JSON");

  sub = line.command(line.app(), "export", "a model for other programs", args.export_to, export_model);
  sub->add_option("run", args.export_to.run, "run folder, or another folder with a model")->required();
  sub->add_option("--format", args.export_to.format,
                  "hf: a folder for transformers; gguf: a file for llama.cpp; llama2c: a folder with model.bin and "
                  "tokenizer.bin")
      ->required()
      ->check(
          CLI::IsMember(std::vector<std::string>(std::begin(convert::kFormatNames), std::end(convert::kFormatNames))));
  sub->add_option("--out", args.export_to.out, "folder or file to write, which is not there yet")->required();
  add_dtype_flag(sub, args.export_to.dtype);
  sub->add_flag("--overwrite", args.export_to.overwrite, "replace what is there");
  sub->add_flag("--json", args.export_to.json, "what was written as JSON");

  declare_head_command(line, args.convert);
  declare_compress_command(line, args.compress);
}

}  // namespace fabula::app
