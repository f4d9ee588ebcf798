"""docs/CLI.md and the manual pages against --help: each option is described for its command, and what is
described exists."""

import os
import re
import subprocess
from pathlib import Path

from tree import ROOT, Verdict

BIN = Path(os.environ["SLM_BINARY_DIR"]) / "bin"
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z0-9-]*")
LISTED = re.compile(r"^ {2}(?:-\w, | {4})(--[a-z0-9-]+)", re.MULTILINE)
EVERYWHERE = {"--help", "--quiet", "--version"}


def output(*command):
    return subprocess.run([str(c) for c in command], text=True, stdout=subprocess.PIPE, check=True).stdout


def sections(text):
    """{title: text} of the second level."""
    parts = re.split(r"^## (.*)$", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2]))


def described(section):
    """Options in the first cells of a section's tables."""
    cells = re.findall(r"^\|([^|]*)\|", section.replace(r"\|", "/"), re.MULTILINE)
    return {option for cell in cells for option in OPTION.findall(" ".join(re.findall("`(.*?)`", cell)))}


def commands_of(title):
    return [word.strip() for word in title.split(",")]


def main():
    verdict = Verdict("cli docs")
    text = (ROOT / "docs/CLI.md").read_text(encoding="utf-8")
    names = re.findall(r"^  ([a-z-]+) ", output(BIN / "slm", "--help"), re.MULTILINE)
    help_of = {name: output(BIN / "slm", name, "--help") for name in names}
    for program in ("slm-wyoming",):
        if (BIN / program).exists():
            help_of[program] = output(BIN / program, "--help")
            names.append(program)
    parts = sections(text)
    own = {name: "".join(body for title, body in parts.items() if name in commands_of(title))
           for name in names}
    shared = "".join(body for title, body in parts.items()
                     if not set(commands_of(title)) & set(names))
    every = set()
    for name in names:
        listed = set(LISTED.findall(help_of[name]))
        every |= listed
        verdict.check(listed, f"{name} --help lists no options")
        verdict.check(own[name], f"docs/CLI.md has no section {name}")
        taken = "".join(own.get(other, "") for other in re.findall("options of `([a-z]+)`", own[name]))
        known = set(OPTION.findall(own[name] + taken + shared)) | EVERYWHERE
        for option in sorted(listed - known):
            verdict.check(False, f"docs/CLI.md says nothing of {name} {option}")
    for title, body in parts.items():
        mine = [name for name in commands_of(title) if name in names]
        there = set().union(*(set(LISTED.findall(help_of[name])) for name in mine)) if mine else every
        for option in sorted(described(body) - there - EVERYWHERE):
            verdict.check(False, f"docs/CLI.md describes {option} in \"{title}\", which --help does not list")
    for page in sorted((ROOT / "docs/man").glob("*.1")):
        check_page(verdict, page, help_of)
    verdict.done()


def check_page(verdict, page, help_of):
    """A manual page names the options of its program; that of slm the commands."""
    roff = page.read_text(encoding="utf-8").replace("\\-", "-")
    verdict.check(roff.startswith(".TH "), f"{page.name}: begins without .TH")
    name = {"slm-pull": "pull"}.get(page.stem, page.stem)
    if name == "slm":
        wanted = {command for command in help_of if not command.startswith("slm")}
        got = set(re.findall(r"^\.TP\n\.B ([a-z-]+)$", roff, re.MULTILINE))
    elif name in help_of:
        wanted, got = set(LISTED.findall(help_of[name])), set(OPTION.findall(roff))
    else:
        return  # not built here
    verdict.check(got - EVERYWHERE == wanted - EVERYWHERE,
                  f"{page.name}: got and wanted differ in {sorted((got ^ wanted) - EVERYWHERE)}")


if __name__ == "__main__":
    main()
