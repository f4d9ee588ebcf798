"""The programs and scripts of bench/: what they print has the form and the sums that are said of it.
How fast anything is, is no matter here."""

import csv
import json
import os
import re
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from pathlib import Path

from tree import ROOT, Verdict

BIN = Path(os.environ["SLM_BINARY_DIR"]) / "bin"
MODEL = ROOT / "examples/models/hearth.gguf"
SMALL = ROOT / "tests/house/bench_small.csv"
SVG = "{http://www.w3.org/2000/svg}"

# Programs that answer as the real ones do, with figures that say who, when and what. Each leaves
# its name in the file LOG.
COMMON = """#!{python}
import json, sys
args = sys.argv[1:]
def value(name):
    return args[args.index(name) + 1] if name in args else "0"
def numbers(name):
    return [int(x) for x in value(name).split(",")]
def note(name):
    with open({log!r}, "a") as log:
        log.write(name + " ")
"""
FAKES = {
    "slm": """
if args[0] == "--version":
    print("slm 9.9.9")
elif args[0] == "inspect":
    print(json.dumps({"metadata": {"general.architecture": "x", "x.attention.head_count": 4,
        "x.embedding_length": 32, "x.block_count": 2}, "plan": {"macs_per_token": 1000},
        "tensors": [{"name": "token_embd.weight", "shape": [10, 20]}]}))
elif args[0] == "run":
    assert value("-n") == "1"
else:
    note("slm")
    for test, option, rate in (("pp", "-p", 400.0), ("tg", "-n", 20.0)):
        for depth in numbers("-d"):
            for n in numbers(option):
                print(json.dumps({"test": test, "n": n, "depth": depth, "read_gbps": 3e-6,
                    "tokens_per_second": {"median": rate / (2 if depth else 1)},
                    "bytes_per_token": 100 + depth}))
""",
    "slm_ceilings": """
for name, best in (("read_huge", 4e-6), ("int8_a", 1e-3), ("int8_b", 2e-3), ("fp32_a", 1e-3)):
    print(json.dumps({"name": name, "best": best}))
""",
    "new-bench": """
if "--help" in args:
    print("  -d, --n-depth <n>")
    sys.exit()
note("new")
print("a library says something [here]")
rows = [{"n_prompt": p, "n_gen": 0, "n_depth": d, "avg_ts": 100.0} for p in numbers("-p")
        for d in numbers("-d") if p]
rows += [{"n_prompt": 0, "n_gen": n, "n_depth": d, "avg_ts": 10.0} for n in numbers("-n")
         for d in numbers("-d") if n]
print(json.dumps([dict(r, build_commit="c0ffee") for r in rows], indent=1))
""",
    "ik-bench": """
if "--help" in args:
    print("  -rtr, --run-time-repack <0|1>")
    sys.exit()
assert "-d" not in args and value("-rtr") == "1" and value("-fa") == "0"
note("ik")
rows = [{"n_prompt": p, "n_gen": 0, "avg_ts": 200.0} for p in numbers("-p") if p]
rows += [{"n_prompt": 0, "n_gen": n, "avg_ts": 5.0} for n in numbers("-n") if n]
if "-gp" in args:
    rows += [{"n_prompt": numbers("-gp")[0], "n_gen": numbers("-gp")[1], "avg_ts": 4.0}]
print(json.dumps(rows))
""",
    "bad-bench": """
if "--help" in args:
    sys.exit()
print("cannot read this model", file=sys.stderr)
sys.exit(3)
""",
}


def run(*command):
    return subprocess.run([str(c) for c in command], text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, cwd=ROOT)


def check_compare(verdict, folder):
    """Turns, sums, and what a program that lacks something leaves."""
    log, out = folder / "log", folder / "out.csv"
    model = folder / "m.gguf"
    model.write_bytes(b"12345")
    for name, text in FAKES.items():
        program = folder / name
        program.write_text(COMMON.format(python=sys.executable, log=str(log)) + text,
                           encoding="utf-8")
        program.chmod(0o755)
    done = run("sh", ROOT / "bench/compare.sh", "--slm", folder / "slm", "--peer",
               f"new={folder}/new-bench", "--peer", f"ik={folder}/ik-bench,-rtr 1,-fa 0", "--peer",
               f"bad={folder}/bad-bench", "-p", "8", "-n", "4", "-d", "0,64", "--rounds", "3",
               "--threads", "2", "--load", "--csv", out, model)
    verdict.check(done.returncode == 0, f"compare.sh: {done.returncode}\n{done.stderr}")
    if done.returncode != 0:
        return
    # A peer runs twice in its turn, the second time to load and make one token.
    turns = "slm new new ik ik  ik ik new new slm  slm new new ik ik".split()
    verdict.check(log.read_text().split() == turns, f"turns: {log.read_text()}")
    with open(out, newline="", encoding="utf-8") as source:
        rows = {(r["program"], r["test"], r["depth"]): r for r in csv.DictReader(source)}
    verdict.check(len(rows) == 4 * 5, f"compare.sh: got {len(rows)} rows, wanted 20")
    wanted = {
        ("slm", "tg", "0"): {"median": "20.0", "ratio": "", "rounds": "3", "version": "slm 9.9.9",
                             "bytes_per_token": "100", "macs_per_token": "1000",
                             "share_of_read": "0.5", "model": "m", "file_bytes": "5", "n": "4"},
        ("slm", "pp", "0"): {"macs_per_token": "825", "int8_level": "int8_b",
                             "share_of_int8": "0.165", "share_of_read": ""},
        # 8 tokens over 64 more keys: 8 * 64 * 2 layers * 4 heads * 16, in 8 / 200 - 8 / 400 s
        ("slm", "pp", "64"): {"attention_gmacs": "0.0032768", "median": "200.0"},
        ("new", "tg", "64"): {"ratio": "1.0", "commit": "c0ffee", "note": ""},
        ("new", "pp", "0"): {"ratio": "4.0", "share_of_int8": "0.04125"},
        ("ik", "tg", "0"): {"ratio": "4.0", "options": "-rtr 1 -fa 0"},
        ("ik", "tg", "64"): {"ratio": "2.5", "median": "4.0"},
        ("ik", "pp", "64"): {"ratio": "", "median": "", "rounds": "0",
                             "note": "left out: no option for a prompt at depth"},
        ("bad", "tg", "0"): {"ratio": "", "median": ""},
    }
    for key, cells in wanted.items():
        for column, value in cells.items():
            got = rows[key][column]
            verdict.check(got == value, f"{key} {column}: got {got!r}, wanted {value!r}")
    note = rows["bad", "pp", "0"]["note"]
    verdict.check("exit status 3: cannot read this model" in note, f"a failed peer's note: {note!r}")
    load = rows["new", "load", "0"]
    verdict.check(load["unit"] == "s" and float(load["ratio"]) > 0, f"load: {load}")
    for words in (["--peer", "nameless", model], ["-p", "0", "-n", "0", model], ["-p", "x", model]):
        done = run("sh", ROOT / "bench/compare.sh", "--slm", folder / "slm", *words)
        verdict.check(done.returncode == 2, f"compare.sh {words}: {done.returncode}")
    done = run("sh", ROOT / "bench/compare.sh", "--slm", folder / "no-such-slm", model)
    verdict.check(done.returncode == 1 and done.stderr.count("\n") == 1, f"no slm: {done.stderr}")
    done = run(sys.executable, "-B", ROOT / "bench/report.py", "--out", folder, out)
    verdict.check(done.returncode == 0 and len(list(folder.glob("out-*.svg"))) == 3,
                  f"a report of it: {done.stdout}{done.stderr}")


def pictures(verdict, folder):
    """{name: root element} of the report on the small table."""
    done = run(sys.executable, "-B", ROOT / "bench/report.py", "--out", folder, "--name", "small",
               SMALL)
    verdict.check(done.returncode == 0, f"report.py: {done.returncode}\n{done.stderr}")
    return {p.stem: ElementTree.parse(p).getroot() for p in sorted(folder.glob("small-*.svg"))}


def check_picture(verdict, name, root):
    """Everything lies inside of it, and it says where it comes from."""
    left, top, width, height = map(float, root.get("viewBox").split())
    verdict.check(root.tag == SVG + "svg" and left == top == 0, f"{name}: {root.tag}, {left}, {top}")
    for part in root:
        for key in ("x", "x1", "x2", "cx"):
            at = float(part.get(key, 0))
            verdict.check(0 <= at <= width, f"{name}: {part.tag} at {key}={at}, width {width}")
        for key in ("y", "y1", "y2", "cy"):
            at = float(part.get(key, 0))
            verdict.check(0 <= at <= height, f"{name}: {part.tag} at {key}={at}, height {height}")
        if part.tag == SVG + "rect":
            right = float(part.get("x")) + float(part.get("width"))
            verdict.check(float(part.get("width")) > 0 and right <= width, f"{name}: bar to {right}")
    words = " ".join(part.text or "" for part in root.iter(SVG + "text"))
    for wanted in ("Made-up <processor> & friends", "2026-01-31", "abc1234", "bench_small.csv",
                   "Median of 5 rounds", "small-Q4_K_M", "slm"):
        verdict.check(wanted in words, f"{name}: says nothing of {wanted!r}")


def check_report(verdict, folder):
    """Pictures that are well formed, and bars as long as their numbers."""
    drawn = pictures(verdict, folder)
    verdict.check(list(drawn) == ["small-depth", "small-ratio", "small-roofline"],
                  f"report.py: got {list(drawn)}")
    for name, root in drawn.items():
        check_picture(verdict, name, root)
    with open(SMALL, newline="", encoding="utf-8") as source:
        ratios = sorted(float(r["ratio"]) for r in csv.DictReader(source) if r["ratio"])
    bars = sorted(float(r.get("width")) for r in drawn["small-ratio"].iter(SVG + "rect")
                  if r.get("height") == "13.0")
    verdict.check(len(bars) == len(ratios) and
                  all(abs(b / bars[-1] - r / ratios[-1]) < 0.01 for b, r in zip(bars, ratios)),
                  f"lengths of bars {bars} are not those of the ratios {ratios}")
    spots = list(drawn["small-depth"].iter(SVG + "circle"))
    verdict.check(len(spots) == 22, f"depth: got {len(spots)} points, wanted 22")
    texts = [t.text for t in drawn["small-roofline"].iter(SVG + "text")]
    verdict.check("45 (90 %)" in texts and "50" in texts and
                  texts.count("left out: no option for a prompt at depth") == 2, f"roofline: {texts}")
    wrong = folder / "wrong.csv"
    wrong.write_text("a,b\n1,2\n", encoding="utf-8")
    done = run(sys.executable, "-B", ROOT / "bench/report.py", "--out", folder, wrong)
    verdict.check(done.returncode == 1 and "wanted" in done.stderr, f"a wrong CSV: {done.stderr}")


def check_ceilings(verdict):
    """Rows of all groups; one thread where a sanitizer does not know OpenMP."""
    threads = "1" if os.environ.get("SLM_SANITIZE") == "thread" else "1,2"
    done = run(BIN / "slm_ceilings", "-m", "8", "-r", "3", "-t", threads, "--json")
    verdict.check(done.returncode == 0, f"slm_ceilings: {done.returncode} {done.stderr}")
    if done.returncode != 0:
        return
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    names = {(r["name"], r["threads"]) for r in rows}
    for name in ("read_huge", "read_small", "copy_huge"):
        for n in map(int, threads.split(",")):
            verdict.check((name, n) in names, f"slm_ceilings: no {name} with {n} threads")
    verdict.check(len(names) == len(rows), "slm_ceilings: a row twice")
    for r in rows:
        verdict.check(r["best"] >= r["median"] > 0 and
                      r["unit"] == ("GMAC/s" if r["name"][:4] in ("int8", "fp32") else "GB/s"), str(r))
    done = run(BIN / "slm_ceilings", "-m", "8", "-r", "1", "-t", "1", "-o", "copy", "--csv")
    verdict.check(re.fullmatch(r"name,threads,unit,best,median,passes\ncopy_huge,1,GB/s,[\d.,]+,1\n",
                               done.stdout), f"slm_ceilings -o copy --csv: {done.stdout}")
    for words in (["-t", "0"], ["-t", "1,"], ["-m", "0"], ["-r", "x"], ["-o", "int9"], ["x"]):
        done = run(BIN / "slm_ceilings", *words)
        verdict.check(done.returncode == 2 and done.stdout == "" and done.stderr.count("\n") == 1,
                      f"slm_ceilings {words}: {done.returncode} {done.stderr}")


def check_latency(verdict, folder):
    """Nothing is allocated while tokens come, and the figures are in order."""
    model = folder / 'a "model".gguf'
    model.write_bytes(MODEL.read_bytes())
    done = run(BIN / "slm_bench_latency", model, "-t", "1", "-p", "8", "-n", "60", "--cold")
    verdict.check(done.returncode == 0, f"slm_bench_latency: {done.stderr}")
    if done.returncode != 0:
        return
    r = json.loads(done.stdout)
    verdict.check(r["model"] == str(model) and r["tokens"] == 60 and r["threads"] == 1, str(r))
    verdict.check(r["allocations"]["generating"] == r["allocations"]["generating_bytes"] == 0 and
                  r["allocations"]["opening"] > 0, f"allocations: {r['allocations']}")
    verdict.check(0 < r["p50_ms"] <= r["p99_ms"] <= r["max_ms"], f"out of order: {r}")
    verdict.check(r["p99_over_p50"] >= 1 and r["p99_over_p50_level"] >= 1, f"below 1: {r}")
    verdict.check(0 < r["load_ms"] < r["load_to_first_ms"], f"load: {r}")
    verdict.check(r["raw_read_ms"] > 0 and r["file_bytes"] == model.stat().st_size, f"file: {r}")
    verdict.check(r["over_file_and_cache_bytes"] ==
                  r["peak_rss_bytes"] - r["file_bytes"] - r["kv_bytes"], f"memory: {r}")
    for words, status in ([], 2), ([model, "-n", "0"], 2), ([folder / "none.gguf"], 1), ([SMALL], 1):
        done = run(BIN / "slm_bench_latency", *words)
        verdict.check(done.returncode == status and done.stderr.count("\n") == 1,
                      f"slm_bench_latency {words}: {done.returncode} {done.stderr}")


def check_sessions(verdict):
    """A row for each number of sessions, and rates that are what the times say."""
    done = run(BIN / "slm_bench_sessions", MODEL, "-s", "1,3", "-t", "1", "-d", "70", "-n", "4", "-r",
               "1")
    verdict.check(done.returncode == 0, f"slm_bench_sessions: {done.stderr}")
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    verdict.check([r["sessions"] for r in rows] == [1, 3], f"slm_bench_sessions: {done.stdout}")
    for r in rows:
        rate = r["sessions"] * 1e3 / r["step_ms"]
        verdict.check(abs(rate / r["tokens_per_second"] - 1) < 0.05 and r["depth"] == 70 and
                      abs(rate / rows[0]["tokens_per_second"] / r["over_first"] - 1) < 0.05, str(r))
    for words, status in ([], 2), ([MODEL, "-s", "1,65"], 2), ([SMALL], 1):
        done = run(BIN / "slm_bench_sessions", *words)
        verdict.check(done.returncode == status and done.stderr.count("\n") == 1,
                      f"slm_bench_sessions {words}: {done.returncode} {done.stderr}")


def check_batch(verdict):
    """A row for each number of requests, with what the processor spent."""
    done = run(BIN / "slm_bench_batch", MODEL, "-s", "1,3", "-t", "1", "-p", "5", "-n", "8", "-r", "1")
    verdict.check(done.returncode == 0, f"slm_bench_batch: {done.stderr}")
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    verdict.check([r["requests"] for r in rows] == [1, 3], f"slm_bench_batch: {done.stdout}")
    for r in rows:
        rate = r["tokens_per_second"] / rows[0]["tokens_per_second"]
        verdict.check(abs(rate / r["over_first"] - 1) < 0.05 and r["cpu_ms_per_token"] > 0 and
                      r["longest_step_ms"] > 0 and r["tokens"] == 8, str(r))
    for words, status in ([], 2), ([MODEL, "-n", "0"], 2), ([SMALL], 1):
        done = run(BIN / "slm_bench_batch", *words)
        verdict.check(done.returncode == status and done.stderr.count("\n") == 1,
                      f"slm_bench_batch {words}: {done.returncode} {done.stderr}")


def main():
    verdict = Verdict("bench")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        check_compare(verdict, folder)
        check_report(verdict, folder)
        check_ceilings(verdict)
        check_latency(verdict, folder)
        check_sessions(verdict)
        check_batch(verdict)
    verdict.done()


if __name__ == "__main__":
    main()
