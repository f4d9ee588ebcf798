"""Tokens per second of slm on a GPU, and of a llama-bench beside it, in turns, as CSV.

    bench/device_tokens.py --slm PROGRAM [--llama-bench PROGRAM] [--ceilings CEILINGS.csv]
        [-p LIST] [-n LIST] [-d LIST] [--rounds N] [--csv OUT.csv] MODEL.gguf...

The ceiling is the copy bandwidth in the CSV of `slm_bench_cuda ceilings`: of generation, gbps is
bytes_per_token * tokens/s, and share_of_copy what that is of it. ratio: how many times as fast slm is
as the program of the row.
"""
import argparse
import pathlib
import statistics
import sys

from common import Failed, machine, print_row, read_csv, run, today, write_csv
from compare import Program, joined, rounded, take_list


def copy_gbps(path):
    """The copy bandwidth in 10^9 bytes a second, None where it was not measured."""
    if path is None or not path.exists():
        return None
    return next((float(r["best"]) for r in read_csv(path) if r["name"] == "copy"), None)


def play(args, programs, model):
    """({program: {test: [tokens/s]}}, {test: bytes of a token}, {program: why it failed})."""
    figures, sizes, failures = {p.name: {} for p in programs}, {}, {}
    for _ in range(args.rounds):
        for p in programs:
            if p.name in failures:
                continue
            try:
                got, facts = p.rates(model, args)
            except Failed as failed:
                failures[p.name] = str(failed)
                continue
            for key, figure in got.items():
                figures[p.name].setdefault(key, []).append(figure)
            for key, row in facts.items():
                if row["device"] != "cuda":
                    failures[p.name] = f"ran on {row['device']}"
                sizes[key] = row["bytes_per_token"]
    return figures, sizes, failures


def rows_of(args, programs, model, copy):
    """The rows of one model: every test of every program."""
    figures, sizes, failures = play(args, programs, model)
    tests = [("pp", n, d) for n in args.prompt if n for d in args.depth]
    tests += [("tg", n, d) for n in args.generate if n for d in args.depth]
    for key in tests:
        ours = statistics.median(figures["slm"].get(key, [0]))
        for p in programs:
            rates = figures[p.name].get(key, [])
            rate = statistics.median(rates) if rates else None
            row = {"date": today(), "program": p.name, "version": p.version, "commit": p.commit,
                   "model": model.stem, "file_bytes": model.stat().st_size, "test": key[0],
                   "n": key[1], "depth": key[2], "rounds": len(rates), "median": rounded(rate),
                   "min": rounded(min(rates, default=None)),
                   "max": rounded(max(rates, default=None)), "ratio": "", "gbps": "",
                   "copy_gbps": rounded(copy), "share_of_copy": ""}
            if rate and ours and not p.ours:
                row["ratio"] = rounded(ours / rate)
            if rate and key[0] == "tg" and key in sizes:
                row["gbps"] = rounded(sizes[key] * rate * 1e-9)
                row["share_of_copy"] = rounded(row["gbps"] / copy) if copy else ""
            row["note"] = failures.get(p.name, "" if rates else "no such row came")
            yield row


def main():
    """Command line to CSV."""
    parser = argparse.ArgumentParser(prog="bench/device_tokens.py", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--slm", required=True)
    parser.add_argument("--llama-bench")
    parser.add_argument("--ceilings", type=pathlib.Path)
    parser.add_argument("-p", "--prompt", type=take_list, default=[512])
    parser.add_argument("-n", "--generate", type=take_list, default=[128])
    parser.add_argument("-d", "--depth", type=take_list, default=[0, 8192])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--csv")
    parser.add_argument("models", nargs="+", type=pathlib.Path)
    args = parser.parse_args()
    args.threads = machine()["cores"] or 1
    programs = [Program(f"{args.slm},--device cuda")]
    if args.llama_bench:
        programs.append(Program(f"{args.llama_bench},-ngl 99,-fa 1", "llama.cpp"))
    copy = copy_gbps(args.ceilings)
    table = []
    for model in args.models:
        run([args.slm, "inspect", model])  # an error of the file, before anything is timed
        table += rows_of(args, programs, model, copy)
        if args.csv:
            write_csv(args.csv, table)
    shown = "model test n depth program median ratio share_of_copy note".split()
    for row in table:
        print_row({k: row[k] for k in shown})
    lacking = sum(1 for r in table if r["program"] == "slm" and not r["rounds"])
    if lacking or any(r["note"] for r in table):
        raise Failed(f"{lacking} figures of slm are missing; the notes say why")
    print(f"{len(table)} figures, {'copy at %g GB/s' % copy if copy else 'no copy bandwidth'}")


if __name__ == "__main__":
    try:
        main()
    except Failed as failed:
        sys.exit(f"device_tokens.py: {failed}")
