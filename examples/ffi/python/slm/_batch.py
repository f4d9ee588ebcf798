"""Many requests to one model that are answered together."""
from __future__ import annotations

import array
import ctypes
import json
import threading
from typing import TYPE_CHECKING, Any, Dict, Iterable, Iterator, List, NamedTuple, Optional, Tuple

from . import _abi
from ._chat import got_text
from ._model import Call, CallReader
from ._native import (Error, Handle, bytes_at, call, check_names, fields_of, floats_at, ids_array,
                      load, make_error, result)
from ._options import (AnswerOptions, BatchOptions, GenerateOptions, Json, answer_struct, cache_struct,
                       generate_struct)
from ._session import TokenProb, top_of
from ._types import (BatchEventType, BatchInfo, BatchReport, EndReason, Plan, Pooling, RequestKind)

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ._model import Model


class BatchEvent(NamedTuple):
    """What came of a step for one request: see slm_batch_event."""

    type: BatchEventType
    request: Request
    text: str
    data: bytes                              # of TOKEN: its bytes, maybe a part of a character
    call: int
    thinking: bool
    begin: int
    end: int
    n_tokens: int
    n_reused: int
    reason: EndReason
    token: int
    logprob: float
    top: Tuple[TokenProb, ...]
    embedding: Optional[array.array[float]]  # of EMBEDDING
    error: Optional[Error]                   # of FAILED


class Request(Handle):
    """A request in a batch. What has come of it stays here after its end, when its place is free
    again: close() is for those that are to end before that."""

    _close = "slm_request_end"

    def __init__(self, batch: Batch, number: int, kind: RequestKind) -> None:
        super().__init__()
        self.kind = kind
        self.text = ""                           # for the reader, so far
        self.calls: List[Call] = []              # of tools, so far
        self.message: Optional[Json] = None      # of an answer that has ended: for a transcript
        self.embedding: Optional[array.array[float]] = None
        self.end_reason: Optional[EndReason] = None
        self.error: Optional[Error] = None       # why it failed
        self.n_reused = 0                        # tokens of its prompt that were not evaluated for it
        self.n_tokens = 0                         # tokens generated
        self._batch = batch
        self._number = number
        self._calls = CallReader()
        self._kept: Any = None

    @property
    def done(self) -> bool:
        """It has ended, well or not."""
        return self.end_reason is not None or self.error is not None

    def cancel(self) -> None:
        """Stops the request at the next step: it fails with Cancelled. Any thread, while the batch is
        open."""
        with self._batch.lock:
            if self._as_parameter_.value:
                load().slm_request_cancel(self)

    def close(self) -> None:
        with self._batch.lock:
            super().close()
        self._batch.forget(self._number)

    def forgotten(self) -> None:
        """The batch has freed it."""
        self._as_parameter_ = ctypes.c_void_p()

    def take(self, event: BatchEvent) -> None:
        """Keeps what an event says."""
        if event.type == BatchEventType.BEGIN:
            self.n_reused = event.n_reused
        elif event.type in (BatchEventType.TEXT, BatchEventType.END):
            self.text += event.text
            self.n_tokens = event.n_tokens
        elif event.type == BatchEventType.EMBEDDING:
            self.embedding = event.embedding
        elif event.type == BatchEventType.FAILED:
            self.error = event.error
        else:
            whole = self._calls.take(event.type, event.text)
            self.calls += [whole] if whole else []
        if event.type == BatchEventType.END:
            self.end_reason = event.reason
        if event.type in (BatchEventType.END, BatchEventType.FAILED):
            try:
                if self.kind == RequestKind.ANSWER:
                    answer = ctypes.c_void_p()
                    call("slm_request_get_answer", self, ctypes.byref(answer))
                    self.message = json.loads(got_text("slm_answer_get_message", answer))
            finally:
                self.close()


class Batch(Handle):
    """Answers requests that come and go while it runs: add requests at any time, and iterate over run()
    until it has nothing to do, or call step() and events() yourself. One thread at a time.

    with model.batch(max_running=8) as batch:
        asked = [batch.answer(model.chat_ids([("user", text)])) for text in questions]
        for event in batch.run():
            if event.type == slm.BatchEventType.TEXT:
                print(asked.index(event.request), event.text)

    options: fields of slm_batch_options; cache has those of slm_cache_options.
    """

    _close = "slm_batch_close"

    def __init__(self, model: Model, **options: Unpack[BatchOptions]) -> None:
        super().__init__()
        self.model = model
        self.lock = threading.RLock()  # between cancel() and the end of a request
        self._requests: Dict[int, Request] = {}
        self._next = 1
        self._make("slm_batch_open", model, ctypes.byref(batch_struct(options)),
                   ctypes.byref(self._as_parameter_))

    def close(self) -> None:
        """Frees the batch with all its requests."""
        with self.lock:
            super().close()
            for request in self._requests.values():
                request.forgotten()
            self._requests.clear()

    def forget(self, number: int) -> None:
        self._requests.pop(number, None)

    # ---- requests

    def answer(self, ids: Iterable[int], priority: int = 0, tokens: bool = False, forget: bool = False,
               **options: Unpack[AnswerOptions]) -> Request:
        """Asks for an answer that is taken apart into texts and calls of tools. tokens: TOKEN events
        come for each token; forget: its tokens are not kept for later requests."""
        struct = answer_struct(options)
        return self._add(RequestKind.ANSWER, ids, priority, tokens, forget, struct,
                         answer=ctypes.pointer(struct))

    def text(self, ids: Iterable[int], priority: int = 0, tokens: bool = False, forget: bool = False,
             **options: Unpack[GenerateOptions]) -> Request:
        """Asks for the text that follows."""
        struct = generate_struct(options)
        return self._add(RequestKind.TEXT, ids, priority, tokens, forget, struct,
                         generate=ctypes.pointer(struct))

    def embedding(self, ids: Iterable[int], pooling: Pooling = Pooling.MEAN, priority: int = 0,
                  forget: bool = False) -> Request:
        """Asks for the embedding of a text."""
        return self._add(RequestKind.EMBED, ids, priority, False, forget, None, pooling=pooling)

    def _add(self, kind: RequestKind, ids: Iterable[int], priority: int, tokens: bool, forget: bool,
             kept: Any, **more: Any) -> Request:
        array_ = ids_array(ids)
        flags = ((_abi.REQUEST_TOKENS if tokens else 0) | (_abi.REQUEST_FORGET if forget else 0))
        request = Request(self, self._next, kind)
        request._kept = kept  # callbacks among it
        options = _abi.slm_request_options(kind=kind, priority=priority, flags=flags, ids=array_,
                                           n_ids=len(array_), user=self._next, **more)
        self._requests[self._next] = request
        self._next += 1
        request._make("slm_batch_add", self, ctypes.byref(options),
                      ctypes.byref(request._as_parameter_))
        return request

    # ---- steps

    def step(self) -> BatchReport:
        """One forward pass for all requests that are open."""
        report = _abi.slm_batch_report()
        call("slm_batch_step", self, ctypes.byref(report))
        return result(BatchReport, report)

    def events(self) -> Iterator[BatchEvent]:
        """What came of the steps until now."""
        raw = _abi.slm_batch_event()
        while True:
            call("slm_batch_next", self, ctypes.byref(raw))
            if raw.type == BatchEventType.NONE:
                return
            event = self._event(raw)
            event.request.take(event)
            yield event

    def _event(self, raw: Any) -> BatchEvent:
        kind = BatchEventType(raw.type)
        data = bytes_at(raw.text, raw.text_len)
        text = "" if kind == BatchEventType.TOKEN else data.decode(errors="replace")
        failed = kind == BatchEventType.FAILED
        embedding = floats_at(raw.embedding, raw.n_embedding) if raw.n_embedding else None
        return BatchEvent(
            kind, self._requests[raw.user], text, data, raw.call, bool(raw.thinking), raw.begin,
            raw.end, raw.count, raw.n_reused, EndReason(raw.reason), raw.token, raw.logprob,
            top_of(raw), embedding, make_error(raw.status, "", text) if failed else None)

    def run(self) -> Iterator[BatchEvent]:
        """Steps until no request is open, and yields the events. Requests that are added meanwhile are
        answered too."""
        while True:
            yield from self.events()
            if not self._requests:
                return
            self.step()

    def wait(self, requests: Iterable[Request]) -> None:
        """Steps until these have ended; raises the error of the first that failed."""
        wanted = list(requests)
        while not all(r.done or r.closed for r in wanted):
            for _ in self.events():
                pass
            if not all(r.done or r.closed for r in wanted):
                self.step()
        for request in wanted:
            if request.error is not None:
                raise request.error

    @property
    def info(self) -> BatchInfo:
        info = _abi.slm_batch_info()
        call("slm_batch_get_info", self, ctypes.byref(info))
        return result(BatchInfo, info)


def batch_struct(given: BatchOptions) -> Any:
    options: Dict[str, Any] = dict(given)
    cache = options.pop("cache", None)
    check_names(options, fields_of(_abi.slm_batch_options), "option of batches:")
    struct = _abi.slm_batch_options(**options)
    if cache is not None:
        struct.cache = ctypes.pointer(cache_struct(cache))
    return struct


def batch_plan(model: Model, **options: Unpack[BatchOptions]) -> Plan:
    """What would be in memory with a batch of these options."""
    plan = _abi.slm_plan()
    call("slm_batch_plan", model, ctypes.byref(batch_struct(options)), ctypes.byref(plan))
    return result(Plan, plan)
