"""Measure a GGUF file on phrasings that its training had not, answered by libslm.

    python evaluate.py --gguf hearth.gguf --corpus WORK/test.jsonl --library libslm.so

Two lists are asked: the held-out dialogues of the corpus, and fresh_wordings.jsonl, single
questions written independently of the templates.  Every answer must hold the
right act and the right slot values, by the rule that the list gives with each turn.  A turn
is asked with the true turns before it; answers are greedy.  Without --library the shared
library is $SLM_LIBRARY or the system's.
"""

import argparse
import itertools
import json
import re
import sys
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "examples" / "ffi" / "python"))
import slm

from slots import number

FRESH = Path(__file__).resolve().parent / "fresh_wordings.jsonl"
WORDS = {number(n): str(n) for n in range(101)}
SPOKEN = re.compile(r"\b(" + "|".join(sorted(WORDS, key=len, reverse=True)) + r")\b")


def plain(text):
    """Lower case, numbers as digits, words and signs separated by single blanks."""
    text = SPOKEN.sub(lambda match: WORDS[match.group()], text.lower().strip())
    return " " + " ".join(re.findall(r"[a-z0-9'%°:]+|\.(?=$)", text)) + " "


def right(turn, answer):
    """True when the answer meets the rule of the turn."""
    said = plain(answer)
    if any(plain(word) in said for word in turn["ban"]):
        return False
    return all(any(plain(word) in said for word in group) for group in turn["need"])


def cases(path, count):
    """(messages before the answer, turn) for the first dialogues, or lone questions, of a list."""
    out = []
    with open(path, encoding="utf-8") as lines:
        for line in itertools.islice(lines, count):
            dialogue = json.loads(line)
            dialogue.setdefault("turns", [dialogue | {"bot": ""}])
            chat = [("system", dialogue["system"])] if dialogue["system"] else []
            for turn in dialogue["turns"]:
                chat = chat + [("user", turn["user"])]
                out.append((chat, turn))
                chat = chat + [("assistant", turn["bot"])]
    return out


def answer_to(session, chat):
    """The greedy answer; the session keeps what the conversation has in common with the last."""
    session.prompt(session.model.chat_ids(chat))
    return "".join(session.generate(max_tokens=80, temperature=0))


def measure(session, path, count):
    """Every answer with its intent, and whether the rule holds."""
    results = []
    for chat, turn in cases(path, count):
        answer = answer_to(session, chat)
        results.append({"intent": turn["intent"], "right": right(turn, answer), "chat": chat,
                        "answer": answer, "expected": turn["bot"]})
    return results


def table(results):
    """The share of right answers per intent, as a Markdown table."""
    asked = Counter(r["intent"] for r in results)
    good = Counter(r["intent"] for r in results if r["right"])
    rows = [(intent, asked[intent], good[intent])
            for intent in sorted(asked, key=lambda i: (i.startswith("follow-up"), i))]
    rows.append(("**all**", len(results), good.total()))
    lines = ["| intent | asked | right | share |", "|---|---|---|---|"]
    lines += [f"| {intent} | {n} | {hits} | {100 * hits / n:.1f} % |" for intent, n, hits in rows]
    return "\n".join(lines)


def main():
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gguf", required=True)
    parser.add_argument("--corpus", required=True)
    parser.add_argument("--library", help="path of libslm.so")
    parser.add_argument("--fresh", default=FRESH, help="the list of fresh wordings")
    parser.add_argument("--count", type=int, default=2500, help="dialogues asked")
    parser.add_argument("--report", help="where to write every answer, one JSON line each")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    slm.load(args.library)
    with slm.Model(args.gguf) as model, model.session(n_threads=args.threads) as session:
        results = measure(session, args.corpus, args.count)
        fresh = measure(session, args.fresh, None)
    print("Held-out phrasings\n\n" + table(results))
    print("\nFresh wordings\n\n" + table(fresh))
    if args.report:
        with open(args.report, "w", encoding="utf-8") as out:
            for result in results + fresh:
                out.write(json.dumps(result, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
