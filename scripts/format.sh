#!/usr/bin/env bash
# Checks the C++ sources with clang-format 14, or rewrites them with --apply. See usage below.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/packages.sh

usage() {
  cat <<'END'
usage: scripts/format.sh [--apply] [FILE...]

Lists the C++ files (all of them, or those named) that clang-format 14 would change, and exits 1 if there are any.
  --apply   change them
END
}

apply=no files=()
while [ $# -gt 0 ]; do
  case $1 in
    --apply) apply=yes ;;
    -h | --help)
      usage
      exit 0
      ;;
    -*) refuse_flag "$1" --apply --help ;;
    *) files+=("$1") ;;
  esac
  shift
done

# Other versions format the same rules differently.
tool=$(command -v clang-format-14 || command -v clang-format || true)
if [ -z "$tool" ] || ! "$tool" --version | grep -q 'version 14\.'; then
  die "clang-format 14 is needed (found: ${tool:-none}); on Debian 12: apt-get install clang-format-14"
fi

if [ ${#files[@]} -eq 0 ]; then
  mapfile -t files < <(find apps examples include src tests -name '*.[ch]pp' | LC_ALL=C sort)
fi
if [ "$apply" = yes ]; then
  "$tool" -i "${files[@]}"
  exit 0
fi
wrong=0
for file in "${files[@]}"; do
  if ! "$tool" "$file" | cmp -s - "$file"; then
    printf '%s\n' "$file"
    wrong=$((wrong + 1))
  fi
done
[ $wrong -eq 0 ] || die "$wrong of ${#files[@]} files are not formatted; scripts/format.sh --apply changes them"
