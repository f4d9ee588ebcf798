"""The ChatML form of a conversation, as text and as tokens, and the tools of the household."""

import json
from pathlib import Path

END_OF_TEXT, START, END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
CONTROL = [END_OF_TEXT, START, END]
HOUSEHOLD = Path(__file__).resolve().parents[2] / "examples" / "household" / "tools.json"
# The context is short: of a tool, only its name and those of its parameters are told.
TEMPLATE = (
    "{% if tools %}{{ '<|im_start|>system\\n' }}"
    "{% if messages[0]['role'] == 'system' %}{{ messages[0]['content'] + '\\n' }}{% endif %}"
    "{{ 'Tools: ' }}{% for tool in tools %}{{ tool.function.name + '(' }}"
    "{% if tool.function.parameters %}"
    "{{ tool.function.parameters.properties | join(', ') }}{% endif %}"
    "{{ ')' if loop.last else '), ' }}{% endfor %}{{ '<|im_end|>' + '\\n' }}{% endif %}"
    "{% for message in messages %}{% if not (tools and loop.first and message['role'] == 'system') %}"
    "{{'<|im_start|>' + message['role'] + '\\n'}}"
    "{% if message['content'] %}{{ message['content'] }}{% endif %}"
    "{% if message['tool_calls'] %}{% for call in message['tool_calls'] %}"
    "{% if message['content'] or not loop.first %}{{ '\\n' }}{% endif %}"
    "{{ '<tool_call>\\n{\"name\": \"' + call.function.name + '\", \"arguments\": ' }}"
    "{% if call.function.arguments is string %}{{ call.function.arguments }}"
    "{% else %}{{ call.function.arguments | tojson }}{% endif %}"
    "{{ '}\\n</tool_call>' }}{% endfor %}{% endif %}"
    "{{ '<|im_end|>' + '\\n' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)


def household():
    """The tools by name, as slm_chat_input takes them."""
    with open(HOUSEHOLD, encoding="utf-8") as file:
        return {tool["function"]["name"]: tool for tool in json.load(file)}


TOOLS = household()


def tools_line(names):
    """The tools as the template tells them."""
    told = (f"{name}({', '.join(TOOLS[name]['function']['parameters']['properties'])})"
            for name in names)
    return "Tools: " + ", ".join(told)


def message(role, content):
    """One message, closed."""
    return f"{START}{role}\n{content}{END}\n"


def call_text(call):
    """A call as the model writes it."""
    return f"<tool_call>\n{json.dumps(call, ensure_ascii=False)}\n</tool_call>"


def call_message(call):
    """The assistant's message that makes a call, as the library takes it."""
    return {"role": "assistant", "content": None,
            "tool_calls": [{"type": "function", "function": call}]}


def pieces(dialogue):
    """(text, learned) pieces of a corpus dialogue; learned ones carry the loss."""
    out = []
    system = [dialogue["system"]] if dialogue["system"] else []
    if "tools" in dialogue:
        system.append(tools_line(dialogue["tools"]))
    if system:
        out.append((message("system", "\n".join(system)), False))
    opening = f"{START}assistant\n"
    for turn in dialogue["turns"]:
        out.append((message("user", turn["user"]) + opening, False))
        if "call" in turn:
            out.append((call_text(turn["call"]) + END, True))
            result = json.dumps(turn["result"], ensure_ascii=False)
            out.append(("\n" + message("tool", result) + opening, False))
        out.append((turn["bot"] + END, True))
        out.append(("\n", False))
    return out
