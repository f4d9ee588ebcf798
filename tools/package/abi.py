#!/usr/bin/env python3
"""The binary interface of libslm, as JSON: functions with their signatures, structs with the size of
each and the places of their members, enumerators, constants, types, soname, version.

    abi.py write        writes abi/<version>.json, to be kept with a release
    abi.py show         prints what the headers say now
    abi.py compare      compares the headers with the last one that is kept
    abi.py compare OLD.json NEW.json

What is gone or has changed is an error, what has been added is told. A struct that begins with
struct_size may grow at its end. Where the number of the soname differs, nothing is an error. The compiler
is $CC or cc; it has to make programs that run here.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
INCLUDE = HERE.parents[1] / "include"
KEPT = HERE / "abi"

TOKEN = re.compile(r'\w+|\.\.\.|"[^"]*"|[^\s\w]')
MARKER = re.compile(r'^# \d+ "([^"]*)".*\n', re.MULTILINE)
NOT_CONSTANTS = re.compile(r"SLM_(API|VERSION_\w+|ABI_VERSION|\w+_INIT)$")


def run(command, **kwargs):
    done = subprocess.run([str(c) for c in command], text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, check=False, **kwargs)
    if done.returncode != 0:
        sys.exit(f"abi: {' '.join(map(str, command))}: exit status {done.returncode}\n{done.stderr}")
    return done.stdout


# ---------------------------------------------------------------- reading the headers


def preprocessed(cc, include):
    """The declarations of our own headers, without comments and macros, as tokens."""
    text = run([cc, "-std=c11", "-E", include / "slm.h"])
    parts = MARKER.split(text)
    own = "".join(body for name, body in zip(parts[1::2], parts[2::2])
                  if Path(name).parent == include)
    return TOKEN.findall(own)


def statements(tokens):
    """Lists of tokens that end at a semicolon outside of braces."""
    depth, statement = 0, []
    for token in tokens:
        depth += (token == "{") - (token == "}")
        if token == ";" and depth == 0:
            yield statement
            statement = []
        else:
            statement.append(token)
    if statement:
        sys.exit(f"abi: the headers end within: {' '.join(statement[:12])}")


def spelled(tokens):
    """Tokens as a type is written: "const char *", "char [80]"."""
    text = " ".join(tokens)
    text = re.sub(r"\* (?=[*\w)])", "*", text)
    return re.sub(r" ?([()\[\],]) ?", r"\1", text).replace(",", ", ").replace("[", " [", 1)


def split(tokens, separator):
    """Splits at a separator outside of parentheses and brackets."""
    parts, depth = [[]], 0
    for token in tokens:
        depth += (token in "([") - (token in ")]")
        if token == separator and depth == 0:
            parts.append([])
        else:
            parts[-1].append(token)
    return parts


def without_name(tokens):
    """(type, name) of a declaration of one thing: "T name", "T name[n]", "T (*name)(...)"."""
    if "(" in tokens:
        at = tokens.index("*", tokens.index("(")) + 1
        behind = [")(" + parameter_types(tokens[tokens.index(")") + 2:-1]) + ")"]
    elif "[" in tokens:
        at = tokens.index("[") - 1
        behind = tokens[at + 1:]
    else:
        at, behind = len(tokens) - 1, []
    if at < 1 or not re.fullmatch(r"[A-Za-z_]\w*", tokens[at]):
        sys.exit(f"abi: cannot read the declaration: {' '.join(tokens)}")
    return spelled(tokens[:at] + behind), tokens[at]


def parameter_types(tokens):
    """Without their names, which callers do not see."""
    if tokens == ["void"]:
        return "void"
    return ", ".join(spelled(p) if p == ["..."] else without_name(p)[0] for p in split(tokens, ","))


def read_members(tokens):
    """[(name, type)], also of "T a, b" where T is one word and its stars."""
    members = []
    for declaration in split(tokens, ";"):
        if not declaration:
            continue
        if "{" in declaration:
            sys.exit(f"abi: a struct in a struct is not read: {' '.join(declaration[:6])}")
        first, *more = split(declaration, ",")
        kind, name = without_name(first)
        members.append((name, kind))
        base = [t for t in first[:first.index(name)] if t != "*"]
        members += [(n, k) for k, n in (without_name(base + m) for m in more)]
    return members


def read_function(tokens):
    """(name, signature)"""
    at = tokens.index("(")
    return tokens[at - 1], f"{spelled(tokens[:at - 1])}({parameter_types(tokens[at + 1:-1])})"


def read_headers(cc, include):
    """functions, types, structs (name -> members), names of enumerators."""
    functions, types, structs, enumerators = {}, {}, {}, []
    for s in statements(preprocessed(cc, include)):
        if s[:2] == ["typedef", "struct"] and "{" in s:
            opened = s.index("{")
            structs[s[-1]] = read_members(s[opened + 1:len(s) - 1 - s[::-1].index("}")])
        elif s[0] == "typedef":
            kind, name = without_name(s[1:])
            types[name] = kind
        elif s[0] == "enum":
            enumerators += [e[0] for e in split(s[s.index("{") + 1:-1], ",") if e]
        elif "(" in s:
            name, signature = read_function(s)
            functions[name] = signature
        else:
            sys.exit(f"abi: cannot read the declaration: {' '.join(s[:12])}")
    if not functions or not structs or not enumerators:
        sys.exit(f"abi: {include}: got no functions, structs or enumerators")
    return functions, types, structs, enumerators


def read_constants(cc, include):
    """Names of macros that are numbers."""
    names = []
    for line in run([cc, "-std=c11", "-dM", "-E", include / "slm.h"]).splitlines():
        match = re.match(r"#define (SLM_\w+) (\S.*)", line)
        if match and not NOT_CONSTANTS.match(match[1]):
            names.append(match[1])
    return sorted(names)


PROGRAM = """#include "slm.h"
#include <stdio.h>
int main(void) {
    printf("version %d.%d.%d\\n", SLM_VERSION_MAJOR, SLM_VERSION_MINOR, SLM_VERSION_PATCH);
    printf("abi %d\\n", SLM_ABI_VERSION);
    printf("pointer %zu\\n", 8 * sizeof(void *));
"""


def measure(cc, include, structs, numbers):
    """What a program that is compiled with the headers finds: words and their numbers."""
    lines = [PROGRAM]
    for name, members in structs.items():
        lines.append(f'    printf("{name} %zu\\n", sizeof({name}));\n')
        lines += [f'    printf("{name}.{m} %zu %zu\\n", offsetof({name}, {m}), '
                  f'sizeof((({name} *)0)->{m}));\n' for m, _ in members]
    lines += [f'    printf("{n} %lld\\n", (long long)({n}));\n' for n in numbers]
    lines.append("    return 0;\n}\n")
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder, "measure")
        run([cc, "-std=c11", f"-I{include}", "-x", "c", "-", "-o", program], input="".join(lines))
        found = [line.split() for line in run([program]).splitlines()]
    return {words[0]: words[1:] for words in found}


def describe(cc, include=INCLUDE):
    include = Path(include).resolve()
    functions, types, structs, enumerators = read_headers(cc, include)
    constants = read_constants(cc, include)
    found = measure(cc, include, structs, enumerators + constants)
    layouts = {}
    for name, members in structs.items():
        places = [[m, kind, *map(int, found[f"{name}.{m}"])] for m, kind in members]
        layouts[name] = {"size": int(found[name][0]), "members": places}
    return {"library": "libslm", "version": found["version"][0], "abi": int(found["abi"][0]),
            "soname": f"libslm.so.{found['abi'][0]}", "pointer_bits": int(found["pointer"][0]),
            "functions": functions, "types": types, "structs": layouts,
            "enumerators": {name: int(found[name][0]) for name in enumerators},
            "constants": {name: int(found[name][0]) for name in constants}}


# ---------------------------------------------------------------- comparing


def grows(members):
    return members[0][0] == "struct_size"


def compare_structs(name, old, new, errors, notes):
    for i, member in enumerate(old["members"]):
        got = new["members"][i] if i < len(new["members"]) else None
        if got != member:
            errors.append(f"struct {name}: member {i} was {member}, is {got}")
    added = [m[0] for m in new["members"][len(old["members"]):]]
    if added and grows(old["members"]):
        notes.append(f"struct {name}: added {', '.join(added)}")
    elif added:
        errors.append(f"struct {name}: added {', '.join(added)}, but it has no struct_size")
    elif new["size"] != old["size"]:
        errors.append(f"struct {name}: size was {old['size']}, is {new['size']}")


def compare(old, new):
    """(errors, notes), as lines."""
    errors, notes = [], []
    if old["pointer_bits"] != new["pointer_bits"]:
        return [f"pointers have {old['pointer_bits']} and {new['pointer_bits']} bits: "
                "descriptions of different kinds of machines cannot be compared"], []
    for section in ("functions", "types", "structs", "enumerators", "constants"):
        kind = section.rstrip("s")
        for name, was in old[section].items():
            now = new[section].get(name)
            if now is None:
                errors.append(f"{kind} {name}: is gone")
            elif section == "structs":
                compare_structs(name, was, now, errors, notes)
            elif now != was:
                errors.append(f"{kind} {name}: was {was}, is {now}")
        notes += [f"{kind} {name}: added" for name in new[section] if name not in old[section]]
    if old["abi"] != new["abi"]:
        return [], [f"soname: was {old['soname']}, is {new['soname']}"] + errors + notes
    return errors, notes


# ---------------------------------------------------------------- files


def number(path):
    return [int(n) for n in path.stem.split(".")]


def last_kept():
    kept = sorted(KEPT.glob("*.json"), key=number)
    if not kept:
        sys.exit(f"abi: {KEPT}: got no description that is kept, wanted one: abi.py write")
    return kept[-1]


def formatted(description):
    """JSON with one function, member or enumerator a line, for the eye and for diffs."""
    def entries(section, indent):
        lines = []
        for key, value in section.items():
            if isinstance(value, dict) and "members" in value:
                members = ",\n".join(f"{indent}  {json.dumps(m)}" for m in value["members"])
                shown = f'{{"size": {value["size"]}, "members": [\n{members}]}}'
            else:
                shown = json.dumps(value)
            lines.append(f"{indent}{json.dumps(key)}: {shown}")
        return ",\n".join(lines)

    parts = [f'"{key}": {{\n{entries(value, "  ")}}}' if isinstance(value, dict)
             else f'"{key}": {json.dumps(value)}' for key, value in description.items()]
    return "{" + ",\n".join(parts) + "}\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("command", choices=["write", "show", "compare"])
    parser.add_argument("files", nargs="*", type=Path, metavar="OLD.json NEW.json")
    parser.add_argument("--include", default=INCLUDE, type=Path, help="folder of the headers")
    args = parser.parse_args()
    if len(args.files) not in ((0, 2) if args.command == "compare" else (0,)):
        parser.error("compare takes two files, or none")
    cc = os.environ.get("CC", "cc")
    if args.files:
        old, new = (json.loads(f.read_text(encoding="utf-8")) for f in args.files)
    else:
        new = describe(cc, args.include)
    if args.command == "show":
        print(formatted(new), end="")
    elif args.command == "write":
        path = KEPT / f"{new['version']}.json"
        path.write_text(formatted(new), encoding="utf-8")
        print(path)
    else:
        if not args.files:
            old = json.loads(last_kept().read_text(encoding="utf-8"))
        errors, notes = compare(old, new)
        for line in notes:
            print(f"note: {line}")
        for line in errors:
            print(f"error: {line}")
        print(f"abi: {old['version']} to {new['version']}: {len(errors)} errors, {len(notes)} notes")
        sys.exit(1 if errors else 0)


if __name__ == "__main__":
    main()
