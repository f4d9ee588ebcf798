"""Enumerations, results and options of libslm 0.1.0; slm.h says what they mean.

Written by tools/package/python_abi.py."""
from __future__ import annotations

from enum import IntEnum, IntFlag
from typing import NamedTuple, Tuple, TypedDict


class _Enum(IntEnum):
    """A number that a newer library knows and this file does not is a member without a place."""

    @classmethod
    def _missing_(cls, value: object) -> _Enum:
        if not isinstance(value, int):
            raise ValueError(f"{value!r} is not a number of {cls.__name__}")
        member = int.__new__(cls, value)
        member._name_ = f"UNKNOWN_{value}"
        member._value_ = value
        return member


class Status(_Enum):
    OK = 0
    ARG = 1
    NOMEM = 2
    IO = 3
    FORMAT = 10
    TRUNC = 11
    LIMIT = 12
    TYPE = 13
    RANGE = 14
    SHAPE = 15
    MISSING = 16
    DUP = 17
    UNSUP = 18
    CHANGED = 19
    UTF8 = 20
    CTX = 30
    CANCEL = 31
    BUSY = 32
    NUMERIC = 33
    DEVICE = 34
    TEMPLATE = 40
    GRAMMAR = 41


class LogLevel(_Enum):
    NONE = 0
    ERROR = 1
    WARNING = 2
    INFO = 3
    DEBUG = 4


class Device(_Enum):
    AUTO = 0
    CPU = 1
    CUDA = 2


class Load(_Enum):
    AUTO = 0
    MAP = 1
    READ = 2
    PACK = 3


class KvType(_Enum):
    DEFAULT = 0
    F16 = 1
    Q8_0 = 2
    F32 = 3


class RopeFactors(_Enum):
    AUTO = 0
    SHORT = 1
    LONG = 2


class Bound(_Enum):
    MEMORY = 0
    ISSUE = 1
    CACHE = 2
    OVERHEAD = 3
    TENSOR = 4


class Logits(_Enum):
    NONE = 0
    LAST = 1
    ALL = 2


class ReuseStop(_Enum):
    ALL = 0
    TOKEN = 1
    WINDOW = 2
    ROPE = 3


class Op(_Enum):
    EMBED = 0
    QKV = 1
    ATTEND = 2
    ATTN_OUTPUT = 3
    GATE_UP = 4
    DOWN = 5
    HEAD = 6
    SCAN = 7
    GATE_MEMORY = 8


class Sampler(_Enum):
    END = 0
    BIAS = 1
    PENALTIES = 2
    DRY = 3
    TOP_K = 4
    TYPICAL = 5
    TOP_P = 6
    MIN_P = 7
    TEMPERATURE = 8


class Match(_Enum):
    NONE = 0
    PREFIX = 1
    WHOLE = 2


class EventType(_Enum):
    NONE = 0
    TEXT = 1
    REEVALUATED = 2
    END = 3


class EndReason(_Enum):
    NONE = 0
    TOKEN = 1
    STOP = 2
    LENGTH = 3
    CONTEXT = 4
    GUIDE = 5
    STUCK = 6
    FILTER = 7


class ToolFormat(_Enum):
    AUTO = 0
    HERMES = 1
    PHI4_MINI = 2
    LLAMA3_JSON = 3
    LLAMA32_PYTHONIC = 4
    JSON = 5


class ToolChoice(_Enum):
    AUTO = 0
    NONE = 1
    REQUIRED = 2
    NAMED = 3


class ToolEventType(_Enum):
    NONE = 0
    TEXT = 1
    CALL_BEGIN = 2
    ARGUMENTS = 3
    CALL_END = 4
    END = 5


class SpeechEventType(_Enum):
    NONE = 0
    CLAUSE = 1
    SENTENCE = 2
    END = 3


class FilterPlace(_Enum):
    INPUT = 0
    OUTPUT = 1


class FilterAction(_Enum):
    PASS = 0
    REPLACE = 1
    STOP = 2


class AnswerEventType(_Enum):
    NONE = 0
    TEXT = 1
    THINKING_TEXT = 2
    CALL_BEGIN = 3
    ARGUMENTS = 4
    CALL_END = 5
    CLAUSE = 6
    SENTENCE = 7
    REEVALUATED = 8
    END = 9


class ChatFull(_Enum):
    STOP = 0
    DROP = 1


class Segment(_Enum):
    NONE = 0
    SYSTEM = 1
    TOOLS = 2
    HISTORY = 3
    TAIL = 4
    DRAFT = 5


class RequestKind(_Enum):
    ANSWER = 0
    TEXT = 1
    EMBED = 2


class Pooling(_Enum):
    MEAN = 0
    LAST = 1


class BatchEventType(_Enum):
    NONE = 0
    TEXT = 1
    THINKING_TEXT = 2
    CALL_BEGIN = 3
    ARGUMENTS = 4
    CALL_END = 5
    CLAUSE = 6
    SENTENCE = 7
    REEVALUATED = 8
    END = 9
    BEGIN = 64
    TOKEN = 65
    EMBEDDING = 66
    FAILED = 67


class CpuLevel(IntFlag):
    PORTABLE = 1
    AVX2 = 2
    DOTPROD = 4
    AVX512 = 8
    AVXVNNI = 16
    I8MM = 32
    NEON = 64
    AMX = 128


class TokenFlag(IntFlag):
    CONTROL = 1
    USER_DEFINED = 2
    UNKNOWN = 4
    UNUSED = 8
    BYTE = 16
    END = 32


class ModelInfo(NamedTuple):
    n_layers: int
    d_model: int
    n_heads: int
    n_kv_heads: int
    d_head: int
    d_ff: int
    n_vocab: int
    n_ctx_train: int
    n_ctx_original: int
    sliding_window: int
    has_weights: bool
    n_parameters: int
    weight_bytes: int
    file_bytes: int
    bos_id: int
    eos_id: int
    eot_id: int
    unk_id: int
    add_bos: bool
    device: Device
    architecture: str
    name: str
    quantization: str
    chat_format: str
    cpu_levels: CpuLevel


class Plan(NamedTuple):
    n_pages: int
    weights_mapped: int
    weights_allocated: int
    model_bytes: int
    kv_bytes: int
    scratch_bytes: int
    total_bytes: int
    bytes_per_token: int
    macs_per_token: int
    kv_bytes_per_token: int
    n_threads: int
    checkpoint_tokens: int
    recurrent_bytes: int


class DeviceProfile(NamedTuple):
    n_sm: int
    sm_mhz: int
    emc_mhz: int
    dram_gbps: float
    memory_bytes: int
    name: str
    module: str
    mode: str


class Prediction(NamedTuple):
    graph_nodes: int
    memory_share: Tuple[float, float]
    instructions_per_byte: Tuple[float, float]
    integer_per_byte: Tuple[float, float]
    cache_bytes_per_clock: float
    node_us: Tuple[float, float]
    host_us: Tuple[float, float]
    tensor_share: Tuple[float, float]
    instruction_budget: float
    bytes_per_token: int
    memory_ms: Tuple[float, float]
    issue_ms: Tuple[float, float]
    cache_ms: Tuple[float, float]
    overhead_ms: Tuple[float, float]
    token_ms: Tuple[float, float]
    tokens_per_second: Tuple[float, float]
    bound: Tuple[Bound, Bound]
    prompt_ms: Tuple[float, float]
    prompt_tokens_per_second: Tuple[float, float]
    first_token_ms: Tuple[float, float]
    prompt_bound: Tuple[Bound, Bound]
    n_prompt: int


class WeightCost(NamedTuple):
    dtype: int
    bytes: int
    instructions_per_byte: float
    integer_per_byte: float
    type: str


class PromptReport(NamedTuple):
    reuse_stop: ReuseStop
    n_reused: int
    n_evaluated: int


class SessionInfo(NamedTuple):
    n_ctx: int
    n_tokens: int
    n_evaluated: int
    n_reevaluated: int
    n_pages: int
    rope_factors: RopeFactors


class OpInfo(NamedTuple):
    op: Op
    calls: int
    ns: int
    bytes: int
    macs: int
    name: str


class SnapshotInfo(NamedTuple):
    version: int
    file_bytes: int
    n_tokens: int
    n_evaluated: int
    attachment_len: int
    fingerprint: int
    n_ctx: int
    device: Device
    kv_type: KvType
    rope_factors: RopeFactors
    architecture: str
    quantization: str


class MatcherInfo(NamedTuple):
    can_end: bool
    must_end: bool
    sleeps: bool


class ChatInfo(NamedTuple):
    has_draft: bool
    n_messages: int
    n_pinned: int
    n_dropped: int
    n_tokens: int
    n_ctx: int
    reserve: int


class ChatReport(NamedTuple):
    reuse_stop: ReuseStop
    n_reused: int
    n_evaluated: int
    segment: Segment
    n_dropped: int
    message: int


class BatchReport(NamedTuple):
    n_rows: int
    n_decode: int
    n_open: int
    n_running: int
    ns: int


class BatchInfo(NamedTuple):
    n_waiting: int
    n_running: int
    n_prefixes: int
    n_pages: int
    n_pages_free: int
    n_pages_kept: int
    n_steps: int
    n_prompt: int
    n_reused: int
    n_evaluated: int
    n_generated: int
    n_evicted: int
    n_preempted: int
    step_ns: int
    longest_ns: int


class CacheOptions(TypedDict, total=False):
    n_ctx: int
    n_cells: int
    max_sessions: int
    kv_type: KvType
    page_tokens: int
    max_rows: int
    max_logits: int
    n_threads: int
    rope_factors: RopeFactors
    chunk_ms: int
    flags: int
    n_checkpoints: int


class SamplingNumbers(TypedDict, total=False):
    temperature: float
    top_k: int
    top_p: float
    min_p: float
    typical_p: float
    repeat_penalty: float
    presence_penalty: float
    frequency_penalty: float
    penalty_last_n: int
    dry_multiplier: float
    dry_base: float
    dry_allowed_length: int
    dry_last_n: int
    seed: int


class BatchNumbers(TypedDict, total=False):
    max_running: int
    max_requests: int
    n_prefixes: int
    stall_ms: int
    step_rows: int


class PredictOptions(TypedDict, total=False):
    kv_type: KvType
    depth: int
    n_prompt: int
