#!/usr/bin/env python3
"""Tokens per second of slm against llama.cpp's llama-bench on the same files, interleaved.

    bench/compare.py --slm build/release/bin/slm --peer PATH/llama-bench \
        [--threads 2] [-p 512] [-n 128] [-d 0] [--rounds 5] [--csv OUT.csv] MODEL.gguf...

Each round runs both programs once, one after the other, and the next round in the other order, so
that a machine that slows down or speeds up does it to both. Printed and written: the median of the
rounds, their range, and the ratio of the medians. Nothing else should run meanwhile.
"""
import argparse
import csv
import json
import pathlib
import statistics
import subprocess
import sys


def run(command):
    """Standard output of a command, or an end with what it said."""
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}: exit status {done.returncode}\n{done.stderr[-2000:]}")
    return done.stdout


def ours(args, model):
    """{test: tokens/s} and the last object, from one run of slm bench."""
    lines = run([args.slm, "bench", model, "--json", "-r", "1", "-p", args.prompt, "-n", args.generate,
                 "-d", args.depth, "--threads", args.threads]).splitlines()
    rows = [json.loads(line) for line in lines if line.startswith("{")]
    return {x["test"]: x["tokens_per_second"]["median"] for x in rows}, {x["test"]: x for x in rows}


def peer(args, model):
    """{test: tokens/s} from one run of llama-bench."""
    rows = json.loads(run([args.peer, "-m", model, "-o", "json", "-r", "1", "-p", args.prompt, "-n",
                           args.generate, "-d", args.depth, "-t", args.threads]))
    return {"tg" if x["n_gen"] else "pp": x["avg_ts"] for x in rows}


def main():
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--slm", default="build/release/bin/slm")
    parser.add_argument("--peer", required=True)
    parser.add_argument("--threads", default="2")
    parser.add_argument("-p", "--prompt", default="512")
    parser.add_argument("-n", "--generate", default="128")
    parser.add_argument("-d", "--depth", default="0")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--csv")
    parser.add_argument("models", nargs="+")
    args = parser.parse_args()
    table = []
    for model in args.models:
        rates = {"slm": {}, "peer": {}}
        facts = {}
        for turn in range(args.rounds):
            for who in ("slm", "peer") if turn % 2 == 0 else ("peer", "slm"):
                if who == "slm":
                    got, facts = ours(args, model)
                else:
                    got = peer(args, model)
                for test, rate in got.items():
                    rates[who].setdefault(test, []).append(rate)
        for test in rates["slm"]:
            a, b = rates["slm"][test], rates["peer"][test]
            table.append({
                "model": pathlib.Path(model).name, "test": test,
                "n": facts[test]["n"], "depth": facts[test]["depth"], "threads": args.threads,
                "slm_median": round(statistics.median(a), 3), "slm_min": round(min(a), 3),
                "slm_max": round(max(a), 3), "peer_median": round(statistics.median(b), 3),
                "peer_min": round(min(b), 3), "peer_max": round(max(b), 3),
                "ratio": round(statistics.median(a) / statistics.median(b), 3),
                "bytes_per_token": facts[test]["bytes_per_token"],
                "read_gbps": facts[test]["read_gbps"],
                "share_of_read_bandwidth": round(facts[test]["bytes_per_token"] * statistics.median(a)
                                                 / (facts[test]["read_gbps"] * 1e9), 3)})
            print(*(f"{k}={v}" for k, v in table[-1].items()), flush=True)
    if args.csv:
        with open(args.csv, "w", newline="", encoding="utf-8") as out:
            writer = csv.DictWriter(out, fieldnames=table[0].keys(), lineterminator="\n")
            writer.writeheader()
            writer.writerows(table)


if __name__ == "__main__":
    main()
