"""What libslm.so exports and what libslm's objects import, against slm.h and the rules."""

import os
import re
import subprocess
import sys
from pathlib import Path

from tree import ROOT, Verdict, files, without_comments

BINARY = Path(os.environ["SLM_BINARY_DIR"])

# A library must not end, print, read the environment, open sockets, install handlers, or keep
# state of the whole process. No exceptions for any object.
FORBIDDEN = set("""abort exit _exit _Exit quick_exit atexit assert_fail assert assert_perror_fail
    printf fprintf vprintf vfprintf puts fputs putchar putc fputc perror stdout stderr stdin
    getenv secure_getenv setenv putenv unsetenv environ setlocale
    socket connect bind listen accept getaddrinfo send recv
    signal sigaction sigprocmask pthread_sigmask raise kill longjmp siglongjmp
    system popen fork vfork execve execvp posix_spawn
    rand srand random srandom strtok gets sprintf vsprintf strcpy strcat tmpnam
    localtime gmtime ctime asctime strerror""".split())
# Memory from anywhere but slm_alloc; host.c is where slm_alloc itself gets it.
# Only what a build with CUDA loads when it needs it.
LOADERS = set("dlopen dlmopen dlsym dlvsym dlclose".split())
ALLOCATORS = set("malloc calloc realloc reallocarray aligned_alloc posix_memalign free strdup "
                 "strndup".split())
# Functions of the system that only the objects of base/ import. sysconf and the like included;
# what OpenMP and libm need is theirs.
SYSTEM = set("""open open64 openat openat64 close read pread pread64 write pwrite pwrite64 mmap mmap64
    munmap madvise posix_madvise posix_fadvise mlock mprotect fstat fstat64 stat stat64 lstat
    fopen fopen64 fclose fread fwrite fseek ftell rename unlink remove fsync ftruncate mkdir
    opendir readdir clock_gettime gettimeofday time nanosleep usleep sysconf sched_getaffinity
    sched_yield pthread_create pthread_join pthread_mutex_lock pthread_once fcntl fcntl64 dup
    ioctl getpid errno_location""".split())


def nm(*args):
    done = subprocess.run(["nm", *map(str, args)], text=True, stdout=subprocess.PIPE)
    if done.returncode != 0:
        sys.exit(f"nm {' '.join(map(str, args))}: exit status {done.returncode}")
    return done.stdout.splitlines()


def plain(symbol):
    """__printf_chk@GLIBC_2.3 -> printf, __isoc99_sscanf -> sscanf."""
    symbol = re.sub(r"@.*", "", symbol)
    symbol = re.sub(r"^_*(isoc\d+_)?", "", symbol) if symbol.startswith("__") else symbol
    return re.sub(r"_chk$", "", symbol)


def declared():
    text = "".join(without_comments(path.read_text(encoding="utf-8"))
                   for path in files(".h", under="include"))
    text = re.sub(r"^\s*#.*", "", text, flags=re.MULTILINE)
    return set(re.findall(r"\bSLM_API\b[^;(]*?\b(\w+)\s*\(", text))


def check_exports(verdict):
    header = declared()
    listed = set((ROOT / "tests/house/symbols.txt").read_text(encoding="utf-8").split())
    rows = [line.split() for line in nm("-D", "--defined-only", BINARY / "libslm.so")]
    exported = {re.sub(r"@.*", "", row[-1]) for row in rows if row[-2] != "A"}
    for symbol in sorted(exported - header):
        verdict.check(False, f"libslm.so exports {symbol}, which slm.h does not declare")
    for symbol in sorted(header):
        verdict.check(symbol in exported, f"slm.h declares {symbol}, which libslm.so lacks")
        verdict.check(symbol in listed, f"{symbol} is not in tests/house/symbols.txt")
        verdict.check(symbol.startswith("slm_"), f"{symbol}: wants the prefix slm_")
    for symbol in sorted(listed - header):
        verdict.check(False, f"{symbol} was public (tests/house/symbols.txt) and is gone")


def check_version(verdict):
    text = (ROOT / "include/slm.h").read_text(encoding="utf-8")
    number = dict(re.findall(r"#define SLM_(VERSION_\w+|ABI_VERSION) (\d+)", text))
    version = ".".join(number[f"VERSION_{part}"] for part in ("MAJOR", "MINOR", "PATCH"))
    real = (BINARY / "libslm.so").resolve().name
    verdict.check(real == f"libslm.so.{version}", f"got {real}, wanted libslm.so.{version}")
    done = subprocess.run(["readelf", "-d", str(BINARY / "libslm.so")], text=True,
                          stdout=subprocess.PIPE, check=True)
    soname = re.search(r"SONAME.*\[(.*)\]", done.stdout)
    wanted = f"libslm.so.{number['ABI_VERSION']}"
    verdict.check(soname and soname.group(1) == wanted, f"soname: wanted {wanted}")


def check_object(verdict, name, path):
    for line in nm("-g", path):
        kind, symbol = line.split()[-2:]
        if kind != "U":
            verdict.check(symbol.startswith("slm_"),
                          f"{name}: defines {symbol}, wanted the prefix slm_")
            continue
        symbol = plain(symbol)
        verdict.check(symbol not in FORBIDDEN, f"{name}: imports {symbol}")
        if symbol in LOADERS:
            verdict.check(name == "libslm/base/library.c", f"{name}: imports {symbol}")
        if symbol in ALLOCATORS:
            verdict.check(name == "libslm/base/host.c",
                          f"{name}: imports {symbol}; memory comes from slm_alloc")
        if symbol in SYSTEM:
            verdict.check(name.startswith(("libslm/base/", "kernels/cpu_features.c")),
                          f"{name}: imports {symbol}; only base/ calls the system")


def main():
    verdict = Verdict("symbols")
    check_exports(verdict)
    check_version(verdict)
    # Instrumented objects import what their sanitizer wants; the plain builds are looked at.
    if not os.environ.get("SLM_SANITIZE"):
        kinds = ["", "_kernel"]
        if (BINARY / "CMakeFiles/slm_cuda_objects.dir").exists():
            kinds.append("_cuda")
        for folder in (BINARY / "CMakeFiles" / f"slm{kind}_objects.dir" for kind in kinds):
            objects = sorted(folder.rglob("*.c.o"))
            verdict.check(objects, f"{folder.name}: has no objects")
            for path in objects:
                name = path.relative_to(folder).as_posix().removesuffix(".o")
                if (ROOT / name).exists():
                    check_object(verdict, name, path)
    verdict.done()


if __name__ == "__main__":
    main()
