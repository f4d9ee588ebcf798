"""Write the words and the language model that PocketSphinx hears the household with.

    python3 tools/household_words.py --dictionary cmudict-en-us.dict --out examples/household

Sentences come from the templates that the demo model learned from (tools/demo_model), as they are
spoken: without slips, numbers and times as words; and, as often, from the plain wishes of
household_plain.py, since those templates seek the unusual. words.dict has their words as the CMU
Pronouncing Dictionary spells them and, beside it, as they sound without an r behind vowels;
words.lm is a trigram model (interpolated Kneser-Ney, pruned) in the ARPA format. The same seed gives
the same files.
"""

import argparse
import math
import random
import re
import sys
from collections import Counter, defaultdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent / "demo_model"))
import corpus
import grammar
import household_plain
import tooltalk
from chatml import TOOLS
from slots import number

# How often a subject is spoken of, in place of the mix of the training.
MIX = {
    corpus.home.switch: 20, corpus.home.shade: 9, corpus.home.vague: 3, corpus.home.blinds: 4,
    corpus.home.heating: 6, corpus.music.music: 5, corpus.music.control: 6, corpus.times.timer: 12,
    corpus.times.cancel: 3, corpus.times.alarm: 9, corpus.times.reminder: 8,
    corpus.times.ask_list: 4, corpus.clock.clock_ask: 6, corpus.talk.weather: 7,
    corpus.talk.sums: 3, corpus.shopping.shopping: 12, corpus.smalltalk.small_talk: 5,
    corpus.times.asked_back: 3,
}
# Words that the dictionary lacks, or that are said in another way than it has them.
SPOKEN = {
    "am": ["EY EH M"],
    "pm": ["P IY EH M"],
    "tv": ["T IY V IY"],
    "colour": ["K AH L ER"],
    "yoghurt": ["Y OW G ER T"],
    "aubergine": ["OW B ER ZH IY N"],
    "courgettes": ["K AO R ZH EH T S"],
    "oclock": ["AH K L AA K"],
}
VOWELS = set("AA AE AH AO AW AY EH ER EY IH IY OW OY UH UW".split())
MINUTES = {0: "o'clock", **{n: "oh " + number(n) for n in range(1, 10)}}


def clock_words(match):
    """7:05 as it is said."""
    hour, minute = int(match.group(1)), int(match.group(2))
    if minute == 0 and hour > 12:
        return number(hour) + " hundred"
    return number(hour) + " " + MINUTES.get(minute, number(minute))


def number_words(match):
    """A number up to three digits; longer ones digit by digit."""
    n = match.group()
    return number(int(n)) if len(n) < 3 or n == "100" else " ".join(number(int(c)) for c in n)


def spoken(text):
    """A typed sentence as words, or None where something in it cannot be said."""
    text = text.lower().replace("’", "'")
    text = re.sub(r"\b([ap])\.m\b\.?", r"\1m", text)
    text = re.sub(r"(\d)([ap]m)\b", r"\1 \2", text)
    text = re.sub(r"\b(\d{1,2}):(\d\d)\b", clock_words, text)
    text = text.replace("%", " percent ").replace("°", " degrees ")
    text = re.sub(r"\d+", number_words, text)
    text = re.sub(r"[-/]", " ", text)
    if re.search(r"[+*=]", text):
        return None
    return re.findall(r"[a-z]+(?:'[a-z]+)*", text)


def wordings(count, seed):
    """What the demo model learned from."""
    grammar.roughen = lambda rng, carrier: carrier
    gen = grammar.Gen(seed, "train")
    subjects, weights = zip(*MIX.items())
    written = 0
    while written < count:
        said = gen.rng.choices(subjects, weights)[0](gen, corpus.Context(gen, False, list(TOOLS)))
        for turn in said:
            words = spoken(turn["user"])
            if words and len(words) < 25:
                written += 1
                yield words


def sentences(count, seed):
    """What people say to the household."""
    rng = random.Random(seed)
    every = wordings(count, seed)
    for i in range(count):
        yield household_plain.wish(rng) if i % 2 else next(every)


def southern(phones):
    """A pronunciation as in the south of England: no r but before a vowel, a round o, a broad a."""
    out, p = [], phones.split() + [""]
    for before, sound, behind in zip([""] + p, p, p[1:]):
        if sound == "R" and before in VOWELS and behind not in VOWELS:
            out += ["AH"] if before in ("IH", "EH", "UH", "AY", "AW") else []
        elif sound == "ER":
            out += ["ER", "R"] if behind in VOWELS else ["ER"] if behind else ["AH"]
        elif sound == "AA" and behind != "R":
            out.append("AO")
        elif sound == "AE" and behind in ("F", "S", "TH"):
            out.append("AA")
        else:
            out.append(sound)
    return " ".join(out)


def read_dictionary(path):
    """{word: its pronunciations}."""
    found = defaultdict(list)
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            word, _, phones = line.strip().partition(" ")
            found[re.sub(r"\(\d+\)$", "", word)].append(phones)
    for word, ways in SPOKEN.items():
        found[word] = ways + found[word]
    return found


class Trigrams:
    """Interpolated Kneser-Ney with one discount for each order, written as a backoff model."""

    def __init__(self, texts, least):
        self.least = least
        self.counts = [Counter(), Counter(), Counter()]
        for words in texts:
            line = ["<s>"] + words + ["</s>"]
            for n in (1, 2, 3):
                self.counts[n - 1].update(tuple(line[i:i + n]) for i in range(len(line) - n + 1))
        self.words = sorted(w for (w,) in self.counts[0])
        # Lower orders count the different words in front, except behind <s>, which has none.
        self.kn = [Counter(), Counter(), self.counts[2]]
        for n in (2, 3):
            for gram in self.counts[n - 1]:
                self.kn[n - 2][gram[1:]] += 1
        for gram, times in self.counts[1].items():
            if gram[0] == "<s>":
                self.kn[1][gram] = times
        self.discount = []
        for table in self.kn:
            once = sum(c == 1 for c in table.values()) + 1
            twice = sum(c == 2 for c in table.values()) + 1
            self.discount.append(once / (once + 2 * twice))
        self.total = [Counter(), Counter(), Counter()]
        self.kinds = [Counter(), Counter(), Counter()]
        for table, total, kinds in zip(self.kn, self.total, self.kinds):
            for gram, count in table.items():
                if gram != ("<s>",):
                    total[gram[:-1]] += count
                    kinds[gram[:-1]] += 1

    def prob(self, gram):
        """P(last word | those in front of it)."""
        n, front = len(gram), gram[:-1]
        lower = self.prob(gram[1:]) if n > 1 else 1 / (len(self.words) - 1)
        total = self.total[n - 1][front]
        if not total:
            return lower
        d = self.discount[n - 1]
        return (max(self.kn[n - 1][gram] - d, 0) + d * self.kinds[n - 1][front] * lower) / total

    def kept(self, n):
        """The n-grams that are written: those that are frequent enough, each with its front."""
        grams = {g for g, c in self.counts[n - 1].items() if c >= self.least[n - 1]}
        return grams

    def write(self, path):
        """The ARPA file."""
        keep = [{(w,) for w in self.words}, self.kept(2), self.kept(3)]
        # Worth keeping: what backing off would get wrong by more than a little.
        trigrams = set()
        for gram in keep[2]:
            gain = self.counts[2][gram] * abs(math.log(self.prob(gram) / self.prob(gram[1:])))
            if gain > self.least[2] * 2:
                trigrams.add(gram)
        keep[2] = trigrams
        keep[1] |= {g[:2] for g in trigrams} | {g[1:] for g in trigrams}
        p = [{g: self.prob(g) for g in table if g != ("<s>",)} for table in keep]
        rest = [defaultdict(lambda: [1.0, 1.0]), defaultdict(lambda: [1.0, 1.0])]
        for n in (1, 2):
            for gram, value in p[n].items():
                left = rest[n - 1][gram[:-1]]
                left[0] -= value
                left[1] -= p[n - 1][gram[1:]]
        with open(path, "w", encoding="utf-8") as out:
            out.write("\\data\\\n")
            for n in range(3):
                out.write(f"ngram {n + 1}={len(keep[n])}\n")
            for n in range(3):
                out.write(f"\n\\{n + 1}-grams:\n")
                for gram in sorted(keep[n]):
                    value = math.log10(p[n][gram]) if gram in p[n] else -99
                    line = f"{value:.3f} {' '.join(gram)}"
                    if n < 2:
                        mass, lower = rest[n][gram]
                        line += f" {math.log10(max(mass, 1e-6) / max(lower, 1e-6)):.3f}"
                    out.write(line + "\n")
            out.write("\n\\end\\\n")
        return [len(k) for k in keep]


def main():
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dictionary", required=True, help="cmudict-en-us.dict of PocketSphinx")
    parser.add_argument("--out", required=True, help="folder of words.dict and words.lm")
    parser.add_argument("--count", type=int, default=120000, help="sentences")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--least", type=int, default=25, help="uses of a word that is kept")
    args = parser.parse_args()
    known = read_dictionary(args.dictionary)
    texts = list(sentences(args.count, args.seed))
    seen = Counter(word for words in texts for word in words)
    kept = {w for w, c in seen.items() if c >= args.least and w in known}
    texts = [words for words in texts if kept.issuperset(words)]
    model = Trigrams(texts, [1, 4, 5])
    out = Path(args.out)
    with open(out / "words.dict", "w", encoding="utf-8") as file:
        for word in sorted(kept):
            ways = known[word] + [southern(phones) for phones in known[word]]
            for i, phones in enumerate(dict.fromkeys(ways)):
                file.write(f"{word}{f'({i + 1})' if i else ''} {phones}\n")
    sizes = model.write(out / "words.lm")
    lost = [w for w, _ in seen.most_common() if w not in known][:60]
    print(f"{len(texts)} sentences, {len(kept)} words, n-grams {sizes}")
    print("not in the dictionary:", " ".join(lost))


if __name__ == "__main__":
    main()
