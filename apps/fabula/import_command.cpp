#include "base/log.hpp"
#include "base/terminal.hpp"
#include "commands.hpp"
#include "convert/llama2c.hpp"
#include "json_output.hpp"

namespace fabula::app {

int import_model(const ImportArgs& args) {
  const Llama2cFile::Sizes sizes = convert::import_llama2c(args.checkpoint, args.tokenizer, args.out);
  if (args.json) {
    print("{}\n", dump({{"family", "llama"},
                        {"hidden_size", sizes.hidden},
                        {"intermediate_size", sizes.inner},
                        {"num_hidden_layers", sizes.layers},
                        {"num_attention_heads", sizes.heads},
                        {"num_key_value_heads", sizes.kv_heads},
                        {"vocab_size", sizes.vocabulary},
                        {"max_position_embeddings", sizes.positions},
                        {"tie_word_embeddings", sizes.tied}}));
  } else {
    info("{}: Llama, {} layers, hidden {}, {} tokens, context {}", args.out, sizes.layers, sizes.hidden,
         sizes.vocabulary, sizes.positions);
  }
  return 0;
}

}  // namespace fabula::app
