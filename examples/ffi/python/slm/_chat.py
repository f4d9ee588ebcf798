"""Answers that are taken apart, and transcripts kept together with their session."""
from __future__ import annotations

import ctypes
import json
import os
from typing import TYPE_CHECKING, Any, Callable, Generator, Iterator, List, NamedTuple, Optional, Union

from . import _abi
from ._model import Call, CallReader
from ._native import Handle, call, encoded, result, text_at
from ._options import (AnswerOptions, Filter, Json, Message, Tools, answer_struct, as_json,
                       filter_callback, message_struct)
from ._types import AnswerEventType, ChatFull, ChatInfo, ChatReport, EndReason

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ._model import Path
    from ._session import Session


class AnswerEvent(NamedTuple):
    """What comes of an answer: see slm_answer_event."""

    type: AnswerEventType
    text: str
    call: int
    thinking: bool
    begin: int
    end: int
    n_tokens: int
    reason: EndReason
    forced: int
    steps: int
    drafted: int


class Answer(Handle):
    """An answer while it is made. Iterating over it gives texts, and a Call for each call of a tool;
    events() gives all there is. Close it, or leave its with block, before the session is used again."""

    _close = "slm_answer_end"

    def __init__(self, session: Session, begin: Callable[[Any], None], *kept: Any) -> None:
        super().__init__()
        self.session = session
        self.end_reason: Optional[EndReason] = None
        self._kept = kept  # callbacks that C calls while the answer is made
        with self._making():
            begin(ctypes.byref(self._as_parameter_))

    def events(self) -> Iterator[AnswerEvent]:
        """Each event, END last."""
        event = _abi.slm_answer_event()
        while self.end_reason is None:
            call("slm_answer_next", self, ctypes.byref(event))
            if event.type == AnswerEventType.END:
                self.end_reason = self.session.end_reason = EndReason(event.reason)
            yield AnswerEvent(AnswerEventType(event.type), text_at(event.text, event.text_len),
                              event.call, bool(event.thinking), event.begin, event.end, event.count,
                              EndReason(event.reason), event.forced, event.steps,
                              event.drafted)

    def __iter__(self) -> Iterator[Union[str, Call]]:
        calls = CallReader()
        for event in self.events():
            if event.type == AnswerEventType.TEXT:
                yield event.text
            else:
                whole = calls.take(event.type, event.text)
                if whole is not None:
                    yield whole

    @property
    def text(self) -> str:
        """The text for the reader so far."""
        return got_text("slm_answer_get_text", self)

    @property
    def message(self) -> Json:
        """The message of the answer so far, for a transcript."""
        message: Json = json.loads(got_text("slm_answer_get_message", self))
        return message


def got_text(function: str, *args: Any) -> str:
    """What a function of the kind get(..., &text, &len) gives."""
    text, n = ctypes.c_void_p(), ctypes.c_size_t()
    call(function, *args, ctypes.byref(text), ctypes.byref(n))
    return text_at(text.value, n.value)


class Chat(Handle):
    """A transcript and the session that has evaluated it; only what is new is evaluated.

    chat = session.chat(tools=[{"type": "function", "function": {...}}])
    chat.add("user", "Set a timer for ten minutes.")
    parts = list(chat.answer(temperature=0))     # texts, and calls of tools
    for call in parts:
        if isinstance(call, slm.Call):
            chat.add("tool", json.dumps(set_timer(**call.arguments)))
    print("".join(chat.answer(temperature=0)))   # what it says to the result

    path         a file that save() wrote
    drop_oldest  what to do when the context is full; else ContextFull is raised
    reserve      tokens that must stay free for an answer; 0: an eighth of the context
    filter       sees each message of the user and of tools when it is added: see Filter
    now          local time for templates that ask for it, in seconds since 1970
    """

    _close = "slm_chat_close"

    def __init__(self, session: Session, system: Optional[str] = None, tools: Optional[Tools] = None,
                 path: Optional[Path] = None, drop_oldest: bool = False, reserve: int = 0,
                 extra: Optional[Json] = None, now: int = 0, chat_template: Optional[str] = None,
                 filter: Optional[Filter] = None) -> None:  # pylint: disable=redefined-builtin
        super().__init__()
        self.session = session
        self.end_reason: Optional[EndReason] = None  # why the last answer ended
        self.report: Optional[ChatReport] = None     # of the last evaluation
        tools_text, n_tools = as_json(tools)
        extra_text, n_extra = as_json(extra)
        template, n_template = encoded(chat_template)
        self._options = _abi.slm_chat_options(
            when_full=ChatFull.DROP if drop_oldest else ChatFull.STOP, reserve=reserve,
            tools=tools_text, tools_len=n_tools, extra=extra_text, extra_len=n_extra, now=now,
            chat_template=template, chat_template_len=n_template, filter=filter_callback(filter))
        options, handle = ctypes.byref(self._options), ctypes.byref(self._as_parameter_)
        if path is not None:
            self._make("slm_chat_load", session, options, os.fsencode(path), handle)
        else:
            self._make("slm_chat_open", session, options, handle)
        session._chats.add(self)
        with self._making():
            if system is not None:
                self.add("system", system)

    def add(self, role: Union[str, Json], content: Optional[str] = None,
            unfiltered: bool = False) -> None:
        """Adds a message: a role and a text, or a dictionary with all that templates know."""
        message: Message = role if isinstance(role, dict) else (role, content or "")
        call("slm_chat_add", self, ctypes.byref(message_struct(message)),
             _abi.CHAT_UNFILTERED if unfiltered else 0)

    def begin(self, go_on: bool = False, **options: Unpack[AnswerOptions]) -> Answer:
        """Begins the answer to the last message, or with go_on goes on with the assistant's. It belongs
        to the transcript when it has ended, or was closed."""
        function = "slm_chat_continue" if go_on else "slm_chat_answer"
        struct, report = answer_struct(options), _abi.slm_chat_report()
        answer = Answer(self.session, lambda handle: call(function, self, ctypes.byref(struct), handle,
                                                          ctypes.byref(report)), struct)
        self.report = result(ChatReport, report)
        return answer

    def answer(self, **options: Unpack[AnswerOptions]) -> Generator[Union[str, Call], None, None]:
        """Yields the answer to the last message as it comes: texts, and a Call for each call of a tool.
        Leaving the iteration ends the answer."""
        yield from self._parts(False, options)

    def go_on(self, **options: Unpack[AnswerOptions]) -> Generator[Union[str, Call], None, None]:
        """As answer(), but goes on with the last message, which is the assistant's."""
        yield from self._parts(True, options)

    def _parts(self, go_on: bool, options: AnswerOptions) -> Iterator[Union[str, Call]]:
        with self.begin(go_on, **options) as answer:
            yield from answer
            self.end_reason = answer.end_reason

    def _evaluate(self, function: str, *args: Any) -> ChatReport:
        report = _abi.slm_chat_report()
        call(function, self, *args, ctypes.byref(report))
        self.report = result(ChatReport, report)
        return self.report

    def draft(self, text: str) -> ChatReport:
        """Evaluates ahead what somebody is still saying; the next draft or add() takes its place."""
        return self._evaluate("slm_chat_draft", *encoded(text))

    def rollback(self) -> None:
        """The draft never was."""
        call("slm_chat_rollback", self)

    def prepare(self) -> ChatReport:
        """Evaluates what is certain of the next prompt."""
        return self._evaluate("slm_chat_prepare")

    def keep(self, n_bytes: int, note: Optional[str] = None) -> None:
        """Keeps of the last answer the first bytes of its text: what was heard of it."""
        call("slm_chat_keep", self, n_bytes, *encoded(note))

    def cut(self, n_messages: int) -> None:
        """Takes back all messages but the first."""
        call("slm_chat_cut", self, n_messages)

    def set_tail(self, text: str) -> None:
        """What changes from turn to turn, such as the time: goes with the next message answered."""
        call("slm_chat_set_tail", self, *encoded(text))

    def set_tools(self, tools: Optional[Tools]) -> None:
        """Other tools from now on; None: none."""
        call("slm_chat_set_tools", self, *as_json(tools))

    def save(self, path: Path) -> None:
        """The transcript and what the model has read of it; Chat(session, path=path) goes on."""
        call("slm_chat_save", self, os.fsencode(path))

    @property
    def info(self) -> ChatInfo:
        info = _abi.slm_chat_info()
        call("slm_chat_get_info", self, ctypes.byref(info))
        return result(ChatInfo, info)

    @property
    def messages(self) -> List[Json]:
        """A copy of the transcript."""
        return [json.loads(got_text("slm_chat_get_message", self, i))
                for i in range(self.info.n_messages)]
