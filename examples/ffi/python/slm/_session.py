"""Sessions: conversations as lists of ids, generation, snapshots, embeddings."""
from __future__ import annotations

import array
import ctypes
import os
import threading
import weakref
from typing import (TYPE_CHECKING, Any, Dict, Generator, Iterable, List, NamedTuple, Optional, Sequence,
                    Tuple, Union)

from . import _abi
from ._native import (Handle, Progress, call, floats_at, ids_array, load, progress_callback, result,
                      text_at, yield_callback)
from ._options import AnswerOptions, GenerateOptions, answer_struct, cache_struct, generate_struct
from ._types import (CacheOptions, EndReason, EventType, Logits, Op, OpInfo, Plan, Pooling,
                     PromptReport, RopeFactors, SessionInfo, SnapshotInfo)

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ._chat import Answer, Chat
    from ._model import Call, Model, Path


class TokenProb(NamedTuple):
    """A token and the logarithm of its probability, before sampling."""

    id: int
    logprob: float


class Event(NamedTuple):
    """What a generator gives: see slm_event."""

    type: EventType
    text: str
    token: int
    logprob: float
    top: Tuple[TokenProb, ...]
    n_tokens: int
    reason: EndReason
    forced: int
    steps: int
    drafted: int


class Snapshot(NamedTuple):
    """What Session.load() found in a file."""

    info: SnapshotInfo
    attachment: bytes


def top_of(event: Any) -> Tuple[TokenProb, ...]:
    return tuple(TokenProb(p.id, p.logprob) for p in event.top[:event.n_top]) if event.n_top else ()


class Cache(Handle):
    """Memory that several sessions share; they are evaluated together by eval(). One thread at a time
    with all its sessions. Sessions keep it alive after close()."""

    _close = "slm_cache_close"

    def __init__(self, model: Model, progress: Optional[Progress] = None,
                 **options: Unpack[CacheOptions]) -> None:
        super().__init__()
        self.model = model
        self._yield = yield_callback(progress)
        struct = cache_struct(options, self._yield)
        self._make("slm_cache_open", model, ctypes.byref(struct), ctypes.byref(self._as_parameter_))

    def session(self, rope_factors: RopeFactors = RopeFactors.AUTO) -> Session:
        """A session on this cache."""
        return Session(self.model, cache=self, rope_factors=rope_factors)

    def eval(self, items: Sequence[Tuple[Session, Iterable[int]]],
             logits: Logits = Logits.LAST) -> None:
        """Appends ids to each of these sessions and evaluates them in common steps, which read each
        weight once for all of them."""
        arrays = [ids_array(ids) for _, ids in items]
        parts = (_abi.slm_eval_item * len(items))(*[
            _abi.slm_eval_item(logits=logits, session=session._as_parameter_, ids=ids, n=len(ids))
            for (session, _), ids in zip(items, arrays)])
        call("slm_cache_eval", self, parts, len(items))

    @property
    def plan(self) -> Plan:
        """What is in memory."""
        plan = _abi.slm_plan()
        call("slm_cache_get_plan", self, ctypes.byref(plan))
        return result(Plan, plan)


class Session(Handle):
    """One conversation and the memory it lives in. One thread at a time; cancel() may be called from
    any. options: fields of slm_cache_options."""

    _close = "slm_session_close"
    _yield: Any = None  # what C calls while prompts are evaluated

    def __init__(self, model: Model, cache: Optional[Cache] = None,
                 progress: Optional[Progress] = None, **options: Unpack[CacheOptions]) -> None:
        super().__init__()
        self._begin(model, cache)
        handle = ctypes.byref(self._as_parameter_)
        if cache is not None:
            shared = _abi.slm_session_options(**options)
            self._make("slm_session_open_on", cache, ctypes.byref(shared), handle)
        else:
            self._yield = yield_callback(progress)
            self._make("slm_session_open", model, ctypes.byref(cache_struct(options, self._yield)),
                       handle)

    def _begin(self, model: Model, cache: Optional[Cache]) -> None:
        self.model = model
        self.cache = cache
        self.messages: List[Tuple[str, str]] = []   # of ask()
        self.end_reason: Optional[EndReason] = None  # why the last answer ended
        self.report: Optional[PromptReport] = None   # of the last prompt
        self._chats: weakref.WeakSet[Chat] = weakref.WeakSet()
        self._lock = threading.RLock()  # between cancel() and close()

    def close(self) -> None:
        """Closes the session, and the conversations that live in it."""
        for chat in list(self._chats):
            chat.close()
        with self._lock:
            super().close()

    def fork(self) -> Session:
        """A second session with the same tokens on the same cache, which needs a place for it."""
        other = Session.__new__(Session)
        Handle.__init__(other)
        other._begin(self.model, self.cache)
        other._yield = self._yield
        other._make("slm_session_fork", self, ctypes.byref(other._as_parameter_))
        other.messages = list(self.messages)
        return other

    # ---- ids

    def prompt(self, ids: Iterable[int]) -> PromptReport:
        """Makes the session hold these ids, reusing what it has in common with them."""
        array_, report = ids_array(ids), _abi.slm_prompt_report()
        call("slm_session_prompt", self, array_, len(array_), ctypes.byref(report))
        self.report = result(PromptReport, report)
        return self.report

    def eval(self, ids: Iterable[int], logits: Logits = Logits.LAST) -> None:
        """Appends ids and evaluates them; Logits.ALL needs max_logits in the options."""
        array_ = ids_array(ids)
        call("slm_session_eval", self, array_, len(array_), logits)

    def logits(self, row: int = 0) -> array.array[float]:
        """A copy of the logits of the last evaluation: one for each entry of the vocabulary."""
        values = ctypes.c_void_p()
        call("slm_session_get_logits", self, row, ctypes.byref(values))
        return floats_at(values, self.model.n_vocab)

    def truncate(self, n: int) -> None:
        """Takes back everything from token n on."""
        call("slm_session_truncate", self, n)

    def checkpoint(self) -> None:
        """Says that the session may be taken back to where it is now, without evaluating anything."""
        call("slm_session_checkpoint", self)

    def cancel(self) -> None:
        """Stops what is running in this session; any thread."""
        with self._lock:
            if self._as_parameter_.value:
                load().slm_session_cancel(self)

    @property
    def tokens(self) -> List[int]:
        """The ids that the session holds."""
        ids, n = ctypes.POINTER(ctypes.c_int32)(), ctypes.c_size_t()
        call("slm_session_get_tokens", self, ctypes.byref(ids), ctypes.byref(n))
        return list(ids[:n.value])

    @property
    def info(self) -> SessionInfo:
        info = _abi.slm_session_info()
        call("slm_session_get_info", self, ctypes.byref(info))
        return result(SessionInfo, info)

    @property
    def ops(self) -> Dict[Op, OpInfo]:
        """What the ops of steps have cost since the cache was opened."""
        found = {}
        for op in Op:
            info = _abi.slm_op_info()
            call("slm_session_get_op", self, op, ctypes.byref(info))
            found[op] = result(OpInfo, info)
        return found

    def embed(self, text: Union[str, Iterable[int]],
              pooling: Pooling = Pooling.MEAN) -> array.array[float]:
        """The embedding of a text or of ids, of length 1. The session then holds these ids."""
        array_ = ids_array(self.model.tokenize(text) if isinstance(text, str) else text)
        n = self.model.d_model
        vector = (ctypes.c_float * n)()
        call("slm_embed", self, array_, len(array_), pooling, vector, n)
        return floats_at(vector, n)

    # ---- snapshots

    def save(self, path: Path, attachment: bytes = b"", progress: Optional[Progress] = None) -> None:
        """Writes the session, with what was evaluated, to a file: whole or not at all."""
        kept = ctypes.create_string_buffer(attachment, len(attachment)) if attachment else None
        options = _abi.slm_snapshot_options(
            attachment=ctypes.addressof(kept) if kept else None, attachment_len=len(attachment),
            progress=progress_callback(progress))
        call("slm_session_save", self, os.fsencode(path), ctypes.byref(options))

    def load(self, path: Path, progress: Optional[Progress] = None) -> Snapshot:
        """Makes the session what a file holds."""
        n = snapshot_info(path).attachment_len
        kept, info = ctypes.create_string_buffer(max(n, 1)), _abi.slm_snapshot_info()
        options = _abi.slm_snapshot_load_options(
            attachment=ctypes.addressof(kept) if n else None, attachment_cap=n,
            progress=progress_callback(progress))
        call("slm_session_load", self, os.fsencode(path), ctypes.byref(options), ctypes.byref(info))
        found = result(SnapshotInfo, info)
        return Snapshot(found, kept.raw[:found.attachment_len])

    # ---- answers

    def events(self, **options: Unpack[GenerateOptions]) -> Generator[Event, None, None]:
        """Yields what comes of generating after the ids that the session holds: each token, with its
        probability, and the end. Leaving the iteration ends the generation."""
        struct = generate_struct(options)
        generator, event = ctypes.c_void_p(), _abi.slm_event()
        try:
            call("slm_generate_begin", self, ctypes.byref(struct), ctypes.byref(generator))
            while event.type != EventType.END:
                call("slm_generate_next", generator, ctypes.byref(event))
                yield Event(EventType(event.type), text_at(event.text, event.text_len), event.token,
                            event.logprob, top_of(event), event.count, EndReason(event.reason),
                            event.forced, event.steps, event.drafted)
            self.end_reason = EndReason(event.reason)
        finally:
            load().slm_generate_end(ctypes.byref(generator))

    def generate(self, **options: Unpack[GenerateOptions]) -> Generator[str, None, None]:
        """The same as text as it comes. options: fields of slm_sampling (temperature, top_k, seed,
        ...), max_tokens, stop, guide; logit_bias is a dictionary of ids and what is added to their
        logits."""
        for event in self.events(**options):
            if event.text:
                yield event.text

    def begin(self, **options: Unpack[AnswerOptions]) -> Answer:
        """Begins an answer that is taken apart: texts, calls of tools, thinking, pieces to be spoken."""
        from ._chat import Answer  # pylint: disable=import-outside-toplevel
        struct = answer_struct(options)
        return Answer(self, lambda handle: call("slm_answer_begin", self, ctypes.byref(struct), handle),
                      struct)

    def answer(self, **options: Unpack[AnswerOptions]) -> Generator[Union[str, Call], None, None]:
        """The same as texts and calls. Leaving the iteration ends the answer."""
        with self.begin(**options) as answer:
            yield from answer

    def ask(self, text: str, system: Optional[str] = None,
            **options: Unpack[GenerateOptions]) -> Generator[str, None, None]:
        """Appends a question to the conversation and yields the answer, which then belongs to it."""
        if system is not None and not self.messages:
            self.messages.append(("system", system))
        self.messages.append(("user", text))
        self.prompt(self.model.chat_ids(self.messages))
        answer: List[str] = []
        try:
            for piece in self.generate(**options):
                answer.append(piece)
                yield piece
        finally:
            self.messages.append(("assistant", "".join(answer)))

    def chat(self, **options: Any) -> Chat:
        """A transcript that is kept together with this session; options: those of Chat."""
        from ._chat import Chat  # pylint: disable=import-outside-toplevel
        return Chat(self, **options)


def snapshot_info(path: Path) -> SnapshotInfo:
    """What a snapshot holds, without a session."""
    info = _abi.slm_snapshot_info()
    call("slm_snapshot_get_info", os.fsencode(path), ctypes.byref(info))
    return result(SnapshotInfo, info)
