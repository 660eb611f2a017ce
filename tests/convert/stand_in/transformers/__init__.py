"""As much of transformers as fabula's modeling_fabula.py needs, written from the definitions of the three bodies, so that
folders can be loaded where transformers is not installed. There is no cache of keys and values. Loading is strict: a
missing or an unused tensor is an error, where transformers warns."""

import importlib.util
import json
import math
import struct
import sys
import types
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F

from .modeling_outputs import BaseModelOutput, CausalLMOutputWithPast

DTYPES = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16, "I32": torch.int32, "I64": torch.int64}


def read_safetensors(path):
    data = Path(path).read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    metadata = header.pop("__metadata__", {})
    tensors = {}
    for name, info in header.items():
        begin, end = (8 + length + at for at in info["data_offsets"])
        dtype = DTYPES[info["dtype"]]
        assert (begin - 8 - length) % torch.empty(0, dtype=dtype).element_size() == 0, f"{name} is not aligned"
        tensors[name] = torch.frombuffer(bytearray(data[begin:end]), dtype=dtype).reshape(info["shape"])
    return tensors, metadata


# --- configs --------------------------------------------------------------------------------------------------------


class PreTrainedConfig:
    model_type, attribute_map, fields = "", {}, {}

    def __init__(self, **kwargs):
        for name, kind in self.fields.items():  # as strict as transformers since 5.4
            value = kwargs.get(name)
            assert value is None or type(value) is kind, f"{name} is {value!r}, not {kind.__name__}"
        for name, value in kwargs.items():
            setattr(self, name, value)

    def __getattr__(self, name):
        mapped = type(self).attribute_map.get(name)
        if mapped is None:
            raise AttributeError(name)
        return getattr(self, mapped)

    @classmethod
    def from_pretrained(cls, folder):
        keys = json.loads((Path(folder) / "config.json").read_text())
        assert keys["model_type"] == cls.model_type, f"{keys['model_type']} is not {cls.model_type}"
        return cls(**keys)


COMMON = {"vocab_size": int, "bos_token_id": int, "tie_word_embeddings": bool, "dtype": str, "initializer_range": float}


class GPT2Config(PreTrainedConfig):
    model_type = "gpt2"
    attribute_map = {"hidden_size": "n_embd"}
    fields = {
        **COMMON,
        **dict.fromkeys(["n_positions", "n_ctx", "n_embd", "n_layer", "n_head", "n_inner"], int),
        **dict.fromkeys(["layer_norm_epsilon", "resid_pdrop", "embd_pdrop", "attn_pdrop"], float),
        "activation_function": str,
    }


class GPTNeoConfig(PreTrainedConfig):
    model_type = "gpt_neo"
    fields = {
        **COMMON,
        **dict.fromkeys(["hidden_size", "num_layers", "num_heads", "intermediate_size", "window_size"], int),
        **dict.fromkeys(["max_position_embeddings"], int),
        **dict.fromkeys(["layer_norm_epsilon", "resid_dropout", "embed_dropout", "attention_dropout"], float),
        "attention_types": list,
    }


class LlamaConfig(PreTrainedConfig):
    model_type = "llama"
    fields = {
        **COMMON,
        **dict.fromkeys(["hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads"], int),
        **dict.fromkeys(["num_key_value_heads", "head_dim", "max_position_embeddings"], int),
        **dict.fromkeys(["attention_bias", "mlp_bias"], bool),
        "rms_norm_eps": float,
        "rope_parameters": dict,
        "attention_dropout": float,
        "hidden_act": str,
    }


# --- models ---------------------------------------------------------------------------------------------------------


class PreTrainedModel(nn.Module):
    base_model_prefix, tied = "", ()

    def __init__(self, config):
        super().__init__()
        self.config = config

    def post_init(self):
        pass

    def get_input_embeddings(self):
        return getattr(self, self.base_model_prefix).get_input_embeddings()

    @classmethod
    def from_pretrained(cls, folder):
        config = cls.config_class.from_pretrained(folder)
        tensors, metadata = read_safetensors(Path(folder) / "model.safetensors")
        assert metadata["format"] == "pt"
        model = cls(config)
        missing, unused = model.load_state_dict(tensors, strict=False)
        missing = [name for name in missing if not (config.tie_word_embeddings and name in cls.tied)]
        assert not missing and not unused, f"missing: {missing}, unused: {unused}"
        if config.tie_word_embeddings and cls.tied:
            model.lm_head.weight = model.get_input_embeddings().weight
        return model.eval()


class GenerationMixin:
    @torch.no_grad()
    def generate(self, input_ids, max_new_tokens, do_sample=False):
        for _ in range(max_new_tokens):
            logits = self(input_ids=input_ids, logits_to_keep=1).logits[:, -1]
            chosen = torch.multinomial(logits.softmax(-1), 1) if do_sample else logits.argmax(-1, keepdim=True)
            input_ids = torch.cat([input_ids, chosen], -1)
        return input_ids


def causal_attention(q, k, v, scale, window=0):
    """[B, H, T, d] each; `window`: positions that one sees, its own included."""
    T = q.shape[-2]
    distance = torch.arange(T)[:, None] - torch.arange(T)[None]
    seen = (distance >= 0) & ((distance < window) if window else torch.tensor(True))
    scores = (q @ k.transpose(-1, -2) * scale).masked_fill(~seen, float("-inf"))
    return scores.softmax(-1) @ v


def split_heads(x, heads):
    return x.unflatten(-1, (heads, -1)).transpose(-2, -3)


def join_heads(x):
    return x.transpose(-2, -3).flatten(-2)


def gelu(x):
    return 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


class Conv1D(nn.Module):
    def __init__(self, outputs, inputs):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.empty(inputs, outputs)), nn.Parameter(torch.empty(outputs))

    def forward(self, x):
        return x @ self.weight + self.bias


class GPT2Attention(nn.Module):
    def __init__(self, config, layer):
        super().__init__()
        D = config.hidden_size
        self.heads, self.c_attn, self.c_proj = config.n_head, Conv1D(3 * D, D), Conv1D(D, D)

    def forward(self, x):
        q, k, v = (split_heads(part, self.heads) for part in self.c_attn(x).chunk(3, -1))
        return self.c_proj(join_heads(causal_attention(q, k, v, q.shape[-1] ** -0.5)))


class GPTNeoAttention(nn.Module):
    def __init__(self, config, layer):
        super().__init__()
        D = config.hidden_size
        self.heads = config.num_heads
        kinds = [kind for kinds, count in config.attention_types for _ in range(count) for kind in kinds]
        self.window = config.window_size if kinds[layer] == "local" else 0
        self.attention = nn.Module()
        for name in ("k_proj", "v_proj", "q_proj", "out_proj"):
            setattr(self.attention, name, nn.Linear(D, D, bias=name == "out_proj"))

    def forward(self, x):
        a = self.attention
        q, k, v = (split_heads(part(x), self.heads) for part in (a.q_proj, a.k_proj, a.v_proj))
        return a.out_proj(join_heads(causal_attention(q, k, v, 1.0, self.window)))


class GPTBlock(nn.Module):
    def __init__(self, config, layer, attention, linear, inner):
        super().__init__()
        D, eps = config.hidden_size, config.layer_norm_epsilon
        self.ln_1, self.attn, self.ln_2 = nn.LayerNorm(D, eps), attention(config, layer), nn.LayerNorm(D, eps)
        self.mlp = nn.Module()
        self.mlp.c_fc, self.mlp.c_proj = linear(inner, D), linear(D, inner)

    def forward(self, x):
        x = x + self.attn(self.ln_1(x))
        return x + self.mlp.c_proj(gelu(self.mlp.c_fc(self.ln_2(x))))


class GPTBody(nn.Module):
    def __init__(self, config, layers, positions, block):
        super().__init__()
        self.wte = nn.Embedding(config.vocab_size, config.hidden_size)
        self.wpe = nn.Embedding(positions, config.hidden_size)
        self.h = nn.ModuleList(block(layer) for layer in range(layers))
        self.ln_f = nn.LayerNorm(config.hidden_size, config.layer_norm_epsilon)

    def get_input_embeddings(self):
        return self.wte

    def forward(self, input_ids=None, inputs_embeds=None, **kwargs):
        x = self.wte(input_ids) if inputs_embeds is None else inputs_embeds
        x = x + self.wpe(torch.arange(x.shape[1]))
        for block in self.h:
            x = block(x)
        return BaseModelOutput(self.ln_f(x))


class GPT2Model(GPTBody):
    def __init__(self, config):
        inner = config.n_inner or 4 * config.n_embd
        block = lambda layer: GPTBlock(config, layer, GPT2Attention, Conv1D, inner)
        super().__init__(config, config.n_layer, config.n_positions, block)


class GPTNeoModel(GPTBody):
    def __init__(self, config):
        inner = config.intermediate_size or 4 * config.hidden_size
        linear = lambda outputs, inputs: nn.Linear(inputs, outputs)
        block = lambda layer: GPTBlock(config, layer, GPTNeoAttention, linear, inner)
        super().__init__(config, config.num_layers, config.max_position_embeddings, block)


class RMSNorm(nn.Module):
    def __init__(self, size, eps):
        super().__init__()
        self.weight, self.eps = nn.Parameter(torch.empty(size)), eps

    def forward(self, x):
        return self.weight * x * (x.square().mean(-1, keepdim=True) + self.eps).rsqrt()


def turned(x, theta):
    """Rotary positions of [B, H, T, d]: number i goes with number i + d / 2."""
    half = x.shape[-1] // 2
    angles = torch.arange(x.shape[-2])[:, None] * theta ** -(torch.arange(half) / half)[None]
    cos, sin = angles.cos(), angles.sin()
    left, right = x[..., :half], x[..., half:]
    return torch.cat([left * cos - right * sin, right * cos + left * sin], -1)


class LlamaBlock(nn.Module):
    def __init__(self, config):
        super().__init__()
        D, size = config.hidden_size, config.head_dim
        self.config = config
        self.input_layernorm = RMSNorm(D, config.rms_norm_eps)
        self.post_attention_layernorm = RMSNorm(D, config.rms_norm_eps)
        self.self_attn, self.mlp = nn.Module(), nn.Module()
        queries, keys = config.num_attention_heads * size, config.num_key_value_heads * size
        for name, outputs in (("q_proj", queries), ("k_proj", keys), ("v_proj", keys)):
            setattr(self.self_attn, name, nn.Linear(D, outputs, bias=False))
        self.self_attn.o_proj = nn.Linear(queries, D, bias=False)
        self.mlp.gate_proj = nn.Linear(D, config.intermediate_size, bias=False)
        self.mlp.up_proj = nn.Linear(D, config.intermediate_size, bias=False)
        self.mlp.down_proj = nn.Linear(config.intermediate_size, D, bias=False)

    def forward(self, x):
        c, a, h = self.config, self.self_attn, self.input_layernorm(x)
        theta, times = c.rope_parameters["rope_theta"], c.num_attention_heads // c.num_key_value_heads
        q = turned(split_heads(a.q_proj(h), c.num_attention_heads), theta)
        k = turned(split_heads(a.k_proj(h), c.num_key_value_heads), theta).repeat_interleave(times, 1)
        v = split_heads(a.v_proj(h), c.num_key_value_heads).repeat_interleave(times, 1)
        x = x + a.o_proj(join_heads(causal_attention(q, k, v, c.head_dim**-0.5)))
        h = self.post_attention_layernorm(x)
        return x + self.mlp.down_proj(F.silu(self.mlp.gate_proj(h)) * self.mlp.up_proj(h))


class LlamaModel(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        self.layers = nn.ModuleList(LlamaBlock(config) for _ in range(config.num_hidden_layers))
        self.norm = RMSNorm(config.hidden_size, config.rms_norm_eps)

    def get_input_embeddings(self):
        return self.embed_tokens

    def forward(self, input_ids=None, inputs_embeds=None, **kwargs):
        x = self.embed_tokens(input_ids) if inputs_embeds is None else inputs_embeds
        for layer in self.layers:
            x = layer(x)
        return BaseModelOutput(self.norm(x))


class GPT2PreTrainedModel(PreTrainedModel):
    base_model_prefix, config_class = "transformer", GPT2Config


class GPTNeoPreTrainedModel(PreTrainedModel):
    base_model_prefix, config_class = "transformer", GPTNeoConfig


class LlamaPreTrainedModel(PreTrainedModel):
    base_model_prefix, config_class = "model", LlamaConfig


class PlainHead(GenerationMixin):
    tied = ("lm_head.weight",)

    def __init__(self, config):
        super().__init__(config)
        setattr(self, self.base_model_prefix, self.body_class(config))
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)

    def forward(self, input_ids, labels=None, logits_to_keep=0, **kwargs):
        h = getattr(self, self.base_model_prefix)(input_ids).last_hidden_state[:, -logits_to_keep:]
        logits, loss = self.lm_head(h), None
        if labels is not None:
            loss = F.cross_entropy(logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten(), ignore_index=-100)
        return CausalLMOutputWithPast(loss, logits)


class GPT2LMHeadModel(PlainHead, GPT2PreTrainedModel):
    body_class = GPT2Model


class GPTNeoForCausalLM(PlainHead, GPTNeoPreTrainedModel):
    body_class = GPTNeoModel


class LlamaForCausalLM(PlainHead, LlamaPreTrainedModel):
    body_class = LlamaModel


class AutoModelForCausalLM:
    @staticmethod
    def from_pretrained(folder, trust_remote_code=False):
        folder = Path(folder)
        keys = json.loads((folder / "config.json").read_text())
        if "auto_map" not in keys:
            return globals()[keys["architectures"][0]].from_pretrained(folder)
        assert trust_remote_code
        package = f"own_classes_{abs(hash(str(folder)))}"
        sys.modules[package] = types.ModuleType(package)
        sys.modules[package].__path__ = [str(folder)]
        module, name = keys["auto_map"]["AutoModelForCausalLM"].split(".")
        spec = importlib.util.spec_from_file_location(f"{package}.{module}", folder / f"{module}.py")
        loaded = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = loaded
        sys.dont_write_bytecode = True
        spec.loader.exec_module(loaded)
        assert name == keys["architectures"][0]
        return getattr(loaded, name).from_pretrained(folder)
