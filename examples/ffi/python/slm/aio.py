"""The same for coroutines: nothing here blocks the event loop.

    import asyncio, slm
    from slm import aio

    async def main(questions):
        with slm.Model("model.gguf") as model:
            async with await aio.Batch.open(model, max_running=8, cache={"n_ctx": 2048}) as batch:
                async def one(text):
                    async with batch.answer(model.chat_ids([("user", text)])) as request:
                        async for part in request:    # texts, and calls of tools
                            print(part)
                await asyncio.gather(*map(one, questions))

A Batch steps on a thread of its own while there are requests; a Session has a thread on which its calls run
one after another. A task that is cancelled stops what it waits for: a request at the next step, an
evaluation within a chunk of the prompt, an answer within a token. What it was asked of stays usable.
"""
from __future__ import annotations

import asyncio
import contextlib
import functools
import queue
import threading
import weakref
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import (TYPE_CHECKING, Any, Callable, Dict, Generator, Generic, Iterable, Iterator, List,
                    Optional, Type, TypeVar, Union)

from . import _batch, _session
from ._model import Call, CallReader
from ._native import Cancelled, ContextFull, Handle
from ._options import AnswerOptions, BatchOptions, GenerateOptions, Json
from ._types import (BatchEventType, CacheOptions, EndReason, Logits, Pooling, PromptReport,
                     Status)

if TYPE_CHECKING:
    import array

    from typing_extensions import Self, Unpack

    from ._model import Model

__all__ = ["Batch", "Request", "Session", "Stream"]

T = TypeVar("T")
H = TypeVar("H", bound=Handle)
_END = object()


class _Closing:
    """What is closed at the end of an async with block."""

    async def close(self) -> None:
        raise NotImplementedError

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: Optional[Type[BaseException]], value: Optional[BaseException],
                        trace: Optional[TracebackType]) -> None:
        await self.close()


# ---- sessions


class Session(_Closing):
    """A session for coroutines, one at a time. Whatever has no method of its own runs on its thread by
    run() and iterate():

        async with await aio.Session.open(model, n_ctx=2048) as session:
            async for piece in session.ask("Why is the sky blue?"):
                print(piece, end="", flush=True)
            chat = await session.run(session.inner.chat, system="You are Hearth.")
            await session.run(chat.add, "user", "Set a timer.")
            async for part in session.iterate(chat.answer, temperature=0):
                ...
    """

    def __init__(self, inner: _session.Session) -> None:
        """Takes over a session, which nobody else may use then: close() closes it."""
        self.inner = inner
        self._thread = ThreadPoolExecutor(1, "slm-session")
        self._streams: weakref.WeakSet[Stream[Any]] = weakref.WeakSet()
        self._closing: Optional[Future[None]] = None
        self._left: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()  # to close on the thread

    @classmethod
    async def open(cls, model: Model, **options: Unpack[CacheOptions]) -> Session:
        """A session with a cache of its own, as Model.session()."""
        return cls(await _made(functools.partial(_session.Session, model, **options)))

    async def close(self) -> None:
        """Ends what is iterated over, and frees the session."""
        if self._closing is None:
            for stream in list(self._streams):
                stream._leave()
            self._closing = self._submit(self.inner.close)
            self._thread.shutdown(wait=False)  # behind what it has to do
        closing = asyncio.wrap_future(self._closing)
        if await _ended(closing):
            raise asyncio.CancelledError
        closing.result()

    async def run(self, function: Callable[..., T], *args: Any, **options: Any) -> T:
        """The result of a function that uses the session, on its thread. A task that is cancelled
        meanwhile stops the evaluation, and goes on when the thread has left it."""
        return await self._call(functools.partial(function, *args, **options))

    async def _call(self, call: Callable[[], T], close: Optional[Callable[[], None]] = None) -> T:
        waiting = self._submit(call)
        running = asyncio.wrap_future(waiting)
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            if not waiting.cancel():  # it has begun
                self.inner.cancel()
                await _ended(running)
                late = not isinstance(running.exception(), Cancelled)
                if self._closing is None:
                    clean = self._submit(functools.partial(_clean, self.inner, close, late))
                    await _ended(asyncio.wrap_future(clean))
            raise

    def _submit(self, call: Callable[[], T]) -> Future[T]:
        if self._closing is not None:
            raise RuntimeError("the session is closed")
        return self._thread.submit(self._next, call)

    def _next(self, call: Callable[[], T]) -> T:
        """On the thread: a call, behind the end of what was left."""
        while True:
            try:
                close = self._left.get_nowait()
            except queue.Empty:
                return call()
            with contextlib.suppress(Exception):  # of which nobody would hear
                close()

    def iterate(self, function: Callable[..., Iterator[T]], *args: Any, **options: Any) -> Stream[T]:
        """What a function that iterates gives, piece by piece."""
        return Stream(self, functools.partial(function, *args, **options))

    async def prompt(self, ids: Iterable[int]) -> PromptReport:
        """Makes the session hold these ids, reusing what it has in common with them."""
        return await self.run(self.inner.prompt, ids)

    def events(self, **options: Unpack[GenerateOptions]) -> Stream[_session.Event]:
        """Each token with its probability, and the end, as Session.events()."""
        return self.iterate(self.inner.events, **options)

    def generate(self, **options: Unpack[GenerateOptions]) -> Stream[str]:
        """The text that follows, as it comes."""
        return self.iterate(self.inner.generate, **options)

    def answer(self, **options: Unpack[AnswerOptions]) -> Stream[Union[str, Call]]:
        """An answer as texts and calls of tools."""
        return self.iterate(self.inner.answer, **options)

    def ask(self, text: str, system: Optional[str] = None,
            **options: Unpack[GenerateOptions]) -> Stream[str]:
        """Appends a question to the conversation and gives the answer, which then belongs to it."""
        return self.iterate(self.inner.ask, text, system, **options)

    async def embed(self, text: Union[str, Iterable[int]],
                    pooling: Pooling = Pooling.MEAN) -> array.array[float]:
        """The embedding of a text or of ids, of length 1."""
        return await self.run(self.inner.embed, text, pooling)


async def _ended(running: asyncio.Future[Any]) -> bool:
    """Waits for what runs on a thread, whatever becomes of the task, as the thread uses what the task
    would free. Whether the task was cancelled meanwhile."""
    cancelled = False
    while not running.done():
        try:
            await asyncio.wait([running])
        except asyncio.CancelledError:
            cancelled = True
    return cancelled


async def _made(make: Callable[[], H]) -> H:
    """What takes its time to be made, on another thread."""
    making = asyncio.get_running_loop().run_in_executor(None, make)
    if await _ended(making):
        if making.exception() is None:
            making.result().close()
        raise asyncio.CancelledError
    return making.result()


def _clean(session: _session.Session, close: Optional[Callable[[], None]], late: bool) -> None:
    """On the thread, behind a call that was cancelled."""
    if close is not None:
        close()
    if late and not session.closed:
        _meet_cancel(session)


def _meet_cancel(session: _session.Session) -> None:
    """A cancellation that came when the call was over would stop the next one. Here it stops the
    evaluation of a token, which leaves nothing behind."""
    ids = session.tokens
    try:
        session.eval([0], Logits.NONE)
        session.truncate(len(ids))
    except Cancelled:
        pass
    except ContextFull:  # there is no room for one more: it is the last one that is evaluated again
        session.truncate(len(ids) - 1)
        try:
            session.eval(ids[-1:])
        except Cancelled:
            session.eval(ids[-1:])


class _Iteration(Generic[T]):
    """Apart from its Stream, so that the thread does not keep one that was left."""

    def __init__(self, begin: Callable[[], Iterator[T]]) -> None:
        self.begin: Optional[Callable[[], Iterator[T]]] = begin
        self.iterator: Optional[Iterator[T]] = None

    def next(self) -> Any:
        """On the thread; _END behind the last."""
        if self.begin is not None:
            begin, self.begin = self.begin, None
            self.iterator = begin()
        return _END if self.iterator is None else next(self.iterator, _END)

    def close(self) -> None:
        """On the thread."""
        self.begin = None
        close = getattr(self.iterator, "close", None)
        self.iterator = None
        if close is not None:
            close()


class Stream(_Closing, Generic[T]):
    """An iteration on the thread of a session. Leave it by its end, by break, or by async with; close()
    ends what it iterates over before the session is used again."""

    def __init__(self, session: Session, begin: Callable[[], Iterator[T]]) -> None:
        self._session = session
        self._iteration: Optional[_Iteration[T]] = _Iteration(begin)
        session._streams.add(self)

    def __aiter__(self) -> Stream[T]:
        return self

    async def __anext__(self) -> T:
        iteration = self._iteration
        if iteration is None:
            raise StopAsyncIteration
        try:
            item = await self._session._call(iteration.next, iteration.close)
        except BaseException:
            await self.close()
            raise
        if item is _END:
            await self.close()
            raise StopAsyncIteration
        result: T = item
        return result

    async def close(self) -> None:
        iteration, self._iteration = self._iteration, None
        if iteration is not None and self._session._closing is None:
            closing = asyncio.wrap_future(self._session._submit(iteration.close))
            if await _ended(closing):
                raise asyncio.CancelledError

    def _leave(self) -> None:
        """Has it ended before the session's next call. The garbage collector may be here in the middle of
        anything, as of a call of submit(), which has its locks; a SimpleQueue takes what comes then."""
        iteration, self._iteration = self._iteration, None
        if iteration is not None:
            self._session._left.put(iteration.close)

    def __del__(self) -> None:
        if getattr(self, "_iteration", None) is not None:
            self._leave()


# ---- batches


class Request(_Closing):
    """A request in a batch: async for gives texts and calls of tools, await its end, next_event() each
    event. A failure is raised by all three, in all tasks that wait. close(), or the end of its async with
    block, ends one that is still open; so does the cancellation of a task that waits for it, and forgetting
    it."""

    def __init__(self, batch: Batch, add: Callable[[], _batch.Request]) -> None:
        self._batch = batch
        self._add = add
        self._loop = asyncio.get_running_loop()
        self._events: asyncio.Queue[Union[_batch.BatchEvent, BaseException]] = asyncio.Queue()
        self._calls = CallReader()
        self._over: Optional[BaseException] = None
        self._ended = False
        self.inner: Optional[_batch.Request] = None  # once the batch has taken it
        self.text = ""                           # for the reader, of the events that were taken
        self.calls: List[Call] = []              # of tools, likewise
        self.end_reason: Optional[EndReason] = None
        self.embedding: Optional[array.array[float]] = None

    @property
    def message(self) -> Optional[Json]:
        """Of an answer that has ended: for a transcript."""
        return self.inner.message if self.inner is not None and self._ended else None

    @property
    def n_tokens(self) -> int:
        """Tokens generated, as far as the batch has come."""
        return self.inner.n_tokens if self.inner is not None else 0

    async def next_event(self) -> Optional[_batch.BatchEvent]:
        """The next event; None behind the last."""
        if self._over is not None:
            raise self._over
        if self._ended:
            return None
        try:
            event = await self._events.get()
        except asyncio.CancelledError:
            self.cancel()
            raise
        if isinstance(event, BaseException):
            self._over = event
            self._events.put_nowait(event)  # for others that wait
            raise event
        if event.type == BatchEventType.END:
            self._events.put_nowait(event)
            if self._ended:
                return None
            self._ended, self.end_reason = True, event.reason
        if event.type in (BatchEventType.TEXT, BatchEventType.END):
            self.text += event.text
        elif event.type == BatchEventType.EMBEDDING:
            self.embedding = event.embedding
        return event

    def __aiter__(self) -> Request:
        return self

    async def __anext__(self) -> Union[str, Call]:
        while True:
            event = await self.next_event()
            if event is None:
                raise StopAsyncIteration
            if event.type in (BatchEventType.TEXT, BatchEventType.END):
                if event.text:
                    return event.text
            else:
                whole = self._calls.take(event.type, event.text)
                if whole is not None:
                    self.calls.append(whole)
                    return whole

    async def _wait(self) -> Request:
        async for _ in self:
            pass
        return self

    def __await__(self) -> Generator[Any, None, Request]:
        return self._wait().__await__()

    def cancel(self) -> None:
        """Ends the request at the next step: whoever waits for it gets Cancelled. Any thread."""
        self._batch._command(functools.partial(self._batch._drop, self))

    async def close(self) -> None:
        if not self._ended and self._over is None:
            self.cancel()

    def _tell(self, what: Union[_batch.BatchEvent, BaseException]) -> None:
        """From the thread of the batch."""
        try:
            self._loop.call_soon_threadsafe(self._events.put_nowait, what)
        except RuntimeError:  # the loop is closed: nobody listens
            pass


class Batch(_Closing):
    """Answers requests of any number of tasks together."""

    def __init__(self, inner: _batch.Batch) -> None:
        """Takes over a batch, which nobody else may use then: close() closes it."""
        self.inner = inner
        self._commands: queue.SimpleQueue[Optional[Callable[[], None]]] = queue.SimpleQueue()
        self._open: Dict[_batch.Request, weakref.ref[Request]] = {}
        self._closing = False
        self._thread = threading.Thread(target=self._run, args=(weakref.ref(self), self._commands),
                                        name="slm-batch", daemon=True)
        self._thread.start()

    def __del__(self) -> None:
        if hasattr(self, "_thread") and not self._closing:
            self._commands.put(None)  # the thread ends, and the inner batch says that it was forgotten

    @classmethod
    async def open(cls, model: Model, **options: Unpack[BatchOptions]) -> Batch:
        """A batch with the options of Model.batch()."""
        return cls(await _made(functools.partial(_batch.Batch, model, **options)))

    async def close(self) -> None:
        """Ends all requests and frees the batch."""
        if not self._closing:
            self._closing = True
            self._commands.put(None)
        if await _ended(asyncio.get_running_loop().run_in_executor(None, self._thread.join)):
            raise asyncio.CancelledError

    # ---- requests, whose options are as those of slm.Batch

    def answer(self, ids: Iterable[int], priority: int = 0, tokens: bool = False, forget: bool = False,
               **options: Unpack[AnswerOptions]) -> Request:
        """Asks for an answer that is taken apart into texts and calls of tools."""
        return self._ask(functools.partial(self.inner.answer, list(ids), priority, tokens, forget,
                                           **options))

    def text(self, ids: Iterable[int], priority: int = 0, tokens: bool = False, forget: bool = False,
             **options: Unpack[GenerateOptions]) -> Request:
        """Asks for the text that follows."""
        return self._ask(functools.partial(self.inner.text, list(ids), priority, tokens, forget,
                                           **options))

    def embedding(self, ids: Iterable[int], pooling: Pooling = Pooling.MEAN, priority: int = 0,
                  forget: bool = False) -> Request:
        """Asks for the embedding of a text: (await batch.embedding(ids)).embedding."""
        return self._ask(functools.partial(self.inner.embedding, list(ids), pooling, priority, forget))

    def _ask(self, add: Callable[[], _batch.Request]) -> Request:
        if self._closing:
            raise RuntimeError("the batch is closed")
        request = Request(self, add)
        self._command(functools.partial(self._take, weakref.ref(request)))
        return request

    def _command(self, command: Callable[[], None]) -> None:
        self._commands.put(command)

    # ---- on the thread

    @staticmethod
    def _run(who: weakref.ref[Batch],
             commands: queue.SimpleQueue[Optional[Callable[[], None]]]) -> None:
        """It has no hold on the batch where it waits, so that one can be forgotten."""
        goes_on = True
        while goes_on:
            command = commands.get()
            batch = who()
            if batch is None:
                return
            goes_on = batch._work(command)
            del batch, command

    def _work(self, command: Optional[Callable[[], None]]) -> bool:
        """Obeys, and steps until there is no request. False where that was to close."""
        if command is not None:
            command()
            while self._obey():
                if not self._open:
                    return True
                try:
                    for event in self.inner.events():
                        self._hand_out(event)
                    if self._open:
                        self.inner.step()
                except BaseException as error:  # pylint: disable=broad-except
                    self._fail_all(error)
        self._end()
        return False

    def _end(self) -> None:
        self._fail_all(_cancelled())
        self.inner.close()
        while True:  # what was asked for meanwhile
            try:
                command = self._commands.get_nowait()
            except queue.Empty:
                return
            if command is not None:
                command()

    def _obey(self) -> bool:
        """Takes the commands that there are."""
        while True:
            try:
                command = self._commands.get_nowait()
            except queue.Empty:
                return True
            if command is None:
                return False
            command()

    def _take(self, who: weakref.ref[Request]) -> None:
        request = who()
        if request is None or request._over is not None:
            return
        if self.inner.closed:
            request._tell(_cancelled())
            return
        try:
            request.inner = request._add()
            self._open[request.inner] = who
        except BaseException as error:  # pylint: disable=broad-except
            request._tell(error)

    def _drop(self, request: Request) -> None:
        inner = request.inner
        if inner is not None and self._open.pop(inner, None) is not None:
            inner.close()
            request._tell(_cancelled())

    def _hand_out(self, event: _batch.BatchEvent) -> None:
        who = self._open.get(event.request)
        request = who() if who is not None else None
        over = event.type in (BatchEventType.END, BatchEventType.FAILED)
        if over or request is None:
            self._open.pop(event.request, None)
        if request is not None:
            request._tell(event.error if event.error is not None else event)
        elif not over:
            event.request.close()

    def _fail_all(self, error: BaseException) -> None:
        """Nobody knows whose it is: a device that failed, or what a filter raised."""
        for inner, who in list(self._open.items()):
            inner.close()
            request = who()
            if request is not None:
                request._tell(error)
        self._open.clear()


def _cancelled() -> Cancelled:
    return Cancelled(Status.CANCEL, "", "the request was cancelled")
