"""Write the corpus: dialogues as JSON lines, for training or for the test.

    python corpus.py --split train --count 300000 --seed 1 --out WORK/train.jsonl
"""

import argparse
import json
import re

import intents_clock as clock
import intents_home as home
import intents_music as music
import intents_no as no
import intents_shopping as shopping
import intents_smalltalk as smalltalk
import intents_talk as talk
import intents_time as times
import tooltalk
from grammar import Gen
from slots import clock_time, date, number

PERSONAS = [
    "You are Hearth, a helpful household assistant.",
    "You are Hearth, a friendly assistant for the home.",
    "You are Hearth, a small household assistant.",
    "You are a helpful assistant.",
    "You are a voice assistant. Answer in one short sentence.",
    "Answer briefly.",
    "You are Hearth.",
    "You help people at home.",
    "Be kind and brief.",
    "You are a helpful AI assistant.",
    "You are a home assistant.",
]
MIX = [
    (home.switch, 14),
    (home.shade, 6),
    (home.vague, 3),
    (home.blinds, 3),
    (home.heating, 6),
    (music.music, 9),
    (music.control, 6),
    (times.timer, 11),
    (times.cancel, 2),
    (times.alarm, 9),
    (times.reminder, 8),
    (clock.clock_ask, 8),
    (clock.order_ask, 2),
    (talk.weather, 8),
    (talk.sums, 16),
    (shopping.shopping, 11),
    (smalltalk.small_talk, 15),
    (smalltalk.my_name, 3),
    (smalltalk.say_after, 1),
    (no.unknown, 11),
    (no.refuse, 15),
]
# For the second stage of the training: more of what is learned last.
SECOND = {
    home.switch: 13,
    clock.clock_ask: 9,
    talk.sums: 9,
    smalltalk.small_talk: 21,
    smalltalk.say_after: 3,
    no.unknown: 13,
    no.refuse: 24,
}

# For the last: more of what was answered worst until then.
LAST = {
    home.switch: 13,
    music.music: 12,
    shopping.shopping: 13,
    smalltalk.small_talk: 30,
    smalltalk.say_after: 3,
    no.unknown: 16,
    no.refuse: 34,
}

# For dialogues with tools: less of what calls none.
WITH_TOOLS = {
    home.vague: 5,
    home.blinds: 5,
    times.cancel: 4,
    clock.order_ask: 1,
    talk.sums: 2,
    smalltalk.small_talk: 9,
    no.unknown: 8,
    no.refuse: 12,
}
LAST_WITH_TOOLS = WITH_TOOLS | {
    home.blinds: 9,
    music.music: 14,
    music.control: 9,
    shopping.shopping: 18,
    no.refuse: 15,
}
# And for the very last: whether a tool is there at all, and what is none of its business.
WHICH_TOOL = LAST_WITH_TOOLS | {
    home.heating: 9,
    home.blinds: 12,
    music.music: 16,
    music.control: 11,
    smalltalk.small_talk: 17,
    smalltalk.my_name: 5,
    no.unknown: 13,
    no.refuse: 24,
}
TOOLS_ONLY = [(times.ask_list, 5), (times.asked_back, 6)]
# Of each stage of the training: what has other weights than MIX, without tools and with them, and
# how many of the dialogues with tools offer all of them.
STAGES = {
    1: ({}, WITH_TOOLS, 0.7),
    2: (SECOND, WITH_TOOLS, 0.7),
    3: (LAST, LAST_WITH_TOOLS, 0.7),
    4: (LAST, WHICH_TOOL, 0.55),
}


class Context:
    """What a dialogue knows: the facts of the system message and what was said so far."""

    def __init__(self, gen, told, tools=()):
        rng = gen.rng
        self.tools = tools
        self.items, self.timer, self.alarm, self.name = [], None, None, None
        self.time = self.date = self.weather = None
        if told and gen.chance(0.5):
            self.time = clock_time(gen)
        if told and gen.chance(0.5):
            year = rng.randint(2024, 2035) if gen.chance(0.3) else None
            self.date = date(gen, year)
        if told and gen.chance(0.5):
            degrees = rng.choice([n for n in range(-10, 37) if abs(n) != 1])
            sky = gen.pick(talk.SKIES[gen.pick(["dry", "wet"])])
            self.weather = sky, str(degrees) if gen.chance(0.8) else number(degrees)

    def facts(self, gen):
        """Sentences that tell the facts."""
        facts = []
        if self.time:
            way = gen.pick(
                ["Time: {}.", "The time is {}.", "It is {}.", "Current time: {}.", "Now: {}."]
            )
            facts.append(way.format(self.time))
        if self.date:
            day, n, month, year = self.date
            way = gen.pick(["Date: {}.", "Today is {}.", "Today: {}.", "The date is {}."])
            facts.append(way.format(f"{day}, {n} {month}" + (f" {year}" if year else "")))
        if self.weather:
            sky, degrees = self.weather
            way = gen.pick(
                [
                    "Weather: {}, {}.",
                    "The weather is {}, {}.",
                    "Weather today: {}, {}.",
                    "Outside: {}, {}.",
                ]
            )
            unit = gen.pick([" degrees", " degrees", " degrees", "°C", " C"])
            warm = degrees + (unit if degrees[-1].isdigit() else " degrees")
            facts.append(way.format(sky, warm))
        gen.rng.shuffle(facts)
        return facts

    def system(self, gen):
        """The text of the system message."""
        facts = self.facts(gen)
        lines = [gen.pick(PERSONAS)] if not facts or gen.chance(0.6) else []
        return gen.pick([" ", " ", "\n"]).join(lines + facts)


def dialogue(gen, mix):
    """One conversation, or None where a phrasing was of the wrong split."""
    told = gen.chance(0.4)
    ctx = Context(gen, told)
    system = ctx.system(gen) if told else gen.pick(PERSONAS) if gen.chance(0.2) else ""
    gen.misplaced = False
    subjects, weights = zip(*mix)
    if told:
        weights = [w * (4 if s in (clock.clock_ask, talk.weather) else 1) for s, w in mix]
    turns = []
    count = gen.pick([1, 1, 1, 1, 2, 2, 3]) if gen.chance(0.985) else gen.rng.randint(4, 10)
    for _ in range(count):
        turns += gen.rng.choices(subjects, weights)[0](gen, ctx)
    if gen.misplaced:
        return None
    return {"system": system, "turns": [tooltalk.in_words(turn) for turn in turns]}


def tool_dialogue(gen, mix, whole=0.7):
    """One conversation with tools, or None where a phrasing was of the wrong split."""
    offered = tooltalk.offer(gen, whole)
    ctx = Context(gen, gen.chance(0.25), offered)
    facts = ctx.facts(gen) + tooltalk.state(gen)
    behind = gen.chance(0.5)  # facts may come with each question
    system = [gen.pick(PERSONAS + tooltalk.PERSONAS)] if gen.chance(0.7) else []
    gen.misplaced = False
    turns = []
    subjects, weights = zip(*mix)
    for _ in range(gen.pick([1, 1, 1, 2, 2, 3, 4])):
        said = gen.rng.choices(subjects, weights)[0](gen, ctx)
        part, goes_on = tooltalk.with_tools(gen, said, offered)
        turns += part
        if not goes_on:
            break
    if gen.misplaced:
        return None
    if behind and facts:
        tail = gen.pick(["\n", "\n\n"]) + " ".join(facts)
        turns = [turn | {"user": turn["user"] + tail} for turn in turns]
    else:
        system += facts
    return {"system": gen.pick([" ", " ", "\n"]).join(system), "tools": offered, "turns": turns}


def wording(user):
    """What the user says, without capitals, punctuation and what stands on a line of its own."""
    return " ".join(re.findall(r"[^\W_]+", user.split("\n")[0].lower().replace("'", "")))


def wordings(paths):
    """All that is asked in these lists of dialogues or of single questions."""
    asked = set()
    for path in paths:
        with open(path, encoding="utf-8") as lines:
            for entry in map(json.loads, lines):
                asked |= {wording(turn["user"]) for turn in entry.get("turns", [entry])}
    return asked


def main():
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--split", choices=["train", "test"], required=True)
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--stage", type=int, choices=STAGES, default=1, help="of the training")
    parser.add_argument("--tools", type=float, default=0, help="share of dialogues with tools")
    parser.add_argument("--without", nargs="*", default=[],
                        help="lists whose very wordings no dialogue may have: two carriers can "
                        "differ by a comma alone")
    parser.add_argument("--out", required=True)
    args = parser.parse_args()
    in_words, with_tools, whole = STAGES[args.stage]
    mix = [(s, in_words.get(s, w)) for s, w in MIX]
    tool_mix = [(s, with_tools.get(s, w)) for s, w in MIX] + TOOLS_ONLY
    gen = Gen(args.seed, args.split)
    barred, written = wordings(args.without), 0
    with open(args.out, "w", encoding="utf-8") as out:
        while written < args.count:
            tools = args.tools > 0 and gen.chance(args.tools)
            conversation = tool_dialogue(gen, tool_mix, whole) if tools else dialogue(gen, mix)
            if conversation and barred.isdisjoint(wording(t["user"]) for t in conversation["turns"]):
                out.write(json.dumps(conversation, ensure_ascii=False) + "\n")
                written += 1


if __name__ == "__main__":
    main()
