"""Fields of requests: every range at its edges and beyond them, wrong types, and what is too large."""

import json

from serve_case import Case, main

CHAT = {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 1}
TEXT = {"prompt": "Hi", "max_tokens": 1}
# field: (endpoint body, accepted values, refused values)
NUMBERS = {
    "temperature": ([0, 2, 1.5, -0.0], [-1, -1e-9, 2.01, 1e38, -1e38]),
    "top_p": ([0, 1, 0.5], [-1, 1.01, 1e38]),
    "min_p": ([0, 1, 0.5], [-0.1, 1.01, -1e38]),
    "typical_p": ([0.1, 1], [-0.1, 1.01]),
    "repeat_penalty": ([0.01, 1, 10], [0, -1, 10.1, 1e38]),
    "presence_penalty": ([-2, 0, 2], [-2.1, 2.1, 1e38, -1e38]),
    "frequency_penalty": ([-2, 0, 2], [-2.1, 2.1, 1e38, -1e38]),
}
INTEGERS = {
    "top_k": ([0, 1, 2**31 - 1], [-1, 2**31, 2**62]),
    "seed": ([0, 2**31, 2**63 - 1], [-1, -2**63]),
    "n": ([1, 8], [-1, 0, 9, 2**31, 2**62]),
    "max_tokens": ([1, 2**31 - 1], [-1, 0, 2**31, 2**62]),
}


class Ranges(Case):
    OPTIONS = ("-c", "64")

    def both(self, field, value, status, param=None):
        for path, body in (("/v1/chat/completions", CHAT), ("/v1/completions", TEXT)):
            reply = self.post(path, dict(body, **{field: value}))
            if status == 200:
                self.assertEqual(reply.status, 200, (path, field, value, reply))
            else:
                self.refused(reply, 400, param or field)

    def test_numbers(self):
        for field, (good, bad) in NUMBERS.items():
            for value in good + [None]:
                self.both(field, value, 200)
            for value in bad + ["7", True, [1], {}]:
                self.both(field, value, 400)

    def test_integers(self):
        for field, (good, bad) in INTEGERS.items():
            for value in good + [None]:
                self.both(field, value, 200)
            for value in bad + [1.5, "7", True, [1], {}]:
                self.both(field, value, 400)

    def test_no_numbers_at_all(self):
        """NaN and integers beyond 64 bits are not JSON that can be read."""
        for spelling in ("NaN", "Infinity", "-Infinity", "1e999", str(2**63), str(2**64), "+1", "01",
                         "0x10", "1.", ".5"):
            for field in ("temperature", "n", "seed", "max_tokens"):
                body = json.dumps(CHAT)[:-1] + f', "{field}": {spelling}}}'
                self.refused(self.post("/v1/chat/completions", body), 400, None, "invalid_json")

    def test_logprobs(self):
        chat, text = "/v1/chat/completions", "/v1/completions"
        for value in (0, 20):
            self.ok(chat, dict(CHAT, logprobs=True, top_logprobs=value))
        for value in (-1, 21, 1.5, "7", 2**31):
            self.refused(self.post(chat, dict(CHAT, logprobs=True, top_logprobs=value)), 400,
                         "top_logprobs")
        self.refused(self.post(chat, dict(CHAT, top_logprobs=2)), 400, "top_logprobs")
        self.refused(self.post(chat, dict(CHAT, logprobs=2)), 400, "logprobs")
        for value in (0, 5):
            self.ok(text, dict(TEXT, logprobs=value))
        for value in (-1, 6, 1.5, "7", True):
            self.refused(self.post(text, dict(TEXT, logprobs=value)), 400, "logprobs")

    def test_logit_bias(self):
        for value in ({}, {"0": 100}, {"5": -100}, {"5": 0.5}):
            self.both("logit_bias", value, 200)
        for value in ({"-1": 1}, {"2560": 1}, {"99999999999999999999": 1}, {"x": 1}, {"": 1},
                      {"5 ": 1}, {"5": 1e38}, {"5": -1e38}, {"5": "1"}, {"5": 101}, [], "x",
                      {str(i): 0 for i in range(1025)}):
            self.both("logit_bias", value, 400)
        many = {str(i): 0 for i in range(10**5)}
        self.refused(self.post("/v1/completions", dict(TEXT, logit_bias=many)), 400, "logit_bias")

    def test_stop(self):
        for value in ("x", ["x"] * 16, [], "x" * 256, "é"):
            self.both("stop", value, 200)
        for value in ("", [""], ["x", ""], ["x"] * 17, "x" * 257, 7, [7], {}, ["x"] * 10**5,
                      "x" * 10**6):
            self.both("stop", value, 400)

    def test_flags_and_options(self):
        for field in ("stream",):
            for value in ("true", 1, [], {}):
                self.both(field, value, 400)
        self.both("stream_options", {"include_usage": True}, 400)
        reply = self.post("/v1/completions", dict(TEXT, stream=True, stream_options={
            "include_usage": "yes"}))
        self.refused(reply, 400, "stream_options.include_usage")
        self.refused(self.post("/v1/completions", dict(TEXT, echo=1)), 400, "echo")
        self.refused(self.post("/v1/completions", dict(TEXT, echo=True, logprobs=1)), 400, "echo")
        self.refused(self.post("/v1/completions", dict(TEXT, best_of=2)), 400, "best_of")
        self.refused(self.post("/v1/completions", dict(TEXT, suffix="x")), 400, "suffix")

    def test_messages(self):
        path = "/v1/chat/completions"
        for messages, param in (
                (None, "messages"), ([], "messages"), ("Hi", "messages"), ([7], "messages[0]"),
                ([{"content": "x"}], "messages[0].role"),
                ([{"role": "root", "content": "x"}], "messages[0].role"),
                ([{"role": "user"}], "messages[0].content"),
                ([{"role": "user", "content": 7}], "messages[0].content"),
                ([{"role": "user", "content": ["x"]}], "messages[0].content[0]"),
                ([{"role": "user", "content": [{"type": "image_url"}]}],
                 "messages[0].content[0].type"),
                ([{"role": "user", "content": "x"}, {"role": "assistant", "tool_calls": [{}]}],
                 "messages[1].tool_calls[0].function"),
                ([{"role": "user", "content": "x"}, {"role": "assistant", "tool_calls": [
                    {"function": {"name": "f", "arguments": "{"}}]}],
                 "messages[1].tool_calls[0].function.arguments"),
                ([{"role": "user\r\nX: y", "content": "x"}], "messages[0].role")):
            self.refused(self.post(path, dict(CHAT, messages=messages)), 400, param)
        only_system = dict(CHAT, messages=[{"role": "system", "content": "x"}])
        self.assertIn(self.post(path, only_system).status, (200, 400))

    def test_tools_and_formats(self):
        path = "/v1/chat/completions"
        tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
        for fields, param in (
                ({"tools": 7}, "tools"), ({"tools": [7]}, "tools[0]"),
                ({"tools": [{"type": "web"}]}, "tools[0].type"),
                ({"tools": [{"type": "function"}]}, "tools[0].function"),
                ({"tools": [{"function": {}}]}, "tools[0].function.name"),
                ({"tools": [tool, tool]}, "tools"), ({"tools": [tool] * 129}, "tools"),
                ({"tools": [{"function": {"name": "f", "parameters": {"type": "object", "properties":
                                                                      {"a": {"type": "x"}}}}}]},
                 "tools"),
                ({"tool_choice": "required"}, "tool_choice"),
                ({"tools": [tool], "tool_choice": "any"}, "tool_choice"),
                ({"tools": [tool], "tool_choice": {}}, "tool_choice"),
                ({"tools": [tool], "tool_choice": {"type": "function", "function": {"name": "g"}}},
                 "tool_choice"),
                ({"functions": []}, "functions"),
                ({"response_format": "json"}, "response_format"),
                ({"response_format": {"type": "xml"}}, "response_format.type"),
                ({"response_format": {"type": "json_schema"}}, "response_format.json_schema.schema"),
                ({"response_format": {"type": "json_schema", "json_schema": {"schema": {
                    "type": "thing"}}}}, "response_format"),
                ({"response_format": {"type": "json_schema", "json_schema": {"schema": {
                    "$ref": "#/nowhere"}}}}, "response_format"),
                ({"response_format": {"type": "json_schema", "json_schema": {"schema": False}}},
                 "response_format"),
                ({"chat_template_kwargs": []}, "chat_template_kwargs")):
            self.refused(self.post(path, dict(CHAT, **fields)), 400, param)
        free = {"type": "json_schema", "json_schema": {"name": "any", "schema": True}}
        self.assertEqual(self.post(path, dict(CHAT, response_format=free)).status, 200)

    def test_large_guides(self):
        """A schema that needs more than a guide may hold is the request's fault, not the machine's."""
        arrays = {f"p{i}": {"type": "array", "maxItems": 2000} for i in range(300)}
        for schema in ({"type": "array", "maxItems": 100000},
                       {"type": "object", "properties": arrays}):
            form = {"type": "json_schema", "json_schema": {"name": "a", "schema": schema}}
            reply = self.post("/v1/chat/completions", dict(CHAT, response_format=form))
            self.refused(reply, 400, "response_format", None, "16777216 bytes")
        tool = {"type": "function", "function": {"name": "f", "parameters": {
            "type": "object", "properties": {"a": {"type": "array", "maxItems": 100000}}}}}
        reply = self.post("/v1/chat/completions", dict(CHAT, tools=[tool]))
        self.refused(reply, 400, "tools", None, "16777216 bytes")

    def test_prompts(self):
        path = "/v1/completions"
        for prompt, param in (([-1], "prompt[0]"), ([2560], "prompt[0]"), ([1, "x"], "prompt[1]"),
                              ([[1], "x"], "prompt[1]"), ([["x"]], "prompt[0][0]"),
                              ([[[1]]], "prompt[0][0]"), ([1.5], "prompt[0]"), (7, "prompt"),
                              (None, "prompt"), ({}, "prompt"), ([], "prompt"), ("", None),
                              (["x"] * 65, "prompt")):
            reply = self.post(path, dict(TEXT, prompt=prompt))
            if param is None: # an empty text is the BOS token alone, where the model has one
                self.assertIn(reply.status, (200, 400), reply)
            else:
                self.refused(reply, 400, param)
        reply = self.post(path, dict(TEXT, prompt=[5] * 10**5))
        self.refused(reply, 400, "prompt", "context_length_exceeded")

    def test_context(self):
        """The context less one token is a prompt; the answer then is one token long."""
        path = "/v1/completions"
        reply = self.ok(path, dict(TEXT, prompt=[5] * 63, max_tokens=10))
        self.assertEqual(reply["choices"][0]["finish_reason"], "length")
        for n in (64, 65, 64000):
            reply = self.post(path, dict(TEXT, prompt=[5] * n))
            self.refused(reply, 400, "prompt", "context_length_exceeded", str(n), "64")
        chat = dict(CHAT, messages=[{"role": "user", "content": "word " * 1000}])
        self.refused(self.post("/v1/chat/completions", chat), 400, "messages",
                     "context_length_exceeded", "64")
        long = {"messages": CHAT["messages"], "temperature": 0, "logit_bias": {}}
        r = self.ok("/v1/chat/completions", long)["choices"][0]
        self.assertIn(r["finish_reason"], ("stop", "length"))

    def test_unknown_fields(self):
        before = self.metric("slm_fields_ignored_total")
        self.ok("/v1/chat/completions", dict(CHAT, user="x", frobnicate={"a": 1}, n_keep=-1))
        self.assertEqual(self.metric("slm_fields_ignored_total"), before + 3)

    def test_bodies(self):
        for body in ("", "x", "{", "[]", "7", '"x"', "null", '{"a": 1, "a": 2}', "{} {}", '{"a": }',
                     '{"messages": "\\ud800"}', '{"messages": "\\u0000"}', "[" * 100000,
                     '{"a":' * 3000 + "1" + "}" * 3000):
            self.refused(self.post("/v1/chat/completions", body), 400)
        self.refused(self.post("/v1/chat/completions", b'{"messages": "\xff"}'), 400)


if __name__ == "__main__":
    main()
