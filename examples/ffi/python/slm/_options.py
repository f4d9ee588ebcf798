"""Options as Python has them, and as the library wants them."""
from __future__ import annotations

import ctypes
import json
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Mapping, Optional, Sequence, Tuple, Union

from . import _abi
from ._native import check_names, encoded, fields_of, guarded, load, spans, text_at
from ._types import (BatchNumbers, CacheOptions, FilterPlace, Sampler, SamplingNumbers,
                     ToolChoice, ToolFormat)

if TYPE_CHECKING:
    from ._model import Guide

Json = Dict[str, Any]
Message = Union[Json, Tuple[str, str]]  # all that templates know, or role and content
Tools = Sequence[Json]


class Stop(str):
    """What a filter returns to end the answer: this text takes the place of the clause."""


Filter = Callable[[FilterPlace, str], Optional[str]]  # None: as it is; a text: in its place; or Stop


class SamplingOptions(SamplingNumbers, total=False):
    """How tokens are chosen: the fields of slm_sampling, with its defaults."""

    logit_bias: Mapping[int, float]  # what is added to the logits of these ids
    dry_breakers: Sequence[str]
    order: Sequence[Sampler]


class GenerateOptions(SamplingOptions, total=False):
    """Fields of slm_generate_options, and those of slm_sampling."""

    max_tokens: int          # 0: as many as the context has room for
    stop: Sequence[str]
    guide: Optional[Guide]
    n_top: int               # best tokens to report with each token
    n_draft: int             # tokens tried with each, at most max_logits of the session's options
    special: bool            # control tokens appear in the text
    ignore_end: bool         # end tokens do not stop


class AnswerOptions(GenerateOptions, total=False):
    """Fields of slm_answer_options, and those of slm_generate_options."""

    thinking: bool           # thinking comes as events
    thinking_budget: int     # tokens after which it is closed
    calls: bool              # calls are looked for though there are no tools
    tools: Optional[Tools]
    tool_choice: Union[ToolChoice, str]  # or the name of the tool that must be called
    filter: Filter
    speech: Mapping[str, Any]  # fields of slm_speech_options; clauses and sentences come then


class BatchOptions(BatchNumbers, total=False):
    """Fields of slm_batch_options; cache has those of slm_cache_options."""

    cache: CacheOptions


_SAMPLING = fields_of(_abi.slm_sampling)
_GENERATE = ("max_tokens", "stop", "guide", "n_top", "n_draft", "special", "ignore_end")
_ANSWER = ("thinking", "thinking_budget", "calls", "tools", "tool_choice", "filter", "speech")


def as_json(value: Any) -> Tuple[Optional[bytes], int]:
    """Bytes of JSON and their number; None and 0 for None."""
    return encoded(None if value is None else json.dumps(value, ensure_ascii=False))


def sampling_struct(options: Dict[str, Any]) -> Any:
    """Takes what belongs to slm_sampling out of the options."""
    chain = _abi.slm_sampling()
    load().slm_sampling_init(ctypes.byref(chain))
    bias = options.pop("logit_bias", None) or {}
    pairs = [_abi.slm_logit_bias(id=i, bias=b) for i, b in bias.items()]
    chain.logit_bias = (_abi.slm_logit_bias * len(pairs))(*pairs)
    chain.n_logit_bias = len(pairs)
    if "dry_breakers" in options:
        breakers = spans(options.pop("dry_breakers"))
        chain.dry_breakers, chain.n_dry_breakers = breakers, len(breakers)
    order = list(options.pop("order", ()))
    if len(order) >= _abi.SAMPLER_MAX_STAGES:
        raise ValueError(f"order: got {len(order)} stages, wanted at most "
                         f"{_abi.SAMPLER_MAX_STAGES - 1}")
    for i, stage in enumerate(order):
        chain.order[i] = stage
    for name in [n for n in options if n in _SAMPLING]:
        setattr(chain, name, options.pop(name))
    return chain


def generate_struct(given: Mapping[str, Any]) -> Any:
    """slm_generate_options of GenerateOptions."""
    options = dict(given)
    check_names(options, [*_SAMPLING, *_GENERATE], "option of sampling or generation:")
    chain = sampling_struct(options)
    stop = spans(options.get("stop") or ())
    guide = options.get("guide")
    flags = ((_abi.GENERATE_SPECIAL if options.get("special") else 0) |
             (_abi.GENERATE_IGNORE_END if options.get("ignore_end") else 0))
    return _abi.slm_generate_options(
        flags=flags, max_tokens=options.get("max_tokens", 0), sampling=ctypes.pointer(chain),
        stop=stop, n_stop=len(stop), n_top=options.get("n_top", 0), n_draft=options.get("n_draft", 0),
        guide=guide._as_parameter_ if guide is not None else None)


def speech_struct(options: Mapping[str, Any]) -> Any:
    """slm_speech_options of its fields."""
    flags = {"sentences": _abi.SPEECH_SENTENCES, "inline_code": _abi.SPEECH_INLINE_CODE,
             "plain": _abi.SPEECH_PLAIN, "in_thinking": _abi.SPEECH_IN_THINKING}
    check_names(dict(options), [*flags, "min_clause", "max_piece", "min_first"], "option of speech:")
    return _abi.slm_speech_options(
        flags=sum(bit for name, bit in flags.items() if options.get(name)),
        min_clause=options.get("min_clause", 0), max_piece=options.get("max_piece", 0),
        min_first=options.get("min_first", 0))


def tools_struct(choice: Union[ToolChoice, str] = ToolChoice.AUTO,
                 tool_format: ToolFormat = ToolFormat.AUTO, schema: Optional[Json] = None) -> Any:
    """slm_tools_options; a choice that is a text names the tool that must be called."""
    name, n_name = encoded(None if isinstance(choice, ToolChoice) else choice)
    schema_text, n_schema = as_json(schema)
    return _abi.slm_tools_options(choice=ToolChoice.NAMED if name is not None else choice, name=name,
                                  name_len=n_name, format=tool_format, schema=schema_text,
                                  schema_len=n_schema)


def filter_callback(function: Optional[Filter]) -> Any:
    """slm_filter_fn; the text that it gives is kept until it is called again."""
    if function is None:
        return _abi.slm_filter_fn()
    kept: List[bytes] = []
    ask = function

    def run(_: int, place: int, text: int, n: int, address: int) -> int:
        verdict = _abi.slm_filter_verdict.from_address(address)
        said = ask(FilterPlace(place), text_at(text, n))
        if said is not None:
            kept[:] = [said.encode()]
            verdict.text, verdict.text_len = kept[0], len(kept[0])
            verdict.action = 2 if isinstance(said, Stop) else 1
        return 0
    return _abi.slm_filter_fn(guarded(run))


def answer_struct(given: Mapping[str, Any]) -> Any:
    """slm_answer_options of AnswerOptions."""
    options = dict(given)
    own = {name: options.pop(name) for name in _ANSWER if name in options}
    generate = generate_struct(options)
    tools, n_tools = as_json(own.get("tools"))
    flags = ((_abi.ANSWER_THINKING if own.get("thinking") else 0) |
             (_abi.ANSWER_CALLS if own.get("calls") else 0))
    struct = _abi.slm_answer_options(
        flags=flags, generate=ctypes.pointer(generate), tools=tools, tools_len=n_tools,
        thinking_budget=own.get("thinking_budget", 0), filter=filter_callback(own.get("filter")))
    if "tool_choice" in own:
        struct.tools_options = ctypes.pointer(tools_struct(own["tool_choice"]))
    if "speech" in own:
        struct.speech = ctypes.pointer(speech_struct(own["speech"]))
    return struct


def cache_struct(given: Mapping[str, Any], callback: Any = None) -> Any:
    """slm_cache_options of its fields."""
    known = [name for name in fields_of(_abi.slm_cache_options) if not name.startswith("yield")]
    check_names(dict(given), known, "option of caches:")
    struct = _abi.slm_cache_options(**given)
    if callback is not None:
        setattr(struct, "yield", callback)
    return struct


def message_struct(message: Message) -> Any:
    """slm_message of a dictionary or of role and content."""
    if isinstance(message, dict):
        data, n = as_json(message)
        return _abi.slm_message(content=data, content_len=n)
    role, n_role = encoded(message[0])
    content, n = encoded(message[1])
    return _abi.slm_message(role=role, role_len=n_role, content=content, content_len=n)


def chat_input(messages: Sequence[Message], tools: Optional[Tools], extra: Optional[Json],
               generation_prompt: bool, go_on: bool, now: int, chat_template: Optional[str]) -> Any:
    """slm_chat_input."""
    array = (_abi.slm_message * len(messages))(*[message_struct(m) for m in messages])
    tools_text, n_tools = as_json(tools)
    extra_text, n_extra = as_json(extra)
    template, n_template = encoded(chat_template)
    flags = _abi.CHAT_CONTINUE if go_on else _abi.CHAT_GENERATION_PROMPT if generation_prompt else 0
    return _abi.slm_chat_input(flags=flags, messages=array, n_messages=len(messages),
                               tools=tools_text, tools_len=n_tools, extra=extra_text,
                               extra_len=n_extra, now=now, chat_template=template,
                               chat_template_len=n_template)
