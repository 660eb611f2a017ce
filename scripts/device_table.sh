#!/usr/bin/env bash
# The tables of docs/devices.md: what models of 1 M, 19 M and 124 M parameters would take on the named devices. Needs no device.
# Usage: scripts/device_table.sh [PROGRAM]
set -euo pipefail
cd "$(dirname "$0")/.."
fabula=${1:-build/dev/bin/fabula}

plan() { "$fabula" plan "$@" --device-profile all --output md; echo; }
# The body has 1 M parameters, the tied embeddings 6.4 M more.
plan configs/tinystories-1m.json
plan configs/tinystories-8l-256.json --set train.batch_size=4
# GPT-2's small model.
plan configs/tinystories-8l-256.json --set n_embd=768 --set n_layer=12 --set n_head=12 --set n_positions=1024 \
  --set 'head={"kind":"fused"}' --set train.batch_size=1
