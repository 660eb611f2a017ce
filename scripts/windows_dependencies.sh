#!/usr/bin/env bash
# Makes the libraries that fabula's program for Windows is built with, on Debian 12. See usage below.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/packages.sh

usage() {
  cat <<'END'
usage: scripts/windows_dependencies.sh [--no-install] [--jobs N] [FOLDER]

Fills FOLDER (default: build/windows-libraries) for the preset windows-x64-mingw: fmt, PCRE2 and GoogleTest compiled by
mingw-w64 from Debian's sources, and the headers of cpp-httplib, nlohmann-json, CLI11, Eigen, Vulkan and volk, which
Debian has installed for all systems. What is there already is not made again. As root missing packages are installed.
  --no-install  never call apt for packages; they are there (sources are still fetched with apt-get)
  --jobs N      compile N files at once (default: the number of processors)
END
}

install=yes jobs=$(processors) prefix=""
while [ $# -gt 0 ]; do
  case $1 in
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
    -*) refuse_flag "$1" --no-install "--jobs N" --help ;;
    *) prefix=$1 ;;
  esac
  shift
done
prefix=$(realpath -m "${prefix:-build/windows-libraries}")
toolchain=$PWD/cmake/windows-x64-mingw.cmake
if [ "$install" = yes ]; then install_packages "${kProgramPackages[@]}" "${kWindowsPackages[@]}"; fi
command -v x86_64-w64-mingw32-g++-posix >/dev/null || die "mingw-w64 is not here: apt-get install ${kWindowsPackages[*]}"
mkdir -p "$prefix"/{include,lib/pkgconfig,share}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Sources are listed in a folder of our own: what the system's apt knows stays as it is.
with_sources() {
  local program=$1
  shift
  "$program" -o Dir::Etc::SourceList=/dev/null -o Dir::Etc::SourceParts="$work/parts" -o Dir::State::Lists="$work/lists" \
    -o APT::Sandbox::User="$(id -un)" "$@"
}
list_sources() {
  [ ! -d "$work/lists" ] || return 0
  mkdir -p "$work"/{parts,lists/partial}
  local file
  for file in /etc/apt/sources.list.d/*.sources; do
    [ ! -f "$file" ] || sed 's/^Types:.*/Types: deb-src/' "$file" >"$work/parts/${file##*/}"
  done
  [ ! -f /etc/apt/sources.list ] || sed 's/^deb /deb-src /' /etc/apt/sources.list >"$work/parts/own.list"
  with_sources apt-get update -qq || die "the list of Debian's sources cannot be fetched; is there a network?"
}

# fetch_source PACKAGE: unpacks it, patched, in $work/PACKAGE. The newest, or what Debian 12 came with where that is gone.
fetch_source() {
  say "fetching the source of $1"
  list_sources
  local version
  for version in $(with_sources apt-cache showsrc --only-source "$1" | sed -n 's/^Version: //p' | sort -rVu); do
    if (cd "$work" && with_sources apt-get source -qq --download-only --only-source "$1=$version" >&2); then
      dpkg-source --no-check -x "$work/${1}_${version#*:}.dsc" "$work/$1" >&2
      return 0
    fi
  done
  die "the source of $1 cannot be fetched"
}

# build NAME FOLDER OPTIONS...: configures, builds and installs a CMake project into the prefix.
build() {
  local name=$1 folder=$2 launcher=()
  shift 2
  say "building $name"
  if command -v ccache >/dev/null; then
    launcher=(-DCMAKE_C_COMPILER_LAUNCHER=ccache -DCMAKE_CXX_COMPILER_LAUNCHER=ccache)
  fi
  { cmake -S "$folder" -B "$work/build-$name" -G Ninja "${launcher[@]}" -DCMAKE_TOOLCHAIN_FILE="$toolchain" \
    -DCMAKE_BUILD_TYPE=Release -DCMAKE_INSTALL_PREFIX="$prefix" -DCMAKE_INSTALL_LIBDIR=lib -DBUILD_SHARED_LIBS=OFF "$@" &&
    cmake --build "$work/build-$name" --parallel "$jobs" &&
    cmake --install "$work/build-$name"; } >"$work/$name.log" 2>&1 || { tail -n 40 "$work/$name.log" >&2; die "$name cannot be built"; }
}

if [ ! -f "$prefix/lib/libfmt.a" ]; then
  fetch_source fmtlib
  build fmt "$work/fmtlib" -DFMT_TEST=OFF -DFMT_DOC=OFF
fi
if [ ! -f "$prefix/lib/libpcre2-8.a" ]; then
  fetch_source pcre2
  build pcre2 "$work/pcre2" -DPCRE2_BUILD_PCRE2GREP=OFF -DPCRE2_BUILD_TESTS=OFF -DPCRE2_SUPPORT_JIT=ON -DPCRE2_STATIC_PIC=OFF
  # Else its users look for a DLL.
  grep -q PCRE2_STATIC "$prefix/lib/pkgconfig/libpcre2-8.pc" || sed -i 's/^Cflags:.*/& -DPCRE2_STATIC/' "$prefix/lib/pkgconfig/libpcre2-8.pc"
fi
if [ ! -f "$prefix/lib/libgtest.a" ] && [ -d /usr/src/googletest ]; then  # what Debian's libgtest-dev installs is the source
  build gtest /usr/src/googletest -DBUILD_GMOCK=OFF
fi
if [ ! -f "$prefix/include/httplib.h" ]; then  # Debian's own is half a library, compiled for Linux
  fetch_source cpp-httplib
  cp "$work/cpp-httplib/httplib.h" "$prefix/include/"
  cat >"$prefix/lib/pkgconfig/cpp-httplib.pc" <<END
Name: cpp-httplib
Description: HTTP server and client, headers only, without TLS and compression
Version: $(sed -n 's/#define CPPHTTPLIB_VERSION "\(.*\)"/\1/p' "$work/cpp-httplib/httplib.h")
Cflags: -I$prefix/include
Libs: -lws2_32
END
fi
# Headers for all systems, out of /usr/include, whose other headers are Linux's.
for path in include/nlohmann include/CLI include/eigen3 include/vulkan include/vk_video include/volk.h include/volk.c \
  share/cmake/nlohmann_json share/cmake/CLI11 share/eigen3; do
  [ -e "/usr/$path" ] || die "/usr/$path is missing: apt-get install ${kProgramPackages[*]}"
  mkdir -p "$prefix/${path%/*}"
  cp -RLu "/usr/$path" "$prefix/${path%/*}/"
done
say "the libraries for Windows are in $prefix"
