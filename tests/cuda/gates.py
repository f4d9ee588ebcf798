"""Gates on the machine code of the CUDA kernels; nothing of it has to run.

    gates.py resources CUBIN...             stack, local memory, registers, shared memory
    gates.py instructions [--write] MULTIPLY GEMM   of the main loops of multiply.cu and gemm.cu;
                                            docs/ORIN.md's tables
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
    (r"multiply_tiles<\d+, 2, false>", 0, 8),
    (r"multiply_columns<14>", 2 * 64 * 304 + 4 * 3360, 8),  # Q6_K
    (r"multiply_columns<(2|6|8)>", 2 * 64 * 304 + 8 * 4352, 8),  # Q4_0, Q5_0, Q8_0
    (r"multiply_columns<\d+>", 2 * 64 * 304 + 6 * 3072, 12),
    (r"multiply_floats<\w+, 1>", 0, 20),
    (r"multiply_floats<\w+, 8>", 0, 12),
    (r"attend_chunk<\d+, (64|80)>", 80 * 64, 12),
    (r"attend_chunk<\d+, \d+>", 256 * 64, 8),
    (r"attend_rows<\d+, \d+>", 4 * 128 * 64, 8),
    (r"attend_floats|join_chunks", 0, 16),
    (r"finish_heads<\d>", 0, 24),
    (r"join_pairs|convolve|add_bias|keep_rows", 0, 32),
    (r"scan_rows", 0, 20),  # 160 blocks of two warps, of 32 loads a lane, are all the channels
    (r"best_of_chunks", 0, 24),
    (r"prepare_rows<\w+>|merge_best", 0, 32),
    (r"find_largest|make_halves<\w+>", 0, 32),
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
    "Q2_K": (4.80, 2.75, 6.30), "Q3_K": (5.30, 2.75, 6.75), "Q4_K": (2.35, 1.40, 2.80),
    "Q5_K": (2.65, 1.65, 3.00), "Q6_K": (2.45, 1.35, 3.00), "IQ4_XS": (3.65, 2.30, 3.95),
    "TQ2_0": (3.40, 2.25, 3.85), "I2_S": (3.55, 2.55, 3.85), "Q4_0": (2.95, 1.35, 4.10),
    "Q4_1": (3.10, 1.20, 4.25), "Q5_0": (3.30, 1.75, 4.20), "Q5_1": (3.40, 1.60, 4.30),
    "Q8_0": (1.15, 0.45, 1.55), "IQ4_NL": (3.70, 2.00, 4.45), "F32": (0.50, 0.10, 0.0),
    "F16": (1.35, 0.10, 0.0), "BF16": (1.35, 0.60, 0.0),
}
# What an Orin NX has time for at 918 MHz while a byte arrives, and how much of it these may take.
BUDGET, SHARE, BOUNDED = 9.2, 0.6, {"Q8_0", "Q4_K", "Q6_K", "Q3_K"}

# What many rows reach of the peak of integer tensor cores, at least, by what their main loop takes.
SHARES = {
    "Q2_K": 0.52, "Q3_K": 0.54, "Q4_K": 0.50, "Q5_K": 0.49, "Q6_K": 0.41, "IQ4_XS": 0.45,
    "TQ2_0": 0.58, "I2_S": 0.59, "Q4_0": 0.43, "Q4_1": 0.28, "Q5_0": 0.41, "Q5_1": 0.27,
    "Q8_0": 0.48, "IQ4_NL": 0.35,
}

PAGE = ROOT / "docs/ORIN.md"


def tiled_types():
    """{type: (its number, bytes of a unit, mma of a unit and eight columns)} of the kernels."""
    numbers = dict(re.findall(r"SLM_DTYPE_(\w+) = (\d+)",
                              (ROOT / "kernels/blocks.h").read_text(encoding="utf-8")))
    shapes = re.findall(r"Traits<SLM_DTYPE_(\w+)> : Shape<(\d+), (\d+), (\d+), (\d+),",
                        (ROOT / "kernels/cuda/units.cuh").read_text(encoding="utf-8"))
    # 16 rows have a head each; 256 weights of them are 512 bytes for a bit of a code. What is looked
    # up in tables is the sum of two products.
    return {name: (int(numbers[name]), 16 * int(head) + 512 * (int(low) + int(high)),
                   16 if sub == "16" or name.startswith("IQ4") else 8)
            for name, head, low, high, sub in shapes}


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


class Columns:
    """The main loop of many rows: for a unit of 16 rows by 64 columns, clocks of a scheduler and of
    its tensor core for the products alone."""

    PEAK = 512  # 64 of m16n8k32

    def __init__(self, kernel, place):
        counts, products = kernel.count(*place), kernel.mma_clocks(*place)
        tiles = max(products // self.PEAK, 1)  # some warps have two tiles of 16 rows
        self.groups = {g: n / tiles for g, n in counts.items()}
        self.all = sum(self.groups.values())
        # Four schedulers share what reads and fills shared memory.
        self.clocks = {"issue": self.all, "ALU": 2 * self.groups.get("alu", 0),
                       "multiply": 2 * self.groups.get("mul", 0),
                       "shared": 4 * kernel.shared_clocks(*place) / tiles,
                       "tensor": products / tiles}
        self.share = self.PEAK / max(self.clocks.values())


def column_loops(verdict, kernels):
    by_name = {k.name: k for k in kernels}
    found = {}
    for name, (number, _, _) in tiled_types().items():
        k = by_name[f"multiply_columns<{number}>"]
        places = k.innermost("mma")
        verdict.check(len(places) == 1, f"{k.name}: {len(places)} main loops, wanted one")
        found[name] = Columns(k, places[0])
        unknown = [g for g in found[name].groups if g not in cubin.GROUPS]
        verdict.check(not unknown, f"{k.name}: unknown instructions {unknown}; see tools/cubin.py")
    return found


def table_of_columns(found):
    lines = ["| type | instructions | an mma | ALU | multiply | mma | clocks: issue | ALU | "
             "multiply | shared memory | tensor core | share of the peak |", "|---" * 12 + "|"]
    for name, c in found.items():
        cells = [name, f"{c.all:.0f}", f"{c.all / 64:.1f}"]
        cells += [f"{c.groups.get(g, 0):.0f}" for g in ("alu", "mul", "mma")]
        cells += [f"{n:.0f}" for n in c.clocks.values()] + [f"{c.share:.2f}"]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def costs():
    """{type: (all, integer, share of the peak for many rows or None)} of the prediction."""
    text = (ROOT / "libslm/run/predict.c").read_text(encoding="utf-8")
    return {name: (float(a), float(i), float(share) if share else None) for name, a, i, share in
            re.findall(r"\{SLM_DTYPE_(\w+), \{([\d.]+), ([\d.]+)\}, (?:([\d.]+)|\w+)\}", text)}


def check_table(verdict, what, now, is_writing, is_known):
    """Between two marks of the page: writes it, or looks whether it is there."""
    begin, end = f"<!-- {what}: begin -->\n", f"<!-- {what}: end -->\n"
    before, rest = PAGE.read_text(encoding="utf-8").split(begin)
    old, after = rest.split(end)
    if is_writing:
        PAGE.write_text(before + begin + now + end + after, encoding="utf-8")
    else:
        print(now)
        verdict.check(old == now or not is_known, f"docs/ORIN.md: the {what} are not those of the "
                      "machine code; run tests/cuda/gates.py instructions --write MULTIPLY GEMM")


def check_instructions(paths, is_writing):
    verdict = Verdict("instructions")
    kernels = []
    for path in paths:
        arch, release, of_path = cubin.read(path)
        verdict.check(arch == 87, f"{path}: sm_{arch}, wanted sm_87")
        kernels += of_path
    found, columns = main_loops(verdict, kernels), column_loops(verdict, kernels)
    is_known = release == RELEASE
    if not is_writing:
        print(f"nvcc {release}:")
    check_table(verdict, "counts", table(found), is_writing, is_known)
    check_table(verdict, "shares", table_of_columns(columns), is_writing, is_known)
    if is_writing:
        return
    verdict.check(set(found) == set(BOUNDS), f"bounds of {set(BOUNDS)}, wanted {set(found)}")
    verdict.check(set(columns) == set(SHARES), f"shares of {set(SHARES)}, wanted {set(columns)}")
    slack = 1 if is_known else TOLERANCE
    for name, (one, eight) in found.items():
        got = (one.per_byte(), one.integer(), eight.per_byte() if eight else 0)
        for what, n, bound in zip(("in all", "on a pipe of integers", "with eight rows"), got,
                                  BOUNDS.get(name, (0, 0, 0))):
            verdict.check(n <= slack * bound, f"{name}: {n:.2f} instructions a byte {what}, "
                          f"wanted at most {bound}")
        share = columns[name].share if name in columns else None
        if share:
            wanted = SHARES.get(name, 1)
            verdict.check(share >= wanted / slack, f"{name}: many rows reach {share:.2f} of the "
                          f"peak, wanted at least {wanted}")
        if is_known:
            cost = costs()[name]
            verdict.check(all(abs(c - n) < 0.006 for c, n in zip(cost, got[:2])),
                          f"libslm/run/predict.c: {name}: got {cost}, counted {got[0]:.2f} "
                          f"and {got[1]:.2f}")
            verdict.check((cost[2] is None) == (share is None) and
                          (share is None or abs(cost[2] - share) < 0.006),
                          f"libslm/run/predict.c: {name}: got a share of {cost[2]}, counted {share}")
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
    elif what == ["instructions"] and len(args) - args.count("--write") == 2:
        check_instructions(args[-2:], "--write" in args)
    elif what == ["no_cuda"] and args:
        check_no_cuda(args)
    elif what == ["no_nvcc"]:
        print("skipped: there is no nvcc")
        sys.exit(77)
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
