"""tools/convert: a checkpoint of the published layout, made of the reference model, becomes that model
again; and what quantize makes of it."""

import json
import math
import re
import struct
import subprocess
import sys

from cli_case import ROOT, SHARED, Case, Gguf, main, slm
from test_cli_quantize import metadata, tensors

CONVERT = ROOT / "tools/convert/phi4flash.py"
REFERENCE = SHARED / "golden-sambay/phi4flash-like/phi4flash-like-f32.gguf"
F32, Q8_0, BF16 = 0, 8, 30

# The published names, from the reference data's README: of all layers, then by the kind of layer.
EVERY = {"attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm",
         "ffn_up": "mlp.fc1", "ffn_down": "mlp.fc2"}
ATTENTION = {"attn_qkv": "attn.Wqkv", "attn_output": "attn.out_proj",
             "attn_subln": "attn.inner_cross_attn.subln",
             **{f"attn_lambda_{x}.weight": f"attn.inner_cross_attn.lambda_{x}"
                for x in ("q1", "k1", "q2", "k2")}}
SCAN = {"ssm_in": "attn.in_proj", "ssm_conv1d": "attn.conv1d", "ssm_x": "attn.x_proj",
        "ssm_dt": "attn.dt_proj", "ssm_a": "attn.A_log", "ssm_d": "attn.D",
        "ssm_out": "attn.out_proj"}
MEMORY = {"gmu_in": "attn.in_proj", "gmu_out": "attn.out_proj"}
LAYER = {**EVERY, **ATTENTION, **SCAN, **MEMORY}
GLOBAL = {"token_embd.weight": "model.embed_tokens.weight",
          "output_norm.weight": "model.final_layernorm.weight",
          "output_norm.bias": "model.final_layernorm.bias"}

CONFIG = {"model_type": "phi4flash", "hidden_size": 128, "num_hidden_layers": 8,
          "intermediate_size": 40, "vocab_size": 288, "num_attention_heads": 4,
          "num_key_value_heads": 2, "max_position_embeddings": 512, "layer_norm_eps": 1e-5,
          "sliding_window": 24, "mb_per_layer": 2, "mamba_d_state": 16, "mamba_d_conv": 4,
          "mamba_expand": 2, "mamba_dt_rank": 8, "tie_word_embeddings": True}


def published_name(name):
    if name in GLOBAL:
        return GLOBAL[name]
    layer, rest = re.fullmatch(r"blk\.(\d+)\.(.*)", name).groups()
    base, dot, end = rest.rpartition(".")
    found = LAYER[rest] if rest in LAYER else LAYER[base] + dot + end
    return f"model.layers.{layer}.{found}"


def floats(data, change):
    n = len(data) // 4
    return struct.pack(f"<{n}f", *(change(x) for x in struct.unpack(f"<{n}f", data)))


def upper_halves(data):
    return b"".join(data[i + 2:i + 4] for i in range(0, len(data), 4))


def strings(g, key):
    kind, at = g.values[key]
    g.at = at
    _, count = g.take("<IQ")
    return [g.text().decode("utf-8") for _ in range(count)]


class Checkpoint:
    """The reference model in the published layout: two files of tensors and an index."""

    def __init__(self, folder, as_bf16=False):
        self.folder, self.held = folder, {}
        folder.mkdir()
        for name, (kind, shape, data) in tensors(REFERENCE).items():
            assert kind == F32
            n = math.prod(shape)
            data, shape = data[:4 * n], list(reversed(shape))
            if name.endswith("ssm_a"):
                data = floats(data, lambda a: math.log(-a))
            if name.endswith("ssm_conv1d.weight"):
                shape.insert(1, 1)
            kept = name.endswith(("ssm_a", "ssm_d")) or "lambda" in name
            dtype = "F32" if kept or not as_bf16 else "BF16"
            self.held[published_name(name)] = (dtype, shape,
                                               data if dtype == "F32" else upper_halves(data))
        g = Gguf(REFERENCE)
        tokens = strings(g, "tokenizer.ggml.tokens")
        merges = strings(g, "tokenizer.ggml.merges")
        _, at = g.values["tokenizer.ggml.token_type"]
        self.kinds = struct.unpack_from(f"<{len(tokens)}i", g.data, at + 12)
        vocab = {t: i for i, t in enumerate(tokens) if self.kinds[i] == 1}
        added = [{"id": i, "content": t, "special": self.kinds[i] == 3}
                 for i, t in enumerate(tokens) if self.kinds[i] in (3, 4)]
        self.json("config.json", CONFIG)
        self.json("tokenizer.json", {"model": {"type": "BPE", "vocab": vocab,
                                               "merges": [m.split(" ") for m in merges]},
                                     "added_tokens": added})
        self.json("tokenizer_config.json", {"chat_template": "{{ messages[0]['content'] }}"})

    def json(self, name, value):
        (self.folder / name).write_text(json.dumps(value), encoding="utf-8")

    def write(self):
        names, where = sorted(self.held), {}
        for part, some in ((1, names[::2]), (2, names[1::2])):
            file, header, body = f"model-0000{part}-of-00002.safetensors", {}, b""
            for name in some:
                dtype, shape, data = self.held[name]
                header[name] = {"dtype": dtype, "shape": shape,
                                "data_offsets": [len(body), len(body) + len(data)]}
                body += data
                where[name] = file
            head = json.dumps({"__metadata__": {"format": "pt"}, **header}).encode()
            (self.folder / file).write_bytes(struct.pack("<Q", len(head)) + head + body)
        self.json("model.safetensors.index.json", {"weight_map": where})


class Convert(Case):
    def convert(self, checkpoint):
        checkpoint.write()
        self.out = self.dir / "made.gguf"
        return subprocess.run([sys.executable, "-B", CONVERT, checkpoint.folder, self.out],
                              capture_output=True, timeout=120, check=False)

    def converted(self, checkpoint):
        done = self.convert(checkpoint)
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, b"", b""))
        return tensors(self.out)

    def refused(self, checkpoint, *words):
        done = self.convert(checkpoint)
        self.assertEqual((done.returncode, done.stdout), (1, b""))
        self.assertEqual(done.stderr.count(b"\n"), 1)
        for word in words:
            self.assertIn(word, done.stderr.decode())
        self.assertEqual([p.name for p in self.dir.iterdir() if "made" in p.name], [])

    def test_the_reference_model_comes_back(self):
        got, want = self.converted(Checkpoint(self.dir / "c")), tensors(REFERENCE)
        self.assertEqual({n: t[:2] for n, t in got.items()}, {n: t[:2] for n, t in want.items()})
        for name, (_, shape, data) in want.items():
            n = math.prod(shape)
            if not name.endswith("ssm_a"):
                self.assertEqual(got[name][2][:4 * n], data[:4 * n], name)
                continue
            for a, b in zip(struct.unpack_from(f"<{n}f", got[name][2]),
                            struct.unpack_from(f"<{n}f", data)):
                self.assertAlmostEqual(a / b, 1, delta=2e-6)
        got, want = metadata(self.out), metadata(REFERENCE)
        for key in want:
            if key.startswith(("phi4flash.", "tokenizer.ggml.tokens", "tokenizer.ggml.merges",
                               "tokenizer.ggml.model", "tokenizer.ggml.pre")):
                self.assertEqual(got[key], want[key], key)
        self.assertIn(b"messages[0]['content']", got["tokenizer.chat_template"])
        shown = slm("inspect", self.out, "--plan")
        self.assertEqual(shown.status, 0, shown)
        self.assertIn(b"recurrent state", shown.out)

    def test_matrices_keep_their_type(self):
        c = Checkpoint(self.dir / "c", as_bf16=True)
        for name, (kind, shape, data) in self.converted(c).items():
            small = len(shape) == 1 or name.endswith(("ssm_a", "ssm_conv1d.weight"))
            self.assertEqual(kind, F32 if small else BF16, name)
            dtype, _, held = c.held[published_name(name)]
            if not small:
                self.assertEqual(data[:len(held)], held, name)
            elif dtype == "BF16":
                self.assertEqual(upper_halves(data[:2 * len(held)]), held, name)
        self.assertEqual(slm("inspect", self.out).status, 0)

    def test_quantized(self):
        self.converted(Checkpoint(self.dir / "c"))
        small = self.dir / "small.gguf"
        done = slm("quantize", self.out, small, "q8_0")
        self.assertEqual(done.status, 0, done)
        kinds = {name: kind for name, (kind, _, _) in tensors(small).items()}
        for name, kind in kinds.items():
            if re.search(r"(norm|subln|lambda_..)\.weight$|\.bias$|ssm_(a|d|conv1d\.weight)$", name):
                self.assertEqual(kind, F32, name)
        for name in ("blk.0.ssm_in.weight", "blk.0.ssm_x.weight", "blk.1.attn_qkv.weight",
                     "blk.6.gmu_out.weight", "token_embd.weight"):
            self.assertEqual(kinds[name], Q8_0, name)
        self.assertEqual(slm("inspect", small).status, 0)

    def test_refused(self):
        def changed(change):
            c = Checkpoint(self.dir / f"c{len(list(self.dir.iterdir()))}")
            change(c)
            return c
        down = "model.layers.3.mlp.fc2.weight"
        self.refused(changed(lambda c: c.held.pop(down)), f"tensor {down} is missing")
        self.refused(changed(lambda c: c.held.update({down: ("F32", [40, 128], bytes(20480))})),
                     down, "got shape (40, 128), wanted (128, 40)")
        self.refused(changed(lambda c: c.held.update({"model.other": ("F32", [1], bytes(4))})),
                     "tensor model.other is not part")
        self.refused(changed(lambda c: c.held.update({down: ("F32", [128, 40], bytes(4))})), down)
        self.refused(changed(lambda c: c.held.update({down: ("I8", [128, 40], bytes(5120))})),
                     down, "got type 'I8'")
        self.refused(changed(lambda c: c.json("config.json", {"model_type": "phi3"})),
                     "model_type: got 'phi3', wanted 'phi4flash'")
        self.refused(changed(lambda c: (c.folder / "tokenizer.json").unlink()),
                     "tokenizer.json is missing")

    def refused_file(self, name, old, new, *words):
        """One of the JSON files, with a text in it replaced."""
        c = Checkpoint(self.dir / f"c{len(list(self.dir.iterdir()))}")
        path = c.folder / name
        data = path.read_text(encoding="utf-8")
        self.assertIn(old, data)
        path.write_text(data.replace(old, new, 1), encoding="utf-8")
        with self.subTest(name=name, new=new[:40]):
            self.refused(c, name, *words)

    def test_refused_numbers_of_the_configuration(self):
        def config(old, new, *words):
            self.refused_file("config.json", old, new, *words)
        config('"hidden_size": 128', '"hidden_size": "128"',
               "hidden_size: got '128', wanted a whole number from 1")
        config('"num_hidden_layers": 8', '"num_hidden_layers": 4000000000',
               "num_hidden_layers: got 4000000000")
        config('"vocab_size": 288', '"vocab_size": -1', "vocab_size: got -1")
        config('"num_attention_heads": 4', '"num_attention_heads": 0', "num_attention_heads: got 0")
        config('"num_attention_heads": 4, ', "", "num_attention_heads is missing")
        config("1e-05", '"small"', "layer_norm_eps: got 'small', wanted a number from 0 to 1")
        config("1e-05", "1e300", "layer_norm_eps: got 1e+300")
        config("1e-05", "NaN", "layer_norm_eps: got nan")
        config('"sliding_window": 24', '"sliding_window": [[24], [24]]', "sliding_window: got [24]")
        config('"sliding_window": 24', '"sliding_window": [null, 24, 32]', "wanted one size")
        config('"mamba_dt_rank": 8', '"mamba_dt_rank": 8.5', "mamba_dt_rank: got 8.5")
        config('"mamba_expand": 2', '"mamba_expand": true', "mamba_expand: got True")
        config('"mamba_expand": 2', '"eos_token_id": "</s>"', "eos_token_id: got '</s>'")
        config('"mamba_expand": 2', '"bos_token_id": []', "bos_token_id: got []")
        config('"phi4flash"', '["' + "x" * 5000 + '"]', "xxx..., wanted 'phi4flash'")

    def test_refused_files(self):
        def changed(change):
            c = Checkpoint(self.dir / f"c{len(list(self.dir.iterdir()))}")
            change(c)
            return c
        self.refused(changed(lambda c: c.json("config.json", [1])), "config.json: got [1]",
                     "wanted an object")
        self.refused(changed(lambda c: (c.folder / "config.json").write_text("[" * 200000)),
                     "config.json")
        self.refused_file("tokenizer.json", '"type": "BPE"', '"type": 3', "got 3, wanted 'BPE'")
        self.refused_file("tokenizer.json", '"vocab": {', '"vocab": 1, "other": {', "vocab: got 1")
        self.refused_file("tokenizer.json", '"vocab": {', '"vocab": {"xyzzy": "y", ',
                          "the id of token 'xyzzy': got 'y'")
        self.refused_file("tokenizer.json", '"vocab": {', '"vocab": {"\\ud800": 1, ',
                          "a token: got")
        self.refused_file("tokenizer.json", '"merges": [', '"merges": [[1, 2], ', "merges: got 1")
        self.refused(changed(lambda c: c.json("tokenizer_config.json", {"chat_template": 7})),
                     "chat_template: got 7")

    def test_refused_tensors(self):
        def tensor(name, kind, shape, data, *words):
            c = Checkpoint(self.dir / f"c{len(list(self.dir.iterdir()))}")
            c.held[name] = (kind, shape, data)
            with self.subTest(name=name, kind=kind, shape=shape, start=data[:4]):
                self.refused(c, name, *words)
        logs = "model.layers.0.attn.A_log"
        for x, words in ((100, "got 100"), (3e38, "got 3e+38"), (math.inf, "got inf"),
                         (math.nan, "got nan")):
            data = struct.pack("<f", x) + bytes(4 * (256 * 16 - 1))
            tensor(logs, "F32", [256, 16], data, words, "wanted logarithms below 88.7")
        tensor(logs, "F32", ["256", 16], bytes(16384), "wanted dtype, shape and data_offsets")
        tensor(logs, "F32", [-256, -16], bytes(16384), "wanted dtype, shape and data_offsets")
        tensor(logs, ["F32"], [256, 16], bytes(16384), "got type ['F32']")


if __name__ == "__main__":
    main()
