#!/usr/bin/env bash
# Debian 12's arm64 libraries in a folder of their own: what preset linux-arm64 compiles against and qemu-aarch64 runs with.
# Nothing of the system is changed: no foreign architecture is added to dpkg, no root is needed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/packages.sh

usage() {
  cat <<'END'
usage: scripts/arm64_sysroot.sh [FOLDER]

Downloads the arm64 packages of scripts/packages.sh, with all that they depend on (80 MB), from the mirrors that apt is set up
with, and unpacks them (410 MB) into FOLDER (default: build/arm64-sysroot). A folder that is complete is left as it is.
The software driver is that of bookworm-backports: Mesa 22.3.6's aborts in its compiler where a kernel reads 16-bit floats, on ARM64.
END
}

case ${1:-} in
  -h | --help)
    usage
    exit 0
    ;;
  -*) refuse_flag "$1" FOLDER --help ;;
esac
folder=${1:-build/arm64-sysroot}
complete=$folder/.packages
wanted="${kArm64Packages[*]} ${kArm64DriverPackages[*]}"
if [ -f "$complete" ] && [ "$(head -n 1 "$complete")" = "$wanted" ]; then
  say "$folder is complete"
  exit 0
fi
command -v apt-get >/dev/null || die "this is not a Debian system; unpack Debian 12's arm64 packages into $folder by hand: $wanted"

rm -rf "$folder"
mkdir -p "$folder"/.apt/{parts,lists/partial,cache/archives/partial}
folder=$(cd "$folder" && pwd)
complete=$folder/.packages
: >"$folder/.apt/status"
# An apt that knows arm64 alone, with nothing installed, and keeps its state here: so it fetches every dependency.
arm64_apt() {
  apt-get -qq -o APT::Architecture=arm64 -o APT::Architectures=arm64 -o APT::Install-Recommends=0 -o APT::Sandbox::User= \
    -o Debug::NoLocking=1 -o Dir::State="$folder/.apt" -o Dir::State::lists="$folder/.apt/lists" \
    -o Dir::State::status="$folder/.apt/status" -o Dir::Cache="$folder/.apt/cache" \
    -o Dir::Etc::SourceParts="$folder/.apt/parts" "$@"
}
for file in /etc/apt/sources.list.d/*; do [ ! -f "$file" ] || cp "$file" "$folder/.apt/parts/"; done
# shellcheck disable=SC2016  # apt fills in what the format names
mirror=$(apt-get indextargets --format '$(SITE) $(CODENAME) $(COMPONENT)' 'Created-By: Packages' | sed -n 's/ bookworm main$//p' | head -n 1)
[ -n "$mirror" ] || die "apt has no list of Debian 12 (bookworm); run apt-get update as root first"
echo "deb $mirror bookworm-backports main" >"$folder/.apt/parts/backports.list"

say "fetching arm64 packages (80 MB): $wanted"
arm64_apt update || die "apt-get update for arm64 failed; is there a network, and does the mirror carry arm64?"
arm64_apt install --download-only -y "${kArm64Packages[@]}" >&2 || die "apt-get could not fetch: ${kArm64Packages[*]}"
arm64_apt install --download-only -y -t bookworm-backports "${kArm64DriverPackages[@]}" >&2 ||
  die "apt-get could not fetch from bookworm-backports: ${kArm64DriverPackages[*]}"
for package in "$folder"/.apt/cache/archives/*.deb; do dpkg -x "$package" "$folder"; done  # of two versions the newer comes last
# A linker, and a program run with this folder as its root, follow links as the machine's own: those must lead into the folder.
find "$folder" -type l -lname '/*' | while read -r link; do
  ln -sfn "$(realpath -m --relative-to "$(dirname "$link")" "$folder$(readlink "$link")")" "$link"
done
rm -rf "$folder/.apt"
{
  echo "$wanted"
  date -u +%F
} >"$complete"
say "$folder is complete: $(du -sh "$folder" | cut -f 1)"
