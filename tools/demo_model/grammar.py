"""Templates, seeded choice and the split between training and held-out phrasings.

A template is plain text with alternatives in brackets, "[turn|switch] on {place}".
Expanding it picks one alternative of each bracket and leaves the {slots} open: the
result is a *carrier*.  A carrier whose checksum falls in the held-out tenth is never
used for training; the same holds for a combination of slot values.
"""

import random
import re
import zlib
from collections import Counter

INNER = re.compile(r"\[([^\[\]]*)\]")
HELD_SHARE = 10
MOST_ASKED = 3

TYPO_NEIGHBOURS = {
    "a": "s", "e": "r", "i": "o", "o": "p", "t": "y", "n": "m", "s": "a", "r": "t",
    "l": "k", "h": "g", "d": "f", "u": "i", "c": "v", "m": "n", "g": "h", "p": "o",
}


def is_held(text):
    """True when this text belongs to the held-out tenth."""
    return zlib.crc32(text.lower().encode()) % HELD_SHARE == 0


def expand(rng, template):
    """Pick one alternative of every bracket of the template."""
    while True:
        match = INNER.search(template)
        if not match:
            return re.sub(r"\s+([,.?!])", r"\1", " ".join(template.split()))
        choice = rng.choice(match.group(1).split("|"))
        template = template[: match.start()] + choice + template[match.end():]


def capital(text):
    """The text with its first letter in upper case."""
    return text[:1].upper() + text[1:]


def typo(rng, word):
    """The word with one slip of the fingers."""
    i = rng.randrange(1, len(word) - 1)
    kind = rng.randrange(4)
    if kind == 0:
        return word[:i] + word[i + 1:]
    if kind == 1:
        return word[:i] + word[i + 1] + word[i] + word[i + 2:]
    if kind == 2:
        return word[:i] + word[i] + word[i:]
    return word[:i] + TYPO_NEIGHBOURS.get(word[i], word[i]) + word[i + 1:]


def roughen(rng, carrier):
    """A carrier as people type it: lower case, no punctuation, now and then a slip."""
    if rng.random() < 0.5:
        carrier = carrier if carrier.startswith("{") else capital(carrier)
        if rng.random() < 0.7 and carrier[-1] not in ".?!":
            words = carrier.lower().split()
            asked = (words[1] if words[0][-1] == "," and len(words) > 1 else words[0]) in QUESTION
            carrier += "?" if asked else rng.choice([".", ".", ".", "!"])
    else:
        carrier = re.sub(r"\bI\b", "i", carrier)
        if rng.random() < 0.6:
            carrier = re.sub(r"[,.?!]", "", carrier)
        if rng.random() < 0.2:
            carrier = carrier.replace("'", "")
    if rng.random() < 0.04:
        words = carrier.split(" ")
        fit = [i for i, w in enumerate(words) if len(w) > 3 and w.isalpha()]
        if fit:
            i = rng.choice(fit)
            words[i] = typo(rng, words[i])
        carrier = " ".join(words)
    return carrier


POLITE_BEFORE = [
    "please", "please", "can you", "can you", "could you", "could you please", "can you please",
    "would you", "would you please", "will you", "I'd like you to", "I want you to",
    "I need you to",
    "go ahead and", "hi, can you", "hearth, please", "hey, could you", "now", "quickly", "just",
    "be so kind and", "kindly", "do me a favour and", "hey hearth, can you", "hearth, could you",
]
CALLS = [
    "hey hearth,", "hearth,", "ok hearth,", "hey,", "hi,", "hi hearth,", "okay,", "hello,", "so,",
]
POLITE_AFTER = ["please", "please", "for me", ", thanks", ", thank you", "now", "for me please",
                "right now", "if you can", "when you can", ", please"]
VERBS = set("""
turn switch put flip power click set start activate enable fire light wake run shut deactivate
disable kill stop cut make change colour dim bring take adjust lower raise soften tone brighten
open close pull lift roll draw play stream queue crank give show read tell pause hold freeze
resume continue unpause skip go repeat mute shuffle mix loop create begin launch time count beep
ring alert notify ping warn add write note jot remove delete cross strike scratch erase clear
empty cancel drop end scrap remind schedule calculate work compute solve check help keep find
call phone text message email send order book buy reserve lock unlock search look clean wash
cook bake iron walk feed translate draft compose say sing pick flip toss roll choose increase
decrease reduce move get let have
""".split())
NOT_IMPERATIVE = ("let's", "get me", "have me")
QUESTION = set("""
what what's which how how's who where when why is are do does did can could would will should
shall may am any won't isn't aren't
""".split())


def courtesy(rng, carrier):
    """A command with the polite words people put around it (often none)."""
    imperative = carrier.split()[0] in VERBS and not carrier.startswith(NOT_IMPERATIVE)
    asked = False
    if imperative and rng.random() < 0.3:
        before = rng.choice(POLITE_BEFORE)
        asked = any(w in QUESTION for w in before.replace(",", "").split())
        carrier = before + " " + carrier
    elif rng.random() < 0.1:
        carrier = rng.choice(CALLS) + " " + carrier
    if imperative and rng.random() < 0.12:
        carrier = (carrier + " " + rng.choice(POLITE_AFTER)).replace(" ,", ",")
    return carrier + "?" if asked and rng.random() < 0.7 else carrier


class Gen:
    """Seeded source of phrasings for one split ("train" or "test")."""

    def __init__(self, seed, split):
        self.rng = random.Random(seed)
        self.split = split
        self.misplaced = False
        self.asked = Counter()

    def pick(self, values):
        """One of the values."""
        return self.rng.choice(values)

    def chance(self, share):
        """True with this probability."""
        return self.rng.random() < share

    def fresh(self, draw):
        """A draw of slot values from this split's side of the combinations.

        draw() returns a tuple or a string; its text decides the side.
        """
        for _ in range(200):
            value = draw()
            if is_held("slots:" + str(value)) == (self.split == "test"):
                return value
        return value

    def carrier(self, templates):
        """A carrier of this split; the test uses each a few times at most."""
        test = self.split == "test"
        for _ in range(300):
            text = expand(self.rng, self.pick(templates))
            if is_held("carrier:" + text) == test and self.asked[text] < MOST_ASKED:
                self.asked[text] += test
                return text
        self.misplaced = True
        return text

    def user(self, templates, command=False, **slots):
        """What the user types: a carrier of this split with the slots filled in."""
        return self.typed(self.carrier(templates), command, **slots)

    def typed(self, text, command=False, **slots):
        """A carrier as people type it, with the slots filled in."""
        if command:
            text = courtesy(self.rng, text)
        return roughen(self.rng, text).format(**slots)

    def answer(self, templates, **slots):
        """What the assistant says."""
        text = expand(self.rng, self.pick(templates)).format(**slots)
        return capital(text)


def turn(intent, user, bot, need=(), ban=(), call=None, result=None,
         wants=None):
    """One exchange with the rule that an answer must meet.

    need: groups of alternatives, one of each group must be in the answer;
    ban: words that must not be in it;
    call: (tool, arguments) that come before the answer where there are tools; arguments that are
    None were not said;
    result: what the tool returns when all goes well;
    wants: the tool that the exchange is about, where it has no call.
    """
    groups = [[g] if isinstance(g, str) else list(g) for g in need]
    exchange = {"intent": intent, "user": user, "bot": bot, "need": groups, "ban": list(ban)}
    if call:
        name, arguments = call
        said = {key: value for key, value in arguments.items() if value is not None}
        exchange["call"] = {"name": name, "arguments": said}
        exchange["result"] = result or {"ok": True}
        wants = name
    if wants:
        exchange["wants"] = wants
    return exchange
