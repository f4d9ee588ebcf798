"""What the system refuses while the server runs: memory, threads, files, sockets, room for the log; and
clocks, languages and model files that change under it. Whatever fails, the one request that it belongs
to may fail with it; the server goes on, loses nothing, and the next request gets what it always gets."""

import ctypes
import json
import mmap
import os
import resource
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

from serve_case import HEARTH, SLM, WAIT, Case, Server, main

MEMORY, THREADS, FILES, SOCKETS, EVENTS = 1, 2, 4, 8, 16 # as in faults.c
FIELDS = {name: 8 * i for i, name in enumerate(
    ("kinds", "fail_at", "for_good", "error", "n_calls", "n_blocks", "clock"))}
SCHEMA = {"type": "object", "properties": {"name": {"enum": ["ann", "bob"]}}, "required": ["name"],
          "additionalProperties": False}
TOOL = {"type": "function", "function": {"name": "set_timer", "parameters": {
    "type": "object", "properties": {"minutes": {"type": "integer"}}, "required": ["minutes"]}}}
MESSAGES = [{"role": "user", "content": "What can you do?"}]
REQUESTS = {
    "chat": ("/v1/chat/completions", {"messages": MESSAGES, "max_tokens": 4, "temperature": 0,
                                      "logprobs": True, "top_logprobs": 2}),
    "stream": ("/v1/chat/completions", {"messages": MESSAGES, "max_tokens": 4, "temperature": 0,
                                        "stream": True}),
    "guided": ("/v1/chat/completions", {
        "messages": MESSAGES, "max_tokens": 24, "temperature": 0, "tools": [TOOL],
        "response_format": {"type": "json_schema", "json_schema": {"name": "x",
                                                                   "schema": SCHEMA}}}),
    "completion": ("/v1/completions", {"prompt": ["The light", "A lamp"], "max_tokens": 3,
                                       "temperature": 0, "stop": ["xyz"], "logprobs": 1}),
    "responses": ("/v1/responses", {"input": "Hello", "max_output_tokens": 3, "temperature": 0,
                                    "stream": True}),
    "embeddings": ("/v1/embeddings", {"input": ["turn on the light", "off"]}),
    "tokenize": ("/tokenize", {"messages": MESSAGES}),
    "models": ("/v1/models", None),
    "metrics": ("/metrics", None),
}
# What a reply has of its own each time.
OWN = ("id", "created", "created_at", "item_id", "usage", "call_id", "model")


def plain(value):
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items() if k not in OWN}
    return [plain(v) for v in value] if isinstance(value, list) else value


class Faults:
    """The library of failures with the page that it shares with a server."""

    folder = library = None

    @classmethod
    def build(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.library = Path(cls.folder.name) / "faults.so"
        subprocess.run([os.environ.get("SLM_CC") or "cc", "-shared", "-fPIC", "-O1", "-Wall", "-Wextra",
                        "-Werror", str(Path(__file__).parent / "faults.c"), "-o", str(cls.library), "-ldl"],
                       check=True)

    def __init__(self):
        self.file = Path(self.folder.name) / "page"
        self.file.write_bytes(bytes(4096))
        with open(self.file, "r+b") as f:
            self.map = mmap.mmap(f.fileno(), 4096)
        self.env = {"LD_PRELOAD": str(self.library), "SLM_FAULTS": str(self.file)}

    def __getitem__(self, name):
        return struct.unpack_from("<q", self.map, FIELDS[name])[0]

    def __setitem__(self, name, value):
        struct.pack_into("<q", self.map, FIELDS[name], value)

    def arm(self, kinds, fail_at, for_good=False, error=0):
        self["kinds"] = 0
        self["n_calls"], self["error"] = 0, error
        self["for_good"], self["fail_at"] = int(for_good), fail_at
        self["kinds"] = kinds

    def disarm(self):
        self["kinds"] = 0
        return self["n_calls"]


def numbers(dense, most):
    """1, 2, ... and further apart behind `dense`."""
    n = 1
    while n <= most:
        yield n
        n += 1 if n < dense else max(1, n // 12)


def read_all(s):
    out = b""
    try:
        while piece := s.recv(65536):
            out += piece
    except (ConnectionResetError, socket.timeout):
        return out, False
    return out, True


class FaultCase(Case):
    OPTIONS = ("-c", "256", "--parallel", "2", "--queue", "4", "--idle-timeout", "5")

    @classmethod
    def setUpClass(cls):
        if os.environ.get("SLM_SANITIZE"):
            raise unittest.SkipTest("a sanitizer has these functions for itself")
        Faults.build()
        cls.faults = Faults()
        cls.server = Server(cls.MODEL, *cls.OPTIONS, env=cls.faults.env)

    @classmethod
    def tearDownClass(cls):
        super().tearDownClass()
        Faults.folder.cleanup()

    def ask(self, name):
        """The bytes of a reply; what they are: whole, and what they say but for ids and times."""
        path, body = REQUESTS[name]
        data = b"" if body is None else json.dumps(body).encode()
        lines = [] if body is None else ["Content-Type: application/json",
                                         f"Content-Length: {len(data)}"]
        try:
            with self.server.connect() as s:
                s.sendall(self.head("GET" if body is None else "POST", path, "Connection: close",
                                    *lines) + data)
                out, _ = read_all(s)
        except OSError:
            out = b""
        return out

    def parse(self, out):
        """(status, what it says); (0, None): no reply."""
        head, _, body = out.partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 "):
            return 0, None
        if b"transfer-encoding: chunked" in head.lower():
            body = self.dechunk(body)
        status = int(head.split()[1])
        if body is None:
            return status, None
        if b"text/event-stream" in head:
            events = [e.split(b"data: ", 1)[1] for e in body.split(b"\n\n") if b"data: " in e]
            return status, [e.decode() if e == b"[DONE]" else plain(json.loads(e)) for e in events]
        if b"application/json" in head:
            return status, plain(json.loads(body))
        return status, body

    def dechunk(self, body):
        out = b""
        while body:
            size, _, body = body.partition(b"\r\n")
            n = int(size or b"-1", 16)
            if n == 0:
                return out
            if n < 0 or len(body) < n + 2:
                return None # cut off
            out, body = out + body[:n], body[n + 2:]
        return None

    def is_quiet(self):
        return self.metric("slm_requests_running") + self.metric("slm_requests_waiting") == 0

    def settle(self):
        """Nothing runs any more, and only the connection of this question is there."""
        self.until(lambda: self.is_quiet() and self.metric("slm_connections") == 1,
                   "a request is still there")

    def held(self, name):
        """Blocks of memory that a server holds between requests; the end of a connection may take a
        moment."""
        for _ in range(3):
            self.ask(name)
        counts = []
        for _ in range(8):
            self.settle()
            counts.append(self.faults["n_blocks"])
        return min(counts)

    def check(self, name, out, quiet, hint):
        """A reply under a failure: none, the usual one, or one that says so."""
        self.assertIsNone(self.server.process.poll(), f"{hint}: the server has ended: "
                          f"{self.server.text()}")
        status, said = self.parse(out)
        if status in (0, 503, 500) or said is None:
            return
        if status == 200 and isinstance(said, list) and said != quiet:
            last = [e for e in said if e != "[DONE]"]
            self.assertTrue(last and (last[-1].get("error") or last[-1]["type"] ==
                                      "response.failed"), f"{hint}: {out[-500:]}")
            return
        if name in ("metrics", "guided"):
            # Where bytes that a guide forces could not be looked up, the model spells them itself: that
            # keeps to the guide, too, but by other tokens.
            self.assertEqual(status, 200, hint)
            return
        self.assertEqual((status, said), (200, quiet), hint)

    def loop(self, name, kinds, dense, error=0, most=200000):
        """Each n-th call fails, n rising until the request no longer gets as far as that."""
        quiet = self.parse(self.ask(name))[1]
        for for_good in (False, True):
            reached = 0
            for n in numbers(dense, most):
                hint = f"{name}, call {n} of kind {kinds} fails{' for good' * for_good}"
                self.faults.arm(kinds, n, for_good, error)
                out = self.ask(name)
                n_calls = self.faults.disarm()
                self.check(name, out, quiet, hint)
                if n_calls < n:
                    break
                reached = n
                if n < 12 or n % 5 == 0:
                    again = self.parse(self.ask(name))
                    self.assertEqual(again[0], 200, f"{hint}, and afterwards: {again}")
                    if name != "metrics":
                        self.assertEqual(again[1], quiet, f"{hint}, and afterwards")
            self.assertGreater(reached, 2, f"{name}: hardly anything failed")
        self.settle()


class Requests(FaultCase):
    def test_170_memory(self):
        """Also that nothing is lost: as many blocks are held as by requests that went well."""
        for name in REQUESTS:
            if name == "guided": # a guide keeps what it finds out on ways that only failures lead to
                self.loop(name, MEMORY, 400)
            before = self.held(name)
            self.loop(name, MEMORY, 400)
            self.assertLess(self.held(name) - before, 12, f"{name}: blocks are lost")

    def test_170_guide_is_compiled_anew(self):
        """A guide that could not be compiled for want of memory is compiled for the next one."""
        for i, n in enumerate((1, 50, 200, 400, 800, 1600)):
            schema = {"type": "object", "properties": {f"k{i}": {"type": "integer"}},
                      "required": [f"k{i}"], "additionalProperties": False}
            ask = {"messages": MESSAGES, "max_tokens": 24, "temperature": 0, "response_format": {
                "type": "json_schema", "json_schema": {"name": "x", "schema": schema}}}
            self.faults.arm(MEMORY, n, True)
            try:
                self.assertIn(self.post("/v1/chat/completions", ask).status, (200, 503))
            except OSError:
                pass
            self.faults.disarm()
            text = self.ok("/v1/chat/completions", ask)["choices"][0]["message"]["content"]
            self.assertTrue(text.startswith('{"k%d":' % i), text)

    def test_170_sockets(self):
        for name in ("chat", "stream", "models"):
            self.loop(name, SOCKETS | EVENTS, 60)

    def test_170_descriptors(self):
        before = self.server.n_files()
        self.loop("stream", FILES, 30, most=30)
        self.assertLessEqual(self.server.n_files(), before + 1)

    def test_181_interruptions(self):
        """Every call may be interrupted: that is no failure."""
        quiet = self.parse(self.ask("stream"))
        for n in range(1, 40):
            self.faults.arm(SOCKETS, n, error=4) # EINTR
            out = self.ask("stream")
            self.faults.disarm()
            self.assertEqual(self.parse(out), quiet, f"call {n}")

    def test_181_clock(self):
        """The time of day jumps while answers run: no deadline is of that clock."""
        quiet = self.parse(self.ask("stream"))
        for jump in (10 ** 9, -10 ** 9, 86400 * 365 * 50, -3600, 0):
            self.faults["clock"] = jump
            self.assertEqual(self.parse(self.ask("stream")), quiet)
            self.assertEqual(self.get("/health").status, 200)
        self.faults["clock"] = 0


class Starting(unittest.TestCase):
    """A server that does not get what it needs says so and ends; one that can do without serves."""

    @classmethod
    def setUpClass(cls):
        if os.environ.get("SLM_SANITIZE"):
            raise unittest.SkipTest("a sanitizer has these functions for itself")
        Faults.build()

    @classmethod
    def tearDownClass(cls):
        Faults.folder.cleanup()

    def start(self, kinds, n, for_good=False):
        """Whether it serves, and how many calls there were."""
        faults = Faults()
        faults.arm(kinds, n, for_good)
        log = tempfile.TemporaryFile()
        p = subprocess.Popen([SLM, "serve", str(HEARTH), "--port", "0", "-c", "64", "-t", "2"],
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log,
                             env=dict(os.environ, **faults.env))
        limit, serves = time.monotonic() + WAIT, False
        text = b""
        while time.monotonic() < limit and p.poll() is None and not serves:
            log.seek(0)
            text = log.read()
            serves = b"listening on" in text
            time.sleep(0.005)
        n_calls = faults.disarm()
        if serves:
            p.send_signal(signal.SIGTERM)
        status = p.wait(WAIT)
        p.stdout.close()
        log.seek(0)
        text = log.read().decode()
        hint = f"kind {kinds}, call {n}: status {status}: {text}"
        if serves:
            self.assertEqual(status, 0, hint)
        else:
            # 127: the loader of the program could not even begin
            self.assertIn(status, (1, 127), hint)
            self.assertGreaterEqual(text.count("\n"), 1, hint)
        return serves, n_calls

    def steps(self, kinds, dense, most=10 ** 6):
        n_failed = 0
        for n in numbers(dense, most):
            serves, n_calls = self.start(kinds, n)
            n_failed += not serves
            if n_calls < n:
                self.assertTrue(serves)
                return n_failed
        return n_failed

    def test_172_threads(self):
        self.assertGreater(self.steps(THREADS, 20), 0)
        self.start(THREADS, 1, for_good=True)

    def test_170_memory(self):
        self.assertGreater(self.steps(MEMORY, 3), 3)

    def test_170_files(self):
        self.assertGreater(self.steps(FILES, 60), 3)

    def test_172_small_stacks(self):
        server = Server(HEARTH, preexec=lambda: resource.setrlimit(resource.RLIMIT_STACK,
                                                                   (256 << 10, 256 << 10)))
        try:
            self.assertEqual(Case().get("/health", server=server).status, 200)
        finally:
            self.assertEqual(server.stop(), 0, server.text())


class Languages(FaultCase):
    """A language that writes 1,5 for 1.5, in force in all of the program."""

    @classmethod
    def setUpClass(cls):
        localedef, source = shutil.which("localedef"), Path("/usr/share/i18n/locales/de_DE")
        if not localedef or not source.exists():
            print("no localedef or no sources of languages here", file=sys.stderr)
            raise unittest.SkipTest("no language to be made")
        cls.languages = tempfile.TemporaryDirectory()
        subprocess.run([localedef, "-i", "de_DE", "-f", "UTF-8", "--no-archive",
                        cls.languages.name + "/de_DE.UTF-8"], check=True)
        super().setUpClass()
        cls.there = Server(cls.MODEL, *cls.OPTIONS, "--log", env=dict(
            cls.faults.env, LOCPATH=cls.languages.name, LC_ALL="de_DE.UTF-8",
            SLM_FAULTS_LOCALE="de_DE.UTF-8"))

    @classmethod
    def tearDownClass(cls):
        assert cls.there.stop() == 0, cls.there.text()
        cls.there.log.close()
        super().tearDownClass()
        cls.languages.cleanup()

    def test_181_comma(self):
        for name, (path, body) in REQUESTS.items():
            if body is not None:
                body = dict(body, temperature=0.5, top_p=0.9, seed=3) if "max_tokens" in body else body
                here, there = self.post(path, body), self.post(path, body, server=self.there)
                self.assertEqual((here.status, there.status), (200, 200), name)
                if not body.get("stream"):
                    self.assertEqual(plain(there.json()), plain(here.json()), name)
        for line in self.get("/metrics", server=self.there).body.decode().splitlines():
            if not line.startswith("#"):
                float(line.rsplit(" ", 1)[1])
                self.assertNotIn('le="0,', line)
        self.assertRegex(self.there.text(), r"POST /v1/embeddings 200 \d+\.\d{3} s\n")


class Logs(Case):
    """A log that cannot be written: its lines are dropped and counted, and nobody waits."""

    CANARY = "pelican-7431"

    @classmethod
    def setUpClass(cls):
        cls.server = None

    @classmethod
    def tearDownClass(cls):
        pass

    def serve(self, stderr, *options, preexec=None, n=20):
        """A server that writes its log there; how many lines were dropped."""
        server = Server(HEARTH, "--log", *options, stderr=stderr, preexec=preexec)
        server.port = None
        try:
            self.until(lambda: self.find(server), "it does not start")
            for _ in range(n):
                self.ok("/v1/completions", {"prompt": self.CANARY, "max_tokens": 1}, server=server)
            return self.metric("slm_log_lines_dropped_total", server=server)
        finally:
            server.stop()
            server.log.close()

    def find(self, server):
        """The port, of which the log cannot tell."""
        inodes = set()
        for p in Path(f"/proc/{server.process.pid}/fd").iterdir():
            try:
                inodes.add(os.readlink(p))
            except OSError: # it was closed just now
                pass
        for line in Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and f"socket:[{fields[9]}]" in inodes:
                server.port = int(fields[1].split(":")[1], 16)
                return True
        return False

    def test_183_disk_full(self):
        if not os.path.exists("/dev/full"):
            self.skipTest("no /dev/full")
        with open("/dev/full", "wb") as full:
            self.assertGreaterEqual(self.serve(full), 20)

    def test_183_limit_of_a_file(self):
        with tempfile.TemporaryFile() as log:
            limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
            n_dropped = self.serve(log, preexec=limit, n=200) # of some 40 bytes each
            self.assertTrue(0 < n_dropped < 200, n_dropped)

    def test_183_nobody_reads(self):
        end, begin = os.pipe()
        os.set_blocking(begin, False)
        try: # full but for some lines
            while os.write(begin, b"x" * 4096):
                pass
        except BlockingIOError:
            os.set_blocking(begin, True)
        os.read(end, 4096)
        with os.fdopen(begin, "wb") as f:
            n_dropped = self.serve(f, n=200)
        os.close(end)
        self.assertGreater(n_dropped, 0)

    def test_183_reader_is_gone(self):
        end, begin = os.pipe()
        os.close(end)
        with os.fdopen(begin, "wb") as f:
            self.assertGreaterEqual(self.serve(f), 20)

    def test_183_no_texts(self):
        for options, there in (((), False), (("--log-text",), True)):
            with tempfile.TemporaryFile() as log:
                self.assertEqual(self.serve(log, *options, n=2), 0)
                log.seek(0)
                text = log.read().decode()
                self.assertIn("POST /v1/completions 200", text)
                self.assertEqual(self.CANARY in text, there, text)


class Files(Case):
    """The model's file changes under a running server."""

    ASK = {"prompt": "The light in the kitchen", "max_tokens": 8, "temperature": 0}

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.server = None

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def begin(self, *options):
        file = Path(self.folder.name) / f"{self.id().rsplit('.', 1)[1]}.gguf"
        shutil.copy(HEARTH, file)
        server = self.start(file, *options)
        self.text = self.ask(server)
        return file, server

    def start(self, *arguments, **kwargs):
        server = Server(*arguments, **kwargs)
        self.addCleanup(server.log.close)
        self.addCleanup(server.stop)
        return server

    def ask(self, server):
        return self.ok("/v1/completions", self.ASK, server=server)["choices"][0]["text"]

    def test_179_replaced(self):
        for options in ((), ("--load", "map"), ("--load", "read")):
            file, server = self.begin(*options)
            other = file.with_suffix(".new")
            other.write_bytes(b"something else")
            os.replace(other, file)
            self.assertEqual(self.ask(server), self.text)
            file.unlink()
            self.assertEqual(self.ask(server), self.text)
            self.assertEqual(server.stop(), 0, server.text())

    def test_179_cut_short(self):
        """The answer is right, or the server ends and says which file it was."""
        for options in ((), ("--load", "map"), ("--load", "read")):
            file, server = self.begin(*options)
            os.truncate(file, 4096)
            try:
                for i in range(3):
                    self.assertEqual(self.ask(server), self.text, options)
                self.assertEqual(server.stop(), 0, server.text())
            except (OSError, EOFError):
                self.assertEqual(server.process.wait(WAIT), 1)
                last = server.text().splitlines()[-1]
                self.assertIn(file.name, last)
                self.assertIn("cut short", last)
                self.assertNotIn("read", options)
            with self.assertRaises(AssertionError) as refused: # and it does not start with that
                Server(file, *options)
            self.assertIn(file.name, str(refused.exception))

    def test_175_no_numbers(self):
        """Weights that are none give an error for the request, and no end of the server."""
        file = Path(self.folder.name) / "nan.gguf"
        data = bytearray(HEARTH.read_bytes())
        data[-4096:] = b"\xff" * 4096
        file.write_bytes(data)
        try:
            server = self.start(file)
        except AssertionError as refused: # also good: it is seen when the file is loaded
            self.assertIn("nan.gguf", str(refused))
            return
        for _ in range(2):
            reply = self.post("/v1/completions", dict(self.ASK, max_tokens=400), server=server)
            self.refused(reply, 500, None)
        self.assertEqual(self.get("/health", server=server).status, 200)
        self.assertEqual(server.stop(), 0, server.text())

    def test_173_context_fills(self):
        server = self.start(HEARTH, "-c", "48", "--parallel", "2")
        ask = dict(self.ASK, max_tokens=10000, logit_bias={"300": 100})
        for _ in range(2):
            r = self.ok("/v1/completions", ask, server=server)
            self.assertEqual(r["choices"][0]["finish_reason"], "length")
            self.assertEqual(r["usage"]["total_tokens"], 48)

    def test_172_one_core(self):
        server = self.start(HEARTH, preexec=lambda: os.sched_setaffinity(0, {min(
            os.sched_getaffinity(0))}))
        self.assertTrue(self.ask(server))


if __name__ == "__main__":
    main()
