"""Gates on the machine code of the CUDA kernels; nothing of it has to run.

    gates.py resources CUBIN...             stack, local memory, registers, shared memory
    gates.py instructions [--write] CUBIN   of the main loops of multiply.cu; docs/ORIN.md's table
    gates.py no_cuda FILE...                programs and libraries built without CUDA
    gates.py no_nvcc                        says that there is nothing to look at"""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(os.environ.get("SLM_SOURCE_DIR", Path(__file__).resolve().parents[2]))
sys.path[:0] = [str(ROOT / "tools"), str(ROOT / "tests/house")]
import cubin  # noqa: E402
from tree import Verdict  # noqa: E402

# ---------------------------------------------------------------- resources

# A multiprocessor of compute capability 8.7, and in what pieces it gives its memory to warps and
# blocks. 9.0 has as many registers, and more of the rest.
REGISTERS, WARPS, SHARED, BLOCKS, SCHEDULERS = 65536, 48, 164 * 1024, 16, 4
REGISTER_PIECE, SHARED_PIECE, SHARED_OF_SYSTEM = 256, 128, 1024

# Kernels by their name: dynamic shared memory at most, and how many warps a multiprocessor holds at
# least. What reads weights or the cache needs many loads under way: 16 to 20 of 512 bytes cover the
# latency of an Orin's memory, and a warp asks for 3 to 9 of them at a time. What computes on tiles
# for many rows, and keeps them in registers, does with fewer warps.
FAMILIES = [
    (r"multiply_tiles<\d+, 1, true>", 0, 16),
    (r"multiply_tiles<\d+, 1, false>", 0, 12),
    (r"multiply_tiles<\d+, [24], false>", 0, 8),
    (r"multiply_floats<\w+, 1>", 0, 20),
    (r"multiply_floats<\w+, 8>", 0, 12),
    (r"attend_chunk<\d+, (64|80)>", 80 * 64, 12),
    (r"attend_chunk<\d+, \d+>", 256 * 64, 8),
    (r"attend_rows<\d+, \d+>", 4 * 128 * 64, 8),
    (r"attend_floats|join_chunks", 0, 16),
    (r"finish_heads", 0, 24),
    (r"prepare_rows|best_of", 0, 32),
    (r"embed_tiles<\d+>|embed_floats<\w+>|gate_rows", 0, 48),
]


def resident_warps(k, dynamic):
    """Warps of a kernel that a multiprocessor of compute capability 8.7 holds."""
    def pieces(n, size):
        return -(-n // size) * size

    of_block = -(-k.threads // 32)
    of_scheduler = REGISTERS // SCHEDULERS // pieces(32 * k.registers, REGISTER_PIECE)
    by_registers = SCHEDULERS * of_scheduler
    shared = pieces(k.shared + dynamic + SHARED_OF_SYSTEM, SHARED_PIECE)
    return of_block * min(by_registers // of_block, WARPS // of_block, SHARED // shared, BLOCKS)


def check_resources(paths):
    verdict = Verdict("resources")
    for path in paths:
        arch, _, kernels = cubin.read(path)
        verdict.check(kernels, f"{path}: has no kernels")
        for k in kernels:
            name = f"sm_{arch} {k.name}"
            counts = k.count()
            verdict.check(k.frame == 0, f"{name}: {k.frame} bytes of stack, wanted none")
            verdict.check(counts["local"] == 0,
                          f"{name}: {counts['local']} accesses of local memory, wanted none")
            families = [f for f in FAMILIES if re.fullmatch(f[0], k.name)]
            verdict.check(families, f"{name}: no family of tests/cuda/gates.py")
            verdict.check(0 < k.registers <= 255 and k.threads > 0,
                          f"{name}: {k.registers} registers, {k.threads} threads a block")
            if not families or not k.registers or not k.threads:
                continue
            _, dynamic, wanted = families[0]
            got = resident_warps(k, dynamic)
            used = f"{k.registers} registers, {k.shared} + {dynamic} bytes of shared memory"
            print(f"{name}: {used}, {got} warps")
            verdict.check(arch != 87 or got >= wanted,
                          f"{name}: {used} leave room for {got} warps, wanted {wanted}")
    verdict.done()


# ---------------------------------------------------------------- instructions

# Thread-instructions for a byte of weights at most: of one row in all and on the busier of the two
# pipes that do integers, of eight rows in all. They are for one release of nvcc, as the table of
# docs/ORIN.md is; others may exceed them by a tenth.
RELEASE, TOLERANCE = "13.0", 1.1
BOUNDS = {
    "Q2_K": (4.80, 2.75, 6.30), "Q3_K": (5.30, 2.75, 6.75), "Q4_K": (2.45, 1.50, 2.95),
    "Q5_K": (2.75, 1.75, 3.10), "Q6_K": (2.75, 1.55, 3.25), "IQ4_XS": (6.00, 4.85, 6.25),
    "TQ2_0": (3.40, 2.25, 3.85), "I2_S": (3.50, 2.55, 3.85), "Q4_0": (3.10, 1.40, 4.10),
    "Q4_1": (3.20, 1.20, 4.40), "Q5_0": (3.30, 1.75, 4.20), "Q5_1": (3.50, 1.60, 4.45),
    "Q8_0": (1.15, 0.45, 1.55), "IQ4_NL": (5.80, 4.35, 6.40), "F32": (0.50, 0.10, 0.0),
    "F16": (1.35, 0.10, 0.0), "BF16": (1.35, 0.60, 0.0),
}
# What an Orin NX has time for at 918 MHz while a byte arrives, and how much of it these may take.
BUDGET, SHARE, BOUNDED = 9.2, 0.6, {"Q8_0", "Q4_K", "Q6_K", "Q3_K"}

PAGE = ROOT / "docs/ORIN.md"
BEGIN, END = "<!-- counts: begin -->\n", "<!-- counts: end -->\n"


def tiled_types():
    """{type: (its number, bytes of a unit, mma of a unit and eight columns)} of the kernels."""
    numbers = dict(re.findall(r"SLM_DTYPE_(\w+) = (\d+)",
                              (ROOT / "kernels/blocks.h").read_text(encoding="utf-8")))
    shapes = re.findall(r"Traits<SLM_DTYPE_(\w+)> : Shape<(\d+), (\d+), (\d+), (\d+),",
                        (ROOT / "kernels/cuda/units.cuh").read_text(encoding="utf-8"))
    # 16 rows have a head each; 256 weights of them are 512 bytes for a bit of a code.
    return {name: (int(numbers[name]), 16 * int(head) + 512 * (int(low) + int(high)),
                   16 if sub == "16" else 8) for name, head, low, high, sub in shapes}


class Loop:
    """A main loop: instructions of a lane by group, for `of_bytes` bytes of weights of its warp."""

    def __init__(self, counts, passes, of_bytes):
        self.groups = {g: n / passes for g, n in counts.items()}
        self.all = sum(self.groups.values())
        self.bytes = of_bytes

    def per_byte(self, *groups):
        n = sum(self.groups.get(g, 0) for g in groups) if groups else self.all
        return 32 * n / self.bytes

    def integer(self):
        """On the busier of two pipes of 64 lanes: logic, shifts and sums, or products."""
        return max(self.per_byte("alu"), self.per_byte("mul"))


def main_loops(verdict, kernels):
    """{type: (loop of one row, loop of eight)}; F32, F16 and BF16 have only the first."""
    by_name = {k.name: k for k in kernels}
    found = {}
    for name, (number, unit_bytes, n_mma) in tiled_types().items():
        loops = []
        for is_one in ("true", "false"):
            k = by_name[f"multiply_tiles<{number}, 1, {is_one}>"]
            every = []
            for place in k.innermost("mma"):
                counts = k.count(*place)
                passes = counts["mma"] // n_mma
                verdict.check(passes > 0 and counts["mma"] % n_mma == 0,
                              f"{k.name}: {counts['mma']} mma, wanted a multiple of {n_mma}")
                every.append(Loop(counts, max(passes, 1), unit_bytes))
            verdict.check(len(every) == 2,
                          f"{k.name}: {len(every)} main loops, wanted two (for gates)")
            loops.append(max(every, key=lambda l: l.all))
        found[name] = tuple(loops)
    floats = ("F32", "float", 4), ("F16", "__half", 2), ("BF16", "__nv_bfloat16", 2)
    for name, word, size in floats:
        k = by_name[f"multiply_floats<{word}, 1>"]
        # The loop over whole vectors of weights is the one that is unrolled most; eight to a pass.
        place = max(k.innermost("fma"), key=lambda l: k.names(*l)["FFMA"])
        passes = k.names(*place)["FFMA"] // 8
        verdict.check(passes > 0, f"{k.name}: no main loop")
        found[name] = (Loop(k.count(*place), max(passes, 1), 32 * 8 * size), None)
    for name, loops in found.items():
        for loop in loops:
            unknown = [g for g in (loop.groups if loop else ()) if g not in cubin.GROUPS]
            verdict.check(not unknown,
                          f"{name}: unknown instructions {unknown}; see tools/cubin.py")
    return found


def table(found):
    lines = ["| type | bytes | all | ALU | multiply | convert | load | mma | a byte: all | ALU | "
             "multiply | 8 rows: all | ALU | multiply |", "|---" * 14 + "|"]
    for name, (one, eight) in found.items():
        cells = [name, str(one.bytes), f"{one.all:.0f}"]
        cells += [f"{one.groups.get(g, 0):.0f}" for g in ("alu", "mul", "convert", "load", "mma")]
        for loop in (one, eight):
            cells += [f"{x:.2f}" for x in (loop.per_byte(), loop.per_byte("alu"),
                                           loop.per_byte("mul"))] if loop else ["", "", ""]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def costs():
    """{type: (all, integer)} of the prediction."""
    text = (ROOT / "libslm/run/predict.c").read_text(encoding="utf-8")
    return {name: (float(a), float(i)) for name, a, i in
            re.findall(r"\{SLM_DTYPE_(\w+), \{([\d.]+), ([\d.]+)\}\}", text)}


def check_instructions(path, is_writing):
    verdict = Verdict("instructions")
    arch, release, kernels = cubin.read(path)
    verdict.check(arch == 87, f"{path}: sm_{arch}, wanted sm_87")
    found = main_loops(verdict, kernels)
    now = table(found)
    before, rest = PAGE.read_text(encoding="utf-8").split(BEGIN)
    old, after = rest.split(END)
    if is_writing:
        PAGE.write_text(before + BEGIN + now + END + after, encoding="utf-8")
        return
    print(f"nvcc {release}:\n{now}")
    is_known = release == RELEASE
    if is_known:
        verdict.check(old == now, "docs/ORIN.md: the counts are not those of the machine code; run "
                      f"tests/cuda/gates.py instructions --write {path}")
    verdict.check(set(found) == set(BOUNDS), f"bounds of {set(BOUNDS)}, wanted {set(found)}")
    slack = 1 if is_known else TOLERANCE
    for name, (one, eight) in found.items():
        got = (one.per_byte(), one.integer(), eight.per_byte() if eight else 0)
        for what, n, bound in zip(("in all", "on a pipe of integers", "with eight rows"), got,
                                  BOUNDS.get(name, (0, 0, 0))):
            verdict.check(n <= slack * bound, f"{name}: {n:.2f} instructions a byte {what}, "
                          f"wanted at most {bound}")
        if is_known:
            cost = costs()[name]
            verdict.check(all(abs(c - n) < 0.006 for c, n in zip(cost, got)),
                          f"libslm/run/predict.c: {name}: got {cost}, counted {got[0]:.2f} "
                          f"and {got[1]:.2f}")
        if name in BOUNDED:
            verdict.check(got[0] <= SHARE * BUDGET and got[1] <= SHARE * BUDGET / 2,
                          f"{name}: {got[0]:.2f} instructions a byte, {got[1]:.2f} on a pipe of "
                          f"integers; wanted {SHARE:.0%} of {BUDGET} and of {BUDGET / 2}")
    verdict.done()


# ---------------------------------------------------------------- without CUDA

def check_no_cuda(paths):
    verdict = Verdict("no_cuda")
    for path in paths:
        done = subprocess.run(["readelf", "-d", path], text=True, stdout=subprocess.PIPE,
                              check=True)
        needed = re.findall(r"NEEDED.*\[(.*)\]", done.stdout)
        verdict.check(any(n.startswith("libc.so") for n in needed), f"{path}: links {needed}")
        for name in needed:
            verdict.check(not re.search("cuda|cudart|cublas|nvidia|nvrtc", name),
                          f"{path}: links {name}")
        # A library that is loaded at run time stands there by its name.
        data = Path(path).read_bytes()
        library = rb"lib(?:cuda|cudart|cublas\w*|nvrtc|nvidia-ml)\.so[\w.]*"
        for name in set(re.findall(library, data)):
            verdict.check(False, f"{path}: names {name.decode()}")
    verdict.done()


def main():
    what, args = sys.argv[1:2], sys.argv[2:]
    if what == ["resources"] and args:
        check_resources(args)
    elif what == ["instructions"] and len(args) - args.count("--write") == 1:
        check_instructions(args[-1], "--write" in args)
    elif what == ["no_cuda"] and args:
        check_no_cuda(args)
    elif what == ["no_nvcc"]:
        print("skipped: there is no nvcc")
        sys.exit(77)
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
