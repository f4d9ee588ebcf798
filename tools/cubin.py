"""What a cubin says about its kernels: registers, shared memory, stack, and how many instructions of
each kind the loops of their machine code have.

    nvcc -arch=sm_87 -std=c++17 -I kernels -I kernels/cuda -cubin kernels/cuda/multiply.cu
    python3 tools/cubin.py multiply.cubin [part of a kernel's name]

A cubin is an ELF file. A kernel's code is the section .text.NAME: instructions of 16 bytes, for
compute capabilities 7.5 to 9.0 with the operation in the low 9 bits and the form of its operands in
the 3 bits above. No disassembler is needed; names are those that nvdisasm prints."""

import re
import struct
import subprocess
import sys
from collections import Counter

# Operations by their number, in groups by what they keep busy. Lanes in a clock of a multiprocessor
# of compute capability 8.6 and 8.7: FMA 128; MUL 64, the half of these that can also multiply
# integers; ALU 64, the integer pipe proper; CONVERT 16.
ALU = {
    0x002: "MOV", 0x003: "P2R", 0x004: "R2P", 0x007: "SEL", 0x008: "FSEL", 0x009: "FMNMX",
    0x00a: "FSET", 0x00b: "FSETP",
    0x00c: "ISETP", 0x010: "IADD3", 0x011: "LEA", 0x012: "LOP3", 0x013: "IABS", 0x016: "PRMT",
    0x017: "IMNMX", 0x019: "SHF", 0x01a: "SGXT", 0x01b: "BMSK", 0x01c: "PLOP3", 0x03e: "F2FP",
    0x045: "I2FP", 0x005: "CS2R",
}
MUL = {0x024: "IMAD", 0x025: "IMAD.WIDE", 0x026: "IDP", 0x027: "IMAD.HI"}
FMA = {0x020: "FMUL", 0x021: "FADD", 0x023: "FFMA", 0x030: "HADD2", 0x031: "HFMA2", 0x032: "HMUL2",
       0x035: "HFMA2.MMA"}
CONVERT = {0x100: "FLO", 0x102: "FCHK", 0x104: "F2F", 0x105: "F2I", 0x106: "I2F", 0x108: "MUFU",
           0x109: "POPC"}
MMA = {0x037: "IMMA", 0x03c: "HMMA"}
LOAD = {0x180: "LD", 0x181: "LDG", 0x182: "LDC", 0x184: "LDS", 0x03b: "LDSM",
        0x1ae: "LDGSTS"}
STORE = {0x185: "ST", 0x186: "STG", 0x188: "STS"}
LOCAL = {0x183: "LDL", 0x187: "STL"}
BRANCH = {0x147: "BRA"}
# Of a warp, not of its lanes, and what only steers.
OTHER = {
    0x082: "UMOV", 0x083: "UP2UR", 0x087: "USEL", 0x08c: "UISETP", 0x090: "UIADD3", 0x091: "ULEA",
    0x092: "ULOP3", 0x096: "UPRMT", 0x099: "USHF", 0x0a4: "UIMAD", 0x0a5: "UIMAD.WIDE", 0x0b9: "ULDC",
    0x118: "NOP", 0x119: "S2R", 0x11a: "DEPBAR", 0x11d: "BAR", 0x141: "BSYNC", 0x144: "CALL",
    0x145: "BSSY", 0x148: "WARPSYNC", 0x14d: "EXIT", 0x150: "RET", 0x155: "BMOV", 0x156: "BMOV",
    0x189: "SHFL", 0x1af: "LDGDEPBAR", 0x1c2: "R2UR", 0x1c3: "S2UR",
}
GROUPS = {"alu": ALU, "mul": MUL, "fma": FMA, "convert": CONVERT, "mma": MMA, "load": LOAD,
          "store": STORE, "local": LOCAL, "branch": BRANCH, "other": OTHER}
GROUP_OF = {number: group for group, names in GROUPS.items() for number in names}
NAME_OF = {number: name for names in GROUPS.values() for number, name in names.items()}

INSTRUCTION = 16
# Attributes of .nv.info: numbers of a kernel by its symbol, or of the one that the section names.
FRAME_SIZE, MIN_STACK_SIZE, REGISTERS, MAX_THREADS = 0x11, 0x12, 0x2f, 0x05


class Kernel:
    """name: as C++ writes it. registers: of a thread. threads: of a block, at most. shared: static
    bytes. frame: bytes of stack. code: 128-bit instructions."""

    def __init__(self, name, code):
        self.name = name
        self.code = code
        self.registers = self.threads = self.shared = self.frame = 0

    def count(self, begin=0, end=None):
        """Instructions of each group in code[begin:end]; of unknown ones under their number."""
        return Counter(GROUP_OF.get(w & 0x1ff, hex(w & 0xfff)) for w in self.code[begin:end])

    def names(self, begin=0, end=None):
        return Counter(NAME_OF.get(w & 0x1ff, hex(w & 0xfff)) for w in self.code[begin:end])

    def mma_clocks(self, begin=0, end=None):
        """What products of bytes take of a scheduler's tensor core with compute capability 8.7, where
        m16n8k32 takes 8 clocks and m16n8k16 half of that."""
        return sum(8 if w >> 75 & 1 else 4 for w in self.code[begin:end] if w & 0x1ff == 0x037)

    def shared_clocks(self, begin=0, end=None):
        """What loads from shared memory and copies into it take at 128 bytes a clock, for a warp."""
        size = {5: 8, 6: 16}
        names = [(NAME_OF.get(w & 0x1ff), w >> 73 & 7) for w in self.code[begin:end]]
        return 32 / 128 * sum(size.get(width, 4) if name == "LDS" else 16
                              for name, width in names if name in ("LDS", "LDGSTS"))

    def loops(self):
        """(begin, end) of every loop: what a backward branch jumps over. That to itself behind the
        end of a kernel is none."""
        ends = {}
        for at, word in enumerate(self.code):
            if word & 0x1ff not in BRANCH:
                continue
            offset = word >> 34 & (1 << 48) - 1  # of 4 bytes each, from the next instruction on
            offset -= offset >> 47 << 48
            target = at + 1 + offset // 4
            if target < at:
                ends[target] = max(at + 1, ends.get(target, 0))
        return sorted(ends.items())

    def innermost(self, group):
        """Loops with instructions of a group that hold no other such loop."""
        loops = [l for l in self.loops() if self.count(*l)[group] > 0]
        return [l for l in loops
                if not any(o != l and l[0] <= o[0] and o[1] <= l[1] for o in loops)]


def read(path):
    """(compute capability, release of the compiler, kernels)."""
    with open(path, "rb") as file:
        data = file.read()
    if data[:6] != b"\x7fELF\x02\x01":
        raise ValueError(f"{path}: not a 64-bit little-endian ELF file")
    flags, = struct.unpack_from("<I", data, 0x30)
    at, = struct.unpack_from("<Q", data, 0x28)
    size, n, names = struct.unpack_from("<HHH", data, 0x3a)
    sections = [struct.unpack_from("<IIQQQQIIQQ", data, at + size * i) for i in range(n)]

    def text(table, offset):
        begin = sections[table][4] + offset
        return data[begin:data.index(b"\0", begin)].decode()

    by_name = {text(names, s[0]): s for s in sections}
    symtab = by_name[".symtab"]
    symbols = [struct.unpack_from("<IBBHQQ", data, symtab[4] + i)
               for i in range(0, symtab[5], 24)]
    kernels = {}  # by the number of their symbol
    for i, (name, info, _, section, value, length) in enumerate(symbols):
        mangled = text(symtab[6], name)
        if info & 15 != 2 or ".text." + mangled not in by_name:
            continue  # helpers have no section of their own
        begin = sections[section][4] + value
        code = [int.from_bytes(data[p:p + INSTRUCTION], "little")
                for p in range(begin, begin + length, INSTRUCTION)]
        k = kernels[i] = Kernel(mangled, code)
        k.shared = by_name.get(".nv.shared." + mangled, (0,) * 6)[5]
        for _, payload in attributes(data, by_name[".nv.info." + mangled], {MAX_THREADS}):
            x, y, z = struct.unpack("<III", payload)
            k.threads = x * y * z
    wanted = {FRAME_SIZE, MIN_STACK_SIZE, REGISTERS}
    for attribute, payload in attributes(data, by_name[".nv.info"], wanted):
        symbol, value = struct.unpack("<II", payload)
        if symbol not in kernels:
            continue
        if attribute == REGISTERS:
            kernels[symbol].registers = value
        else:
            kernels[symbol].frame = max(value, kernels[symbol].frame)
    found = list(kernels.values())
    for k, name in zip(found, demangle([k.name for k in found])):
        k.name = name
    release = re.search(rb"Cuda compilation tools, release ([\d.]+)", data)
    return flags >> 8 & 0xff, release.group(1).decode() if release else "", found


def attributes(data, section, wanted):
    """(attribute, bytes) of a section .nv.info. Others have a number in place of bytes."""
    at, end = section[4], section[4] + section[5]
    while at < end:
        form, attribute, size = struct.unpack_from("<BBH", data, at)
        at += 4
        if form == 4:
            if attribute in wanted:
                yield attribute, data[at:at + size]
            at += size


def demangle(names):
    """Without parameters and anonymous namespaces: multiply_tiles<12, 1, true>."""
    done = subprocess.run(["c++filt"], input="\n".join(names), text=True, stdout=subprocess.PIPE,
                          check=True)
    found = []
    for name in done.stdout.splitlines():
        name = re.sub(r"\(anonymous namespace\)::|^void ", "", name)
        name = re.sub(r"\((?:bool|int)\)", "", name)
        found.append(name[:name.rindex("(")] if name.endswith(")") else name)
    return found


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    arch, _, kernels = read(sys.argv[1])
    for k in kernels:
        if sys.argv[2:] and sys.argv[2] not in k.name:
            continue
        print(f"{k.name}: sm_{arch}, {len(k.code)} instructions, {k.registers} registers, "
              f"{k.threads} threads, {k.shared} bytes shared, {k.frame} of stack")
        for begin, end in k.loops():
            names = ", ".join(f"{n} {c}" for n, c in k.names(begin, end).most_common())
            print(f"  loop of {end - begin} at {INSTRUCTION * begin:#x}: {names}")


if __name__ == "__main__":
    main()
