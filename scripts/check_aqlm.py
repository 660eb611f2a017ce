#!/usr/bin/env python3
"""Reconstructs the weights of a file of Hugging Face's quantisation "aqlm", without the library of that name.

    scripts/check_aqlm.py FILE --dense FILE      compares every linear of FILE with its <linear>.weight in the other, dense file
    scripts/check_aqlm.py FILE --make 2x8        writes a small FILE of random codes instead, the dense weights beside them

Both are safetensors. The layout is that of github.com/Vahe1994/AQLM at 4852bb0 (inference_lib/src/aqlm: inference.py, utils.py):
codes [outputs / og, inputs / g, M] in int8 up to 8 bits, else int16, two's complement of their bits; codebooks [M, 2^bits, og, g];
scales [outputs / og, 1, 1, 1]. Prints one line a linear; the exit status is 1 where one differs by more than fp16's rounding of a
weight. Needs PyTorch (Debian: python3-torch)."""

import argparse
import json
import struct
import sys
from pathlib import Path

import torch

DTYPES = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16, "I8": torch.int8, "I16": torch.int16,
          "I32": torch.int32}
HALF_ROUNDING = 2.0**-10


def read(path):
    data = Path(path).read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    header.pop("__metadata__", None)
    tensors = {}
    for name, info in header.items():
        begin, end = (8 + length + at for at in info["data_offsets"])
        tensors[name] = torch.frombuffer(bytearray(data[begin:end]), dtype=DTYPES[info["dtype"]]).reshape(info["shape"])
    return tensors


def write(path, tensors):
    names = {dtype: name for name, dtype in DTYPES.items()}
    header, blocks, offset = {}, [], 0
    for name, tensor in tensors.items():
        block = tensor.contiguous().numpy().tobytes()
        header[name] = {"dtype": names[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [offset, offset + len(block)]}
        offset += len(block)
        blocks.append(block)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    Path(path).write_bytes(struct.pack("<Q", len(text)) + text + b"".join(blocks))


def dequantised(codes, codebooks, scales):
    """codes [O, J, M] as stored; codebooks [M, K, og, g]; scales [O, 1, 1, 1]. The weights [O og, J g] in double."""
    outputs, groups, books = codes.shape
    count, entries, og, g = codebooks.shape
    if count != books:
        raise SystemExit(f"{books} codes a group, {count} codebooks")
    codes = codes.long() % entries
    words = sum(codebooks[m].double()[codes[:, :, m]] for m in range(books))  # [O, J, og, g]
    return (words * scales.double()).transpose(1, 2).reshape(outputs * og, groups * g)


def check(path, dense):
    tensors, expected = read(path), read(dense)
    linears = sorted(name[: -len(".codes")] for name in tensors if name.endswith(".codes"))
    if not linears:
        raise SystemExit(f"{path}: no tensor ends in .codes")
    wrong = 0
    for name in linears:
        weights = dequantised(*(tensors[f"{name}.{part}"] for part in ("codes", "codebooks", "scales")))
        other = expected[f"{name}.weight"].double()
        if weights.shape != other.shape:
            raise SystemExit(f"{name}: {list(weights.shape)} here, {list(other.shape)} in {dense}")
        off = (weights - other).abs().max().item()
        allowed = HALF_ROUNDING * other.abs().max().item()
        wrong += off > allowed
        print(f"{name} {list(weights.shape)}: differs by {off:.2e}, allowed {allowed:.2e}")
    return wrong


def make(path, kind):
    books, bits = (int(number) for number in kind.split("x"))
    torch.manual_seed(1)
    tensors = {}
    for name, outputs, inputs in (("model.layers.0.self_attn.q_proj", 24, 32), ("model.layers.0.mlp.down_proj", 16, 40)):
        codes = torch.randint(0, 2**bits, (outputs, inputs // 8, books))
        codes[codes >= 2 ** (bits - 1)] -= 2**bits
        tensors[f"{name}.codes"] = codes.to(torch.int8 if bits <= 8 else torch.int16)
        tensors[f"{name}.codebooks"] = torch.randn(books, 2**bits, 1, 8).half()
        tensors[f"{name}.scales"] = (torch.rand(outputs, 1, 1, 1) + 0.5).half()
        parts = (tensors[f"{name}.{part}"] for part in ("codes", "codebooks", "scales"))
        tensors[f"{name}.weight"] = dequantised(*parts).float()
    write(path, dict(sorted(tensors.items(), key=lambda item: -item[1].element_size())))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file")
    action = parser.add_mutually_exclusive_group(required=True)
    action.add_argument("--dense", help="a file with <linear>.weight of every linear")
    action.add_argument("--make", metavar="MxB", help="codebooks and bits of a code")
    arguments = parser.parse_args()
    if arguments.make:
        make(arguments.file, arguments.make)
        return 0
    return 1 if check(arguments.file, arguments.dense) else 0


if __name__ == "__main__":
    sys.exit(main())
