"""Language models with the vocabulary heads of fabula. The body is transformers' own; what is here is the head.

Every head gives log p(token | text) over the whole vocabulary, a proper distribution: `logits` of the output are those
log-probabilities, so that sampling, top-k, top-p and beams work on the joint distribution of two-level heads too.

Letters: N positions, D hidden size, V tokens. A two-level head has K + G classes: K tokens of the shortlist, which are
classes themselves, and G groups (an adaptive head's clusters), which hold the other M = V - K tokens.
"""

import torch
from torch import nn
from torch.nn import functional as F
from transformers import (
    GenerationMixin,
    GPT2Model,
    GPT2PreTrainedModel,
    GPTNeoModel,
    GPTNeoPreTrainedModel,
    LlamaModel,
    LlamaPreTrainedModel,
)
from transformers.modeling_outputs import CausalLMOutputWithPast

from .configuration_fabula import FabulaGPT2Config, FabulaGPTNeoConfig, FabulaLlamaConfig

POSITIONS_AT_ONCE = 256  # of a loss, so that it never holds the logits of all of them


def fresh_rows(config, rows, width):
    return nn.Parameter(torch.randn(rows, width) * config.initializer_range)


class FullHead(nn.Module):
    """logits = W h + bias; W is the token embedding where config.tie_word_embeddings says so."""

    def __init__(self, config):
        super().__init__()
        if not config.tie_word_embeddings:
            self.weight = fresh_rows(config, config.vocab_size, config.hidden_size)
        self.bias = nn.Parameter(torch.zeros(config.vocab_size))
        self.tied = config.tie_word_embeddings

    def log_probs(self, h, embedding):
        """log p [*, V] of h [*, D]; `embedding` [V, D] is the table of the tokens."""
        return F.log_softmax(F.linear(h, embedding if self.tied else self.weight, self.bias).float(), -1)

    def label_log_probs(self, h, labels, embedding):
        """log p(label) [N] of h [N, D]."""
        return self.log_probs(h, embedding).gather(-1, labels[:, None])[:, 0]


class TwoLevelHead(nn.Module):
    """p(v | h) = p(class | h) p(v | class, h). Which token is where stands in three buffers: `shortlist` [K], `tokens`
    [M] group by group, and `starts` [G + 1], where each group begins among those."""

    def __init__(self, config, shortlist, groups):
        super().__init__()
        self.shortlist_size, self.groups, self.rest = shortlist, groups, config.vocab_size - shortlist
        if shortlist > 0:
            self.register_buffer("shortlist", torch.zeros(shortlist, dtype=torch.int32))
        self.register_buffer("tokens", torch.zeros(self.rest, dtype=torch.int32))
        self.register_buffer("starts", torch.zeros(groups + 1, dtype=torch.int32))

    def group_and_slot(self):
        """Of each token in the order of `tokens`: its group, and its place within that. [M] each."""
        starts = self.starts.long()
        groups = torch.arange(self.groups, device=starts.device)
        group = torch.repeat_interleave(groups, starts.diff(), output_size=self.rest)
        return group, torch.arange(self.rest, device=starts.device) - starts[group]

    def tokens_by_class(self):
        """[V]: the shortlist, then the groups' tokens."""
        return torch.cat([self.shortlist, self.tokens]).long() if self.shortlist_size else self.tokens.long()

    def input_vectors(self, ids):
        """What is added to the embeddings of tokens [*]: the vector of their group [*, D], nothing in the shortlist."""
        group = torch.full((self.shortlist_size + self.rest,), -1, device=ids.device)
        group[self.tokens.long()] = self.group_and_slot()[0]
        group = group[ids]
        return self.group_vectors()[group.clamp(min=0)] * (group >= 0)[..., None]

    def log_probs(self, h, embedding):
        classes = F.log_softmax(self.class_scores(h, embedding).float(), -1)
        group, _ = self.group_and_slot()
        z = self.token_scores(h, embedding).float()
        first, second = classes[..., : self.shortlist_size], classes[..., self.shortlist_size :]
        rest = z + (second - log_sum_exp(z, group, self.groups))[..., group]
        return torch.cat([first, rest], -1)[..., self.tokens_by_class().argsort()]

    def label_log_probs(self, h, labels, embedding):
        return self.log_probs(h, embedding).gather(-1, labels[:, None])[:, 0]


class GroupedHead(TwoLevelHead):
    """The first level's score of a group is a product with its vector, or the log-sum-exp of several prototypes. The
    logits of a group's slots: scale_shift, scale[g] u + shift[g] with u = shared(h); low_rank, those plus a product of
    low rank; per_group, a row of weights a token, plus shift[g]."""

    def __init__(self, config):
        head = config.head
        super().__init__(config, head["shortlist"], head["groups"])
        hidden, self.slots = config.hidden_size, head["group_size"]
        self.prototypes, self.modulation = head["prototypes"], head["modulation"]
        self.tied_tokens = config.tie_word_embeddings and self.modulation == "per_group"
        self.tied_shortlist = config.tie_word_embeddings and self.shortlist_size > 0
        vectors = self.groups * self.prototypes
        rows = vectors + (0 if self.tied_shortlist else self.shortlist_size)
        self.group = nn.Module()  # not nn.Linear: a tied shortlist has biases here and its rows elsewhere
        self.group.weight = fresh_rows(config, rows, hidden)
        self.group.bias = nn.Parameter(torch.zeros(self.shortlist_size + vectors))
        self.shift = nn.Parameter(torch.zeros(self.groups, self.slots))
        if self.modulation == "per_group":
            if not self.tied_tokens:
                self.token = nn.Linear(hidden, self.rest, bias=False)
            return
        self.shared = nn.Linear(hidden, self.slots)
        self.scale = nn.Parameter(torch.ones(self.groups, self.slots))
        if self.modulation == "low_rank":
            down = nn.Linear(hidden, head["rank"], bias=False)
            self.low_rank = nn.ModuleDict({"down": down, "up": nn.Linear(head["rank"], self.rest, bias=False)})

    def group_vectors(self):
        return self.group.weight[0 if self.tied_shortlist else self.shortlist_size :]

    def class_scores(self, h, embedding):
        weight = self.group.weight
        if self.tied_shortlist:
            weight = torch.cat([embedding[self.shortlist.long()], weight])
        scores = F.linear(h, weight, self.group.bias)
        if self.prototypes == 1:
            return scores
        of_groups = scores[..., self.shortlist_size :].unflatten(-1, (self.groups, self.prototypes))
        return torch.cat([scores[..., : self.shortlist_size], of_groups.logsumexp(-1)], -1)

    def token_rows(self, embedding):
        """per_group: [M, D]."""
        return embedding[self.tokens.long()] if self.tied_tokens else self.token.weight

    def token_scores(self, h, embedding):
        group, slot = self.group_and_slot()
        shift = self.shift[group, slot]
        if self.modulation == "per_group":
            return F.linear(h, self.token_rows(embedding)) + shift
        z = self.shared(h)[..., slot] * self.scale[group, slot] + shift
        return z + self.low_rank["up"](self.low_rank["down"](h)) if self.modulation == "low_rank" else z

    def own_group_scores(self, h, group, embedding):
        """Logits [N, S] of the slots of one group a position; slots without a token are -inf."""
        starts, slots = self.starts.long(), torch.arange(self.slots, device=h.device)
        place = (starts[group][:, None] + slots).clamp(max=self.rest - 1)
        if self.modulation == "per_group":
            z = torch.einsum("nd,nsd->ns", h, self.token_rows(embedding)[place]) + self.shift[group]
        else:
            z = self.shared(h) * self.scale[group] + self.shift[group]
        if self.modulation == "low_rank":
            z = z + torch.einsum("nr,nsr->ns", self.low_rank["down"](h), self.low_rank["up"].weight[place])
        return z.float().masked_fill(slots >= starts.diff()[group][:, None], float("-inf"))

    def label_log_probs(self, h, labels, embedding):
        classes = F.log_softmax(self.class_scores(h, embedding).float(), -1)
        place = self.tokens_by_class().argsort()[labels] - self.shortlist_size  # below 0: of the shortlist
        group, slot = (of_all[place.clamp(min=0)] for of_all in self.group_and_slot())
        label_class = torch.where(place < 0, place, group) + self.shortlist_size
        log_p = classes.gather(-1, label_class[:, None])[:, 0]
        (inner,) = torch.where(place >= 0)
        z = F.log_softmax(self.own_group_scores(h[inner], group[inner], embedding), -1)
        within = z.gather(-1, slot[inner][:, None])[:, 0]
        return log_p.index_add(0, inner, within)


class AdaptiveHead(TwoLevelHead):
    """Adaptive softmax, as torch.nn.AdaptiveLogSoftmaxWithLoss: clusters of rarer tokens have narrower projections."""

    def __init__(self, config):
        head = config.head
        begins = head["cutoffs"]
        super().__init__(config, begins[0], len(begins))
        hidden = config.hidden_size
        self.head = nn.Linear(hidden, begins[0] + len(begins), bias=head["bias"])
        self.tail = nn.ModuleList()
        for i, (begin, end) in enumerate(zip(begins, begins[1:] + [config.vocab_size])):
            width = max(int(hidden / head["div_value"] ** (i + 1)), 1)
            down = nn.Linear(hidden, width, bias=False)
            self.tail.append(nn.Sequential(down, nn.Linear(width, end - begin, bias=head["bias"])))

    def group_vectors(self):
        return self.head.weight[self.shortlist_size :]

    def class_scores(self, h, embedding):
        return self.head(h)

    def token_scores(self, h, embedding):
        return torch.cat([tail(h) for tail in self.tail], -1)


def log_sum_exp(z, group, groups):
    """[*, G] of z [*, M], whose columns are of the groups `group` [M]."""
    index, shape = group.expand_as(z), (*z.shape[:-1], groups)
    most = z.new_full(shape, float("-inf")).scatter_reduce(-1, index, z.detach(), "amax")
    return most + z.new_zeros(shape).scatter_add(-1, index, (z - most[..., group]).exp()).log()


HEADS = {"full": FullHead, "fused": FullHead, "grouped": GroupedHead, "adaptive": AdaptiveHead}


class FabulaCausalLM:
    """What the three families share: a body of transformers, a head of the above. No tensor stands under two names."""

    def __init__(self, config):
        super().__init__(config)
        setattr(self, self.base_model_prefix, self.body_class(config))
        self.lm_head = HEADS[config.head["kind"]](config)
        self.class_input = config.head.get("class_input", False)
        self.post_init()

    def get_output_embeddings(self):
        return None  # a tied head reads the input embeddings: there is nothing to tie

    def resize_token_embeddings(self, *args, **kwargs):
        raise NotImplementedError("which token is in which group is part of the model: its vocabulary cannot change")

    def forward(
        self,
        input_ids=None,
        past_key_values=None,
        attention_mask=None,
        position_ids=None,
        inputs_embeds=None,
        labels=None,
        use_cache=None,
        logits_to_keep=0,
        num_items_in_batch=None,
        **kwargs,
    ):
        """`logits` [B, T, V] are log p(v); with `labels` there is the loss in their place, which does not need them.
        Vectors of classes are added to the embeddings of input_ids, not to inputs_embeds."""
        embedding = self.get_input_embeddings()
        if inputs_embeds is None:
            inputs_embeds = embedding(input_ids)
            if self.class_input:
                inputs_embeds = inputs_embeds + self.lm_head.input_vectors(input_ids).to(inputs_embeds.dtype)
        kwargs["return_dict"] = True
        output = getattr(self, self.base_model_prefix)(
            inputs_embeds=inputs_embeds,
            past_key_values=past_key_values,
            attention_mask=attention_mask,
            position_ids=position_ids,
            use_cache=use_cache,
            **kwargs,
        )
        h, loss, logits = output.last_hidden_state, None, None
        if labels is not None:
            loss = self.label_loss(h[:, :-1], labels[:, 1:], num_items_in_batch)
        else:
            kept = slice(-logits_to_keep, None) if isinstance(logits_to_keep, int) else logits_to_keep
            logits = self.lm_head.log_probs(h[:, kept], embedding.weight)
        return CausalLMOutputWithPast(
            loss=loss,
            logits=logits,
            past_key_values=output.past_key_values,
            hidden_states=output.hidden_states,
            attentions=output.attentions,
        )

    def label_loss(self, h, labels, num_items_in_batch=None):
        """The mean of -log p(label) over the labels that are not -100."""
        counts = labels != -100
        h, labels, embedding = h[counts], labels[counts].to(h.device), self.get_input_embeddings().weight
        parts = [
            self.lm_head.label_log_probs(rows, words, embedding)
            for rows, words in zip(h.split(POSITIONS_AT_ONCE), labels.split(POSITIONS_AT_ONCE))
        ]
        total = -torch.cat(parts).sum()
        return total / (num_items_in_batch if num_items_in_batch is not None else labels.numel())


class FabulaGPT2ForCausalLM(FabulaCausalLM, GPT2PreTrainedModel, GenerationMixin):
    config_class, body_class = FabulaGPT2Config, GPT2Model


class FabulaGPTNeoForCausalLM(FabulaCausalLM, GPTNeoPreTrainedModel, GenerationMixin):
    config_class, body_class = FabulaGPTNeoConfig, GPTNeoModel


class FabulaLlamaForCausalLM(FabulaCausalLM, LlamaPreTrainedModel, GenerationMixin):
    config_class, body_class = FabulaLlamaConfig, LlamaModel
