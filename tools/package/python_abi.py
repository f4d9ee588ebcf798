#!/usr/bin/env python3
"""Writes what the Python binding has of the headers: structs and prototypes for ctypes (_abi.py), and
enumerations, results and options as Python sees them (_types.py).

    python_abi.py write      writes examples/ffi/python/slm/_abi.py and _types.py
    python_abi.py compare    says whether they are what the headers say now

The description of the interface comes from abi.py. So no place of a member is ever typed by hand, and a
function that is added to the headers is in the binding's table when the next test runs.
"""

import argparse
import re
import sys
import textwrap
from pathlib import Path

import abi

BINDING = abi.HERE.parents[1] / "examples/ffi/python/slm"
WIDTH = 100

PLAIN = {"uint8_t": "c_uint8", "int32_t": "c_int32", "uint32_t": "c_uint32", "int64_t": "c_int64",
         "uint64_t": "c_uint64", "size_t": "c_size_t", "float": "c_float", "double": "c_double",
         "int": "c_int", "char": "c_char", "void": "None"}

# A C type, its name in Python, the prefix of its enumerators, and those with that prefix that are others'.
ENUMS = [
    ("slm_status", "Status", "SLM_ERR_", ()),
    ("slm_log_level", "LogLevel", "SLM_LOG_", ()),
    ("slm_device", "Device", "SLM_DEVICE_", ()),
    ("slm_load", "Load", "SLM_LOAD_", ()),
    ("slm_kv_type", "KvType", "SLM_KV_", ()),
    ("slm_rope_factors", "RopeFactors", "SLM_ROPE_", ()),
    ("slm_bound", "Bound", "SLM_BOUND_", ()),
    (None, "Logits", "SLM_LOGITS_", ()),
    ("slm_reuse_stop", "ReuseStop", "SLM_REUSE_", ()),
    ("slm_op", "Op", "SLM_OP_", ("COUNT",)),
    (None, "Sampler", "SLM_SAMPLER_", ()),
    ("slm_match", "Match", "SLM_MATCH_", ()),
    ("slm_event_type", "EventType", "SLM_EVENT_", ()),
    ("slm_end_reason", "EndReason", "SLM_END_", ()),
    ("slm_tool_format", "ToolFormat", "SLM_TOOLS_", ()),
    ("slm_tool_choice", "ToolChoice", "SLM_TOOL_CHOICE_", ()),
    ("slm_tool_event_type", "ToolEventType", "SLM_TOOL_",
     ("CHOICE_AUTO", "CHOICE_NONE", "CHOICE_REQUIRED", "CHOICE_NAMED")),
    ("slm_speech_event_type", "SpeechEventType", "SLM_SPEECH_",
     ("SENTENCES", "INLINE_CODE", "PLAIN", "IN_THINKING")),
    ("slm_filter_place", "FilterPlace", "SLM_FILTER_", ("PASS", "REPLACE", "STOP")),
    ("slm_filter_action", "FilterAction", "SLM_FILTER_", ("INPUT", "OUTPUT")),
    ("slm_answer_event_type", "AnswerEventType", "SLM_ANSWER_", ("THINKING", "CALLS")),
    ("slm_chat_full", "ChatFull", "SLM_CHAT_FULL_", ()),
    ("slm_chat_segment", "Segment", "SLM_SEGMENT_", ()),
    ("slm_request_kind", "RequestKind", "SLM_REQUEST_", ("TOKENS", "FORGET")),
    ("slm_pooling", "Pooling", "SLM_POOLING_", ()),
    ("slm_batch_event_type", "BatchEventType", "SLM_BATCH_", ()),
]
FLAGS = [("CpuLevel", "SLM_CPU_"), ("TokenFlag", "SLM_TOKEN_")]
# Flags that are arguments of their own in Python.
ARGUMENTS = re.compile(r"SLM_(MODEL|BOS|DETOKENIZE|CACHE|GUIDE|GENERATE)_|SLM_CHAT_(?!FULL_)|"
                       r"SLM_(SPEECH_(SENTENCES|INLINE_CODE|PLAIN|IN_THINKING)|ANSWER_(THINKING|CALLS)|"
                       r"REQUEST_(TOKENS|FORGET))$")
RESULTS = {"slm_model_info": "ModelInfo", "slm_plan": "Plan", "slm_device_profile": "DeviceProfile",
           "slm_prediction": "Prediction", "slm_weight_cost": "WeightCost",
           "slm_prompt_report": "PromptReport", "slm_session_info": "SessionInfo",
           "slm_op_info": "OpInfo", "slm_snapshot_info": "SnapshotInfo",
           "slm_matcher_info": "MatcherInfo", "slm_chat_info": "ChatInfo",
           "slm_chat_report": "ChatReport", "slm_batch_report": "BatchReport",
           "slm_batch_info": "BatchInfo"}
OPTIONS = {"slm_cache_options": "CacheOptions", "slm_sampling": "SamplingNumbers",
           "slm_batch_options": "BatchNumbers", "slm_predict_options": "PredictOptions"}
BOOLS = {"has_weights", "add_bos", "can_end", "must_end", "sleeps", "has_draft"}
FLAG_MEMBERS = {"cpu_levels": "CpuLevel"}

ABI_HEAD = '''"""The structs and functions of libslm {version} for ctypes.

Written by tools/package/python_abi.py."""
from __future__ import annotations

import ctypes
from ctypes import (CFUNCTYPE, POINTER, c_char, c_char_p, c_double, c_float, c_int, c_int32, c_int64,
                    c_size_t, c_uint8, c_uint32, c_uint64, c_void_p)
from typing import Any, Dict, Tuple


class Struct(ctypes.Structure):
    """A struct; where it begins with its own size, as most do, that is filled in."""

    def __init__(self, **fields: Any) -> None:
        for name in fields:
            if not hasattr(type(self), name):
                raise TypeError(f"{{type(self).__name__}} has no field {{name!r}}")
        super().__init__(**fields)
        if hasattr(type(self), "struct_size"):
            self.struct_size = ctypes.sizeof(self)

    def __setattr__(self, name: str, value: Any) -> None:
        """ctypes cuts off what does not fit an integer; here that is an OverflowError."""
        super().__setattr__(name, value)
        got = getattr(self, name)
        if isinstance(value, int) and isinstance(got, int) and got != value:
            bits = 8 * getattr(type(self), name).size
            super().__setattr__(name, -1)
            signed = getattr(self, name) < 0
            least, most = (-1 << bits - 1, (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
            raise OverflowError(f"{{type(self).__name__}}.{{name}}: got {{value}}, wanted {{least}} "
                                f"to {{most}}")

'''

TYPES_HEAD = '''"""Enumerations, results and options of libslm {version}; slm.h says what they mean.

Written by tools/package/python_abi.py."""
from __future__ import annotations

from enum import IntEnum, IntFlag
from typing import NamedTuple, Tuple, TypedDict


class _Enum(IntEnum):
    """A number that a newer library knows and this file does not is a member without a place."""

    @classmethod
    def _missing_(cls, value: object) -> _Enum:
        if not isinstance(value, int):
            raise ValueError(f"{{value!r}} is not a number of {{cls.__name__}}")
        member = int.__new__(cls, value)
        member._name_ = f"UNKNOWN_{{value}}"
        member._value_ = value
        return member

'''


class Reader:
    def __init__(self, description):
        self.types = description["types"]
        self.structs = description["structs"]

    def is_opaque(self, name):
        return self.types.get(name, "").startswith("struct ")

    def field(self, type_, is_result):
        """The type of a member for ctypes. Texts of results have no NUL, so they are addresses."""
        array = re.fullmatch(r"(\w+) \[(\d+)\]", type_)
        if array:
            return f"{self.field(array[1], is_result)} * {array[2]}"
        if "(*)" in type_:
            return "c_void_p"
        if type_.endswith("*"):
            inner = type_[:-1].replace("const ", "").strip()
            if inner == "char" and not is_result:
                return "c_char_p"
            if inner in self.structs or inner in ("int32_t", "float"):
                return f"POINTER({PLAIN.get(inner, inner)})"
            return "c_void_p"
        if type_ in self.types and "(*)" in self.types[type_]:
            return type_
        return PLAIN[self.types.get(type_, type_)]

    def parameter(self, type_):
        if type_ == "const char *":
            return "c_char_p"
        if type_.endswith("*"):
            return "c_void_p"
        return self.field(type_, False)

    def callback(self, type_):
        """CFUNCTYPE of int32_t(*)(void *, ...): all pointers are addresses."""
        result, parameters = re.fullmatch(r"(\w+)\(\*\)\((.*)\)", type_).groups()
        parts = ["c_void_p" if p.endswith("*") else self.field(p, True)
                 for p in parameters.split(", ")]
        return f"CFUNCTYPE({', '.join([PLAIN[result], *parts])})"


def is_result(name):
    return name.endswith(("_event", "_info", "_report"))


def list_of(items, first, indent):
    """The items with commas, in lines; none is broken."""
    whole = ", ".join(item.replace(" ", "\0") for item in items)
    return textwrap.fill(whole, WIDTH, initial_indent=first, subsequent_indent=indent,
                         break_long_words=False, break_on_hyphens=False).replace("\0", " ")


def write_abi(description):
    reader = Reader(description)
    out = [ABI_HEAD.format(version=description["version"])]
    for name, value in description["constants"].items():
        if name == "SLM_NTS":
            continue
        out.append(f"{name.removeprefix('SLM_')} = {value}\n")
    for name, value in description["enumerators"].items():
        if ARGUMENTS.match(name):
            out.append(f"{name.removeprefix('SLM_')} = {value}\n")
    out.append("\n")
    for name, type_ in reader.types.items():
        if "(*)" in type_:
            out.append(f"{name} = {reader.callback(type_)}\n")
    for name, struct in reader.structs.items():
        members = [f'("{m}", {reader.field(t, is_result(name))})' for m, t, *_ in struct["members"]]
        body = list_of(members, " " * 8, " " * 8)
        out.append(f"\n\nclass {name}(Struct):\n    _fields_ = [\n{body}]\n")
    out.append("\n\n# What a function gives, and what it takes.\n"
               "FUNCTIONS: Dict[str, Tuple[Any, ...]] = {\n")
    for name, signature in description["functions"].items():
        result, parameters = re.fullmatch(r"(.*?)\((.*)\)", signature).groups()
        parts = [reader.parameter(p) for p in parameters.split(", ") if p != "void"]
        first = reader.parameter(result.strip()) if result != "void" else "None"
        parts = [first, *parts] if parts else [first + ","]
        out.append(list_of(parts, f'    "{name}": (', " " * 8) + "),\n")
    out.append("}\n")
    return "".join(out)


def value_type(reader, enums, member, type_):
    array = re.fullmatch(r"(\w+) \[(\d+)\]", type_)
    if array and array[1] == "char":
        return "str"
    if array:
        one = value_type(reader, enums, member, array[1])
        return f"Tuple[{', '.join([one] * int(array[2]))}]"
    if member in BOOLS:
        return "bool"
    if member in FLAG_MEMBERS:
        return FLAG_MEMBERS[member]
    if type_ in enums:
        return enums[type_]
    return "float" if type_ in ("float", "double") else "int"


def write_types(description):
    reader = Reader(description)
    enums = {c: name for c, name, _, _ in ENUMS if c}
    out = [TYPES_HEAD.format(version=description["version"])]
    covered = set()
    for kind, rows in (("_Enum", [(n, p, x) for _, n, p, x in ENUMS]),
                       ("IntFlag", [(n, p, ()) for n, p in FLAGS])):
        for name, prefix, others in rows:
            out.append(f"\nclass {name}({kind}):\n")
            for enumerator, value in description["enumerators"].items():
                short = enumerator.removeprefix(prefix)
                if enumerator == "SLM_OK" and name == "Status":
                    short = "OK"
                elif short == enumerator or short in others:
                    continue
                out.append(f"    {short} = {value}\n")
                covered.add(enumerator)
            out.append("\n")
    missing = [e for e in description["enumerators"]
               if e not in covered and not ARGUMENTS.match(e) and e != "SLM_OP_COUNT"]
    if missing:
        sys.exit(f"python_abi: no enumeration has {', '.join(missing)}")
    for struct, name in RESULTS.items():
        out.append(f"\nclass {name}(NamedTuple):\n")
        for member, type_, *_ in reader.structs[struct]["members"][1:]:
            out.append(f"    {member}: {value_type(reader, enums, member, type_)}\n")
        out.append("\n")
    for struct, name in OPTIONS.items():
        out.append(f"\nclass {name}(TypedDict, total=False):\n")
        for member, type_, *_ in reader.structs[struct]["members"][1:]:
            if type_ in PLAIN or type_ in enums:
                if not member.startswith("n_dry") and member != "n_logit_bias":
                    out.append(f"    {member}: {value_type(reader, enums, member, type_)}\n")
        out.append("\n")
    return "".join(out).rstrip() + "\n"


def check_layout(description):
    """Whether ctypes puts the members of the structs where the compiler does."""
    sys.path.insert(0, str(BINDING.parent))
    from slm import _abi  # pylint: disable=import-outside-toplevel
    wrong = 0
    for name, struct in description["structs"].items():
        type_ = getattr(_abi, name)
        got = [_abi.ctypes.sizeof(type_), *(getattr(type_, m).offset for m, *_ in struct["members"])]
        want = [struct["size"], *(m[2] for m in struct["members"])]
        if got != want:
            print(f"python_abi: {name}: size and places of members: got {got}, wanted {want}",
                  file=sys.stderr)
            wrong += 1
    return wrong == 0


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("write", "compare"))
    args = parser.parse_args()
    description = abi.describe(abi.os.environ.get("CC", "cc"))
    good = True
    for name, text in (("_abi.py", write_abi(description)), ("_types.py", write_types(description))):
        path = Path(BINDING, name)
        if args.what == "write":
            path.write_text(text, encoding="ascii")
        elif not path.is_file() or path.read_text(encoding="ascii") != text:
            print(f"python_abi: {path} is not what the headers say: run tools/package/python_abi.py "
                  "write", file=sys.stderr)
            good = False
    if args.what == "compare":
        good = check_layout(description) and good
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
