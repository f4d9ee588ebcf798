"""logits: the golden models, batches, LongRoPE, and the file that is whole or not there."""

import json
import math
import os
import sys
from array import array

from cli_case import SHARED, STORIES, Case, Gguf, golden_text, main, slm

GOLDEN = SHARED / "golden"
MODELS = ("llama-1b-like", "llama2-like", "phi3-mini-4k-like", "phi3-128k-like", "phi4-mini-like",
          "qwen2-untied-like", "qwen3-like", "bitnet-like")


def floats(path):
    values = array("f")
    values.frombytes(path.read_bytes())
    if sys.byteorder == "big":
        values.byteswap()
    return values


def rows_of(values, width):
    return [values[i:i + width] for i in range(0, len(values), width)]


def log_softmax(row):
    top = max(row)
    norm = top + math.log(sum(math.exp(x - top) for x in row))
    return [x - norm for x in row]


def compare(want, got, std):
    """max, rms, mean KL and the share of equal best tokens (shared/golden/README.md)."""
    worst = total = count = kl = same = 0
    for a, b in zip(want, got):
        difference = [(x - y) / std for x, y in zip(a, b)]
        worst = max(worst, max(map(abs, difference)))
        total += sum(x * x for x in difference)
        count += len(difference)
        p, q = log_softmax(a), log_softmax(b)
        kl += sum(math.exp(x) * (x - y) for x, y in zip(p, q))
        same += max(range(len(a)), key=a.__getitem__) == max(range(len(b)), key=b.__getitem__)
    return worst, math.sqrt(total / count), kl / len(want), same / len(want)


class Golden(Case):
    def logits(self, model, ids, width, *options):
        out = self.dir / "out.f32"
        ids_file = self.file("ids.json", json.dumps(ids).encode())
        self.done(slm("logits", model, "--ids-file", ids_file, "-o", out, *options), b"")
        values = floats(out)
        self.assertEqual(len(values), len(ids) * width)
        return rows_of(values, width)

    def check(self, model, info, entry, kind, kv):
        tolerance = info["tolerance"].get(kind)
        if kind == "f32" and entry.get("flip_margin", 1) <= 2e-5:
            return
        ids = json.loads((GOLDEN / model["name"] / "ids.json").read_text())[entry["seq"]]
        want = rows_of(floats(GOLDEN / model["name"] / entry["file"]), model["n_vocab"])
        options = ["--kv", kv]
        if "rope_factors" in entry:
            options += ["--rope-factors", entry["rope_factors"]]
        got = self.logits(GOLDEN / model["name"] / info["gguf"], ids, model["n_vocab"], *options)
        if entry["rows"] != "all":
            got = [got[i] for i in entry["rows"]]
        worst, rms, kl, top1 = compare(want, got, entry["std"])
        self.assertLessEqual(worst, tolerance["max"])
        self.assertLessEqual(rms, tolerance["rms"])
        self.assertLessEqual(kl, tolerance["kl_mean"])
        if len(want) >= 12:
            self.assertGreaterEqual(top1, tolerance["top1"])

    def test_f32_files(self):
        index = json.loads((GOLDEN / "index.json").read_text())
        seen = 0
        for model in index["models"]:
            if model["name"] not in MODELS:
                continue
            info = next(x for x in model["files"] if x["gguf"].endswith("-f32.gguf"))
            for entry in info["logits"]:
                if entry.get("activations") == "exact":
                    continue
                with self.subTest(entry["file"]):
                    self.check(model, info, entry, "f32", "f32")
                    seen += 1
        self.assertGreater(seen, 20)

    def test_quantised_and_cache_types(self):
        index = json.loads((GOLDEN / "index.json").read_text())
        for name, file, kind, kv in (
                ("llama-1b-like", "llama-1b-like-f32.gguf", "kv_f16", "f16"),
                ("llama-1b-like", "llama-1b-like-f32.gguf", "kv_q8_0", "q8_0"),
                ("llama-1b-like", "llama-1b-like-q4_k_m.gguf", "int8_act+kv_f16", "f16"),
                ("llama-types", "llama-types-q8_0.gguf", "int8_act+kv_f16", "f16"),
                ("qwen2-untied-like", "qwen2-untied-like-f16.gguf", "int8_act+kv_f16", "f16")):
            model = next(x for x in index["models"] if x["name"] == name)
            info = next(x for x in model["files"] if x["gguf"] == file)
            for entry in info["logits"]:
                with self.subTest(file, kv=kv, seq=entry["seq"]):
                    self.check(model, info, entry, kind, kv)

    def test_auto_takes_the_long_factors_beyond_the_original_context(self):
        folder = GOLDEN / "phi3-128k-like"
        sequences = json.loads((folder / "ids.json").read_text())
        width = 288
        for name, rule in (("edge64", "short"), ("edge65", "long")):
            ids = sequences[name]
            auto = self.logits(folder / "phi3-128k-like-f32.gguf", ids, width)
            forced = self.logits(folder / "phi3-128k-like-f32.gguf", ids, width,
                                 "--rope-factors", rule)
            other = self.logits(folder / "phi3-128k-like-f32.gguf", ids, width, "--rope-factors",
                                "long" if rule == "short" else "short")
            self.assertEqual(auto, forced)
            self.assertNotEqual(auto, other)

    def test_the_story(self):
        golden = golden_text()
        ids = (golden["prompt_ids"] + golden["new_ids"])[:32]
        want = rows_of(floats(SHARED / "models/stories260K.first32.f32"), 512)
        got = self.logits(STORIES, ids, 512, "--kv", "f32")
        flat = [x for row in want for x in row]
        mean = sum(flat) / len(flat)
        std = math.sqrt(sum((x - mean) ** 2 for x in flat) / len(flat))
        worst, rms, kl, top1 = compare(want, got, std)
        self.assertLessEqual(worst, 5e-4)
        self.assertLessEqual(rms, 5e-5)
        self.assertLessEqual(kl, 1e-6)
        self.assertEqual(top1, 1)


class Runs(Case):
    def setUp(self):
        super().setUp()
        golden = golden_text()
        self.ids = ",".join(map(str, golden["prompt_ids"] + golden["new_ids"]))
        self.n = len(golden["prompt_ids"] + golden["new_ids"])

    def bytes_of(self, *options):
        out = self.dir / "out.f32"
        self.done(slm("logits", STORIES, "--ids", self.ids, "-o", out, *options), b"")
        return out.read_bytes()

    def test_batches_and_threads_do_not_change_a_bit(self):
        want = self.bytes_of()
        self.assertEqual(len(want), self.n * 512 * 4)
        for options in (["--batch", "1"], ["--batch", "7"], ["--batch", "100000"], ["-t", "1"],
                        ["-t", "3", "--batch", "64"], ["--load", "read"], ["-c", "300"]):
            with self.subTest(options):
                self.assertEqual(self.bytes_of(*options), want)
        self.assertNotEqual(self.bytes_of("--kv", "q8_0"), want)

    def test_forms_of_ids(self):
        want = self.dir / "want.f32"
        self.done(slm("logits", STORIES, "--ids", "1,403", "-o", want), b"")
        for ids in ("[1, 403]", "1 403", " 1\n403 "):
            out = self.dir / "out.f32"
            self.done(slm("logits", "--ids", ids, "-o", out, STORIES), b"")
            self.assertEqual(out.read_bytes(), want.read_bytes())
        out = self.dir / "stdin.f32"
        self.done(slm("logits", STORIES, "--ids-file", "-", "-o", out, data=b"[1,403]\n"), b"")
        self.assertEqual(out.read_bytes(), want.read_bytes())

    def test_more_ids_than_the_context(self):
        many = ",".join(["1"] * 513)
        out = self.dir / "out.f32"
        self.fails(slm("logits", STORIES, "--ids", many, "-o", out), 1, "513", "512")
        self.fails(slm("logits", STORIES, "--ids", "1,2,3", "-c", "2", "-o", out), 1, "3", "2")
        self.assertEqual(list(self.dir.iterdir()), [])

    def test_beyond_4096_the_context_grows_by_itself(self):
        g = Gguf(STORIES)
        g.set_u32("llama.context_length", 5000)
        model, out = self.file("m.gguf", bytes(g.data)), self.dir / "out.f32"
        ids = self.file("ids", b"1 " * 4100)
        self.done(slm("logits", model, "--ids-file", ids, "-o", out), b"")
        self.assertEqual(out.stat().st_size, 4100 * 512 * 4)

    def test_ids_outside_the_vocabulary(self):
        out = self.dir / "out.f32"
        for ids in ("512", "1,-1"):
            self.fails(slm("logits", STORIES, f"--ids={ids}", "-o", out), 1, "stories260K.gguf")
        self.assertEqual(list(self.dir.iterdir()), [])

    def test_bad_files_of_ids(self):
        out = self.dir / "out.f32"
        self.fails(slm("logits", STORIES, "--ids-file", self.dir / "no", "-o", out), 1, "no")
        for text in (b"", b"1 x", b"[1"):
            ids = self.file("ids", text)
            self.fails(slm("logits", STORIES, "--ids-file", ids, "-o", out), 1, "ids")
        self.assertFalse(out.exists())


class Output(Case):
    def run_to(self, out, *options):
        return slm("logits", STORIES, "--ids", "1,2", "-o", out, *options)

    def test_replaces_a_file_and_keeps_its_mode(self):
        out = self.file("out.f32", b"old")
        out.chmod(0o640)
        self.done(self.run_to(out), b"")
        self.assertEqual(out.stat().st_size, 2 * 512 * 4)
        self.assertEqual(out.stat().st_mode & 0o777, 0o640)
        self.assertEqual([x.name for x in self.dir.iterdir()], ["out.f32"])

    def test_follows_a_link(self):
        target = self.file("target", b"old")
        (self.dir / "link").symlink_to("target")
        self.done(self.run_to(self.dir / "link"), b"")
        self.assertTrue((self.dir / "link").is_symlink())
        self.assertEqual(target.stat().st_size, 2 * 512 * 4)

    def test_places_that_cannot_be_written(self):
        self.fails(self.run_to(self.dir), 1, self.dir.name)
        self.fails(self.run_to(self.dir / "absent" / "out"), 1, "absent")
        self.fails(self.run_to(self.dir / ("x" * 300)), 1, "xxx")
        self.assertEqual(list(self.dir.iterdir()), [])

    def test_a_full_disk(self):
        if not os.path.exists("/dev/full"):
            self.skipTest("no /dev/full")
        self.fails(self.run_to("/dev/full"), 1, "/dev/full", "No space left")

    def test_a_pipe(self):
        r = self.run_to("/dev/stdout")
        self.assertEqual(r.status, 0, r)
        self.assertEqual(len(r.out), 2 * 512 * 4)

    def test_a_failure_leaves_the_old_file(self):
        out = self.file("out.f32", b"old")
        self.fails(slm("logits", STORIES, "--ids", "1,600", "-o", out), 1)
        self.assertEqual(out.read_bytes(), b"old")
        self.assertEqual([x.name for x in self.dir.iterdir()], ["out.f32"])


if __name__ == "__main__":
    main()
