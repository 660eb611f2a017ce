#!/usr/bin/env bash
# Trains a tiny model of every kind of head and family, for scripts/check_transformers.py. See usage below.
set -euo pipefail

usage() {
  cat <<'END'
usage: scripts/make_small_runs.sh FABULA OUT

FABULA is the program, OUT a new folder. It gets a text, a tokenizer, and a run of 40 steps for each of the kinds below,
in OUT/runs/NAME; some ten seconds each without a GPU. Then:
  scripts/check_transformers.py OUT/runs/* --fabula FABULA
END
}

if [ "${1-}" = --help ]; then
  usage
  exit 0
elif [ $# -ne 2 ]; then
  usage >&2
  exit 2
fi
fabula=$1 out=$2
if [ -e "$out" ]; then
  echo "$out is there already; name a new folder" >&2
  exit 2
fi
mkdir -p "$out/runs"
"$fabula" corpus --stories 400 --seed 1 --out "$out/train.txt"
"$fabula" corpus --stories 40 --seed 2 --out "$out/valid.txt"
"$fabula" tokenizer train "$out/train.txt" --vocab-size 400 --out "$out/tokenizer.json"

declare -A bodies=(
  [gpt2]='"model_type": "gpt2", "n_positions": 64, "n_embd": 32, "n_layer": 2, "n_head": 4'
  [gpt_neo]='"model_type": "gpt_neo", "max_position_embeddings": 64, "hidden_size": 32, "num_layers": 2, "num_heads": 4, "window_size": 16'
  [llama]='"model_type": "llama", "max_position_embeddings": 64, "hidden_size": 32, "intermediate_size": 80, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2'
)

# NAME TIED HEAD
run() {
  local name=$1 tied=$2 head=$3
  printf '{%s, "tie_word_embeddings": %s, "head": {%s}, "train": {"batch_size": 8, "steps": 40, "learning_rate": 5e-3, "warmup_steps": 5, "eval_every": 20, "sample_every": 0}}\n' \
    "${bodies[${name%%-*}]}" "$tied" "$head" >"$out/config.json"
  "$fabula" train "$out/config.json" --data "$out/train.txt" --valid "$out/valid.txt" --tokenizer "$out/tokenizer.json" \
    --out "$out/runs/$name"
}

for family in gpt2 gpt_neo llama; do
  run $family-full true '"kind": "full"'
  run $family-untied false '"kind": "full"'
  run $family-fused-bias true '"kind": "fused", "bias": true'
  run $family-scale-shift false '"kind": "grouped", "modulation": "scale_shift"'
  run $family-per-group true '"kind": "grouped", "modulation": "per_group", "map": "clustered", "shortlist": 20, "class_input": true'
  run $family-adaptive false '"kind": "adaptive", "bias": true, "class_input": true'
done
run gpt2-full-bias false '"kind": "full", "bias": true'
run gpt2-low-rank false '"kind": "grouped", "modulation": "low_rank", "rank": 6, "map": "frequency", "shortlist": 12'
run gpt2-prototypes true '"kind": "grouped", "modulation": "scale_shift", "prototypes": 3, "map": "random", "shortlist": 12'
run gpt2-per-group-untied false '"kind": "grouped", "modulation": "per_group", "map": "clustered"'
run gpt2-mass true '"kind": "grouped", "modulation": "per_group", "map": "clustered", "group_sizes": "mass", "shortlist": 20'
run gpt2-remap true '"kind": "grouped", "modulation": "per_group", "map": "clustered", "shortlist": 20, "class_input": true, "remap": [15, 30]'
run llama-class-input false '"kind": "grouped", "modulation": "scale_shift", "map": "clustered", "shortlist": 12, "class_input": true'
