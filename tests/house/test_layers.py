"""Who may include whom, who may name model families, and who may call the system.

    tools, examples -> slm.h             (inspect, quantize, doctor: gguf/, base/, kernels/ too)
    bench/src measures what is inside, and like the tests it may look there
    api -> batch -> chat -> run -> {guide, model} -> text -> gguf -> base;  kernels -> kernels
"""

import re

from tree import Verdict, files, lines_matching, relative, without_comments

BELOW = {
    "base": [],
    "gguf": ["base", "kernels"],
    "text": ["gguf", "base", "kernels"],
    "guide": ["text", "gguf", "base", "kernels"],
    "model": ["text", "gguf", "base", "kernels"],
    "run": ["guide", "model", "text", "gguf", "base", "kernels"],
    "chat": ["run", "guide", "model", "text", "gguf", "base", "kernels"],
    "batch": ["chat", "run", "guide", "model", "text", "gguf", "base", "kernels"],
    "api": ["batch", "chat", "run", "guide", "model", "text", "gguf", "base", "kernels"],
    "kernels": [],
    "tools": [],
    "examples": [],
    "bench": ["run", "guide", "model", "text", "gguf", "base", "kernels"],
}
FILE_TOOLS = re.compile(r"tools/(\w*_)?(inspect|quantize|doctor)(_\w*)?\.[ch]$")

LIBC = set("""complex.h ctype.h errno.h fenv.h float.h inttypes.h limits.h math.h stdalign.h stdarg.h
    stdatomic.h stdbool.h stddef.h stdint.h stdio.h stdlib.h string.h wchar.h""".split())
SYSTEM_ALLOWED = {
    "base": None,  # the only code that touches the system
    "gguf": LIBC,
    "text": LIBC | {"utf8proc.h"},
    "guide": LIBC,
    "model": LIBC,
    "run": LIBC | {"omp.h"},
    "chat": LIBC,
    "batch": LIBC,
    "api": LIBC,
    "kernels": LIBC - {"stdio.h", "errno.h"},
    "tools": None,
    "examples": None,
    "bench": None,
}
# How a kernel learns what its processor has, and the intrinsics themselves.
INTRINSICS = {
    "kernels/cpu_features.c": {"cpuid.h", "sys/auxv.h", "asm/hwcap.h"},
    "kernels/x86/": {"immintrin.h"},
    "kernels/arm/": {"arm_neon.h", "arm_acle.h"},  # acle: the language extensions, CRC32C
    "kernels/cuda/": {"cuda_runtime_api.h"},
    "libslm/run/fpenv.h": {"xmmintrin.h"},  # the rounding mode of the worker threads
}

# Functions of the system, as calls. Files are read through base/file.h, memory comes from
# base/host.h, and the threads of run/ are OpenMP's.
SYSTEM_CALLS = """access chdir chmod clock_gettime close closedir creat dlopen dlsym dup dup2 execve
    execvp fclose fcntl fdopen fflush fgetc fgets fopen fork fputc fputs fread freopen fseek fstat
    fsync ftell ftruncate fwrite getcwd getenv getpid gettimeofday ioctl kill lseek madvise mkdir
    mlock mmap mprotect munmap nanosleep open openat opendir perror pipe popen posix_fadvise
    posix_memalign pread printf pthread_create pthread_join pthread_mutex_lock putchar puts pwrite
    read readdir readlink realpath remove rename sched_getaffinity sched_setaffinity sched_yield
    secure_getenv select setenv setlocale sigaction signal socket stat sysconf system time
    unlink usleep vfprintf vprintf fprintf write""".split()
ENDINGS = "abort exit _exit quick_exit atexit assert longjmp setjmp raise".split()
ALLOCATORS = "malloc calloc realloc aligned_alloc strdup strndup free".split()

FAMILY = re.compile(r"llama|qwen|phi[-_]?[0-9]|bitnet|mistral|gemma|granite", re.IGNORECASE)

KERNEL_HEADERS = {p.name for p in files(".h", under="kernels")}
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]+([<"])([^>"]+)[>"]', re.MULTILINE)


def call(names):
    return re.compile(r"(?<![\w.>])(" + "|".join(names) + r")\s*\(")


def module_of(name):
    parts = name.split("/")
    if parts[0] == "libslm":
        return parts[1] if len(parts) > 2 else "api"
    return parts[0]


def check_include(verdict, name, line, quoted, target):
    module = module_of(name)
    where = f"{name}:{line}: includes {target}"
    if not quoted:
        allowed = SYSTEM_ALLOWED[module]
        extra = set().union(*(v for k, v in INTRINSICS.items() if name.startswith(k)))
        verdict.check(allowed is None or target in allowed | extra,
                      f"{where}, a system header that {module} may not use")
        return
    if target in ("slm.h", "slm_chat.h", "slm_batch.h"):
        verdict.check(module != "kernels", f"{where}, which kernels may not")
        return
    if "/" in target and target.split("/")[0] in BELOW:
        other = target.split("/")[0]
    elif target in KERNEL_HEADERS:
        other = "kernels"
    else:
        other = module  # a header beside the file, or below its own folder
    below = BELOW[module]
    if FILE_TOOLS.search(name):
        below = ["gguf", "base", "kernels"]
    verdict.check(other == module or other in below,
                  f"{where}, but {module} may include only {', '.join(below) or 'slm.h'}")


def main():
    verdict = Verdict("layers")
    sources = [p for folder in ("libslm", "kernels", "tools", "examples", "bench")
               for p in files(".c", ".h", under=folder)]
    system_calls, endings, allocators = call(SYSTEM_CALLS), call(ENDINGS), call(ALLOCATORS)
    for path in sources:
        name = relative(path)
        module = module_of(name)
        verdict.check(module in BELOW, f"{name}: no such room as libslm/{module}")
        if module not in BELOW:
            continue
        code = without_comments(path.read_text(encoding="utf-8"))
        for line, match in lines_matching(code, INCLUDE):
            check_include(verdict, name, line, match.group(1) == '"', match.group(2))
        if not name.startswith(("libslm/", "kernels/")):
            continue
        bare = without_comments(code, keep_strings=False)
        for line, match in lines_matching(bare, endings):
            verdict.check(False, f"{name}:{line}: calls {match.group(1)}")
        if module != "base":
            for line, match in lines_matching(bare, system_calls):
                verdict.check(False, f"{name}:{line}: calls {match.group(1)}; only base/ calls "
                                     "the system")
            verdict.check("_GNU_SOURCE" not in code and "_POSIX_C_SOURCE" not in code,
                          f"{name}: asks for more than C11, which only base/ may")
        if name != "libslm/base/host.c":
            for line, match in lines_matching(bare, allocators):
                verdict.check(False, f"{name}:{line}: calls {match.group(1)}; memory comes from "
                                     "slm_alloc")
        # text/ speaks of pre-tokenizers and chat formats by the names that files give them.
        if module != "text" and not re.match(r"libslm/model/arch(_\w+)?\.[ch]$", name):
            # The tables have to be declared somewhere: slm_arch_<family> in model/config.h.
            nameless = re.sub(r"\bslm_arch_\w+", "", code) if module == "model" else code
            for line, match in lines_matching(nameless, FAMILY):
                verdict.check(False, f"{name}:{line}: names {match.group()}; only "
                                     "model/arch_*.c name model families")
    verdict.done()


if __name__ == "__main__":
    main()
