#!/usr/bin/env bash
# Kills one of several training processes at a random moment, again and again. See usage below.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/packages.sh

usage() {
  cat <<'END'
usage: scripts/kill_ranks.sh [--program FILE] [--times N] [--stall] [--keep FOLDER]

Trains a small model alone; then with 2 and 4 processes of mpirun on one device, one of which is killed at a random moment,
N times, each time going on where the last checkpoint is; then to the end with 1, 2 and 4 processes, from copies of the
same folder. All must have ended within 30 seconds of the kill, and all three must hold the bytes of the run alone.

  --program FILE  the fabula to try (default: build/dev/bin/fabula)
  --times N       kills (default: 20)
  --stall         one in four is stopped (SIGSTOP) instead: the others must notice and end
  --keep FOLDER   where the runs stay (default: a folder that is removed)

VK_ICD_FILENAMES chooses the driver, as for fabula itself.
END
}

program=build/dev/bin/fabula times=20 stall=no keep=''
while [ $# -gt 0 ]; do
  case $1 in
    --program | --times | --keep)
      need_value "$1" $(($# - 1))
      case $1 in
        --program) program=$2 ;;
        --times) times=$2 ;;
        --keep) keep=$2 ;;
      esac
      shift
      ;;
    --stall) stall=yes ;;
    -h | --help)
      usage
      exit 0
      ;;
    *) refuse_flag "$1" "--program FILE" "--times N" --stall "--keep FOLDER" --help ;;
  esac
  shift
done
program=$(realpath "$program")
command -v mpirun >/dev/null || die "mpirun is not here: apt-get install ${kMpiPackages[*]}"
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_rmaps_base_oversubscribe=1
export OMPI_MCA_hwloc_base_binding_policy=none

if [ -n "$keep" ]; then
  mkdir -p "$keep"
  folder=$(realpath "$keep")
else
  folder=$(mktemp -d)
  trap 'rm -rf "$folder"' EXIT
fi
cat >"$folder/config.json" <<'END'
{"model_type": "gpt2", "n_positions": 32, "n_embd": 32, "n_layer": 1, "n_head": 2, "vocab_size": 300,
 "embd_pdrop": 0.1, "attn_pdrop": 0, "resid_pdrop": 0.1, "head": {"kind": "grouped"},
 "train": {"batch_size": 2, "sequence_length": 16, "steps": 2000, "grad_accumulation": 4, "warmup_steps": 5,
           "eval_every": 50, "eval_batches": 2, "sample_every": 0, "save_every": 10, "log_every": 20}}
END
# Without a cache: a process killed while it compiles a kernel leaves a note, and the next one takes another kernel.
train=("$program" train "$folder/config.json" --corpus-stories 100 --cache-dir none)

say "alone"
"${train[@]}" --out "$folder/alone" 2>"$folder/alone.log"

failures=0
for ((i = 1; i <= times; ++i)); do
  ranks=$((i % 2 == 0 ? 2 : 4))
  mpirun -n "$ranks" "${train[@]}" --share-device --resume auto --out "$folder/run" >"$folder/log" 2>&1 &
  launcher=$!
  sleep "$((1 + RANDOM % 3)).$((RANDOM % 10))"
  mapfile -t processes < <(ps -o pid= --ppid "$launcher")
  if [ ${#processes[@]} -eq 0 ]; then
    wait "$launcher" || true
    printf 'kill %d: nothing to kill: %s\n' "$i" "$(tail -1 "$folder/log")"
    continue
  fi
  victim=${processes[RANDOM % ${#processes[@]}]} signal=KILL
  [ "$stall" = yes ] && ((i % 4 == 0)) && signal=STOP
  begin=$SECONDS
  kill "-$signal" "$victim"
  status=0
  wait "$launcher" || status=$?
  took=$((SECONDS - begin)) left=1
  while ((left > 0 && SECONDS - begin <= 30)); do
    left=0
    for process in "${processes[@]}"; do if kill -0 "$process" 2>/dev/null; then left=$((left + 1)); fi; done
    ((left == 0)) || sleep 0.5
  done
  step=$(sed -n 's/.*"step":[ ]*\([0-9]*\).*/\1/p' "$folder/run/state.json" 2>/dev/null | head -1 || true)
  printf 'kill %d: SIG%s to one of %d, over after %d s with status %d, %d left, checkpoint of step %s\n' "$i" "$signal" \
    "$ranks" "$took" "$status" "$left" "${step:-none}"
  if ((took > 30 || left > 0)); then
    failures=$((failures + 1))
    cat "$folder/log"
  fi
done

for ranks in 1 2 4; do
  cp -r "$folder/run" "$folder/on_$ranks"
  launcher=(mpirun -n "$ranks")
  [ "$ranks" = 1 ] && launcher=()
  "${launcher[@]}" "${train[@]}" --share-device --resume auto --out "$folder/on_$ranks" 2>"$folder/on_$ranks.log"
  for file in model.safetensors optimizer.safetensors; do
    if cmp "$folder/alone/$file" "$folder/on_$ranks/$file"; then
      printf 'resumed on %d: %s has the bytes of the run alone\n' "$ranks" "$file"
    else
      failures=$((failures + 1))
    fi
  done
done
[ "$failures" = 0 ] || die "$failures of these went wrong"
