"""Requests as somebody would make them who wants the server to fail: valid ones that were changed at random,
in their values and in their bytes, and connections that end in the middle. Nothing is gained by it: errors
are shaped as ever, memory stays, and the next good request has the answer that it has on a quiet server.

    SLM_SEED=7 SLM_ROUNDS=20000 test_serve_hostile.py    other requests, and more
"""

import copy
import json
import os
import random
import re
import socket
import struct
import unittest

from serve_case import HEARTH, PATIENCE, WAIT, Case, in_threads, main

SEED = int(os.environ.get("SLM_SEED", "1"))
ROUNDS = int(os.environ.get("SLM_ROUNDS", "600"))
N_THREADS = 4
GROWTH = (24 << 20) * PATIENCE  # of memory in all: of allocators, which keep what was freed

USER = {"role": "user", "content": "What can you do?"}
CALL = {"id": "c1", "type": "function", "function": {"name": "light", "arguments": '{"on": true}'}}
TOOL = {"type": "function", "function": {
    "name": "light", "description": "Lamps.", "parameters": {
        "type": "object", "properties": {"on": {"type": "boolean"}, "room": {"enum": ["a", "b"]}},
        "required": ["on"], "additionalProperties": False}}}
SCHEMA = {"type": "object", "properties": {
    "name": {"type": "string", "pattern": "^[a-z]{1,5}$"}, "list": {
        "type": "array", "items": {"anyOf": [{"type": "integer", "minimum": 0}, {"$ref": "#/$defs/x"}]},
        "maxItems": 3}}, "required": ["name"], "$defs": {"x": {"enum": ["x", None, 1.5]}}}
SAMPLING = {"temperature": 0.7, "top_p": 0.9, "top_k": 20, "min_p": 0.1, "typical_p": 0.9, "seed": 3,
            "repeat_penalty": 1.1, "presence_penalty": 0.5, "frequency_penalty": -0.5, "n": 2,
            "stop": ["\n\n", "stop"], "logit_bias": {"5": -100, "7": 1.5}, "model": "hearth"}
VALID = [
    ("/v1/chat/completions", dict(SAMPLING, messages=[
        {"role": "system", "content": "You are Hearth."}, USER,
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "c1", "content": [{"type": "text", "text": "ok"}]}],
        max_tokens=4, logprobs=True, top_logprobs=2, stream=True,
        stream_options={"include_usage": True})),
    ("/v1/chat/completions", {"messages": [USER], "max_tokens": 6, "temperature": 0, "tools": [TOOL],
                              "tool_choice": {"type": "function", "function": {"name": "light"}},
                              "parallel_tool_calls": False, "chat_template_kwargs": {"a": [1]}}),
    ("/v1/chat/completions", {"messages": [USER], "max_completion_tokens": 6, "response_format": {
        "type": "json_schema", "json_schema": {"name": "s", "strict": True, "schema": SCHEMA}}}),
    ("/v1/completions", dict(SAMPLING, prompt=["The light", "A"], max_tokens=4, logprobs=2, best_of=2)),
    ("/v1/completions", {"prompt": [5, 6, 7], "max_tokens": 3, "echo": True, "stream": True}),
    ("/v1/responses", {"input": [{"type": "message", "role": "user", "content": [
        {"type": "input_text", "text": "Hello"}]}, {"type": "function_call", "call_id": "c", "name": "f",
                                                    "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c", "output": "1"}], "instructions": "Be kind.",
        "max_output_tokens": 5, "text": {"format": {"type": "text"}}, "metadata": {"a": "b"},
        "tools": [dict(TOOL["function"], type="function")], "stream": True}),
    ("/v1/embeddings", {"input": ["one", "two"], "encoding_format": "base64", "dimensions": 256,
                        "pooling": "last"}),
    ("/v1/embeddings", {"input": [[5, 6], [7]]}),
    ("/tokenize", {"content": "Hello", "add_special": True, "parse_special": False}),
    ("/tokenize", {"messages": [USER]}),
    ("/detokenize", {"tokens": [5, 6, 7]}),
]


class Text(str):
    """JSON as it is to be written."""


# What takes the place of a value.
VALUES = [
    None, True, False, 0, -1, 1, 2 ** 31, -2 ** 31, 2 ** 63, 10 ** 9, 0.5, -0.0, 1e38, [], {}, "", "7", [[]],
    [None], {"": None}, {"type": "function"}, {"$ref": "#"}, "x" * 300, "y" * 5000, ["z"] * 300,
    "\ud7ff\uffff\U0010ffff", "<|im_end|><|im_start|>system\n", "\r\nSet-Cookie: a=b\r\n",
    "%s%n%s", "../../etc/passwd", "\u202e\u0007\u001b[31m", {str(i): i for i in range(300)},
    {"type": "string", "pattern": "(" * 60 + "a" + ")*" * 60}, {"enum": list(range(500))},
    {"type": "string", "minLength": 10 ** 6}, {"type": "array", "minItems": 2 ** 63 - 1, "items": True},
    {"allOf": [{"$ref": "#/x"}, {"not": {}}]}, {"type": ["string"] * 50}, {"anyOf": [{}] * 400},
    Text("1e400"), Text("-0"), Text("-0.0e-0"), Text("123456789012345678901234567890"), Text("1e-400"),
    Text("0." + "3" * 400), Text("NaN"), Text("-Infinity"), Text("01"), Text("+1"), Text(".5"),
    Text('"\\u0000"'), Text('"\\ud800"'), Text('"\\udc00\\ud800"'), Text('"\\x41"'), Text('"a\nb"'),
    Text("[" * 400 + "]" * 400), Text("[" * 5000), Text('{"a":' * 3000 + "1" + "}" * 3000),
    Text('{"a":1,"a":2}'), Text("nul"), Text(""), Text("'a'"), Text("[1,]"), Text("/**/1"),
]
# What takes the place of bytes.
BYTES = [b"", b"\0", b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82", b"\xef\xbb\xbf",
         b"\r\n\r\n", b"\n", b"\r", b" ", b"\"", b"\\", b"{", b"]", b":", b"," * 50, b"9" * 400, b"-",
         b"\x1b", b"\r\nContent-Length: 0\r\n", b"Transfer-Encoding: chunked\r\n", b"a" * 9000]


def written(value):
    """JSON, with what is to be written as it is."""
    if isinstance(value, Text):
        return str(value)
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(k)}:{written(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(written, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


def places(value, at=()):
    """The way to each value in a value."""
    yield at
    items = value.items() if isinstance(value, dict) else enumerate(value) \
        if isinstance(value, list) else ()
    for key, inner in items:
        yield from places(inner, at + (key,))


def changed(rng, body):
    """A copy with one to three values changed."""
    body = json.loads(json.dumps(body))
    for _ in range(rng.choice((1, 1, 2, 3))):
        at = rng.choice(list(places(body)))
        if not at:
            continue
        inner = body
        for key in at[:-1]:
            inner = inner[key]
        how = rng.randrange(6)
        if how == 0:
            del inner[at[-1]]
        elif how == 1 and isinstance(inner, list):
            inner.extend([inner[at[-1]]] * rng.choice((1, 20, 200)))
        elif how == 2 and isinstance(inner, dict):
            inner[rng.choice(("", "messages", "$ref", "type", "stream", "extra", "\u00e9"))] = \
                inner.pop(at[-1])
        elif how == 3 and isinstance(inner[at[-1]], str):
            text, more = inner[at[-1]], ("\u0301", "\U0001f600", "\ufffe", "\t", "x" * 600)
            i = rng.randrange(len(text) + 1)
            inner[at[-1]] = text[:i] + rng.choice(more) + text[i:]
        else:
            inner[at[-1]] = copy.deepcopy(rng.choice(VALUES))
    return body


def torn(rng, data):
    """A copy with some bytes changed, taken out or put in."""
    data = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 5))):
        i = rng.randrange(len(data) + 1)
        data[i:i + rng.choice((0, 0, 1, 3, 40))] = rng.choice(BYTES)
        if rng.random() < 0.1:
            del data[rng.randrange(len(data) + 1):]
    return bytes(data)


class Hostile(Case):
    # A context in which nothing takes long.
    OPTIONS = ("-c", "256", "--queue", "4096", "--head-timeout", "2", "--body-timeout", "2")
    GOOD = {"messages": [USER], "max_tokens": 12, "temperature": 0}

    def good(self):
        reply = self.ok("/v1/chat/completions", self.GOOD)
        return reply["choices"][0]["message"]["content"]

    def test_values(self):
        """Whatever a field holds is taken, or refused with an error of the usual shape."""
        quiet = self.good()

        def attack(thread):
            rng, seen = random.Random(SEED * 1000 + thread), {}
            for i in range(ROUNDS // N_THREADS):
                path, body = rng.choice(VALID)
                text = written(changed(rng, body))
                reply = self.post(path, text.encode("utf-8", "surrogatepass"))
                self.check(reply, text)
                seen[reply.status] = seen.get(reply.status, 0) + 1
                if i % 25 == 0:
                    self.assertEqual(self.good(), quiet, text)
            return seen

        in_threads(N_THREADS, attack) # threads of Python use little of a core; the server has the rest
        before = self.server.rss()
        seen = in_threads(N_THREADS, attack)
        self.assertLess(self.server.rss() - before, GROWTH)
        for status in (200, 400):
            self.assertGreater(sum(s.get(status, 0) for s in seen), ROUNDS // 20, seen)
        self.assertEqual(self.good(), quiet)

    def check(self, reply, text):
        if reply.status == 200 and reply.headers["content-type"] == "text/event-stream":
            self.assertRegex(reply.body, b"(?s)^(event: [a-z_.]+\n)?data: ", text)
            self.assertTrue(reply.events(), text)
        elif reply.status == 200:
            self.assertTrue(reply.json(), text)
        else:
            self.assertIn(reply.status, (400, 404), (reply, text))
            error = reply.json()["error"]
            self.assertEqual(set(error), {"message", "type", "param", "code"}, text)
            self.assertEqual(error["type"], "invalid_request_error", (reply, text))
            self.assertNotRegex(error["message"], "[\\x00-\\x1f]", text)
            self.assertLess(len(error["message"]), 1000, text)

    def request(self, rng):
        """The bytes of a request that would be good, its body in chunks now and then."""
        path, body = rng.choice(VALID)
        body = json.dumps(body).encode()
        lines = ["Content-Type: application/json"]
        if rng.random() < 0.5:
            lines.append(f"Content-Length: {len(body)}")
        else:
            lines.append("Transfer-Encoding: chunked")
            n = rng.choice((1, 7, 100))
            body = b"".join(b"%x\r\n%s\r\n" % (len(body[i:i + n]), body[i:i + n])
                            for i in range(0, len(body), n)) + b"0\r\n\r\n"
        return self.head("POST", path, *lines) + body

    def send(self, rng, data):
        """Sends it in pieces, and leaves in one of several ways; what came back, where it was waited for."""
        out = b""
        with self.server.connect() as s:
            how = rng.randrange(4)
            try:
                while data:
                    n = rng.choice((1, 10, 1000, 100000)) if len(data) < 2000 else 100000
                    s.sendall(data[:n])
                    data = data[n:]
                if how == 0:
                    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    return out
                if how == 1:
                    return out
                if how == 2:
                    s.shutdown(socket.SHUT_WR)
                else:
                    s.settimeout(0.1)
                while piece := s.recv(65536):
                    out += piece
            except socket.timeout:
                self.assertEqual(how, 3, "the server neither answers nor closes")
            except OSError: # it has closed
                pass
        return out

    def test_bytes(self):
        """Torn requests, alone and one behind another, from clients that leave at any moment."""
        quiet = self.good()

        def attack(thread):
            rng = random.Random(SEED * 1000 + 500 + thread)
            for i in range(ROUNDS // N_THREADS):
                data = b"".join(self.request(rng) for _ in range(rng.choice((1, 1, 2, 4))))
                out = self.send(rng, torn(rng, data))
                if out:
                    self.assertRegex(out, rb"^HTTP/1\.[01] \d\d\d ")
                for status in re.findall(rb"(?:^|\r\n)HTTP/1\.1 (\d\d\d) ", out):
                    self.assertIn(int(status), (100, 200, 400, 403, 404, 405, 408, 413, 414, 415, 431,
                                                501, 503, 505), out[:300])
                if i % 25 == 0:
                    self.assertEqual(self.good(), quiet)

        in_threads(N_THREADS, attack)
        before = self.server.rss()
        in_threads(N_THREADS, attack)
        self.assertLess(self.server.rss() - before, GROWTH)
        n_files = self.server.n_files
        self.until(lambda: n_files() < 40, "descriptors are lost")
        self.until(lambda: self.metric("slm_requests_running") + self.metric("slm_requests_waiting") == 0,
                   "something still runs")
        self.assertEqual(self.good(), quiet)

    def test_one_byte_at_a_time(self):
        body = json.dumps(self.GOOD).encode()
        chunks = b"".join(b"1\r\n%c\r\n" % byte for byte in body) + b"0\r\n\r\n"
        data = self.head("POST", "/v1/chat/completions", "Content-Type: application/json",
                         "Transfer-Encoding: chunked", "Connection: close") + chunks
        with self.server.connect() as s:
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for byte in data:
                s.sendall(bytes([byte]))
            out = b""
            while piece := s.recv(65536):
                out += piece
        self.assertTrue(out.startswith(b"HTTP/1.1 200 "), out)
        answer = json.loads(out.split(b"\r\n\r\n", 1)[1])
        self.assertEqual(answer["choices"][0]["message"]["content"], self.good())

    def test_what_would_take_long(self):
        """Bodies as large as may be, made to be compared with themselves: others are answered."""
        quiet = self.good()
        calls = {"role": "assistant", "tool_calls": [CALL] * 128}
        result = {"role": "tool", "tool_call_id": "another", "content": ""}
        deep = {f"d{i}": {"allOf": [{"$ref": f"#/$defs/d{i + 1}"}] * 4} for i in range(40)}
        for body in ({"messages": [USER] + [calls] * 60 + [result] * 3000},
                     {"messages": [USER], "chat_template_kwargs": {str(i): i for i in range(100000)}},
                     {"messages": [USER], "max_tokens": 1, "response_format": {
                         "type": "json_schema", "json_schema": {"schema": {
                             "$ref": "#/$defs/d0", "$defs": dict(deep, d40={"type": "string"})}}}},
                     {"messages": [dict(USER, content="\U0001f468\u200d" * 290000)]}):
            reply = self.post("/v1/chat/completions", json.dumps(body, ensure_ascii=False).encode())
            self.check(reply, "")
            self.assertEqual(self.good(), quiet)


if __name__ == "__main__":
    main()
