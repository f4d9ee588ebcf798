"""The ChatML form of a conversation, as text and as tokens."""

END_OF_TEXT, START, END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
CONTROL = [END_OF_TEXT, START, END]
TEMPLATE = (
    "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\\n' + message['content']"
    " + '<|im_end|>' + '\\n'}}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)


def message(role, content):
    """One message, closed."""
    return f"{START}{role}\n{content}{END}\n"


def prompt(messages):
    """Messages as (role, text) pairs and the opening of the answer."""
    return "".join(message(role, text) for role, text in messages) + f"{START}assistant\n"


def pieces(dialogue):
    """(text, learned) pieces of a corpus dialogue; learned ones carry the loss."""
    out = []
    if dialogue["system"]:
        out.append((message("system", dialogue["system"]), False))
    for turn in dialogue["turns"]:
        out.append((message("user", turn["user"]) + f"{START}assistant\n", False))
        out.append((turn["bot"] + END, True))
        out.append(("\n", False))
    return out
