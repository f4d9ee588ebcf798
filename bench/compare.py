"""Tokens per second of slm beside those of other engines on the same files, in turns.

    bench/compare.sh [--slm PROGRAM] --peer NAME=PROGRAM [--peer NAME=PROGRAM ...]
        [--threads N] [-p LIST] [-n LIST] [-d LIST] [--load] [--rounds 5] [--csv OUT.csv] MODEL.gguf...

PROGRAM is the path of slm, or of a llama-bench (llama.cpp's or ik_llama.cpp's), and behind commas what
else is to stand on its command line:

    --slm "build/release/bin/slm,--kv q8_0"
    --peer "llama.cpp=peer/bin/llama-bench" --peer "ik=ik/bin/llama-bench,-rtr 1,-fa 1"

Each round runs every program once, one after the other, and the next round in the opposite order, so
that a machine that slows down or speeds up does it to all. What counts is the median of the rounds.
Nothing else should run meanwhile.

Tests: pp, a prompt of -p tokens; tg, -n tokens generated; both behind each depth of -d, the tokens that
the cache holds already. A llama-bench without -d leaves out prompts at depth, and with -gp it
generates at depth; what it leaves out is a row with a note. --load: the seconds of a process
that opens the model, with the file in the page cache, and makes one token.

A row is one test of one program. The columns that need words:

    ratio                how many times as fast slm is as the program of the row
    read_gbps            best read bandwidth with these threads, of slm_ceilings before and after and of
                         every slm bench; share_of_read: bytes_per_token * tokens/s over it
    macs_per_token       multiply-accumulates with weights: what int8 kernels do; of a prompt, with
                         the output matrix for its last token only
    int8_gmacs           peak of the level named in int8_level (--level; default: this machine's
                         highest); share_of_int8: macs_per_token * tokens/s over it
    attention_gmacs      of a prompt at depth, 10^9 multiply-accumulates a second of attention: those
                         that it needs more than the same prompt at depth 0, over the time that it
                         takes more
"""
import argparse
import json
import math
import pathlib
import re
import shlex
import statistics
import sys
import time

from common import (Failed, commit_of, compiler_of, machine, print_row, run, said, today,
                    write_csv)

DIGITS = 5


def rounded(number):
    """A number with as many digits as mean something."""
    return "" if number is None else float(f"{number:.{DIGITS}g}")


class Program:
    """slm or a llama-bench, and how it wants to be asked."""

    def __init__(self, text, name=None):
        path, *flags = text.split(",")
        self.name = name or "slm"
        self.path = path
        self.flags = [word for flag in flags for word in shlex.split(flag)]
        self.ours = name is None
        self.compiler = compiler_of(path)
        self.version = said(path, "--version") if self.ours else ""
        self.commit = commit_of(path) if self.ours else ""
        self.failure = ""
        self.has_depth = self.has_gp = True
        if not self.ours:
            text = run([path, "--help"])[0]
            self.has_depth = "--n-depth" in text
            self.has_gp = "-rtr" in text  # ik_llama.cpp's, whose help leaves -gp itself out

    def cannot(self, test, depth):
        """Why a test is left out; "" where it is not."""
        if depth > 0 and not self.has_depth and (test == "pp" or not self.has_gp):
            return "left out: no option for a prompt at depth" if self.has_gp else "left out: no -d"
        return ""

    def rates(self, model, args):
        """({(test, n, depth): tokens/s}, {the same: facts}) of one run."""
        return self.ask_slm(model, args) if self.ours else (self.ask_bench(model, args), {})

    def ask_slm(self, model, args):
        """slm bench prints one object a line."""
        out = run([self.path, "bench", model, "--json", "-r", "1", "-p", joined(args.prompt), "-n",
                   joined(args.generate), "-d", joined(args.depth), "-t", args.threads,
                   *self.flags])[0]
        rows = [json.loads(line) for line in out.splitlines() if line.startswith("{")]
        keyed = {(x["test"], x["n"], x["depth"]): x for x in rows}
        return {k: x["tokens_per_second"]["median"] for k, x in keyed.items()}, keyed

    def ask_bench(self, model, args):
        """llama-bench prints one array, behind whatever its libraries say."""
        words = [self.path, "-m", model, "-o", "json", "-r", "1", "-t", args.threads, "-p",
                 joined(args.prompt)]
        if self.has_depth:
            words += ["-n", joined(args.generate), "-d", joined(args.depth)]
        else:
            shallow = 0 in args.depth
            words[-1] = joined(args.prompt) if shallow else "0"
            words += ["-n", joined(args.generate) if shallow else "0"]
            for n in args.generate:
                for depth in args.depth:
                    if n > 0 and depth > 0 and self.has_gp:
                        words += ["-gp", f"{depth},{n}"]
        found = {}
        for row in self.array(run(words + self.flags)[0]):
            self.commit = str(row.get("build_commit", ""))
            self.version = f"build {row.get('build_number', '?')}"
            n, prompt = int(row["n_gen"]), int(row["n_prompt"])
            behind = int(row.get("n_depth", 0)) + (prompt if n > 0 else 0)
            found["tg" if n > 0 else "pp", n or prompt, behind] = float(row["avg_ts"])
        return found

    def array(self, text):
        """The JSON array at the beginning of some line of a text."""
        begin = re.search(r"^\[", text, re.MULTILINE)
        if not begin:
            raise Failed(f"{self.path}: got no array, wanted the output of -o json")
        return json.JSONDecoder().raw_decode(text[begin.start():])[0]

    def seconds_to_token(self, model, args):
        """Wall-clock seconds of a process that opens the model and makes one token."""
        if self.ours:
            words = [self.path, "run", model, "-q", "--raw", "--temp", "0", "-n", "1", "-c", "512",
                     "-t", args.threads, *self.flags, "a"]
        else:
            still = ["--no-warmup"] if self.has_depth else ["-w", "0"] if self.has_gp else []
            words = [self.path, "-m", model, "-o", "json", "-r", "1", "-p", "0", "-n", "1", "-t",
                     args.threads, *still, *self.flags]
        begun = time.monotonic()
        run(words)
        return time.monotonic() - begun


def joined(numbers):
    """A list as the command lines want it."""
    return ",".join(map(str, numbers))


def take_list(text):
    """[512, 32] of "512,32"."""
    numbers = [int(word) for word in text.split(",")]
    if min(numbers) < 0:
        raise ValueError(text)
    return list(dict.fromkeys(numbers))


class Model:
    """A file and what one of its tokens costs."""

    def __init__(self, slm, path):
        self.path = pathlib.Path(path)
        self.bytes = self.path.stat().st_size
        facts = json.loads(run([slm.path, "inspect", path, "--plan", "--json"])[0])
        meta = facts["metadata"]
        arch = meta["general.architecture"]
        shapes = {t["name"]: t["shape"] for t in facts["tensors"]}
        self.macs = facts["plan"]["macs_per_token"]
        self.head = math.prod(shapes.get("output.weight") or shapes["token_embd.weight"])
        heads, width = meta[f"{arch}.attention.head_count"], meta[f"{arch}.embedding_length"]
        self.window = meta.get(f"{arch}.attention.sliding_window") or math.inf
        # A file may give these for each layer; attention is then not counted.
        self.per_key = None
        if isinstance(heads, int) and isinstance(self.window, (int, float)):
            key = meta.get(f"{arch}.attention.key_length", width // heads)
            value = meta.get(f"{arch}.attention.value_length", width // heads)
            self.per_key = meta[f"{arch}.block_count"] * heads * (key + value)

    def macs_per_token(self, test, n):
        """With weights; a prompt wants the logits of its last token only."""
        return self.macs if test == "tg" else self.macs - self.head + self.head // n

    def attention_macs(self, n, depth):
        """With keys and values, of n tokens behind depth others."""
        if self.per_key is None:
            return None
        return sum(min(depth + i + 1, self.window) for i in range(n)) * self.per_key


def measure_ceilings(args, best):
    """Takes the best of each ceiling into best."""
    out = run([args.ceilings, "--json", "-t", args.threads, "-r", "3", "-o", "read,int8,fp32"])[0]
    for line in out.splitlines():
        row = json.loads(line)
        best[row["name"]] = max(best.get(row["name"], 0), row["best"])


def play(args, programs, model):
    """{program: {test: [figures, one a round]}} and the facts that slm bench gives."""
    figures = {p.name: {} for p in programs}
    facts = {}
    for p in programs:
        p.failure = ""
    for turn in range(args.rounds):
        for p in programs if turn % 2 == 0 else reversed(programs):
            if p.failure:
                continue
            try:
                got, said_of = p.rates(model.path, args) if args.tests else ({}, {})
                if args.load:
                    got["load", 1, 0] = p.seconds_to_token(model.path, args)
            except Failed as failed:
                if p.ours:
                    raise
                p.failure = f"failed: {failed}"
                print(f"{p.name}: {failed}", file=sys.stderr)
                continue
            for key, figure in got.items():
                figures[p.name].setdefault(key, []).append(figure)
            for key, row in said_of.items():
                facts[key] = dict(row, read_gbps=max(row["read_gbps"] or 0, facts.get(key, {}).get(
                    "read_gbps", 0)))
    return figures, facts


def costs(model, test, n, depth, rate, facts, ceilings, level):
    """Columns of what a figure stands for, against the ceilings."""
    if test == "load":
        return {}
    size, read = facts["bytes_per_token"], ceilings.get("read_best")
    macs, peak = model.macs_per_token(test, n), ceilings.get(level)
    row = {"bytes_per_token": size, "macs_per_token": macs, "read_gbps": rounded(read),
           "share_of_read": "", "int8_level": level, "int8_gmacs": rounded(peak),
           "share_of_int8": ""}
    if test == "tg" and rate and read:
        row["share_of_read"] = rounded(size * rate / (read * 1e9))
    if test == "pp" and rate and peak:
        row["share_of_int8"] = rounded(macs * rate / (peak * 1e9))
    row["fp32_gmacs"] = rounded(max((v for k, v in ceilings.items() if k.startswith("fp32")),
                                    default=None))
    return row


def attention(model, n, depth, rate, rate_at_0):
    """10^9 multiply-accumulates a second that attention does of what a depth adds."""
    if None in (rate, rate_at_0, model.per_key) or depth == 0 or rate >= rate_at_0:
        return None
    more = model.attention_macs(n, depth) - model.attention_macs(n, 0)
    return more / (n / rate - n / rate_at_0) * 1e-9


def rows_of(args, programs, model, figures, facts, ceilings, where):
    """The table of one model."""
    level = args.level or best_level(ceilings)
    middle = {p: {k: statistics.median(v) for k, v in of.items()} for p, of in figures.items()}
    ours = middle["slm"]
    rows = []
    for test, n, depth in ours:
        for p in programs:
            key = test, n, depth
            rounds, mine = figures[p.name].get(key, []), middle[p.name].get(key)
            note = p.failure or p.cannot(test, depth) or ("" if rounds else "no such row came")
            row = {"date": today(), **where, "program": p.name, "version": p.version,
                   "commit": p.commit, "compiler": p.compiler, "options": " ".join(p.flags),
                   "model": model.path.stem, "file_bytes": model.bytes, "test": test, "n": n,
                   "depth": depth, "threads": args.threads, "rounds": len(rounds),
                   "unit": "s" if test == "load" else "tokens/s", "median": rounded(mine),
                   "min": rounded(min(rounds, default=None)),
                   "max": rounded(max(rounds, default=None)), "ratio": ""}
            if mine and not p.ours:
                row["ratio"] = rounded(mine / ours[key] if test == "load" else ours[key] / mine)
            row.update(costs(model, test, n, depth, mine, facts.get(key), ceilings, level))
            if test == "pp":
                row["attention_gmacs"] = rounded(
                    attention(model, n, depth, mine, middle[p.name].get((test, n, 0))))
            row["note"] = note
            rows.append(row)
    return rows


def best_level(ceilings):
    """The int8 level with the highest peak."""
    return max((k for k in ceilings if k.startswith("int8")), key=ceilings.get, default="")


def arguments():
    """The command line."""
    parser = argparse.ArgumentParser(prog="bench/compare.sh", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--slm", default="build/release/bin/slm")
    parser.add_argument("--ceilings", help="default: slm_ceilings beside slm")
    parser.add_argument("--peer", action="append", default=[])
    parser.add_argument("--threads", type=int, default=machine()["cores"] or 1)
    parser.add_argument("-p", "--prompt", type=take_list, default=[512])
    parser.add_argument("-n", "--generate", type=take_list, default=[128])
    parser.add_argument("-d", "--depth", type=take_list, default=[0])
    parser.add_argument("--load", action="store_true")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--level", help="the peak that share_of_int8 is of, such as int8_avx2")
    parser.add_argument("--csv")
    parser.add_argument("models", nargs="+")
    args = parser.parse_args()
    args.tests = max(args.prompt + args.generate) > 0
    names = [peer.partition("=")[0] for peer in args.peer]
    if any("=" not in peer for peer in args.peer) or len(set(names + ["slm"])) <= len(names):
        parser.error(f"got --peer {' --peer '.join(args.peer)}, wanted NAME=PROGRAM, each name once")
    if args.rounds < 1 or args.threads < 1 or not (args.tests or args.load):
        parser.error("wanted at least one round, one thread and one test")
    return args


def main():
    """Command line to CSV."""
    args = arguments()
    slm = Program(args.slm)
    programs = [slm] + [Program(path, name)
                        for name, _, path in (peer.partition("=") for peer in args.peer)]
    args.ceilings = args.ceilings or pathlib.Path(slm.path).with_name("slm_ceilings")
    where, ceilings, played = machine(), {}, []
    measure_ceilings(args, ceilings)
    if args.level and args.level not in ceilings:
        raise Failed(f"got --level {args.level}, wanted one of {', '.join(sorted(ceilings))}")
    for path in args.models:
        model = Model(slm, path)
        played.append((model, *play(args, programs, model), [p.failure for p in programs]))
    measure_ceilings(args, ceilings)
    reads = [v for k, v in ceilings.items() if k.startswith("read")]
    reads += [row["read_gbps"] for _, _, facts, _ in played for row in facts.values()]
    ceilings["read_best"] = max(reads)
    table = []
    for model, figures, facts, failures in played:
        for p, failure in zip(programs, failures):
            p.failure = failure
        table += rows_of(args, programs, model, figures, facts, ceilings, where)
    for row in table:
        print_row({k: row.get(k, "") for k in ("model", "test", "n", "depth", "program", "median",
                                               "min", "max", "unit", "ratio", "share_of_read",
                                               "share_of_int8", "attention_gmacs", "note")})
    if args.csv:
        write_csv(args.csv, table)


if __name__ == "__main__":
    try:
        main()
    except Failed as failed:
        sys.exit(f"compare: {failed}")
