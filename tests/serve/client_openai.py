"""The client library of OpenAI against a server whose address is the argument."""

import json
import sys

import openai
from pydantic import BaseModel

client = openai.OpenAI(base_url=sys.argv[1], api_key="none", max_retries=0)
MODEL = client.models.list().data[0].id
ASK = [{"role": "user", "content": "What can you do?"}]
TOOL = {"name": "set_timer", "parameters": {
    "type": "object", "properties": {"minutes": {"type": "integer"}}, "required": ["minutes"],
    "additionalProperties": False}}


class Choice(BaseModel):
    ok: bool


whole = client.chat.completions.create(model=MODEL, messages=ASK, temperature=0, max_tokens=80)
text = whole.choices[0].message.content
pieces = list(client.chat.completions.create(model=MODEL, messages=ASK, temperature=0, max_tokens=80,
                                             stream=True, stream_options={"include_usage": True}))
assert "".join(p.choices[0].delta.content or "" for p in pieces if p.choices) == text
assert pieces[-1].usage.total_tokens == whole.usage.total_tokens

done = client.completions.create(model=MODEL, prompt="The light", max_tokens=4, logprobs=1)
assert len(done.choices[0].logprobs.tokens) <= 4

said = client.chat.completions.create(
    model=MODEL, messages=[{"role": "user", "content": "Set a timer for five minutes."}],
    tools=[{"type": "function", "function": TOOL}], tool_choice="required", temperature=0,
    max_tokens=80)
call = said.choices[0].message.tool_calls[0]
assert call.function.name == "set_timer" and "minutes" in json.loads(call.function.arguments)

parsed = client.chat.completions.parse(model=MODEL, messages=ASK, response_format=Choice,
                                       temperature=0, max_tokens=40)
assert isinstance(parsed.choices[0].message.parsed, Choice)

answer = client.responses.create(model=MODEL, input="What can you do?", temperature=0,
                                 max_output_tokens=80)
assert answer.output_text == text
with client.responses.stream(model=MODEL, input="What can you do?", temperature=0,
                             max_output_tokens=80) as stream:
    assert "".join(e.delta for e in stream if e.type == "response.output_text.delta") == text
    assert stream.get_final_response().output_text == text
made = client.responses.create(model=MODEL, input="Set a timer for five minutes.",
                               temperature=0, max_output_tokens=80,
                               tools=[dict(TOOL, type="function")], tool_choice="required")
assert made.output[0].name == "set_timer"

vectors = client.embeddings.create(model=MODEL, input=["turn on the light", "turn off the lamp"])
assert len(vectors.data) == 2 and abs(sum(x * x for x in vectors.data[0].embedding) - 1) < 1e-3
many = client.embeddings.create(model=MODEL, input=["turn on the light"] * 300).data # more than may wait
assert len(many) == 300 and many[299].embedding == many[0].embedding

for wrong, kind in (({"temperature": 3}, openai.BadRequestError),
                    ({"model": "other"}, openai.NotFoundError)):
    try:
        client.chat.completions.create(**dict({"model": MODEL, "messages": ASK}, **wrong))
        raise SystemExit(f"{wrong} was taken")
    except kind as error:
        assert error.param in wrong, error
