"""Models: files, vocabularies, templates, guides, and how fast a device would be."""
from __future__ import annotations

import ctypes
import functools
import json
import os
import sys
from typing import (TYPE_CHECKING, Any, Dict, Iterable, Iterator, List, NamedTuple, Optional, Sequence,
                    Tuple, Union)

from . import _abi
from ._native import (Error, Handle, Log, Progress, bytes_at, call, encoded, filled, ids_array,
                      log_callback, progress_callback, result, spans, text_at)
from ._options import (BatchOptions, Json, Message, SamplingOptions, Tools, as_json, cache_struct,
                       chat_input, speech_struct, tools_struct)
from ._types import (AnswerEventType, CacheOptions, CpuLevel, Device, DeviceProfile, Load, LogLevel, Match,
                     MatcherInfo, ModelInfo, Plan, PredictOptions, Prediction, SpeechEventType,
                     Status, TokenFlag, ToolChoice, ToolEventType, ToolFormat, WeightCost)

if TYPE_CHECKING:
    from typing_extensions import Self, Unpack

    from ._batch import Batch
    from ._session import Cache, Session

Path = Union[str, "os.PathLike[str]"]


class TokenInfo(NamedTuple):
    """A token of the vocabulary: its bytes as the file spells them."""

    text: bytes
    flags: TokenFlag
    score: float


class Call(NamedTuple):
    """A call of a tool; arguments as its schema says."""

    name: str
    arguments: Dict[str, Any]


class Piece(NamedTuple):
    """A piece to be spoken, made of bytes begin to end of the text."""

    text: str
    begin: int
    end: int
    ends_sentence: bool


class Model(Handle):
    """A GGUF file. Any thread; open sessions keep the model alive after close().

    device, load  where it runs, and how weights come into memory
    memory_limit  bytes that it and all that is opened on it may hold; 0: no limit
    cpu_levels    instructions that may be used; 0: all that the processor has
    log           is told lines, of log_level and worse
    progress      is told bytes done and in all while the file is read; False stops
    """

    _close = "slm_model_close"

    def __init__(self, path: Path, *, memory_limit: int = 0, vocab_only: bool = False,
                 strict: bool = False, check_tensors: bool = False, device: Device = Device.AUTO,
                 load: Load = Load.AUTO, cpu_levels: CpuLevel = CpuLevel(0),
                 packed_path: Optional[Path] = None, log: Optional[Log] = None,
                 log_level: LogLevel = LogLevel.WARNING,
                 progress: Optional[Progress] = None) -> None:
        super().__init__()
        self._open("slm_model_open", (os.fsencode(path),), _model_options(
            memory_limit, vocab_only, strict, check_tensors, device, load, cpu_levels, packed_path,
            log, log_level, progress))

    @classmethod
    def from_fd(cls, fd: int, *, memory_limit: int = 0, vocab_only: bool = False,
                strict: bool = False, check_tensors: bool = False, device: Device = Device.AUTO,
                load: Load = Load.AUTO, cpu_levels: CpuLevel = CpuLevel(0),
                packed_path: Optional[Path] = None, log: Optional[Log] = None,
                log_level: LogLevel = LogLevel.WARNING,
                progress: Optional[Progress] = None) -> Self:
        """The same from a descriptor, which stays the caller's."""
        model = cls.__new__(cls)
        Handle.__init__(model)
        model._open("slm_model_open_fd", (fd,), _model_options(
            memory_limit, vocab_only, strict, check_tensors, device, load, cpu_levels, packed_path,
            log, log_level, progress))
        return model

    @classmethod
    def from_buffer(cls, data: Union[bytes, bytearray, memoryview], *, memory_limit: int = 0,
                    vocab_only: bool = False, strict: bool = False, check_tensors: bool = False,
                    device: Device = Device.AUTO, load: Load = Load.AUTO,
                    cpu_levels: CpuLevel = CpuLevel(0), log: Optional[Log] = None,
                    log_level: LogLevel = LogLevel.WARNING,
                    progress: Optional[Progress] = None) -> Self:
        """The same from bytes, which must stay as they are until all is closed. They are used in place
        where their address allows it; bytes are not copied for that."""
        model = cls.__new__(cls)
        Handle.__init__(model)
        view = memoryview(data).cast("B")
        if view.readonly:
            owner: Any = ctypes.c_char_p(data if isinstance(data, bytes) else view.tobytes())
            model._kept.append(owner)
        else:
            owner = (ctypes.c_char * len(view)).from_buffer(view)
        model._open("slm_model_open_memory", (owner, len(view)), _model_options(
            memory_limit, vocab_only, strict, check_tensors, device, load, cpu_levels, None, log,
            log_level, progress))
        model._kept.append(owner)
        return model

    @property
    def _kept(self) -> List[Any]:
        """What C points to for as long as this object is there: the memory of the file, callbacks."""
        kept: List[Any] = self.__dict__.setdefault("_kept_list", [])
        return kept

    def _open(self, function: str, source: Tuple[Any, ...], options: Any) -> None:
        self._kept.append(options)
        self._make(function, *source, ctypes.byref(options), ctypes.byref(self._as_parameter_))

    def save_packed(self, path: Path, progress: Optional[Progress] = None) -> None:
        """Writes the weights as the kernels want them, for the next opening to use."""
        call("slm_model_save_packed", self, os.fsencode(path), progress_callback(progress), None)

    @property
    def info(self) -> ModelInfo:
        """What the file says of itself."""
        info = _abi.slm_model_info()
        call("slm_model_get_info", self, ctypes.byref(info))
        return result(ModelInfo, info)

    @functools.cached_property
    def n_vocab(self) -> int:
        """Entries of the vocabulary."""
        return self.info.n_vocab

    @functools.cached_property
    def d_model(self) -> int:
        """Numbers of an embedding."""
        return self.info.d_model

    def metadata(self, key: str) -> Optional[str]:
        """A value of the file's metadata as text, arrays as JSON; None where there is no such key."""
        try:
            data = filled(lambda *buffer: call("slm_model_get_meta", self, key.encode(), *buffer),
                          ctypes.c_char)
        except Error as error:
            if error.status == Status.MISSING:
                return None
            raise
        return bytes(data).decode(errors="replace")

    @property
    def sampling(self) -> SamplingOptions:
        """How the file recommends to choose tokens, else the defaults: options of generate and ask."""
        chain = _abi.slm_sampling()
        call("slm_model_get_sampling", self, ctypes.byref(chain))
        return {"temperature": chain.temperature, "top_k": chain.top_k, "top_p": chain.top_p,
                "min_p": chain.min_p, "repeat_penalty": chain.repeat_penalty,
                "penalty_last_n": chain.penalty_last_n}

    def token(self, token_id: int) -> TokenInfo:
        """A token of the vocabulary."""
        info = _abi.slm_token_info()
        call("slm_model_get_token", self, token_id, ctypes.byref(info))
        return TokenInfo(bytes_at(info.text, info.len), TokenFlag(info.flags), info.score)

    @property
    def tool_format(self) -> ToolFormat:
        """How the model writes calls of tools."""
        number = ctypes.c_int32()
        call("slm_model_get_tool_format", self, ctypes.byref(number))
        return ToolFormat(number.value)

    # ---- text and ids

    def tokenize(self, text: Union[str, bytes, Sequence[Tuple[str, bool]]], trusted: bool = False,
                 bos: Optional[bool] = None) -> List[int]:
        """Text to ids. In trusted text the spellings of control tokens become control tokens; a list
        of pairs of a text and whether it is trusted is one text. bos: None is as the model wants."""
        if isinstance(text, (str, bytes)):
            array = spans([text])
            array[0].trusted = trusted
        else:
            array = spans(text)
        mode = 0 if bos is None else 1 if bos else 2
        return self._ids("slm_tokenize", array, len(array), mode)

    def _ids(self, function: str, *args: Any) -> List[int]:
        return list(filled(lambda *buffer: call(function, self, *args, *buffer), ctypes.c_int32))

    def detokenize(self, ids: Iterable[int], special: bool = False, drop_space: bool = False) -> bytes:
        """Ids to bytes, exactly as the tokens spell them: a part of a character is possible."""
        array = ids_array(ids)
        flags = special | drop_space << 1
        return bytes(filled(lambda *buffer: call("slm_detokenize", self, array, len(array), flags,
                                                 *buffer), ctypes.c_char))

    def detokenizer(self, special: bool = False, drop_space: bool = False) -> Detokenizer:
        """Ids to text, one after the other."""
        return Detokenizer(self, special, drop_space)

    def chat_ids(self, messages: Sequence[Message], tools: Optional[Tools] = None,
                 extra: Optional[Json] = None, generation_prompt: bool = True, go_on: bool = False,
                 now: int = 0, chat_template: Optional[str] = None) -> List[int]:
        """Ids of a conversation up to where the assistant answers. Messages are pairs of role and
        content, or dictionaries with all that templates know ("tool_calls", ...); tools are a list of
        {"type": "function", "function": {"name": ..., "parameters": a JSON Schema}}; extra has further
        variables of the template. go_on: end behind the last message, for the model to go on with."""
        chat = chat_input(messages, tools, extra, generation_prompt, go_on, now, chat_template)
        return self._ids("slm_chat_tokenize_input", ctypes.byref(chat))

    def render(self, messages: Sequence[Message], tools: Optional[Tools] = None,
               extra: Optional[Json] = None, generation_prompt: bool = True, go_on: bool = False,
               now: int = 0, chat_template: Optional[str] = None) -> str:
        """The same as text, for the eye: what comes from messages is not kept apart in it."""
        chat = chat_input(messages, tools, extra, generation_prompt, go_on, now, chat_template)
        return bytes(filled(lambda *buffer: call("slm_chat_render_input", self, ctypes.byref(chat),
                                                 *buffer), ctypes.c_char)).decode(errors="replace")

    # ---- what answers are held to, and taken apart by

    def tool_guide(self, tools: Tools, choice: Union[ToolChoice, str] = ToolChoice.AUTO,
                   tool_format: ToolFormat = ToolFormat.AUTO, schema: Optional[Json] = None,
                   one_call: bool = False, **options: Any) -> Guide:
        """Holds the calls in answers to these tools and their schemas; other text stays free, or is
        held to the schema. choice: whether there may or must be calls, or the name of the tool that
        must be called. options: as of schema_guide()."""
        more = tools_struct(choice, tool_format, schema)
        return Guide(self, "slm_guide_compile_tools", as_json(tools), (ctypes.byref(more),),
                     one_call=one_call, **options)

    def schema_guide(self, schema: Json, **options: Any) -> Guide:
        """Holds answers to a JSON Schema. options: memory_limit in bytes; triggers, texts, and
        trigger_tokens, ids, before which the text is free; lenient, for match() of others' texts."""
        return Guide(self, "slm_guide_compile_json_schema", as_json(schema), (), **options)

    def grammar(self, gbnf: str, **options: Any) -> Guide:
        """Holds answers to a grammar in GBNF. options: as of schema_guide()."""
        return Guide(self, "slm_guide_compile_gbnf", encoded(gbnf), (), **options)

    def tool_parser(self, tool_format: ToolFormat = ToolFormat.AUTO,
                    max_call_bytes: int = 0) -> ToolParser:
        """Finds calls in the text of an answer while it comes."""
        return ToolParser(self, tool_format, max_call_bytes)

    def speech(self, **options: Any) -> Speech:
        """Cuts a text into pieces to be spoken. options: min_clause, max_piece, min_first, and
        sentences, inline_code, plain, in_thinking as truth values."""
        return Speech(self, **options)

    # ---- what can be opened on it, and what that takes

    def session(self, progress: Optional[Progress] = None, **options: Unpack[CacheOptions]) -> Session:
        """A conversation with a cache of its own; options are fields of slm_cache_options (n_ctx,
        kv_type, n_threads, ...). progress is told tokens done and in all of long prompts."""
        from ._session import Session  # pylint: disable=import-outside-toplevel
        return Session(self, progress=progress, **options)

    def cache(self, progress: Optional[Progress] = None, **options: Unpack[CacheOptions]) -> Cache:
        """Memory for several sessions (max_sessions) that are evaluated together."""
        from ._session import Cache  # pylint: disable=import-outside-toplevel
        return Cache(self, progress=progress, **options)

    def batch(self, **options: Unpack[BatchOptions]) -> Batch:
        """Many requests that are answered together."""
        from ._batch import Batch  # pylint: disable=import-outside-toplevel
        return Batch(self, **options)

    def plan(self, **options: Unpack[CacheOptions]) -> Plan:
        """What would be in memory with a session or cache of these options."""
        plan = _abi.slm_plan()
        call("slm_cache_plan", self, ctypes.byref(cache_struct(options)), ctypes.byref(plan))
        return result(Plan, plan)

    def predict(self, profile: Union[str, DeviceProfile],
                **options: Unpack[PredictOptions]) -> Prediction:
        """How fast a device would run the model, worked out and not measured."""
        if isinstance(profile, str):
            profile = device_profile(profile)
        given = {name: v.encode() if isinstance(v, str) else v for name, v in
                 profile._asdict().items()}
        asked, prediction = _abi.slm_predict_options(**options), _abi.slm_prediction()
        call("slm_predict", self, ctypes.byref(_abi.slm_device_profile(**given)), ctypes.byref(asked),
             ctypes.byref(prediction))
        return result(Prediction, prediction)

    def weight_costs(self) -> Iterator[WeightCost]:
        """What a token reads of each type of tensor."""
        return _all("slm_predict_weights", WeightCost, _abi.slm_weight_cost, self)


def _model_options(memory_limit: int, vocab_only: bool, strict: bool, check_tensors: bool,
                   device: Device, load_: Load, cpu_levels: int, packed_path: Optional[Path],
                   log: Optional[Log], log_level: LogLevel, progress: Optional[Progress]) -> Any:
    flags = ((_abi.MODEL_VOCAB_ONLY if vocab_only else 0) | (_abi.MODEL_STRICT if strict else 0) |
             (_abi.MODEL_CHECK_TENSORS if check_tensors else 0))
    return _abi.slm_model_options(
        flags=flags, device=device, load=load_, memory_limit=memory_limit, cpu_levels=cpu_levels,
        log_level=log_level, log=log_callback(log), progress=progress_callback(progress),
        packed_path=None if packed_path is None else os.fsencode(packed_path))


def _all(function: str, kind: Any, struct: Any, *first: Any) -> Iterator[Any]:
    """All that a function gives by index, until SLM_ERR_RANGE."""
    index = 0
    while True:
        one = struct()
        try:
            call(function, *first, index, ctypes.byref(one))
        except Error as error:
            if error.status == Status.RANGE:
                return
            raise
        yield result(kind, one)
        index += 1


def device_profiles() -> Iterator[DeviceProfile]:
    """The devices that the library knows, for Model.predict()."""
    return _all("slm_device_profile_get", DeviceProfile, _abi.slm_device_profile)


def device_profile(name: str) -> DeviceProfile:
    """That of a name, such as "agx-orin-64:30w"."""
    profile = _abi.slm_device_profile()
    call("slm_device_profile_find", name.encode(), ctypes.byref(profile))
    return result(DeviceProfile, profile)


class Detokenizer(Handle):
    """Ids to text: the bytes of an unfinished character are held back until it is whole."""

    _close = "slm_detokenizer_close"

    def __init__(self, model: Model, special: bool = False, drop_space: bool = False) -> None:
        super().__init__()
        self._model = model
        self._make("slm_detokenizer_open", model, special | drop_space << 1,
                   ctypes.byref(self._as_parameter_))

    def feed(self, token_id: int) -> str:
        """What can be shown now."""
        text, n = ctypes.c_void_p(), ctypes.c_size_t()
        call("slm_detokenizer_feed", self, token_id, ctypes.byref(text), ctypes.byref(n))
        return text_at(text.value, n.value)

    def finish(self) -> str:
        """The end of the text; the next id begins another one."""
        text, n = ctypes.c_void_p(), ctypes.c_size_t()
        call("slm_detokenizer_finish", self, ctypes.byref(text), ctypes.byref(n))
        return text_at(text.value, n.value)


class Guide(Handle):
    """What answers are held to: the option guide of generate(), for any number of answers. Without a
    model (Guide.of_schema, Guide.of_grammar) it checks texts."""

    _close = "slm_guide_close"

    def __init__(self, model: Optional[Model], function: str, text: Tuple[Optional[bytes], int],
                 more: Tuple[Any, ...], one_call: bool = False, lenient: bool = False,
                 memory_limit: int = 0, triggers: Sequence[str] = (),
                 trigger_tokens: Sequence[int] = ()) -> None:
        super().__init__()
        self._model = model
        woken, tokens = spans(triggers), ids_array(trigger_tokens)
        flags = (_abi.GUIDE_ONE_CALL if one_call else 0) | (_abi.GUIDE_LENIENT if lenient else 0)
        options = _abi.slm_guide_options(flags=flags, memory_limit=memory_limit, triggers=woken,
                                         n_triggers=len(woken), trigger_tokens=tokens,
                                         n_trigger_tokens=len(tokens))
        self._make(function, model, *text, *more, ctypes.byref(options),
                   ctypes.byref(self._as_parameter_))

    @classmethod
    def of_schema(cls, schema: Json, lenient: bool = False, memory_limit: int = 0) -> Guide:
        return cls(None, "slm_guide_compile_json_schema", as_json(schema), (), lenient=lenient,
                   memory_limit=memory_limit)

    @classmethod
    def of_grammar(cls, gbnf: str, memory_limit: int = 0) -> Guide:
        return cls(None, "slm_guide_compile_gbnf", encoded(gbnf), (), memory_limit=memory_limit)

    def match(self, text: str) -> Match:
        """Whether a whole text is one of the guide's, or the beginning of one."""
        number = ctypes.c_int32()
        call("slm_guide_match", self, *encoded(text), ctypes.byref(number))
        return Match(number.value)

    def matcher(self) -> Matcher:
        """Follows a text through the guide, for those who sample themselves."""
        return Matcher(self)


class Matcher(Handle):
    """A text that is followed through a guide from its beginning."""

    _close = "slm_matcher_close"

    def __init__(self, guide: Guide) -> None:
        super().__init__()
        self._guide = guide
        self._make("slm_matcher_open", guide, ctypes.byref(self._as_parameter_))

    def accept(self, what: Union[int, str, bytes]) -> None:
        """The next token, or bytes; Error with the status RANGE for what leaves the guide."""
        if isinstance(what, int):
            call("slm_matcher_accept", self, what)
        else:
            data = what.encode() if isinstance(what, str) else what
            call("slm_matcher_accept_bytes", self, data, len(data))

    def reset(self) -> None:
        """Back to the beginning."""
        call("slm_matcher_reset", self)

    @property
    def allowed(self) -> List[int]:
        """The ids that may come next."""
        bits, n = ctypes.c_void_p(), ctypes.c_size_t()
        call("slm_matcher_get_mask", self, ctypes.byref(bits), ctypes.byref(n))
        mask = bytes_at(bits.value, 8 * n.value)
        if sys.byteorder == "big":  # the words of the mask are numbers
            mask = b"".join(mask[i:i + 8][::-1] for i in range(0, len(mask), 8))
        return [8 * i + bit for i, byte in enumerate(mask) if byte for bit in range(8)
                if byte >> bit & 1]

    @property
    def forced(self) -> bytes:
        """The bytes that must come next, whatever is chosen."""
        text, n = ctypes.c_void_p(), ctypes.c_size_t()
        call("slm_matcher_get_forced", self, ctypes.byref(text), ctypes.byref(n))
        return bytes_at(text.value, n.value)

    @property
    def info(self) -> MatcherInfo:
        info = _abi.slm_matcher_info()
        call("slm_matcher_get_info", self, ctypes.byref(info))
        return result(MatcherInfo, info)


class ToolParser(Handle):
    """Texts in, texts and calls out: a Call is given when all of it has come and is right."""

    _close = "slm_tool_parser_close"

    def __init__(self, model: Model, tool_format: ToolFormat = ToolFormat.AUTO,
                 max_call_bytes: int = 0) -> None:
        super().__init__()
        self._model = model
        self._calls = CallReader()
        options = _abi.slm_tool_parser_options(format=tool_format, max_call_bytes=max_call_bytes)
        self._make("slm_tool_parser_open", model, ctypes.byref(options), ctypes.byref(self._as_parameter_))

    def feed(self, text: str) -> List[Union[str, Call]]:
        """What this piece of the answer makes known."""
        call("slm_tool_parser_feed", self, *encoded(text))
        return self._pull()

    def finish(self) -> List[Union[str, Call]]:
        """The end of the answer; the next piece begins another one."""
        call("slm_tool_parser_finish", self)
        return self._pull()

    def _pull(self) -> List[Union[str, Call]]:
        event = _abi.slm_tool_event()
        found: List[Union[str, Call]] = []
        while True:
            call("slm_tool_parser_next", self, ctypes.byref(event))
            if event.type in (ToolEventType.NONE, ToolEventType.END):
                return found
            text = text_at(event.text, event.text_len)
            if event.type == ToolEventType.TEXT:
                found.append(text)
            else:
                whole = self._calls.take(event.type + 1, text)  # as the events of answers
                found += [whole] if whole else []


class CallReader:
    """Puts calls together from the events of answers."""

    def __init__(self) -> None:
        self._name, self._arguments = "", ""

    def take(self, kind: int, text: str) -> Optional[Call]:
        """The call that this event ends."""
        if kind == AnswerEventType.CALL_BEGIN:
            self._name, self._arguments = text, ""
        elif kind == AnswerEventType.ARGUMENTS:
            self._arguments += text
        elif kind == AnswerEventType.CALL_END:
            return Call(self._name, json.loads(self._arguments))
        return None


class Speech(Handle):
    """Texts in, pieces to be spoken out."""

    _close = "slm_speech_close"

    def __init__(self, model: Model, **options: Any) -> None:
        super().__init__()
        self._model = model
        self._make("slm_speech_open", model, ctypes.byref(speech_struct(options)),
                   ctypes.byref(self._as_parameter_))

    def feed(self, text: str) -> List[Piece]:
        call("slm_speech_feed", self, *encoded(text))
        return self._pull()

    def finish(self) -> List[Piece]:
        """The end of the text; the next piece begins another one."""
        call("slm_speech_finish", self)
        return self._pull()

    def _pull(self) -> List[Piece]:
        event = _abi.slm_speech_event()
        found: List[Piece] = []
        while True:
            call("slm_speech_next", self, ctypes.byref(event))
            if event.type in (SpeechEventType.NONE, SpeechEventType.END):
                return found
            found.append(Piece(text_at(event.text, event.text_len), event.begin, event.end,
                               event.type == SpeechEventType.SENTENCE))
