"""What the tests of the server share: starting it, speaking HTTP to it, raw and otherwise."""

import http.client
import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from pathlib import Path

ROOT = Path(os.environ.get("SLM_SOURCE_DIR") or Path(__file__).resolve().parents[2])
SHARED = Path(os.environ.get("SLM_SHARED_DIR") or ROOT.parent / "shared")
SLM = os.environ.get("SLM_BIN") or str(ROOT / "build/release/bin/slm")
HEARTH = ROOT / "examples/models/hearth.gguf"
STORIES = SHARED / "models/stories260K.gguf"
SKIP = 77
# Sanitizers make everything slow.
PATIENCE = 6 if os.environ.get("SLM_SANITIZE") else 1
# Seconds for what has to happen: how soon it does is for bench/ to measure.
WAIT = 60 * PATIENCE


def stop(process, sign):
    """Exit status of a server that is told to end."""
    if process.poll() is None:
        process.send_signal(sign)
    try:
        return process.wait(WAIT)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise AssertionError("the server does not end") from None
    finally:
        process.stdout.close()


def rest(s):
    """What still comes of a connection."""
    out = b""
    s.settimeout(WAIT)
    try:
        while piece := s.recv(65536):
            out += piece
    except ConnectionResetError:
        pass
    return out


class Server:
    """A running server. Its log is kept and must stay free of sanitizers' reports."""

    def __init__(self, model, *options, env=None, stderr=None, preexec=None, prefix=()):
        self.log = tempfile.TemporaryFile()
        environment = dict(os.environ, OMP_WAIT_POLICY="passive", **(env or {}))
        self.process = subprocess.Popen(
            [*prefix, SLM, "serve", str(model), "--port", "0", "-t", "1", *map(str, options)],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=stderr or self.log,
            env=environment, preexec_fn=preexec)
        self.host, self.port = "127.0.0.1", None
        if stderr is None:
            self.find_port()

    def text(self):
        self.log.seek(0)
        return self.log.read().decode("utf-8", "replace")

    def find_port(self):
        limit = time.monotonic() + WAIT
        while time.monotonic() < limit:
            match = re.search(r"listening on http://\S*:(\d+),", self.text())
            if match:
                self.port = int(match.group(1))
                return
            if self.process.poll() is not None:
                break
            time.sleep(0.02)
        raise AssertionError(f"the server did not start: {self.text()}")

    def stop(self, sign=signal.SIGTERM):
        """Its exit status."""
        return stop(self.process, sign)

    def connect(self):
        return socket.create_connection((self.host, self.port), WAIT)

    def n_files(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def rss(self):
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status).group(1)) * 1024


class Reply:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def json(self):
        return json.loads(self.body)

    def events(self):
        """The data of a stream of events, without [DONE]."""
        out = [e.split(b"data: ", 1)[1] for e in self.body.split(b"\n\n") if b"data: " in e]
        return [json.loads(e) for e in out if e != b"[DONE]"]

    def __repr__(self):
        return f"status {self.status}, {self.body[:600]!r}"


class Case(unittest.TestCase):
    """One server for all tests of a class."""

    MODEL, OPTIONS = HEARTH, ()

    @classmethod
    def setUpClass(cls):
        cls.server = Server(cls.MODEL, *cls.OPTIONS)

    @classmethod
    def tearDownClass(cls):
        status = cls.server.stop()
        text = cls.server.text()
        assert status == 0, f"exit status {status}: {text}"
        for word in ("ERROR:", "runtime error", "LeakSanitizer"):
            assert word not in text, text

    def http(self, method, path, body=None, headers=None, server=None):
        server = server or self.server
        connection = http.client.HTTPConnection(server.host, server.port, timeout=WAIT)
        send = {"Content-Type": "application/json"} if body is not None else {}
        send.update(headers or {})
        if isinstance(body, (dict, list)):
            body = json.dumps(body)
        try:
            connection.request(method, path, body, send)
            r = connection.getresponse()
            return Reply(r.status, dict((k.lower(), v) for k, v in r.getheaders()), r.read())
        finally:
            connection.close()

    def get(self, path, **kwargs):
        return self.http("GET", path, **kwargs)

    def post(self, path, body, **kwargs):
        return self.http("POST", path, body, **kwargs)

    def ok(self, path, body, **kwargs):
        reply = self.post(path, body, **kwargs)
        self.assertEqual(reply.status, 200, reply)
        return reply.json()

    def stream(self, path, body, **kwargs):
        reply = self.post(path, dict(body, stream=True), **kwargs)
        self.assertEqual(reply.status, 200, reply)
        self.assertEqual(reply.headers["content-type"], "text/event-stream")
        return reply.events()

    def refused(self, reply, status, param=None, code=None, *words):
        """An error as the OpenAI API shapes it."""
        self.assertEqual(reply.status, status, reply)
        self.assertEqual(reply.headers["content-type"], "application/json", reply)
        error = reply.json()["error"]
        self.assertEqual(set(error), {"message", "type", "param", "code"}, reply)
        self.assertEqual(error["param"], param, reply)
        if code is not None:
            self.assertEqual(error["code"], code, reply)
        self.assertIsInstance(error["type"], str)
        self.assertNotIn("\n", error["message"])
        for word in words:
            self.assertIn(word, error["message"])

    def raw(self, data, server=None, half_close=False):
        """Bytes sent as they are; what comes back until the connection is closed, or has been silent
        for a while behind a reply."""
        out = b""
        with (server or self.server).connect() as s:
            try:
                s.sendall(data)
                if half_close:
                    s.shutdown(socket.SHUT_WR)
            except (BrokenPipeError, ConnectionResetError):
                pass
            try:
                while piece := s.recv(65536):
                    out += piece
                    s.settimeout(5)
            except (socket.timeout, ConnectionResetError):
                pass
        return out

    def head(self, method, path, *lines, host=None):
        """The head of a request as bytes."""
        host = host if host is not None else f"127.0.0.1:{self.server.port}"
        return "\r\n".join([f"{method} {path} HTTP/1.1", f"Host: {host}", *lines, "", ""]).encode()

    def metric(self, name, server=None):
        text = self.get("/metrics", server=server).body.decode()
        return float(re.search(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE).group(1))

    def until(self, check, what):
        limit = time.monotonic() + WAIT
        while not check():
            self.assertLess(time.monotonic(), limit, what)
            time.sleep(0.02)


def in_threads(n, work):
    """work(i) in n threads; the results, or the first exception."""
    results, errors = [None] * n, []

    def run(i):
        try:
            results[i] = work(i)
        except BaseException as error:  # re-raised below
            errors.append(error)

    threads = [threading.Thread(target=run, args=(i,)) for i in range(n)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    if errors:
        raise errors[0]
    return results


def long_context(path, folder):
    """A copy of a model whose context is so long that an answer takes as long as a test wants."""
    data = bytearray(Path(path).read_bytes())
    at = data.index(b"llama.context_length") + len(b"llama.context_length")
    assert struct.unpack_from("<I", data, at)[0] == 4
    struct.pack_into("<I", data, at + 4, 1 << 17)
    out = Path(folder) / "long.gguf"
    out.write_bytes(bytes(data))
    return out


def main(needs_data=False):
    if not os.access(SLM, os.X_OK):
        sys.exit(f"no program: {SLM} (SLM_BIN)")
    if b"wanted one with libmicrohttpd" in subprocess.run(
            [SLM, "serve", "x"], stderr=subprocess.PIPE, check=False).stderr:
        print("this build has no server", file=sys.stderr)
        sys.exit(1 if os.environ.get("CI") == "true" else SKIP)
    if needs_data and not STORIES.exists():
        print(f"no reference data: {STORIES} is absent (SLM_SHARED_DIR)", file=sys.stderr)
        sys.exit(1 if os.environ.get("CI") == "true" else SKIP)
    unittest.main(verbosity=2)
