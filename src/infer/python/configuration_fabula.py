"""Configs of models that fabula has trained with a vocabulary head of its own.

A config is its family's, and `head`: kind, sizes and switches of the head, as fabula's config.json has them.
fabula describes them in docs/heads.md.
"""

from transformers import GPT2Config, GPTNeoConfig, LlamaConfig


class FabulaGPT2Config(GPT2Config):
    model_type = "fabula_gpt2"


class FabulaGPTNeoConfig(GPTNeoConfig):
    model_type = "fabula_gpt_neo"


class FabulaLlamaConfig(LlamaConfig):
    model_type = "fabula_llama"
