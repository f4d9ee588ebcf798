"""Interruptions, closed pipes, full disks, files that shrink, and what only a terminal gets."""

import os
import pty
import select
import signal
import subprocess
import termios
import time

from cli_case import SLM, STORIES, Case, catches, chat_model, golden_text, long_stories, main, slm, start

# Generation that would take minutes: the end token is forbidden, the context is large.
ENDLESS = ["--raw", "--temp", "0", "-c", "100000", "--logit-bias", "2:-inf", "Once upon a time"]


class Running(Case):
    def setUp(self):
        super().setUp()
        self.model = self.file("long.gguf", long_stories())

    def start(self, *args, **kwargs):
        p = start(*args, **kwargs)
        self.addCleanup(lambda: (p.poll() is None and p.kill(), p.wait(),
                                 [f.close() for f in (p.stdin, p.stdout, p.stderr) if f]))
        return p

    def interrupt(self, p, seconds=0.3):
        """SIGINT, a while after the program has begun to listen for it."""
        self.assertTrue(catches(p), "it has ended")
        time.sleep(seconds)
        p.send_signal(signal.SIGINT)

    def ended(self, p, status, seconds=120):
        try:
            p.wait(seconds)
        except subprocess.TimeoutExpired:
            self.fail("it went on")
        self.assertEqual(p.returncode, status)


class Interrupt(Running):
    def test_run(self):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            with self.subTest(number):
                p = self.start("run", self.model, *ENDLESS)
                self.assertTrue(p.stdout.read(20))
                p.send_signal(number)
                self.ended(p, 130)
                self.assertEqual(p.stderr.read(), b"")

    def test_run_prints_stats_of_what_was_done(self):
        p = self.start("run", self.model, "--stats", *ENDLESS)
        self.assertTrue(p.stdout.read(20))
        p.send_signal(signal.SIGINT)
        self.ended(p, 130)
        self.assertIn(b'"tokens":', p.stderr.read())

    def test_while_a_prompt_is_evaluated(self):
        p = self.start("run", self.model, "--raw", "-c", "131072", "-")
        p.stdin.write(b"Once upon a time " * 20000)
        p.stdin.close()
        self.interrupt(p, 1)
        self.ended(p, 130)
        self.assertEqual(p.stdout.read(), b"")

    def test_while_input_is_awaited(self):
        p = self.start("run", self.model, "--raw", "-")
        self.interrupt(p)
        self.ended(p, 130)

    def test_perplexity_and_bench(self):
        text = self.file("text", golden_text()["text"].encode() * 20000)
        for args in (["perplexity", STORIES, text], ["bench", self.model, "-p", "0", "-n", "9999"]):
            p = self.start(*args)
            self.interrupt(p, 1)
            self.ended(p, 130)
            self.assertEqual(p.stderr.read(), b"")

    def test_logits_leaves_nothing(self):
        ids = self.file("ids", b"1 " * 60000)
        out = self.dir / "out.f32"
        p = self.start("logits", self.model, "--ids-file", ids, "-o", out)
        self.assertTrue(catches(p), "it has ended")
        for _ in range(1200):
            if len(list(self.dir.iterdir())) > 2:
                break
            time.sleep(0.05)
        p.send_signal(signal.SIGINT)
        self.ended(p, 130)
        self.assertEqual(sorted(x.name for x in self.dir.iterdir()), ["ids", "long.gguf"])

    def test_an_ignored_signal_stays_ignored(self):
        p = subprocess.Popen([SLM, "run", self.model, *ENDLESS], stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                             preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
        self.addCleanup(lambda: (p.kill(), p.wait(), p.stdout.close(), p.stderr.close()))
        self.assertTrue(p.stdout.read(20))
        p.send_signal(signal.SIGHUP)
        self.assertTrue(p.stdout.read(20))
        self.assertIsNone(p.poll())


class Pipes(Running):
    def test_a_reader_that_leaves(self):
        p = self.start("run", self.model, *ENDLESS)
        self.assertTrue(p.stdout.read(10))
        p.stdout.close()
        self.ended(p, 1)
        self.assertEqual(p.stderr.read(), b"")

    def test_a_reader_that_never_was(self):
        read, write = os.pipe()
        os.close(read)
        for args in (["--help"], ["tokenize", STORIES], ["run", STORIES, "--raw", "a"]):
            p = subprocess.run([SLM, *args], input=b"a", stdout=write, stderr=subprocess.PIPE,
                               check=False)
            self.assertEqual((p.returncode, p.stderr), (1, b""))
        os.close(write)

    def test_a_full_disk(self):
        if not os.path.exists("/dev/full"):
            self.skipTest("no /dev/full")
        with open("/dev/full", "wb") as full:
            for args in (["--version"], ["run", "--help"], ["tokenize", STORIES],
                         ["run", STORIES, "--raw", "-n", "5", "a"]):
                p = subprocess.run([SLM, *args], input=b"a", stdout=full, stderr=subprocess.PIPE,
                                   check=False)
                self.assertEqual(p.returncode, 1, args)
                self.assertEqual(p.stderr.count(b"\n"), 1, p.stderr)
                self.assertIn(b"slm: standard output: ", p.stderr)

    def test_a_model_that_is_cut_short_while_it_is_used(self):
        p = self.start("run", self.model, *ENDLESS)
        self.assertTrue(p.stdout.read(20))
        os.truncate(self.model, 4096)
        self.ended(p, 1)
        err = p.stderr.read()
        self.assertTrue(err.startswith(b"slm: "), err)
        self.assertEqual(err.count(b"\n"), 1, err)
        self.assertIn(b"long.gguf", err)

    def test_a_copy_is_not_hurt(self):
        p = self.start("run", self.model, "--load", "read", *ENDLESS)
        self.assertTrue(p.stdout.read(20))
        os.truncate(self.model, 4096)
        self.assertTrue(p.stdout.read(500))
        self.assertIsNone(p.poll())


class Terminal(Running):
    """The program on a pseudo-terminal: standard error alone, or all three streams."""

    def on_terminal(self, *args, all_streams=False, stdout=subprocess.PIPE):
        master, slave = pty.openpty()
        self.addCleanup(os.close, master)
        self.master, self.seen = master, b""

        def begin():
            os.setsid()
            if all_streams:
                import fcntl
                fcntl.ioctl(0, termios.TIOCSCTTY, 0)
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            os.environ["TERM"] = "xterm"
        stream = slave if all_streams else None
        p = subprocess.Popen([SLM, *map(str, args)], stdin=stream or subprocess.DEVNULL,
                             stdout=stream or stdout, stderr=slave, preexec_fn=begin,
                             env={**os.environ, "TERM": "xterm"})
        self.addCleanup(lambda: (p.poll() is None and p.kill(), p.wait(),
                                 p.stdout and p.stdout.close()))
        os.close(slave)
        return p

    def read_until(self, enough, seconds=120):
        """Reads the terminal until what was seen is enough."""
        end = time.monotonic() + seconds
        while not enough():
            self.assertLess(time.monotonic(), end, self.seen)
            if select.select([self.master], [], [], 0.2)[0]:
                try:
                    more = os.read(self.master, 65536)
                except OSError:
                    more = b""
                self.assertTrue(more, self.seen)
                self.seen += more

    def wait_for(self, text):
        """Reads the terminal until the text is there; gives what came before and with it."""
        self.read_until(lambda: text in self.seen)
        at = self.seen.index(text) + len(text)
        read, self.seen = self.seen[:at], self.seen[at:]
        return read

    def rest(self, seconds=120):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if not select.select([self.master], [], [], 0.2)[0]:
                continue
            try:
                more = os.read(self.master, 65536)
            except OSError:
                break
            if not more:
                break
            self.seen += more
        return self.seen

    def type(self, text):
        os.write(self.master, text)

    def test_the_bar_appears_on_a_terminal_only(self):
        text = self.file("text", golden_text()["text"].encode() * 20000)
        p = self.on_terminal("perplexity", STORIES, text)
        self.wait_for(b"perplexity [")
        self.wait_for(b" %")
        p.send_signal(signal.SIGINT)
        self.ended(p, 130)
        self.assertTrue(self.rest().endswith(b"\r\x1b[K"), self.seen)  # and is erased

        p = self.on_terminal("perplexity", "-q", STORIES, text)
        self.interrupt(p, 2)
        self.ended(p, 130)
        self.assertEqual(self.rest(), b"")

        p = self.start("perplexity", STORIES, text)
        self.interrupt(p, 2)
        self.ended(p, 130)
        self.assertEqual(p.stderr.read(), b"")

    def test_no_bar_for_short_work(self):
        golden = golden_text()
        p = self.on_terminal("run", STORIES, "--raw", "--temp", "0", "-n", "20", golden["prompt"])
        self.ended(p, 0)
        self.assertEqual(self.rest(), b"")

    def test_a_prompt_that_goes_in_by_pieces_gives_the_same_answer(self):
        prompt = "Once upon a time " * 150
        args = ["run", self.model, "--raw", "--temp", "0", "-n", "5", "-c", "131072"]
        path = self.file("prompt", prompt.encode())
        with open(path, "rb") as data:
            want = subprocess.run([SLM, *args], stdin=data, stdout=subprocess.PIPE, check=True)
        master, slave = pty.openpty()
        self.master, self.seen = master, b""
        self.addCleanup(os.close, master)
        with open(path, "rb") as data:
            p = subprocess.Popen([SLM, *args], stdin=data, stdout=subprocess.PIPE, stderr=slave)
        os.close(slave)
        self.assertEqual(p.communicate(timeout=120)[0], want.stdout)

    def test_raw_without_a_prompt(self):
        p = self.on_terminal("run", "--raw", STORIES, all_streams=True)
        self.ended(p, 2)
        self.assertIn(b"slm: run: got no PROMPT", self.rest())

    def chat(self, *args):
        model = self.file("chat.gguf", chat_model())
        p = self.on_terminal(*args, model, "--temp", "0", "-n", "8", all_streams=True)
        self.wait_for(b"/help lists commands")
        self.wait_for(b"> ")
        return p, slm("run", model, "--temp", "0", "-n", "8", "One").out

    def test_chat(self):
        p, _ = self.chat("chat")
        self.type(b"One\r")
        self.wait_for(b"> ")
        self.type(b"/help\r")
        self.wait_for(b"Ctrl-D ends")
        self.type(b"/nonsense\r")
        self.wait_for(b"/nonsense is not a command")
        self.type(b"/reset\r")
        self.wait_for(b"begins anew")
        self.type(b"/exit\r")
        self.ended(p, 0)

    def test_run_without_a_prompt_opens_it(self):
        p, _ = self.chat("run")
        self.type(b"\x04")
        self.ended(p, 0)

    def test_quiet_chat(self):
        model = self.file("chat.gguf", chat_model())
        self.on_terminal("chat", "-q", model, all_streams=True)
        self.assertNotIn(b"/help", self.wait_for(b"> "))

    def test_an_interrupted_line(self):
        p, _ = self.chat("chat")
        self.type(b"half a line")
        self.wait_for(b"line")
        self.type(b"\x03")
        self.wait_for(b"> ")
        self.type(b"\x03")
        self.wait_for(b"Ctrl-C again")
        self.type(b"/reset\r")  # in between: the count begins again
        self.wait_for(b"begins anew")
        self.wait_for(b"> ")
        self.type(b"\x03")
        self.wait_for(b"Ctrl-C again")
        self.wait_for(b"> ")
        self.type(b"\x03")
        self.ended(p, 130)

    def endless_chat(self):
        model = chat_model().replace(b"qwen2.context_length\x04\0\0\0\x00\x02\0\0",
                                     b"qwen2.context_length\x04\0\0\0\x00\x00\x02\0")
        forbid = [x for i in (315, 316, 317) for x in ("--logit-bias", f"{i}:-inf")]
        p = self.on_terminal("chat", self.file("chat.gguf", model), "-c", "100000", *forbid,
                             all_streams=True)
        self.wait_for(b"> ")
        self.type(b"One\r")
        self.wait_for(b"\n")
        self.read_until(lambda: len(self.seen) > 100)  # the answer is under way
        return p

    def test_an_interrupted_answer(self):
        p = self.endless_chat()
        self.type(b"\x03")
        self.wait_for(b"(stopped)")
        self.wait_for(b"> ")
        self.type(b"/exit\r")
        self.ended(p, 0)

    def test_an_answer_interrupted_while_the_terminal_takes_no_output(self):
        p = self.endless_chat()
        self.type(b"\x13")  # Ctrl-S: the program waits to write
        time.sleep(0.5)
        self.type(b"\x03")
        self.wait_for(b"(stopped)")
        self.wait_for(b"> ")
        self.type(b"/exit\r")
        self.ended(p, 0)

    def test_the_terminal_is_left_as_it_was(self):
        p, _ = self.chat("chat")
        before = termios.tcgetattr(self.master)
        self.type(b"\x04")
        self.ended(p, 0)
        after = termios.tcgetattr(self.master)
        self.assertTrue(after[3] & termios.ECHO and after[3] & termios.ICANON, (before, after))


if __name__ == "__main__":
    main()
