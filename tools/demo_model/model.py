"""A small Llama: RMSNorm, rotary positions, grouped-query attention, SwiGLU, tied embeddings."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn


@dataclass
class Config:
    """Sizes of the model; every row length is a multiple of 256."""

    vocab: int = 2048
    width: int = 256
    layers: int = 5
    heads: int = 4
    kv_heads: int = 2
    head_dim: int = 64
    hidden: int = 512
    context: int = 1024
    theta: float = 10000.0
    eps: float = 1e-5


class Norm(nn.Module):
    """RMS norm with a learned scale."""

    def __init__(self, width, eps):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.eps = eps

    def forward(self, x):
        return F.rms_norm(x.float(), self.weight.shape, self.weight, self.eps)


def rotation(config):
    """Cosines and sines of every position, one per adjacent pair of a head's values."""
    pair = torch.arange(0, config.head_dim, 2).float() / config.head_dim
    angle = torch.outer(torch.arange(config.context).float(), config.theta ** -pair)
    return angle.cos(), angle.sin()


def rotate(x, cos, sin):
    """Rotate the adjacent pairs (2j, 2j+1) of each head.

    This is the pairing that GGUF files of architecture "llama" are read with, so the
    rows of attn_q and attn_k are exported as they are, without a permutation.
    """
    even, odd = x[..., 0::2], x[..., 1::2]
    return torch.stack((even * cos - odd * sin, even * sin + odd * cos), -1).flatten(-2)


def attend(q, k, v):
    """Causal attention; the query heads of a group share one key and value head.

    Written out, because at these lengths it is several times faster on a processor
    than torch's own fused function.
    """
    batch, heads, length, dim = q.shape
    shared = k.shape[1]
    q = q.reshape(batch, shared, -1, dim)
    scores = (q @ k.transpose(-1, -2)).view(batch, shared, -1, length, length)
    future = torch.full((length, length), float("-inf"), dtype=scores.dtype).triu(1)
    weights = (scores * dim ** -0.5 + future).softmax(-1).to(v.dtype)
    mixed = weights.view(batch, shared, -1, length) @ v
    return mixed.view(batch, heads, length, dim).transpose(1, 2).reshape(batch, length, -1)


class Block(nn.Module):
    """One layer."""

    def __init__(self, c):
        super().__init__()
        self.c = c
        self.attn_norm, self.ffn_norm = Norm(c.width, c.eps), Norm(c.width, c.eps)
        self.attn_q = nn.Linear(c.width, c.heads * c.head_dim, bias=False)
        self.attn_k = nn.Linear(c.width, c.kv_heads * c.head_dim, bias=False)
        self.attn_v = nn.Linear(c.width, c.kv_heads * c.head_dim, bias=False)
        self.attn_output = nn.Linear(c.heads * c.head_dim, c.width, bias=False)
        self.ffn_gate = nn.Linear(c.width, c.hidden, bias=False)
        self.ffn_up = nn.Linear(c.width, c.hidden, bias=False)
        self.ffn_down = nn.Linear(c.hidden, c.width, bias=False)

    def forward(self, x, cos, sin):
        c, (batch, length, _) = self.c, x.shape
        h = self.attn_norm(x)
        q = self.attn_q(h).view(batch, length, c.heads, c.head_dim).transpose(1, 2)
        k = self.attn_k(h).view(batch, length, c.kv_heads, c.head_dim).transpose(1, 2)
        v = self.attn_v(h).view(batch, length, c.kv_heads, c.head_dim).transpose(1, 2)
        q, k = rotate(q, cos, sin).to(v.dtype), rotate(k, cos, sin).to(v.dtype)
        x = x + self.attn_output(attend(q, k, v))
        h = self.ffn_norm(x)
        return x + self.ffn_down(F.silu(self.ffn_gate(h)) * self.ffn_up(h))


class Llama(nn.Module):
    """The whole model; parameters carry the names of the GGUF tensors, "blk.0.attn_q.weight"."""

    def __init__(self, config):
        super().__init__()
        self.config = config
        self.token_embd = nn.Embedding(config.vocab, config.width)
        self.blk = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.output_norm = Norm(config.width, config.eps)
        cos, sin = rotation(config)
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)
        for name, p in self.named_parameters():
            if p.dim() == 2:
                deep = name.endswith(("attn_output.weight", "ffn_down.weight"))
                nn.init.normal_(p, std=0.04 / (2 * config.layers) ** 0.5 if deep else 0.04)

    def hidden(self, tokens):
        """The normed state of each position."""
        length = tokens.shape[1]
        x, cos, sin = self.token_embd(tokens), self.cos[:length], self.sin[:length]
        for block in self.blk:
            x = block(x, cos, sin)
        return self.output_norm(x)

    def logits(self, state):
        """Scores of the next token; the embedding table is the output matrix too."""
        return F.linear(state, self.token_embd.weight)


def mean_of(paths):
    """Saved models as one: the mean of their weights."""
    saved = [torch.load(path, map_location="cpu", weights_only=True) for path in paths]
    for name in saved[0]["weights"]:
        saved[0]["weights"][name] = sum(s["weights"][name] for s in saved) / len(saved)
    return saved[0]
