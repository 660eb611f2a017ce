#!/usr/bin/env bash
# Builds the program for Windows and tests it under Wine on lavapipe. See usage below.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/packages.sh

usage() {
  cat <<'END'
usage: scripts/test_windows.sh [--native PROGRAM] [--no-install] [--jobs N]

Cross-builds fabula.exe and the tests of files, formats and texts (preset windows-x64-mingw, in build/windows-x64-mingw)
with mingw-w64, and runs them under Wine, whose Vulkan passes calls on to this machine's drivers: devices, check --quick,
training that is killed or stopped and continued, the same greedy text as the program for Linux from the same folder,
and serve.

  --native PROGRAM  the program for Linux to compare with (default: built here, preset quickstart)
  --no-install      never call apt for packages; they are there
  --jobs N          compile N files at once (default: the number of processors)

As root on Debian 12, missing packages are installed with apt; otherwise the script says what to install.
END
}

native="" install=yes jobs=$(processors)
while [ $# -gt 0 ]; do
  case $1 in
    --native | --jobs)
      need_value "$1" $(($# - 1))
      case $1 in
        --native) native=$(realpath "$2") ;;
        --jobs) jobs=$2 ;;
      esac
      shift
      ;;
    --no-install) install=no ;;
    -h | --help)
      usage
      exit 0
      ;;
    *) refuse_flag "$1" "--native PROGRAM" --no-install "--jobs N" --help ;;
  esac
  shift
done

build=$PWD/build
mkdir -p "$build"
if [ "$install" = yes ]; then install_packages "${kProgramPackages[@]}" "${kWindowsPackages[@]}"; fi
for tool in wine xvfb-run x86_64-w64-mingw32-g++-posix; do
  command -v "$tool" >/dev/null || die "$tool is not here: apt-get install --no-install-recommends ${kWindowsPackages[*]}"
done
if [ "$install" = yes ]; then
  scripts/windows_dependencies.sh --jobs "$jobs"
else
  scripts/windows_dependencies.sh --no-install --jobs "$jobs"
fi

launcher=()
if command -v ccache >/dev/null; then
  launcher=(-DCMAKE_C_COMPILER_LAUNCHER=ccache -DCMAKE_CXX_COMPILER_LAUNCHER=ccache)
fi
# build PRESET TARGET...
build() {
  local preset=$1 log=$build/build_$1.log
  shift
  say "building $preset: $*"
  { cmake --preset "$preset" "${launcher[@]}" && cmake --build --preset "$preset" --parallel "$jobs" --target "$@"; } >"$log" 2>&1 ||
    { tail -n 80 "$log" >&2 && die "building $preset failed; all of it: $log"; }
}
kTestPrograms=(test_base test_formats test_text)
build windows-x64-mingw fabula "${kTestPrograms[@]}"
if [ -z "$native" ]; then
  build quickstart fabula
  native=$build/quickstart/bin/fabula
fi
bin=$build/windows-x64-mingw/bin

# Wine wants a display to have Vulkan at all.
if [ -z "${FABULA_IN_XVFB-}" ]; then
  command=("$0" --native "$native" --no-install --jobs "$jobs")
  FABULA_IN_XVFB=yes exec xvfb-run -a "${command[@]}"
fi
icd=$(find /usr/share/vulkan/icd.d -name 'lvp_icd*.json' | head -n 1)
[ -n "$icd" ] || die "lavapipe is not here: install mesa-vulkan-drivers"
export VK_ICD_FILENAMES=$icd VK_DRIVER_FILES=$icd MESA_SHADER_CACHE_DIR=$build/mesa_shader_cache
export WINEPREFIX=$build/wine WINEDEBUG=-all WINEDLLOVERRIDES="mscoree,mshtml="
mkdir -p "$MESA_SHADER_CACHE_DIR"
say "starting Wine"
wineboot --init >/dev/null 2>&1 || die "Wine does not start: run wineboot with WINEPREFIX=$WINEPREFIX"

work=$(mktemp -d)
trap 'wineserver -k || true; rm -rf "$work"' EXIT
run() { wine "$bin/fabula.exe" "$@"; }
passed() { printf 'passed: %s\n' "$*" >&2; }

if objdump -p "$bin/fabula.exe" | grep -E 'DLL Name: (lib|.*winpthread)' >&2; then die "fabula.exe needs DLLs that Windows does not bring"; fi
passed "fabula.exe needs no DLL of the compiler"

for program in "${kTestPrograms[@]}"; do
  say "$program"
  wine "$bin/$program.exe" --gtest_brief=1 || die "$program fails"
done

say "devices and check"
run devices | tee "$work/devices" >&2
grep -q llvmpipe "$work/devices" || die "devices does not list llvmpipe"
passed "devices"
status=0
timeout 1200 wine "$bin/fabula.exe" check --quick >"$work/check" 2>&1 || status=$?
[ "$status" != 124 ] || die "check --quick stands still, or takes more than 20 minutes"
[ "$status" = 0 ] || { tail -n 30 "$work/check" >&2; die "check --quick fails with status $status"; }
tail -n 1 "$work/check" >&2
passed "check --quick"
! WINEDLLOVERRIDES="vulkan-1=" run devices >"$work/out" 2>&1 || die "devices works without a Vulkan loader"
grep -q 'no Vulkan loader (vulkan-1.dll) found' "$work/out" || die "without a loader: $(cat "$work/out")"
passed "a machine without a Vulkan loader is told so"

say "texts, tokenizer and training in a folder whose name is not ASCII"
home="$work/Grüße, Жук, 漢字, 🙂"
mkdir "$home"
cd "$home"
run corpus --stories 400 --seed 1 --out train.txt
run corpus --stories 40 --seed 2 --out "Prüfung.txt"
run corpus --stories 40 --seed 2 >valid.txt
cmp "Prüfung.txt" valid.txt || die "a text in a file and one on standard output differ"
run tokenizer train train.txt --vocab-size 400 --out tokenizer.json
"$native" tokenizer train train.txt --vocab-size 400 --out of_linux.json
cmp tokenizer.json of_linux.json || die "the tokenizer differs from the one that Linux learns"
cat >config.json <<'END'
{"model_type": "gpt2", "n_positions": 64, "n_embd": 32, "n_layer": 2, "n_head": 4, "tie_word_embeddings": true,
 "head": {"kind": "grouped", "modulation": "per_group", "map": "clustered", "shortlist": 20},
 "train": {"batch_size": 8, "steps": 1500, "learning_rate": 5e-3, "warmup_steps": 50, "eval_every": 500, "save_every": 100, "sample_every": 0}}
END
training=(train config.json --data train.txt --valid valid.txt --tokenizer tokenizer.json --out)
# train_until SIGNAL RUN STEP: starts a run, and sends the signal when it has come to the step.
train_until() {
  local signal=$1 out=$2 step=$3
  wine "$bin/fabula.exe" "${training[@]}" "$out" 2>"$work/$out.err" &  # no function: the signal is the program's
  local process=$! i
  for ((i = 0; i < 1200; ++i)); do
    ! grep -Eq "^step $step/" "$work/$out.err" || break
    kill -0 "$process" 2>/dev/null || { cat "$work/$out.err" >&2; die "the run $out has ended before step $step"; }
    sleep 0.1
  done
  kill "-$signal" "$process"
  wait "$process"
}
same_run() {
  for file in model.safetensors optimizer.safetensors; do
    cmp "straight/$file" "$1/$file" || die "$file of a run that was $2 and continued differs"
  done
  passed "a run that is $2 and continued is the run that was not, bit by bit"
}
run "${training[@]}" straight 2>"$work/straight.err" || die "training fails"
! train_until KILL "getötet" 450 || die "a killed run ends as if it were done"
run "${training[@]}" "getötet" --resume auto 2>"$work/resumed.err" || { cat "$work/resumed.err" >&2; die "a killed run does not go on"; }
same_run "getötet" killed
status=0
train_until INT stopped 450 || status=$?
[ "$status" = 130 ] || { tail -n 5 "$work/stopped.err" >&2; die "a run stopped by Ctrl-C exits with $status, not with 130"; }
grep -q -- '--resume' "$work/stopped.err" || die "a run stopped by Ctrl-C does not say how it goes on"
run "${training[@]}" stopped --resume auto 2>"$work/resumed.err" || { cat "$work/resumed.err" >&2; die "a stopped run does not go on"; }
same_run stopped "stopped by Ctrl-C"

say "the same text as on Linux"
for prompt in "Once upon a time" "The dog" ; do
  run generate straight --prompt "$prompt" --temperature 0 --max-tokens 60 >of_windows.txt
  "$native" generate straight --prompt "$prompt" --temperature 0 --max-tokens 60 >of_linux.txt
  cmp of_windows.txt of_linux.txt || die "the text differs: $(cat of_windows.txt) | $(cat of_linux.txt)"
done
passed "generate"

say "serve"
# answer_of PORT PATH BODY: what comes on a connection of its own.
answer_of() {
  exec 3<>"/dev/tcp/127.0.0.1/$1"
  printf 'POST %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s' \
    "$2" "${#3}" "$3" >&3
  timeout 60 cat <&3
  exec 3<&- 3>&-
}
wine "$bin/fabula.exe" serve straight --port 0 2>"$work/serve.err" &
server=$!
for ((i = 0; i < 600; ++i)); do
  ! grep -q '^ready at' "$work/serve.err" || break
  kill -0 "$server" 2>/dev/null || { cat "$work/serve.err" >&2; die "the server has ended"; }
  sleep 0.1
done
port=$(sed -n 's/^ready at [^;]*:\([0-9]*\);.*/\1/p' "$work/serve.err")
[ -n "$port" ] || { cat "$work/serve.err" >&2; die "the server is not ready"; }
question='{"prompt": "The dog", "max_tokens": 20, "temperature": 0}'
answer_of "$port" /v1/completions "$question" >"$work/answer"
grep -q '^HTTP/1.1 200' "$work/answer" || die "the server answers: $(cat "$work/answer")"
text=$("$native" generate straight --prompt "The dog" --temperature 0 --max-tokens 20 --json | sed -n 's/^ *"text": "\(.*\)",$/\1/p' | head -n 1)
[ -n "$text" ] || die "the program for Linux tells nothing"
grep -qF "\"text\":\"$text\"" "$work/answer" || die "the server's text is not \"$text\": $(cat "$work/answer")"
answer_of "$port" /v1/completions '{"prompt": "The dog", "max_tokens": 20, "stream": true}' >"$work/stream"
grep -q 'data: \[DONE\]' "$work/stream" || die "a stream does not end: $(cat "$work/stream")"
! run serve straight --port "$port" 2>"$work/second.err" || die "two servers listen on one port"
grep -q "cannot listen on 127.0.0.1 port $port" "$work/second.err" || die "a second server says: $(cat "$work/second.err")"
kill -INT "$server"
wait "$server" || die "a server stopped by Ctrl-C exits with $?"
passed "serve answers, streams, keeps its port for itself and stops by Ctrl-C"
say "the program for Windows passes"
