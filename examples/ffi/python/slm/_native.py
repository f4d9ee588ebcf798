"""The library itself: how it is found, called, and how its failures become exceptions."""
from __future__ import annotations

import array
import contextlib
import ctypes
import ctypes.util
import os
import threading
import warnings
from types import TracebackType
from typing import (TYPE_CHECKING, Any, Callable, Dict, Iterable, Iterator, List, NamedTuple, Optional,
                    Sequence, Tuple, Type, TypeVar, Union)

from . import _abi, _types
from ._types import LogLevel, Status

if TYPE_CHECKING:
    from typing_extensions import Self

SONAME = "libslm.so.0"
NTS = ctypes.c_size_t(-1).value  # a length that says: the text ends at its NUL

Progress = Callable[[int, int], Optional[bool]]  # done and total; False: stop
Log = Callable[[LogLevel, str], None]
R = TypeVar("R", bound=NamedTuple)


class Error(Exception):
    """A call failed: what was wrong, where, what was found and what was wanted.

    status   its code; name is the code's name, such as "TRUNC"
    subject  the key, tensor, token or option concerned; may be empty
    offset   the place in the file, in bytes; None where there is none
    """

    def __init__(self, status: int, subject: str = "", message: str = "",
                 offset: Optional[int] = None) -> None:
        super().__init__(message)
        self.status = Status(status)
        self.subject = subject
        self.offset = offset

    @property
    def name(self) -> str:
        return self.status.name

    def __reduce__(self) -> Tuple[Any, ...]:
        return type(self), (int(self.status), self.subject, str(self), self.offset)


class Cancelled(Error):
    """SLM_ERR_CANCEL: somebody stopped the call. What it worked on is usable."""


class ContextFull(Error):
    """SLM_ERR_CTX: more tokens than the context has room for."""


class OutOfMemory(Error, MemoryError):
    """SLM_ERR_NOMEM: an allocation failed, or a memory limit would be passed."""


_KINDS: Dict[int, Type[Error]] = {Status.CANCEL: Cancelled, Status.CTX: ContextFull,
                                  Status.NOMEM: OutOfMemory}


def make_error(status: int, subject: str, message: str, offset: Optional[int] = None) -> Error:
    return _KINDS.get(status, Error)(status, subject, message, offset)


_lib: Optional[ctypes.CDLL] = None


def load(path: Union[str, os.PathLike[str], None] = None) -> ctypes.CDLL:
    """Loads the shared library, once: from path, from $SLM_LIBRARY, from beside this file, or where the
    system finds it."""
    global _lib
    if _lib is None:
        beside = os.path.join(os.path.dirname(os.path.abspath(__file__)), SONAME)
        found = (os.fspath(path) if path else None) or os.environ.get("SLM_LIBRARY") or (
            beside if os.path.exists(beside) else None)
        library = ctypes.CDLL(found or ctypes.util.find_library("slm") or SONAME)
        for name, (result, *parameters) in _abi.FUNCTIONS.items():
            try:
                function = getattr(library, name)
            except AttributeError:
                continue  # an older library: whoever calls it is told
            function.restype, function.argtypes = result, parameters
        _lib = library
    return _lib


def version() -> str:
    """The version of the library that is loaded, such as "0.1.0"."""
    text: bytes = load().slm_version()
    return text.decode()


# What a callback raised, until the call that it came from returns: on the same thread, as the library
# calls nothing from others.
_raised = threading.local()


def call(function: str, *args: Any) -> None:
    """Calls a function whose last argument is the error; raises Error when it fails, and what a
    callback has raised meanwhile."""
    error = _abi.slm_error()
    before = getattr(_raised, "exception", None)  # of a call that this one is made within
    _raised.exception = None
    status = getattr(load(), function)(*args, ctypes.byref(error))
    raised: Optional[BaseException] = _raised.exception
    _raised.exception = before
    if raised is not None:
        raise raised
    if status != 0:
        no_offset = error.offset == 2 ** 64 - 1
        raise make_error(status, error.subject.decode(errors="replace"),
                         error.message.decode(errors="replace"), None if no_offset else error.offset)


def guarded(function: Callable[..., int]) -> Callable[..., int]:
    """A callback for C: what it raises stops the call, which then raises it."""
    def run(*args: Any) -> int:
        try:
            return function(*args)
        except BaseException as exception:  # pylint: disable=broad-except
            _raised.exception = exception
            return 1
    return run


def progress_callback(progress: Optional[Progress]) -> Any:
    if progress is None:
        return _abi.slm_progress_fn()
    told = progress
    return _abi.slm_progress_fn(guarded(lambda _, done, total: int(told(done, total) is False)))


def yield_callback(progress: Optional[Progress]) -> Any:
    if progress is None:
        return _abi.slm_yield_fn()
    told = progress
    return _abi.slm_yield_fn(guarded(lambda _, done, total: int(told(done, total) is False)))


def log_callback(log: Optional[Log]) -> Any:
    if log is None:
        return _abi.slm_log_fn()
    told = log

    def line(_: int, level: int, text: int) -> None:
        try:
            told(LogLevel(level), ctypes.string_at(text).decode(errors="replace"))
        except BaseException as exception:  # pylint: disable=broad-except
            _raised.exception = exception
    return _abi.slm_log_fn(line)


class Handle:
    """Owns an object of the library; close() or the end of a with block frees it. Nothing is freed by
    itself, as the garbage collector may run on a thread that must not use the object: an object that is
    forgotten is told of by a ResourceWarning."""

    _close = ""

    def __init__(self) -> None:
        self._as_parameter_ = ctypes.c_void_p()

    def close(self) -> None:
        """Frees the object; again does nothing."""
        getattr(load(), self._close)(ctypes.byref(self._as_parameter_))

    @contextlib.contextmanager
    def _making(self) -> Iterator[None]:
        """The object is freed again if anything is raised: an interruption comes after C has returned."""
        try:
            yield
        except BaseException:
            self.close()
            raise

    def _make(self, function: str, *args: Any) -> None:
        """Calls the function that makes the object."""
        with self._making():
            call(function, *args)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: Optional[Type[BaseException]], value: Optional[BaseException],
                 trace: Optional[TracebackType]) -> None:
        self.close()

    def __del__(self) -> None:
        handle = getattr(self, "_as_parameter_", None)
        if handle is not None and handle.value:
            warnings.warn(f"{type(self).__name__} was not closed", ResourceWarning, source=self)

    @property
    def closed(self) -> bool:
        return not self._as_parameter_.value


def text_at(address: Optional[int], n: int) -> str:
    """Text that the library points to."""
    return bytes_at(address, n).decode(errors="replace")


def bytes_at(address: Optional[int], n: int) -> bytes:
    return ctypes.string_at(address, n) if address and n else b""


def floats_at(address: Any, n: int) -> array.array[float]:
    """A copy of floats, as an array that others can use without a copy: numpy.frombuffer(a, "f4")."""
    result = array.array("f")
    result.frombytes(ctypes.string_at(address, 4 * n))
    return result


def ids_array(ids: Iterable[int]) -> Any:
    """Ids for C: an array of c_int32. OverflowError where one is no 32-bit number."""
    items = list(ids)
    for i in items:
        if not -2 ** 31 <= i < 2 ** 31:
            raise OverflowError(f"token id {i} is not a 32-bit number")
    return (ctypes.c_int32 * len(items))(*items)


def spans(texts: Iterable[Union[str, bytes, Tuple[str, bool]]]) -> Any:
    """slm_span[]: texts, or pairs of a text and whether it is trusted."""
    items: List[Any] = []
    for text in texts:
        trusted = False
        if isinstance(text, tuple):
            text, trusted = text
        data = text if isinstance(text, bytes) else text.encode()
        items.append(_abi.slm_span(text=data, len=len(data), trusted=trusted))
    return (_abi.slm_span * len(items))(*items)


def filled(make: Callable[..., None], unit: Any) -> Any:
    """An array of units from a function that is asked for the number first: make(buffer, cap, &n)."""
    n = ctypes.c_size_t()
    make(None, 0, ctypes.byref(n))
    buffer = (unit * max(n.value, 1))()
    make(buffer, n.value, ctypes.byref(n))
    return buffer[:n.value]


def result(kind: Callable[..., R], struct: Any) -> R:
    """A struct of the library as one of the tuples of _types."""
    values = []
    for name in kind._fields:  # type: ignore[attr-defined]
        value = getattr(struct, name)
        if isinstance(value, bytes):
            value = value.decode(errors="replace")
        elif isinstance(value, ctypes.Array):
            value = tuple(value)
        values.append(convert(kind, name, value))
    return kind(*values)


def convert(kind: Any, name: str, value: Any) -> Any:
    """A number as the enumeration or truth value that the tuple declares at this name."""
    declared = kind.__annotations__[name]
    declared = getattr(declared, "__forward_arg__", declared)
    if declared.startswith("Tuple["):
        one = getattr(_types, declared[6:].split(",")[0], None)
        return tuple(one(v) for v in value) if one else value
    if declared == "bool":
        return bool(value)
    one = getattr(_types, declared, None)
    return one(value) if one else value


def encoded(text: Optional[str]) -> Tuple[Optional[bytes], int]:
    """Bytes and their number; None and 0 for no text."""
    data = None if text is None else text.encode()
    return data, len(data or b"")


def fields_of(struct: Any) -> List[str]:
    """The names of the members of a struct, but for its size."""
    return [field[0] for field in struct._fields_[1:]]


def check_names(given: Dict[str, Any], known: Sequence[str], what: str) -> None:
    """Keyword arguments that no struct has are mistakes of the caller's."""
    for name in given:
        if name not in known:
            raise TypeError(f"no {what} {name!r}")
