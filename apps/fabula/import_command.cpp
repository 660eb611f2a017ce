#include "base/log.hpp"
#include "base/terminal.hpp"
#include "commands.hpp"
#include "convert/convert.hpp"
#include "json_output.hpp"
#include "weight_type.hpp"

namespace fabula::app {

int import_model(const ImportArgs& args) {
  const convert::Imported imported = convert::import_model({.source = args.source,
                                                            .tokenizer = args.tokenizer,
                                                            .out = args.out,
                                                            .type = weight_type(args.dtype),
                                                            .overwrite = args.overwrite});
  const ModelConfig model = imported.model.with_sizes();
  if (args.json) {
    print("{}\n", dump({{"from", convert::kFormatNames[static_cast<std::size_t>(imported.from)]},
                        {"family", family_name(model.family)},
                        {"hidden_size", model.hidden},
                        {"intermediate_size", model.inner},
                        {"num_hidden_layers", model.layers},
                        {"num_attention_heads", model.heads},
                        {"num_key_value_heads", model.key_value_heads()},
                        {"vocab_size", model.vocab_size},
                        {"max_position_embeddings", model.n_positions},
                        {"tie_word_embeddings", model.tie_word_embeddings}}));
  } else {
    info("{}: {}, {} layers, hidden {}, {} tokens, context {}", args.out, files_of(model.family).title, model.layers,
         model.hidden, model.vocab_size, model.n_positions);
  }
  return 0;
}

}  // namespace fabula::app
