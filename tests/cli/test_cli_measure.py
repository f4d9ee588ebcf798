"""perplexity and bench."""

import json
import math
import sys
from array import array

from cli_case import SHARED, STORIES, Case, golden_text, main, slm

FIELDS = ["test", "n", "depth", "threads", "device", "tokens_per_second", "bytes_per_token",
          "read_gbps", "share_of_read_bandwidth"]


def log_likelihood(row, token):
    top = max(row)
    return row[token] - top - math.log(sum(math.exp(x - top) for x in row))


class Perplexity(Case):
    def setUp(self):
        super().setUp()
        golden = golden_text()
        self.text = self.file("story.txt", (golden["text"] * 2).encode())
        r = slm("tokenize", STORIES, data=self.text.read_bytes())
        self.ids = json.loads(r.out)

    def expected(self, window, *options):
        """From the logits of the windows, by the definition."""
        scores = []
        for at in range(0, len(self.ids) - window + 1, window):
            ids = [1] + self.ids[at + 1:at + window]
            out = self.dir / "out.f32"
            self.done(slm("logits", STORIES, "--ids", str(ids), "-o", out, *options), b"")
            values = array("f")
            values.frombytes(out.read_bytes())
            if sys.byteorder == "big":
                values.byteswap()
            for i in range(window // 2, window - 1):
                scores.append(-log_likelihood(values[i * 512:(i + 1) * 512], ids[i + 1]))
        mean = sum(scores) / len(scores)
        variance = sum(x * x for x in scores) / len(scores) - mean * mean
        error = math.sqrt(variance / (len(scores) - 1))
        return math.exp(mean), math.exp(mean) * error, len(scores)

    def test_the_definition(self):
        for window in (64, 101, 256):
            with self.subTest(window):
                r = slm("perplexity", STORIES, self.text, "-c", str(window), "--kv", "f32")
                self.done(r)
                self.assertEqual(r.out.count(b"\n"), 1, r)
                got = json.loads(r.out)
                self.assertEqual(list(got), ["perplexity", "stderr", "tokens"])
                perplexity, error, tokens = self.expected(window, "--kv", "f32")
                self.assertEqual(got["tokens"], tokens)
                self.assertAlmostEqual(got["perplexity"], perplexity, delta=1e-4 * perplexity)
                self.assertAlmostEqual(got["stderr"], error, delta=1e-3 * error)
                self.assertLess(perplexity, 5)  # the model wrote this text

    def test_standard_input_and_threads(self):
        want = slm("perplexity", STORIES, self.text, "-c", "64")
        self.done(want)
        for options in (["-t", "1"], ["-t", "3"], ["--load", "read"]):
            self.done(slm("perplexity", STORIES, self.text, "-c", "64", *options), want.out)
        self.done(slm("perplexity", STORIES, "-", "-c", "64", data=self.text.read_bytes()),
                  want.out)

    def test_a_text_that_is_too_short(self):
        short = self.file("short.txt", b"Once upon a time")
        self.fails(slm("perplexity", STORIES, short), 1, "short.txt", "5 tokens", "512")
        self.fails(slm("perplexity", STORIES, self.file("e.txt", b"")), 1, "e.txt")

    def test_files_that_cannot_be_read(self):
        self.fails(slm("perplexity", STORIES, self.dir / "absent.txt"), 1, "absent.txt", "No such")
        self.fails(slm("perplexity", STORIES, self.dir), 1, self.dir.name)


class Bench(Case):
    def bench(self, *options):
        r = slm("bench", STORIES, "--json", *options)
        self.done(r)
        return [json.loads(line) for line in r.out.decode().splitlines()]

    def test_json(self):
        rows = self.bench("-p", "32,8", "-n", "4", "-d", "0,100", "-r", "3", "-t", "2")
        self.assertEqual([(x["test"], x["n"], x["depth"]) for x in rows],
                         [("pp", 32, 0), ("pp", 8, 0), ("pp", 32, 100), ("pp", 8, 100),
                          ("tg", 4, 0), ("tg", 4, 100)])
        for row in rows:
            self.assertEqual(list(row), FIELDS)
            speed = row["tokens_per_second"]
            self.assertEqual(list(speed), ["min", "median", "max"])
            self.assertGreater(speed["min"], 0)
            self.assertLessEqual(speed["min"], speed["median"])
            self.assertLessEqual(speed["median"], speed["max"])
            self.assertEqual((row["threads"], row["device"]), (2, "cpu"))
            self.assertGreater(row["read_gbps"], 0)
            self.assertEqual(row["read_gbps"], rows[0]["read_gbps"])
            share = row["bytes_per_token"] * speed["median"] / (row["read_gbps"] * 1e9)
            self.assertAlmostEqual(row["share_of_read_bandwidth"], share, delta=0.001 + 0.01 * share)

    def test_bytes_per_token(self):
        # tied: all weights are read; a token's keys and values: 5 layers of 2 * 4 heads of 8
        rows = self.bench("-p", "0", "-n", "1", "-d", "0,64", "-r", "1", "--kv", "f16")
        self.assertEqual([x["test"] for x in rows], ["tg", "tg"])
        empty, filled = rows[0]["bytes_per_token"], rows[1]["bytes_per_token"]
        self.assertEqual(empty, 1040128)
        self.assertEqual(filled - empty, 64 * 5 * 2 * 4 * 8 * 2)

    def test_bytes_per_token_of_a_shared_cache(self):
        # two layers see 24 tokens at most, that of the middle and the one that shares its cache all
        model = SHARED / "golden-sambay/phi4flash-like/phi4flash-like-f32.gguf"
        r = slm("bench", model, "--json", "-p", "0", "-n", "1", "-d", "0,100", "-r", "1", "--kv", "f32")
        self.done(r)
        empty, filled = (json.loads(line)["bytes_per_token"] for line in r.out.splitlines())
        self.assertEqual(filled - empty, (2 * 24 + 2 * 100) * 2 * 2 * 32 * 4)

    def test_bytes_per_token_of_an_untied_model(self):
        model = SHARED / "golden/qwen2-untied-like/qwen2-untied-like-f32.gguf"
        r = slm("bench", model, "--json", "-p", "0", "-n", "1", "-r", "1")
        self.done(r)
        info = json.loads((SHARED / "golden/index.json").read_text())
        shape = next(x for x in info["models"] if x["name"] == "qwen2-untied-like")["shape"]
        embedding = 288 * shape["d"] * 4
        self.assertEqual(json.loads(r.out)["bytes_per_token"], shape["parameters"] * 4 - embedding)

    def test_table_with_sampling_options(self):
        r = slm("bench", STORIES, "-p", "8", "-n", "4", "-r", "1", "--temp", "1", "--top-k", "5",
                "--seed", "3", "--repeat-penalty", "1.1", "--logit-bias", "5:-inf", "--stop", "a")
        self.done(r)
        head, *rows = r.out.decode().splitlines()
        self.assertEqual(head.split()[:3], ["test", "n", "depth"])
        self.assertEqual([x.split()[:3] for x in rows], [["pp", "8", "0"], ["tg", "4", "0"]])

    def test_prompts_in_steps_of_milliseconds(self):
        def macs_of_a_step(*options):
            r = slm("bench", STORIES, "--json", "--ops", "-p", "256", "-n", "0", "-r", "1", *options)
            self.done(r)
            ops = [json.loads(line) for line in r.out.splitlines()]
            return sum(x["gmacs"] * x["ms_per_step"] for x in ops if "op" in x)
        # where nothing is known yet, the first of them has few tokens
        self.assertLess(macs_of_a_step("--chunk-ms", "1"), 0.7 * macs_of_a_step("--cublas"))

    def test_the_context_grows_with_the_tests_and_has_a_limit(self):
        rows = self.bench("-p", "12", "-n", "0", "-d", "500", "-r", "1")
        self.assertEqual([(x["test"], x["depth"]) for x in rows], [("pp", 500)])
        self.fails(slm("bench", STORIES, "-p", "13", "-n", "0", "-d", "500"), 1, "513", "512")
        self.fails(slm("bench", STORIES, "-p", "65", "-n", "0", "-c", "64"), 1, "65", "64", "(-c)")


if __name__ == "__main__":
    main()
