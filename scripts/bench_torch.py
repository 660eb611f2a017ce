#!/usr/bin/env python3
"""The peer of `fabula bench train`: the same training step in PyTorch on the same GPU, one row a head.

GPT-2 body, random token ids, no dropout, no clipping, fused AdamW, fp32 without TF32. Needs PyTorch 2 with CUDA.
usage: bench_torch.py [--layers 8] [--hidden 256] [--heads 8] [--batch 32] [--sequence 512] [--vocab 50257] [--steps 20]
"""
import argparse
import math
import statistics
import time

import torch
import torch.nn as nn
import torch.nn.functional as F


class Block(nn.Module):
    def __init__(self, hidden, heads):
        super().__init__()
        self.heads = heads
        self.norm_1, self.norm_2 = nn.LayerNorm(hidden), nn.LayerNorm(hidden)
        self.qkv, self.out = nn.Linear(hidden, 3 * hidden), nn.Linear(hidden, hidden)
        self.up, self.down = nn.Linear(hidden, 4 * hidden), nn.Linear(4 * hidden, hidden)

    def forward(self, x):
        B, T, D = x.shape
        q, k, v = self.qkv(self.norm_1(x)).view(B, T, 3, self.heads, D // self.heads).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(mixed.transpose(1, 2).reshape(B, T, D))
        return x + self.down(F.gelu(self.up(self.norm_2(x)), approximate="tanh"))


class Model(nn.Module):
    def __init__(self, args, head):
        super().__init__()
        self.tokens = nn.Embedding(args.vocab, args.hidden)
        self.positions = nn.Embedding(args.sequence, args.hidden)
        self.blocks = nn.ModuleList(Block(args.hidden, args.heads) for _ in range(args.layers))
        self.norm = nn.LayerNorm(args.hidden)
        self.head = head
        if head == "adaptive":  # the clusters that fabula's adaptive head takes by default
            self.adaptive = nn.AdaptiveLogSoftmaxWithLoss(args.hidden, args.vocab, [args.vocab // 25, args.vocab // 5])
        if head == "grouped":
            self.slots = math.ceil(math.sqrt(args.vocab))
            groups = -(-args.vocab // self.slots)
            self.group, self.slot = nn.Linear(args.hidden, groups), nn.Linear(args.hidden, self.slots)
            self.scale, self.shift = nn.Embedding(groups, self.slots), nn.Embedding(groups, self.slots)

    def forward(self, ids, labels):
        x = self.tokens(ids) + self.positions.weight
        for block in self.blocks:
            x = block(x)
        h, y = self.norm(x).flatten(0, 1), labels.flatten()
        if self.head == "adaptive":
            return self.adaptive(h, y).loss
        if self.head == "full, tied":
            return F.cross_entropy(h @ self.tokens.weight.T, y)
        g, s = y // self.slots, y % self.slots
        return F.cross_entropy(self.group(h), g) + F.cross_entropy(self.slot(h) * self.scale(g) + self.shift(g), s)


def measure(args, head):
    torch.manual_seed(1)
    model = Model(args, head).cuda()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)
    ids, labels = torch.randint(0, args.vocab, (2, args.batch, args.sequence), device="cuda")
    times = []
    for step in range(args.steps + 5):
        if step == 5:
            torch.cuda.reset_peak_memory_stats()
        start = time.perf_counter()
        model(ids, labels).backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    seconds = statistics.median(times[5:])
    peak = torch.cuda.max_memory_allocated() >> 20
    print(f"| {head} | {1e3 * seconds:.2f} | {args.batch * args.sequence / seconds:.0f} | {peak} |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    defaults = dict(layers=8, hidden=256, heads=8, batch=32, sequence=512, vocab=50257, steps=20)
    for name, value in defaults.items():
        parser.add_argument("--" + name, type=int, default=value)
    args = parser.parse_args()
    torch.backends.cuda.matmul.allow_tf32 = False
    print(f"PyTorch {torch.__version__}, {torch.cuda.get_device_name()}\n")
    print("| head | ms/step | tokens/s | peak MiB |\n|---|---|---|---|")
    for head in ("grouped", "full, tied", "adaptive"):
        measure(args, head)


if __name__ == "__main__":
    main()
