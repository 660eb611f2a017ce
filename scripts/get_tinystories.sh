#!/usr/bin/env bash
# Fetches the TinyStories data set into data/tinystories. See usage below.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/packages.sh

usage() {
  cat <<'END'
usage: scripts/get_tinystories.sh [--megabytes N] [--to FOLDER]

Downloads TinyStories (Eldan and Li 2023, CDLA-Sharing-1.0; the stories written by GPT-4) from huggingface.co:
    FOLDER/train.txt   2.2 GB, stories separated by <|endoftext|>
    FOLDER/valid.txt   22 MB
An interrupted download goes on where it stopped; sizes are checked against the server's.

  --megabytes N   only the first N MB of train.txt, cut after a whole story: enough for a small model
  --to FOLDER     default: data/tinystories
END
}

folder=data/tinystories megabytes=
while [ $# -gt 0 ]; do
  case $1 in
    --megabytes | --to)
      need_value "$1" $(($# - 1))
      if [ "$1" = --to ]; then folder=$2; else megabytes=$2; fi
      shift
      ;;
    -h | --help)
      usage
      exit 0
      ;;
    *) refuse_flag "$1" "--megabytes N" "--to FOLDER" --help ;;
  esac
  shift
done
case $megabytes in *[!0-9]* | 0) die "--megabytes is \"$megabytes\", expected a number of at least 1" ;; esac

source_url=https://huggingface.co/datasets/roneneldan/TinyStories/resolve/main
separator='<|endoftext|>'

size_of() { stat -c %s "$1" 2>/dev/null || echo 0; }

# The size of a file on the server, in bytes: of the last answer, after all redirections.
size_there() {
  curl --silent --show-error --fail --location --head "$1" | tr -d '\r' |
    awk 'tolower($1) == "content-length:" { size = $2 } END { if (size == "") exit 1; print size }'
}

# fetch NAME TARGET [BYTES]: the whole file or its first BYTES, into TARGET when complete.
fetch() {
  local url=$source_url/$1 target=$2 limit=${3:-} part=$2.part there wanted have
  if [ -e "$target" ]; then
    say "$target is here already ($(size_of "$target") bytes); delete it to fetch it again"
    return 0
  fi
  there=$(size_there "$url") || die "$url does not answer; is there a network?"
  wanted=$there
  if [ -n "$limit" ] && [ "$limit" -lt "$there" ]; then wanted=$limit; fi
  have=$(size_of "$part")
  if [ "$have" -gt "$wanted" ]; then
    rm -f "$part"
    have=0
  fi
  if [ "$have" -lt "$wanted" ]; then
    say "$target: $wanted bytes, from byte $have"
    # Appended by range rather than by --continue-at, which knows no end.
    curl --fail --location --progress-bar --range "$have-$((wanted - 1))" "$url" >>"$part" ||
      die "the download stopped after $(size_of "$part") of $wanted bytes; run this again to go on"
  fi
  [ "$(size_of "$part")" = "$wanted" ] ||
    die "$part has $(size_of "$part") bytes, expected $wanted; delete it and run this again"
  if [ "$wanted" -lt "$there" ]; then cut_after_story "$part"; fi
  mv "$part" "$target"
}

# Ends a file after its last whole story.
cut_after_story() {
  local last
  last=$(tail -c 1000000 "$1" | LC_ALL=C grep -abo -F "$separator" | tail -n 1 | cut -d: -f1)
  [ -n "$last" ] || die "$1 holds no $separator in its last MB; take more with --megabytes"
  local size tail_start
  size=$(size_of "$1")
  tail_start=$((size > 1000000 ? size - 1000000 : 0))
  truncate -s $((tail_start + last + ${#separator})) "$1"
  printf '\n' >>"$1"
}

install_packages curl ca-certificates
mkdir -p "$folder"
fetch TinyStoriesV2-GPT4-valid.txt "$folder/valid.txt"
fetch TinyStoriesV2-GPT4-train.txt "$folder/train.txt" "${megabytes:+$((megabytes * 1000000))}"
say "done:"
wc -c "$folder/train.txt" "$folder/valid.txt"
