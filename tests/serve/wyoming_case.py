"""What the tests of slm-wyoming share: starting it, and events as bytes."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

from serve_case import HEARTH, ROOT, SKIP, SLM, WAIT, stop

PROGRAM = str(Path(SLM).parent / "slm-wyoming")
TOOLS = ROOT / "examples/household/tools.json"
ENVIRONMENT = dict(os.environ, OMP_WAIT_POLICY="passive")


def pack(kind, data=None, payload=b"", apart=True):
    """The bytes of an event; its data apart, as the package of PyPI has it, or in the line."""
    header = {"type": kind, "version": "1.0"}
    body = json.dumps(data, ensure_ascii=False).encode() if data and apart else b""
    if body:
        header["data_length"] = len(body)
    elif data:
        header["data"] = data
    if payload:
        header["payload_length"] = len(payload)
    return json.dumps(header).encode() + b"\n" + body + payload


class Events:
    """Events that come from a file, as (type, data)."""

    def __init__(self, source):
        self.source = source

    def next(self):
        """None at the end."""
        line = self.source.readline()
        if not line:
            return None
        header = json.loads(line)
        data = header.get("data", {})
        if header.get("data_length"):
            data |= json.loads(self.source.read(header["data_length"]))
        assert not header.get("payload_length"), header
        return header["type"], data

    def until(self, *kinds):
        """All up to the first one of these kinds, or of errors."""
        out = [self.next()]
        while out[-1] and out[-1][0] not in kinds + ("error",):
            out.append(self.next())
        return out

    def rest(self):
        out = []
        while event := self.next():
            out.append(event)
        return out


class Client(Events):
    def __init__(self, server):
        self.socket = server.connect()
        super().__init__(self.socket.makefile("rb"))

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()

    def close(self):
        self.source.close()
        self.socket.close()

    def send(self, kind, data=None, **kwargs):
        self.socket.sendall(pack(kind, data, **kwargs))

    def say(self, text, conversation=None, kind="transcript"):
        """What comes of a text, as one event: handled-start and the like were checked."""
        data = {"text": text}
        if conversation:
            data["context"] = {"conversation_id": conversation}
        self.send(kind, data)
        return self.answer()

    def answer(self):
        event, streamed, streams = self.next(), "", False
        while event and event[0] in ("handled-start", "handled-chunk"):
            assert streams == (event[0] == "handled-chunk"), event
            streams = True
            streamed += event[1].get("text", "")
            event = self.next()
        if not event or event[0] == "error":
            return event
        if event[0] == "intents-start":
            event = ("intents", [e[1] for e in self.until("intents-stop")[:-1]])
        if event[0] == "handled":
            assert streams and event[1]["text"] == streamed, (event, streamed)
        if streams:
            assert self.next() == ("handled-stop", {})
        return event


class Server:
    """A running server. Its log is kept and must stay free of sanitizers' reports."""

    def __init__(self, *options, model=HEARTH, uri="tcp://127.0.0.1:0"):
        self.log = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            [PROGRAM, str(model), "--uri", uri, "-t", "1", "--log", *map(str, options)],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=self.log, env=ENVIRONMENT)
        self.uri = self.find_uri()

    def text(self):
        self.log.seek(0)
        return self.log.read().decode("utf-8", "replace")

    def find_uri(self):
        limit = time.monotonic() + WAIT
        while time.monotonic() < limit and self.process.poll() is None:
            match = re.search(r"listening on (\S+),", self.text())
            if match:
                return match.group(1)
            time.sleep(0.02)
        raise AssertionError(f"the server did not start: {self.text()}")

    def connect(self):
        if self.uri.startswith("unix://"):
            s = socket.socket(socket.AF_UNIX)
            s.settimeout(WAIT)
            s.connect(self.uri[7:])
            return s
        host, port = self.uri[6:].rsplit(":", 1)
        return socket.create_connection((host, int(port)), WAIT)

    def stop(self, sign=signal.SIGTERM):
        """Its exit status."""
        return stop(self.process, sign)

    def close(self):
        """Stops it, and looks at what it has left behind."""
        status = self.stop()
        text = self.text()
        assert status == 0, f"exit status {status}: {text}"
        for word in ("ERROR:", "runtime error", "LeakSanitizer"):
            assert word not in text, text

    def n_files(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))


class Case(unittest.TestCase):
    """One server for all tests of a class."""

    OPTIONS, MODEL = (), HEARTH

    @classmethod
    def setUpClass(cls):
        cls.server = Server(*cls.OPTIONS, model=cls.MODEL)

    @classmethod
    def tearDownClass(cls):
        cls.server.close()

    def client(self):
        c = Client(self.server)
        self.addCleanup(c.close)
        return c

    def refused(self, event, code, *words):
        self.assertIsNotNone(event)
        kind, data = event
        self.assertEqual((kind, data.get("code")), ("error", code), event)
        self.assertNotIn("\n", data["text"])
        for word in words:
            self.assertIn(word, data["text"])

    def until(self, check, what):
        limit = time.monotonic() + WAIT
        while not check():
            self.assertLess(time.monotonic(), limit, what)
            time.sleep(0.02)


def main():
    if not os.access(PROGRAM, os.X_OK):
        print("this build has no slm-wyoming, which wants libmicrohttpd and jansson",
              file=sys.stderr)
        sys.exit(1 if os.environ.get("CI") == "true" else SKIP)
    unittest.main(verbosity=2)
