#!/usr/bin/env bash
# From nothing to a story: installs, builds, trains a small model and lets it tell one. See usage below.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/packages.sh

usage() {
  cat <<'END'
usage: scripts/quickstart.sh [--device NAME] [--steps N] [--run FOLDER] [--no-install]

On Debian 12: installs what is missing, builds the program (without tests) in build/quickstart, writes little stories of the
built-in grammar, learns a vocabulary from them, trains a model of 0.7 million parameters with the grouped head on
whatever Vulkan device there is, and prints a story. About 5 minutes on 2 cores without a GPU. Stopped with Ctrl-C, it
continues when started again.

  --device NAME   Vulkan device: index or part of its name (default: the best one)
  --steps N       training steps (default: as configs/quickstart.json says)
  --run FOLDER    where the run goes (default: runs/quickstart)
  --no-install    never call apt
END
}

kUseSudo=yes run=runs/quickstart install=yes device=() overrides=()
while [ $# -gt 0 ]; do
  case $1 in
    --device | --steps | --run)
      need_value "$1" $(($# - 1))
      case $1 in
        --device) device=(--device "$2") ;;
        --steps) overrides=(--set "train.steps=$2") ;;
        --run) run=$2 ;;
      esac
      shift
      ;;
    --no-install) install=no ;;
    -h | --help)
      usage
      exit 0
      ;;
    *) refuse_flag "$1" "--device NAME" "--steps N" "--run FOLDER" --no-install --help ;;
  esac
  shift
done

if [ "$install" = yes ]; then install_packages "${kProgramPackages[@]}"; fi

log=build/quickstart.log
# Ninja's "[done/all] what" as one line that is drawn anew on a terminal, or as a line every tenth of the way elsewhere.
show_build() {
  local line done all shown=-1
  while IFS= read -r line; do
    printf '%s\n' "$line" >&3
    [[ $line =~ ^\[([0-9]+)/([0-9]+)\] ]] || continue
    done=${BASH_REMATCH[1]} all=${BASH_REMATCH[2]}
    if [ -t 2 ]; then
      printf '\r%3d %%  %s of %s steps' $((100 * done / all)) "$done" "$all" >&2
    elif [ $((10 * done / all)) -gt "$shown" ]; then
      shown=$((10 * done / all))
      printf '%3d %%  %s of %s steps\n' $((100 * done / all)) "$done" "$all" >&2
    fi
  done 3>>"$log"
  [ ! -t 2 ] || printf '\n' >&2
}

say "building the program in build/quickstart: minutes the first time; its output goes to $log"
mkdir -p build
# Without ccache: it has nothing to give to a first build, and does without precompiled headers.
if ! cmake --preset quickstart -DCMAKE_CXX_COMPILER_LAUNCHER= >"$log" 2>&1 ||
  ! cmake --build --preset quickstart --target fabula --parallel "$(processors)" 2>&1 | show_build; then
  tail -n 40 "$log" >&2
  die "the build failed; all of it: $log"
fi
fabula=build/quickstart/bin/fabula

say "devices"
"$fabula" devices

# Training text and validation text come from different seeds.
text=$run/text
mkdir -p "$text"
if [ ! -f "$text/valid.tokens" ]; then
  say "stories, vocabulary, token files ($text)"
  "$fabula" corpus --seed 1 --stories 12000 --out "$text/train.txt"
  "$fabula" corpus --seed 2 --stories 200 --out "$text/valid.txt"
  "$fabula" tokenizer train "$text/train.txt" --vocab-size 2048 --out "$text/tokenizer.json"
  "$fabula" data prepare "$text/train.txt" --tokenizer "$text/tokenizer.json" --out "$text/train.tokens"
  "$fabula" data prepare "$text/valid.txt" --tokenizer "$text/tokenizer.json" --out "$text/valid.tokens"
fi

say "training ($run)"
"$fabula" train configs/quickstart.json "${overrides[@]}" "${device[@]}" --data "$text/train.tokens" \
  --valid "$text/valid.tokens" --tokenizer "$text/tokenizer.json" --out "$run" --resume auto

say "a story"
"$fabula" generate "$run" "${device[@]}" --prompt "Once upon a time" --temperature 0.4 --top-p 0.9 --max-tokens 300 --seed 5 \
  --at-context-end slide
printf '\n'
say "curves and samples: $run/report.html"
printf 'More: %s generate %s --prompt "One day" --seed 8 --at-context-end slide\n' "$fabula" "$run" >&2
