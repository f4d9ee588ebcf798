#!/usr/bin/env python3
"""Instructions that matrix products on 64-bit Arm execute, counted under emulation.

    bench/arm_instructions.py --slm build/aarch64/bin/slm_bench_product --plugin count.so \\
        [--peer NAME,LEVEL=PROGRAM ...] [--csv OUT.csv]
    bench/arm_instructions.py --table OUT.csv

Each program makes a product of ROWS x K weights by COLUMNS of activations once and three times;
half of the difference is one product, with the quantisation of its activations and without
anything that a program does once. LEVEL is neon, dotprod or i8mm: slm is told which to use, a peer
is what it was compiled for. Emulation executes every instruction as a processor would, but takes
its own time for each: counts say nothing of cycles.

    form     file: weights as the file has them; packed: as the program rearranges them in memory
    simd, memory, other, all
             instructions per 1000 multiply-accumulates: SIMD and floating point, loads and stores
             (of any registers), all others, and their sum
    ratio    all, over that of slm with packed weights at the same level
    rms, mean
             of the result. A mean that differs from that of slm by over 2 % of the rms ends the run

--table prints such a file as Markdown: the better form of each program.
"""
import argparse
import itertools
import os
import re
import sys

from common import Failed, commit_of, compiler_of, print_row, read_csv, run, today, write_csv

LEVELS = {"neon": 64, "dotprod": 68, "i8mm": 100}  # as slm_bench_product takes them
GROUPS = ("simd", "memory", "other")
NO_SUCH_FORM = 77


def execute(args, command):
    """(instructions by group, rms, mean) of a program; None where it has no such form."""
    try:
        out, err = run([args.qemu, "-plugin", args.plugin, *command])
    except Failed as failed:
        if f": exit status {NO_SUCH_FORM}:" in str(failed):
            return None
        raise
    counts = re.search(r"^instructions,(\d+),(\d+),(\d+)$", err, re.MULTILINE)
    result = re.search(r"^product,([^,]+),(.+)$", out, re.MULTILINE)
    if not counts or not result:
        raise Failed(f"{command[0]}: no counts or no result; was {args.plugin} made for this qemu?")
    return [int(n) for n in counts.groups()], float(result[1]), float(result[2])


def measure(args, program, kind, form, columns):
    """One row of the table, None where the program has no such form."""
    name, level, path = program
    words = [path] + ([LEVELS[level]] if name == "slm" else [])
    words += [kind, form, args.rows, args.k, columns]
    once, thrice = execute(args, words + [1]), execute(args, words + [3])
    if once is None or thrice is None:
        return None
    thousands = args.rows * args.k * columns / 1000
    each = [(b - a) / 2 / thousands for a, b in zip(once[0], thrice[0])]
    row = {"program": name, "level": level, "type": kind, "form": form, "rows": args.rows,
           "k": args.k, "columns": columns}
    row.update((g, round(n, 2)) for g, n in zip(GROUPS, each))
    row.update(all=round(sum(each), 2), ratio="", rms=once[1], mean=once[2],
               compiler=compiler_of(path), commit=commit_of(path), date=today())
    return row


def compare(row, base):
    """Fills in the ratio to slm's row, after a look at whether both made the same product."""
    if abs(row["mean"] - base["mean"]) > 0.02 * base["rms"]:
        raise Failed(f"{row['program']} {row['level']} {row['type']} {row['form']}: another "
                     f"product: got mean {row['mean']}, wanted {base['mean']} of slm")
    row["ratio"] = round(row["all"] / base["all"], 3)


def count(args):
    """All rows of the table."""
    programs = [("slm", level, args.slm) for level in args.levels] + args.peer
    table, base = [], {}
    for kind, columns, program in itertools.product(args.types, args.columns, programs):
        for form in ("packed", "file"):
            row = measure(args, program, kind, form, columns)
            if row is None:
                continue
            if program[0] == "slm" and form == "packed":
                base[kind, columns, program[1]] = row
            if (kind, columns, program[1]) in base:
                compare(row, base[kind, columns, program[1]])
            table.append(row)
            print_row(row)
    return table


def print_table(rows):
    """Markdown: a line for each type and number of columns, three cells for each level."""
    levels = [level for level in LEVELS if any(r["level"] == level for r in rows)]
    peers = list(dict.fromkeys(r["program"] for r in rows if r["program"] != "slm"))
    print("| type | columns | " + " | ".join(
        f"{level} {name}" for level in levels for name in ["slm", *peers]) + " |")
    print("|---|---:|" + "---:|" * (len(levels) * (1 + len(peers))))
    for kind, columns in dict.fromkeys((r["type"], r["columns"]) for r in rows):
        cells = []
        for level, name in itertools.product(levels, ["slm", *peers]):
            found = [r for r in rows if (r["type"], r["columns"], r["level"], r["program"]) ==
                     (kind, columns, level, name)]
            best = min(found, key=lambda r: float(r["all"]), default=None)
            cells.append("–" if best is None else f"{float(best['all']):.0f}" if name == "slm"
                         else f"{float(best['all']):.0f} ({float(best['ratio']):.2f}×)")
        print(f"| {kind} | {columns} | " + " | ".join(cells) + " |")


def peer(text):
    """NAME,LEVEL=PROGRAM."""
    found = re.fullmatch(r"([^,=]+),(\w+)=(.+)", text)
    if not found or found[2] not in LEVELS:
        raise argparse.ArgumentTypeError(
            f"{text!r}: wanted NAME,LEVEL=PROGRAM with LEVEL one of {', '.join(LEVELS)}")
    return found.groups()


def main():
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--slm", metavar="PROGRAM")
    what.add_argument("--table", metavar="OUT.csv")
    parser.add_argument("--plugin", metavar="FILE.so", type=os.path.abspath)
    parser.add_argument("--peer", metavar="NAME,LEVEL=PROGRAM", type=peer, action="append",
                        default=[])
    parser.add_argument("--qemu", default="qemu-aarch64")
    parser.add_argument("--levels", nargs="+", choices=LEVELS, default=list(LEVELS))
    parser.add_argument("--types", nargs="+",
                        default=["Q4_K", "Q6_K", "Q3_K", "Q8_0", "Q4_0"])
    parser.add_argument("--rows", type=int, default=2048)
    parser.add_argument("--k", type=int, default=2048)
    parser.add_argument("--columns", type=int, nargs="+", default=[1, 8, 64])
    parser.add_argument("--csv")
    args = parser.parse_args()
    if args.table:
        print_table(read_csv(args.table))
        return
    if not args.plugin:
        parser.error("--slm wants --plugin")
    table = count(args)
    if args.csv:
        write_csv(args.csv, table)


if __name__ == "__main__":
    try:
        main()
    except (Failed, OSError) as failed:
        sys.exit(f"arm_instructions.py: {failed}")
