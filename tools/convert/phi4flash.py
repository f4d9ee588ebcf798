"""Phi-4-mini-flash: a published checkpoint (safetensors, configuration, tokenizer) to a GGUF.

    python3 tools/convert/phi4flash.py CHECKPOINT OUT.gguf

Matrices keep their type, so that the file is as large as the checkpoint; `slm quantize` makes it
smaller. Small tensors become F32. Needs nothing but Python, and 300 MB of memory at full size.
"""

import argparse
import math
import os
import struct
import sys
from pathlib import Path

from checkpoint import Failure, Tokenizer, chat_template, read_json, read_tensors
from gguf_out import BOOL, F32, FLOAT, I32, STRING, TYPES, U32, Writer

ARCH = "phi4flash"
SCAN, WINDOW, FULL, MEMORY, CROSS = range(5)


def kind_of(layer, n_layers):
    half = n_layers // 2
    if layer % 2 == 0:
        return SCAN if layer <= half else MEMORY
    return WINDOW if layer < half else FULL if layer == half + 1 else CROSS


class Shape:
    """The numbers of config.json."""

    def __init__(self, c):
        if c.get("model_type") != ARCH:
            raise Failure(f"config.json: model_type: got {c.get('model_type')!r}, wanted {ARCH!r}")
        if c.get("mb_per_layer", 2) != 2 or not c.get("tie_word_embeddings", True):
            raise Failure("config.json: wanted mb_per_layer 2 and tie_word_embeddings true")
        try:
            self.d, self.n_layers = c["hidden_size"], c["num_hidden_layers"]
            self.d_ff, self.n_vocab = c["intermediate_size"], c["vocab_size"]
            self.n_heads, self.n_kv = c["num_attention_heads"], c["num_key_value_heads"]
            self.n_ctx, self.eps = c["max_position_embeddings"], c["layer_norm_eps"]
            self.window = self.one_window(c["sliding_window"])
        except KeyError as e:
            raise Failure(f"config.json: {e.args[0]} is missing") from e
        if self.n_layers % 4 != 0 or self.d % self.n_heads != 0:
            raise Failure(f"config.json: got {self.n_layers} layers and {self.n_heads} heads of "
                          f"{self.d} elements, wanted multiples of 4 layers and whole heads")
        self.d_head = self.d // self.n_heads
        self.d_inner = c.get("mamba_expand", 2) * self.d
        self.d_state, self.n_conv = c.get("mamba_d_state", 16), c.get("mamba_d_conv", 4)
        rank = c.get("mamba_dt_rank", "auto")
        self.dt_rank = -(-self.d // 16) if rank == "auto" else rank
        self.kinds = [kind_of(i, self.n_layers) for i in range(self.n_layers)]

    def one_window(self, got):
        """One number, or a list with the same number for each layer that has a window."""
        sizes = {n for n in got if n} if isinstance(got, list) else {got}
        if len(sizes) != 1 or not isinstance(*sizes, int):
            raise Failure(f"config.json: sliding_window: got {got!r}, wanted one size")
        return sizes.pop()


def names_of_layer(s, i):
    """(name in GGUF, name in the checkpoint, its shape there) of a layer."""
    attn, kind = f"model.layers.{i}.attn.", s.kinds[i]
    out = [(f"{a}.{p}", f"model.layers.{i}.{b}.{p}", (s.d,)) for p in ("weight", "bias")
           for a, b in (("attn_norm", "input_layernorm"), ("ffn_norm", "post_attention_layernorm"))]
    out += [("ffn_up.weight", f"model.layers.{i}.mlp.fc1.weight", (2 * s.d_ff, s.d)),
            ("ffn_down.weight", f"model.layers.{i}.mlp.fc2.weight", (s.d, s.d_ff))]
    if kind == SCAN:
        out += [("ssm_in.weight", attn + "in_proj.weight", (2 * s.d_inner, s.d)),
                ("ssm_conv1d.weight", attn + "conv1d.weight", (s.d_inner, 1, s.n_conv)),
                ("ssm_conv1d.bias", attn + "conv1d.bias", (s.d_inner,)),
                ("ssm_x.weight", attn + "x_proj.weight", (s.dt_rank + 2 * s.d_state, s.d_inner)),
                ("ssm_dt.weight", attn + "dt_proj.weight", (s.d_inner, s.dt_rank)),
                ("ssm_dt.bias", attn + "dt_proj.bias", (s.d_inner,)),
                ("ssm_a", attn + "A_log", (s.d_inner, s.d_state)),
                ("ssm_d", attn + "D", (s.d_inner,)),
                ("ssm_out.weight", attn + "out_proj.weight", (s.d, s.d_inner))]
    elif kind == MEMORY:
        out += [("gmu_in.weight", attn + "in_proj.weight", (s.d_inner, s.d)),
                ("gmu_out.weight", attn + "out_proj.weight", (s.d, s.d_inner))]
    else:
        rows = (s.n_heads + (0 if kind == CROSS else 2 * s.n_kv)) * s.d_head
        inner = attn + "inner_cross_attn."
        out += [("attn_qkv.weight", attn + "Wqkv.weight", (rows, s.d)),
                ("attn_qkv.bias", attn + "Wqkv.bias", (rows,)),
                ("attn_output.weight", attn + "out_proj.weight", (s.d, s.n_heads * s.d_head)),
                ("attn_output.bias", attn + "out_proj.bias", (s.d,)),
                ("attn_subln.weight", inner + "subln.weight", (2 * s.d_head,))]
        out += [(f"attn_lambda_{x}.weight", inner + f"lambda_{x}", (s.d_head,))
                for x in ("q1", "k1", "q2", "k2")]
    return [(f"blk.{i}.{a}", b, shape) for a, b, shape in out]


def names_of_model(s):
    out = [("token_embd.weight", "model.embed_tokens.weight", (s.n_vocab, s.d))]
    for i in range(s.n_layers):
        out += names_of_layer(s, i)
    return out + [(f"output_norm.{p}", f"model.final_layernorm.{p}", (s.d,))
                  for p in ("weight", "bias")]


def negative_exp(data):
    n = len(data) // 4
    return struct.pack(f"<{n}f", *(-math.exp(x) for x in struct.unpack(f"<{n}f", data)))


def add_tensors(out, s, tensors):
    unused = set(tensors) - {"lm_head.weight"}  # tied
    for name, source, shape in names_of_model(s):
        t = tensors.get(source)
        if t is None:
            raise Failure(f"tensor {source} is missing")
        if t.shape != shape:
            raise Failure(f"tensor {source}: got shape {t.shape}, wanted {shape}")
        unused.discard(source)
        ne = tuple(n for n in reversed(shape) if n != 1 or len(shape) < 3)
        if name.endswith(".ssm_a"):
            out.tensor(name, ne, F32, 4 * t.n, lambda t=t: [negative_exp(t.floats())])
        elif len(ne) == 1 or name.endswith((".ssm_d", ".ssm_conv1d.weight")):
            out.tensor(name, ne, F32, 4 * t.n, lambda t=t: [t.floats()])
        else:
            out.tensor(name, ne, TYPES[t.dtype], t.bytes, t.pieces)
    if unused:
        raise Failure(f"tensor {min(unused)} is not part of the architecture")


def add_keys(out, s, config, folder):
    out.key("general.architecture", STRING, ARCH)
    out.key("general.name", STRING, folder.resolve().name)
    counts = {"vocab_size": s.n_vocab, "context_length": s.n_ctx, "embedding_length": s.d,
              "block_count": s.n_layers, "feed_forward_length": s.d_ff,
              "attention.head_count": s.n_heads, "attention.head_count_kv": s.n_kv,
              "attention.sliding_window": s.window, "ssm.conv_kernel": s.n_conv,
              "ssm.inner_size": s.d_inner, "ssm.state_size": s.d_state,
              "ssm.time_step_rank": s.dt_rank}
    for name, value in counts.items():
        out.key(f"{ARCH}.{name}", U32, value)
    out.key(f"{ARCH}.attention.layer_norm_epsilon", FLOAT, s.eps)
    out.key(f"{ARCH}.attention.layer_norm_rms_epsilon", FLOAT, 1e-5)  # of the pairs, a constant
    out.array(f"{ARCH}.layer_types", I32, s.kinds)

    t = Tokenizer(folder, s.n_vocab)
    out.key("tokenizer.ggml.model", STRING, "gpt2")
    out.key("tokenizer.ggml.pre", STRING, "gpt-4o")
    out.array("tokenizer.ggml.tokens", STRING, t.tokens)
    out.array("tokenizer.ggml.token_type", I32, t.kinds)
    out.array("tokenizer.ggml.merges", STRING, t.merges)
    for name, key in (("bos_token_id", "bos_token_id"), ("eos_token_id", "eos_token_id"),
                      ("padding_token_id", "pad_token_id")):
        value = config.get(key)
        value = value[0] if isinstance(value, list) else value
        if value is not None:
            out.key(f"tokenizer.ggml.{name}", U32, value)
    out.key("tokenizer.ggml.add_bos_token", BOOL, False)
    template = chat_template(folder)
    if template is not None:
        out.key("tokenizer.chat_template", STRING, template)


def convert(folder, target):
    """Writes beside the target and renames: a file of that name is whole, or not there."""
    config = read_json(folder / "config.json")
    s, out = Shape(config), Writer()
    add_keys(out, s, config, folder)
    add_tensors(out, s, read_tensors(folder))
    partial = target.with_name(target.name + ".partial")
    try:
        out.write(partial)
        os.replace(partial, target)
    finally:
        partial.unlink(missing_ok=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint", type=Path, help="folder of the checkpoint")
    parser.add_argument("out", type=Path, help="the GGUF to write")
    a = parser.parse_args()
    try:
        convert(a.checkpoint, a.out)
    except (Failure, OSError) as e:
        print(f"phi4flash.py: {e}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
