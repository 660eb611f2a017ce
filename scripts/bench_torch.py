#!/usr/bin/env python3
"""The peer of `fabula bench train`: the same training step in PyTorch on the same GPU, one row a head.

GPT-2 body, random token ids, no dropout, no clipping, fused AdamW, fp32 without TF32 or autocast to bf16. --compile
measures torch.compile(model) too; --dropout, --clip and --tokens FILE (of `fabula data prepare`, 16-bit ids) make it a
real run's step. The "fused" head computes the loss in chunks whose logits are computed again in the backward pass.
Needs PyTorch 2 with CUDA.
usage: bench_torch.py [--layers 8] [--hidden 256] [--heads 8] [--batch 32] [--sequence 512] [--vocab 50257] [--steps 20]
                      [--precision fp32|bf16] [--compile] [--only HEAD,..] [--dropout P] [--clip NORM] [--tokens FILE]
"""
import argparse
import math
import os
import statistics
import time

import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.utils.checkpoint


class Block(nn.Module):
    def __init__(self, hidden, heads, dropout):
        super().__init__()
        self.heads, self.dropout = heads, nn.Dropout(dropout)
        self.norm_1, self.norm_2 = nn.LayerNorm(hidden), nn.LayerNorm(hidden)
        self.qkv, self.out = nn.Linear(hidden, 3 * hidden), nn.Linear(hidden, hidden)
        self.up, self.down = nn.Linear(hidden, 4 * hidden), nn.Linear(4 * hidden, hidden)

    def forward(self, x):
        B, T, D = x.shape
        q, k, v = self.qkv(self.norm_1(x)).view(B, T, 3, self.heads, D // self.heads).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.dropout(self.out(mixed.transpose(1, 2).reshape(B, T, D)))
        return x + self.dropout(self.down(F.gelu(self.up(self.norm_2(x)), approximate="tanh")))


class Model(nn.Module):
    def __init__(self, args, head):
        super().__init__()
        self.tokens = nn.Embedding(args.vocab, args.hidden)
        self.positions = nn.Embedding(args.sequence, args.hidden)
        self.blocks = nn.ModuleList(Block(args.hidden, args.heads, args.dropout) for _ in range(args.layers))
        self.dropout = nn.Dropout(args.dropout)
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
        x = self.dropout(self.tokens(ids) + self.positions.weight)
        for block in self.blocks:
            x = block(x)
        h, y = self.norm(x).flatten(0, 1), labels.flatten()
        if self.head == "adaptive":
            return self.adaptive(h, y).loss
        if self.head == "full, tied":
            return F.cross_entropy((h @ self.tokens.weight.T).float(), y)
        if self.head == "fused, tied":
            parts = [torch.utils.checkpoint.checkpoint(self.chunk_loss, *part, use_reentrant=False)
                     for part in zip(h.split(2048), y.split(2048))]
            return sum(parts) / y.numel()
        g, s = y // self.slots, y % self.slots
        within = (self.slot(h) * self.scale(g) + self.shift(g)).float()
        return F.cross_entropy(self.group(h).float(), g) + F.cross_entropy(within, s)

    def chunk_loss(self, h, y):
        return F.cross_entropy((h @ self.tokens.weight.T).float(), y, reduction="sum")


def batches(args):
    """Ids and labels of step after step: the same random ones, or windows of a token file."""
    if not args.tokens:
        fixed = torch.randint(0, args.vocab, (2, args.batch, args.sequence), device="cuda")
        while True:
            yield fixed
    words = torch.from_file(args.tokens, size=os.path.getsize(args.tokens) // 2, dtype=torch.uint16).to(torch.int64)
    words = words[32:].clamp(max=args.vocab - 1)  # behind the header
    while True:
        starts = torch.randint(0, len(words) - args.sequence - 1, (args.batch, 1)) + torch.arange(args.sequence + 1)
        window = words[starts].cuda(non_blocking=True)
        yield window[:, :-1], window[:, 1:]


def measure(args, head, compiled):
    torch.manual_seed(1)
    model = Model(args, head).cuda()
    forward = torch.compile(model) if compiled else model
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)
    source, times = batches(args), []
    for step in range(args.steps + 5):
        if step == 5:
            torch.cuda.reset_peak_memory_stats()
        start = time.perf_counter()
        with torch.autocast("cuda", torch.bfloat16, enabled=args.precision == "bf16"):
            loss = forward(*next(source))
        loss.backward()
        if args.clip > 0:
            nn.utils.clip_grad_norm_(model.parameters(), args.clip)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    seconds = statistics.median(times[5:])
    peak = torch.cuda.max_memory_allocated() >> 20
    how = f"{args.precision}, compiled" if compiled else args.precision
    print(f"| {head} | {how} | {1e3 * seconds:.2f} | {args.batch * args.sequence / seconds:.0f} | {peak} |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    defaults = dict(layers=8, hidden=256, heads=8, batch=32, sequence=512, vocab=50257, steps=20)
    for name, value in defaults.items():
        parser.add_argument("--" + name, type=int, default=value)
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--only", default="grouped,full,adaptive,fused")
    parser.add_argument("--dropout", type=float, default=0)
    parser.add_argument("--clip", type=float, default=0)
    parser.add_argument("--tokens")
    args = parser.parse_args()
    torch.backends.cuda.matmul.allow_tf32 = False
    print(f"PyTorch {torch.__version__}, {torch.cuda.get_device_name()}\n")
    print("| head | precision | ms/step | tokens/s | peak MiB |\n|---|---|---|---|---|")
    for head in ("grouped", "full, tied", "fused, tied", "adaptive"):
        if head.split(",")[0] not in args.only.split(","):
            continue
        for compiled in (False, True) if args.compile else (False,):
            measure(args, head, compiled)
            torch.cuda.empty_cache()


if __name__ == "__main__":
    main()
