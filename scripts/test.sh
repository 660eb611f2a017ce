#!/usr/bin/env bash
# The one test command: installs what is missing, builds, and runs every test. See usage below.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/packages.sh

usage() {
  cat <<'END'
usage: scripts/test.sh [--quick] [--asan] [--fuzz] [--page] [--no-swiftshader] [--no-install] [--jobs N]

Builds fabula with its tests (preset ci, in build/ci) and runs them on lavapipe, on lavapipe under the limits of
vulkan-minimum, and on SwiftShader. The last lines are ctest's summary; the exit status is 0 only when all passed.
lavapipe checks every kernel of an op in every case (of a product with an activation, the first choice in every layout,
the others in one); vulkan-minimum fewer of the cases in 16 bits; SwiftShader too, the first choice in each and all
kernels in as many as it takes. Most of the time the drivers compile kernels: lavapipe's are kept in
build/mesa_shader_cache, so the first run is the longest.

  --quick           leave out the large cases, three in four of the cases in 16 bits, and of each case all kernels but
                    the driver's first choice
  --asan            afterwards build with AddressSanitizer and UndefinedBehaviorSanitizer (build/asan), and run the
                    quick tests with it
  --fuzz            afterwards run every fuzz target of tests/fuzz for 60 seconds, built with clang (installed as root
                    where it is missing), AddressSanitizer and UndefinedBehaviorSanitizer (build/fuzz); the files that
                    a target comes upon are kept in build/fuzz_corpora, those that break it in build/fuzz_findings
  --page            install what the tests of the server's page need (Chromium and Python, 400 MB), which are skipped
                    where these are missing
  --no-swiftshader  do without the second driver (it is fetched from Debian's package chromium-common)
  --no-install      never call apt; the tools and libraries are there
  --jobs N          compile N files at once (default: the number of processors)

As root on Debian 12, missing packages are installed with apt; otherwise the script says what to install.
END
}

quick=OFF asan=no fuzz=no page=no swiftshader=yes install=yes jobs=$(processors)
while [ $# -gt 0 ]; do
  case $1 in
    --quick) quick=ON ;;
    --asan) asan=yes ;;
    --fuzz) fuzz=yes ;;
    --page) page=yes ;;
    --no-swiftshader) swiftshader=no ;;
    --no-install) install=no ;;
    --jobs)
      need_value "$1" $(($# - 1))
      jobs=$2
      shift
      ;;
    -h | --help)
      usage
      exit 0
      ;;
    *) refuse_flag "$1" --quick --asan --fuzz --page --no-swiftshader --no-install "--jobs N" --help ;;
  esac
  shift
done
case $jobs in '' | *[!0-9]* | 0) die "--jobs is \"$jobs\", expected a number of at least 1" ;; esac

build=$PWD/build
mkdir -p "$build"
# Compiled shaders of the drivers, kept between runs: a fresh one costs seconds, up to 30 (emulated matrices).
export MESA_SHADER_CACHE_DIR=$build/mesa_shader_cache
mkdir -p "$MESA_SHADER_CACHE_DIR"

# The path of SwiftShader's ICD file: installed, unpacked earlier, or unpacked now without installing the package.
find_swiftshader() {
  local folder=$build/swiftshader unpacked icd
  unpacked=$folder/usr/lib/chromium/vk_swiftshader_icd.json
  for icd in "$unpacked" /usr/lib/chromium/vk_swiftshader_icd.json; do
    if [ -f "$icd" ] && [ -f "${icd%/*}/libvk_swiftshader.so" ]; then
      printf '%s' "$icd"
      return 0
    fi
  done
  say "fetching SwiftShader (30 MB, package chromium-common)"
  mkdir -p "$folder"
  if ! (cd "$folder" && apt-get download -qq chromium-common >&2); then
    # No package lists yet, or old ones.
    [ "$install" = yes ] && as_root apt-get update -qq >&2 || return 1
    (cd "$folder" && apt-get download -qq chromium-common >&2) || return 1
  fi
  # Two files of the package are enough.
  dpkg --fsys-tarfile "$folder"/chromium-common_*.deb |
    tar -x -C "$folder" ./usr/lib/chromium/libvk_swiftshader.so ./usr/lib/chromium/vk_swiftshader_icd.json || return 1
  rm -f "$folder"/chromium-common_*.deb
  printf '%s' "$unpacked"
}

# The ICD file of lavapipe for this machine's architecture: where packages of several are installed, each has its own.
find_lavapipe() {
  local icd folder=/usr/share/vulkan/icd.d
  for icd in "$folder/lvp_icd.$(uname -m).json" "$folder/lvp_icd.json"; do
    if [ -f "$icd" ]; then
      printf '%s' "$icd"
      return 0
    fi
  done
  return 1
}

# build_tests PRESET QUICK: configures and builds.
build_tests() {
  local preset=$1 quick_tests=$2 launcher=()
  if command -v ccache >/dev/null; then
    launcher=(-DCMAKE_C_COMPILER_LAUNCHER=ccache -DCMAKE_CXX_COMPILER_LAUNCHER=ccache)
  fi
  say "configuring $preset"
  cmake --preset "$preset" "${launcher[@]}" -DFABULA_QUICK_TESTS="$quick_tests" -DFABULA_LAVAPIPE_ICD="$lavapipe_icd" \
    -DFABULA_SWIFTSHADER_ICD="$swiftshader_icd" >"$build/configure_$preset.log" 2>&1 ||
    { cat "$build/configure_$preset.log" >&2 && die "configuring $preset failed"; }
  say "building $preset with $jobs jobs"
  cmake --build --preset "$preset" --parallel "$jobs" >"$build/build_$preset.log" 2>&1 ||
    { tail -n 80 "$build/build_$preset.log" >&2 && die "building $preset failed; all of it: build/build_$preset.log"; }
}

# run_tests PRESET QUICK: the same, and runs ctest, whose summary ends the output.
run_tests() {
  build_tests "$1" "$2"
  say "testing $1"
  ctest --preset "$1" --no-tests=error --parallel 2 --timeout 2400
}

# run_fuzzers SECONDS: builds the fuzz targets and runs one after the other; fails when one has found something.
run_fuzzers() {
  local program name corpus findings=$build/fuzz_findings broken=()
  build_tests fuzz ON
  mkdir -p "$findings"
  for program in "$build"/fuzz/bin/fuzz_*; do
    name=${program##*/fuzz_} corpus=$build/fuzz_corpora/${program##*/fuzz_}
    [ "$name" != corpora ] || continue
    mkdir -p "$corpus"
    say "fuzzing $name for $1 seconds"
    # Closed: stderr of the code under test, which notes what it reads past.
    "$program" -max_total_time="$1" -max_len=16384 -timeout=20 -rss_limit_mb=4096 -entropic=0 -close_fd_mask=2 -print_final_stats=1 \
      -verbosity=0 -artifact_prefix="$findings/$name-" "$corpus" "tests/fuzz/corpora/$name" || broken+=("$name")
  done
  if [ ${#broken[@]} -gt 0 ]; then
    die "broken: ${broken[*]}; the files are in build/fuzz_findings, replay one with build/fuzz/bin/fuzz_NAME FILE"
  fi
}

if [ "$install" = yes ]; then install_packages "${kProgramPackages[@]}" "${kTestPackages[@]}" "${kMpiPackages[@]}"; fi
if [ "$fuzz" = yes ] && ! command -v clang++ >/dev/null; then
  [ "$install" = yes ] || die "--fuzz needs clang, which is not here; on Debian 12, as root: apt-get install clang"
  install_packages "${kFuzzPackages[@]}"
fi
if [ "$page" = yes ]; then
  [ "$install" = yes ] || die "--page installs packages, --no-install forbids it; leave one of them out"
  install_packages "${kPagePackages[@]}"
fi
lavapipe_icd=$(find_lavapipe) ||
  die "lavapipe is not here: no /usr/share/vulkan/icd.d/lvp_icd.$(uname -m).json; install mesa-vulkan-drivers"
swiftshader_icd=
if [ "$swiftshader" = yes ]; then
  swiftshader_icd=$(find_swiftshader) ||
    die "SwiftShader is not to be had: apt-get download chromium-common failed; run apt-get update as root and try again, or test without it: --no-swiftshader"
fi

run_tests ci "$quick"
if [ "$asan" = yes ]; then
  # The drivers leak a little by design; suppressed by library, so that leaks of fabula still show.
  export LSAN_OPTIONS=suppressions=$PWD/tests/support/lsan.supp:print_suppressions=0
  export UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1
  # One driver is enough here: it is fabula's code that the sanitizers watch.
  swiftshader_icd=
  run_tests asan ON
fi
if [ "$fuzz" = yes ]; then
  export UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1
  unset LSAN_OPTIONS  # no driver is loaded
  run_fuzzers 60
fi
