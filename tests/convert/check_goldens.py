"""Loads folders that fabula wrote as transformers would, and compares what they compute with the golden fixtures.

    check_goldens.py MODEL_FOLDER FIXTURE [MODEL_FOLDER FIXTURE ...]

A fixture's files are described in scripts/make_goldens.py. Uses transformers where PYTHONPATH leads to the stand-in."""

import sys
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, read_safetensors

TOLERANCE = 1e-4


def close(what, found, expected, tolerance=TOLERANCE):
    error = (found - expected).abs().max().item() / max(expected.abs().max().item(), 1)
    assert error <= tolerance, f"{what} differs by {error:.2e}"
    return error


def check(folder, fixture):
    model = AutoModelForCausalLM.from_pretrained(folder, trust_remote_code=True)
    expected, _ = read_safetensors(fixture / "expected.safetensors")
    batch = expected["log_probs"].shape[0]
    ids = expected["ids"][0].long().reshape(batch, -1)
    labels = expected["labels"][0].long().reshape(batch, -1)
    with torch.no_grad():
        log_p = model(input_ids=ids).logits.log_softmax(-1)
        if model.lm_head.__class__.__name__ != "Linear":
            close("the sum of all probabilities", model(input_ids=ids).logits.exp().sum(-1), torch.ones(ids.shape), 1e-5)
    errors = [close("log p at the last positions", log_p[:, -1], expected["log_probs"])]
    counts = labels >= 0
    found = log_p.gather(-1, labels.clamp(min=0)[..., None])[..., 0] * counts
    errors.append(close("log p of the labels", found.flatten(), expected["token_log_probs"]))

    # The loss, which is computed without logits, and its gradients. It takes the label of a position from the next.
    more = torch.cat([ids, ids[:, :1]], 1)
    shifted = torch.cat([torch.full((batch, 1), -100), torch.where(counts, labels, -100)], 1)
    loss = model(input_ids=more, labels=shifted).loss
    errors.append(close("the loss", loss.detach(), expected["loss"][0]))
    loss.backward()
    parameters = dict(model.named_parameters())
    for name in [name for name in expected if name.startswith("grad.")]:
        gradient = parameters[name[len("grad.") :]].grad.flatten()
        errors.append(close(name, gradient, expected[name].flatten()))

    told = model.generate(ids[:, :4], max_new_tokens=3)
    with torch.no_grad():
        assert torch.equal(told[:, 4:], model(input_ids=told[:, :-1]).logits[:, 3:].argmax(-1)), "greedy generation"
    assert model.generate(ids[:, :4], max_new_tokens=2, do_sample=True).max() < model.config.vocab_size
    print(f"{fixture.name}: {model.__class__.__name__}, largest difference {max(errors):.1e}")


paths = [Path(argument) for argument in sys.argv[1:]]
for folder, fixture in zip(paths[::2], paths[1::2]):
    try:
        check(folder, fixture)
    except Exception:
        print(f"{fixture.name}:", file=sys.stderr)
        raise
