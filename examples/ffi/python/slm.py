"""libslm from Python, by ctypes: load a model, hold a conversation, stream text.

    import slm
    with slm.Model("model.gguf") as model, model.session() as session:
        for piece in session.ask("Why is the sky blue?"):
            print(piece, end="", flush=True)

Nothing is compiled: the shared library is found by the argument of load(), beside this file, or by
name. One Session belongs to one thread at a time; Session.cancel() may be called from any.
"""
import collections
import contextlib
import ctypes
import ctypes.util
import json
import os

SONAME = "libslm.so.0"
NTS = ctypes.c_size_t(-1).value  # a length that says: the text ends at its NUL
DEFAULT, F16, Q8_0, F32 = 0, 1, 2, 3  # kinds of cache
EVENT_TEXT, EVENT_REEVALUATED, EVENT_END = 1, 2, 3
ANSWER_TEXT, ANSWER_CALL_BEGIN, ANSWER_ARGUMENTS, ANSWER_CALL_END, ANSWER_END = 1, 3, 4, 5, 9
END_REASONS = {1: "end", 2: "stop", 3: "length", 4: "context", 5: "guide", 6: "stuck", 7: "filter"}

Call = collections.namedtuple("Call", "name arguments")  # a call of a tool; arguments: a dictionary


class Error(Exception):
    """A call failed. status is its code, name the code's name, subject what it concerns."""

    def __init__(self, status, name, subject, message):
        super().__init__(message)
        self.status, self.name, self.subject = status, name, subject


class _Struct(ctypes.Structure):
    """A struct that begins with its own size, as those of slm.h do."""

    def __init__(self, **fields):
        super().__init__(ctypes.sizeof(type(self)), **fields)


class _Error(_Struct):
    _fields_ = [("struct_size", ctypes.c_uint32), ("status", ctypes.c_int32),
                ("offset", ctypes.c_uint64), ("subject", ctypes.c_char * 80),
                ("message", ctypes.c_char * 304)]


class _ModelOptions(_Struct):
    _fields_ = [("struct_size", ctypes.c_uint32), ("flags", ctypes.c_uint32),
                ("device", ctypes.c_int32), ("load", ctypes.c_int32),
                ("memory_limit", ctypes.c_uint64), ("cpu_levels", ctypes.c_uint32),
                ("log_level", ctypes.c_int32)]  # later fields: their defaults


class _ModelInfo(_Struct):
    _fields_ = [("struct_size", ctypes.c_uint32)] + [(name, ctypes.c_uint32) for name in (
        "n_layers", "d_model", "n_heads", "n_kv_heads", "d_head", "d_ff", "n_vocab", "n_ctx_train",
        "n_ctx_original", "sliding_window", "has_weights")] + [(name, ctypes.c_uint64) for name in (
            "n_parameters", "weight_bytes", "file_bytes")] + [(name, ctypes.c_int32) for name in (
                "bos_id", "eos_id", "eot_id", "unk_id")] + [
                    ("add_bos", ctypes.c_uint32), ("device", ctypes.c_int32),
                    ("architecture", ctypes.c_char * 32), ("name", ctypes.c_char * 128),
                    ("quantization", ctypes.c_char * 32), ("chat_format", ctypes.c_char * 32),
                    ("cpu_levels", ctypes.c_uint32)]


class _CacheOptions(_Struct):
    _fields_ = [("struct_size", ctypes.c_uint32)] + [(name, ctypes.c_uint32) for name in (
        "n_ctx", "n_cells", "max_sessions")] + [("kv_type", ctypes.c_int32)] + [
            (name, ctypes.c_uint32) for name in ("page_tokens", "max_rows", "max_logits",
                                                 "n_threads")] + [
                ("rope_factors", ctypes.c_int32), ("chunk_ms", ctypes.c_uint32),
                ("flags", ctypes.c_uint32)]


class _Span(ctypes.Structure):
    _fields_ = [("text", ctypes.c_char_p), ("len", ctypes.c_size_t), ("trusted", ctypes.c_uint32)]


class _Message(_Struct):
    _fields_ = [("struct_size", ctypes.c_uint32), ("role", ctypes.c_char_p),
                ("role_len", ctypes.c_size_t), ("content", ctypes.c_char_p),
                ("content_len", ctypes.c_size_t)]


class _ChatInput(_Struct):
    _fields_ = [("struct_size", ctypes.c_uint32), ("flags", ctypes.c_uint32),
                ("messages", ctypes.POINTER(_Message)), ("n_messages", ctypes.c_size_t),
                ("conversation", ctypes.c_char_p), ("conversation_len", ctypes.c_size_t)]
    # later fields: their defaults


class _PromptReport(_Struct):
    _fields_ = [("struct_size", ctypes.c_uint32), ("reuse_stop", ctypes.c_int32),
                ("n_reused", ctypes.c_uint64), ("n_evaluated", ctypes.c_uint64)]


class _LogitBias(ctypes.Structure):
    _fields_ = [("id", ctypes.c_int32), ("bias", ctypes.c_float)]


class _Sampling(_Struct):
    _fields_ = [("struct_size", ctypes.c_uint32), ("temperature", ctypes.c_float),
                ("top_k", ctypes.c_int32)] + [(name, ctypes.c_float) for name in (
                    "top_p", "min_p", "typical_p", "repeat_penalty", "presence_penalty",
                    "frequency_penalty")] + [
                        ("penalty_last_n", ctypes.c_int32), ("dry_multiplier", ctypes.c_float),
                        ("dry_base", ctypes.c_float), ("dry_allowed_length", ctypes.c_int32),
                        ("dry_last_n", ctypes.c_int32), ("seed", ctypes.c_uint64),
                        ("dry_breakers", ctypes.c_void_p), ("n_dry_breakers", ctypes.c_size_t),
                        ("logit_bias", ctypes.POINTER(_LogitBias)),
                        ("n_logit_bias", ctypes.c_size_t)]


class _GenerateOptions(_Struct):
    _fields_ = [("struct_size", ctypes.c_uint32), ("flags", ctypes.c_uint32),
                ("max_tokens", ctypes.c_uint64), ("sampling", ctypes.POINTER(_Sampling)),
                ("stop", ctypes.POINTER(_Span)), ("n_stop", ctypes.c_size_t),
                ("n_top", ctypes.c_uint32), ("guide", ctypes.c_void_p)]


class _Event(_Struct):
    _fields_ = [("struct_size", ctypes.c_uint32), ("type", ctypes.c_int32),
                ("text", ctypes.c_void_p), ("text_len", ctypes.c_size_t),
                ("token", ctypes.c_int32), ("logprob", ctypes.c_float), ("top", ctypes.c_void_p),
                ("n_top", ctypes.c_size_t), ("count", ctypes.c_uint64), ("reason", ctypes.c_int32)]


class _ChatOptions(_Struct):
    _fields_ = [("struct_size", ctypes.c_uint32), ("when_full", ctypes.c_int32),
                ("reserve", ctypes.c_uint32), ("tools", ctypes.c_char_p),
                ("tools_len", ctypes.c_size_t), ("extra", ctypes.c_char_p),
                ("extra_len", ctypes.c_size_t), ("now", ctypes.c_int64),
                ("chat_template", ctypes.c_char_p), ("chat_template_len", ctypes.c_size_t)]


class _ChatReport(_Struct):
    _fields_ = [("struct_size", ctypes.c_uint32), ("reuse_stop", ctypes.c_int32),
                ("n_reused", ctypes.c_uint64), ("n_evaluated", ctypes.c_uint64),
                ("segment", ctypes.c_int32), ("n_dropped", ctypes.c_uint32),
                ("message", ctypes.c_uint64)]


class _ChatInfo(_Struct):
    _fields_ = [("struct_size", ctypes.c_uint32), ("has_draft", ctypes.c_uint32),
                ("n_messages", ctypes.c_uint64), ("n_pinned", ctypes.c_uint64),
                ("n_dropped", ctypes.c_uint64), ("n_tokens", ctypes.c_uint64)]


class _AnswerOptions(_Struct):
    _fields_ = [("struct_size", ctypes.c_uint32), ("flags", ctypes.c_uint32),
                ("generate", ctypes.POINTER(_GenerateOptions)), ("tools", ctypes.c_char_p),
                ("tools_len", ctypes.c_size_t), ("tools_options", ctypes.c_void_p),
                ("guide_options", ctypes.c_void_p), ("thinking_budget", ctypes.c_uint64)]


class _AnswerEvent(_Struct):
    _fields_ = [("struct_size", ctypes.c_uint32), ("type", ctypes.c_int32),
                ("text", ctypes.c_void_p), ("text_len", ctypes.c_size_t),
                ("call", ctypes.c_uint32), ("thinking", ctypes.c_uint32),
                ("begin", ctypes.c_uint64), ("end", ctypes.c_uint64), ("count", ctypes.c_uint64),
                ("reason", ctypes.c_int32)]


_lib = None


def load(path=None):
    """Loads the shared library, once: from path, from $SLM_LIBRARY, from beside this file, or where the
    system finds it."""
    global _lib
    if _lib is None:
        beside = os.path.join(os.path.dirname(os.path.abspath(__file__)), SONAME)
        path = path or os.environ.get("SLM_LIBRARY") or (os.path.exists(beside) and beside)
        _lib = ctypes.CDLL(path or ctypes.util.find_library("slm") or SONAME)
        _lib.slm_version.restype = ctypes.c_char_p
        _lib.slm_status_name.restype = ctypes.c_char_p
        for name in ("slm_model_close", "slm_session_close", "slm_generate_end", "slm_session_cancel",
                     "slm_guide_close", "slm_chat_close", "slm_answer_end"):
            getattr(_lib, name).restype = None
        _lib.slm_session_cancel.argtypes = [ctypes.c_void_p]
    return _lib


def version():
    return load().slm_version().decode()


def _call(function, *args):
    """Calls a function whose last argument is the error; raises Error when it fails."""
    error = _Error()
    status = getattr(load(), function)(*args, ctypes.byref(error))
    if status != 0:
        raise Error(status, load().slm_status_name(status).decode(),
                    error.subject.decode(), error.message.decode())


class _Handle:
    """Owns an object of the library; close() or the end of a with block frees it."""
    _close = None

    def __init__(self):
        self._as_parameter_ = ctypes.c_void_p()

    def close(self):
        getattr(load(), self._close)(ctypes.byref(self._as_parameter_))

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    @property
    def closed(self):
        return not self._as_parameter_.value


class Model(_Handle):
    """A GGUF file. Any thread; open sessions keep the model alive after close()."""
    _close = "slm_model_close"

    def __init__(self, path, memory_limit=0, vocab_only=False):
        super().__init__()
        options = _ModelOptions(memory_limit=memory_limit, flags=1 if vocab_only else 0)
        _call("slm_model_open", os.fsencode(path), ctypes.byref(options),
              ctypes.byref(self._as_parameter_))

    @property
    def info(self):
        """What the file says of itself, as a dictionary."""
        info = _ModelInfo()
        _call("slm_model_get_info", self, ctypes.byref(info))
        values = ((name, getattr(info, name)) for name, _ in info._fields_[1:])
        return {name: v.decode() if isinstance(v, bytes) else v for name, v in values}

    def tokenize(self, text, trusted=False, bos=None):
        """Text to ids. In trusted text the spellings of control tokens become control tokens."""
        data = text.encode()
        span = _Span(data, len(data), trusted)
        mode = 0 if bos is None else 1 if bos else 2
        return self._ids("slm_tokenize", ctypes.byref(span), ctypes.c_size_t(1), mode)

    def chat_ids(self, messages):
        """Ids of a conversation, [(role, content), ...], up to where the assistant answers."""
        parts = [(role.encode(), content.encode()) for role, content in messages]
        array = (_Message * len(parts))(*[
            _Message(role=r, role_len=len(r), content=c, content_len=len(c)) for r, c in parts])
        return self._ids("slm_chat_tokenize", array, ctypes.c_size_t(len(parts)), ctypes.c_uint32(1))

    def conversation_ids(self, messages, tools=None):
        """Ids of a conversation up to where the assistant answers. Messages are dictionaries with all
        that templates know ({"role": "tool", "content": ...}, "tool_calls"); tools are a list of them,
        {"type": "function", "function": {"name": ..., "parameters": a JSON Schema}}."""
        text = json.dumps({"messages": messages, "tools": tools, "add_generation_prompt": True})
        data = text.encode()
        chat = _ChatInput(conversation=data, conversation_len=len(data))
        return self._ids("slm_chat_tokenize_input", ctypes.byref(chat))

    def tool_guide(self, tools):
        """Holds the calls in answers to these tools and their schemas; other text stays free."""
        return Guide(self, "slm_guide_compile_tools", tools, None)

    def schema_guide(self, schema):
        """Holds answers to a JSON Schema, a dictionary."""
        return Guide(self, "slm_guide_compile_json_schema", schema)

    def _ids(self, function, *args):
        n = ctypes.c_size_t()
        _call(function, self, *args, None, ctypes.c_size_t(0), ctypes.byref(n))
        ids = (ctypes.c_int32 * max(n.value, 1))()
        _call(function, self, *args, ids, n, ctypes.byref(n))
        return list(ids[:n.value])

    def detokenize(self, ids, special=False, drop_space=False):
        """Ids to bytes."""
        array, n = (ctypes.c_int32 * max(len(ids), 1))(*ids), ctypes.c_size_t()
        flags = ctypes.c_uint32(special | drop_space << 1)
        count = ctypes.c_size_t(len(ids))
        _call("slm_detokenize", self, array, count, flags, None, ctypes.c_size_t(0), ctypes.byref(n))
        text = ctypes.create_string_buffer(max(n.value, 1))
        _call("slm_detokenize", self, array, count, flags, text, n, ctypes.byref(n))
        return text.raw[:n.value]

    def session(self, **options):
        """A conversation; options are those of slm_cache_options (n_ctx, kv_type, n_threads, ...)."""
        return Session(self, **options)


class Guide(_Handle):
    """What answers are held to: an argument of Session.generate(), for any number of answers."""
    _close = "slm_guide_close"

    def __init__(self, model, function, value, *args):
        super().__init__()
        data = json.dumps(value).encode()
        _call(function, model, data, ctypes.c_size_t(len(data)), *args, None,
              ctypes.byref(self._as_parameter_))


def _generate_options(max_tokens, stop, guide, sampling):
    chain = _Sampling()
    load().slm_sampling_init(ctypes.byref(chain))
    bias = sampling.pop("logit_bias", {})
    chain.logit_bias = (_LogitBias * len(bias))(*bias.items())
    chain.n_logit_bias = len(bias)
    for name, value in sampling.items():
        if name not in (field for field, _ in _Sampling._fields_[1:]):
            raise TypeError(f"no sampling field {name!r}")
        setattr(chain, name, value)
    stops = [text.encode() for text in stop]
    spans = (_Span * len(stops))(*[_Span(text, len(text), 0) for text in stops])
    return _GenerateOptions(max_tokens=max_tokens, sampling=ctypes.pointer(chain), stop=spans,
                            n_stop=len(stops), guide=guide and guide._as_parameter_)


class Session(_Handle):
    """One conversation and the memory it lives in."""
    _close = "slm_session_close"

    def __init__(self, model, **options):
        super().__init__()
        self.model = model
        self.messages = []       # of ask()
        self.end_reason = None   # why the last answer ended
        self.n_reused = 0        # tokens of the last prompt that were not evaluated again
        _call("slm_session_open", model, ctypes.byref(_CacheOptions(**options)),
              ctypes.byref(self._as_parameter_))

    def prompt(self, ids):
        """Makes the session hold these ids, reusing what it has in common with them."""
        report = _PromptReport()
        _call("slm_session_prompt", self, (ctypes.c_int32 * len(ids))(*ids),
              ctypes.c_size_t(len(ids)), ctypes.byref(report))
        self.n_reused = report.n_reused

    def truncate(self, n):
        _call("slm_session_truncate", self, ctypes.c_size_t(n))

    def checkpoint(self):
        """Says that the session may be taken back to where it is now, without evaluating anything."""
        _call("slm_session_checkpoint", self)

    def cancel(self):
        """Stops what is running in this session; any thread."""
        load().slm_session_cancel(self)

    @property
    def tokens(self):
        ids, n = ctypes.POINTER(ctypes.c_int32)(), ctypes.c_size_t()
        _call("slm_session_get_tokens", self, ctypes.byref(ids), ctypes.byref(n))
        return ids[:n.value]

    def generate(self, max_tokens=0, stop=(), guide=None, **sampling):
        """Yields text as it comes. sampling: fields of slm_sampling (temperature, top_k, seed, ...);
        logit_bias is a dictionary of ids and what is added to their logits."""
        options = _generate_options(max_tokens, stop, guide, sampling)
        generator, event = ctypes.c_void_p(), _Event()
        _call("slm_generate_begin", self, ctypes.byref(options), ctypes.byref(generator))
        try:
            while event.type != EVENT_END:
                _call("slm_generate_next", generator, ctypes.byref(event))
                if event.text_len:
                    yield ctypes.string_at(event.text, event.text_len).decode()
            self.end_reason = END_REASONS[event.reason]
        finally:
            load().slm_generate_end(ctypes.byref(generator))

    def ask(self, text, system=None, **options):
        """Appends a question to the conversation and yields the answer, which then belongs to it."""
        if system is not None and not self.messages:
            self.messages.append(("system", system))
        self.messages.append(("user", text))
        self.prompt(self.model.chat_ids(self.messages))
        answer = []
        try:
            for piece in self.generate(**options):
                answer.append(piece)
                yield piece
        finally:
            self.messages.append(("assistant", "".join(answer)))

    def chat(self, system=None, tools=None, **options):
        """A transcript that is kept together with this session: see Chat."""
        return Chat(self, system, tools, **options)


class Chat(_Handle):
    """A transcript and the session that has evaluated it; only what is new is evaluated.

    chat = session.chat(tools=[{"type": "function", "function": {...}}])
    chat.add("user", "Set a timer for ten minutes.")
    parts = list(chat.answer(temperature=0))     # texts, and calls of tools
    for call in parts:
        if isinstance(call, slm.Call):
            chat.add("tool", json.dumps(set_timer(**call.arguments)))
    print("".join(chat.answer(temperature=0)))   # what it says to the result
    """
    _close = "slm_chat_close"

    def __init__(self, session, system=None, tools=None, path=None, drop_oldest=False, reserve=0,
                 chat_template=None):
        """path: a file that save() wrote. drop_oldest: what to do when the context is full."""
        super().__init__()
        self.session = session    # must stay open
        self.end_reason = None    # why the last answer ended
        self.report = {}          # of the last evaluation: n_reused, n_evaluated, n_dropped
        tools = json.dumps(tools).encode() if tools else None
        template = chat_template.encode() if chat_template else None
        options = _ChatOptions(when_full=1 if drop_oldest else 0, reserve=reserve, tools=tools,
                               tools_len=len(tools or b""), chat_template=template,
                               chat_template_len=len(template or b""))
        handle = ctypes.byref(self._as_parameter_)
        if path is not None:
            _call("slm_chat_load", session, ctypes.byref(options), os.fsencode(path), handle)
        else:
            _call("slm_chat_open", session, ctypes.byref(options), handle)
        if system is not None:
            self.add("system", system)

    def add(self, role, content=None):
        """Adds a message: a role and a text, or a dictionary with all that templates know."""
        if isinstance(role, dict):
            data = json.dumps(role).encode()
            message = _Message(content=data, content_len=len(data))
        else:
            name, data = role.encode(), content.encode()
            message = _Message(role=name, role_len=len(name), content=data, content_len=len(data))
        _call("slm_chat_add", self, ctypes.byref(message), ctypes.c_uint32(0))

    def answer(self, max_tokens=0, stop=(), guide=None, thinking_budget=0, **sampling):
        """Yields the answer to the last message as it comes: texts, and a Call for each call of a tool.
        It belongs to the transcript when it has ended, or when the iteration is left."""
        yield from self._answer("slm_chat_answer", max_tokens, stop, guide, thinking_budget, sampling)

    def go_on(self, max_tokens=0, stop=(), guide=None, thinking_budget=0, **sampling):
        """As answer(), but goes on with the last message, which is the assistant's."""
        yield from self._answer("slm_chat_continue", max_tokens, stop, guide, thinking_budget,
                                sampling)

    def _answer(self, function, max_tokens, stop, guide, thinking_budget, sampling):
        generate = _generate_options(max_tokens, stop, guide, sampling)
        options = _AnswerOptions(generate=ctypes.pointer(generate), thinking_budget=thinking_budget)
        answer, event, name, arguments = ctypes.c_void_p(), _AnswerEvent(), "", ""
        with self._reported() as report:
            _call(function, self, ctypes.byref(options), ctypes.byref(answer), report)
        try:
            while event.type != ANSWER_END:
                _call("slm_answer_next", answer, ctypes.byref(event))
                text = ctypes.string_at(event.text, event.text_len).decode() if event.text_len else ""
                if event.type == ANSWER_TEXT:
                    yield text
                elif event.type == ANSWER_CALL_BEGIN:
                    name, arguments = text, ""
                elif event.type == ANSWER_ARGUMENTS:
                    arguments += text
                elif event.type == ANSWER_CALL_END:
                    yield Call(name, json.loads(arguments))
            self.end_reason = END_REASONS[event.reason]
        finally:
            load().slm_answer_end(ctypes.byref(answer))

    @contextlib.contextmanager
    def _reported(self):
        report = _ChatReport()
        yield ctypes.byref(report)
        self.report = {name: getattr(report, name) for name in ("n_reused", "n_evaluated", "n_dropped")}

    def draft(self, text):
        """Evaluates ahead what somebody is still saying; the next draft or add() takes its place."""
        data = text.encode()
        with self._reported() as report:
            _call("slm_chat_draft", self, data, ctypes.c_size_t(len(data)), report)

    def rollback(self):
        """The draft never was."""
        _call("slm_chat_rollback", self)

    def prepare(self):
        """Evaluates what is certain of the next prompt."""
        with self._reported() as report:
            _call("slm_chat_prepare", self, report)

    def keep(self, n_bytes, note=None):
        """Keeps of the last answer the first bytes of its text: what was heard of it."""
        data = note.encode() if note else None
        _call("slm_chat_keep", self, ctypes.c_size_t(n_bytes), data, ctypes.c_size_t(len(data or b"")))

    def cut(self, n_messages):
        """Takes back all messages but the first."""
        _call("slm_chat_cut", self, ctypes.c_size_t(n_messages))

    def set_tail(self, text):
        """What changes from turn to turn, such as the time: goes with the next message answered."""
        data = text.encode()
        _call("slm_chat_set_tail", self, data, ctypes.c_size_t(len(data)))

    def set_tools(self, tools):
        data = json.dumps(tools).encode() if tools else None
        _call("slm_chat_set_tools", self, data, ctypes.c_size_t(len(data or b"")))

    def save(self, path):
        """The transcript and what the model has read of it; Chat(session, path=path) goes on."""
        _call("slm_chat_save", self, os.fsencode(path))

    @property
    def messages(self):
        info, text, n = _ChatInfo(), ctypes.c_void_p(), ctypes.c_size_t()
        _call("slm_chat_get_info", self, ctypes.byref(info))
        result = []
        for i in range(info.n_messages):
            _call("slm_chat_get_message", self, ctypes.c_size_t(i), ctypes.byref(text), ctypes.byref(n))
            result.append(json.loads(ctypes.string_at(text, n.value)))
        return result
