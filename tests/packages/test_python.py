"""The Python binding against the headers, and its types: what the headers say is what it has, all
functions are reached, and mypy --strict finds nothing in it, and mistakes in programs that use it."""

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from package_case import BINARY, CC, HEARTH, ROOT, check, run

sys.path.insert(0, str(ROOT / "tests/serve"))
import pypi  # pylint: disable=wrong-import-position

BINDING = ROOT / "examples/ffi/python"
PACKAGES = ("mypy", "typing_extensions")

# What Python has in another way: enumerations have names; one function renders lists of messages and
# whole conversations.
OTHERWISE = {"slm_status_name", "slm_tool_format_name", "slm_chat_render", "slm_chat_tokenize"}

PROGRAM = '''
import asyncio
import sys
from typing import Iterator, List
import slm
from slm import aio

def said(chat: slm.Chat, text: str) -> Iterator[str]:
    chat.add("user", text)
    for part in chat.answer(temperature=0, max_tokens=40):
        if isinstance(part, slm.Call):
            raise TypeError(part.name)
        yield part

def both(model: slm.Model, texts: List[str]) -> List[str]:
    with model.batch(max_running=2, cache={"n_ctx": 256}) as batch:
        asked = [batch.answer(model.chat_ids([("user", t)]), temperature=0) for t in texts]
        batch.wait(asked)
        return [request.text for request in asked]

async def together(model: slm.Model, texts: List[str]) -> List[str]:
    async with await aio.Batch.open(model, max_running=2, cache={"n_ctx": 256}) as batch:
        async def one(text: str) -> str:
            said = ""
            async with batch.answer(model.chat_ids([("user", text)]), temperature=0) as request:
                async for part in request:
                    said += part if isinstance(part, str) else part.name
            return said
        async with await aio.Session.open(model, n_ctx=256) as session:
            pieces: List[str] = [p async for p in session.ask("Thank you", temperature=0)]
        return [*await asyncio.gather(*map(one, texts)), "".join(pieces)]

with slm.Model(sys.argv[1]) as model, model.session(n_ctx=512, kv_type=slm.KvType.F16) as session:
    n: int = model.info.n_layers
    with session.chat(system="You are Hearth.") as chat:
        print("".join(said(chat, "Set a timer for ten minutes.")))
    vector = session.embed("hello")
    first: float = vector[0]
    try:
        session.prompt([-1])
    except slm.Error as error:
        print(error.status.name, error.subject, error.offset, n > 0, first != 0)
    print(both(model, ["Set a timer for ten minutes."])[0])
    print(asyncio.run(together(model, ["Set a timer for ten minutes.", "Thank you"]))[0])
'''

# (a line of a program, what mypy says of it)
MISTAKES = [
    ("model.session(n_ctx='many')", "arg-type|typeddict-item"),
    ("model.session(context=5)", "call-arg"),
    ("next(session.generate(heat=1.0))", "call-arg"),
    ("session.info.n_token", "attr-defined"),
    ("x: str = model.tokenize('a')", "assignment"),
    ("model.plan(kv_type=slm.Pooling.MEAN)", "arg-type|typeddict-item"),
    ("aio.Session(session).generate(heat=1.0)", "call-arg"),
    ("aio.Batch.open(model, running=1)", "call-arg"),
]


def check_functions():
    text = "".join(p.read_text(encoding="utf-8") for p in sorted(BINDING.glob("slm/*.py"))
                   if p.name not in ("_abi.py", "_types.py"))
    functions = set(re.findall(r'^    "(slm_\w+)":', (BINDING / "slm/_abi.py").read_text(), re.M))
    exported = set((ROOT / "tests/house/symbols.txt").read_text().split())
    check(functions == exported, f"_abi.py and symbols.txt differ: {sorted(functions ^ exported)}")
    reached = {name for name in functions if re.search(rf"\b{name}\b", text)}
    check(functions - reached == OTHERWISE,
          f"not reached from Python: {sorted(functions - reached - OTHERWISE)}; reached: "
          f"{sorted(reached & OTHERWISE)}")


def mypy(python, folder, *files):
    env = dict(os.environ, MYPYPATH=str(BINDING), MYPY_CACHE_DIR=str(folder / "cache"))
    done = subprocess.run([str(python), "-m", "mypy", "--strict", *map(str, files)], env=env,
                          cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          check=False)
    return done.returncode, done.stdout


def check_types(python, folder):
    program, wrong = folder / "program.py", folder / "wrong.py"
    program.write_text(PROGRAM, encoding="utf-8")
    status, out = mypy(python, folder, BINDING / "slm", program)
    check(status == 0, f"mypy --strict: exit status {status}\n{out}")
    head = "import slm\nfrom slm import aio\nmodel = slm.Model('x')\nsession = model.session()\n"
    wrong.write_text(head + "".join(f"{line}\n" for line, _ in MISTAKES), encoding="utf-8")
    _, out = mypy(python, folder, wrong)
    for number, (line, wanted) in enumerate(MISTAKES, head.count("\n") + 1):
        check(re.search(rf"wrong\.py:{number}: error: .*\[({wanted})\]", out),
              f"{line}: mypy does not say {wanted}\n{out}")
    env = dict(os.environ, PYTHONPATH=str(BINDING), SLM_LIBRARY=str(BINARY / "libslm.so"))
    out = run(sys.executable, "-B", "-W", "error", program, HEARTH, env=env).splitlines()
    check(re.search("ten|10", out[0]) and out[1].startswith("RANGE ") and
          out[1].endswith(" None True True") and re.search("ten|10", out[2]) and
          re.search("ten|10", out[3]),
          f"the program says {out}")


def main():
    run(sys.executable, "-B", ROOT / "tools/package/python_abi.py", "compare",
        env=dict(os.environ, CC=CC))
    check_functions()
    python = pypi.need("mypy-venv", PACKAGES)
    with tempfile.TemporaryDirectory(prefix="slm-python-") as folder:
        check_types(python, Path(folder))
    print(f"python: the headers' structs and functions; mypy --strict; {len(MISTAKES)} mistakes found")


if __name__ == "__main__":
    main()
