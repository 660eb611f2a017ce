#include "convert/head_choice.hpp"

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <vector>

#include "base/fail.hpp"
#include "base/file_io.hpp"
#include "base/nearest.hpp"
#include "formats/config_io.hpp"
#include "formats/json_access.hpp"

namespace fabula::convert {
namespace {

using nlohmann::ordered_json;
constexpr std::size_t kMaxHeadFileBytes = 4u << 20;
constexpr const char* kTied = "tie_word_embeddings";

ordered_json class_based(std::int64_t vocabulary) {
  const std::int64_t root = default_group_size(vocabulary), shortlist = std::min(root, vocabulary - 1);
  return {{"kind", "grouped"},      {"modulation", "per_group"},
          {"map", "clustered"},     {"class_input", true},
          {"shortlist", shortlist}, {"group_size", std::min(2 * root, vocabulary - shortlist)}};
}

/// The "head" of a config file, or of a folder that has one.
ordered_json head_of_config(std::filesystem::path path) {
  if (std::filesystem::is_directory(path)) path /= "config.json";
  const nlohmann::json root =
      parse_json(read_file(path, kMaxHeadFileBytes), path.string(), {.max_bytes = kMaxHeadFileBytes, .max_depth = 16});
  if (!root.is_object() || !root.contains("head"))
    fail(ErrorCode::kFormat, "--head {}: the file is no config with a \"head\"", path.string());
  return root["head"];
}

ordered_json parsed(const std::string& head, std::int64_t vocabulary) {
  if (head == "grouped") return class_based(vocabulary);
  if (head.starts_with("{")) return parse_json(head, "--head", {.max_bytes = kMaxHeadFileBytes, .max_depth = 16});
  const std::vector<std::string> words{"adaptive", "full", "fused", "grouped", "paper"};  // the others are configs' own
  if (std::find(words.begin(), words.end(), head) != words.end()) return head;
  if (std::filesystem::exists(head)) return head_of_config(head);
  fail(ErrorCode::kInvalidArgument, "--head {}: no head and no file is called so; expected one of {}, an object{}",
       head, fmt::join(words, ", "), did_you_mean(head, words));
}

/// What a full or fused head leaves open is as the model has it: a word says nothing of a bias here.
void complete(ordered_json& head, const ModelConfig& model) {
  if (head == "full" || head == "fused") head = {{"kind", head.get<std::string>()}};
  if (!head.is_object() || head.contains("bias")) return;
  const std::string kind = head.contains("kind") && head["kind"].is_string() ? head["kind"].get<std::string>() : "full";
  if ((kind == "full" || kind == "fused") && !model.head.has_map()) head["bias"] = model.head.bias;
}

/// Who reads why a head cannot be had is told how to train one.
std::string train_instead(const std::string& source) {
  return fmt::format(
      "To train it on the body of this model: fabula train CONFIG --from {} --out DIR, with the head in CONFIG",
      source);
}

struct Check {
  const ModelConfig &from, &to;
  const std::string& source;

  [[noreturn]] void refuse(const std::string& why) const {
    fail(ErrorCode::kUnsupported, "{}: {}. {}", source, why, train_instead(source));
  }

  void full() const {
    if (from.head.bias && !to.head.bias)
      refuse("the head has an output bias, without which it is another; leave head.bias out");
  }
  void adaptive() const {
    if (!to.head.bias)
      refuse(
          "head.bias is false: without biases the clusters of an adaptive head cannot be as likely as the full head "
          "has them; set it to true");
  }
  void grouped() const {
    if (to.head.modulation != HeadModulation::kPerGroup)
      refuse(
          fmt::format("a grouped head with modulation {} computes tokens' logits from some that all groups share: no "
                      "rows of a full head give these. The nearest is modulation per_group (--head grouped)",
                      modulation_name(to.head.modulation)));
    if (to.head.prototypes > 1)
      refuse(fmt::format("head.prototypes is {}: vectors of one group that start alike stay alike; take 1",
                         to.head.prototypes));
    if (to.head.map == GroupMap::kFile)
      refuse(
          "head.map is file; groups are made here from the model's own rows (clustered) or from the text (frequency, "
          "random, id_ranges)");
  }
};

}  // namespace

RunConfig config_with_head(const RunConfig& model, const std::string& source, const std::string& head,
                           const std::vector<std::string>& overrides) {
  ensure(model.model.vocab_size > 0, "{}: a model without a vocabulary", source);
  ordered_json value = parsed(head, model.model.vocab_size);
  complete(value, model.model);
  std::vector<std::string> all{"head=" + dump_json(value)};
  const bool is_adaptive =
      value == "adaptive" || (value.is_object() && value.contains("kind") && value["kind"] == "adaptive");
  if (is_adaptive) all.push_back(std::string(kTied) + "=false");
  all.insert(all.end(), overrides.begin(), overrides.end());
  RunConfig result = parse_config(config_json(model), source, all, ConfigNotes::kSilent);
  check_head_change(model, result, source);
  return result;
}

void check_head_change(const RunConfig& from, const RunConfig& to, const std::string& source) {
  const ModelConfig &was = from.model, &is = to.model;
  RunConfig old = from, other = to;
  other.model.head = old.model.head;
  other.model.tie_word_embeddings = old.model.tie_word_embeddings;
  other.train = old.train;
  other.model.embd_dropout = was.embd_dropout;  // which train.dropout changes
  other.model.resid_dropout = was.resid_dropout;
  other.model.attn_dropout = was.attn_dropout;
  if (const std::string differences = config_differences(old, other); !differences.empty())
    fail(ErrorCode::kInvalidArgument,
         "{}: {}; only the head changes here (keys of head and train, and tie_word_embeddings)", source, differences);
  const Check check{was, is, source};
  if (was.head.has_map()) {
    if (is.head.kind == was.head.kind)
      fail(ErrorCode::kInvalidArgument,
           "{}: has a head of kind {} already, and its classes are not those of another map; head.remap makes a map "
           "again while a run trains",
           source, head_kind_name(was.head.kind));
    check.refuse(fmt::format(
        "the head is of kind {}, two levels: log p of a token is the sum of two softmaxes, each with a sum of its own "
        "below it, and no row of a full head gives that for every context. Not exact, so it is not done",
        head_kind_name(was.head.kind)));
  }
  if (is.tie_word_embeddings && !was.tie_word_embeddings)
    check.refuse("the head has rows of its own, which cannot be those of the embedding; leave tie_word_embeddings out");
  if (!is.head.has_map()) check.full();
  if (is.head.kind == HeadKind::kGrouped) check.grouped();
  if (is.head.kind == HeadKind::kAdaptive) check.adaptive();
}

}  // namespace fabula::convert
