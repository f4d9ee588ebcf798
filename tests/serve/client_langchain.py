"""langchain-openai against a server whose address is the argument: tools, structured output."""

import sys

from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from pydantic import BaseModel

model = ChatOpenAI(base_url=sys.argv[1], api_key="none", model="hearth", temperature=0,
                   max_retries=0, max_tokens=80)


@tool
def set_timer(minutes: int) -> str:
    """Sets a timer."""
    return f"a timer of {minutes} minutes"


class Choice(BaseModel):
    """Whether it is so."""

    ok: bool


assert model.invoke("What can you do?").content
assert "".join(c.content for c in model.stream("What can you do?")) == \
    model.invoke("What can you do?").content

question = HumanMessage("Set a timer for five minutes.")
asked = model.bind_tools([set_timer], tool_choice="required").invoke([question])
call = asked.tool_calls[0]
result = ToolMessage(set_timer.invoke(call["args"]), tool_call_id=call["id"])
model.bind_tools([set_timer]).invoke([question, asked, result])

for method in ("json_schema", "function_calling"):
    value = model.with_structured_output(Choice, method=method).invoke("Is the light on?")
    assert isinstance(value, Choice), (method, value)

vectors = OpenAIEmbeddings(base_url=sys.argv[1], api_key="none", model="hearth",
                           check_embedding_ctx_length=False).embed_documents(["a", "b"])
assert len(vectors) == 2 and len(vectors[0]) > 8
