"""Every endpoint: what it answers, whole and as a stream."""

import base64
import json
import math
import struct
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from serve_case import HEARTH, SLM, STORIES, Case, Server, in_threads, main

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "cli"))
from cli_case import Gguf  # pylint: disable=wrong-import-position

ASK = {"messages": [{"role": "user", "content": "What can you do?"}], "temperature": 0,
       "max_tokens": 24}
TOOLS = [{"type": "function", "function": {
    "name": "set_timer", "description": "Sets a timer",
    "parameters": {"type": "object", "properties": {"minutes": {"type": "integer"}},
                   "required": ["minutes"]}}}]
SCHEMA = {"type": "object", "properties": {"name": {"enum": ["ann", "bob"]},
                                           "age": {"type": "integer", "minimum": 0, "maximum": 120}},
          "required": ["name", "age"], "additionalProperties": False}


def run(*args):
    return subprocess.run([SLM, *map(str, args)], stdout=subprocess.PIPE, check=True).stdout


class Models(Case):
    def test_models(self):
        reply = self.get("/v1/models").json()
        self.assertEqual(reply["object"], "list")
        self.assertEqual([m["id"] for m in reply["data"]], ["hearth"])
        self.assertEqual(self.get("/v1/models/hearth").json(), reply["data"][0])
        self.assertEqual(self.get("/v1/models/%68earth").json()["id"], "hearth")
        for name in ("other", "hearth2", "h", "hearth%2", "hearth%zz", "%2Fetc%2Fpasswd"):
            self.refused(self.get("/v1/models/" + name), 404, "model", "model_not_found")

    def test_unknown_model(self):
        for path in ("/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/embeddings"):
            for name in ("gpt-4o", "/etc/passwd", str(HEARTH), ""):
                reply = self.post(path, {"model": name})
                self.refused(reply, 404, "model", "model_not_found")
                self.assertNotIn(str(HEARTH.parent), reply.body.decode())
            self.refused(self.post(path, {"model": 7}), 400, "model")

    def test_health_and_metrics(self):
        self.assertEqual(self.get("/health").json(), {"status": "ok"})
        before = self.metric("slm_generated_tokens_total")
        self.ok("/v1/chat/completions", dict(ASK, max_tokens=5))
        reply = self.get("/metrics")
        self.assertTrue(reply.headers["content-type"].startswith("text/plain"))
        self.assertGreaterEqual(self.metric("slm_generated_tokens_total"), before + 5)
        for line in reply.body.decode().splitlines():
            if not line.startswith("#"):
                float(line.rsplit(" ", 1)[1])
        self.assertIn('slm_requests_total{endpoint="/v1/chat/completions",status="200"}',
                      reply.body.decode())

    def test_page(self):
        reply = self.get("/")
        self.assertEqual(reply.headers["content-type"], "text/html; charset=utf-8")
        page = reply.body.decode()
        self.assertEqual(page, (HEARTH.parents[2] / "tools/serve/page.html").read_text())
        for outside in ("src=", "href=", "http://", "https://", "@import", "url("):
            self.assertNotIn(outside, page)
        self.assertIn("default-src 'none'", reply.headers["content-security-policy"])
        self.assertEqual(self.http("HEAD", "/").body, b"")


class Chat(Case):
    def test_equals_the_program(self):
        text = self.ok("/v1/chat/completions", ASK)["choices"][0]["message"]["content"]
        alone = run("run", HEARTH, "What can you do?", "--temp", "0", "-n", "24", "-t", "1")
        self.assertEqual(text + "\n", alone.decode())

    def test_reply(self):
        r = self.ok("/v1/chat/completions", dict(ASK, model="hearth"))
        self.assertEqual(r["object"], "chat.completion")
        self.assertTrue(r["id"].startswith("chatcmpl-"))
        self.assertEqual(r["model"], "hearth")
        (c,) = r["choices"]
        self.assertEqual((c["index"], c["message"]["role"], c["logprobs"]), (0, "assistant", None))
        self.assertIn(c["finish_reason"], ("stop", "length"))
        u = r["usage"]
        self.assertEqual(u["total_tokens"], u["prompt_tokens"] + u["completion_tokens"])
        self.assertEqual(u["prompt_tokens"], self.ok("/tokenize", {
            "messages": ASK["messages"]})["count"])

    def test_stream_equals_whole(self):
        whole = self.ok("/v1/chat/completions", ASK)
        events = self.stream("/v1/chat/completions", dict(ASK, stream_options={
            "include_usage": True}))
        self.assertEqual(events[0]["choices"][0]["delta"], {"role": "assistant", "content": ""})
        text = "".join(e["choices"][0]["delta"].get("content", "") for e in events[:-1])
        self.assertEqual(text, whole["choices"][0]["message"]["content"])
        self.assertEqual(events[-2]["choices"][0]["finish_reason"],
                         whole["choices"][0]["finish_reason"])
        self.assertEqual(events[-1]["choices"], [])
        for key in ("prompt_tokens", "completion_tokens", "total_tokens"):
            self.assertEqual(events[-1]["usage"][key], whole["usage"][key])
        self.assertEqual({e["id"] for e in events}, {events[0]["id"]})
        self.assertTrue(all(e["usage"] is None for e in events[:-1]))
        body = self.post("/v1/chat/completions", dict(ASK, stream=True)).body
        self.assertTrue(body.endswith(b"data: [DONE]\n\n"))
        self.assertNotIn(b"usage", body)

    def test_seed_and_n(self):
        ask = dict(ASK, temperature=2, seed=5, n=3, top_k=0, top_p=1, min_p=0)
        first = [c["message"]["content"] for c in self.ok("/v1/chat/completions", ask)["choices"]]
        again = [c["message"]["content"] for c in self.ok("/v1/chat/completions", ask)["choices"]]
        self.assertEqual(first, again)
        self.assertGreater(len(set(first)), 1)
        self.assertEqual([c["index"] for c in self.ok("/v1/chat/completions", ask)["choices"]],
                         [0, 1, 2])
        parts = {}
        for e in self.stream("/v1/chat/completions", ask):
            c = e["choices"][0]
            parts[c["index"]] = parts.get(c["index"], "") + c["delta"].get("content", "")
        self.assertEqual([parts[i] for i in range(3)], first)

    def test_stop(self):
        whole = self.ok("/v1/chat/completions", ASK)["choices"][0]["message"]["content"]
        word = whole.split()[3]
        r = self.ok("/v1/chat/completions", dict(ASK, stop=["zzzz", word]))["choices"][0]
        self.assertEqual(r["message"]["content"], whole[:whole.index(word)])
        self.assertEqual(r["finish_reason"], "stop")
        r = self.ok("/v1/chat/completions", dict(ASK, stop=word))["choices"][0]
        self.assertEqual(r["message"]["content"], whole[:whole.index(word)])

    def test_lengths(self):
        for name in ("max_tokens", "max_completion_tokens"):
            ask = {"messages": ASK["messages"], "temperature": 0, name: 3}
            r = self.ok("/v1/chat/completions", ask)
            self.assertEqual(r["usage"]["completion_tokens"], 3)
            self.assertEqual(r["choices"][0]["finish_reason"], "length")

    def test_logprobs(self):
        r = self.ok("/v1/chat/completions", dict(ASK, logprobs=True, top_logprobs=3))["choices"][0]
        entries = r["logprobs"]["content"]
        self.assertEqual(b"".join(bytes(e["bytes"]) for e in entries).decode().strip(),
                         r["message"]["content"].strip())
        for e in entries:
            self.assertEqual(len(e["top_logprobs"]), 3)
            self.assertLessEqual(e["logprob"], 0)
            self.assertAlmostEqual(e["logprob"], e["top_logprobs"][0]["logprob"], places=5)
            self.assertLessEqual(sum(math.exp(t["logprob"]) for t in e["top_logprobs"]), 1.0001)
        streamed = []
        for e in self.stream("/v1/chat/completions", dict(ASK, logprobs=True, top_logprobs=3)):
            if e["choices"][0]["logprobs"]:
                streamed += e["choices"][0]["logprobs"]["content"]
        self.assertEqual(streamed, entries)

    def test_logit_bias(self):
        first = self.ok("/v1/chat/completions", dict(ASK, logprobs=True))["choices"][0]
        token = first["logprobs"]["content"][0]["token"]
        ids = [i for i in self.ok("/tokenize", {"content": token})["tokens"]]
        r = self.ok("/v1/chat/completions", dict(ASK, logit_bias={str(ids[-1]): -100},
                                                 logprobs=True))["choices"][0]
        self.assertNotEqual(r["logprobs"]["content"][0]["token"], token)

    def test_content_parts_and_roles(self):
        parts = [{"type": "text", "text": "What can "}, {"type": "text", "text": "you do?"}]
        a = self.ok("/v1/chat/completions", dict(ASK, messages=[{"role": "user", "content": parts}]))
        b = self.ok("/v1/chat/completions", ASK)
        self.assertEqual(a["choices"][0]["message"], b["choices"][0]["message"])
        for roles in (["system"], ["developer"]):
            said = [{"role": r, "content": "Be brief."} for r in roles] + ASK["messages"]
            self.ok("/v1/chat/completions", dict(ASK, messages=said))
        # What users write never becomes a control token: it takes more tokens than the real one.
        n = [self.ok("/tokenize", {"messages": [{"role": "user", "content": text}]})["count"]
             for text in ("", "<|im_end|>")]
        self.assertGreater(n[1], n[0] + 1)

    def test_json(self):
        for kind in ({"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA}},):
            for seed in range(3):
                ask = {"messages": ASK["messages"], "response_format": kind, "seed": seed,
                       "max_tokens": 100}
                r = self.ok("/v1/chat/completions", ask)["choices"][0]
                value = json.loads(r["message"]["content"])
                self.assertEqual(list(value), ["name", "age"])
                self.assertIsInstance(value["age"], int)
        r = self.ok("/v1/chat/completions", dict(ASK, response_format={"type": "json_object"},
                                                 max_tokens=200, temperature=0.3))["choices"][0]
        self.assertTrue(r["message"]["content"].startswith("{"))
        if r["finish_reason"] == "stop":
            self.assertIsInstance(json.loads(r["message"]["content"]), dict)
        self.ok("/v1/chat/completions", dict(ASK, response_format={"type": "text"}))

    def test_tools(self):
        ask = {"messages": [{"role": "user", "content": "Set a timer for five minutes."}],
               "tools": TOOLS, "temperature": 0, "max_tokens": 80}
        for choice in ("required", {"type": "function", "function": {"name": "set_timer"}}):
            r = self.ok("/v1/chat/completions", dict(ask, tool_choice=choice))["choices"][0]
            self.assertEqual(r["finish_reason"], "tool_calls")
            self.assertIsNone(r["message"]["content"])
            call = r["message"]["tool_calls"][0]
            self.assertEqual((call["type"], call["function"]["name"]), ("function", "set_timer"))
            arguments = json.loads(call["function"]["arguments"])
            self.assertIsInstance(arguments["minutes"], int)
            self.assertTrue(call["id"].startswith("call_"))
            events = self.stream("/v1/chat/completions", dict(ask, tool_choice=choice))
            pieces = [t for e in events for t in e["choices"][0]["delta"].get("tool_calls", [])
                      if t["index"] == 0]
            self.assertEqual(pieces[0]["function"]["name"], "set_timer")
            self.assertEqual("".join(p["function"].get("arguments", "") for p in pieces),
                             call["function"]["arguments"])
            self.assertEqual(events[-1]["choices"][0]["finish_reason"], "tool_calls")
        r = self.ok("/v1/chat/completions", dict(ask, tool_choice="none"))["choices"][0]
        self.assertNotIn("tool_calls", r["message"])
        self.ok("/v1/chat/completions", dict(ask, tool_choice="auto", parallel_tool_calls=False))
        said = ask["messages"] + [
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": call["id"], "content": "{\"ok\": true}"}]
        r = self.ok("/v1/chat/completions", dict(ask, messages=said))["choices"][0]
        self.assertIn(r["finish_reason"], ("stop", "length", "tool_calls"))

    def test_tools_and_schema(self):
        """Calls or an answer by the schema: one of them, and never both."""
        ask = {"messages": [{"role": "user", "content": "Set a timer for five minutes."}],
               "tools": TOOLS, "temperature": 2, "top_k": 0, "top_p": 1, "min_p": 0,
               "max_tokens": 200, "parallel_tool_calls": False, "response_format": {
                   "type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA}}}
        kinds, opening = set(), self.ok("/tokenize", {"content": "<tool_call>"})["tokens"][0]
        for seed in range(24):
            asked = dict(ask, seed=seed, temperature=2 if seed % 2 else 0)
            if seed % 4 == 0:
                asked |= {"messages": ASK["messages"], "logit_bias": {str(opening): -100}}
            c = self.ok("/v1/chat/completions", asked)["choices"][0]
            kinds.add(c["finish_reason"])
            if c["finish_reason"] == "tool_calls":
                call = c["message"]["tool_calls"][0]["function"]
                self.assertIsInstance(json.loads(call["arguments"])["minutes"], int)
                self.assertIsNone(c["message"]["content"])
            elif c["finish_reason"] == "stop":
                self.assertNotIn("tool_calls", c["message"])
                self.assertEqual(list(json.loads(c["message"]["content"])), ["name", "age"])
            if len(kinds) >= 2 and seed > 8:
                break
        self.assertLessEqual({"tool_calls", "stop"}, kinds)
        c = self.ok("/v1/chat/completions", dict(ask, tool_choice="required"))["choices"][0]
        self.assertIn(c["finish_reason"], ("tool_calls", "length"))
        c = self.ok("/v1/chat/completions", dict(ask, tool_choice="none"))["choices"][0]
        self.assertTrue(c["message"]["content"].startswith('{"name":'))
        ask["response_format"]["json_schema"]["schema"] = {"type": "strange"}
        self.refused(self.post("/v1/chat/completions", ask), 400, None)
        fmt = {"type": "json_schema", "name": "x", "schema": SCHEMA}
        r = self.ok("/v1/responses", {"input": "What can you do?", "text": {"format": fmt},
                                      "temperature": 0,
                                      "tools": [dict(TOOLS[0]["function"], type="function")],
                                      "max_output_tokens": 200})
        kinds = [item["type"] for item in r["output"]]
        self.assertTrue(kinds == ["message"] or set(kinds) == {"function_call"}, r["output"])
        if kinds == ["message"] and r["status"] == "completed":
            text = r["output"][0]["content"][0]["text"]
            self.assertEqual(list(json.loads(text)), ["name", "age"])

    def test_prefix_is_reused(self):
        ask = dict(ASK, messages=[{"role": "user", "content": "Count to ten, slowly and clearly. "
                                   * 12}], max_tokens=2)
        self.ok("/v1/chat/completions", ask)
        u = self.ok("/v1/chat/completions", ask)["usage"]
        self.assertGreater(u["prompt_tokens_details"]["cached_tokens"], 0)

    def test_many_at_once_equal_alone(self):
        def ask(i):
            return dict(ASK, seed=i, temperature=1, max_tokens=16)

        def text(i):
            return self.ok("/v1/chat/completions", ask(i))["choices"][0]["message"]["content"]

        alone = [text(i) for i in range(12)]
        self.assertEqual(in_threads(12, text), alone)


class Completions(Case):
    ASK = {"prompt": "The light in the kitchen", "temperature": 0, "max_tokens": 12}

    def test_equals_the_program(self):
        r = self.ok("/v1/completions", self.ASK)
        self.assertEqual(r["object"], "text_completion")
        alone = run("run", HEARTH, self.ASK["prompt"], "--raw", "--temp", "0", "-n", "12", "-t", "1")
        self.assertEqual(r["choices"][0]["text"] + "\n", alone.decode())

    def test_prompts(self):
        ids = self.ok("/tokenize", {"content": self.ASK["prompt"], "add_special": True})["tokens"]
        one = self.ok("/v1/completions", self.ASK)["choices"][0]["text"]
        for prompt in (ids, [ids], [self.ASK["prompt"]]):
            r = self.ok("/v1/completions", dict(self.ASK, prompt=prompt))
            self.assertEqual([c["text"] for c in r["choices"]], [one])
        r = self.ok("/v1/completions", dict(self.ASK, prompt=[self.ASK["prompt"], "Hello"], n=2))
        self.assertEqual([c["index"] for c in r["choices"]], [0, 1, 2, 3])
        self.assertEqual([c["text"] for c in r["choices"][:2]], [one, one])
        self.assertEqual(r["usage"]["prompt_tokens"], len(ids) + len(
            self.ok("/tokenize", {"content": "Hello", "add_special": True})["tokens"]))

    def test_default_length_echo_logprobs(self):
        ask = {"prompt": "Hello", "temperature": 0}
        self.assertLessEqual(self.ok("/v1/completions", ask)["usage"]["completion_tokens"], 16)
        plain = self.ok("/v1/completions", self.ASK)["choices"][0]
        echo = self.ok("/v1/completions", dict(self.ASK, echo=True))["choices"][0]
        self.assertEqual(echo["text"], self.ASK["prompt"] + plain["text"])
        events = self.stream("/v1/completions", dict(self.ASK, echo=True))
        self.assertEqual("".join(e["choices"][0]["text"] for e in events), echo["text"])
        p = self.ok("/v1/completions", dict(self.ASK, logprobs=2))["choices"][0]["logprobs"]
        n = len(p["tokens"])
        self.assertEqual([len(p[k]) for k in ("token_logprobs", "top_logprobs", "text_offset")],
                         [n] * 3)
        self.assertEqual(p["text_offset"][0], 0)
        self.assertTrue(all(len(t) == 2 for t in p["top_logprobs"]))

    def test_stream(self):
        whole = self.ok("/v1/completions", self.ASK)["choices"][0]
        events = self.stream("/v1/completions", dict(self.ASK, stream_options={
            "include_usage": True}))
        self.assertEqual("".join(e["choices"][0]["text"] for e in events[:-1]), whole["text"])
        self.assertEqual(events[-2]["choices"][0]["finish_reason"], whole["finish_reason"])
        self.assertGreater(events[-1]["usage"]["completion_tokens"], 0)


class Responses(Case):
    ASK = {"input": "What can you do?", "temperature": 0, "max_output_tokens": 24}

    def test_whole_and_stream(self):
        chat = self.ok("/v1/chat/completions", ASK)["choices"][0]["message"]["content"]
        r = self.ok("/v1/responses", self.ASK)
        self.assertEqual((r["object"], r["model"]), ("response", "hearth"))
        self.assertEqual(r["output"][0]["content"][0]["text"], chat)
        self.assertIn(r["status"], ("completed", "incomplete"))
        events = self.stream("/v1/responses", self.ASK)
        kinds = [e["type"] for e in events]
        self.assertEqual([e["sequence_number"] for e in events], list(range(len(events))))
        self.assertEqual(kinds[:4], ["response.created", "response.in_progress",
                                     "response.output_item.added", "response.content_part.added"])
        self.assertEqual(kinds[-4:-1], ["response.output_text.done", "response.content_part.done",
                                        "response.output_item.done"])
        self.assertEqual(kinds[-1], "response." + r["status"])
        self.assertEqual("".join(e["delta"] for e in events
                                 if e["type"] == "response.output_text.delta"), chat)
        self.assertEqual(events[-1]["response"]["output"][0]["content"][0]["text"], chat)

    def test_input_items_and_instructions(self):
        items = [{"role": "user", "content": [{"type": "input_text", "text": "What can you do?"}]}]
        a = self.ok("/v1/responses", dict(self.ASK, input=items))["output"][0]["content"]
        b = self.ok("/v1/responses", self.ASK)["output"][0]["content"]
        self.assertEqual(a, b)
        r = self.ok("/v1/responses", dict(self.ASK, instructions="Be brief."))
        self.assertEqual(r["instructions"], "Be brief.")
        self.assertGreater(r["usage"]["input_tokens"],
                           self.ok("/v1/responses", self.ASK)["usage"]["input_tokens"])

    def test_tools(self):
        tool = dict(TOOLS[0]["function"], type="function")
        ask = {"input": "Set a timer for five minutes.", "tools": [tool], "temperature": 0,
               "tool_choice": "required", "max_output_tokens": 80}
        call = self.ok("/v1/responses", ask)["output"][0]
        self.assertEqual((call["type"], call["name"]), ("function_call", "set_timer"))
        json.loads(call["arguments"])
        events = self.stream("/v1/responses", ask)
        kinds = [e["type"] for e in events]
        self.assertIn("response.function_call_arguments.done", kinds)
        self.assertEqual("".join(e["delta"] for e in events if e["type"] ==
                                 "response.function_call_arguments.delta"), call["arguments"])
        items = [{"role": "user", "content": ask["input"]},
                 {k: call[k] for k in ("type", "call_id", "name", "arguments")},
                 {"type": "function_call_output", "call_id": call["call_id"], "output": "done"}]
        self.ok("/v1/responses", dict(ask, input=items, tool_choice="auto"))

    def test_format_and_refusals(self):
        fmt = {"type": "json_schema", "name": "x", "schema": SCHEMA}
        r = self.ok("/v1/responses", dict(self.ASK, text={"format": fmt}, max_output_tokens=100))
        self.assertEqual(list(json.loads(r["output"][0]["content"][0]["text"])), ["name", "age"])
        for field, value in (("previous_response_id", "resp_1"), ("background", True)):
            self.refused(self.post("/v1/responses", dict(self.ASK, **{field: value})), 400, field)
        self.refused(self.post("/v1/responses", {"input": [{"type": "reasoning"}]}), 400,
                     "input[0].type")
        self.refused(self.post("/v1/responses", {}), 400, "input")


class Tokens(Case):
    def test_round_trip(self):
        for text in ("Hello, world", "größer – 漢字 🙂", "", " a\n\tb  c "):
            r = self.ok("/tokenize", {"content": text})
            self.assertEqual(r["count"], len(r["tokens"]))
            self.assertEqual(self.ok("/detokenize", {"tokens": r["tokens"]})["content"], text)

    def test_special(self):
        text = "<|im_end|>"
        plain = self.ok("/tokenize", {"content": text})["count"]
        special = self.ok("/tokenize", {"content": text, "parse_special": True})["count"]
        self.assertLess(special, plain)

    def test_refusals(self):
        self.refused(self.post("/tokenize", {}), 400, "content")
        self.refused(self.post("/tokenize", {"content": 1}), 400, "content")
        self.refused(self.post("/detokenize", {}), 400, "tokens")
        self.refused(self.post("/detokenize", {"tokens": [1, -1]}), 400, "tokens[1]")
        self.refused(self.post("/detokenize", {"tokens": "1"}), 400, "tokens")


class Embeddings(Case):
    def test_values(self):
        r = self.ok("/v1/embeddings", {"input": ["turn on the light", "turn on the lamp", "x"]})
        vectors = [d["embedding"] for d in r["data"]]
        self.assertEqual([d["index"] for d in r["data"]], [0, 1, 2])
        for v in vectors:
            self.assertAlmostEqual(sum(x * x for x in v), 1, places=4)
        self.assertGreater(sum(a * b for a, b in zip(vectors[0], vectors[1])),
                           sum(a * b for a, b in zip(vectors[0], vectors[2])))
        one = self.ok("/v1/embeddings", {"input": "turn on the light"})
        self.assertEqual(one["data"][0]["embedding"], vectors[0])
        packed = self.ok("/v1/embeddings", {"input": "turn on the light",
                                            "encoding_format": "base64"})["data"][0]["embedding"]
        raw = base64.b64decode(packed)
        for a, b in zip(struct.unpack(f"<{len(raw) // 4}f", raw), vectors[0]):
            self.assertAlmostEqual(a, b, places=6)
        last = self.ok("/v1/embeddings", {"input": "turn on the light", "pooling": "last"})
        self.assertNotEqual(last["data"][0]["embedding"], vectors[0])
        ids = self.ok("/tokenize", {"content": "turn on the light", "add_special": True})["tokens"]
        by_ids = self.ok("/v1/embeddings", {"input": ids})
        self.assertEqual(by_ids["data"][0]["embedding"], vectors[0])
        self.assertEqual(by_ids["usage"]["prompt_tokens"], len(ids))

    def test_refusals(self):
        for body, param in (({}, "input"), ({"input": []}, "input"), ({"input": 1}, "input"),
                            ({"input": [[-1]]}, "input[0]"), ({"input": "a", "dimensions": 3},
                            "dimensions"), ({"input": "a", "encoding_format": "x"},
                            "encoding_format"), ({"input": "a", "pooling": "x"}, "pooling"),
                            ({"input": ["a"] * 2049}, "input")):
            reply = self.post("/v1/embeddings", body)
            self.assertEqual(reply.status, 400, (body, reply))
            self.assertTrue(reply.json()["error"]["param"].startswith(param), reply)
    def test_more_than_may_wait(self):
        """A request of many texts needs room for one of them: else it would never find any."""
        texts = [f"text number {i}" for i in range(400)]
        r = self.ok("/v1/embeddings", {"input": texts})
        self.assertEqual([d["index"] for d in r["data"]], list(range(400)))
        one = self.ok("/v1/embeddings", {"input": texts[399]})
        self.assertEqual(one["data"][0]["embedding"], r["data"][399]["embedding"])


@unittest.skipUnless(STORIES.exists(), "no reference data")
class OfTheFile(Case):
    """What a file says of its template and of sampling."""

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.MODEL = Path(cls.folder.name) / "names.gguf"
        cls.MODEL.write_bytes(Gguf(STORIES).with_text(
            "tokenizer.chat_template", "{% for m in messages %}{{ m.role }} {{ m.name }};{% endfor %}"))
        cls.MODEL.write_bytes(Gguf(cls.MODEL).with_u32("general.sampling.penalty_last_n", 0))
        super().setUpClass()

    @classmethod
    def tearDownClass(cls):
        super().tearDownClass()
        cls.folder.cleanup()

    def test_names_of_results(self):
        """A result has the name of the tool that was called; of equal ids the last call before it counts."""
        def calls(*named):
            return {"role": "assistant", "tool_calls": [
                {"id": i, "type": "function", "function": {"name": n, "arguments": "{}"}}
                for i, n in named]}

        def result(i, **more):
            return dict({"role": "tool", "tool_call_id": i, "content": "1"}, **more)

        messages = [calls(("a", "lamp"), ("b", "song")), result("b"), result("a"),
                    calls(("a", "door")), result("a"), result("a", name="mine"), result("x")]
        ids = self.ok("/tokenize", {"messages": messages})["tokens"]
        said = self.ok("/detokenize", {"tokens": ids})["content"].split(";")
        self.assertEqual([s.strip()[5:] for s in said if s.strip().startswith("tool")],
                         ["song", "lamp", "door", "mine", ""])

    def test_penalties_look_back_as_far_as_the_file_says(self):
        def said(server, **fields):
            return self.ok("/v1/completions", dict({"prompt": "Once upon a time", "max_tokens": 60,
                                                    "temperature": 0}, **fields),
                           server=server)["choices"][0]["text"]

        self.assertEqual(said(self.server, frequency_penalty=2), said(self.server))
        whole = Server(STORIES)  # says nothing of it: the whole text, as the API has it
        try:
            self.assertNotEqual(said(whole, frequency_penalty=2), said(whole))
        finally:
            self.assertEqual(whole.stop(), 0)


if __name__ == "__main__":
    main()
