"""inspect: files with and without tensors, cut short, with hostile text; plans and predictions."""

import json

from cli_case import SHARED, STORIES, Case, Gguf, main, slm

HALF = SHARED / "golden/llama-1b-like/llama-1b-like-q4_k_m.gguf"
VOCAB = SHARED / "vocab/llama3.gguf"


class Inspect(Case):
    def json(self, *args):
        r = slm("inspect", *args, "--json")
        self.done(r)
        self.assertEqual(r.out.count(b"\n"), 1)
        return json.loads(r.out)

    def test_json_of_a_model(self):
        d = self.json(HALF)
        self.assertEqual((d["version"], d["alignment"], d["parts"]), (3, 32, 1))
        self.assertEqual(d["file_bytes"], HALF.stat().st_size)
        self.assertEqual(d["metadata"]["general.architecture"], "llama")
        self.assertEqual(d["metadata"]["general.file_type"], 15)
        self.assertEqual(d["metadata"]["llama.rope.freq_base"], 500000)
        tokens = d["metadata"]["tokenizer.ggml.tokens"]
        self.assertEqual(tokens["type"], "string")
        n_vocab = d["metadata"]["llama.vocab_size"]
        self.assertEqual(tokens["count"], n_vocab)
        self.assertEqual("items" in tokens, n_vocab <= 64)
        shapes = {t["name"]: (t["type"], t["shape"]) for t in d["tensors"]}
        self.assertEqual(shapes["token_embd.weight"][1][1], n_vocab)
        self.assertEqual(shapes["output_norm.weight"][0], "F32")
        self.assertEqual(sum(t["bytes"] for t in d["tensors"]), d["tensor_bytes"])
        self.assertEqual(sum(t["bytes"] for t in d["totals"].values()), d["tensor_bytes"])
        self.assertEqual(sum(t["tensors"] for t in d["totals"].values()), len(d["tensors"]))
        self.assertEqual(sum(t["weights"] for t in d["totals"].values()), d["weights"])
        last = max(d["tensors"], key=lambda t: t["offset"])
        self.assertLessEqual(last["offset"] + last["bytes"], d["file_bytes"])

    def test_table_of_a_model(self):
        r = slm("inspect", STORIES)
        self.done(r)
        text = r.out.decode()
        for line in ("  general.architecture                         string    llama\n",
                     "  tokenizer.ggml.tokens                        string[]  [512 strings]\n",
                     "  token_embd.weight                    F32     64 x 512    "):
            self.assertIn(line, text)
        self.assertTrue(all(line == line.rstrip() for line in text.split("\n")))

    def test_no_tensors(self):
        d = self.json(VOCAB)
        self.assertEqual((d["tensors"], d["totals"], d["weights"]), ([], {}, 0))
        self.assertEqual(d["metadata"]["tokenizer.ggml.tokens"],
                         {"type": "string", "count": 128256})
        self.assertIn("Tensors: 0\n", slm("inspect", VOCAB).out.decode())

    def test_neither_keys_nor_tensors(self):
        empty = self.file("empty.gguf", b"GGUF" + bytes([3, 0, 0, 0]) + bytes(16))
        d = self.json(empty)
        self.assertEqual((d["metadata"], d["tensors"]), ({}, []))

    def test_text_is_escaped(self):
        text = "a\x1b[31m\n\"\\ß\x7f" + "x" * 200
        path = self.file("m.gguf", Gguf(STORIES).with_text("some.text", text))
        self.assertEqual(self.json(path)["metadata"]["some.text"], text)
        line = [x for x in slm("inspect", path).out.split(b"\n") if b"some.text" in x][0]
        self.assertIn(rb"a\x1b[31m\x0a", line)
        self.assertTrue(line.endswith(b"..."))
        self.assertLess(len(line), 130)

    def test_cut_short(self):
        data = STORIES.read_bytes()
        g = Gguf(STORIES)
        r = slm("inspect", self.file("m.gguf", data[:g.data_start + 200000]))
        self.assertEqual(r.status, 0, r)
        self.assertRegex(r.err.decode(), r"^slm: warning: .*: the data of \d+ of 47 tensors lie "
                                         r"behind the end of the file\n$")
        self.fails(slm("inspect", self.file("m.gguf", data[:g.infos_end - 5])), 1, "m.gguf")
        self.fails(slm("inspect", self.file("m.gguf", b"GGUF")), 1, "m.gguf")
        self.fails(slm("inspect", self.dir / "none.gguf"), 1, "none.gguf")
        self.fails(slm("inspect", self.dir), 1)

    def test_plan(self):
        small = self.json(STORIES, "--plan", "--kv", "f16", "-c", "64")["plan"]
        large = self.json(STORIES, "--plan", "--kv", "f32", "-c", "256")["plan"]
        self.assertEqual((small["n_ctx"], small["kv_type"]), (64, "f16"))
        self.assertEqual((large["n_ctx"], large["kv_type"]), (256, "f32"))
        self.assertEqual(2 * small["kv_bytes_per_token"], large["kv_bytes_per_token"])
        self.assertEqual(small["kv_bytes_per_token"], 5 * 2 * 4 * 8 * 2)
        for plan in (small, large):
            self.assertGreaterEqual(plan["kv_bytes"], plan["n_ctx"] * plan["kv_bytes_per_token"])
            parts = ("weights_mapped", "weights_allocated", "model_bytes", "kv_bytes",
                     "recurrent_bytes", "scratch_bytes")
            self.assertEqual(sum(plan[p] for p in parts), plan["total_bytes"])
        text = slm("inspect", STORIES, "--plan").out.decode()
        self.assertIn("\nMemory plan: context 512, cache f16, ", text)

    def test_prediction(self):
        d = self.json(HALF, "--device-profile", "generic", "--bandwidth", "10", "-c", "128")
        plan, speeds = d["plan"], d["prediction"]["speeds"]
        wanted = 10e9 / plan["bytes_per_token"]
        self.assertAlmostEqual(speeds[0]["tokens_per_second"], wanted, delta=1e-3 * wanted)
        wanted = 10e9 / (plan["bytes_per_token"] + 128 * plan["kv_bytes_per_token"])
        self.assertEqual(speeds[1]["depth"], 128)
        self.assertAlmostEqual(speeds[1]["tokens_per_second"], wanted, delta=1e-3 * wanted)
        self.assertEqual({s["bound_by"] for s in speeds}, {"memory"})
        self.assertEqual(len(speeds), 2)  # nothing is known of its arithmetic
        d = self.json(HALF, "--bandwidth", "10", "--gmacs", "0.01")
        speeds = d["prediction"]["speeds"]
        wanted = 0.01e9 / plan["macs_per_token"]
        self.assertAlmostEqual(speeds[0]["tokens_per_second"], wanted, delta=1e-3 * wanted)
        self.assertEqual({s["bound_by"] for s in speeds}, {"arithmetic"})

    def device(self, name, *args):
        return self.json(HALF, "--device-profile", name, *args)

    def test_prediction_for_a_device(self):
        d = self.device("orin-nx-16:25w", "-c", "128", "-p", "64")
        plan, p = d["plan"], d["prediction"]
        self.assertEqual((p["device_profile"], p["module"], p["mode"]),
                         ("orin-nx-16:25w", "Jetson Orin NX 16GB", "25W"))
        self.assertEqual((p["n_sm"], p["sm_mhz"], p["emc_mhz"], p["dram_gbps"]),
                         (8, 408, 3200, 102.4))
        empty, full, prompt = p["speeds"]
        self.assertEqual(empty["bytes_per_token"], plan["bytes_per_token"])
        self.assertEqual(full["bytes_per_token"],
                         plan["bytes_per_token"] + 128 * plan["kv_bytes_per_token"])
        self.assertEqual(sum(t["bytes"] for t in p["types"]), plan["bytes_per_token"])
        self.assertEqual(p["memory_share"], {"min": 0.76, "max": 0.91})
        self.assertAlmostEqual(p["instruction_budget"], 128 * 8 * 408e6 / 102.4e9, places=3)
        mean = sum(t["bytes"] * t["instructions_per_byte"] for t in p["types"])
        mean /= plan["bytes_per_token"]
        self.assertAlmostEqual(p["instructions_per_byte"]["min"], mean, places=3)
        for token in empty, full:
            for side, other in ("min", "max"), ("max", "min"):
                longest = max(token[t][side] for t in ("memory_ms", "issue_ms", "cache_ms"))
                wanted = 1e3 / (longest + token["overhead_ms"][side])
                self.assertAlmostEqual(token["tokens_per_second"][other], wanted,
                                       delta=0.02 * wanted)  # the terms are rounded
        self.assertEqual(empty["bound_by"], ["overhead"])  # it is a tiny model
        self.assertEqual((prompt["test"], prompt["n"]), ("pp", 64))
        for side, other in ("min", "max"), ("max", "min"):
            least = 64e3 / prompt["first_token_ms"][other]
            self.assertLess(least, prompt["tokens_per_second"][side])

    def test_prediction_for_a_prompt(self):
        d = self.device("orin-nano-4:7w-cpu", "-p", "400")
        meta, p, prompt = d["metadata"], d["prediction"], d["prediction"]["speeds"][2]
        n, width = meta["llama.block_count"], meta["llama.embedding_length"]
        # For the last token alone: the head, and the last layer behind its keys and values.
        last = width * (meta["llama.vocab_size"] + width + 3 * meta["llama.feed_forward_length"])
        every = d["plan"]["macs_per_token"] - 2 * n * width - last  # no attention
        # One pass. What attention and each type reach of the peak differs.
        macs = 400 * every + last + 2 * width * ((n - 1) * (400 * 401 / 2) + 400)
        shares = p["tensor_share"]
        self.assertTrue(0.25 < shares["max"] < 0.65)
        self.assertAlmostEqual(shares["min"], shares["max"] / 2, places=3)
        for share, nodes, host, side in ((shares["max"], 1, 50, "min"),
                                         (shares["min"], 4, 150, "max")):
            computing = macs / (share * 2048 * 4 * 306e6) * 1e3
            reading = d["plan"]["bytes_per_token"] / (34.128e9 * p["memory_share"]["max"]) * 1e3
            self.assertGreater(computing, reading)
            first = computing + p["graph_nodes"] * nodes / 1e3 + host / 1e3
            self.assertAlmostEqual(prompt["first_token_ms"][side], first, delta=0.002 * first)
        self.assertIn("tensor", prompt["bound_by"])

    def test_predictions_rise_with_the_device(self):
        for names in (["orin-nano-4", "orin-nano-8", "orin-nx-16", "agx-orin-64"],
                      ["orin-nx-16:10w", "orin-nx-16:15w", "orin-nx-16", "orin-nx-16:maxn-super"],
                      ["agx-orin-32:15w", "agx-orin-32:30w", "agx-orin-32:40w", "agx-orin-32"]):
            speeds = [self.device(name)["prediction"]["speeds"] for name in names]
            for k in 0, 1, 2:
                rates = [s[k]["tokens_per_second"]["max"] for s in speeds]
                self.assertEqual(rates, sorted(rates), names)

    def test_text_of_a_prediction(self):
        text = slm("inspect", HALF, "--device-profile", "orin-nx-16", "-p", "100").out.decode()
        for words in ("Prediction for Jetson Orin NX 16GB, mode MAXN (orin-nx-16:maxn); worked out, "
                      "not measured\n", "102.4 GB/s at 3200 MHz, of which kernels reach 76 to 91 %",
                      "8 SM at 918 MHz; the memory's peak is 13.9 bytes a clock for each",
                      "there is time for 9.2 and 4.6\n", "    Q4_K ", "bound by overhead\n",
                      "  prompt of 100 ", "first token after "):
            self.assertIn(words, text)

    def test_what_cannot_be_planned(self):
        r = slm("inspect", VOCAB, "--plan")
        self.assertEqual(r.status, 1, r)
        self.assertTrue(r.err.startswith(b"slm: "), r)
        self.fails(slm("inspect", STORIES, "--device-profile", "warp-drive"), 2, "orin-nano-4",
                   "agx-orin-industrial", "orin-nx-16:25w")
        self.fails(slm("inspect", STORIES, "--device-profile", "orin-nx-16:99w"), 2, '"99w"',
                   "maxn, 10w, 15w, 25w, 40w, maxn-super")
        self.fails(slm("inspect", STORIES, "--device-profile", "orin-nx-16", "-p", "1000000"), 1,
                   "n_prompt")
        for args in (["--device-profile", "generic"], ["-p", "5"], ["-p", "0"],
                     ["--device-profile", "orin-nx-16", "--bandwidth", "5"], ["--gmacs", "5"],
                     ["--bandwidth", "0"], ["--bandwidth", "nan"], ["--nothing"], ["other.gguf"]):
            self.fails(slm("inspect", STORIES, *args), 2)


if __name__ == "__main__":
    main()
