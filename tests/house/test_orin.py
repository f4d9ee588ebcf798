"""docs/ORIN.md holds the margins of every power mode as the library's tables give them. With
--write it puts them there."""

import re
import sys

from tree import ROOT, Verdict

PAGE = ROOT / "docs/ORIN.md"
BEGIN, END = "<!-- margins: begin -->\n", "<!-- margins: end -->\n"
SHOWN = ["Q8_0", "Q4_K", "Q6_K", "Q3_K"]
CACHE = 41.7


def read(name):
    return (ROOT / "libslm/run" / name).read_text(encoding="utf-8")


def costs():
    """{type: (all, integer)} thread-instructions a byte."""
    found = re.findall(r"\{SLM_DTYPE_(\w+), \{([\d.]+), ([\d.]+)\}", read("predict.c"))
    return {name: (float(a), float(i)) for name, a, i in found}


def modes():
    """(name, SM, MHz, GB/s) of every profile."""
    text = read("profiles.c")
    modules = {key: (name, int(bits)) for key, name, bits in re.findall(
        r'\[(\w+)\] = \{"([\w-]+)", "[^"]*", \d+, (\d+)\}', text)}
    rows = re.findall(r'\{(\w+), "([\w-]+)", "\w+", (\d+), (\d+), (\d+)\}', text)
    return [(f"{modules[m][0]}:{mode}", int(sm), int(mhz), int(emc) * 2 * modules[m][1] / 8e3)
            for m, mode, sm, mhz, emc in rows]


def table():
    lines = ["| profile | SM | MHz | GB/s | bytes per clock and SM | of L2's 41.7 | budget | "
             + " | ".join(SHOWN) + " |", "|---" * (7 + len(SHOWN)) + "|"]
    for name, sm, mhz, gbps in modes():
        need = gbps * 1e3 / (sm * mhz)
        budget = 128 / need
        used = [max(a / budget, i / (budget / 2)) for a, i in (costs()[t] for t in SHOWN)]
        cells = [name, str(sm), str(mhz), f"{gbps:.1f}", f"{need:.1f}", f"{100 * need / CACHE:.0f} %",
                 f"{budget:.1f} / {budget / 2:.1f}"] + [f"{100 * u:.0f} %" for u in used]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def main():
    verdict = Verdict("orin")
    text = PAGE.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    now, after = rest.split(END)
    if sys.argv[1:] == ["--write"]:
        PAGE.write_text(before + BEGIN + table() + END + after, encoding="utf-8")
        return
    verdict.check(len(modes()) >= 30 and len(costs()) >= 18, f"{len(modes())} modes, {costs()}")
    verdict.check(now == table(), "docs/ORIN.md: the margins are not those of libslm/run; "
                  "run tests/house/test_orin.py --write")
    for name, *_ in modes():
        verdict.check(f"| {name} |" in now, f"docs/ORIN.md: no row of {name}")
    verdict.done()


if __name__ == "__main__":
    main()
