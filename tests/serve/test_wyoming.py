"""slm-wyoming: every event that it knows, conversations, bytes that are none, clients that vanish
or do not read, the ways to reach it, and its end."""

import json
import os
import signal
import socket
import subprocess
import tempfile
import threading
import time
import unittest
from pathlib import Path

from serve_case import HEARTH, STORIES, WAIT, in_threads, long_context
from wyoming_case import ENVIRONMENT, PROGRAM, TOOLS, Case, Client, Events, Server, main, pack

ASK = "What can you do?"


class Handle(Case):
    """Without tools: text that is handled."""

    OPTIONS = ("--read-timeout", 2, "--system", "You are a home assistant.", "--name", "hearth")

    def test_describe(self):
        c = self.client()
        c.send("describe")
        kind, info = c.next()
        self.assertEqual(kind, "info")
        self.assertEqual(set(info), {"asr", "tts", "handle", "intent", "wake", "mic", "snd"})
        self.assertEqual([k for k, v in info.items() if v], ["handle"])
        program = info["handle"][0]
        self.assertTrue(program["installed"] and program["supports_handled_streaming"])
        self.assertEqual(program["name"], "hearth")
        self.assertEqual(set(program["attribution"]), {"name", "url"})
        model = program["models"][0]
        self.assertTrue(model["installed"] and model["name"])
        self.assertIsInstance(model["languages"], list)

    def test_stream(self):
        c = self.client()
        c.send("transcript", {"text": ASK, "language": "en", "context": {"device_id": "kitchen"}})
        events = c.until("handled-stop")
        kinds = [kind for kind, _ in events]
        self.assertEqual(kinds, ["handled-start"] + ["handled-chunk"] * (len(kinds) - 3) +
                         ["handled", "handled-stop"])
        self.assertGreater(len(kinds), 6)
        context = events[0][1]["context"]
        self.assertEqual(context["device_id"], "kitchen")
        self.assertRegex(context["conversation_id"], r"^[0-9a-f]{32}$")
        self.assertEqual(events[-2][1], {"context": context, "text": "".join(
            data["text"] for kind, data in events if kind == "handled-chunk")})

    def test_conversations(self):
        """By id over connections, by connection where there is none, and apart from one another."""
        self.client().say("My name is Anna.", "of Anna é")
        kind, data = self.client().say("What is my name?", "of Anna é")
        self.assertEqual((kind, data["context"]), ("handled", {"conversation_id": "of Anna é"}))
        self.assertIn("Anna", data["text"])
        self.assertNotIn("Anna", self.client().say("What is my name?")[1]["text"])
        c = self.client()
        given = c.say("My name is Emma.")[1]["context"]
        self.assertIn("Emma", c.say("What is my name?")[1]["text"])
        other = self.client().say("What is my name?", given["conversation_id"])
        self.assertIn("Emma", other[1]["text"])

    def test_two_at_once(self):
        alone = [self.client().say(text) for text in (ASK, "Tell me a joke.")]
        both = in_threads(4, lambda i: self.client().say((ASK, "Tell me a joke.")[i % 2]))
        for i, (kind, data) in enumerate(both):
            self.assertEqual((kind, data["text"]), (alone[i % 2][0], alone[i % 2][1]["text"]))

    def test_longer_than_the_context(self):
        """The oldest turns go; the conversation goes on."""
        c = self.client()
        for i in range(40):
            kind, data = c.say(f"Turn {i}: what can you do for me, and for all in this house?")
            self.assertEqual(kind, "handled", (i, data))
        c.say("My name is Anna.")
        self.assertIn("Anna", c.say("What is my name?")[1]["text"])

    def test_nothing_said(self):
        c = self.client()
        for text in ("", " \n"):
            kind, data = c.say(text)
            self.assertEqual((kind, set(data)), ("not-handled", {"context"}))
        self.assertEqual(c.say("Turn on the light.", kind="recognize")[0], "not-recognized")
        self.assertEqual(c.say(ASK)[0], "handled")

    def test_other_events(self):
        """Those of other services are dropped, with their sound; a ping comes back."""
        c = self.client()
        c.send("audio-start", {"rate": 16000, "width": 2, "channels": 1})
        for _ in range(3):
            c.send("audio-chunk", {"rate": 16000}, payload=b"\n{" * 99999)
        c.send("select-program", {"name": "hearth"})
        c.send("x" * 5000)
        c.send("ping", {"text": "there?"}, apart=False)
        self.assertEqual(c.next(), ("pong", {"text": "there?"}))
        c.send("ping")
        self.assertEqual(c.next(), ("pong", {}))

    def test_fields(self):
        c = self.client()
        for data, *words in (({}, "text", "none"), ({"text": 1}, "text"), ({"text": None}, "text"),
                             ({"text": "x", "context": [1]}, "context"),
                             ({"text": "x", "context": {"conversation_id": 7}}, "conversation_id"),
                             ({"text": "x", "context": {"conversation_id": ""}}, "conversation_id"),
                             ({"text": "x", "context": {"conversation_id": "i" * 129}}, "128")):
            c.send("transcript", data)
            self.refused(c.next(), "bad-field", *words)
        self.assertEqual(c.say(ASK, "i" * 128)[0], "handled")
        c.send("transcript", {"text": ASK, "context": None}, apart=False)
        self.assertEqual(c.answer()[0], "handled")
        c.send("transcript", {"text": ASK, "context": {"conversation_id": None}})
        self.assertEqual(c.answer()[0], "handled")

    def test_data_is_merged(self):
        c = self.client()
        body = b'{"text": "b"}'
        c.socket.sendall(b'{"type": "ping", "data": {"text": "a"}, "data_length": %d}\n%s'
                         % (len(body), body))
        self.assertEqual(c.next(), ("pong", {"text": "b"}))

    def test_too_long(self):
        c = self.client()
        self.refused(c.say("word " * 5000), "too-long", "1024")
        self.assertEqual(c.say(ASK)[0], "handled")

    def test_no_events(self):
        """The message says what it was, and the connection is closed."""
        for data, code, *words in (
                (b"\n", "bad-event", "header"),
                (b"GET / HTTP/1.1\r\n\r\n", "bad-event", "header"),
                (b"\x16\x03\x01\x02\x00\x01\n", "bad-event", "header"),
                (b'"describe"\n', "bad-event", "header"),
                (b"[]\n", "bad-event", "other JSON"),
                (b"[" * 60000 + b"\n", "bad-event", "header"),
                (b'{"type": "a"} {"type": "b"}\n', "bad-event", "header"),
                (b'{"type": "\xff"}\n', "bad-event", "header"),
                (b'{"type": "a\\u0000"}\n', "bad-event", "header"),
                (b'{"data": {}}\n', "bad-event", "type"),
                (b'{"type": 7}\n', "bad-event", "type"),
                (b'{"type": "ping", "data": [1]}\n', "bad-event", "data"),
                (b'{"type": "ping", "data_length": -1}\n', "bad-event", "data_length"),
                (b'{"type": "ping", "data_length": "9"}\n', "bad-event", "data_length"),
                (b'{"type": "ping", "data_length": 2.5}\n', "bad-event", "data_length"),
                (b'{"type": "ping", "data_length": 65537}\n', "too-large", "65536"),
                (b'{"type": "ping", "data_length": 99999999999999999999}\n', "bad-event", "header"),
                (b'{"type": "ping", "payload_length": 16777217}\n', "too-large", "16777216"),
                (b'{"type": "ping", "payload_length": 9223372036854775807}\n', "too-large"),
                (b'{"type": "ping", "data_length": 4}\n[1]\n', "bad-event", "data"),
                (b'{"type": "ping", "data_length": 4}\n{"a"', "bad-event", "data"),
                (b'{"type": "ping", "data_length": 2}\n{"text": 1}', "bad-event", "data"),
                (b'{"type": "ping", "data_length": 12}\n{"text": NaN}', "bad-event", "data"),
                (b"x" * 300000, "too-large", "65536"),
        ):
            with self.subTest(data=data[:60]):
                c = self.client()
                c.socket.sendall(data)
                self.refused(c.next(), code, *words)
                self.assertEqual(c.rest(), [])

    def test_byte_by_byte(self):
        c = self.client()
        for byte in pack("ping", {"text": "slow"}, payload=b"12345"):
            c.socket.sendall(bytes([byte]))
        self.assertEqual(c.next(), ("pong", {"text": "slow"}))

    def test_half_an_event(self):
        """One that ends in its middle, and one whose rest does not come."""
        whole = pack("transcript", {"text": ASK}, payload=b"123")
        for n in (1, 20, whole.index(b"\n") + 1, len(whole) - 5, len(whole) - 1):
            c = self.client()
            c.socket.sendall(whole[:n])
            c.socket.shutdown(socket.SHUT_WR)
            self.refused(c.next(), "bad-event", "end")
            self.assertEqual(c.rest(), [])
            c = self.client()
            c.socket.sendall(whole[:n])
            self.refused(c.next(), "timeout")
            self.assertEqual(c.rest(), [])

    def test_quiet_is_no_fault(self):
        c = self.client()
        time.sleep(2.5)
        c.send("ping", {"text": "still there"})
        self.assertEqual(c.next(), ("pong", {"text": "still there"}))

    def test_many_events_at_once(self):
        """More than is read at a time: the replies wait until they are fetched."""
        c = self.client()
        n = 3000
        sender = threading.Thread(target=c.socket.sendall, args=(pack("describe") * n,))
        sender.start()
        time.sleep(0.2)
        for _ in range(n):
            self.assertEqual(c.next()[0], "info")
        sender.join()

    def test_texts_at_once(self):
        """One after the other, each answered whole."""
        c = self.client()
        c.socket.sendall(pack("transcript", {"text": ASK}) + pack("transcript", {"text": ASK}) +
                         pack("ping", {"text": "end"}))
        for _ in range(2):
            self.assertEqual(c.answer()[0], "handled")
        self.assertEqual(c.next(), ("pong", {"text": "end"}))

    def test_sudden_ends(self):
        """Connections that end at any moment leave nothing behind."""
        n = self.server.n_files()
        for i in range(60):
            c = Client(self.server)
            c.send("transcript", {"text": ASK})
            time.sleep(i % 6 * 0.004)
            if i % 3 == 0:
                c.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            c.close()
        self.until(lambda: self.server.n_files() <= n, "descriptors are lost")
        self.assertEqual(self.client().say(ASK)[0], "handled")


class Intents(Case):
    OPTIONS = ("--tools", TOOLS, "--language", "en", "--language", "de")

    def test_describe(self):
        c = self.client()
        c.send("describe")
        info = c.next()[1]
        for program in info["handle"] + info["intent"]:
            self.assertEqual(program["models"][0]["languages"], ["en", "de"])
        self.assertEqual((len(info["handle"]), len(info["intent"])), (1, 1))

    def values(self, data):
        return {e["name"]: e["value"] for e in data["entities"]}

    def test_recognize(self):
        for text, name, values in (
                ("Turn on the kitchen light.", "light", {"place": "kitchen", "state": "on"}),
                ("Set the heating to 21 degrees.", "heating", {"degrees": 21})):
            kind, data = self.client().say(text, kind="recognize")
            self.assertEqual((kind, data["name"]), ("intent", name), data)
            self.assertEqual(self.values(data), values)
            self.assertEqual(set(data), {"name", "entities", "context"})

    def test_follow_up(self):
        """What was called is part of the conversation."""
        c = self.client()
        self.assertEqual(c.say("Turn on the kitchen light.")[1]["name"], "light")
        kind, data = c.say("And the bedroom too.")
        self.assertEqual((kind, data["name"]), ("intent", "light"), data)
        self.assertEqual(self.values(data), {"place": "bedroom", "state": "on"})

    def test_a_text_that_is_too_long_leaves_the_conversation(self):
        c = self.client()
        self.assertEqual(c.say("Turn on the kitchen light.")[1]["name"], "light")
        self.assertEqual(c.say("word " * 8000)[1]["code"], "too-long")
        kind, data = c.say("And the bedroom too.")
        self.assertEqual(self.values(data), {"place": "bedroom", "state": "on"}, data)

    def test_text_beside_intents(self):
        kind, data = self.client().say("What can you do?", kind="recognize")
        self.assertEqual(kind, "not-recognized")
        self.assertTrue(data["text"] and data["context"]["conversation_id"])
        self.assertEqual(self.client().say("What can you do?")[0], "handled")

    def test_at_once(self):
        places = ["kitchen", "bedroom"] * 3
        said = in_threads(6, lambda i: self.client().say(f"Turn on the {places[i]} light."))
        self.assertEqual([self.values(data)["place"] for _, data in said], places)


class Slow(unittest.TestCase):
    """A context so long that its prompts take a while, and servers with limits."""

    TEXT = "7" * 50000 # a token each

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.model = long_context(HEARTH, cls.folder.name)

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    until, refused = Case.until, Case.refused

    def serve(self, *options):
        server = Server("-c", 60000, "--parallel", 1, *options, model=self.model)
        self.addCleanup(server.close)
        return server

    def begin(self, server, **context):
        """A client that waits for an answer."""
        c = Client(server)
        self.addCleanup(c.close)
        c.send("transcript", {"text": self.TEXT, "context": context})
        self.seen(server)
        return c

    def seen(self, server):
        """What was sent before this has been read: a later connection is answered, and that twice, as the
        first answer may be of the same look at all connections."""
        for _ in range(2):
            with Client(server) as c:
                c.send("ping")
                self.assertEqual(c.next()[0], "pong")

    def test_gone(self):
        """A client that goes ends what was begun for it, and its words are not kept."""
        server = self.serve()
        for end in (Client.close, lambda c: c.socket.shutdown(socket.SHUT_WR)):
            n = server.text().count("dropped")
            c = self.begin(server, conversation_id="a")
            end(c)
            self.until(lambda: server.text().count("dropped") > n, "it still runs")
            with Client(server) as other:
                self.assertEqual(other.say(ASK, "a")[0], "handled")

    def test_busy(self):
        server = self.serve("--queue", 1)
        c = self.begin(server, conversation_id="a")
        with Client(server) as same, Client(server) as waits, Client(server) as more:
            self.refused(same.say(ASK, "a"), "busy")
            waits.send("transcript", {"text": ASK})
            self.seen(server)
            self.refused(more.say(ASK), "overloaded")
            more.send("describe")
            self.assertEqual(more.next()[0], "info")
            c.close()
            self.assertEqual(waits.answer()[0], "handled")

    def test_too_slow(self):
        server = self.serve("--request-timeout", 1)
        c = self.begin(server)
        self.refused(c.next(), "timeout")
        kinds = []
        while "handled" not in kinds and len(kinds) < 30: # a second may be short for an answer, too
            kinds.append(c.say(ASK)[0])
        self.assertIn("handled", kinds)

    def test_stopped(self):
        """What runs has its time, or is told."""
        for drain, sign in ((0, signal.SIGTERM), (3000, None)):
            server = self.serve("--drain", drain)
            c = self.begin(server)
            idle = Client(server)
            self.addCleanup(idle.close)
            self.seen(server)
            server.process.send_signal(signal.SIGTERM)
            self.assertIsNone(idle.next())
            if sign is None:
                time.sleep(0.3)
                self.assertIsNone(server.process.poll())
                server.process.send_signal(signal.SIGINT)
            self.refused(c.next(), "stopping")
            self.assertEqual(server.process.wait(WAIT), 0)

    def test_stopped_in_time(self):
        server = self.serve("--drain", 3000)
        c = Client(server)
        self.addCleanup(c.close)
        c.send("transcript", {"text": ASK})
        self.assertEqual(c.next()[0], "handled-start")
        server.process.send_signal(signal.SIGTERM)
        self.assertEqual(c.until("handled-stop")[-1][0], "handled-stop")
        self.assertIsNone(c.next())
        self.assertEqual(server.process.wait(WAIT), 0)


class Limits(unittest.TestCase):
    until, refused = Case.until, Case.refused

    def test_clients(self):
        server = Server("--max-clients", 2)
        self.addCleanup(server.close)
        with Client(server) as a, Client(server) as b:
            for c in (a, b):
                c.send("ping", {"text": "1"})
                self.assertEqual(c.next()[0], "pong")
            crowd = [Client(server) for _ in range(40)]
            for c in crowd:
                self.refused(c.next(), "overloaded", "clients")
                self.assertIsNone(c.next())
                c.close()
            a.send("ping", {"text": "2"})
            self.assertEqual(a.next(), ("pong", {"text": "2"}))
        self.until(lambda: self.fits(server), "places are lost")

    def fits(self, server):
        with Client(server) as c:
            c.send("ping", {"text": "3"})
            return c.next()[0] == "pong"

    def test_conversations(self):
        def name(server, id):
            with Client(server) as c:
                return c.say("What is my name?", id)[1]["text"]

        server = Server("--max-conversations", 1)
        self.addCleanup(server.close)
        with Client(server) as c:
            c.say("My name is Anna.", "a")
            self.assertIn("Anna", name(server, "a"))
            c.say(ASK, "b")
            self.assertNotIn("Anna", name(server, "a"))
        server = Server("--conversation-timeout", 1)
        self.addCleanup(server.close)
        with Client(server) as c:
            c.say("My name is Anna.", "a")
            time.sleep(2)
            self.assertNotIn("Anna", name(server, "a"))

    def test_slow_reader(self):
        """One that does not fetch its replies is dropped, and the others are served."""
        server = Server("--write-timeout", 1)
        self.addCleanup(server.close)
        n = server.n_files()
        s = socket.socket()
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        s.connect(("127.0.0.1", int(server.uri.rsplit(":", 1)[1])))
        self.addCleanup(s.close)
        s.setblocking(False)
        asks, at, n_full, limit = pack("describe") * 1000, 0, 0, time.monotonic() + WAIT
        with Client(server) as c:
            while time.monotonic() < limit: # asks on until it is dropped
                try:
                    at = (at + s.send(asks[at:])) % len(asks)
                except BlockingIOError:
                    n_full += 1
                    self.assertEqual(c.say(ASK)[0], "handled")
                except ConnectionError:
                    break
        self.assertGreater(n_full, 0)
        self.until(lambda: server.n_files() == n, "the reader was not dropped")

    def test_idle(self):
        server = Server("--idle-timeout", 1)
        self.addCleanup(server.close)
        with Client(server) as c:
            self.assertIsNone(c.next())


class Ways(unittest.TestCase):
    """unix://, stdio://, and command lines."""

    def run_program(self, *args, **kwargs):
        args = [a if isinstance(a, bytes) else str(a) for a in args]
        return subprocess.run([PROGRAM, *args], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, timeout=WAIT, check=False,
                              env=ENVIRONMENT, **kwargs)

    def test_unix(self):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "wyoming")
            left = socket.socket(socket.AF_UNIX)
            left.bind(str(path))
            left.close()
            server = Server(uri=f"unix://{path}")
            self.addCleanup(server.close)
            with Client(server) as c:
                self.assertEqual(c.say(ASK)[0], "handled")
            done = self.run_program(HEARTH, "--uri", f"unix://{path}")
            self.assertEqual((done.returncode, done.stderr.count(b"\n")), (1, 1), done.stderr)
            self.assertIn(b"in use", done.stderr)
            self.assertEqual(server.stop(), 0)
            self.assertFalse(path.exists())
            path.write_text("not a socket")
            self.assertEqual(self.run_program(HEARTH, "--uri", f"unix://{path}").returncode, 1)
            self.assertEqual(path.read_text(), "not a socket")

    def test_stdio(self):
        """What was asked is answered before the end."""
        events = pack("describe") + pack("transcript", {"text": ASK}) * 2
        done = self.run_program(HEARTH, "--uri", "stdio://", "-t", "1", input=events)
        self.assertEqual(done.returncode, 0, done.stderr)
        with tempfile.TemporaryFile() as out:
            out.write(done.stdout)
            out.seek(0)
            kinds = [kind for kind, _ in Events(out).rest()]
        self.assertEqual((kinds[0], kinds.count("handled"), kinds[-1]), ("info", 2, "handled-stop"))

    def test_stdio_goes(self):
        program = subprocess.Popen([PROGRAM, str(HEARTH), "--uri", "stdio://", "-t", "1"],
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                   stderr=subprocess.DEVNULL, env=ENVIRONMENT)
        program.stdin.write(pack("describe"))
        program.stdin.flush()
        self.assertEqual(Events(program.stdout).next()[0], "info")
        program.stdout.close()
        self.assertEqual(program.wait(WAIT), 0)
        program.stdin.close()

    def test_port_in_use(self):
        server = Server()
        self.addCleanup(server.close)
        done = self.run_program(HEARTH, "--port", server.uri.rsplit(":", 1)[1])
        self.assertEqual((done.returncode, done.stderr.count(b"\n")), (1, 1), done.stderr)

    def test_command_lines(self):
        self.assertEqual(self.run_program("--version").stdout.split()[0], b"slm-wyoming")
        done = self.run_program("--help")
        self.assertTrue(done.stdout.startswith(b"Usage: slm-wyoming MODEL.gguf"), done.stdout)
        for args in ((), (HEARTH, "--uri", "http://x:1"), (HEARTH, "--uri", "tcp://x"),
                     (HEARTH, "--uri", "tcp://:1"), (HEARTH, "--uri", "tcp://x:99999"),
                     (HEARTH, "--uri", "tcp://[::1"), (HEARTH, "--uri", "unix://"),
                     (HEARTH, "--uri", "unix://relative"), (HEARTH, "--uri", "tcp://x:1 "),
                     (HEARTH, "--uri", "stdio://", "--port", "1"), (HEARTH, "--nothing"),
                     (HEARTH, "--uri", "stdio://", "--host", "x"), (HEARTH, "--language", ""),
                     (HEARTH, "--system", b"\xff"), (HEARTH, "--name", b"a\xc3")):
            done = self.run_program(*args)
            self.assertEqual((done.returncode, done.stderr.count(b"\n")), (2, 1), (args, done))

    def test_tools(self):
        with tempfile.TemporaryDirectory() as folder:
            for text in ("", "{}", "[1]", "[", '[{"type": "function"}]', json.dumps(
                    [{"name": "a", "parameters": {"type": "nothing"}}])):
                path = Path(folder, "tools.json")
                path.write_text(text)
                done = self.run_program(HEARTH, "--port", 0, "--tools", path)
                self.assertEqual((done.returncode, done.stderr.count(b"\n")), (1, 1), (text, done))
            done = self.run_program(HEARTH, "--port", 0, "--tools", Path(folder, "none"))
            self.assertEqual(done.returncode, 1)
        done = self.run_program(HEARTH, "--port", 0, "--tools", TOOLS, "-c", 64)
        self.assertEqual((done.returncode, done.stderr.count(b"\n")), (1, 1), done.stderr)

    @unittest.skipUnless(STORIES.exists() or os.environ.get("CI") == "true",
                         f"no reference data: {STORIES} is absent (SLM_SHARED_DIR)")
    def test_no_template(self):
        done = self.run_program(STORIES, "--port", 0)
        self.assertEqual((done.returncode, done.stderr.count(b"\n")), (1, 1), done.stderr)
        self.assertIn(b"template", done.stderr)


if __name__ == "__main__":
    main()
