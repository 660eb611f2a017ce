#!/usr/bin/env bash
# A table of what several devices of this host reach together. See usage below.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/packages.sh

usage() {
  cat <<'END'
usage: scripts/bench_ranks.sh [--program FILE] [--ranks 1,2,4] [--hidden 256,1024] [--precision fp32,bf16]
                              [--accumulation 1,4] [--steps N] [--timeline FOLDER] [-- FLAGS...]

`fabula bench train --ranks` for every combination, one row each: 8 layers, 32 x 512 tokens a micro-batch of each process,
vocabulary of 50,257, a tied per_group head. FLAGS go to fabula: --set, --share-device. --timeline keeps a picture of one
step of each. The peer's table is scripts/bench_ddp.py's. MPIRUN and its flags can be named in the environment (default:
"mpirun --bind-to none").
END
}

program=build/release/bin/fabula ranks=1,2,4 hidden=256,1024 precision=fp32,bf16 accumulation=1,4 steps=20 timeline='' flags=()
while [ $# -gt 0 ]; do
  case $1 in
    --program | --ranks | --hidden | --precision | --accumulation | --steps | --timeline)
      need_value "$1" $(($# - 1))
      declare "${1#--}=$2"
      shift
      ;;
    --)
      shift
      flags=("$@")
      break
      ;;
    -h | --help)
      usage
      exit 0
      ;;
    *) refuse_flag "$1" "--program FILE" "--ranks N,.." "--hidden N,.." "--precision P,.." "--accumulation N,.." "--steps N" "--timeline FOLDER" --help ;;
  esac
  shift
done
read -r -a mpirun <<<"${MPIRUN:-mpirun --bind-to none}"
[ "$(id -u)" != 0 ] || export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
[ -z "$timeline" ] || mkdir -p "$timeline"
header=no
for h in ${hidden//,/ }; do
  for p in ${precision//,/ }; do
    for a in ${accumulation//,/ }; do
      for n in ${ranks//,/ }; do
        picture=()
        [ -z "$timeline" ] || picture=(--timeline "$timeline/hidden$h-$p-accumulation$a-ranks$n.svg")
        table=$("${mpirun[@]}" -n "$n" "$program" bench train configs/tinystories-8l-256.json --set vocab_size=50257 \
          --set "n_embd=$h" --set head.class_input=false --set head.shortlist=0 --set head.group_size=225 --set tie_word_embeddings=true \
          --set train.batch_size=32 --set train.sequence_length=512 --set "train.grad_accumulation=$a" --set train.dropout=0 \
          --set train.clip_norm=0 --precision "$p" --steps "$steps" --ranks "${picture[@]}" "${flags[@]}" -o csv 2>/dev/null) ||
          { say "hidden $h, $p, accumulation $a, $n ranks: failed"; continue; }
        if [ "$header" = no ]; then
          grep '^#' <<<"$table"
          printf 'hidden,precision,%s\n' "$(grep -v '^#' <<<"$table" | head -1)"
          header=yes
        fi
        printf '%s,%s,%s\n' "$h" "$p" "$(grep -v '^#' <<<"$table" | tail -1)"
      done
    done
  done
done
