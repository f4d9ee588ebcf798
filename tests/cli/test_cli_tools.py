"""parse-tools: the reference texts, what the template tells, input that is no text."""

import json

from cli_case import SHARED, STORIES, Case, Gguf, main, slm

CALLS = SHARED / "chat/toolcalls"
TEMPLATES = SHARED / "chat/templates"
FORMATS = ("hermes", "phi4_mini", "llama3_json", "llama32_pythonic")


class ParseTools(Case):
    def parse(self, data, *options, model=STORIES):
        r = slm("parse-tools", model, *options, data=data)
        self.done(r)
        self.assertEqual(r.out.count(b"\n"), 1, r)
        self.assertTrue(r.out.endswith(b"]}\n"), r)
        return json.loads(r.out)

    def test_reference_texts(self):
        for name in FORMATS:
            with open(CALLS / f"{name}.jsonl", encoding="utf-8") as f:
                lines = [json.loads(x) for x in f]
            for line in lines[::4] + lines[-3:]:
                with self.subTest(name, case=line["name"]):
                    got = self.parse(line["text"].encode(), "--format", name)
                    # compared as they are spelt: 1 is not 1.0, and members have an order
                    self.assertEqual(json.dumps(got), json.dumps(line["expected"]))

    def test_the_template_tells(self):
        call = {"name": "f", "arguments": {"a": 1}}
        text = json.dumps(call)
        none = {"content": "", "tool_calls": [call]}
        cases = {
            "qwen3": f"<tool_call>{text}</tool_call>",
            "phi-4-mini-instruct": f"<|tool_call|>[{text}]<|/tool_call|>",
            "llama-3.2-instruct": f"<|python_tag|>{text}",
            "x-llama-3.2-vllm-pythonic": "[f(a=1)]",
            "chatml": f"[{text}]",
        }
        gguf = Gguf(STORIES)
        for name, answer in cases.items():
            template = (TEMPLATES / f"{name}.jinja").read_text(encoding="utf-8")
            model = self.file("m.gguf", gguf.with_text("tokenizer.chat_template", template))
            with self.subTest(name):
                self.assertEqual(self.parse(answer.encode(), model=model), none)
                other = self.parse(answer.encode(), "--format", "hermes", model=model)
                self.assertEqual(other == none, name == "qwen3")
        self.assertEqual(self.parse(text.encode()), none)  # a model without a template
        self.assertEqual(self.parse(text.encode(), "--format", "auto", "-q"), none)

    def test_output_is_one_safe_line(self):
        call = "<tool_call>{\"name\": \"\x7f\", \"arguments\": {\n\"b\":\t\"\\u2028\"}}"
        got = slm("parse-tools", STORIES, "--format", "hermes",
                  data=f"a\x1b[1m\u2028\x00\"\\\n{call}b".encode())
        self.done(got)
        self.assertEqual(json.loads(got.out)["tool_calls"], [])
        self.assertTrue(all(32 <= x < 127 or x == 10 for x in got.out), got)
        got = slm("parse-tools", STORIES, "--format", "hermes", data=call.encode())
        self.done(got, b'{"content": "", "tool_calls": '
                       b'[{"name": "\\u007f", "arguments": {"b":"\\u2028"}}]}\n')

    def test_what_is_no_text(self):
        self.done(slm("parse-tools", STORIES, data=b""), b'{"content": "", "tool_calls": []}\n')
        self.assertEqual(self.parse(b"a\xff\xc3"), {"content": "a\ufffd\ufffd", "tool_calls": []})
        # longer than what a parser takes where nobody says otherwise
        call = {"name": "f", "arguments": {"a": "x" * (1 << 21)}}
        got = self.parse(json.dumps(call).encode())
        self.assertEqual(got, {"content": "", "tool_calls": [call]})
        deep = b'{"name": "f", "arguments": {"a": ' + b"[" * 100000
        self.assertEqual(self.parse(deep)["content"], deep.decode())

    def test_no_tensors_are_needed(self):
        self.assertEqual(self.parse(b" x ", model=SHARED / "vocab/qwen2.gguf"),
                         {"content": " x ", "tool_calls": []})

    def test_formats(self):
        self.fails(slm("parse-tools", STORIES, "--format", "xml"), 2, "--format", '"xml"', "hermes")
        self.fails(slm("parse-tools", self.dir / "no.gguf"), 1, "no.gguf")


if __name__ == "__main__":
    main()
