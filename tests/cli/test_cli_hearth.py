"""The demo model with the tools of the household: its template gives the text of its training, its
calls are read as calls."""

import json
import os
import subprocess
import sys
import unittest
from pathlib import Path

from cli_case import ROOT, Case, main, slm

sys.path.insert(0, str(ROOT / "tools/demo_model"))
import chatml
import corpus
from grammar import Gen

HEARTH = ROOT / "examples/models/hearth.gguf"
PROGRAMS = ROOT / "tools/demo_model"
LIBRARY = Path(os.environ.get("SLM_BINARY_DIR") or ROOT / "build/release") / "libslm.so"


def conversation(dialogue):
    """A dialogue of the corpus as the library takes it."""
    messages = []
    if dialogue["system"]:
        messages.append({"role": "system", "content": dialogue["system"]})
    for turn in dialogue["turns"]:
        messages.append({"role": "user", "content": turn["user"]})
        if "call" in turn:
            messages += [chatml.call_message(turn["call"]),
                         {"role": "tool", "content": json.dumps(turn["result"])}]
        messages.append({"role": "assistant", "content": turn["bot"]})
    tools = [chatml.TOOLS[name] for name in dialogue.get("tools", [])]
    return {"messages": messages, "tools": tools, "add_generation_prompt": False}


class Hearth(Case):
    def render(self, talk):
        return slm("template", HEARTH, "--messages", self.file("m.json", json.dumps(talk).encode()))

    def test_template_is_that_of_the_training(self):
        gen = Gen(11, "test")
        mix = corpus.MIX + corpus.TOOLS_ONLY
        made = [corpus.tool_dialogue(gen, mix) for _ in range(120)]
        made += [corpus.dialogue(gen, corpus.MIX) for _ in range(60)]
        talks = [d for d in made if d]
        self.assertGreater(sum("tools" in d for d in talks), 10)
        self.assertGreater(sum("tools" not in d for d in talks), 5)
        for dialogue in talks:
            want = "".join(text for text, _ in chatml.pieces(dialogue))
            self.done(self.render(conversation(dialogue)), want.encode())

    def test_other_forms_of_a_call(self):
        arguments = {"action": "set", "length": "ten minutes"}
        text = chatml.call_text({"name": "timer", "arguments": arguments})
        for said in (arguments, json.dumps(arguments)):
            call = chatml.call_message({"name": "timer", "arguments": said})
            for content, calls, want in ((None, 1, text), ("", 2, f"{text}\n{text}"),
                                         ("Gladly.", 1, f"Gladly.\n{text}")):
                call |= {"content": content, "tool_calls": call["tool_calls"][:1] * calls}
                talk = {"messages": [{"role": "user", "content": "a timer"}, call],
                        "add_generation_prompt": False}
                with self.subTest(arguments=said, content=content):
                    self.done(self.render(talk), (chatml.message("user", "a timer")
                                                  + chatml.message("assistant", want)).encode())

    @unittest.skipIf(os.environ.get("SLM_SANITIZE") or not LIBRARY.exists(),
                     "Python loads no sanitized library")
    def test_quality_is_measured(self):
        asked, told = self.dir / "asked.jsonl", self.dir / "told.jsonl"
        for program, *options in (
                ("corpus.py", "--split", "test", "--tools", 1, "--count", 25, "--seed", 4, "--out", asked),
                ("evaluate.py", "--gguf", HEARTH, "--tool-corpus", asked, "--library", LIBRARY,
                 "--report", told)):
            done = subprocess.run([sys.executable, "-B", PROGRAMS / program, *map(str, options)],
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
            self.assertEqual(done.returncode, 0, done.stdout.decode())
        self.assertIn(b"Held-out phrasings with tools: calls", done.stdout)
        answers = [json.loads(line) for line in told.read_text(encoding="utf-8").splitlines()]
        right = [a["right"] for a in answers if a["kind"] == "call"]
        self.assertGreater(len(right), 100)
        self.assertGreater(sum(right), 0.8 * len(right))

    def test_calls_are_read(self):
        call = {"name": "light", "arguments": {"place": "study", "state": "on"}}
        r = slm("parse-tools", HEARTH, data=chatml.call_text(call).encode())
        self.done(r)
        self.assertEqual(json.loads(r.out), {"content": "", "tool_calls": [call]})


if __name__ == "__main__":
    main()
