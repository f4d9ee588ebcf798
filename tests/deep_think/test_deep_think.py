"""The example of deep think, with a server of ours as the larger model: who answers, and what leaves."""

import http.client
import json
import math
import os
import socket
import subprocess
import sys
import tempfile
import threading
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "serve"))
from serve_case import HEARTH, PATIENCE, ROOT, Server, main  # noqa: E402

PROGRAM = os.environ.get("DEEP_THINK") or str(ROOT / "build/release/bin/deep_think")
SURE = "Turn on the light in the kitchen."
LINES = (SURE, "Hello", "Thank you.", "Tell me a joke.", "zxq vrok plimb asdf?", "Good morning.")
# What the example tells its model of.
TOOLS = [{"type": "function", "function": {
    "name": "deep_think", "description": "Asks a larger model. Only for what you do not know.",
    "parameters": {"type": "object", "properties": {}}}}]


class Wire:
    """Hands bytes on to a server and keeps them: what left the device."""

    def __init__(self, port):
        self.port, self.n, self.sent = port, 0, b""
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self.socket.getsockname()[1]}/v1"
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            try:
                client, _ = self.socket.accept()
            except OSError:
                return
            self.n += 1
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        own = self.address.split("/")[2].encode()
        with client, socket.create_connection(("127.0.0.1", self.port)) as server:
            def back():
                try:
                    while data := server.recv(65536):
                        client.sendall(data)
                    client.shutdown(socket.SHUT_WR)
                except OSError: # the client is gone
                    pass

            thread = threading.Thread(target=back, daemon=True)
            thread.start()
            try:
                while data := client.recv(65536):
                    self.sent += data
                    server.sendall(data.replace(own, b"127.0.0.1:%d" % self.port))
            except OSError:
                pass
            server.close()

    def body(self):
        return json.loads(self.sent.split(b"\r\n\r\n", 1)[1])


class DeepThink(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server(HEARTH)
        cls.folder = tempfile.TemporaryDirectory()

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()
        assert cls.server.stop() == 0, cls.server.text()

    def setUp(self):
        self.wire = Wire(self.server.port)
        self.audit = Path(self.folder.name) / self.id().rsplit(".", 1)[1]

    def tearDown(self):
        self.wire.socket.close()

    def run_it(self, lines, *options, address=None, status=0):
        p = subprocess.run([PROGRAM, str(HEARTH), "--address", address or self.wire.address,
                            "--max-tokens", "16", "--audit", str(self.audit), *options],
                           input="".join(line + "\n" for line in lines), text=True,
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                           timeout=120 * PATIENCE, check=False,
                           env=dict(os.environ, no_proxy="127.0.0.1"))
        self.assertEqual(p.returncode, status, p.stderr)
        return p.stdout.splitlines(), p.stderr

    def records(self):
        text = self.audit.read_text() if self.audit.exists() else ""
        return [json.loads(line) for line in text.splitlines()]

    def test_local_by_default(self):
        out, _ = self.run_it([SURE], "--consent")
        self.assertTrue(out[0].startswith("[local] "), out)
        self.assertEqual((self.wire.n, self.records()), (0, []))

    def test_user_asks(self):
        out, _ = self.run_it(["Hello", "/deep What can you do, Bob? Mail bob@example.org"],
                             "--consent", "--private", "Bob")
        self.assertTrue(out[0].startswith("[local] "), out)
        self.assertTrue(out[1].startswith("[deep, user] "), out)
        self.assertEqual(self.wire.n, 1)
        body = self.wire.body()
        said = [m["content"] for m in body["messages"]]
        self.assertEqual((said[0], said[-1]), ("Hello", "What can you do, [private]? Mail [mail]"))
        sent, taken = self.records()
        self.assertEqual((sent["outcome"], sent["reason"], sent["redacted"]), ("sent", "user", 2))
        self.assertEqual(json.loads(sent["text"]), body["messages"])
        self.assertEqual(taken["outcome"], "taken")
        self.assertEqual(sent["address"], self.wire.address)
        self.assertNotIn(b"Bob", self.wire.sent)

    def test_offline_wins(self):
        """Nobody is even called, though everything else says so."""
        for n, options in enumerate((("--consent", "--offline"), ("--offline",), ())):
            out, error = self.run_it(["/deep What can you do?"], "--min-confidence", "1",
                                     "--max-prompt", "1", *options)
            self.assertTrue(out[0].startswith("[local] "), out)
            self.assertIn("offline" if options else "no_consent", error)
            self.assertEqual(self.wire.n, 0)
            self.assertEqual(len(self.records()), n + 1)
            self.assertNotIn("text", self.records()[-1])

    def test_too_long(self):
        out, _ = self.run_it([SURE, "hello " * 300], "--consent", "--max-prompt", "250")
        self.assertEqual([line.split("]")[0] for line in out], ["[local", "[deep, too_long"])
        self.assertEqual(self.wire.n, 1)

    def confidence(self, line):
        """That of the local answer to a line; None where there is none: the model asks for help."""
        self.audit.unlink(missing_ok=True)
        self.run_it([line], "--min-confidence", "1")
        last = self.records()[-1]
        self.assertIn(last["reason"], ("unsure", "tool"))
        self.assertEqual(last["outcome"], "no_consent")
        return last["confidence"] if last["reason"] == "unsure" else None

    def test_confidence(self):
        """It is the geometric mean of the probabilities that the server tells of the same answer."""
        for line in LINES[:3]:
            value = self.confidence(line)
            if value is None:
                continue
            reply = http.client.HTTPConnection("127.0.0.1", self.server.port)
            reply.request("POST", "/v1/chat/completions", json.dumps({
                "messages": [{"role": "user", "content": line}], "tools": TOOLS, "temperature": 0,
                "max_tokens": 400, "logprobs": True}), {"Content-Type": "application/json"})
            said = json.loads(reply.getresponse().read())["choices"][0]["logprobs"]["content"]
            reply.close()
            self.assertGreater(len(said), 1)
            mean = math.exp(sum(t["logprob"] for t in said) / len(said))
            self.assertAlmostEqual(value, mean, delta=2e-3)

    def test_unsure(self):
        """Of several answers the one with the least confidence is handed over, the one with the most is
        not."""
        values = {line: c for line in LINES if (c := self.confidence(line)) is not None}
        sure, unsure = max(values, key=values.get), min(values, key=values.get)
        self.assertGreater(values[sure], values[unsure] + 0.02, values)
        between = str((values[sure] + values[unsure]) / 2)
        out, _ = self.run_it([sure], "--consent", "--min-confidence", between)
        self.assertTrue(out[0].startswith("[local]"), out)
        out, _ = self.run_it([unsure], "--consent", "--min-confidence", between)
        self.assertTrue(out[0].startswith("[deep, unsure]"), out)
        self.assertEqual(self.wire.n, 1)

    def test_nobody_answers(self):
        with socket.create_server(("127.0.0.1", 0)) as closed:
            port = closed.getsockname()[1]
        out, error = self.run_it(["/deep What can you do?"], "--consent",
                                 address=f"http://127.0.0.1:{port}/v1")
        self.assertTrue(out[0].startswith("[local] "), out)
        self.assertIn("failed", error)
        self.assertEqual([r["outcome"] for r in self.records()], ["sent", "failed"])
        out, _ = self.run_it(["/deep What can you do?"], "--consent", "--model", "another")
        self.assertTrue(out[0].startswith("[local] "), out)
        self.assertIn("404", self.records()[-1]["error"])

    def test_no_record_no_request(self):
        if not os.path.exists("/dev/full"):
            self.skipTest("no /dev/full")
        self.audit = Path("/dev/full")
        out, error = self.run_it(["/deep What can you do?"], "--consent")
        self.assertTrue(out[0].startswith("[local] "), out)
        self.assertIn("unrecorded", error)
        self.assertEqual(self.wire.n, 0)

    def test_usage(self):
        for options in (("--min-confidence", "2"), ("--what",), ("--timeout",)):
            self.run_it([], *options, status=2)
        self.run_it([], address="ftp://127.0.0.1", status=2)


if __name__ == "__main__":
    main()
