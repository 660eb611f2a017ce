#!/usr/bin/env python3
"""Compares two builds of fabula: files made by one are read by the other, and both compute the same but for rounding.

    scripts/check_exchange.py OUT --here build/ci/bin/fabula --there "qemu-aarch64 -L build/arm64-sysroot build/linux-arm64/bin/fabula"

OUT is a new folder. Each command may begin with what runs the program (qemu, wine) and with settings: NAME=VALUE ... COMMAND.
--there-path turns a path into what the other program calls it, such as "Z:{}". With --run FOLDER a run or model folder is also told
from by both. Prints one line a check; the exit status is 1 where one has failed.
"""

import argparse
import filecmp
import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

STEPS, MORE_STEPS = 20, 30
LOSS_DIFFERENCE = 1e-4  # the drivers sum in other orders: subgroups have other sizes
MARGIN = 1e-3  # of log p between the two likeliest tokens: below it rounding may decide
CONFIG = {
    "model_type": "gpt2", "n_positions": 64, "n_embd": 32, "n_layer": 2, "n_head": 4, "embd_pdrop": 0.1, "attn_pdrop": 0,
    "resid_pdrop": 0.1, "head": {"kind": "grouped"},
    "train": {"batch_size": 4, "steps": STEPS, "learning_rate": 5e-3, "warmup_steps": 5, "eval_every": 10, "eval_batches": 2,
              "sample_every": 0, "save_every": 0, "log_every": 1},
}


class Failure(Exception):
    pass


class Program:
    """A build of fabula: the words of its command, the settings before them, and what it calls a path."""

    def __init__(self, command, path_form="{}"):
        words = shlex.split(command)
        self.environment = dict(os.environ)
        while words and "=" in words[0].split("/")[0]:
            name, value = words.pop(0).split("=", 1)
            self.environment[name] = value
        self.words, self.path_form = words, path_form

    def path(self, path):
        return self.path_form.format(Path(path).resolve())

    def run(self, *arguments):
        """Standard output; paths among the arguments are Path objects."""
        words = self.words + [self.path(a) if isinstance(a, Path) else str(a) for a in arguments]
        result = subprocess.run(words, env=self.environment, capture_output=True, check=False)
        if result.returncode != 0:
            raise Failure(f"{' '.join(words)}\nexits with {result.returncode}: {result.stderr.decode(errors='replace')[-2000:]}")
        return result.stdout.decode()

    def train(self, data, run, *more):
        self.run("train", data / "config.json", "--data", data / "train.tokens", "--valid", data / "valid.tokens",
                 "--tokenizer", data / "tokenizer.json", "--out", run, *more)


def prepare(program, folder):
    folder.mkdir(parents=True)
    for seed, stories, name in ((1, 200, "train"), (2, 20, "valid")):
        program.run("corpus", "--stories", stories, "--seed", seed, "--out", folder / f"{name}.txt")
    program.run("tokenizer", "train", folder / "train.txt", "--vocab-size", 400, "--out", folder / "tokenizer.json")
    for name in ("train", "valid"):
        program.run("data", "prepare", folder / f"{name}.txt", "--tokenizer", folder / "tokenizer.json",
                    "--out", folder / f"{name}.tokens")
    (folder / "config.json").write_text(json.dumps(CONFIG))


def losses(run, first=1):
    """Losses of training and evaluation, by kind and step, from step `first` on."""
    lines = (run / "metrics.jsonl").read_text().splitlines()
    records = [json.loads(line) for line in lines]
    return {(r["kind"], r["step"]): r["loss"] for r in records if "loss" in r and r["step"] >= first}


def largest_difference(a, b, count):
    if a.keys() != b.keys() or len(a) < count:
        raise Failure(f"steps differ or are too few: {len(a)} and {len(b)} losses, expected at least {count}")
    worst = max(abs(a[key] - b[key]) for key in a)
    if not worst <= LOSS_DIFFERENCE:
        raise Failure(f"losses differ by {worst:.2e}, more than {LOSS_DIFFERENCE}")
    return f"{len(a)} losses differ by {worst:.1e} at most"


def story(program, run, tokens):
    """Ids of a greedy continuation, with the margin between the two likeliest at each place."""
    out = program.run("generate", run, "--prompt", "Once upon a time", "--temperature", 0, "--max-tokens", tokens,
                      "--top", 2, "--at-context-end", "slide", "--json")
    ids, margins = [], []
    for token in json.loads(out)[0]["tokens"]:
        best = sorted((t["log_prob"] for t in token["top"]), reverse=True)
        ids.append(token["id"])
        margins.append(best[0] - best[1] if len(best) > 1 else float("inf"))
    return ids, margins


def same_story(here, there, run, tokens):
    """Equal as far as margins decide: two texts may part only where the two likeliest are within rounding."""
    (ids, margins), (others, _) = story(here, run, tokens), story(there, run, tokens)
    for place, margin in enumerate(margins):
        if others[place:place + 1] == ids[place:place + 1]:
            continue
        if margin > MARGIN:
            raise Failure(f"token {place} is {ids[place]} here and {others[place:place + 1]} there, with a margin of {margin:.2e}")
        return f"equal for {place} tokens, then a margin of {margin:.1e}"
    if len(others) != len(ids):
        raise Failure(f"{len(ids)} tokens here, {len(others)} there")
    return f"{len(ids)} tokens equal, smallest margin {min(margins):.1e}"


def same_files(a, b, names):
    match, mismatch, errors = filecmp.cmpfiles(a, b, names, shallow=False)
    if mismatch or errors:
        raise Failure(f"differ: {mismatch + errors}")
    return f"{len(match)} files are the same bytes"


class Checks:
    def __init__(self, out, here, there):
        self.out, self.here, self.there, self.failed = out, here, there, 0

    def check(self, name, action):
        try:
            said = action()
        except Failure as failure:
            self.failed += 1
            said = f"FAILED: {failure}"
        print(f"{name}: {said}", flush=True)

    def texts(self):
        prepare(self.here, self.out / "data")
        prepare(self.there, self.out / "data_there")
        return same_files(self.out / "data", self.out / "data_there",
                          ["train.txt", "valid.txt", "tokenizer.json", "train.tokens", "valid.tokens"])

    def training(self):
        self.here.train(self.out / "data", self.out / "run")
        self.there.train(self.out / "data", self.out / "run_there")
        return largest_difference(losses(self.out / "run"), losses(self.out / "run_there"), STEPS)

    def resumed(self):
        """A run of each goes on with the other, and with its own program: four runs of one curve."""
        said = []
        curves = []
        for run in ("run", "run_there"):
            for name, program in (("here", self.here), ("there", self.there)):
                copy = self.out / f"{run}_on_{name}"
                shutil.copytree(self.out / run, copy)
                program.train(self.out / "data", copy, "--resume", "force", "--set", f"train.steps={MORE_STEPS}")
                curves.append(losses(copy, STEPS + 1))
        for curve in curves[1:]:
            said.append(largest_difference(curves[0], curve, MORE_STEPS - STEPS))
        return "; ".join(said)

    def verified(self):
        for run in ("run", "run_there", "run_on_there", "run_there_on_here"):
            self.here.run("info", self.out / run, "--verify")
            self.there.run("info", self.out / run, "--verify")
        return "both find every run whole"

    def exported(self):
        """One run in a format of others, by both: bytes are a matter of the run alone."""
        here, there = self.out / "exported_here" / "run", self.out / "exported_there" / "run"  # a card bears its folder's name
        for folder, program in ((here, self.here), (there, self.there)):
            folder.parent.mkdir()
            program.run("export", self.out / "run", "--format", "hf", "--out", folder)
        return same_files(here, there, [path.name for path in here.iterdir()])

    def stories(self, run, tokens):
        return lambda: same_story(self.here, self.there, run, tokens)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--here", required=True, help="command of the program that is compared with")
    parser.add_argument("--there", required=True, help="command of the other build")
    parser.add_argument("--there-path", default="{}", help="what the other build calls a path {}")
    parser.add_argument("--run", type=Path, action="append", default=[], help="a run or model folder that both tell from")
    parser.add_argument("--tokens", type=int, default=40, help="length of the stories (default: 40)")
    args = parser.parse_args()
    if args.out.exists():
        sys.exit(f"{args.out} is there already; name a new folder")

    checks = Checks(args.out, Program(args.here), Program(args.there, args.there_path))
    checks.check("texts, vocabulary, token files", checks.texts)
    checks.check(f"{STEPS} steps of training", checks.training)
    checks.check(f"runs resumed by the other, {MORE_STEPS} steps", checks.resumed)
    checks.check("runs verified", checks.verified)
    checks.check("a run exported for transformers", checks.exported)
    for run in [args.out / "run", args.out / "run_there"] + args.run:
        checks.check(f"a greedy story of {run.name}", checks.stories(run, args.tokens))
    sys.exit(1 if checks.failed else 0)


if __name__ == "__main__":
    main()
