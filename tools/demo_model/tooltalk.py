"""Dialogues with tools: which are offered, what fails, what the house tells of itself."""

from chatml import TOOLS
from slots import DEVICES, ROOMS, duration, listen, nonce, spoken_list

PERSONAS = [
    "You are Hearth, a voice assistant. Use the tools.",
    "You are Hearth. You run this house with your tools.",
    "You are a voice assistant in a house.",
    "You control the house. Answer in one short sentence.",
    "You are Hearth, the assistant of this household. Be brief.",
]
ERRORS = """no such lamp|no such device|no such room|no lamp in the {room}|no blinds in the {room}|
no heating in the {room}|the {device} does not answer|the {device} is not connected|
the {device} is broken|nothing is playing|the speaker is off|not found|unknown playlist|
no timer is running|no alarm is set|no such timer|no such reminder|not on the list|
the list is full|unknown time|unknown length|too long|too many timers|the {room} is offline|
no connection|not allowed|no answer|this lamp has no colour|this lamp cannot be dimmed|
the {word} is missing|unknown place {word}|error {number}""".replace("\n", "").split("|")
CANNOT = "Sorry, I can't do that here."


def offer(gen, whole):
    """The tools of one conversation: in this share of them all."""
    if gen.chance(whole):
        return list(TOOLS)
    some = gen.rng.sample(list(TOOLS), gen.rng.randint(1, len(TOOLS) - 1))
    return some if gen.chance(0.5) else [name for name in TOOLS if name in some]


def state(gen):
    """Sentences about the house, at times."""
    lights = spoken_list(gen.rng.sample(ROOMS, gen.rng.randint(1, 3)))
    facts = [
        gen.pick([f"Lights on: {lights}.", "Lights on: none."]),
        f"Timers: {duration(gen.rng)[1]}.",
        f"Playing: {listen(gen.rng)}.",
        f"You are in the {gen.pick(ROOMS)}.",
    ]
    return [fact for fact in facts if gen.chance(0.06)]


def failure(gen):
    """What a tool may complain about."""
    return gen.pick(ERRORS).format(room=gen.pick(ROOMS), device=gen.pick(DEVICES),
                                   word=nonce(gen.rng), number=gen.rng.randint(2, 599))


def in_words(turn):
    """The turn without its call."""
    return {key: value for key, value in turn.items() if key not in ("call", "result", "wants")}


def with_tools(gen, turns, offered):
    """The turns of one subject as they go with these tools, and whether the talk can go on."""
    out = []
    for turn in turns:
        tool = turn.pop("wants", None)
        if tool and tool not in offered:
            refusal = {"bot": CANNOT, "need": [["can't do that here"]], "ban": []}
            return out + [in_words(turn) | refusal], True
        if turn.get("result") == {"ok": True} and gen.chance(0.1):
            error = failure(gen)
            return out + [turn | {"result": {"ok": False, "error": error}, "ban": [],
                                  "bot": f"Sorry, that didn't work: {error}.",
                                  "need": [["didn't work:"], [error]]}], False
        out.append(turn)
    return out, True
