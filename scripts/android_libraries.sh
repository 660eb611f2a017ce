#!/usr/bin/env bash
# Makes the libraries that preset android-arm64 is built with, on Debian 12, by the NDK's compiler. See usage below.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/packages.sh

usage() {
  cat <<'END'
usage: scripts/android_libraries.sh [--toolchain FILE] [FOLDER]

Fills FOLDER (default: build/android-libraries) for preset android-arm64: fmt and PCRE2, compiled from Debian's sources, and the
headers of cpp-httplib, nlohmann-json, CLI11, Eigen, Vulkan and volk, which are the same for all systems. $ANDROID_NDK names the NDK.
What is there already is not made again. As root missing packages are installed.
  --toolchain FILE  another CMake toolchain than the NDK's, with its defaults
END
}

toolchain='' prefix=build/android-libraries
while [ $# -gt 0 ]; do
  case $1 in
    --toolchain)
      need_value "$1" $(($# - 1))
      toolchain=$(realpath "$2")
      shift
      ;;
    -h | --help)
      usage
      exit 0
      ;;
    -*) refuse_flag "$1" "--toolchain FILE" --help ;;
    *) prefix=$1 ;;
  esac
  shift
done
flags=()
if [ -z "$toolchain" ]; then
  toolchain=${ANDROID_NDK:?names no NDK: the folder that holds build/cmake/android.toolchain.cmake}/build/cmake/android.toolchain.cmake
  flags=(-DANDROID_ABI=arm64-v8a -DANDROID_PLATFORM=android-28 -DANDROID_STL=c++_static)
fi
[ -f "$toolchain" ] || die "there is no $toolchain"
install_packages "${kProgramPackages[@]}" dpkg-dev
prefix=$(realpath -m "$prefix")/usr
mkdir -p "$prefix"/{include,lib/pkgconfig,share}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Sources are listed in a folder of our own: what the system's apt knows stays as it is.
own_lists=(-o Dir::Etc::SourceList="$work/sources.list" -o Dir::Etc::SourceParts=/dev/null -o Dir::State::lists="$work/lists" -o APT::Sandbox::User=)
list_sources() {
  [ ! -d "$work/lists" ] || return 0
  mkdir -p "$work/lists/partial"
  # shellcheck disable=SC2016  # apt fills in what the format names
  apt-get indextargets --format 'deb-src $(SITE) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' |
    sed -n '/ bookworm[a-z-]* main$/p' | sort -u >"$work/sources.list"
  apt-get -qq "${own_lists[@]}" update || die "the list of Debian's sources cannot be fetched; is there a network?"
}
# fetch_source PACKAGE: unpacks it, patched, in $work/PACKAGE. The newest, or what Debian 12 came with where a mirror lacks that.
fetch_source() {
  say "fetching the source of $1"
  list_sources
  local version
  for version in $(apt-cache "${own_lists[@]}" showsrc --only-source "$1" | sed -n 's/^Version: //p' | sort -rVu); do
    if (cd "$work" && apt-get -qq "${own_lists[@]}" source --download-only --only-source "$1=$version" >&2); then
      dpkg-source --no-check -x "$work/${1}_${version#*:}.dsc" "$work/$1" >&2
      return 0
    fi
  done
  die "the source of $1 cannot be fetched"
}

# build NAME OPTIONS...: configures, builds and installs the source of that name.
build() {
  local name=$1
  shift
  say "building $name"
  { cmake -S "$work/$name" -B "$work/build-$name" -G Ninja -DCMAKE_TOOLCHAIN_FILE="$toolchain" "${flags[@]}" -DCMAKE_BUILD_TYPE=Release \
    -DCMAKE_INSTALL_PREFIX="$prefix" -DCMAKE_INSTALL_LIBDIR=lib -DBUILD_SHARED_LIBS=OFF -DCMAKE_POSITION_INDEPENDENT_CODE=ON "$@" &&
    cmake --build "$work/build-$name" --parallel "$(processors)" &&
    cmake --install "$work/build-$name"; } >"$work/$name.log" 2>&1 || { tail -n 40 "$work/$name.log" >&2 && die "$name cannot be built"; }
}

if [ ! -f "$prefix/lib/libfmt.a" ]; then
  fetch_source fmtlib
  build fmtlib -DFMT_TEST=OFF -DFMT_DOC=OFF
fi
if [ ! -f "$prefix/lib/libpcre2-8.a" ]; then
  fetch_source pcre2
  build pcre2 -DPCRE2_BUILD_PCRE2GREP=OFF -DPCRE2_BUILD_TESTS=OFF -DPCRE2_SUPPORT_JIT=ON
fi
if [ ! -f "$prefix/include/httplib.h" ]; then  # Debian's own is half a library, compiled for Linux
  fetch_source cpp-httplib
  cp "$work/cpp-httplib/httplib.h" "$prefix/include/"
  printf 'Name: cpp-httplib\nDescription: headers only, without TLS and compression\nVersion: %s\nCflags: -I%s/include\nLibs:\n' \
    "$(sed -n 's/#define CPPHTTPLIB_VERSION "\(.*\)"/\1/p' "$prefix/include/httplib.h")" "$prefix" >"$prefix/lib/pkgconfig/cpp-httplib.pc"
fi
for path in include/nlohmann include/CLI include/eigen3 include/vulkan include/vk_video include/volk.h include/volk.c \
  share/cmake/nlohmann_json share/cmake/CLI11 share/eigen3; do
  [ -e "/usr/$path" ] || die "/usr/$path is missing: apt-get install ${kProgramPackages[*]}"
  mkdir -p "$prefix/${path%/*}"
  cp -RLu "/usr/$path" "$prefix/${path%/*}/"
done
say "the libraries for Android are in $prefix"
