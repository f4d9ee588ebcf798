"""Measure a GGUF file on held-out phrasings and slot combinations.

    python evaluate.py --gguf hearth.gguf --corpus WORK/test.jsonl --report WORK/report.json

Every answer must hold the right act and the right slot values, by the rule that the
corpus gives with each turn.  A turn is asked with the true turns before it.
"""

import argparse
import json
import re
from collections import Counter

import torch

from reader import Assistant


def plain(text):
    """Lower case, words and signs separated by single blanks."""
    return " " + " ".join(re.findall(r"[a-z0-9'%°:]+|\.(?=$)", text.lower().strip())) + " "


def right(turn, answer):
    """True when the answer meets the rule of the turn."""
    said = plain(answer)
    if any(plain(word) in said for word in turn["ban"]):
        return False
    return all(any(plain(word) in said for word in group) for group in turn["need"])


def cases(path, count):
    """(messages before the answer, turn) for the first dialogues."""
    out = []
    with open(path, encoding="utf-8") as lines:
        for _, line in zip(range(count), lines):
            dialogue = json.loads(line)
            chat = [("system", dialogue["system"])] if dialogue["system"] else []
            for turn in dialogue["turns"]:
                chat = chat + [("user", turn["user"])]
                out.append((chat, turn))
                chat = chat + [("assistant", turn["bot"])]
    return out


def measure(assistant, path, count):
    """Counts asked and right per intent, and the failures."""
    asked, good, failures = Counter(), Counter(), []
    todo = cases(path, count)
    for (chat, turn), answer in zip(todo, assistant.answers([chat for chat, _ in todo])):
        asked[turn["intent"]] += 1
        if right(turn, answer):
            good[turn["intent"]] += 1
        else:
            failures.append({"intent": turn["intent"], "user": turn["user"], "answer": answer,
                             "expected": turn["bot"], "turns_before": len(chat) // 2})
    return asked, good, failures


def main():
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gguf", required=True)
    parser.add_argument("--corpus", required=True)
    parser.add_argument("--count", type=int, default=1500, help="dialogues asked")
    parser.add_argument("--report", help="where to write all failures")
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    asked, good, failures = measure(Assistant(args.gguf), args.corpus, args.count)
    print("| intent | asked | right | share |\n|---|---|---|---|")
    for intent in sorted(asked, key=lambda i: (i.startswith("follow-up"), i)):
        share = 100 * good[intent] / asked[intent]
        print(f"| {intent} | {asked[intent]} | {good[intent]} | {share:.1f} % |")
    total, hits = asked.total(), good.total()
    print(f"| **all** | {total} | {hits} | {100 * hits / total:.1f} % |")
    if args.report:
        with open(args.report, "w", encoding="utf-8") as out:
            json.dump(failures, out, indent=1, ensure_ascii=False)


if __name__ == "__main__":
    main()
