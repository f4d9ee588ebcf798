"""The structs and functions of libslm 0.1.0 for ctypes.

Written by tools/package/python_abi.py."""
from __future__ import annotations

import ctypes
from ctypes import (CFUNCTYPE, POINTER, c_char, c_char_p, c_double, c_float, c_int, c_int32, c_int64,
                    c_size_t, c_uint8, c_uint32, c_uint64, c_void_p)
from typing import Any, Dict, Tuple


class Struct(ctypes.Structure):
    """A struct; where it begins with its own size, as most do, that is filled in."""

    def __init__(self, **fields: Any) -> None:
        for name in fields:
            if not hasattr(type(self), name):
                raise TypeError(f"{type(self).__name__} has no field {name!r}")
        super().__init__(**fields)
        if hasattr(type(self), "struct_size"):
            self.struct_size = ctypes.sizeof(self)

    def __setattr__(self, name: str, value: Any) -> None:
        """ctypes cuts off what does not fit an integer; here that is an OverflowError."""
        super().__setattr__(name, value)
        got = getattr(self, name)
        if isinstance(value, int) and isinstance(got, int) and got != value:
            bits = 8 * getattr(type(self), name).size
            super().__setattr__(name, -1)
            signed = getattr(self, name) < 0
            least, most = (-1 << bits - 1, (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
            raise OverflowError(f"{type(self).__name__}.{name}: got {value}, wanted {least} "
                                f"to {most}")

BATCH_NO_PREFIXES = 4294967295
CHUNK_WHOLE = 4294967295
SAMPLER_MAX_STAGES = 16
MODEL_VOCAB_ONLY = 1
MODEL_STRICT = 2
MODEL_CHECK_TENSORS = 4
BOS_DEFAULT = 0
BOS_ADD = 1
BOS_NONE = 2
DETOKENIZE_SPECIAL = 1
DETOKENIZE_DROP_SPACE = 2
CACHE_TIME_OPS = 1
CACHE_CUBLAS = 2
GUIDE_LENIENT = 1
GENERATE_SPECIAL = 1
GENERATE_IGNORE_END = 2
CHAT_GENERATION_PROMPT = 1
CHAT_CONTINUE = 2
SPEECH_SENTENCES = 1
SPEECH_INLINE_CODE = 2
SPEECH_PLAIN = 4
SPEECH_IN_THINKING = 8
GUIDE_ONE_CALL = 2
ANSWER_THINKING = 1
ANSWER_CALLS = 2
CHAT_UNFILTERED = 1
REQUEST_TOKENS = 1
REQUEST_FORGET = 2

slm_log_fn = CFUNCTYPE(None, c_void_p, c_int32, c_void_p)
slm_progress_fn = CFUNCTYPE(c_int32, c_void_p, c_uint64, c_uint64)
slm_yield_fn = CFUNCTYPE(c_int32, c_void_p, c_uint64, c_uint64)
slm_filter_fn = CFUNCTYPE(c_int32, c_void_p, c_int32, c_void_p, c_size_t, c_void_p)


class slm_error(Struct):
    _fields_ = [
        ("struct_size", c_uint32), ("status", c_int32), ("offset", c_uint64),
        ("subject", c_char * 80), ("message", c_char * 304)]


class slm_allocator(Struct):
    _fields_ = [
        ("alloc", c_void_p), ("free", c_void_p), ("user", c_void_p)]


class slm_model_options(Struct):
    _fields_ = [
        ("struct_size", c_uint32), ("flags", c_uint32), ("device", c_int32), ("load", c_int32),
        ("memory_limit", c_uint64), ("cpu_levels", c_uint32), ("log_level", c_int32),
        ("log", slm_log_fn), ("log_user", c_void_p), ("allocator", POINTER(slm_allocator)),
        ("progress", slm_progress_fn), ("progress_user", c_void_p), ("packed_path", c_char_p)]


class slm_model_info(Struct):
    _fields_ = [
        ("struct_size", c_uint32), ("n_layers", c_uint32), ("d_model", c_uint32),
        ("n_heads", c_uint32), ("n_kv_heads", c_uint32), ("d_head", c_uint32), ("d_ff", c_uint32),
        ("n_vocab", c_uint32), ("n_ctx_train", c_uint32), ("n_ctx_original", c_uint32),
        ("sliding_window", c_uint32), ("has_weights", c_uint32), ("n_parameters", c_uint64),
        ("weight_bytes", c_uint64), ("file_bytes", c_uint64), ("bos_id", c_int32),
        ("eos_id", c_int32), ("eot_id", c_int32), ("unk_id", c_int32), ("add_bos", c_uint32),
        ("device", c_int32), ("architecture", c_char * 32), ("name", c_char * 128),
        ("quantization", c_char * 32), ("chat_format", c_char * 32), ("cpu_levels", c_uint32)]


class slm_span(Struct):
    _fields_ = [
        ("text", c_char_p), ("len", c_size_t), ("trusted", c_uint32)]


class slm_token_info(Struct):
    _fields_ = [
        ("struct_size", c_uint32), ("flags", c_uint32), ("text", c_void_p), ("len", c_size_t),
        ("score", c_float)]


class slm_cache_options(Struct):
    _fields_ = [
        ("struct_size", c_uint32), ("n_ctx", c_uint32), ("n_cells", c_uint32),
        ("max_sessions", c_uint32), ("kv_type", c_int32), ("page_tokens", c_uint32),
        ("max_rows", c_uint32), ("max_logits", c_uint32), ("n_threads", c_uint32),
        ("rope_factors", c_int32), ("chunk_ms", c_uint32), ("flags", c_uint32),
        ("yield", slm_yield_fn), ("yield_user", c_void_p), ("n_checkpoints", c_uint32)]


class slm_plan(Struct):
    _fields_ = [
        ("struct_size", c_uint32), ("n_pages", c_uint32), ("weights_mapped", c_uint64),
        ("weights_allocated", c_uint64), ("model_bytes", c_uint64), ("kv_bytes", c_uint64),
        ("scratch_bytes", c_uint64), ("total_bytes", c_uint64), ("bytes_per_token", c_uint64),
        ("macs_per_token", c_uint64), ("kv_bytes_per_token", c_uint64), ("n_threads", c_uint32),
        ("checkpoint_tokens", c_uint32), ("recurrent_bytes", c_uint64)]


class slm_device_profile(Struct):
    _fields_ = [
        ("struct_size", c_uint32), ("n_sm", c_uint32), ("sm_mhz", c_uint32), ("emc_mhz", c_uint32),
        ("dram_gbps", c_double), ("memory_bytes", c_uint64), ("name", c_char * 32),
        ("module", c_char * 40), ("mode", c_char * 16)]


class slm_predict_options(Struct):
    _fields_ = [
        ("struct_size", c_uint32), ("kv_type", c_int32), ("depth", c_uint32), ("n_prompt", c_uint32)]


class slm_prediction(Struct):
    _fields_ = [
        ("struct_size", c_uint32), ("graph_nodes", c_uint32), ("memory_share", c_double * 2),
        ("instructions_per_byte", c_double * 2), ("integer_per_byte", c_double * 2),
        ("cache_bytes_per_clock", c_double), ("node_us", c_double * 2), ("host_us", c_double * 2),
        ("tensor_share", c_double * 2), ("instruction_budget", c_double),
        ("bytes_per_token", c_uint64), ("memory_ms", c_double * 2), ("issue_ms", c_double * 2),
        ("cache_ms", c_double * 2), ("overhead_ms", c_double * 2), ("token_ms", c_double * 2),
        ("tokens_per_second", c_double * 2), ("bound", c_int32 * 2), ("prompt_ms", c_double * 2),
        ("prompt_tokens_per_second", c_double * 2), ("first_token_ms", c_double * 2),
        ("prompt_bound", c_int32 * 2), ("n_prompt", c_uint32)]


class slm_weight_cost(Struct):
    _fields_ = [
        ("struct_size", c_uint32), ("dtype", c_uint32), ("bytes", c_uint64),
        ("instructions_per_byte", c_double), ("integer_per_byte", c_double), ("type", c_char * 16)]


class slm_session_options(Struct):
    _fields_ = [
        ("struct_size", c_uint32), ("rope_factors", c_int32)]


class slm_eval_item(Struct):
    _fields_ = [
        ("struct_size", c_uint32), ("logits", c_int32), ("session", c_void_p),
        ("ids", POINTER(c_int32)), ("n", c_size_t)]


class slm_prompt_report(Struct):
    _fields_ = [
        ("struct_size", c_uint32), ("reuse_stop", c_int32), ("n_reused", c_uint64),
        ("n_evaluated", c_uint64)]


class slm_session_info(Struct):
    _fields_ = [
        ("struct_size", c_uint32), ("n_ctx", c_uint32), ("n_tokens", c_uint64),
        ("n_evaluated", c_uint64), ("n_reevaluated", c_uint64), ("n_pages", c_uint64),
        ("rope_factors", c_int32)]


class slm_op_info(Struct):
    _fields_ = [
        ("struct_size", c_uint32), ("op", c_int32), ("calls", c_uint64), ("ns", c_uint64),
        ("bytes", c_uint64), ("macs", c_uint64), ("name", c_char * 16)]


class slm_snapshot_options(Struct):
    _fields_ = [
        ("struct_size", c_uint32), ("flags", c_uint32), ("attachment", c_void_p),
        ("attachment_len", c_size_t), ("progress", slm_progress_fn), ("progress_user", c_void_p)]


class slm_snapshot_info(Struct):
    _fields_ = [
        ("struct_size", c_uint32), ("version", c_uint32), ("file_bytes", c_uint64),
        ("n_tokens", c_uint64), ("n_evaluated", c_uint64), ("attachment_len", c_uint64),
        ("fingerprint", c_uint64), ("n_ctx", c_uint32), ("device", c_int32), ("kv_type", c_int32),
        ("rope_factors", c_int32), ("architecture", c_char * 32), ("quantization", c_char * 32)]


class slm_snapshot_load_options(Struct):
    _fields_ = [
        ("struct_size", c_uint32), ("flags", c_uint32), ("attachment", c_void_p),
        ("attachment_cap", c_size_t), ("progress", slm_progress_fn), ("progress_user", c_void_p)]


class slm_logit_bias(Struct):
    _fields_ = [
        ("id", c_int32), ("bias", c_float)]


class slm_sampling(Struct):
    _fields_ = [
        ("struct_size", c_uint32), ("temperature", c_float), ("top_k", c_int32), ("top_p", c_float),
        ("min_p", c_float), ("typical_p", c_float), ("repeat_penalty", c_float),
        ("presence_penalty", c_float), ("frequency_penalty", c_float), ("penalty_last_n", c_int32),
        ("dry_multiplier", c_float), ("dry_base", c_float), ("dry_allowed_length", c_int32),
        ("dry_last_n", c_int32), ("seed", c_uint64), ("dry_breakers", POINTER(slm_span)),
        ("n_dry_breakers", c_size_t), ("logit_bias", POINTER(slm_logit_bias)),
        ("n_logit_bias", c_size_t), ("order", c_uint8 * 16)]


class slm_guide_options(Struct):
    _fields_ = [
        ("struct_size", c_uint32), ("flags", c_uint32), ("memory_limit", c_uint64),
        ("triggers", POINTER(slm_span)), ("n_triggers", c_size_t),
        ("trigger_tokens", POINTER(c_int32)), ("n_trigger_tokens", c_size_t),
        ("allocator", POINTER(slm_allocator))]


class slm_matcher_info(Struct):
    _fields_ = [
        ("struct_size", c_uint32), ("can_end", c_uint32), ("must_end", c_uint32),
        ("sleeps", c_uint32)]


class slm_generate_options(Struct):
    _fields_ = [
        ("struct_size", c_uint32), ("flags", c_uint32), ("max_tokens", c_uint64),
        ("sampling", POINTER(slm_sampling)), ("stop", POINTER(slm_span)), ("n_stop", c_size_t),
        ("n_top", c_uint32), ("guide", c_void_p), ("n_draft", c_uint32)]


class slm_token_prob(Struct):
    _fields_ = [
        ("id", c_int32), ("logprob", c_float)]


class slm_event(Struct):
    _fields_ = [
        ("struct_size", c_uint32), ("type", c_int32), ("text", c_void_p), ("text_len", c_size_t),
        ("token", c_int32), ("logprob", c_float), ("top", POINTER(slm_token_prob)),
        ("n_top", c_size_t), ("count", c_uint64), ("reason", c_int32), ("forced", c_uint64),
        ("steps", c_uint64), ("drafted", c_uint64)]


class slm_message(Struct):
    _fields_ = [
        ("struct_size", c_uint32), ("role", c_char_p), ("role_len", c_size_t),
        ("content", c_char_p), ("content_len", c_size_t)]


class slm_chat_input(Struct):
    _fields_ = [
        ("struct_size", c_uint32), ("flags", c_uint32), ("messages", POINTER(slm_message)),
        ("n_messages", c_size_t), ("conversation", c_char_p), ("conversation_len", c_size_t),
        ("tools", c_char_p), ("tools_len", c_size_t), ("extra", c_char_p), ("extra_len", c_size_t),
        ("now", c_int64), ("chat_template", c_char_p), ("chat_template_len", c_size_t)]


class slm_tool_parser_options(Struct):
    _fields_ = [
        ("struct_size", c_uint32), ("format", c_int32), ("max_call_bytes", c_uint64)]


class slm_tool_event(Struct):
    _fields_ = [
        ("struct_size", c_uint32), ("type", c_int32), ("text", c_void_p), ("text_len", c_size_t),
        ("call", c_uint32)]


class slm_speech_options(Struct):
    _fields_ = [
        ("struct_size", c_uint32), ("flags", c_uint32), ("min_clause", c_uint32),
        ("max_piece", c_uint32), ("min_first", c_uint32)]


class slm_speech_event(Struct):
    _fields_ = [
        ("struct_size", c_uint32), ("type", c_int32), ("text", c_void_p), ("text_len", c_size_t),
        ("begin", c_uint64), ("end", c_uint64)]


class slm_tools_options(Struct):
    _fields_ = [
        ("struct_size", c_uint32), ("choice", c_int32), ("name", c_char_p), ("name_len", c_size_t),
        ("format", c_int32), ("schema", c_char_p), ("schema_len", c_size_t)]


class slm_filter_verdict(Struct):
    _fields_ = [
        ("struct_size", c_uint32), ("action", c_int32), ("text", c_char_p), ("text_len", c_size_t)]


class slm_answer_options(Struct):
    _fields_ = [
        ("struct_size", c_uint32), ("flags", c_uint32), ("generate", POINTER(slm_generate_options)),
        ("tools", c_char_p), ("tools_len", c_size_t), ("tools_options", POINTER(slm_tools_options)),
        ("guide_options", POINTER(slm_guide_options)), ("thinking_budget", c_uint64),
        ("speech", POINTER(slm_speech_options)), ("filter", slm_filter_fn),
        ("filter_user", c_void_p)]


class slm_answer_event(Struct):
    _fields_ = [
        ("struct_size", c_uint32), ("type", c_int32), ("text", c_void_p), ("text_len", c_size_t),
        ("call", c_uint32), ("thinking", c_uint32), ("begin", c_uint64), ("end", c_uint64),
        ("count", c_uint64), ("reason", c_int32), ("forced", c_uint64), ("steps", c_uint64),
        ("drafted", c_uint64)]


class slm_chat_options(Struct):
    _fields_ = [
        ("struct_size", c_uint32), ("when_full", c_int32), ("reserve", c_uint32),
        ("tools", c_char_p), ("tools_len", c_size_t), ("extra", c_char_p), ("extra_len", c_size_t),
        ("now", c_int64), ("chat_template", c_char_p), ("chat_template_len", c_size_t),
        ("filter", slm_filter_fn), ("filter_user", c_void_p)]


class slm_chat_info(Struct):
    _fields_ = [
        ("struct_size", c_uint32), ("has_draft", c_uint32), ("n_messages", c_uint64),
        ("n_pinned", c_uint64), ("n_dropped", c_uint64), ("n_tokens", c_uint64),
        ("n_ctx", c_uint32), ("reserve", c_uint32)]


class slm_chat_report(Struct):
    _fields_ = [
        ("struct_size", c_uint32), ("reuse_stop", c_int32), ("n_reused", c_uint64),
        ("n_evaluated", c_uint64), ("segment", c_int32), ("n_dropped", c_uint32),
        ("message", c_uint64)]


class slm_batch_options(Struct):
    _fields_ = [
        ("struct_size", c_uint32), ("max_running", c_uint32), ("max_requests", c_uint32),
        ("n_prefixes", c_uint32), ("stall_ms", c_uint32), ("step_rows", c_uint32),
        ("cache", POINTER(slm_cache_options))]


class slm_request_options(Struct):
    _fields_ = [
        ("struct_size", c_uint32), ("kind", c_int32), ("priority", c_int32), ("flags", c_uint32),
        ("ids", POINTER(c_int32)), ("n_ids", c_size_t), ("answer", POINTER(slm_answer_options)),
        ("generate", POINTER(slm_generate_options)), ("pooling", c_int32), ("user", c_void_p)]


class slm_batch_report(Struct):
    _fields_ = [
        ("struct_size", c_uint32), ("n_rows", c_uint32), ("n_decode", c_uint32),
        ("n_open", c_uint32), ("n_running", c_uint32), ("ns", c_uint64)]


class slm_batch_event(Struct):
    _fields_ = [
        ("struct_size", c_uint32), ("type", c_int32), ("request", c_void_p), ("user", c_void_p),
        ("text", c_void_p), ("text_len", c_size_t), ("call", c_uint32), ("thinking", c_uint32),
        ("begin", c_uint64), ("end", c_uint64), ("count", c_uint64), ("n_reused", c_uint64),
        ("reason", c_int32), ("status", c_int32), ("token", c_int32), ("logprob", c_float),
        ("top", POINTER(slm_token_prob)), ("n_top", c_size_t), ("embedding", POINTER(c_float)),
        ("n_embedding", c_size_t)]


class slm_batch_info(Struct):
    _fields_ = [
        ("struct_size", c_uint32), ("n_waiting", c_uint32), ("n_running", c_uint32),
        ("n_prefixes", c_uint32), ("n_pages", c_uint64), ("n_pages_free", c_uint64),
        ("n_pages_kept", c_uint64), ("n_steps", c_uint64), ("n_prompt", c_uint64),
        ("n_reused", c_uint64), ("n_evaluated", c_uint64), ("n_generated", c_uint64),
        ("n_evicted", c_uint64), ("n_preempted", c_uint64), ("step_ns", c_uint64),
        ("longest_ns", c_uint64)]


# What a function gives, and what it takes.
FUNCTIONS: Dict[str, Tuple[Any, ...]] = {
    "slm_version": (c_char_p,),
    "slm_status_name": (c_char_p, c_int32),
    "slm_model_open": (c_int32, c_char_p, c_void_p, c_void_p, c_void_p),
    "slm_model_open_fd": (c_int32, c_int, c_void_p, c_void_p, c_void_p),
    "slm_model_open_memory": (c_int32, c_void_p, c_size_t, c_void_p, c_void_p, c_void_p),
    "slm_model_save_packed": (c_int32, c_void_p, c_char_p, slm_progress_fn, c_void_p, c_void_p),
    "slm_model_close": (None, c_void_p),
    "slm_model_get_info": (c_int32, c_void_p, c_void_p, c_void_p),
    "slm_model_get_meta": (c_int32, c_void_p, c_char_p, c_void_p, c_size_t, c_void_p, c_void_p),
    "slm_tokenize": (c_int32, c_void_p, c_void_p, c_size_t, c_int32, c_void_p, c_size_t, c_void_p,
        c_void_p),
    "slm_detokenize": (c_int32, c_void_p, c_void_p, c_size_t, c_uint32, c_void_p, c_size_t,
        c_void_p, c_void_p),
    "slm_detokenizer_open": (c_int32, c_void_p, c_uint32, c_void_p, c_void_p),
    "slm_detokenizer_feed": (c_int32, c_void_p, c_int32, c_void_p, c_void_p, c_void_p),
    "slm_detokenizer_finish": (c_int32, c_void_p, c_void_p, c_void_p, c_void_p),
    "slm_detokenizer_close": (None, c_void_p),
    "slm_model_get_token": (c_int32, c_void_p, c_int32, c_void_p, c_void_p),
    "slm_cache_plan": (c_int32, c_void_p, c_void_p, c_void_p, c_void_p),
    "slm_cache_open": (c_int32, c_void_p, c_void_p, c_void_p, c_void_p),
    "slm_cache_close": (None, c_void_p),
    "slm_cache_get_plan": (c_int32, c_void_p, c_void_p, c_void_p),
    "slm_device_profile_get": (c_int32, c_size_t, c_void_p, c_void_p),
    "slm_device_profile_find": (c_int32, c_char_p, c_void_p, c_void_p),
    "slm_predict": (c_int32, c_void_p, c_void_p, c_void_p, c_void_p, c_void_p),
    "slm_predict_weights": (c_int32, c_void_p, c_size_t, c_void_p, c_void_p),
    "slm_session_open": (c_int32, c_void_p, c_void_p, c_void_p, c_void_p),
    "slm_session_open_on": (c_int32, c_void_p, c_void_p, c_void_p, c_void_p),
    "slm_session_close": (None, c_void_p),
    "slm_session_eval": (c_int32, c_void_p, c_void_p, c_size_t, c_int32, c_void_p),
    "slm_session_get_logits": (c_int32, c_void_p, c_size_t, c_void_p, c_void_p),
    "slm_cache_eval": (c_int32, c_void_p, c_void_p, c_size_t, c_void_p),
    "slm_session_prompt": (c_int32, c_void_p, c_void_p, c_size_t, c_void_p, c_void_p),
    "slm_session_truncate": (c_int32, c_void_p, c_size_t, c_void_p),
    "slm_session_checkpoint": (c_int32, c_void_p, c_void_p),
    "slm_session_fork": (c_int32, c_void_p, c_void_p, c_void_p),
    "slm_session_get_tokens": (c_int32, c_void_p, c_void_p, c_void_p, c_void_p),
    "slm_session_get_info": (c_int32, c_void_p, c_void_p, c_void_p),
    "slm_session_get_op": (c_int32, c_void_p, c_int32, c_void_p, c_void_p),
    "slm_session_save": (c_int32, c_void_p, c_char_p, c_void_p, c_void_p),
    "slm_session_load": (c_int32, c_void_p, c_char_p, c_void_p, c_void_p, c_void_p),
    "slm_snapshot_get_info": (c_int32, c_char_p, c_void_p, c_void_p),
    "slm_session_cancel": (None, c_void_p),
    "slm_sampling_init": (c_int32, c_void_p),
    "slm_model_get_sampling": (c_int32, c_void_p, c_void_p, c_void_p),
    "slm_guide_compile_gbnf": (c_int32, c_void_p, c_char_p, c_size_t, c_void_p, c_void_p, c_void_p),
    "slm_guide_compile_json_schema": (c_int32, c_void_p, c_char_p, c_size_t, c_void_p, c_void_p,
        c_void_p),
    "slm_guide_close": (None, c_void_p),
    "slm_guide_match": (c_int32, c_void_p, c_char_p, c_size_t, c_void_p, c_void_p),
    "slm_matcher_open": (c_int32, c_void_p, c_void_p, c_void_p),
    "slm_matcher_close": (None, c_void_p),
    "slm_matcher_reset": (c_int32, c_void_p, c_void_p),
    "slm_matcher_accept": (c_int32, c_void_p, c_int32, c_void_p),
    "slm_matcher_accept_bytes": (c_int32, c_void_p, c_char_p, c_size_t, c_void_p),
    "slm_matcher_get_mask": (c_int32, c_void_p, c_void_p, c_void_p, c_void_p),
    "slm_matcher_get_forced": (c_int32, c_void_p, c_void_p, c_void_p, c_void_p),
    "slm_matcher_get_info": (c_int32, c_void_p, c_void_p, c_void_p),
    "slm_generate_begin": (c_int32, c_void_p, c_void_p, c_void_p, c_void_p),
    "slm_generate_next": (c_int32, c_void_p, c_void_p, c_void_p),
    "slm_generate_end": (None, c_void_p),
    "slm_chat_render": (c_int32, c_void_p, c_void_p, c_size_t, c_uint32, c_void_p, c_size_t,
        c_void_p, c_void_p),
    "slm_chat_tokenize": (c_int32, c_void_p, c_void_p, c_size_t, c_uint32, c_void_p, c_size_t,
        c_void_p, c_void_p),
    "slm_chat_render_input": (c_int32, c_void_p, c_void_p, c_void_p, c_size_t, c_void_p, c_void_p),
    "slm_chat_tokenize_input": (c_int32, c_void_p, c_void_p, c_void_p, c_size_t, c_void_p, c_void_p),
    "slm_tool_format_name": (c_char_p, c_int32),
    "slm_model_get_tool_format": (c_int32, c_void_p, c_void_p, c_void_p),
    "slm_tool_parser_open": (c_int32, c_void_p, c_void_p, c_void_p, c_void_p),
    "slm_tool_parser_close": (None, c_void_p),
    "slm_tool_parser_feed": (c_int32, c_void_p, c_char_p, c_size_t, c_void_p),
    "slm_tool_parser_finish": (c_int32, c_void_p, c_void_p),
    "slm_tool_parser_next": (c_int32, c_void_p, c_void_p, c_void_p),
    "slm_speech_open": (c_int32, c_void_p, c_void_p, c_void_p, c_void_p),
    "slm_speech_close": (None, c_void_p),
    "slm_speech_feed": (c_int32, c_void_p, c_char_p, c_size_t, c_void_p),
    "slm_speech_finish": (c_int32, c_void_p, c_void_p),
    "slm_speech_next": (c_int32, c_void_p, c_void_p, c_void_p),
    "slm_guide_compile_tools": (c_int32, c_void_p, c_char_p, c_size_t, c_void_p, c_void_p, c_void_p,
        c_void_p),
    "slm_answer_begin": (c_int32, c_void_p, c_void_p, c_void_p, c_void_p),
    "slm_answer_next": (c_int32, c_void_p, c_void_p, c_void_p),
    "slm_answer_get_text": (c_int32, c_void_p, c_void_p, c_void_p, c_void_p),
    "slm_answer_get_message": (c_int32, c_void_p, c_void_p, c_void_p, c_void_p),
    "slm_answer_end": (None, c_void_p),
    "slm_chat_open": (c_int32, c_void_p, c_void_p, c_void_p, c_void_p),
    "slm_chat_close": (None, c_void_p),
    "slm_chat_add": (c_int32, c_void_p, c_void_p, c_uint32, c_void_p),
    "slm_chat_get_info": (c_int32, c_void_p, c_void_p, c_void_p),
    "slm_chat_get_message": (c_int32, c_void_p, c_size_t, c_void_p, c_void_p, c_void_p),
    "slm_chat_cut": (c_int32, c_void_p, c_size_t, c_void_p),
    "slm_chat_set_tools": (c_int32, c_void_p, c_char_p, c_size_t, c_void_p),
    "slm_chat_set_tail": (c_int32, c_void_p, c_char_p, c_size_t, c_void_p),
    "slm_chat_draft": (c_int32, c_void_p, c_char_p, c_size_t, c_void_p, c_void_p),
    "slm_chat_rollback": (c_int32, c_void_p, c_void_p),
    "slm_chat_prepare": (c_int32, c_void_p, c_void_p, c_void_p),
    "slm_chat_answer": (c_int32, c_void_p, c_void_p, c_void_p, c_void_p, c_void_p),
    "slm_chat_keep": (c_int32, c_void_p, c_size_t, c_char_p, c_size_t, c_void_p),
    "slm_chat_continue": (c_int32, c_void_p, c_void_p, c_void_p, c_void_p, c_void_p),
    "slm_chat_save": (c_int32, c_void_p, c_char_p, c_void_p),
    "slm_chat_load": (c_int32, c_void_p, c_void_p, c_char_p, c_void_p, c_void_p),
    "slm_batch_plan": (c_int32, c_void_p, c_void_p, c_void_p, c_void_p),
    "slm_batch_open": (c_int32, c_void_p, c_void_p, c_void_p, c_void_p),
    "slm_batch_close": (None, c_void_p),
    "slm_batch_add": (c_int32, c_void_p, c_void_p, c_void_p, c_void_p),
    "slm_request_cancel": (None, c_void_p),
    "slm_request_end": (None, c_void_p),
    "slm_request_get_answer": (c_int32, c_void_p, c_void_p, c_void_p),
    "slm_batch_step": (c_int32, c_void_p, c_void_p, c_void_p),
    "slm_batch_next": (c_int32, c_void_p, c_void_p, c_void_p),
    "slm_batch_get_info": (c_int32, c_void_p, c_void_p, c_void_p),
    "slm_embed": (c_int32, c_void_p, c_void_p, c_size_t, c_int32, c_void_p, c_size_t, c_void_p),
}
