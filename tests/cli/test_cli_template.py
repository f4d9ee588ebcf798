"""template: the reference renderings, the clock, what is at fault."""

import datetime
import json

from cli_case import CHATML, SHARED, STORIES, Case, Gguf, main, slm

# Vocabularies whose BOS and EOS are those of the renderings, or whose template asks for neither.
GOLDEN = {"qwen2.5-instruct": "qwen2", "qwen3": "qwen2", "llama-3.2-instruct": "llama3",
          "chatml": "qwen2", "phi-3.5-mini": "phi3", "x-hermes-2-pro-tools": "llama3"}
NOW = ["--now", "2024-07-26T12:34:56"]
ERROR = "TemplateError: "


class Template(Case):
    def model(self, template, vocab=STORIES):
        gguf = Gguf(vocab)
        at = gguf.data.find(b"tokenizer.chat_template")
        if at >= 0:  # the file's own goes by another name
            gguf.data[at:at + 9] = b"unused..."
        return self.file("m.gguf", gguf.with_text("tokenizer.chat_template", template))

    def render(self, model, conversation, *options):
        text = conversation if isinstance(conversation, bytes) else json.dumps(conversation).encode()
        return slm("template", model, "--messages", self.file("talk.json", text), *options)

    def test_golden(self):
        n_texts = n_errors = 0
        for name, vocab in GOLDEN.items():
            source = (SHARED / f"chat/templates/{name}.jinja").read_bytes().decode()
            model = self.model(source, SHARED / f"vocab/{vocab}.gguf")
            with open(SHARED / f"chat/rendered/{name}.jsonl", "rb") as f:
                lines = f.read().splitlines()
            failing = [x for x in lines if b'"error"' in x]
            for line in lines[::12] + failing[:3]:
                want = json.loads(line)
                with self.subTest(name, case=want["name"]):
                    r = self.render(model, line, *NOW)
                    if "rendered" in want:
                        n_texts += 1
                        self.done(r, want["rendered"].encode())
                    else:
                        n_errors += 1
                        said = want["error"]
                        self.fails(r, 1, str(model), "chat template, line ",
                                   said[len(ERROR):] if said.startswith(ERROR) else "column ")
        self.assertGreater(n_texts, 30)
        self.assertGreater(n_errors, 5)

    def test_what_may_be_absent(self):
        model = self.model(CHATML)
        turns = [{"role": "user", "content": "Grüße"}]
        turn, opening = "<|im_start|>user\nGrüße<|im_end|>\n", "<|im_start|>assistant\n"
        self.done(self.render(model, {"messages": turns}), (turn + opening).encode())
        for prompt in (True, False):
            r = self.render(model, {"messages": turns, "tools": None, "extra": {},
                                    "add_generation_prompt": prompt})
            self.done(r, (turn + opening * prompt).encode())
        r = self.render(model, {"messages": turns, "add_generation_prompt": False,
                                "extra": {"continue_final_message": True}})
        self.done(r, "<|im_start|>user\nGrüße".encode())
        r = slm("template", "-q", "--messages=-", model, data=json.dumps({"messages": turns}).encode())
        self.done(r, (turn + opening).encode())

    def test_the_clock(self):
        model = self.model("{{ strftime_now('%Y-%m-%dT%H:%M:%S %A %j') }}")
        talk = {"messages": []}
        self.done(self.render(model, talk, *NOW), b"2024-07-26T12:34:56 Friday 208")
        for time in ("1969-12-31T23:59:59", "2000-02-29T00:00:00", "9999-12-31T23:59:59",
                     "1000-01-01T00:00:00"):
            got = self.render(model, talk, "--now", time).out.decode()
            date = datetime.datetime.fromisoformat(time)
            self.assertEqual(got, f"{time} {date:%A} {date:%j}")
        today = self.render(model, talk).out.decode()[:19]
        self.assertLess(abs(datetime.datetime.fromisoformat(today) - datetime.datetime.now()),
                        datetime.timedelta(minutes=2))
        for time in ("", "now", "2024-07-26", "2024-07-26 12:34:56", "2024-02-30T00:00:00",
                     "2024-13-01T00:00:00", "2024-07-26T24:00:00", "2024-07-26T12:60:00",
                     "2024-07-26T12:34:56Z", "-024-07-26T12:34:56"):
            self.fails(self.render(model, talk, "--now", time), 2, "--now")

    def test_what_is_at_fault(self):
        talk = {"messages": [{"role": "user", "content": "x"}]}
        self.fails(self.render(STORIES, talk), 1, "stories260K.gguf", "no chat template")
        self.fails(slm("template", STORIES), 2, "--messages")
        self.fails(slm("template", STORIES, "--messages", self.dir / "absent"), 1, "absent")
        self.fails(self.render(self.model("a\n{% if x %}"), talk), 1, "m.gguf",
                   "line 2, column 11", "endif")
        self.fails(self.render(self.model("{{ raise_exception('no\nway') }}"), talk), 1, "m.gguf",
                   "no\\x0away")
        self.fails(self.render(self.model("{% for i in range(10**9) %}{% endfor %}"), talk), 1,
                   "m.gguf", "more")
        model = self.model(CHATML)
        for bad, words in ((b"", "the end"), (b"[1,", "talk.json"), (b"[]", "an array"),
                           (b"{\"messages\": [\xff]}", "talk.json"),
                           (b"{\"messages\": 1}", "messages is a number"),
                           (b"{\"messages\": [{\"role\": \"user\", \"content\": 1}]}",
                            "messages[0].content is a number"),
                           (b"{\"messages\": [{\"role\": \"root\"}]}", "the role \"root\""),
                           (b"{\"messages\": [], \"tools\": {}}", "tools is an object"),
                           (b"{\"messages\": [], \"messages\": []}", "twice")):
            self.fails(self.render(model, bad), 1, "talk.json", words)


if __name__ == "__main__":
    main()
