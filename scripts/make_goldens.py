#!/usr/bin/env python3
"""Writes the golden fixtures of tests/golden: small GPT-2, GPT-Neo and Llama models, computed in PyTorch.

Run by hand when a fixture has to change; the results are part of the repository. Needs Debian's python3-torch:
    /usr/bin/python3 scripts/make_goldens.py [OUTPUT_FOLDER]

Everything is written here in plain tensor operations from the definitions (Hugging Face's GPT-2, GPT-Neo and Llama; the
compressed head of arXiv 2411.06371 and its relatives as softmaxes over all V tokens, masked to a class), apart from the
C++ side, and computed in double; adaptive softmax is torch.nn.AdaptiveLogSoftmaxWithLoss itself. A fixture is a folder:
    config.json              the model and how it is trained
    token_groups.json        the map of a two-level head, where it is not by consecutive ids
    weights.safetensors      initial weights, names and orientation as Hugging Face has them
    expected.safetensors     ids, labels [2, B*T] (-1: does not count; steps take the batches in turn), rates [steps];
                             of the first batch before any step: log_probs [B, V] of each sequence's last position,
                             token_log_probs [B*T] of the labels (0 where ignored), loss [1], norm [1], grad.<weight>;
                             losses [steps], norms [steps] of AdamW steps, and final.<weight> after them for two weights
"""
import json
import math
import struct
import sys
from pathlib import Path

import torch

STEPS = 10
BATCH = 3
IGNORED = -1


# --- the format ---------------------------------------------------------------------------------------------------


def write_safetensors(path, tensors):
    """8 bytes of header length, a JSON header, the data: fp32, little-endian."""
    header, blobs, offset = {}, [], 0
    for name, tensor in tensors.items():
        blob = tensor.detach().to(torch.float32).contiguous().numpy().astype("<f4").tobytes()
        header[name] = {"dtype": "F32", "shape": list(tensor.shape), "data_offsets": [offset, offset + len(blob)]}
        blobs.append(blob)
        offset += len(blob)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(blobs))


# --- bodies -------------------------------------------------------------------------------------------------------


def layer_norm(x, weight, bias, eps):
    centred = x - x.mean(-1, keepdim=True)
    return centred / torch.sqrt((centred * centred).mean(-1, keepdim=True) + eps) * weight + bias


def gelu_new(x):
    return 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def attention(q, k, v, heads, window, scale):
    """q, k, v [B, T, D]; position i sees max(0, i - window + 1)..i; window 0: all up to i."""
    batch, length, hidden = q.shape
    q, k, v = (t.view(batch, length, heads, hidden // heads).transpose(1, 2) for t in (q, k, v))
    scores = torch.matmul(q, k.transpose(-1, -2)) * scale
    i, j = torch.arange(length)[:, None], torch.arange(length)[None, :]
    visible = j <= i
    if window:
        visible = visible & (j > i - window)
    scores = scores.masked_fill(~visible, float("-inf"))
    mixed = torch.matmul(torch.softmax(scores, -1), v)
    return mixed.transpose(1, 2).reshape(batch, length, hidden)


def gpt2_block(w, name, x, config, layer):
    """Conv1D weights are [in, out]; q, k and v stand side by side in c_attn; scores are divided by sqrt(head size)."""
    eps, heads = config["layer_norm_epsilon"], config["n_head"]
    h = layer_norm(x, w[name + "ln_1.weight"], w[name + "ln_1.bias"], eps)
    qkv = h @ w[name + "attn.c_attn.weight"] + w[name + "attn.c_attn.bias"]
    mixed = attention(*qkv.chunk(3, -1), heads, 0, 1 / math.sqrt(x.shape[-1] // heads))
    x = x + mixed @ w[name + "attn.c_proj.weight"] + w[name + "attn.c_proj.bias"]
    h = layer_norm(x, w[name + "ln_2.weight"], w[name + "ln_2.bias"], eps)
    h = gelu_new(h @ w[name + "mlp.c_fc.weight"] + w[name + "mlp.c_fc.bias"])
    return x + h @ w[name + "mlp.c_proj.weight"] + w[name + "mlp.c_proj.bias"]


def gpt_neo_block(w, name, x, config, layer):
    """Linear weights are [out, in]; q, k, v have no bias; scores are not scaled; local layers see a window."""
    eps, heads = config["layer_norm_epsilon"], config["num_heads"]
    attn = name + "attn.attention."
    h = layer_norm(x, w[name + "ln_1.weight"], w[name + "ln_1.bias"], eps)
    q, k, v = (h @ w[attn + part + "_proj.weight"].t() for part in "qkv")
    window = config["window_size"] if config["attention_layers"][layer] == "local" else 0
    mixed = attention(q, k, v, heads, window, 1.0)
    x = x + mixed @ w[attn + "out_proj.weight"].t() + w[attn + "out_proj.bias"]
    h = layer_norm(x, w[name + "ln_2.weight"], w[name + "ln_2.bias"], eps)
    h = gelu_new(h @ w[name + "mlp.c_fc.weight"].t() + w[name + "mlp.c_fc.bias"])
    return x + h @ w[name + "mlp.c_proj.weight"].t() + w[name + "mlp.c_proj.bias"]


def rms_norm(x, weight, eps):
    return x / torch.sqrt((x * x).mean(-1, keepdim=True) + eps) * weight


def rotary(x, heads, theta):
    """x [B, T, heads * size]; pair i of a head, its numbers i and i + size / 2, turns by position / theta^(2 i / size)."""
    batch, length, width = x.shape
    half = width // heads // 2
    pairs = x.view(batch, length, heads, 2, half)
    speeds = theta ** (-torch.arange(half, dtype=torch.float64) / half)
    angles = (torch.arange(length, dtype=torch.float64)[:, None] * speeds)[:, None]  # [T, 1, half]
    turned = torch.complex(pairs[..., 0, :], pairs[..., 1, :]) * torch.polar(torch.ones_like(angles), angles)
    return torch.stack([turned.real, turned.imag], -2).reshape(batch, length, width)


def llama_block(w, name, x, config, layer):
    """Linear weights are [out, in], no biases; each key and value head serves several query heads."""
    eps, theta = config["rms_norm_eps"], config["rope_theta"]
    heads, kv_heads = config["num_attention_heads"], config["num_key_value_heads"]
    attn = name + "self_attn."
    h = rms_norm(x, w[name + "input_layernorm.weight"], eps)
    q, k, v = (h @ w[attn + part + "_proj.weight"].t() for part in "qkv")
    size = q.shape[-1] // heads
    q, k = rotary(q, heads, theta), rotary(k, kv_heads, theta)
    k, v = (t.unflatten(-1, (kv_heads, size)).repeat_interleave(heads // kv_heads, -2).flatten(-2) for t in (k, v))
    x = x + attention(q, k, v, heads, 0, 1 / math.sqrt(size)) @ w[attn + "o_proj.weight"].t()
    h = rms_norm(x, w[name + "post_attention_layernorm.weight"], eps)
    gate, up = (h @ w[name + f"mlp.{part}_proj.weight"].t() for part in ("gate", "up"))
    return x + (gate * torch.sigmoid(gate) * up) @ w[name + "mlp.down_proj.weight"].t()


def is_llama(config):
    return config["model_type"] == "llama"


def embedding(config):
    return "model.embed_tokens.weight" if is_llama(config) else "transformer.wte.weight"


def embedded(w, model, ids):
    """Token embeddings, and with class_input the first level's vectors of the tokens' groups."""
    x = w[embedding(model.config)][ids]
    if model.config["head"].get("class_input"):
        vectors = w["lm_head.group.weight" if model.kind == "grouped" else "lm_head.head.weight"]
        vectors = vectors[len(vectors) - len(model.tokens.groups):]  # behind those of shortlist tokens, which add none
        in_group = model.tokens.class_of[ids] >= len(model.tokens.shortlist)
        x = x + vectors[model.tokens.group[ids]] * in_group.unsqueeze(-1)
    return x


def body(w, model, ids):
    config, x = model.config, embedded(w, model, ids)
    if is_llama(config):
        for layer in range(config["num_hidden_layers"]):
            x = llama_block(w, f"model.layers.{layer}.", x, config, layer)
        return rms_norm(x, w["model.norm.weight"], config["rms_norm_eps"])
    gpt2 = config["model_type"] == "gpt2"
    x = x + w["transformer.wpe.weight"][: ids.shape[1]]
    for layer in range(config["n_layer" if gpt2 else "num_layers"]):
        x = (gpt2_block if gpt2 else gpt_neo_block)(w, f"transformer.h.{layer}.", x, config, layer)
    return layer_norm(x, w["transformer.ln_f.weight"], w["transformer.ln_f.bias"], config["layer_norm_epsilon"])


# --- heads: log-probabilities of all V tokens [..., V] ------------------------------------------------------------


class TokenMap:
    """The tokens of the shortlist, then those of each group in slot order; look-ups by token, 0 where there is none."""

    def __init__(self, vocabulary, shortlist, groups):
        self.shortlist, self.groups = shortlist, groups
        self.order = torch.tensor(shortlist + [v for group in groups for v in group])  # shortlist and map order
        assert sorted(self.order.tolist()) == list(range(vocabulary)), "every token has one place"
        self.rank = self.order.argsort()  # place of a token in it
        self.classes = [[v] for v in shortlist] + groups
        self.class_of, self.group, self.slot, self.row = (torch.zeros(vocabulary, dtype=torch.long) for _ in range(4))
        for number, tokens in enumerate(self.classes):
            self.class_of[tokens] = number
        for number, tokens in enumerate(groups):
            self.group[tokens] = number
            self.slot[tokens] = torch.arange(len(tokens))
        self.row[self.order[len(shortlist):]] = torch.arange(vocabulary - len(shortlist))  # in map order

    @staticmethod
    def consecutive(vocabulary, slots):
        every = list(range(vocabulary))
        return TokenMap(vocabulary, [], [every[begin:begin + slots] for begin in range(0, vocabulary, slots)])

    @staticmethod
    def scattered(vocabulary, sizes):
        """Sizes: of the shortlist and of each group. No token is beside its neighbour in id."""
        assert sum(sizes) == vocabulary
        tokens = iter([(31 * i + 17) % vocabulary for i in range(vocabulary)])
        shortlist, *groups = [[next(tokens) for _ in range(size)] for size in sizes]
        return TokenMap(vocabulary, shortlist, groups)

    def json(self):
        groups = ",\n  ".join(json.dumps(group) for group in self.groups)
        return (f'{{"vocab_size": {len(self.order)},\n "shortlist": {json.dumps(self.shortlist)},\n'
                f' "groups": [\n  {groups}\n ]}}\n')


def full_head(w, config, h):
    logits = h @ w.get("lm_head.weight", w[embedding(config)]).t()
    if "lm_head.bias" in w:
        logits = logits + w["lm_head.bias"]
    return torch.log_softmax(logits, -1)


def class_log_probs(w, config, tokens, h):
    """[..., K + G]: the shortlist's tokens, then the groups; a group's score is the log-sum-exp of its prototypes."""
    weight, count = w["lm_head.group.weight"], len(tokens.shortlist)
    if config["tie_word_embeddings"]:
        weight = torch.cat([w[embedding(config)][tokens.shortlist], weight])
    scores = h @ weight.t() + w["lm_head.group.bias"]
    prototypes = scores[..., count:].unflatten(-1, (len(tokens.groups), config["head"].get("prototypes", 1)))
    return torch.log_softmax(torch.cat([scores[..., :count], torch.logsumexp(prototypes, -1)], -1), -1)


def token_logits(w, config, tokens, h):
    """A logit for each of the V tokens as if there were no groups. A shortlist token's may be anything."""
    logits = w["lm_head.shift"][tokens.group, tokens.slot]
    if config["head"]["modulation"] == "per_group":
        tied = config["tie_word_embeddings"]
        matrix = w[embedding(config)] if tied else w["lm_head.token.weight"][tokens.row]
        return logits + h @ matrix.t()
    shared = h @ w["lm_head.shared.weight"].t() + w["lm_head.shared.bias"]
    logits = logits + w["lm_head.scale"][tokens.group, tokens.slot] * shared[..., tokens.slot]
    if config["head"]["modulation"] == "low_rank":
        matrix = w["lm_head.low_rank.up.weight"][tokens.row] @ w["lm_head.low_rank.down.weight"]
        logits = logits + h @ matrix.t()
    return logits


def grouped_head(w, config, tokens, h):
    """log p(v) = log p(class) + log p(v | class), the latter a softmax over all V tokens that is masked to the class;
    a shortlist token is alone in its class."""
    logits = token_logits(w, config, tokens, h)
    same_class = tokens.class_of[:, None] == tokens.class_of[None, :]
    masked = logits.unsqueeze(-2).masked_fill(~same_class, float("-inf"))  # [..., V, V]
    within = torch.log_softmax(masked, -1).diagonal(dim1=-2, dim2=-1)
    return class_log_probs(w, config, tokens, h)[..., tokens.class_of] + within


def adaptive_module(config):
    """PyTorch's own. It has no biases in the tail; given to its layers, its methods use them."""
    head, hidden = config["head"], config["n_embd" if config["model_type"] == "gpt2" else "hidden_size"]
    module = torch.nn.AdaptiveLogSoftmaxWithLoss(hidden, config["vocab_size"], head["cutoffs"], head["div_value"],
                                                 head_bias=head["bias"])
    if head["bias"]:
        for _, logits in module.tail:
            logits.bias = torch.nn.Parameter(torch.zeros(logits.out_features))
    return module


def adaptive_head(w, config):
    """That module with the weights of w in place of its own."""
    module = adaptive_module(config)
    for name, _ in list(module.named_parameters()):
        owner, _, leaf = name.rpartition(".")
        owner = module.get_submodule(owner)
        delattr(owner, leaf)
        setattr(owner, leaf, w["lm_head." + name])
    return module


class Model:
    """A config and the map of its head, if it has one."""

    def __init__(self, config, sizes=None):
        self.config, self.kind = config, config["head"]["kind"]
        vocabulary = config["vocab_size"]
        self.tokens = TokenMap.scattered(vocabulary, sizes) if sizes else None
        if self.kind == "grouped" and not sizes:
            self.tokens = TokenMap.consecutive(vocabulary, config["head"]["group_size"])
        self.map_is_file = sizes is not None

    def log_probs(self, w, ids):
        h = body(w, self, ids)
        if self.kind == "adaptive":
            return adaptive_head(w, self.config).log_prob(h.flatten(0, 1))[:, self.tokens.rank].view(*ids.shape, -1)
        return grouped_head(w, self.config, self.tokens, h) if self.tokens else full_head(w, self.config, h)

    def loss(self, w, ids, labels):
        counted = labels != IGNORED
        if self.kind == "adaptive":
            h = body(w, self, ids)
            return adaptive_head(w, self.config)(h[counted], self.tokens.rank[labels[counted]]).loss
        return -token_log_probs(self.log_probs(w, ids), labels).sum() / counted.sum()


def token_log_probs(all_log_probs, labels):
    chosen = all_log_probs.gather(-1, labels.clamp(min=0).unsqueeze(-1)).squeeze(-1)
    return torch.where(labels == IGNORED, torch.zeros_like(chosen), chosen)


# --- weights ------------------------------------------------------------------------------------------------------


def weight_shapes(model):
    """Name -> shape."""
    config = model.config
    if is_llama(config):
        return {**llama_shapes(config), **head_shapes(model, config["hidden_size"])}
    gpt2 = config["model_type"] == "gpt2"
    hidden, layers, inner, positions = (
        config[a if gpt2 else b]
        for a, b in (("n_embd", "hidden_size"), ("n_layer", "num_layers"), ("n_inner", "intermediate_size"),
                     ("n_positions", "max_position_embeddings")))
    vocabulary = config["vocab_size"]
    shapes = {"transformer.wte.weight": (vocabulary, hidden), "transformer.wpe.weight": (positions, hidden)}
    for layer in range(layers):
        name = f"transformer.h.{layer}."
        oriented = (lambda rows, cols: (rows, cols)) if gpt2 else (lambda rows, cols: (cols, rows))  # from (in, out)
        for norm in ("ln_1", "ln_2"):
            shapes[name + norm + ".weight"] = shapes[name + norm + ".bias"] = (hidden,)
        if gpt2:
            shapes[name + "attn.c_attn.weight"], shapes[name + "attn.c_attn.bias"] = (hidden, 3 * hidden), (3 * hidden,)
            shapes[name + "attn.c_proj.weight"], shapes[name + "attn.c_proj.bias"] = (hidden, hidden), (hidden,)
        else:
            for part in ("q_proj", "k_proj", "v_proj", "out_proj"):
                shapes[name + f"attn.attention.{part}.weight"] = (hidden, hidden)
            shapes[name + "attn.attention.out_proj.bias"] = (hidden,)
        shapes[name + "mlp.c_fc.weight"], shapes[name + "mlp.c_fc.bias"] = oriented(hidden, inner), (inner,)
        shapes[name + "mlp.c_proj.weight"], shapes[name + "mlp.c_proj.bias"] = oriented(inner, hidden), (hidden,)
    shapes["transformer.ln_f.weight"] = shapes["transformer.ln_f.bias"] = (hidden,)
    return {**shapes, **head_shapes(model, hidden)}


def llama_shapes(config):
    hidden, inner, heads = (config[key] for key in ("hidden_size", "intermediate_size", "num_attention_heads"))
    size = config.get("head_dim", hidden // heads)
    kv_width = config["num_key_value_heads"] * size
    shapes = {embedding(config): (config["vocab_size"], hidden)}
    for layer in range(config["num_hidden_layers"]):
        name = f"model.layers.{layer}."
        shapes[name + "input_layernorm.weight"] = shapes[name + "post_attention_layernorm.weight"] = (hidden,)
        shapes[name + "self_attn.q_proj.weight"], shapes[name + "self_attn.o_proj.weight"] = (
            (heads * size, hidden), (hidden, heads * size))
        shapes[name + "self_attn.k_proj.weight"] = shapes[name + "self_attn.v_proj.weight"] = (kv_width, hidden)
        shapes[name + "mlp.gate_proj.weight"] = shapes[name + "mlp.up_proj.weight"] = (inner, hidden)
        shapes[name + "mlp.down_proj.weight"] = (hidden, inner)
    shapes["model.norm.weight"] = (hidden,)
    return shapes


def head_shapes(model, hidden):
    config, head, shapes = model.config, model.config["head"], {}
    vocabulary, tied = config["vocab_size"], config["tie_word_embeddings"]
    if head["kind"] == "adaptive":
        return {"lm_head." + name: tuple(value.shape) for name, value in adaptive_module(config).named_parameters()}
    if head["kind"] != "grouped":
        if not tied:
            shapes["lm_head.weight"] = (vocabulary, hidden)
        if head["bias"]:
            shapes["lm_head.bias"] = (vocabulary,)
        return shapes
    slots, groups, shortlist = head["group_size"], len(model.tokens.groups), len(model.tokens.shortlist)
    prototypes = groups * head.get("prototypes", 1)
    shapes["lm_head.group.weight"] = (prototypes + (0 if tied else shortlist), hidden)
    shapes["lm_head.group.bias"] = (shortlist + prototypes,)
    if head["modulation"] != "per_group":
        shapes["lm_head.shared.weight"], shapes["lm_head.shared.bias"] = (slots, hidden), (slots,)
        shapes["lm_head.scale"] = (groups, slots)
    elif not tied:
        shapes["lm_head.token.weight"] = (vocabulary - shortlist, hidden)
    shapes["lm_head.shift"] = (groups, slots)
    if head["modulation"] == "low_rank":
        shapes["lm_head.low_rank.down.weight"] = (head["rank"], hidden)
        shapes["lm_head.low_rank.up.weight"] = (vocabulary - shortlist, head["rank"])
    return shapes


def takes_decay(name, shape):
    return len(shape) == 2 and name not in ("lm_head.scale", "lm_head.shift")


def random_weights(model, generator):
    """Far from a fresh model's: every bias, norm, scale and shift matters, and the first gradients exceed the clip."""
    weights = {}
    for name, shape in weight_shapes(model).items():
        value = 0.15 * torch.randn(shape, generator=generator)
        if name.endswith("lm_head.scale") or ((".ln_" in name or "norm." in name) and name.endswith(".weight")):
            value = 1 + value
        weights[name] = value.to(torch.float64).requires_grad_()  # exact in fp32: drawn so
    return weights


# --- training -----------------------------------------------------------------------------------------------------


def gradients(w, model, ids, labels):
    loss = model.loss(w, ids, labels)
    return loss, dict(zip(w, torch.autograd.grad(loss, list(w.values()))))


def norm_of(grads):
    return math.sqrt(sum(float((g * g).sum()) for g in grads.values()))


def adamw_steps(w, model, batches, rates):
    """AdamW (Loshchilov and Hutter 2019): decay decoupled from the gradient and scaled by the rate, after clipping."""
    train = model.config["train"]
    beta1, beta2, eps = train["beta1"], train["beta2"], train["epsilon"]
    first = {name: torch.zeros_like(value) for name, value in w.items()}
    second = {name: torch.zeros_like(value) for name, value in w.items()}
    losses, norms = [], []
    for step, ((ids, labels), rate) in enumerate(zip(batches, rates), 1):
        loss, grads = gradients(w, model, ids, labels)
        norm = norm_of(grads)
        clip = min(1.0, train["clip_norm"] / (norm + 1e-6))  # as torch.nn.utils.clip_grad_norm_
        losses.append(float(loss))
        norms.append(norm)
        with torch.no_grad():
            for name, value in w.items():
                g = grads[name] * clip
                first[name].mul_(beta1).add_((1 - beta1) * g)
                second[name].mul_(beta2).add_((1 - beta2) * g * g)
                if takes_decay(name, value.shape):
                    value.mul_(1 - rate * train["weight_decay"])
                mean = first[name] / (1 - beta1**step)
                root = torch.sqrt(second[name] / (1 - beta2**step))
                value.sub_(rate * mean / (root + eps))
    return losses, norms


def make_batch(model, length, generator, every_class):
    """Text-like ids: a few tokens are frequent (those of the shortlist, where there is one), so that the embedding's
    and the groups' sums have long segments. The last sequence walks through every class where asked to."""
    vocabulary = model.config["vocab_size"]
    draws = torch.rand((BATCH, length + 1), generator=generator, dtype=torch.float64)
    ranks = (vocabulary * draws**2).long().clamp(max=vocabulary - 1)
    ranks[0, 3] = ranks[1, 4] = vocabulary - 1  # the last real slot of the last group
    tokens = model.tokens.order[ranks] if model.map_is_file else ranks
    if every_class:
        tokens[-1, 2:2 + len(model.tokens.classes)] = torch.tensor([members[-1] for members in model.tokens.classes])
    ids, labels = tokens[:, :-1].contiguous(), tokens[:, 1:].clone()
    labels[1, 5] = labels[2, 0] = IGNORED
    if every_class:
        assert set(model.tokens.class_of[labels[labels != IGNORED]].tolist()) == set(range(len(model.tokens.classes)))
    return ids, labels


def last_compared(config):
    if is_llama(config):
        return "model.layers.0.self_attn.k_proj.weight", "model.norm.weight"
    return "transformer.wpe.weight", "transformer.ln_f.bias"


def write_fixture(folder, model, length, seed):
    generator = torch.Generator().manual_seed(seed)
    config = model.config
    weights = random_weights(model, generator)
    alternating = [make_batch(model, length, generator, model.map_is_file and i == 0) for i in range(2)]
    batches = [alternating[step % 2] for step in range(STEPS)]
    peak = config["train"]["learning_rate"]
    # As fp32 numbers, which is what the other side reads.
    rates = torch.tensor([peak * min(1, step / 3) for step in range(1, STEPS + 1)], dtype=torch.float32)

    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    if model.map_is_file:
        (folder / "token_groups.json").write_text(model.tokens.json())
    write_safetensors(folder / "weights.safetensors", weights)

    ids, labels = batches[0]
    with torch.no_grad():
        every = model.log_probs(weights, ids)
        assert torch.allclose(every.exp().sum(-1), torch.ones((), dtype=torch.float64)), "probabilities must sum to 1"
        chosen = token_log_probs(every, labels).flatten()
    loss, grads = gradients(weights, model, ids, labels)
    assert torch.allclose(loss, -chosen.sum() / (labels != IGNORED).sum()), "the loss is of the same probabilities"
    norm = norm_of(grads)
    losses, norms = adamw_steps(weights, model, batches, [float(rate) for rate in rates])
    assert max(norms) > config["train"]["clip_norm"] and losses[-1] < losses[1] and losses[-2] < losses[0]

    expected = {
        "ids": torch.stack([b[0].flatten() for b in batches[:2]]),
        "labels": torch.stack([b[1].flatten() for b in batches[:2]]),
        "rates": rates, "log_probs": every[:, -1], "token_log_probs": chosen, "loss": loss.reshape(1),
        "norm": torch.tensor([norm], dtype=torch.float64),
        **{"grad." + name: grad for name, grad in grads.items()},
        "losses": torch.tensor(losses, dtype=torch.float64), "norms": torch.tensor(norms, dtype=torch.float64),
        **{"final." + name: weights[name] for name in last_compared(config)},
    }
    write_safetensors(folder / "expected.safetensors", expected)
    print(f"{folder.name}: loss {losses[0]:.4f} -> {losses[-1]:.4f}, gradient norm {min(norms):.3f} - {max(norms):.3f}")


# --- the fixtures -------------------------------------------------------------------------------------------------


def training(length):
    return {"batch_size": BATCH, "sequence_length": length, "steps": STEPS, "learning_rate": 0.01, "warmup_steps": 3,
            "weight_decay": 0.1, "beta1": 0.9, "beta2": 0.95, "epsilon": 1e-8, "clip_norm": 1.0, "dropout": 0.0}


def gpt2(hidden, heads, layers, inner, length, head, tied):
    return {"model_type": "gpt2", "vocab_size": 97, "n_positions": length + 2, "n_embd": hidden, "n_layer": layers,
            "n_head": heads, "n_inner": inner, "layer_norm_epsilon": 1e-5, "tie_word_embeddings": tied, "head": head,
            "train": training(length)}


def gpt_neo(hidden, heads, kinds, window, inner, length, head, tied):
    return {"model_type": "gpt_neo", "vocab_size": 97, "max_position_embeddings": length + 2, "hidden_size": hidden,
            "num_layers": len(kinds), "num_heads": heads, "intermediate_size": inner, "layer_norm_epsilon": 1e-5,
            "attention_layers": kinds, "window_size": window, "tie_word_embeddings": tied, "head": head,
            "train": training(length)}


def llama(hidden, heads, kv_heads, layers, inner, length, head, tied, **more):
    return {"model_type": "llama", "vocab_size": 97, "max_position_embeddings": length + 2, "hidden_size": hidden,
            "num_hidden_layers": layers, "num_attention_heads": heads, "num_key_value_heads": kv_heads,
            "intermediate_size": inner, "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "tie_word_embeddings": tied,
            "head": head, **more, "train": training(length)}


FULL = {"kind": "full", "bias": False}
FULL_BIAS = {"kind": "full", "bias": True}
FUSED_BIAS = {"kind": "fused", "bias": True}
GROUPED = {"kind": "grouped", "modulation": "scale_shift", "map": "id_ranges", "group_size": 10}  # 3 phantom slots


def grouped(modulation, token_map, sizes, slots, **more):
    """Sizes: of the shortlist and of each group. Up to `slots` a group: the others are phantoms."""
    return {"kind": "grouped", "modulation": modulation, "map": token_map, "shortlist": sizes[0],
            "groups": len(sizes) - 1, "group_size": slots, **more}


def adaptive(sizes, div_value, bias, **more):
    cutoffs = [sum(sizes[: i + 1]) for i in range(len(sizes) - 1)]
    return {"kind": "adaptive", "bias": bias, "cutoffs": cutoffs, "div_value": div_value, **more}


# Sizes of the shortlist and of the groups or clusters. A group of one token has nothing to choose within it.
LOW_RANK = [0, 10, 12, 9, 1, 11, 12, 10, 12, 11, 9]
PER_GROUP = [7, 11, 10, 11, 9, 10, 11, 8, 10, 10]
TIED = [5, 11, 3, 10, 11, 9, 10, 11, 10, 8, 9]
PROTOTYPES = [6, 10, 9, 10, 8, 2, 9, 10, 7, 9, 8, 9]
ADAPTIVE = [9, 29, 59]
ADAPTIVE_BIAS = [12, 38, 47]

# (model, sequence length, seed)
FIXTURES = {
    "gpt2_full_tied": (Model(gpt2(32, 4, 2, 48, 24, FULL, True)), 24, 1),
    "gpt2_full_untied_bias": (Model(gpt2(36, 3, 2, 52, 23, FULL_BIAS, False)), 23, 2),
    "gpt2_grouped": (Model(gpt2(36, 3, 3, 50, 23, GROUPED, False)), 23, 3),
    "gpt_neo_full_tied": (Model(gpt_neo(32, 4, ["global", "local"], 7, 48, 24, FULL, True)), 24, 4),
    "gpt_neo_full_untied_bias": (Model(gpt_neo(36, 3, ["local", "global"], 5, 52, 23, FULL_BIAS, False)), 23, 5),
    "gpt_neo_grouped": (
        Model(gpt_neo(32, 2, ["global", "local", "global", "local"], 9, 40, 24, GROUPED, False)), 24, 6),
    "gpt2_fused_tied_bias": (Model(gpt2(24, 2, 2, 36, 23, FUSED_BIAS, True)), 23, 7),
    "gpt_neo_low_rank": (
        Model(gpt_neo(20, 2, ["global", "local"], 7, 32, 24,
                      grouped("low_rank", "clustered", LOW_RANK, 12, rank=5), False), LOW_RANK), 24, 8),
    "gpt2_per_group_shortlist": (
        Model(gpt2(20, 2, 2, 36, 24, grouped("per_group", "frequency", PER_GROUP, 13), False), PER_GROUP), 24, 9),
    "gpt_neo_per_group_tied_shortlist": (
        Model(gpt_neo(24, 3, ["local", "global"], 5, 32, 23, grouped("per_group", "random", TIED, 11), True), TIED),
        23, 10),
    "gpt2_shortlist_prototypes": (
        Model(gpt2(24, 3, 2, 32, 24, grouped("scale_shift", "clustered", PROTOTYPES, 10, prototypes=2), False),
              PROTOTYPES), 24, 11),
    "gpt_neo_adaptive": (
        Model(gpt_neo(20, 2, ["global", "local"], 6, 36, 24, adaptive(ADAPTIVE, 3, False), False), ADAPTIVE), 24, 12),
    "gpt2_adaptive_bias": (
        Model(gpt2(24, 2, 2, 32, 23, adaptive(ADAPTIVE_BIAS, 4, True), False), ADAPTIVE_BIAS), 23, 13),
    "llama_full_tied": (Model(llama(32, 4, 2, 2, 44, 24, FULL, True)), 24, 14),
    "llama_full_untied": (  # heads of another size than D / H, halves of which are no number of vec4s
        Model(llama(36, 6, 2, 2, 52, 23, FULL, False, head_dim=10, rope_theta=500.0)), 23, 15),
    "llama_grouped": (Model(llama(24, 3, 3, 2, 32, 24, GROUPED, False)), 24, 16),
    "gpt2_class_input": (
        Model(gpt2(20, 2, 2, 32, 23, grouped("scale_shift", "frequency", PER_GROUP, 13, class_input=True), False),
              PER_GROUP), 23, 17),
    "llama_class_input_tied_shortlist": (
        Model(llama(24, 3, 3, 2, 32, 24, grouped("per_group", "random", TIED, 11, class_input=True), True), TIED),
        24, 18),
    "gpt_neo_class_input_adaptive": (
        Model(gpt_neo(20, 2, ["local"], 6, 36, 24, adaptive(ADAPTIVE, 3, True, class_input=True), False), ADAPTIVE),
        24, 19),
}


def main():
    root = Path(__file__).resolve().parent.parent / "tests/golden/fixtures"
    if len(sys.argv) > 2 or (len(sys.argv) == 2 and sys.argv[1].startswith("-")):
        sys.exit(__doc__)
    if len(sys.argv) == 2:
        root = Path(sys.argv[1])
    torch.set_num_threads(1)  # sums in one order: the same files on every machine
    for name, (model, length, seed) in FIXTURES.items():
        write_fixture(root / name, model, length, seed)


if __name__ == "__main__":
    main()
