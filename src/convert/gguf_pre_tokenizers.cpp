#include "convert/gguf_tokenizer.hpp"
#include "text/pre_tokenizer.hpp"

// https://github.com/ggml-org/llama.cpp/blob/master/src/llama-vocab.cpp: names in llama_vocab::impl::load, patterns in
// llm_tokenizer_bpe.
namespace fabula::convert {
namespace {

// Qwen 2's tokenizer.json.
constexpr std::string_view kQwen2Pattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

}  // namespace

const std::vector<GgufPreTokenizer>& gguf_pre_tokenizers() {
  static const std::vector<GgufPreTokenizer> kList = [] {
    const std::string gpt2(text::named_pattern("gpt2")), cl100k(text::named_pattern("cl100k_base")),
        o200k(text::named_pattern("o200k_base")), qwen2(kQwen2Pattern);
    return std::vector<GgufPreTokenizer>{
        {"gpt-2", {gpt2}},
        {"llama-bpe", {cl100k}, true},
        {"dbrx", {cl100k}},
        {"qwen2", {qwen2}},
        {"gpt-4o", {o200k}, false, false},
        {"smollm", {"\\p{N}", gpt2}},
        {"starcoder", {"\\p{N}", gpt2}},
        {kGgufDefaultPre, {R"([\p{P}\$\+<=>\^~\|]+)", gpt2, "\\p{N}+", "[0-9][0-9][0-9]"}},
    };
  }();
  return kList;
}

}  // namespace fabula::convert
