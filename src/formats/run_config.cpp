#include "formats/run_config.hpp"

#include "base/ceil_div.hpp"
#include "base/fail.hpp"
#include "base/group_plan.hpp"
#include "formats/config_keys.hpp"

namespace fabula {
namespace {

// Messages speak of keys as the family's file spells them.
struct Validator {
  const RunConfig& config;
  std::string_view source;

  const ModelConfig& model() const { return config.model; }
  std::string_view key(std::string_view spelling) const { return model_key(model().family, spelling); }

  void check_body() const {
    if (model().head_size == 0 && model().hidden % model().heads != 0) {
      fail(ErrorCode::kInvalidArgument,
           "{}: {} is {}, which {} heads do not divide; choose a multiple of {} or another {}", source, key("n_embd"),
           model().hidden, model().heads, model().heads, key("n_head"));
    }
    check_head_size();
    check_key_heads();
    if (!key("attention_types").empty() &&
        static_cast<std::int64_t>(model().attention_layers.size()) != model().layers) {
      fail(ErrorCode::kInvalidArgument, "{}: attention_types describes {} layers, {} is {}", source,
           model().attention_layers.size(), key("n_layer"), model().layers);
    }
    check_id("bos_token_id", model().bos_token_id);
    for (const std::int64_t id : model().eos_token_ids) check_id("eos_token_id", id);
  }

  void check_id(std::string_view name, std::int64_t id) const {
    if (model().vocab_size > 0 && id >= model().vocab_size) {
      fail(ErrorCode::kInvalidArgument, "{}: {} is {}, vocab_size is {}; ids end at {}", source, name, id,
           model().vocab_size, model().vocab_size - 1);
    }
  }

  void check_key_heads() const {
    if (model().heads % model().key_value_heads() != 0)
      fail(ErrorCode::kInvalidArgument,
           "{}: {} is {}, which {} heads of keys and values do not divide; choose a {} that "
           "does",
           source, key("n_head"), model().heads, model().key_value_heads(), key("num_key_value_heads"));
    if (files_of(model().family).rotary && model().head_dim() % 2 != 0)
      fail(ErrorCode::kInvalidArgument,
           "{}: an attention head has {} numbers, rotary positions turn pairs of them; "
           "choose another {} or an even {}",
           source, model().head_dim(), key("n_head"), key("head_dim"));
  }

  void check_head_size() const {
    if (model().head_dim() <= kMaxHeadSize) return;
    std::int64_t least = ceil_div(model().hidden, kMaxHeadSize);
    while (model().hidden % least != 0) ++least;
    const std::string_view heads = key("n_head");
    fail(ErrorCode::kInvalidArgument,
         "{}: an attention head is too large: {} {} / {} {} = {}, at most {}, {} at least {}", source, key("n_embd"),
         model().hidden, heads, model().heads, model().head_dim(), kMaxHeadSize, heads, least);
  }

  void check_head() const {
    const HeadConfig& head = model().head;
    if (head.kind == HeadKind::kGrouped) check_grouped(head);
    if (head.kind == HeadKind::kAdaptive) check_adaptive(head);
    if (!head.remap.empty()) check_remap(head);
  }

  void check_remap(const HeadConfig& head) const {
    const auto refuse = [&](const std::string& what) {
      fail(ErrorCode::kInvalidArgument,
           "{}: head.remap is [{}], {}; leave it out, or take kind grouped, modulation per_group, tie_word_embeddings "
           "true, map clustered or file, and 1 prototype",
           source, fmt::join(head.remap, ", "), what);
    };
    if (head.kind == HeadKind::kAdaptive) refuse("the clusters of an adaptive head are ranges of token frequency");
    if (head.kind != HeadKind::kGrouped)
      refuse(fmt::format("a head of kind {} has no groups", head_kind_name(head.kind)));
    if (head.modulation != HeadModulation::kPerGroup)
      refuse(fmt::format("with modulation {} a slot's numbers are its group's, and cannot go along with a token",
                         modulation_name(head.modulation)));
    if (!model().tie_word_embeddings)
      refuse("tie_word_embeddings is false: the head's rows are not what the model reads of the tokens");
    if (head.map != GroupMap::kClustered && head.map != GroupMap::kFile)
      refuse(fmt::format("map {} does not group tokens by their meaning", group_map_name(head.map)));
    if (head.prototypes > 1)
      refuse(
          fmt::format("head.prototypes is {}: of several vectors a group none stands for its tokens", head.prototypes));
    if (config.train.steps > 0) check_remap_steps(config, config.train.steps, source);
  }

  void check_grouped(const HeadConfig& head) const {
    if (model().tie_word_embeddings && head.modulation != HeadModulation::kPerGroup && head.shortlist == 0) {
      fail(ErrorCode::kInvalidArgument,
           "{}: tie_word_embeddings is true, a grouped head with modulation {} and no shortlist has matrices of its "
           "own; set it to false or leave it out",
           source, modulation_name(head.modulation));
    }
    if (!head.bias) {
      fail(ErrorCode::kInvalidArgument, "{}: head.bias is false, a grouped head always has biases; leave the key out",
           source);
    }
    if (head.class_input && head.prototypes > 1) {
      fail(ErrorCode::kInvalidArgument,
           "{}: head.class_input is true and head.prototypes is {}; with several vectors a group there is none to add "
           "to the input: choose one of the two",
           source, head.prototypes);
    }
    if (head.modulation == HeadModulation::kLowRank && head.rank > model().hidden) {
      fail(ErrorCode::kInvalidArgument, "{}: head.rank is {}, {} is {}; choose 1 to {}", source, head.rank,
           key("n_embd"), model().hidden, model().hidden);
    }
    if ((head.map == GroupMap::kFile) != !head.map_file.empty()) {
      fail(ErrorCode::kInvalidArgument, "{}: head.map is {} and head.map_file is \"{}\"; a map_file goes with map file",
           source, group_map_name(head.map), head.map_file);
    }
    if (model().vocab_size > 0) check_groups(head);
  }

  void check_groups(const HeadConfig& head) const {
    if (head.map == GroupMap::kFile && head.group_size == 0) return;  // the file's, which is read later
    const std::int64_t vocabulary = model().vocab_size, tail = vocabulary - head.shortlist;
    if (tail < 1) {
      fail(ErrorCode::kInvalidArgument,
           "{}: head.shortlist is {}, the vocabulary has {} tokens and a grouped head needs a tail; choose 0 to {}, or "
           "kind full",
           source, head.shortlist, vocabulary, vocabulary - 1);
    }
    if (head.group_sizes == GroupSizes::kMass) return check_mass_groups(head, tail);
    if (head.group_size > tail) {
      fail(ErrorCode::kInvalidArgument,
           "{}: head.group_size is {}, the vocabulary has {} tokens{}; choose 1 to {}, or "
           "null for {}",
           source, head.group_size, vocabulary,
           head.shortlist > 0 ? fmt::format(" and {} beyond the shortlist", tail) : "", tail, default_group_size(tail));
    }
    const std::int64_t needed = ceil_div(tail, model().slots());
    const std::int64_t most = head.map == GroupMap::kIdRanges ? needed : tail;
    if (head.groups == 0 || (head.groups >= needed && head.groups <= most)) return check_table(head);
    // needed * slots < 2^49: no overflow, and head.groups is at most 2^24.
    fail(
        ErrorCode::kInvalidArgument,
        "{}: head.groups {} x head.group_size {} = {} {} {} tokens of the vocabulary; head.groups must be {} (or null)",
        source, head.groups, model().slots(), head.groups * model().slots(),
        head.groups < needed ? "is fewer than the" : "leaves groups empty with the", tail,
        most > needed ? fmt::format("{} to {}", needed, most) : std::to_string(needed));
  }

  void check_mass_groups(const HeadConfig& head, std::int64_t tail) const {
    if (head.modulation != HeadModulation::kPerGroup)
      fail(ErrorCode::kInvalidArgument,
           "{}: head.group_sizes is mass, head.modulation {}: its groups share their slots, which pays for groups of "
           "one size; choose modulation per_group, or group_sizes equal",
           source, modulation_name(head.modulation));
    if (head.map != GroupMap::kClustered && head.map != GroupMap::kRandom)
      fail(ErrorCode::kInvalidArgument,
           "{}: head.group_sizes is mass, head.map {}: choose map clustered or random (a map of a file has its own "
           "sizes)",
           source, group_map_name(head.map));
    if (head.groups > tail)
      fail(ErrorCode::kInvalidArgument, "{}: head.groups is {}, there are {} tokens to be grouped; choose 1 to {}",
           source, head.groups, tail, tail);
    if (head.group_size != 0 && head.group_size != model().slots())
      fail(ErrorCode::kInvalidArgument,
           "{}: head.group_size is {}; with group_sizes mass it follows from the vocabulary, head.shortlist and "
           "head.groups and is {}: leave it out",
           source, head.group_size, model().slots());
    check_table(head);
  }

  // What the grouped matrix products bind whole or count in a kernel's loops.
  void check_table(const HeadConfig& head) const {
    constexpr std::int64_t kMostSlots = 1 << 25;
    if (head.modulation == HeadModulation::kScaleShift) return;
    const std::int64_t most = head.modulation == HeadModulation::kPerGroup ? kMaxRaggedSlots : kMaxGroupedExtent;
    if (model().slots() > most) {
      fail(ErrorCode::kInvalidArgument, "{}: head.group_size is {}; with modulation {} it is at most {}", source,
           model().slots(), modulation_name(head.modulation), most);
    }
    if (model().groups() * model().slots() > kMostSlots) {
      fail(ErrorCode::kInvalidArgument,
           "{}: head.groups {} x head.group_size {} = {} slots; with modulation {} there may be {}: make the groups "
           "more equal",
           source, model().groups(), model().slots(), model().groups() * model().slots(),
           modulation_name(head.modulation), kMostSlots);
    }
    const std::int64_t T = config.sequence_length();
    if (config.train.batch_size * T > kMaxGroupedExtent) {
      fail(ErrorCode::kInvalidArgument,
           "{}: train.batch_size {} x {} positions = {}; with head.modulation {} at most {} go at once, more by "
           "train.grad_accumulation",
           source, config.train.batch_size, T, config.train.batch_size * T, modulation_name(head.modulation),
           kMaxGroupedExtent);
    }
  }

  void check_adaptive(const HeadConfig& head) const {
    if (model().tie_word_embeddings) {
      fail(ErrorCode::kInvalidArgument,
           "{}: tie_word_embeddings is true, an adaptive head has matrices of its own; set it to false or leave it out",
           source);
    }
    const std::int64_t vocabulary = model().vocab_size;
    if (vocabulary == 0) return;
    if (vocabulary < 2) fail(ErrorCode::kInvalidArgument, "{}: an adaptive head needs at least 2 tokens", source);
    if (!head.cutoffs.empty() && head.cutoffs.back() >= vocabulary) {
      fail(ErrorCode::kInvalidArgument,
           "{}: head.cutoffs end at {}, the vocabulary has {} tokens; cutoffs rise from 1 to {} at most", source,
           head.cutoffs.back(), vocabulary, vocabulary - 1);
    }
  }

  void check_training() const {
    const TrainConfig& train = config.train;
    if (train.sequence_length > model().n_positions) {
      fail(ErrorCode::kInvalidArgument, "{}: train.sequence_length is {}, the model has {} {}", source,
           train.sequence_length, key("n_positions"), model().n_positions);
    }
    if (train.steps == 0 && train.tokens == 0 && train.epochs <= 0) {
      fail(ErrorCode::kInvalidArgument, "{}: train.steps, train.tokens and train.epochs are all 0; set one of them",
           source);
    }
  }
};

}  // namespace

void check_remap_steps(const RunConfig& config, std::int64_t steps, std::string_view source) {
  const std::vector<std::int64_t>& remap = config.model.head.remap;
  if (remap.empty() || remap.back() < steps) return;
  fail(ErrorCode::kInvalidArgument,
       "{}: head.remap is [{}], the run has {} steps: after step {} none is left to train with the new map; choose "
       "steps from 1 to {}",
       source, fmt::join(remap, ", "), steps, remap.back(), steps - 1);
}

RunConfig default_config(ModelFamily family) {
  RunConfig config;
  config.model.family = family;
  if (const auto set = files_of(family).set_defaults) set(config.model);
  return config;
}

void validate_config(const RunConfig& config, std::string_view source) {
  const Validator validator{config, source};
  validator.check_body();
  validator.check_head();
  validator.check_training();
}

}  // namespace fabula
