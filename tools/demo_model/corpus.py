"""Write the corpus: dialogues as JSON lines, for training or for the test.

    python corpus.py --split train --count 300000 --seed 1 --out WORK/train.jsonl
"""

import argparse
import json

import intents_home as home
import intents_no as no
import intents_smalltalk as smalltalk
import intents_talk as talk
import intents_time as times
from grammar import Gen
from slots import MONTHS, WEEKDAYS, number

PERSONAS = [
    "You are Hearth, a helpful household assistant.",
    "You are Hearth, a friendly assistant for the home.",
    "You are a helpful assistant.",
    "You are a voice assistant. Answer in one short sentence.",
    "Answer briefly.",
    "You are Hearth.",
    "You help people at home.",
    "Be kind and brief.",
    "You are a helpful AI assistant.",
]
MIX = [
    (home.switch, 14),
    (home.shade, 6),
    (home.vague, 2),
    (home.blinds, 2),
    (home.heating, 5),
    (home.music, 9),
    (home.control, 5),
    (times.timer, 13),
    (times.cancel, 2),
    (times.alarm, 11),
    (times.reminder, 9),
    (times.clock_ask, 8),
    (times.order_ask, 2),
    (talk.weather, 8),
    (talk.sums, 16),
    (talk.shopping, 13),
    (smalltalk.small_talk, 13),
    (smalltalk.my_name, 3),
    (smalltalk.say_after, 2),
    (no.unknown, 11),
    (no.refuse, 14),
]


class Context:
    """What a dialogue knows: the facts of the system message and what was said so far."""

    def __init__(self, gen):
        rng = gen.rng
        self.items, self.timer, self.alarm, self.name = [], None, None, None
        self.time = self.date = self.weather = None
        if gen.chance(0.4):
            hour, minute = rng.randint(0, 23), rng.randint(0, 59)
            self.time = gen.pick(
                [
                    f"{hour:02d}:{minute:02d}",
                    f"{hour % 12 + 1}:{minute:02d} " + gen.pick(["am", "pm"]),
                ]
            )
        if gen.chance(0.4):
            self.date = (gen.pick(WEEKDAYS), rng.randint(1, 31), gen.pick(MONTHS))
        if gen.chance(0.4):
            self.weather = (gen.pick(list(talk.SKIES)), rng.randint(-10, 36))

    def system(self, gen):
        """The text of the system message."""
        lines = [gen.pick(PERSONAS)] if gen.chance(0.75) else []
        facts = []
        if self.time:
            facts.append(
                gen.pick(
                    ["Time: {t}.", "The time is {t}.", "It is {t}.", "Current time: {t}."]
                ).format(t=self.time)
            )
        if self.date:
            day, n, month = self.date
            facts.append(
                gen.pick(["Date: {d}.", "Today is {d}.", "Today: {d}.", "The date is {d}."]).format(
                    d=f"{day}, {n} {month}"
                )
            )
        if self.weather:
            sky, degrees = self.weather
            warm = (str(degrees) if gen.chance(0.7) else number(degrees)) + " degrees"
            facts.append(
                gen.pick(
                    [
                        "Weather: {s}, {w}.",
                        "The weather is {s}, {w}.",
                        "Weather today: {s}, {w}.",
                        "Outside: {s}, {w}.",
                    ]
                ).format(s=sky, w=warm)
            )
        gen.rng.shuffle(facts)
        return gen.pick([" ", " ", "\n"]).join(lines + facts)


def dialogue(gen):
    """One conversation, mostly of one to four subjects, or None where a phrasing was of the wrong split."""
    ctx = Context(gen)
    system = ""
    if gen.chance(0.55):
        system = ctx.system(gen)
    if not system:
        ctx.time = ctx.date = ctx.weather = None
    gen.misplaced = False
    subjects, weights = zip(*MIX)
    if system and (ctx.time or ctx.date or ctx.weather):
        weights = [w * (3 if s in (times.clock_ask, talk.weather) else 1) for s, w in MIX]
    turns = []
    subjects_count = gen.pick([1, 1, 1, 2, 2, 3, 4]) if gen.chance(0.97) else gen.rng.randint(5, 16)
    for _ in range(subjects_count):
        turns += gen.rng.choices(subjects, weights)[0](gen, ctx)
    return None if gen.misplaced else {"system": system, "turns": turns}


def main():
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--split", choices=["train", "test"], required=True)
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", required=True)
    args = parser.parse_args()
    gen = Gen(args.seed, args.split)
    written = 0
    with open(args.out, "w", encoding="utf-8") as out:
        while written < args.count:
            conversation = dialogue(gen)
            if conversation:
                out.write(json.dumps(conversation, ensure_ascii=False) + "\n")
                written += 1


if __name__ == "__main__":
    main()
