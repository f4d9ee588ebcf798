-- libslm from LuaJIT, by its ffi library: load a model, hold a conversation, stream text.
--
--   local slm = require "slm"
--   local model = slm.open("model.gguf")
--   local session = model:session{n_ctx = 2048}
--   for piece in session:ask("Why is the sky blue?") do io.write(piece) end
--   session:close(); model:close()
--
-- The shared library is found by name, or named by slm.load(path) before the first use. A failed
-- call raises a table with the fields of slm_error: status, name, subject, offset (nil where there is
-- none) and message, which is also its tostring().
local ffi = require "ffi"

ffi.cdef [[
typedef struct slm_model slm_model;
typedef struct slm_session slm_session;
typedef struct slm_generator slm_generator;
typedef struct slm_guide slm_guide;
typedef struct { uint32_t struct_size; int32_t status; uint64_t offset; char subject[80]; char message[304]; } slm_error;
typedef struct { uint32_t struct_size; uint32_t n_ctx, n_cells, max_sessions; int32_t kv_type;
                 uint32_t page_tokens, max_rows, max_logits, n_threads; int32_t rope_factors;
                 uint32_t chunk_ms, flags; } slm_cache_options;
typedef struct { uint32_t struct_size; const char *role; size_t role_len; const char *content; size_t content_len; } slm_message;
typedef struct { const char *text; size_t len; uint32_t trusted; } slm_span;
typedef struct { uint32_t struct_size, n_layers, d_model; } slm_model_info; // the first of its members
typedef struct { uint32_t struct_size; float temperature; int32_t top_k; float top_p, min_p, typical_p,
                 repeat_penalty, presence_penalty, frequency_penalty; int32_t penalty_last_n;
                 float dry_multiplier, dry_base; int32_t dry_allowed_length, dry_last_n; uint64_t seed; } slm_sampling;
typedef struct { uint32_t struct_size; uint32_t flags; uint64_t max_tokens; const slm_sampling *sampling;
                 const slm_span *stop; size_t n_stop; uint32_t n_top; slm_guide *guide; } slm_generate_options;
typedef struct { uint32_t struct_size; int32_t type; const char *text; size_t text_len; int32_t token; float logprob;
                 const void *top; size_t n_top; uint64_t count; int32_t reason; } slm_event;
const char *slm_version(void);
const char *slm_status_name(int32_t);
int32_t slm_model_open(const char *, const void *, slm_model **, slm_error *);
void slm_model_close(slm_model **);
int32_t slm_model_get_info(const slm_model *, slm_model_info *, slm_error *);
int32_t slm_session_open(slm_model *, const slm_cache_options *, slm_session **, slm_error *);
void slm_session_close(slm_session **);
int32_t slm_tokenize(const slm_model *, const slm_span *, size_t, int32_t, int32_t *, size_t, size_t *, slm_error *);
int32_t slm_chat_tokenize(const slm_model *, const slm_message *, size_t, uint32_t, int32_t *, size_t, size_t *, slm_error *);
int32_t slm_session_prompt(slm_session *, const int32_t *, size_t, void *, slm_error *);
int32_t slm_session_truncate(slm_session *, size_t, slm_error *);
int32_t slm_session_get_tokens(const slm_session *, const int32_t **, size_t *, slm_error *);
int32_t slm_session_save(slm_session *, const char *, const void *, slm_error *);
int32_t slm_session_load(slm_session *, const char *, const void *, void *, slm_error *);
void slm_session_cancel(slm_session *);
int32_t slm_embed(slm_session *, const int32_t *, size_t, int32_t, float *, size_t, slm_error *);
int32_t slm_guide_compile_json_schema(slm_model *, const char *, size_t, const void *, slm_guide **, slm_error *);
int32_t slm_guide_compile_gbnf(slm_model *, const char *, size_t, const void *, slm_guide **, slm_error *);
void slm_guide_close(slm_guide **);
int32_t slm_sampling_init(slm_sampling *);
int32_t slm_model_get_sampling(const slm_model *, slm_sampling *, slm_error *);
int32_t slm_generate_begin(slm_session *, const slm_generate_options *, slm_generator **, slm_error *);
int32_t slm_generate_next(slm_generator *, slm_event *, slm_error *);
void slm_generate_end(slm_generator **);
]]

local M, lib = {}, nil
local EVENT_END = 3
local END_REASONS = {"end", "stop", "length", "context", "guide", "stuck"}
M.MEAN, M.LAST = 0, 1 -- pooling of embeddings

function M.load(path)
    lib = lib or ffi.load(path or os.getenv("SLM_LIBRARY") or "slm")
    return lib
end

function M.version() return ffi.string(M.load().slm_version()) end

-- A zeroed struct that knows its size.
local function sized(type, fields)
    local s = ffi.new(type)
    for name, value in pairs(fields or {}) do s[name] = value end
    s.struct_size = ffi.sizeof(type)
    return s
end

local err = sized("slm_error")
local Error = {}
Error.__tostring = function(e) return e.message end
local function check(status)
    if status == 0 then return end
    local offset = err.offset ~= 0xffffffffffffffffULL and tonumber(err.offset) or nil
    error(setmetatable({status = status, name = ffi.string(lib.slm_status_name(status)),
                        subject = ffi.string(err.subject), offset = offset,
                        message = ffi.string(err.message)}, Error), 0)
end

-- Asks for the number of ids, then for the ids.
local function ids_of(call)
    local n = ffi.new("size_t[1]")
    check(call(nil, 0, n))
    local ids = ffi.new("int32_t[?]", math.max(tonumber(n[0]), 1))
    check(call(ids, n[0], n))
    return ids, tonumber(n[0])
end

local Model, Session, Guide = {}, {}, {}
Model.__index, Session.__index, Guide.__index = Model, Session, Guide

function M.open(path)
    local handle = ffi.new("slm_model *[1]")
    check(M.load().slm_model_open(path, nil, handle, err))
    return setmetatable({handle = handle}, Model)
end

function Model:close() lib.slm_model_close(self.handle) end

-- How the file recommends to choose tokens, else the defaults: options of generate and ask.
function Model:sampling()
    local s = sized("slm_sampling")
    check(lib.slm_model_get_sampling(self.handle[0], s, err))
    return {temperature = s.temperature, top_k = s.top_k, top_p = s.top_p, min_p = s.min_p,
            repeat_penalty = s.repeat_penalty, penalty_last_n = s.penalty_last_n}
end

-- The ids of a text, as a Lua table.
function Model:tokenize(text)
    local span = ffi.new("slm_span[1]")
    span[0].text, span[0].len = text, #text
    local ids, n = ids_of(function(buffer, cap, count)
        return lib.slm_tokenize(self.handle[0], span, 1, 0, buffer, cap, count, err)
    end)
    local list = {}
    for i = 1, n do list[i] = ids[i - 1] end
    return list
end

-- What answers are held to: a JSON Schema, or a grammar in GBNF, as texts.
local function guide(model, compile, text)
    local handle = ffi.new("slm_guide *[1]")
    check(compile(model.handle[0], text, #text, nil, handle, err))
    return setmetatable({handle = handle}, Guide)
end
function Model:schema_guide(text) return guide(self, lib.slm_guide_compile_json_schema, text) end
function Model:grammar(text) return guide(self, lib.slm_guide_compile_gbnf, text) end
function Guide:close() lib.slm_guide_close(self.handle) end

-- options: fields of slm_cache_options.
function Model:session(options)
    local handle = ffi.new("slm_session *[1]")
    check(lib.slm_session_open(self.handle[0], sized("slm_cache_options", options), handle, err))
    return setmetatable({handle = handle, model = self, messages = {}}, Session)
end

function Session:close() lib.slm_session_close(self.handle) end

-- Makes the session hold these ids (a Lua table, or a C array and its length).
function Session:prompt(ids, n)
    if type(ids) == "table" then n, ids = #ids, ffi.new("int32_t[?]", #ids, ids) end
    check(lib.slm_session_prompt(self.handle[0], ids, n, nil, err))
end

-- The ids that the session holds, as a Lua table.
function Session:tokens()
    local ids, n = ffi.new("const int32_t *[1]"), ffi.new("size_t[1]")
    check(lib.slm_session_get_tokens(self.handle[0], ids, n, err))
    local list = {}
    for i = 1, tonumber(n[0]) do list[i] = ids[0][i - 1] end
    return list
end

-- Takes back everything from token n (counted from 0) on.
function Session:truncate(n) check(lib.slm_session_truncate(self.handle[0], n, err)) end

-- Stops what is running in this session, or the next that runs; other threads may call the C function.
function Session:cancel() lib.slm_session_cancel(self.handle[0]) end

-- The session with what was evaluated, in a file.
function Session:save(path) check(lib.slm_session_save(self.handle[0], path, nil, err)) end
function Session:load(path) check(lib.slm_session_load(self.handle[0], path, nil, nil, err)) end

-- The embedding of a text, of length 1, as a Lua table; pooling: M.MEAN (default) or M.LAST.
function Session:embed(text, pooling)
    local ids, info = self.model:tokenize(text), sized("slm_model_info")
    check(lib.slm_model_get_info(self.model.handle[0], info, err))
    local width = info.d_model
    local vector = ffi.new("float[?]", width)
    check(lib.slm_embed(self.handle[0], ffi.new("int32_t[?]", #ids, ids), #ids, pooling or M.MEAN,
                        vector, width, err))
    local list = {}
    for i = 1, width do list[i] = vector[i - 1] end
    return list
end

-- An iterator over pieces of text. options: max_tokens, stop (a table of texts), guide, and fields of
-- slm_sampling. Afterwards session.end_reason says why it ended.
function Session:generate(options)
    local sampling, o = sized("slm_sampling"), sized("slm_generate_options")
    local stops = (options or {}).stop or {}
    local spans = ffi.new("slm_span[?]", math.max(#stops, 1))
    lib.slm_sampling_init(sampling)
    for i, text in ipairs(stops) do spans[i - 1].text, spans[i - 1].len = text, #text end
    o.stop, o.n_stop = spans, #stops
    for name, value in pairs(options or {}) do
        if name == "max_tokens" then o.max_tokens = value
        elseif name == "guide" then o.guide = value.handle[0]
        elseif name ~= "stop" then sampling[name] = value end
    end
    o.sampling = sampling
    local generator, event = ffi.new("slm_generator *[1]"), sized("slm_event")
    check(lib.slm_generate_begin(self.handle[0], o, generator, err))
    ffi.gc(generator, lib.slm_generate_end) -- when the loop is left early
    return function()
        while event.type ~= EVENT_END do
            local status = lib.slm_generate_next(generator[0], event, err)
            if status ~= 0 then
                lib.slm_generate_end(generator)
                check(status)
            end
            if event.text_len > 0 then return ffi.string(event.text, event.text_len) end
        end
        self.end_reason = END_REASONS[event.reason]
        lib.slm_generate_end(generator)
        return nil
    end
end

-- Asks within the conversation; an iterator over the answer, which becomes part of it.
function Session:ask(text, options)
    self.messages[#self.messages + 1] = {"user", text}
    local n = #self.messages
    local array = ffi.new("slm_message[?]", n)
    for i, m in ipairs(self.messages) do
        local c = array[i - 1]
        c.struct_size = ffi.sizeof("slm_message")
        c.role, c.role_len, c.content, c.content_len = m[1], #m[1], m[2], #m[2]
    end
    self:prompt(ids_of(function(buffer, cap, count)
        return lib.slm_chat_tokenize(self.model.handle[0], array, n, 1, buffer, cap, count, err)
    end))
    local answer, pieces = {"assistant", ""}, self:generate(options)
    self.messages[n + 1] = answer
    return function()
        local piece = pieces()
        if piece then answer[2] = answer[2] .. piece end
        return piece
    end
end

return M
