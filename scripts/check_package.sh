#!/usr/bin/env bash
# Installs fabula's packages in a clean Debian 12 and tells a story there by a C program. See usage below.
# shellcheck disable=SC2016  # what stands in '...' is for the shell in there
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/packages.sh

usage() {
  cat <<'END'
usage: scripts/check_package.sh [--packages FOLDER] [--root FOLDER] [--mirror URL] [--no-install] [--jobs N]

Builds the packages fabula, libfabula0 and libfabula-dev (preset package, in build/package), makes a clean Debian 12 in a
folder by debootstrap, installs them there with gcc, pkg-config and lavapipe, trains a small model with the program,
compiles examples/c/story.c with `pkg-config --cflags --libs fabula` and has it tell a story. Then the packages are
removed again. As root, since that is what another root folder takes; some 700 MB of disk and, besides the build, some
minutes.

  --packages FOLDER  install the packages that lie there instead of building any
  --root FOLDER      where the clean system goes, and stays; one that is there already is used as it is (default: a
                     folder that is removed at the end)
  --mirror URL       where Debian comes from (default: debootstrap's own)
  --no-install       never call apt here; the tools and libraries are there
  --jobs N           compile N files at once (default: the number of processors)
END
}

packages='' root='' mirror='' install=yes jobs=$(processors)
while [ $# -gt 0 ]; do
  case $1 in
    --packages | --root | --mirror | --jobs)
      need_value "$1" $(($# - 1))
      case $1 in
        --packages) packages=$(realpath "$2") ;;
        --root) root=$(realpath -m "$2") ;;
        --mirror) mirror=$2 ;;
        --jobs) jobs=$2 ;;
      esac
      shift
      ;;
    --no-install) install=no ;;
    -h | --help)
      usage
      exit 0
      ;;
    *) refuse_flag "$1" "--packages FOLDER" "--root FOLDER" "--mirror URL" --no-install "--jobs N" --help ;;
  esac
  shift
done
[ "$(id -u)" = 0 ] || die "a clean system in a folder takes root (debootstrap, chroot); run it as root"
if [ "$install" = yes ]; then
  [ -n "$packages" ] || install_packages "${kProgramPackages[@]}"
  install_packages "${kPackagingPackages[@]}"
fi
command -v debootstrap >/dev/null || die "debootstrap is not here: apt-get install ${kPackagingPackages[*]}"

if [ -z "$packages" ]; then
  say "building the packages in build/package"
  launcher=()
  if command -v ccache >/dev/null; then
    launcher=(-DCMAKE_C_COMPILER_LAUNCHER=ccache -DCMAKE_CXX_COMPILER_LAUNCHER=ccache)
  fi
  mkdir -p build
  { cmake --preset package "${launcher[@]}" && cmake --build --preset package --parallel "$jobs" &&
    rm -f build/package/*.deb && cpack --preset package; } >build/package.log 2>&1 ||
    { tail -n 40 build/package.log >&2 && die "the packages cannot be built; all of it: build/package.log"; }
  packages=$PWD/build/package
fi
debs=("$packages"/fabula_*.deb "$packages"/libfabula[0-9]*.deb "$packages"/libfabula-dev_*.deb)
for deb in "${debs[@]}"; do
  [ -f "$deb" ] || die "there is no $deb"
  say "${deb##*/}"
  dpkg-deb --field "$deb" Package Version Installed-Size Depends Recommends >&2
  dpkg-deb --contents "$deb" | awk '{print $3, $6, $7, $8}' | grep -v '/ *$' >&2
done

mounted=no
finish() {
  [ "$mounted" = no ] || umount "$root/proc"
  [ -z "${kept-}" ] || rm -rf --one-file-system "$kept"
}
trap finish EXIT
if [ -z "$root" ]; then
  kept=$(mktemp -d)
  root=$kept/root
fi
if [ ! -x "$root/usr/bin/apt-get" ]; then
  say "a clean Debian 12 in $root"
  mkdir -p "$root"
  debootstrap --variant=minbase bookworm "$root" ${mirror:+"$mirror"} >"$root.log" 2>&1 || { tail "$root.log" >&2 && die "debootstrap failed"; }
fi
cp -f /etc/resolv.conf "$root/etc/resolv.conf"
if [ ! -e "$root/proc/self" ] && mount -t proc proc "$root/proc" 2>/dev/null; then mounted=yes; fi

inside() {
  chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive \
    ${http_proxy:+http_proxy="$http_proxy"} ${https_proxy:+https_proxy="$https_proxy"} "$@"
}
# in_root SAY COMMAND...: one step, its output shown where it fails.
in_root() {
  local what=$1
  shift
  say "$what"
  inside "$@" >"$root/tmp/step.log" 2>&1 || { tail -n 40 "$root/tmp/step.log" >&2 && die "failed in $root: $*"; }
}
rm -rf "$root/srv/story"
mkdir -p "$root/srv/story"
cp "${debs[@]}" examples/c/story.c configs/quickstart.json "$root/srv/story/"
in_root "Debian's lists" apt-get update -qq
in_root "a compiler and a driver" apt-get install -y -qq --no-install-recommends gcc libc6-dev pkg-config mesa-vulkan-drivers
in_root "installing the packages" sh -c 'apt-get install -y -qq --no-install-recommends /srv/story/*.deb'

say "what is there: $(inside fabula --version)"
absent=$(inside sh -c 'ldd /usr/bin/fabula "$(pkg-config --variable=libdir fabula)/libfabula.so"' | grep 'not found' || true)
[ -z "$absent" ] || die "no package brought what these need: $absent"
in_root "training a small model" sh -c 'cd /srv/story && fabula train quickstart.json --out run \
  --corpus-stories 6000 --set vocab_size=1024 --set train.steps=1000 --set train.eval_every=0 --set train.sample_every=0'
in_root "compiling a program" sh -c 'cd /srv/story && gcc -std=c99 -Wall -Wextra story.c $(pkg-config --cflags --libs fabula) -o story'
story=$(inside sh -c 'cd /srv/story && ./story run') || die "the program failed"
say "a story"
printf '%s\n' "$story"
[ ${#story} -ge 200 ] || die "that is no story"
# What the archive needs besides is C++, which a program of C has no other use for.
in_root "C++'s library" apt-get install -y -qq --no-install-recommends libstdc++-12-dev
in_root "compiling it with the archive" sh -c 'cd /srv/story &&
  gcc -std=c99 story.c $(pkg-config --cflags --static --libs fabula | sed s/-lfabula/-l:libfabula.a/) -o story-static'
in_root "removing the packages" dpkg -r fabula libfabula-dev libfabula0
[ "$(inside sh -c 'cd /srv/story && ./story-static run')" = "$story" ] || die "the program with the archive tells another story"
left=$(inside sh -c 'find /usr -path "*fabula*" -not -path "/usr/share/doc/*"')
[ -z "$left" ] || die "the packages left behind: $left"
say "the packages install, tell and go"
