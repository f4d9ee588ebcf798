"""libslm from Python, by ctypes: load a model, hold a conversation, stream text.

    import slm
    with slm.Model("model.gguf") as model, model.session() as session:
        for piece in session.ask("Why is the sky blue?"):
            print(piece, end="", flush=True)

Nothing is compiled: the shared library is found by the argument of load(), by $SLM_LIBRARY, beside this
file, or by name. All that slm.h offers is here but for allocators of one's own. A failed call raises
Error, with the fields of slm_error. Objects own what they stand for: use them in with blocks. A Session,
Chat or Batch belongs to one thread at a time; Session.cancel() and Request.cancel() may be called from
any. What callbacks raise stops the call that they came from, which raises it.
"""
from ._abi import BATCH_NO_PREFIXES, CHUNK_WHOLE
from ._batch import Batch, BatchEvent, Request, batch_plan
from ._chat import Answer, AnswerEvent, Chat
from ._model import (Call, Detokenizer, Guide, Matcher, Model, Piece, Speech, TokenInfo, ToolParser,
                     device_profile, device_profiles)
from ._native import Cancelled, ContextFull, Error, OutOfMemory, load, version
from ._options import (AnswerOptions, BatchOptions, Filter, GenerateOptions, SamplingOptions, Stop)
from ._session import Cache, Event, Session, Snapshot, TokenProb, snapshot_info
from ._types import (AnswerEventType, BatchEventType, BatchInfo, BatchReport, Bound, CacheOptions,
                     ChatFull, ChatInfo, ChatReport, CpuLevel, Device, DeviceProfile, EndReason,
                     EventType, FilterPlace, KvType, Load, Logits, LogLevel, Match, MatcherInfo,
                     ModelInfo, Op, OpInfo, Plan, Pooling, Prediction, PredictOptions, PromptReport,
                     RequestKind, ReuseStop, RopeFactors, Sampler, Segment, SessionInfo, SnapshotInfo,
                     Status, TokenFlag, ToolChoice, ToolFormat, WeightCost)

__all__ = [
    "Answer", "AnswerEvent", "AnswerEventType", "AnswerOptions", "BATCH_NO_PREFIXES", "Batch",
    "BatchEvent", "BatchEventType", "BatchInfo", "BatchOptions", "BatchReport", "Bound",
    "CHUNK_WHOLE", "Cache", "CacheOptions", "Call", "Cancelled", "Chat", "ChatFull", "ChatInfo",
    "ChatReport", "ContextFull", "CpuLevel", "Detokenizer", "Device", "DeviceProfile", "EndReason",
    "Error", "Event", "EventType", "Filter", "FilterPlace", "GenerateOptions", "Guide", "KvType",
    "Load", "LogLevel", "Logits", "Match", "Matcher", "MatcherInfo", "Model", "ModelInfo", "Op",
    "OpInfo", "OutOfMemory", "Piece", "Plan", "Pooling", "PredictOptions", "Prediction",
    "PromptReport", "Request", "RequestKind", "ReuseStop", "RopeFactors", "Sampler",
    "SamplingOptions", "Segment", "Session", "SessionInfo", "Snapshot", "SnapshotInfo", "Speech",
    "Status", "Stop", "TokenFlag", "TokenInfo", "TokenProb", "ToolChoice", "ToolFormat",
    "ToolParser", "WeightCost", "batch_plan", "device_profile", "device_profiles", "load",
    "snapshot_info", "version",
]
