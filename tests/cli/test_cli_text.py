"""tokenize and detokenize."""

import json

from cli_case import SHARED, STORIES, Case, golden_text, main, slm

VOCAB = SHARED / "vocab"
NAMES = ("llama3", "qwen2", "phi4-mini", "phi3", "llama-spm")


def lines(name):
    with open(VOCAB / f"{name}.jsonl", encoding="ascii") as f:
        return [json.loads(x) for x in f]


def some(name):
    """About twenty lines of a golden file, among them the special ones and the longest text."""
    every = lines(name)
    picked = every[:6] + every[6::60] + [x for x in every if x["special"]][:4]
    return picked + [max(every, key=lambda x: len(x["text"]))]


class Tokenize(Case):
    def test_golden_ids(self):
        for name in NAMES:
            for line in some(name):
                with self.subTest(name, text=line["text"][:60]):
                    special = ["--special"] if line["special"] else []
                    r = slm("tokenize", VOCAB / f"{name}.gguf", "--no-bos", *special,
                            data=line["text"].encode("utf-8"))
                    self.done(r)
                    self.assertEqual(r.out.count(b"\n"), 1)
                    self.assertEqual(json.loads(r.out), line["ids"])

    def test_bos(self):
        want = [15043]  # "Hello" with its blank
        for options, bos in (([], [1]), (["--bos"], [1]), (["--no-bos"], []),
                             (["--no-bos", "--bos"], [1])):
            r = slm("tokenize", *options, VOCAB / "llama-spm.gguf", data=b"Hello")
            self.assertEqual(json.loads(r.out), bos + want, r)
        r = slm("tokenize", VOCAB / "qwen2.gguf", data=b"Hello")
        self.assertEqual(json.loads(r.out), [9707], r)

    def test_nothing_is_trimmed(self):
        def ids(data):
            r = slm("tokenize", "--no-bos", VOCAB / "llama3.gguf", data=data)
            self.done(r)
            return json.loads(r.out)
        self.assertEqual(ids(b""), [])
        self.assertEqual(ids(b"\n"), [198])
        self.assertNotEqual(ids(b"Hi"), ids(b"Hi\n"))
        self.assertEqual(len(ids(b"\0")), 1)

    def test_the_story(self):
        golden = golden_text()
        r = slm("tokenize", STORIES, data=golden["prompt"].encode())
        self.done(r)
        self.assertEqual(json.loads(r.out), golden["prompt_ids"])

    def test_options_of_running_are_taken(self):
        r = slm("tokenize", "-t", "2", STORIES, "--device", "cpu", "-c", "16", "--kv", "f16", "-q",
                data=b"a")
        self.done(r)


class Detokenize(Case):
    def test_round_trip(self):
        for name in NAMES:
            for line in some(name):
                # NFC, and white space that a token of Phi-3 takes with it, are not undone
                if name == "qwen2" or (name == "phi3" and line["special"]):
                    continue
                with self.subTest(name, text=line["text"][:60]):
                    special = ["--special"] if line["special"] else []
                    r = slm("detokenize", VOCAB / f"{name}.gguf", *special,
                            data=json.dumps(line["ids"]).encode())
                    self.assertEqual(r.status, 0, r)
                    if line["special"] and name == "llama-spm":
                        continue  # a blank before each stretch, of which the first is dropped
                    self.assertEqual(r.out.decode("utf-8"), line["text"])

    def test_forms_of_ids(self):
        golden = golden_text()
        ids = golden["prompt_ids"]
        for text in (json.dumps(ids), str(ids).replace(" ", ""), " ".join(map(str, ids)),
                     ",".join(map(str, ids)), "\n".join(map(str, ids)) + "\n",
                     "  [ 1 ,403,\n407,261,378 ]\r\n", "1, 403,407 261\t378"):
            with self.subTest(text):
                self.done(slm("detokenize", STORIES, data=text.encode()),
                          golden["prompt"].encode())

    def test_nothing(self):
        for text in (b"", b" \n", b"[]", b"[ ]\n"):
            self.done(slm("detokenize", STORIES, data=text), b"")

    def test_special(self):
        vocab = VOCAB / "llama3.gguf"
        ids = b"[128000, 9906, 128009]"
        self.done(slm("detokenize", vocab, data=ids), b"Hello")
        self.done(slm("detokenize", vocab, "--special", data=ids),
                  b"<|begin_of_text|>Hello<|eot_id|>")

    def test_parts_of_a_character(self):
        # bytes as they are, also where they are no text: <0xE2> alone
        self.done(slm("detokenize", STORIES, data=b"3 229"), b"\x00\xe2")

    def test_bad_ids(self):
        for text in (b"x", b"1,", b",1", b"1,,2", b"[1,2", b"[1 2]", b"[1,]", b"1]", b"[1]2",
                     b"1.5", b"1e3", b"2147483648", b"[[1]]", b'["1"]', b"\xff", b"1\x002"):
            with self.subTest(text):
                self.fails(slm("detokenize", STORIES, data=text), 1, "standard input", "at byte")

    def test_ids_outside(self):
        for text in (b"-1", b"512", b"2147483647", b"[0, -2147483647]"):
            with self.subTest(text):
                self.fails(slm("detokenize", STORIES, data=text), 1, "stories260K.gguf")


if __name__ == "__main__":
    main()
