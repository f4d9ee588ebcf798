"""The binary interface against the description kept with the last release, and whether each kind of
change to it would be noticed."""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from package_case import BINARY, CC, ROOT, VERSION, check, run

ABI = ROOT / "tools/package/abi.py"

# (what is changed in slm.h, by what, what must be said; None: it is allowed and told)
CHANGES = [
    (r"    uint32_t n_layers;", r"    uint64_t n_layers;", "struct slm_model_info"),
    (r"    uint32_t n_layers;", r"    int32_t n_layers;", "n_layers"),
    (r"    uint32_t n_layers;", r"    uint32_t n_of_layers;", "n_layers"),
    (r"char subject\[80\];", r"char subject[96];", "subject"),
    (r"    uint32_t n_layers;", r"    uint32_t added, n_layers;", "struct slm_model_info"),
    (r"(SLM_ERR_NOMEM) = 2,", r"\1 = 4,", "enumerator SLM_ERR_NOMEM: was 2, is 4"),
    (r"    SLM_ERR_NOMEM = 2,", r"", "enumerator SLM_ERR_NOMEM: is gone"),
    (r"typedef int32_t slm_status;", r"typedef int64_t slm_status;", "type slm_status"),
    (r"#define SLM_SAMPLER_MAX_STAGES 16", r"#define SLM_SAMPLER_MAX_STAGES 17", "constant"),
    (r"SLM_API const char \*slm_version\(void\);", r"", "function slm_version: is gone"),
    (r"\*slm_version\(void\)", r"*slm_version(int32_t what)", "function slm_version: was"),
    (r"(typedef struct slm_span \{)", r"\1 void *added;", "struct slm_span"),
    (r"(\} slm_span;)", r"void *added; \1", "struct slm_span: added added"),
    (r"(\} slm_model_info;)", r"uint64_t added; \1", None),
    (r"(SLM_API const char \*slm_version)", r"SLM_API void slm_added(void *user, ...);\n\1", None),
    (r"(    SLM_ERR_NOMEM = 2,)", r"\1 SLM_ERR_ADDED = 999,", None),
    (r"\*slm_status_name\(slm_status status\)", r"*slm_status_name(slm_status code)", None),
]


def abi(*args, cc=CC):
    done = subprocess.run([sys.executable, "-B", ABI, *map(str, args)], text=True,
                          env=dict(os.environ, CC=cc), stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, check=False)
    return done.returncode, done.stdout


def check_against_library(described):
    """What is described is what the library exports, under the name that is described."""
    lines = run("nm", "-D", "--defined-only", BINARY / "libslm.so").splitlines()
    exported = {re.sub("@.*", "", line.split()[-1]) for line in lines if " A " not in line}
    check(set(described["functions"]) == exported,
          f"described, not exported or the other way: {set(described['functions']) ^ exported}")
    check(f"[{described['soname']}]" in run("readelf", "-d", BINARY / "libslm.so"), "soname")
    check(described["version"] == VERSION, f"version {described['version']}")


def check_changes(now, folder):
    """Each change by itself, in a copy of the headers."""
    include = folder / "include"
    shutil.copytree(ROOT / "include", include)
    header = include / "slm.h"
    original = header.read_text(encoding="utf-8")
    changed = folder / "changed.json"
    for pattern, by, said in CHANGES:
        text, n = re.subn(pattern, by, original, count=1)
        check(n == 1, f"slm.h has no {pattern}")
        header.write_text(text, encoding="utf-8")
        changed.write_text(abi("show", "--include", include)[1], encoding="utf-8")
        status, out = abi("compare", now, changed)
        check(status == (1 if said else 0), f"{by}: exit status {status}\n{out}")
        wanted = f"error: .*{re.escape(said)}" if said else r"note: .*(added|ADDED)|: 0 errors, 0 notes"
        check(re.search(wanted, out), f"{by}: got {out}, wanted {wanted}")
    # With another number in the soname old programs keep the old library.
    text = re.sub(r"(#define SLM_ABI_VERSION) \d+", r"\1 99", original)
    header.write_text(text.replace("    SLM_ERR_NOMEM = 2,", ""), encoding="utf-8")
    changed.write_text(abi("show", "--include", include)[1], encoding="utf-8")
    status, out = abi("compare", now, changed)
    check(status == 0 and "note: soname" in out, f"another soname: exit status {status}\n{out}")


def main():
    status, out = abi("compare")
    check(status == 0, f"{out}Where the interface had to change: tools/package/abi.py write")
    kept = out.splitlines()[-1]
    with tempfile.TemporaryDirectory(prefix="slm-abi-") as folder:
        now = Path(folder, "now.json")
        now.write_text(abi("show")[1], encoding="utf-8")
        check_against_library(json.loads(now.read_text(encoding="utf-8")))
        for cc in ("gcc", "clang"):
            if shutil.which(cc):
                check(abi("show", cc=cc)[1] == now.read_text(encoding="utf-8"),
                      f"{cc} describes another interface than {CC}")
        check_changes(now, Path(folder))
    print(f"{kept}; {len(CHANGES) + 1} changes told apart")


if __name__ == "__main__":
    main()
