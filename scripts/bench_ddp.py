#!/usr/bin/env python3
"""The peer of `mpirun fabula bench train --ranks`: the same training step in PyTorch, DistributedDataParallel over NCCL.

The body, its precisions and its fused AdamW are scripts/bench_torch.py's: random token ids, no dropout, fp32 without TF32
or bf16 by autocast (weights and gradients stay fp32), clipping of the gradient's norm where --clip asks for it. Heads:
"full" and "fused" share the table of embeddings; "per_group" shares it too and picks a group, then a token within it:
positions are sorted by group and padded to the fullest one, so that a group's logits are one batched product. Each
process takes --batch x --sequence tokens a micro-batch; with --accumulation all but the last one's backward pass run
under no_sync(). Every configuration is measured in both precisions unless --precision names one, eagerly and by
torch.compile unless --eager or --compiled asks for one.
A row is the median over --steps steps of the slowest process, behind a barrier.
usage: torchrun --nproc_per_node N scripts/bench_ddp.py [--layers 8] [--hidden 256,1024] [--heads 8] [--batch 32]
           [--sequence 512] [--vocab 50257] [--steps 20] [--accumulation 1,4] [--precision fp32,bf16] [--head per_group]
           [--eager | --compiled] [--wire fp32|bf16] [--bucket-mb 25] [--clip NORM] [--json FILE] [--baseline FILE]
--json keeps the rows of this run; --baseline takes such a file of one process and fills in efficiency.
Needs PyTorch 2 with CUDA and NCCL; without CUDA it runs on processors over gloo, which shows that it works.
"""
import argparse
import contextlib
import json
import math
import os
import statistics
import time

import torch
import torch.distributed as dist
import torch.nn as nn
import torch.nn.functional as F
import torch.utils.checkpoint
from torch.nn.parallel import DistributedDataParallel

from bench_torch import Block

ON_GPU = torch.cuda.is_available()


class Model(nn.Module):
    def __init__(self, args, head, hidden):
        super().__init__()
        self.head = head
        self.slots = math.ceil(math.sqrt(args.vocab))
        self.groups = -(-args.vocab // self.slots)
        # A whole number of groups: [G * S, D] is [G, S, D] without a copy.
        self.tokens = nn.Embedding(self.groups * self.slots, hidden)
        nn.init.normal_(self.tokens.weight, std=0.02)
        self.positions = nn.Embedding(args.sequence, hidden)
        self.blocks = nn.ModuleList(Block(hidden, args.heads, 0.0) for _ in range(args.layers))
        self.norm = nn.LayerNorm(hidden)
        self.vocab = args.vocab
        if head == "per_group":
            self.group = nn.Linear(hidden, self.groups)
            self.bias = nn.Parameter(torch.zeros(self.groups, self.slots))

    def forward(self, ids, labels, order=None, slot_labels=None):
        x = self.tokens(ids) + self.positions.weight
        for block in self.blocks:
            x = block(x)
        h, y = self.norm(x).flatten(0, 1), labels.flatten()
        if self.head == "full":
            return F.cross_entropy((h @ self.tokens.weight[: self.vocab].T).float(), y)
        if self.head == "fused":
            parts = [torch.utils.checkpoint.checkpoint(self.chunk_loss, *part, use_reentrant=False)
                     for part in zip(h.split(2048), y.split(2048))]
            return sum(parts) / y.numel()
        # [G, P] positions by group, N where a group has no more: the row of zeros behind h.
        padded = torch.cat((h, h.new_zeros(1, h.shape[1])))[order]  # [G, P, D]
        table = self.tokens.weight.view(self.groups, self.slots, -1)  # [G, S, D]
        within = torch.baddbmm(self.bias.unsqueeze(1).to(padded.dtype), padded, table.transpose(1, 2).to(padded.dtype))
        token_loss = F.cross_entropy(within.float().flatten(0, 1), slot_labels.flatten(), ignore_index=-1,
                                     reduction="sum") / y.numel()
        return F.cross_entropy(self.group(h).float(), y // self.slots) + token_loss

    def chunk_loss(self, h, y):
        return F.cross_entropy((h @ self.tokens.weight[: self.vocab].T).float(), y, reduction="sum")


def make_batch(args, model, head, rank, device):
    """Ids, labels, and for per_group the positions of each group with their tokens' slots."""
    random = torch.Generator().manual_seed(7 + rank)
    ids, labels = torch.randint(0, args.vocab, (2, args.batch, args.sequence), generator=random)
    if head != "per_group":
        return [ids.to(device), labels.to(device)]
    y = labels.flatten()
    group = y // model.slots
    counts = torch.bincount(group, minlength=model.groups)
    most = torch.tensor(int(counts.max()))
    if dist.get_world_size() > 1:  # one shape on every rank
        shared = most.to(device)
        dist.all_reduce(shared, dist.ReduceOp.MAX)
        most = shared.cpu()
    order = torch.full((model.groups, int(most)), y.numel())
    slots = torch.full((model.groups, int(most)), -1)
    for g in range(model.groups):
        at = (group == g).nonzero().flatten()
        order[g, : len(at)], slots[g, : len(at)] = at, y[at] % model.slots
    return [t.to(device) for t in (ids, labels, order, slots)]


def measure(args, setting, rank, world, device):
    head, hidden, precision, accumulation, compiled = setting
    torch.manual_seed(1)
    model = Model(args, head, hidden).to(device)
    batch = make_batch(args, model, head, rank, device)
    parameters = sum(p.numel() for p in model.parameters())
    trained = model
    if world > 1:
        trained = DistributedDataParallel(model, device_ids=[device.index] if ON_GPU else None,
                                          gradient_as_bucket_view=True, bucket_cap_mb=args.bucket_mb)
        if args.wire == "bf16":
            from torch.distributed.algorithms.ddp_comm_hooks import default_hooks
            trained.register_comm_hook(dist.group.WORLD, default_hooks.bf16_compress_hook)
    forward = torch.compile(trained) if compiled else trained
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, **({"fused": True} if ON_GPU else {}))
    times = []
    for step in range(args.steps + args.warm_up):
        if world > 1:
            dist.barrier()
        if ON_GPU:
            torch.cuda.synchronize()
        start = time.perf_counter()
        for micro in range(accumulation):
            last = micro == accumulation - 1
            with contextlib.nullcontext() if last or world == 1 else trained.no_sync():
                with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"):
                    loss = forward(*batch) / accumulation
                loss.backward()
        if args.clip > 0:
            nn.utils.clip_grad_norm_(model.parameters(), args.clip)
        optimizer.step()
        optimizer.zero_grad(set_to_none=world == 1)
        if ON_GPU:
            torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    seconds = torch.tensor(times[args.warm_up:], dtype=torch.float64, device=device)
    if world > 1:
        dist.all_reduce(seconds, dist.ReduceOp.MAX)
    median = statistics.median(seconds.tolist())
    tokens = world * accumulation * args.batch * args.sequence
    return {"head": head, "hidden": hidden, "precision": precision, "accumulation": accumulation,
            "compiled": compiled, "ranks": world, "parameters": parameters, "ms": 1e3 * median,
            "tokens_per_second": tokens / median}


def key_of(row):
    return [row[name] for name in ("head", "hidden", "precision", "accumulation", "compiled")]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    defaults = dict(layers=8, heads=8, batch=32, sequence=512, vocab=50257, steps=20)
    for name, value in defaults.items():
        parser.add_argument("--" + name, type=int, default=value)
    parser.add_argument("--warm-up", type=int, default=5)
    parser.add_argument("--hidden", default="256,1024")
    parser.add_argument("--accumulation", default="1,4")
    parser.add_argument("--precision", default="fp32,bf16")
    parser.add_argument("--head", default="per_group")
    parser.add_argument("--eager", action="store_true")
    parser.add_argument("--compiled", action="store_true")
    parser.add_argument("--wire", choices=("fp32", "bf16"), default="fp32")
    parser.add_argument("--bucket-mb", type=int, default=25)
    parser.add_argument("--clip", type=float, default=0)
    parser.add_argument("--json")
    parser.add_argument("--baseline")
    args = parser.parse_args()
    torch.backends.cuda.matmul.allow_tf32 = False
    dist.init_process_group("nccl" if ON_GPU else "gloo")
    rank, world = dist.get_rank(), dist.get_world_size()
    device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0))) if ON_GPU else torch.device("cpu")
    if ON_GPU:
        torch.cuda.set_device(device)
    alone = {}
    if args.baseline:
        with open(args.baseline, encoding="utf-8") as file:
            alone = {str(key_of(row)): row["tokens_per_second"] for row in json.load(file)}
    if rank == 0:
        where = torch.cuda.get_device_name() if ON_GPU else "processors"
        print(f"PyTorch {torch.__version__}, {world} x {where}, {args.layers} layers, {args.batch} x {args.sequence} "
              f"tokens a process, vocabulary of {args.vocab}, {args.wire} gradients on the wire\n")
        print("| head | hidden | M parameters | precision | accumulation | how | ranks | ms/step | tokens/s | efficiency |")
        print("|---|---|---|---|---|---|---|---|---|---|", flush=True)
    hows = [False] if args.eager or not hasattr(torch, "compile") else [True] if args.compiled else [False, True]
    rows = []
    for head in args.head.split(","):
        for hidden in map(int, args.hidden.split(",")):
            for precision in args.precision.split(","):
                for accumulation in map(int, args.accumulation.split(",")):
                    for compiled in hows:
                        row = measure(args, (head, hidden, precision, accumulation, compiled), rank, world, device)
                        rows.append(row)
                        one = alone.get(str(key_of(row)))
                        share = f"{100 * row['tokens_per_second'] / (world * one):.0f} %" if one else ""
                        if rank == 0:
                            print(f"| {head}, tied | {hidden} | {1e-6 * row['parameters']:.1f} | {precision} | "
                                  f"{accumulation} | {'compiled' if compiled else 'eager'} | {world} | {row['ms']:.2f} | "
                                  f"{row['tokens_per_second']:.0f} | {share} |", flush=True)
                        if ON_GPU:
                            torch.cuda.empty_cache()
    if rank == 0 and args.json:
        with open(args.json, "w", encoding="utf-8") as file:
            json.dump(rows, file, indent=1)
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
