"""slm.h, slm_chat.h and slm_batch.h, each alone, as C11 and as C++17, without a warning, by every
compiler that is here. They need nothing but each other, <stddef.h> and <stdint.h>."""

import itertools
import re
import shutil
import subprocess

from tree import ROOT, Verdict

FLAGS = ["-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-pedantic", "-Werror", "-fsyntax-only"]
LANGUAGES = [("c", "-std=c11"), ("c++", "-std=c++17")]
COMPILERS = ["gcc", "clang"]
INCLUDE = ROOT / "include"
HEADERS = {"slm.h": {"<stddef.h>", "<stdint.h>", '"slm_chat.h"'},
           "slm_chat.h": {'"slm.h"', '"slm_batch.h"'}, "slm_batch.h": {'"slm_chat.h"'}}


def main():
    verdict = Verdict("header")
    for name, wanted in HEADERS.items():
        includes = re.findall(r"#include\s+(\S+)", (INCLUDE / name).read_text(encoding="utf-8"))
        verdict.check(set(includes) == wanted,
                      f"{name} includes {', '.join(includes)}; wanted {', '.join(sorted(wanted))}")
    found = [c for c in COMPILERS if shutil.which(c)]
    verdict.check(found, f"none of {', '.join(COMPILERS)} is installed")
    # A use of every initialiser, so that macros are compiled too.
    for compiler, (language, std), name in itertools.product(found, LANGUAGES, HEADERS):
        program = f'#include "{name}"\nslm_error slm_test_error = SLM_ERROR_INIT;\n'
        command = [compiler, "-x", language, std, *FLAGS, f"-I{INCLUDE}", "-"]
        done = subprocess.run(command, input=program, text=True, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT)
        verdict.check(done.returncode == 0, f"{' '.join(command)}\n{done.stdout}")
    verdict.done()


if __name__ == "__main__":
    main()
