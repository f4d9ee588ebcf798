"""slm.h alone, as C11 and as C++17, without a warning, by every compiler that is here. It needs
nothing but <stddef.h> and <stdint.h>."""

import re
import shutil
import subprocess

from tree import ROOT, Verdict

FLAGS = ["-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-pedantic", "-Werror", "-fsyntax-only"]
LANGUAGES = [("c", "-std=c11"), ("c++", "-std=c++17")]
COMPILERS = ["gcc", "clang"]


def main():
    verdict = Verdict("header")
    header = ROOT / "include/slm.h"
    includes = re.findall(r"#include\s+(\S+)", header.read_text(encoding="utf-8"))
    verdict.check(set(includes) == {"<stddef.h>", "<stdint.h>"},
                  f"slm.h includes {', '.join(includes)}; wanted <stddef.h> and <stdint.h>")
    found = [c for c in COMPILERS if shutil.which(c)]
    verdict.check(found, f"none of {', '.join(COMPILERS)} is installed")
    # A use of every initialiser, so that macros are compiled too.
    program = '#include "slm.h"\nslm_error slm_test_error = SLM_ERROR_INIT;\n'
    for compiler in found:
        for language, std in LANGUAGES:
            command = [compiler, "-x", language, std, *FLAGS, f"-I{header.parent}", "-"]
            done = subprocess.run(command, input=program, text=True, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT)
            verdict.check(done.returncode == 0, f"{' '.join(command)}\n{done.stdout}")
    verdict.done()


if __name__ == "__main__":
    main()
