#!/usr/bin/env python3
"""Checks that transformers loads folders that fabula wrote, and computes what fabula does.

    check_transformers.py RUN [RUN ...] [--text FILE] [--fabula PATH]

Of each folder (run folders, or what `fabula export RUN --format hf` wrote):
  - AutoModelForCausalLM.from_pretrained(trust_remote_code=True) says nothing of missing, unused or newly made weights;
  - AutoTokenizer gives the tokens that fabula gives;
  - log-probabilities of --tokens tokens are within 1e-3 of `fabula score`'s;
  - generate(), greedy, is what `fabula generate --temperature 0` writes, but where two tokens are as likely;
  - the loss from labels is that of the log-probabilities;
  - save_pretrained, read again, has the same bits; so has what `fabula import` makes of it.
Where fabula and transformers are on two machines, --record ANSWERS.json writes what fabula says and needs no
transformers; --answers ANSWERS.json takes it from there and needs no fabula. The status is 1 if anything differs."""

import argparse
import json
import logging
import math
import shutil
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

TOLERANCE = 1e-3  # of log p
GREEDY_TOKENS = 24


# --- fabula's answers -----------------------------------------------------------------------------------------------


def fabula(args, *words):
    result = subprocess.run([args.fabula, *words], capture_output=True, text=True)
    if result.returncode != 0:
        sys.exit(f"{' '.join([args.fabula, *words])}\n{result.stderr}")
    return result.stdout


def text_of(args):
    if args.text:
        return Path(args.text).read_text()[: 12 * args.tokens]
    return fabula(args, "corpus", "--stories", "60", "--seed", "5").replace("<|endoftext|>", "")[: 12 * args.tokens]


def answers_for(args, run, text):
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write(text)
        file.flush()
        scored = json.loads(fabula(args, "score", run, "--file", file.name, "--json"))["tokens"][: args.tokens]
    prompt = " ".join(text.split()[:6])
    of_prompt = json.loads(fabula(args, "score", run, "--text", prompt, "--json"))["tokens"]
    length = str(GREEDY_TOKENS)
    told = json.loads(fabula(args, "generate", run, "--prompt", prompt, "--temperature", "0", "--max-tokens", length, "--json"))
    return {
        "text": text,
        "ids": [token["id"] for token in scored],
        "log_p": [token["log_p"] for token in scored],
        "prompt": prompt,
        "prompt_ids": [token["id"] for token in of_prompt],
        "greedy": [token["id"] for token in told[0]["tokens"]],
    }


# --- transformers ---------------------------------------------------------------------------------------------------


class Warnings(logging.Handler):
    def __init__(self):
        super().__init__(logging.WARNING)
        self.texts = []

    def emit(self, record):
        self.texts.append(record.getMessage())


def load(folder, problems):
    import torch
    from transformers import AutoModelForCausalLM

    heard = Warnings()
    logger = logging.getLogger("transformers")
    logger.addHandler(heard)
    model, info = AutoModelForCausalLM.from_pretrained(
        folder, trust_remote_code=True, output_loading_info=True, dtype=torch.float32
    )
    logger.removeHandler(heard)
    for kind in ("missing_keys", "unexpected_keys", "mismatched_keys", "error_msgs"):
        if info.get(kind):
            problems.append(f"{kind}: {sorted(info[kind])[:5]}")
    problems.extend(f"a warning: {text}" for text in heard.texts)
    return model.eval()


def windows(ids, length):
    """fabula scores a longer text in windows that start anew."""
    return [ids[begin : begin + length + 1] for begin in range(0, len(ids) - 1, length)]


def compare_scores(model, start, answers, problems):
    import torch

    ids, expected = [start] + answers["ids"], answers["log_p"]
    found, by_loss = [], []
    length = model.config.max_position_embeddings
    with torch.no_grad():
        for window in windows(ids, length):
            tokens = torch.tensor([window])
            log_p = model(input_ids=tokens[:, :-1]).logits.float().log_softmax(-1)
            found += log_p[0].gather(-1, tokens[0, 1:, None])[:, 0].tolist()
            if len(window) <= length:
                continue
            labels = tokens[:, :-1].clone()
            loss = model(input_ids=labels, labels=labels).loss.item()
            of_window = -sum(found[-length:-1]) / (length - 1)
            by_loss.append(abs(loss - of_window))
    differences = [abs(one - other) for one, other in zip(found, expected)]
    largest = max(differences, default=math.nan)
    if len(found) != len(expected) or not all(one <= TOLERANCE for one in differences) or not differences:
        problems.append(f"log p of {len(expected)} tokens differs by up to {largest:.2e}, {len(found)} were compared")
    if not all(one <= TOLERANCE for one in by_loss):  # NaN is more
        problems.append(f"the loss from labels differs by {by_loss}")
    return largest, len(found)


def compare_greedy(model, start, answers, problems):
    import torch

    inputs = torch.tensor([[start] + answers["prompt_ids"]])
    told = model.generate(
        inputs, attention_mask=torch.ones_like(inputs), do_sample=False, max_new_tokens=len(answers["greedy"])
    )
    found = told[0, inputs.shape[1] :].tolist()
    for at, (one, other) in enumerate(zip(found, answers["greedy"])):
        if one == other:
            continue
        with torch.no_grad():
            log_p = model(input_ids=told[:, : inputs.shape[1] + at]).logits[0, -1].float().log_softmax(-1)
        margin = (log_p[one] - log_p[other]).item()
        if not margin <= TOLERANCE:
            problems.append(f"greedy: token {at} is {one}, fabula's {other}, {margin:.1e} less likely")
        return at
    return len(found)


def compare_tokens(folder, answers, problems):
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=True)  # it reads config.json too
    for text, ids in ((answers["prompt"], answers["prompt_ids"]), (answers["text"], answers["ids"])):
        found = tokenizer(text)
        if found["input_ids"][: len(ids)] != ids:
            at = next((i for i, pair in enumerate(zip(found["input_ids"], ids)) if pair[0] != pair[1]), 0)
            problems.append(f"AutoTokenizer: token {at} of {text[:30]!r} is {found['input_ids'][at]}, fabula's {ids[at]}")
        if set(found) - {"input_ids", "attention_mask"}:
            problems.append(f"AutoTokenizer gives {sorted(found)}, which the model may take for more")
    return tokenizer


# --- what is saved ----------------------------------------------------------------------------------------------------


def tensors_of(folder):
    """Name: (type, shape, bytes) of the tensors of a folder with one file of weights."""
    data = (Path(folder) / "model.safetensors").read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    begin = 8 + length
    return {
        name: (info["dtype"], info["shape"], data[begin + info["data_offsets"][0] : begin + info["data_offsets"][1]])
        for name, info in header.items()
        if name != "__metadata__"
    }


def same_tensors(one, other, what, problems):
    left, right = tensors_of(one), tensors_of(other)
    if left.keys() != right.keys():
        problems.append(f"{what}: tensors {sorted(left.keys() ^ right.keys())[:5]} are in one alone")
    changed = [name for name in left if name in right and left[name] != right[name]]
    if changed:
        problems.append(f"{what}: {changed[:5]} are not the same bits")


def compare_saved(args, run, model, tokenizer, problems):
    with tempfile.TemporaryDirectory() as folder:
        saved, imported = Path(folder) / "saved", Path(folder) / "imported"
        model.save_pretrained(saved)
        tokenizer.save_pretrained(saved)
        same_tensors(run, saved, "save_pretrained", problems)
        load(saved, problems)
        if args.keep_saved:
            shutil.copytree(saved, Path(args.keep_saved) / Path(run).name, dirs_exist_ok=True)
        if args.answers is None:
            fabula(args, "import", str(saved), "--out", str(imported))
            same_tensors(run, imported, "fabula import", problems)


def check(args, run, answers):
    problems = []
    model = load(run, problems)
    ids = [model.generation_config.bos_token_id, model.config.bos_token_id, model.generation_config.eos_token_id]
    start = next(value[0] if isinstance(value, list) else value for value in ids if value is not None)
    tokenizer = compare_tokens(run, answers, problems)
    largest, count = compare_scores(model, start, answers, problems)
    told = compare_greedy(model, start, answers, problems)
    compare_saved(args, run, model, tokenizer, problems)
    name = model.__class__.__name__
    print(f"{run}: {name}, {count} tokens within {largest:.1e}, {told} of {len(answers['greedy'])} greedy tokens alike")
    for problem in problems:
        print(f"  {problem}")
    return not problems


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", metavar="RUN", help="folder that fabula wrote")
    parser.add_argument("--text", help="text to score; missing: stories of `fabula corpus`")
    parser.add_argument("--tokens", type=int, default=1000, help="so many tokens of it (1000)")
    parser.add_argument("--fabula", default="fabula", help="the program (fabula)")
    parser.add_argument("--record", metavar="ANSWERS", help="only write what fabula says")
    parser.add_argument("--answers", metavar="ANSWERS", help="take what fabula says from there")
    parser.add_argument("--keep-saved", metavar="FOLDER", help="what save_pretrained writes, to be imported elsewhere")
    args = parser.parse_args()
    if args.answers:
        answers = json.loads(Path(args.answers).read_text())
    else:
        text = text_of(args)
        answers = {Path(run).name: answers_for(args, run, text) for run in args.runs}
    if args.record:
        Path(args.record).write_text(json.dumps(answers))
        return
    import torch
    import transformers

    print(f"transformers {transformers.__version__}, torch {torch.__version__}")
    good = [check(args, run, answers[Path(run).name]) for run in args.runs]
    print(f"{sum(good)} of {len(good)} folders are alike")
    sys.exit(0 if all(good) else 1)


if __name__ == "__main__":
    main()
