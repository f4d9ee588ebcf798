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

from checkpoint import Failure, Tokenizer, chat_template, read_json, read_tensors, shown, whole
from gguf_out import BOOL, F32, FLOAT, I32, STRING, TYPES, U32, Writer

ARCH = "phi4flash"
SCAN, WINDOW, FULL, MEMORY, CROSS = range(5)
MAX_LAYERS, MAX_TOKENS, MAX_SIZE, MAX_CONTEXT = 1 << 10, 1 << 24, 1 << 24, (1 << 32) - 1


def kind_of(layer, n_layers):
    half = n_layers // 2
    if layer % 2 == 0:
        return SCAN if layer <= half else MEMORY
    return WINDOW if layer < half else FULL if layer == half + 1 else CROSS


class Shape:
    """The numbers of config.json."""

    def __init__(self, c):
        if c.get("model_type") != ARCH:
            raise Failure(f"config.json: model_type: got {shown(c.get('model_type'))}, "
                          f"wanted {ARCH!r}")
        if c.get("mb_per_layer", 2) != 2 or not c.get("tie_word_embeddings", True):
            raise Failure("config.json: wanted mb_per_layer 2 and tie_word_embeddings true")

        def number(key, high=MAX_SIZE, default=None):
            got = c.get(key, default)
            if got is None:
                raise Failure(f"config.json: {key} is missing")
            return whole(f"config.json: {key}", got, 1, high)

        self.d, self.d_ff = number("hidden_size"), number("intermediate_size")
        self.n_layers = number("num_hidden_layers", MAX_LAYERS)
        self.n_vocab = number("vocab_size", MAX_TOKENS)
        self.n_heads, self.n_kv = number("num_attention_heads"), number("num_key_value_heads")
        self.n_ctx = number("max_position_embeddings", MAX_CONTEXT)
        self.eps = c.get("layer_norm_eps")
        if type(self.eps) not in (int, float) or not 0 <= self.eps < 1:
            raise Failure(f"config.json: layer_norm_eps: got {shown(self.eps)}, wanted a number "
                          "from 0 to 1")
        self.window = self.one_window(c.get("sliding_window"))
        if self.n_layers % 4 != 0 or self.d % self.n_heads != 0:
            raise Failure(f"config.json: got {self.n_layers} layers and {self.n_heads} heads of "
                          f"{self.d} elements, wanted multiples of 4 layers and whole heads")
        self.d_head = self.d // self.n_heads
        self.d_inner = number("mamba_expand", 64, 2) * self.d
        self.d_state = number("mamba_d_state", default=16)
        self.n_conv = number("mamba_d_conv", default=4)
        self.dt_rank = (-(-self.d // 16) if c.get("mamba_dt_rank", "auto") == "auto"
                        else number("mamba_dt_rank"))
        self.kinds = [kind_of(i, self.n_layers) for i in range(self.n_layers)]

    @staticmethod
    def one_window(got):
        """One number, or a list with the same number for each layer that has a window."""
        sizes = [n for n in got if n] if isinstance(got, list) else [got]
        if not sizes or sizes.count(sizes[0]) != len(sizes):
            raise Failure(f"config.json: sliding_window: got {shown(got)}, wanted one size")
        return whole("config.json: sliding_window", sizes[0], 1, MAX_CONTEXT)


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


def negative_exp(name, data):
    n = len(data) // 4
    values = struct.unpack(f"<{n}f", data)
    for x in values:
        if not x < 88.7:  # beyond that F32 has no exponential; no NaN either
            raise Failure(f"tensor {name}: got {x:g}, wanted logarithms below 88.7")
    return struct.pack(f"<{n}f", *(-math.exp(x) for x in values))


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
            out.tensor(name, ne, F32, 4 * t.n, lambda t=t: [negative_exp(t.name, t.floats())])
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
        value = value[0] if isinstance(value, list) and value else value
        if value is not None:
            out.key(f"tokenizer.ggml.{name}", U32,
                    whole(f"config.json: {key}", value, 0, s.n_vocab - 1))
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
        print("phi4flash.py:", " ".join(str(e).split()), file=sys.stderr)  # names may have lines
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
