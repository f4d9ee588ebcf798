"""libslm from Python, by ctypes: load a model, hold a conversation, stream text.

    import slm
    with slm.Model("model.gguf") as model, model.session() as session:
        for piece in session.ask("Why is the sky blue?"):
            print(piece, end="", flush=True)

Nothing is compiled: the shared library is found by name, by the argument of load(), or beside this
file. One Session belongs to one thread at a time; Session.cancel() may be called from any.
"""
import ctypes
import ctypes.util
import os

NTS = ctypes.c_size_t(-1).value  # a length that says: the text ends at its NUL
DEFAULT, F16, Q8_0, F32 = 0, 1, 2, 3  # kinds of cache
EVENT_TEXT, EVENT_REEVALUATED, EVENT_END = 1, 2, 3
END_REASONS = {1: "end", 2: "stop", 3: "length", 4: "context"}


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


class _PromptReport(_Struct):
    _fields_ = [("struct_size", ctypes.c_uint32), ("reuse_stop", ctypes.c_int32),
                ("n_reused", ctypes.c_uint64), ("n_evaluated", ctypes.c_uint64)]


class _Sampling(_Struct):
    _fields_ = [("struct_size", ctypes.c_uint32), ("temperature", ctypes.c_float),
                ("top_k", ctypes.c_int32)] + [(name, ctypes.c_float) for name in (
                    "top_p", "min_p", "typical_p", "repeat_penalty", "presence_penalty",
                    "frequency_penalty")] + [
                        ("penalty_last_n", ctypes.c_int32), ("dry_multiplier", ctypes.c_float),
                        ("dry_base", ctypes.c_float), ("dry_allowed_length", ctypes.c_int32),
                        ("dry_last_n", ctypes.c_int32), ("seed", ctypes.c_uint64)]


class _GenerateOptions(_Struct):
    _fields_ = [("struct_size", ctypes.c_uint32), ("flags", ctypes.c_uint32),
                ("max_tokens", ctypes.c_uint64), ("sampling", ctypes.POINTER(_Sampling)),
                ("stop", ctypes.POINTER(_Span)), ("n_stop", ctypes.c_size_t),
                ("n_top", ctypes.c_uint32)]


class _Event(_Struct):
    _fields_ = [("struct_size", ctypes.c_uint32), ("type", ctypes.c_int32),
                ("text", ctypes.c_void_p), ("text_len", ctypes.c_size_t),
                ("token", ctypes.c_int32), ("logprob", ctypes.c_float), ("top", ctypes.c_void_p),
                ("n_top", ctypes.c_size_t), ("count", ctypes.c_uint64), ("reason", ctypes.c_int32)]


_lib = None


def load(path=None):
    """Loads the shared library, once: from path, from $SLM_LIBRARY, or where the system finds it."""
    global _lib
    if _lib is None:
        path = path or os.environ.get("SLM_LIBRARY") or ctypes.util.find_library("slm") or "libslm.so.0"
        _lib = ctypes.CDLL(path)
        _lib.slm_version.restype = ctypes.c_char_p
        _lib.slm_status_name.restype = ctypes.c_char_p
        for name in ("slm_model_close", "slm_session_close", "slm_generate_end", "slm_session_cancel"):
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

    def cancel(self):
        """Stops what is running in this session; any thread."""
        load().slm_session_cancel(self)

    @property
    def tokens(self):
        ids, n = ctypes.POINTER(ctypes.c_int32)(), ctypes.c_size_t()
        _call("slm_session_get_tokens", self, ctypes.byref(ids), ctypes.byref(n))
        return ids[:n.value]

    def generate(self, max_tokens=0, stop=(), **sampling):
        """Yields text as it comes. sampling: fields of slm_sampling (temperature, top_k, seed, ...)."""
        chain = _Sampling()
        load().slm_sampling_init(ctypes.byref(chain))
        for name, value in sampling.items():
            if name not in (field for field, _ in _Sampling._fields_[1:]):
                raise TypeError(f"no sampling field {name!r}")
            setattr(chain, name, value)
        stops = [text.encode() for text in stop]
        spans = (_Span * len(stops))(*[_Span(text, len(text), 0) for text in stops])
        options = _GenerateOptions(max_tokens=max_tokens, sampling=ctypes.pointer(chain),
                                   stop=spans, n_stop=len(stops))
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
