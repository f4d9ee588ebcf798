"""Measure a GGUF file on phrasings that its training had not, answered by libslm.

    python evaluate.py --gguf hearth.gguf --corpus WORK/test.jsonl --tool-corpus WORK/tools.jsonl \\
        --library libslm.so

Asked without tools: the held-out dialogues of the corpus, and fresh_wordings.jsonl, single
questions written independently of the templates.  Asked with the tools of the household: the
held-out dialogues of the second corpus, and the fresh wordings again.  Every answer must hold the
right act and the right slot values, by the rule that the list gives with each turn; a call must
have the right name and exactly the right arguments.  Calls are held to the tools' schemas
(--free: they are not).  A turn is asked with the true turns before it; answers are greedy.
Without --library the shared library is $SLM_LIBRARY or the system's.
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

from chatml import TOOLS, call_message
from slots import number

FRESH = Path(__file__).resolve().parent / "fresh_wordings.jsonl"
WORDS = {number(n): str(n) for n in range(101)}
SPOKEN = re.compile(r"\b(" + "|".join(sorted(WORDS, key=len, reverse=True)) + r")\b")
CALL = re.compile(r"\s*<tool_call>\s*(\{.*\})\s*</tool_call>\s*", re.DOTALL)
KINDS = {
    "call": "Calls",
    "result": "Answers after the tool's result",
    "text": "Turns that want no call",
}


def plain(text):
    """Lower case, numbers as digits, words and signs separated by single blanks."""
    text = SPOKEN.sub(lambda match: WORDS[match.group()], text.lower().strip())
    return " " + " ".join(re.findall(r"[a-z0-9'%°:]+|\.(?=$)", text)) + " "


def right_text(turn, answer):
    """True when the answer meets the rule of the turn."""
    said = plain(answer)
    if CALL.search(answer) or any(plain(word) in said for word in turn["ban"]):
        return False
    return all(any(plain(word) in said for word in group) for group in turn["need"])


def right_call(calls, answer):
    """True when the answer is one of these calls and nothing else; letters may differ in case."""
    match = CALL.fullmatch(answer)
    try:
        call = json.loads(match.group(1).lower()) if match else None
    except ValueError:
        return False
    return any(call == json.loads(json.dumps(wanted).lower()) for wanted in calls)


def lines(path, count=None):
    """The first objects of a list."""
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in itertools.islice(file, count)]


def cases(dialogue):
    """(messages before the answer, kind of answer, turn) for all that a dialogue asks."""
    chat = [{"role": "system", "content": dialogue["system"]}] if dialogue["system"] else []
    for turn in dialogue["turns"]:
        chat = chat + [{"role": "user", "content": turn["user"]}]
        kind = "text"
        if "calls" in turn:
            yield chat, "call", turn
            kind = "result"
            chat = chat + [call_message(turn["calls"][0]),
                           {"role": "tool", "content": json.dumps(turn.get("result"))}]
        if kind == "text" or "result" in turn:
            yield chat, kind, turn
        chat = chat + [{"role": "assistant", "content": turn["bot"]}]


def corpus(path, count=None):
    """Held-out dialogues."""
    dialogues = lines(path, count)
    for turn in (t for d in dialogues for t in d["turns"] if "call" in t):
        turn["calls"] = [turn["call"]]
    return dialogues


def fresh(path, tools):
    """Lone questions as dialogues, with or without the tools of the household."""
    offered = {"tools": list(TOOLS)} if tools else {}
    turns = [turn | {"bot": ""} for turn in lines(path)]
    if not tools:
        for turn in turns:
            turn.pop("calls", None)
    return [{"system": turn["system"], "turns": [turn]} | offered for turn in turns]


class Examiner:
    """Asks a model and keeps what it answered."""

    def __init__(self, session, held):
        self.session, self.held, self.guides = session, held, {}

    def answer_to(self, chat, names):
        """The greedy answer; the session keeps what the conversation has in common with the last."""
        model, tools, guide = self.session.model, [TOOLS[name] for name in names or ()], None
        if tools and self.held:
            key = tuple(names)
            guide = self.guides.get(key) or self.guides.setdefault(key, model.tool_guide(tools))
        self.session.prompt(model.chat_ids(chat, tools or None))
        return "".join(self.session.generate(max_tokens=160, temperature=0, guide=guide))

    def measure(self, dialogues):
        """Every answer with its intent, its kind, and whether it is right."""
        results = []
        for dialogue in dialogues:
            names = dialogue.get("tools")
            for chat, kind, turn in cases(dialogue):
                answer = self.answer_to(chat, names)
                if kind == "call":
                    row, good = turn["calls"][0]["name"], right_call(turn["calls"], answer)
                else:
                    row, good = turn["intent"], right_text(turn, answer)
                results.append({"intent": row, "kind": kind, "right": good, "chat": chat,
                                "answer": answer, "expected": turn.get("calls", turn["bot"])
                                if kind == "call" else turn["bot"]})
        return results


def table(results):
    """The share of right answers per intent, as a Markdown table."""
    asked = Counter(r["intent"] for r in results)
    good = Counter(r["intent"] for r in results if r["right"])
    rows = [(intent, asked[intent], good[intent])
            for intent in sorted(asked, key=lambda i: (i.startswith("follow-up"), i))]
    rows.append(("**all**", len(results), good.total()))
    out = ["| intent | asked | right | share |", "|---|---|---|---|"]
    out += [f"| {intent} | {n} | {hits} | {100 * hits / n:.1f} % |" for intent, n, hits in rows]
    return "\n".join(out)


def tables(title, results):
    """One table without tools; with them, one for each kind of answer."""
    if all(r["kind"] == "text" for r in results):
        return f"{title}\n\n{table(results)}\n"
    parts = [(name, [r for r in results if r["kind"] == kind]) for kind, name in KINDS.items()]
    return "\n".join(f"{title}: {name.lower()}\n\n{table(part)}\n" for name, part in parts if part)


def main():
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gguf", required=True)
    parser.add_argument("--corpus", help="held-out dialogues without tools")
    parser.add_argument("--tool-corpus", help="held-out dialogues with tools")
    parser.add_argument("--library", help="path of libslm.so")
    parser.add_argument("--fresh", default=FRESH, help="the list of fresh wordings")
    parser.add_argument("--count", type=int, help="dialogues asked of each corpus (all)")
    parser.add_argument("--free", action="store_true", help="calls are not held to the schemas")
    parser.add_argument("--report", help="where to write every answer, one JSON line each")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    lists = []
    if args.corpus:
        lists += [("Held-out phrasings", corpus(args.corpus, args.count)),
                  ("Fresh wordings", fresh(args.fresh, False))]
    if args.tool_corpus:
        lists += [("Held-out phrasings with tools", corpus(args.tool_corpus, args.count)),
                  ("Fresh wordings with tools", fresh(args.fresh, True))]
    slm.load(args.library)
    results = []
    with slm.Model(args.gguf) as model, model.session(n_threads=args.threads) as session:
        examiner = Examiner(session, not args.free)
        for title, dialogues in lists:
            part = examiner.measure(dialogues)
            print(tables(title, part), flush=True)
            results += part
    if args.report:
        with open(args.report, "w", encoding="utf-8") as out:
            for result in results:
                out.write(json.dumps(result, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
