#!/usr/bin/env python3
"""Models of full size: time to load, tokens per second, and memory against the plan.

    bench/full_size.py [--bin build/release/bin] [--folder FOLDER] [--csv OUT.csv] [SHAPE:TYPE ...]

Files that FOLDER does not hold yet are made there (random weights in the exact shapes, 1 to 4 GB
each; see slm_make_model --list). Each is run once to have it in the page cache, then three times; the
medians are printed. A run is `slm run --raw` with a prompt and 32 tokens, as a process of its own.

    plan_bytes     total_bytes of `slm inspect --plan`: mapped and allocated
    peak_bytes     peak resident memory of the process
    over_plan      peak_bytes - plan_bytes (less than 0 where parts of the file were never read)
    over_file_kv   peak_bytes - the file - keys and values
"""
import argparse
import json
import pathlib
import statistics
import sys

from common import Failed, print_row, run, write_csv

DEFAULT = ["llama-3.2-1b:Q4_K_M", "phi-4-mini:Q4_K_M", "qwen2.5-7b:Q3_K_M"]
PROMPT = "The quick brown fox jumps over the lazy dog while the sun sets behind the old mill."


def measure(args, shape, kind):
    """One row of the table."""
    path = args.folder / f"{shape}-{kind}.gguf"
    if not path.exists():
        run([args.bin / "slm_make_model", shape, kind, path])
    plan = json.loads(run([args.bin / "slm", "inspect", "--plan", "--json", path])[0])["plan"]
    rows = []
    for turn in range(4):
        text = run([args.bin / "slm", "run", path, "--raw", "--temp", "0", "-n", "32", "--stats",
                    PROMPT])[1]
        if turn > 0:
            rows.append(json.loads(text.strip().splitlines()[-1]))
    middle = {k: statistics.median(r[k] for r in rows) for k in rows[0]}
    peak, file_bytes = max(r["peak_rss_bytes"] for r in rows), path.stat().st_size
    return {"model": shape, "type": kind, "file_bytes": file_bytes,
            "load_ms": round(middle["load_ms"], 1), "prompt_tokens": middle["prompt_tokens"],
            "first_token_ms": round(middle["first_token_ms"], 1),
            "tokens_per_second": round(middle["tokens_per_second"], 2),
            "threads": plan["n_threads"], "plan_bytes": plan["total_bytes"], "peak_bytes": peak,
            "over_plan": peak - plan["total_bytes"],
            "over_file_kv": peak - file_bytes - plan["kv_bytes"]}


def main():
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", type=pathlib.Path, default=pathlib.Path("build/release/bin"))
    parser.add_argument("--folder", type=pathlib.Path, default=pathlib.Path("build/models"))
    parser.add_argument("--csv", type=pathlib.Path)
    parser.add_argument("models", nargs="*", default=DEFAULT)
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    table = []
    for model in args.models:
        shape, _, kind = model.partition(":")
        table.append(measure(args, shape, kind))
        print_row(table[-1])
    if args.csv:
        write_csv(args.csv, table)


if __name__ == "__main__":
    try:
        main()
    except Failed as failed:
        sys.exit(f"full_size.py: {failed}")
