# shellcheck shell=bash
# shellcheck disable=SC2034  # the lists are used by the scripts that source this
# What fabula needs from Debian 12, and how to get it. Sourced by the other scripts.

# To build the program and to run it on any Vulkan device (mesa-vulkan-drivers holds the drivers, lavapipe included).
kProgramPackages=(
  cmake ninja-build ccache g++ pkg-config
  libvulkan-dev libvulkan-volk-dev glslang-tools spirv-tools
  nlohmann-json3-dev libcli11-dev libfmt-dev libpcre2-dev libeigen3-dev libcpp-httplib-dev
  libvulkan1 mesa-vulkan-drivers
)
# For the tests as well.
kTestPackages=(libgtest-dev vulkan-validationlayers)
# To train with several processes, and for the tests of that, which are skipped without them.
kMpiPackages=(libopenmpi-dev openmpi-bin)
# For the tests of the server's page as well, which are skipped without them.
kPagePackages=(chromium python3)
# To build the program for Windows and to run it here; the libraries come from Debian's sources (scripts/windows_dependencies.sh).
kWindowsPackages=(g++-mingw-w64-x86-64-posix dpkg-dev libgtest-dev wine wine64 xvfb xauth)
# To make Debian packages and to try them in a clean system (scripts/check_package.sh).
kPackagingPackages=(dpkg-dev file debootstrap)
# For the fuzz targets as well.
kFuzzPackages=(clang)
# To build for ARM64 and to run what was built: these of the machine's own architecture (beside kProgramPackages) ...
kCrossArm64Packages=(g++-aarch64-linux-gnu qemu-user python3)
# ... and these of arm64, which scripts/arm64_sysroot.sh unpacks into a folder.
kArm64Packages=(
  libc6-dev libstdc++-12-dev libvulkan-dev libvulkan-volk-dev nlohmann-json3-dev libcli11-dev libfmt-dev libpcre2-dev
  libeigen3-dev libcpp-httplib-dev libgtest-dev libvulkan1
)
kArm64DriverPackages=(mesa-vulkan-drivers)  # of bookworm-backports

die() {
  printf '%s: %s\n' "${0##*/}" "$*" >&2
  exit 1
}

say() { printf '\n== %s\n' "$*" >&2; }

# refuse_flag FLAG VALID...: one message that names the valid flags and where help is.
refuse_flag() {
  local flag=$1
  shift
  printf '%s: unknown argument "%s"; there are: %s\nTry %s --help\n' "${0##*/}" "$flag" "$*" "$0" >&2
  exit 2
}

# need_value FLAG REMAINING: REMAINING is how many arguments stand after the flag.
need_value() {
  [ "$2" -ge 1 ] || { printf '%s: %s needs a value\nTry %s --help\n' "${0##*/}" "$1" "$0" >&2; exit 2; }
}

package_installed() {
  [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

# A prefix that makes a command run as root; fails where there is no way.
as_root() {
  if [ "$(id -u)" = 0 ]; then
    "$@"
  elif [ "${kUseSudo:-no}" = yes ] && command -v sudo >/dev/null; then
    sudo "$@"
  else
    return 1
  fi
}

# install_packages NAME...: installs what is missing with apt, or says what to install.
install_packages() {
  local missing=() name
  if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    die "this is not a Debian system; install what these Debian 12 packages hold, then use --no-install: $*"
  fi
  for name in "$@"; do package_installed "$name" || missing+=("$name"); done
  [ ${#missing[@]} -gt 0 ] || return 0
  as_root true || die "these packages are missing; as root: apt-get install --no-install-recommends ${missing[*]}"
  say "installing ${missing[*]}"
  as_root apt-get update -qq || die "apt-get update failed; is there a network?"
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >&2 ||
    die "apt-get could not install: ${missing[*]}"
}

processors() { nproc 2>/dev/null || echo 2; }
