"""chat: commands, several lines, saved conversations, tools, the file of earlier lines."""

import json
import os
import pty
import select
import signal
import subprocess
import time

from cli_case import CHATML, ROOT, SHARED, SLM, Case, Gguf, chat_model, main, slm

HEARTH = ROOT / "examples/models/hearth.gguf"
TOOLS = ROOT / "examples/household/tools.json"
GREEDY = ["--temp", "0"]


class Commands(Case):
    def setUp(self):
        super().setUp()
        self.model = self.file("chat.gguf", chat_model())
        self.options = [*GREEDY, "-n", "8"]

    def chat(self, *lines, more=()):
        data = "".join(f"{line}\n" for line in lines).encode()
        return slm("chat", self.model, *self.options, *more, data=data)

    def answers(self, *lines, more=()):
        r = self.chat(*lines, more=more)
        self.assertEqual(r.status, 0, r)
        return r.out

    def test_undo_is_as_if_it_had_not_been_said(self):
        first = self.answers("One")
        both = self.answers("One", "Two")
        got = self.answers("One", "Two", "/undo", "Two")
        self.assertEqual(got, both + both[len(first):])
        r = self.chat("/undo", "One")
        self.assertEqual((r.status, r.out), (0, first), r)
        self.assertIn(b"nothing to take back", r.err)

    def test_the_system_message_can_be_set(self):
        want = self.answers("One", more=["--system", "Be brief."])
        self.assertEqual(self.answers("/system Be brief.", "One"), want)
        self.assertEqual(self.answers("/system", "One", more=["--system", "Be brief."]),
                         self.answers("One"))
        # What was said stays: the second answer is that of a conversation which began so.
        both = self.answers("One", "Two", more=["--system", "s"])
        first = self.answers("One", more=["--system", "s"])
        self.assertEqual(self.answers("One", "/system t", "/system s", "Two", more=["--system", "s"]),
                         both)
        self.assertTrue(both.startswith(first))

    def test_reset_keeps_the_system_message(self):
        first = self.answers("One", more=["--system", "s"])
        self.assertEqual(self.answers("One", "/reset", "One", more=["--system", "s"]), first * 2)

    def test_a_saved_conversation_goes_on(self):
        path = self.dir / "c.slm"
        both = self.answers("One", "Two")
        first = self.answers("One", f"/save {path}")
        self.assertTrue(path.exists())
        self.assertEqual(first + self.answers("Two", more=["--resume", path]), both)
        self.assertEqual(first + self.answers(f"/load {path}", "Two"), both)
        r = slm("chat", self.model, *self.options, "--stats", "--resume", path, data=b"Two\n")
        whole = slm("chat", self.model, *self.options, "--stats", data=b"One\nTwo\n")
        self.assertLess(json.loads(r.err)["prompt_tokens"], json.loads(whole.err)["prompt_tokens"])

    def test_bad_files_end_a_pipe_and_change_nothing(self):
        bad = self.file("bad.slm", b"not a conversation")
        self.fails(self.chat("/load " + str(bad), "One"), 1, "bad.slm")
        self.fails(self.chat("/load " + str(self.dir / "absent"), "One"), 1, "absent")
        self.fails(self.chat(more=["--resume", bad]), 1, "bad.slm")
        self.fails(self.chat("/save " + str(self.dir / "no" / "folder")), 1, "folder")
        self.fails(self.chat("/tools " + str(bad)), 1, "bad.slm")
        self.fails(self.chat(more=["--tools", bad]), 1)
        self.assertEqual(bad.read_bytes(), b"not a conversation")

    def test_commands_that_want_a_file_say_so(self):
        r = self.chat("/save", "/load", "/help")
        self.assertEqual((r.status, r.out), (0, b""), r)
        self.assertIn(b"/save wants FILE", r.err)
        self.assertIn(b"/load wants FILE", r.err)

    def test_several_lines(self):
        want = slm("run", self.model, *self.options, "One\nTwo\nThree").out
        self.assertEqual(self.answers('"""One', "Two", 'Three"""'), want)
        self.assertEqual(self.answers('"""One"""'), self.answers("One"))
        self.assertEqual(self.answers("One\\"), slm("run", self.model, *self.options, "One\\").out)

    def test_a_schema_holds_each_answer(self):
        schema = self.file("s.json", b'{"enum": ["yes", "no"]}')
        r = self.chat("One", "Two", more=["--json-schema", schema])
        self.assertEqual(r.status, 0, r)
        for line in r.out.decode().splitlines():
            self.assertIn(line, ('"yes"', '"no"'))

    def test_the_context_can_drop_what_is_oldest(self):
        r = self.chat(*["hello"] * 20, more=["-c", "96", "--when-full", "drop"])
        self.assertEqual(r.status, 0, r)
        self.assertIn(b"no longer in it", r.err)
        self.assertEqual(self.chat(*["hello"] * 20, more=["-c", "96"]).status, 1)

    def test_options_that_exclude_each_other(self):
        schema = self.file("s.json", b"{}")
        self.fails(self.chat(more=["--json-schema", schema, "--tools", TOOLS]), 2, "--tools")
        self.fails(self.chat(more=["--raw", "--tools", TOOLS]), 2, "--raw")
        self.fails(slm("run", self.model, "--tool-choice", "auto", "x"), 2, "--tools")
        self.fails(slm("run", self.model, "--raw", "--tools", TOOLS, "x"), 2, "--raw")


class Families(Case):
    """/save, /load and /undo, whatever a session of the model has to keep."""

    def check(self, path):
        model = self.file("family.gguf", Gguf(path).with_text("tokenizer.chat_template", CHATML))
        saved = self.dir / "family.slm"

        def answers(*lines, more=()):
            r = slm("chat", model, *GREEDY, "-n", "8", *more,
                    data="".join(f"{line}\n" for line in lines).encode())
            self.assertEqual(r.status, 0, (path, r))
            return r.out

        first, both = answers("One"), answers("One", "Two")
        second = both[len(first):]
        self.assertTrue(both.startswith(first))
        self.assertEqual(answers("One", f"/save {saved}", "Two", "/undo", "Two"), both + second)
        self.assertEqual(answers("Three", "/load " + str(saved), "Two"), answers("Three") + second)
        self.assertEqual(answers("Two", "/undo", "/undo", "Three", more=["--resume", saved]),
                         second + answers("Three"))

    def test_every_family(self):
        names = ("golden/llama-1b-like/llama-1b-like-q4_k_m", "golden/llama2-like/llama2-like-f32",
                 "golden/phi3-mini-4k-like/phi3-mini-4k-like-f32",
                 "golden/phi3-128k-like/phi3-128k-like-f32",
                 "golden/phi4-mini-like-256/phi4-mini-like-256-q3_k_m",
                 "golden/qwen3-like/qwen3-like-bf16", "golden/bitnet-like/bitnet-like-i2_s",
                 "golden-sambay/phi4flash-like/phi4flash-like-f32")
        for name in names:
            with self.subTest(name):
                self.check(SHARED / f"{name}.gguf")


class Household(Case):
    def test_a_call_its_result_and_what_is_said_then(self):
        r = slm("chat", HEARTH, *GREEDY, "--tools", TOOLS,
                data=b'Please turn on the kitchen light.\n{"ok": true}\nThank you!\n')
        self.assertEqual(r.status, 0, r)
        call, *said = r.out.decode().splitlines()
        call = json.loads(call)
        self.assertEqual(call["name"], "light", r)
        self.assertEqual(call["arguments"]["state"], "on", r)
        self.assertEqual(len(said), 2, r)

    def test_undo_goes_back_to_the_question_before_a_call(self):
        tools = json.loads(TOOLS.read_text())
        for tool in tools:  # an argument that looks like a member of a message
            if tool["function"]["name"] == "light":
                told = tool["function"]["parameters"]
                told["properties"]["role"] = {"enum": ["user"]}
                told["required"] = told.get("required", []) + ["role"]
        tools = self.file("t.json", json.dumps(tools).encode())
        r = slm("chat", HEARTH, *GREEDY, "-n", "60", "--tools", tools,
                data=b'Turn on the lamp in the study.\n{"ok": true}\n/undo\n/undo\n')
        self.assertEqual(r.status, 0, r)
        self.assertEqual(json.loads(r.out.splitlines()[0])["arguments"]["role"], "user", r)
        self.assertIn(b'"role":"user"', r.out)
        self.assertEqual(r.err.count(b"taken back"), 1, r)
        self.assertIn(b"nothing to take back", r.err)

    def test_a_call_without_a_result_ends_the_conversation(self):
        r = slm("chat", HEARTH, *GREEDY, "--tools", TOOLS, data=b"Turn on the kitchen light.\n")
        self.assertEqual((r.status, len(r.out.splitlines())), (0, 1), r)

    def test_without_tools_there_are_no_calls(self):
        r = slm("chat", HEARTH, *GREEDY, "--tools", TOOLS,
                data=b"/tools\nTurn on the kitchen light.\n")
        self.assertEqual((r.status, len(r.out.splitlines())), (0, 1), r)
        self.assertNotIn(b'"name"', r.out)

    def test_run_prints_calls_as_parse_tools_reads_them(self):
        r = slm("run", HEARTH, *GREEDY, "--tools", TOOLS, "--tool-choice", "timer",
                "Set a timer for 10 minutes.")
        self.done(r)
        parsed = json.loads(slm("parse-tools", HEARTH, data=r.out).out)
        self.assertEqual([c["name"] for c in parsed["tool_calls"]], ["timer"], r)
        r = slm("run", HEARTH, *GREEDY, "--tools", TOOLS, "--tool-choice", "none",
                "Set a timer for 10 minutes.")
        self.done(r)
        self.assertEqual(json.loads(slm("parse-tools", HEARTH, data=r.out).out)["tool_calls"], [])
        self.fails(slm("run", HEARTH, "--tools", TOOLS, "--tool-choice", "fly", "x"), 1, "fly")

    def test_the_example(self):
        program = os.path.join(os.path.dirname(SLM), "tools")
        p = subprocess.run([program, HEARTH, TOOLS], input=b"Turn on the kitchen light.\n",
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120, check=False)
        self.assertEqual((p.returncode, p.stderr), (0, b""), p)
        self.assertIn(b"[light {", p.stdout)
        self.assertIn(b"kitchen light: 100 %", p.stdout)
        p = subprocess.run([program, HEARTH, self.dir / "absent"], stdout=subprocess.PIPE,
                           stderr=subprocess.PIPE, timeout=120, check=False)
        self.assertEqual(p.returncode, 1, p)
        self.assertIn(b"absent", p.stderr)

    def test_the_example_of_json(self):
        schema = self.file("s.json", b'{"type": "object", "properties": {"room": {"type": "string",'
                                     b'"maxLength": 12}, "on": {"type": "boolean"}},'
                                     b'"required": ["room", "on"]}')
        program = os.path.join(os.path.dirname(SLM), "json")
        p = subprocess.run([program, HEARTH, schema, "Turn on the kitchen light."],
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120, check=False)
        self.assertEqual((p.returncode, p.stderr), (0, b""), p)
        self.assertEqual(set(json.loads(p.stdout)), {"room", "on"})


class Terminal(Case):
    """The file of earlier lines, where lines can be edited."""

    def talk(self, *typed, args=()):
        env = {**os.environ, "XDG_STATE_HOME": str(self.dir / "state"), "TERM": "dumb"}
        master, slave = pty.openpty()
        p = subprocess.Popen([SLM, "chat", HEARTH, *GREEDY, "-n", "4", *args], stdin=slave,
                             stdout=slave, stderr=slave, env=env, start_new_session=True,
                             preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
        os.close(slave)
        seen, until = b"", time.monotonic() + 60
        for text in (*typed, b"/exit\r"):
            new = b""  # a prompt on a line of its own: while a line is edited it is drawn again
            while not (b"\n" in new and new.rstrip().endswith(b">")) and time.monotonic() < until:
                if select.select([master], [], [], 0.1)[0]:
                    new += os.read(master, 4096)
            os.write(master, text)
            seen += new
        while p.poll() is None and time.monotonic() < until:
            if select.select([master], [], [], 0.1)[0]:
                try:
                    seen += os.read(master, 4096)
                except OSError:  # the other side is closed
                    break
        self.assertEqual(p.wait(timeout=60), 0, seen)
        os.close(master)
        return seen

    def test_earlier_lines_are_kept_for_their_owner_alone(self):
        self.talk(b"hello there\r")
        kept = self.dir / "state/slm/chat_history"
        if not kept.exists():
            self.skipTest("built without libedit")
        self.assertEqual(kept.stat().st_mode & 0o777, 0o600)
        self.assertEqual(kept.parent.stat().st_mode & 0o777, 0o700)
        self.talk(b"good night\r")
        text = kept.read_text(errors="replace")
        self.assertIn("hello", text)
        self.assertIn("night", text)

    def test_no_history(self):
        self.talk(b"hello there\r", args=["--no-history"])
        self.assertFalse((self.dir / "state").exists())


if __name__ == "__main__":
    main()
