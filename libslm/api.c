/* The public entry points: check the call, translate, and hand on. */
#include "api.h"

#include "model/pack.h"
#include "run/fpenv.h"
#include "run/generate.h"
#include "run/sampler.h"
#include "text/detok.h"

#include <stdio.h>
#include <string.h>

#define STRING_(x) #x
#define STRING(x) STRING_(x)

const char *slm_version(void) {
    return STRING(SLM_VERSION_MAJOR) "." STRING(SLM_VERSION_MINOR) "." STRING(SLM_VERSION_PATCH);
}

/* ---------------------------------------------------------------- model ---------------------- */

static slm_status open_source(const slm_model_source *source, const slm_model_options *options,
                              slm_model **out, slm_error *error) {
    slm_fpenv saved = slm_fpenv_enter();
    slm_status status = slm_model_open_source(source, options, out, error);
    slm_fpenv_leave(saved);
    return status;
}

slm_status slm_model_open(const char *path, const slm_model_options *options, slm_model **out,
                          slm_error *error) {
    REQUIRE(out);
    *out = NULL;
    REQUIRE(path);
    slm_model_source source = {path, -1, NULL, 0};
    return open_source(&source, options, out, error);
}

slm_status slm_model_open_fd(int fd, const slm_model_options *options, slm_model **out,
                             slm_error *error) {
    REQUIRE(out);
    *out = NULL;
    if (fd < 0)
        return slm_fail(error, SLM_ERR_ARG, "fd", SLM_NO_OFFSET,
                        "slm_model_open_fd: got descriptor %d", fd);
    slm_model_source source = {NULL, fd, NULL, 0};
    return open_source(&source, options, out, error);
}

slm_status slm_model_open_memory(const void *data, size_t size, const slm_model_options *options,
                                 slm_model **out, slm_error *error) {
    REQUIRE(out);
    *out = NULL;
    REQUIRE(data);
    slm_model_source source = {NULL, -1, data, size};
    return open_source(&source, options, out, error);
}

slm_status slm_model_save_packed(const slm_model *model, const char *path, slm_progress_fn progress,
                                 void *progress_user, slm_error *error) {
    REQUIRE(model);
    REQUIRE(path);
    if (!model->has_weights)
        return slm_fail(error, SLM_ERR_MISSING, "model", SLM_NO_OFFSET,
                        "slm_model_save_packed: the model was opened without its weights");
    slm_model *m = (slm_model *)(uintptr_t)model; /* counting bytes is no change */
    return slm_packed_save(m, path, progress, progress_user, error);
}

void slm_model_close(slm_model **model) {
    if (model == NULL)
        return;
    slm_model_release(*model);
    *model = NULL;
}

static void copy_text(char *dst, size_t cap, slm_str src) {
    slm_escape(dst, cap, src.ptr, src.len);
}

slm_status slm_model_get_info(const slm_model *model, slm_model_info *info, slm_error *error) {
    REQUIRE(model);
    REQUIRE(info);
    const slm_config *c = &model->config;
    slm_model_info i = {.struct_size = sizeof i};
    i.n_layers = c->n_layers;
    i.d_model = c->d_model;
    i.n_heads = c->n_heads;
    i.n_kv_heads = c->n_kv_heads;
    i.d_head = c->d_head;
    i.d_ff = c->d_ff;
    i.n_vocab = slm_vocab_size(model->vocab);
    i.n_ctx_train = c->n_ctx_train;
    i.n_ctx_original = model->inv_freq[1] != NULL ? c->n_ctx_original : 0;
    i.sliding_window = c->window;
    i.has_weights = model->has_weights;
    i.n_parameters = model->n_parameters;
    i.weight_bytes = model->weight_bytes;
    i.file_bytes = slm_gguf_file_bytes(model->gguf);
    i.bos_id = slm_vocab_bos(model->vocab);
    i.eos_id = slm_vocab_eos(model->vocab);
    i.eot_id = slm_vocab_eot(model->vocab);
    i.unk_id = slm_vocab_unk(model->vocab);
    i.add_bos = (uint32_t)slm_vocab_add_bos(model->vocab);
    i.device = model->device == NULL ? SLM_DEVICE_CPU : SLM_DEVICE_CUDA;
    i.cpu_levels = model->cpu_levels;
    copy_text(i.architecture, sizeof i.architecture, model->arch_name);
    slm_str name = {"", 0};
    if (slm_gguf_get_str(model->gguf, "general.name", 0, &name, NULL) == SLM_OK)
        copy_text(i.name, sizeof i.name, name);
    const char *type = slm_model_main_type(model), *format = slm_chat_format_name(model->chat);
    copy_text(i.quantization, sizeof i.quantization, (slm_str){type, strlen(type)});
    copy_text(i.chat_format, sizeof i.chat_format, (slm_str){format, strlen(format)});
    return slm_copy_info(info, &i, sizeof i, "slm_model_info", error);
}

slm_status slm_model_get_meta(const slm_model *model, const char *key, char *text, size_t cap,
                              size_t *len, slm_error *error) {
    REQUIRE(model);
    REQUIRE(key);
    REQUIRE(len);
    if (cap > 0)
        REQUIRE(text);
    const slm_gguf_kv *kv = slm_gguf_find(model->gguf, key);
    if (kv == NULL)
        return slm_fail(error, SLM_ERR_MISSING, key, SLM_NO_OFFSET,
                        "the file has no metadata key \"%.200s\"", key);
    return slm_gguf_kv_text(kv, text, cap, len, error);
}

/* ---------------------------------------------------------------- tokens --------------------- */

slm_status slm_tokenize(const slm_model *model, const slm_span *spans, size_t n_spans, int32_t bos,
                        int32_t *ids, size_t cap, size_t *n_ids, slm_error *error) {
    REQUIRE(model);
    REQUIRE(n_ids);
    *n_ids = 0;
    if (n_spans > 0)
        REQUIRE(spans);
    if (cap > 0)
        REQUIRE(ids);
    if (bos < SLM_BOS_DEFAULT || bos > SLM_BOS_NONE)
        return slm_fail(error, SLM_ERR_ARG, "bos", SLM_NO_OFFSET,
                        "slm_tokenize: bos: got %d, wanted 0 to 2", bos);
    return slm_vocab_tokenize(model->vocab, spans, n_spans, bos, ids, cap, n_ids, error);
}

static slm_status check_detokenize_flags(uint32_t flags, slm_error *error) {
    if (flags & ~(uint32_t)(SLM_DETOKENIZE_SPECIAL | SLM_DETOKENIZE_DROP_SPACE))
        return slm_fail(error, SLM_ERR_ARG, "flags", SLM_NO_OFFSET,
                        "detokenizing: flags: got 0x%x, which has unknown bits", flags);
    return SLM_OK;
}

slm_status slm_detokenize(const slm_model *model, const int32_t *ids, size_t n_ids, uint32_t flags,
                          char *text, size_t cap, size_t *len, slm_error *error) {
    REQUIRE(model);
    REQUIRE(len);
    *len = 0;
    if (n_ids > 0)
        REQUIRE(ids);
    if (cap > 0)
        REQUIRE(text);
    SLM_TRY(check_detokenize_flags(flags, error));
    return slm_vocab_detokenize(model->vocab, ids, n_ids, flags, text, cap, len, error);
}

struct slm_detokenizer {
    slm_model *model;
    uint32_t flags;
    int32_t before; /* the last token, -1 at the start */
    slm_utf8_stream utf8;
    char *bytes; /* [max_token_bytes] */
    char *text;
};

slm_status slm_detokenizer_open(const slm_model *model, uint32_t flags, slm_detokenizer **out,
                                slm_error *error) {
    REQUIRE(out);
    *out = NULL;
    REQUIRE(model);
    SLM_TRY(check_detokenize_flags(flags, error));
    slm_model *m = (slm_model *)(uintptr_t)model; /* counting references and bytes is no change */
    size_t max_bytes = slm_vocab_max_token_bytes(m->vocab), text_cap = 3 * (max_bytes + 4) + 12;
    slm_detokenizer *d = slm_calloc(&m->host, 1, sizeof *d + max_bytes + text_cap);
    if (d == NULL)
        return slm_fail_nomem(error, sizeof *d + max_bytes + text_cap, "the detokenizer");
    d->model = m;
    d->flags = flags;
    d->before = -1;
    d->bytes = (char *)(d + 1);
    d->text = d->bytes + max_bytes;
    slm_model_retain(m);
    *out = d;
    return SLM_OK;
}

slm_status slm_detokenizer_feed(slm_detokenizer *d, int32_t id, const char **text, size_t *len,
                                slm_error *error) {
    REQUIRE(d);
    REQUIRE(text);
    REQUIRE(len);
    *text = "";
    *len = 0;
    if (id < 0 || (uint32_t)id >= slm_vocab_size(d->model->vocab))
        return slm_fail(error, SLM_ERR_RANGE, "id", SLM_NO_OFFSET,
                        "slm_detokenizer_feed: got id %d, wanted 0 to %u", id,
                        slm_vocab_size(d->model->vocab) - 1);
    slm_str bytes = slm_vocab_token_bytes(d->model->vocab, id, d->flags, d->bytes);
    if (d->flags & SLM_DETOKENIZE_DROP_SPACE)
        bytes = slm_vocab_drop_space(d->model->vocab, d->before, id, bytes);
    d->before = id;
    *text = d->text;
    *len = slm_utf8_feed(&d->utf8, bytes.ptr, bytes.len, d->text);
    return SLM_OK;
}

slm_status slm_detokenizer_finish(slm_detokenizer *d, const char **text, size_t *len,
                                  slm_error *error) {
    REQUIRE(d);
    REQUIRE(text);
    REQUIRE(len);
    *text = d->text;
    *len = slm_utf8_finish(&d->utf8, d->text);
    d->before = -1;
    return SLM_OK;
}

void slm_detokenizer_close(slm_detokenizer **d) {
    if (d == NULL || *d == NULL)
        return;
    slm_model *m = (*d)->model;
    slm_free(&m->host, *d);
    slm_model_release(m);
    *d = NULL;
}

slm_status slm_model_get_token(const slm_model *model, int32_t id, slm_token_info *info,
                               slm_error *error) {
    REQUIRE(model);
    REQUIRE(info);
    if (id < 0 || (uint32_t)id >= slm_vocab_size(model->vocab))
        return slm_fail(error, SLM_ERR_RANGE, "id", SLM_NO_OFFSET,
                        "slm_model_get_token: got id %d, wanted 0 to %u", id,
                        slm_vocab_size(model->vocab) - 1);
    slm_str text = slm_vocab_text(model->vocab, id);
    slm_token_info i = {sizeof i, slm_vocab_flags(model->vocab, id), text.ptr, text.len,
                        slm_vocab_score(model->vocab, id)};
    return slm_copy_info(info, &i, sizeof i, "slm_token_info", error);
}

/* ---------------------------------------------------------------- cache ---------------------- */

slm_status slm_cache_plan(const slm_model *model, const slm_cache_options *options, slm_plan *plan,
                          slm_error *error) {
    REQUIRE(model);
    REQUIRE(plan);
    slm_cache_options filled;
    slm_plan p;
    SLM_TRY(slm_cache_make_plan(model, options, &filled, &p, error));
    return slm_copy_info(plan, &p, sizeof p, "slm_plan", error);
}

slm_status slm_cache_open(slm_model *model, const slm_cache_options *options, slm_cache **out,
                          slm_error *error) {
    REQUIRE(out);
    *out = NULL;
    REQUIRE(model);
    return slm_cache_create(model, options, out, error);
}

void slm_cache_close(slm_cache **cache) {
    if (cache == NULL || *cache == NULL)
        return;
    slm_cache_drop(*cache);
    *cache = NULL;
}

slm_status slm_cache_get_plan(const slm_cache *cache, slm_plan *plan, slm_error *error) {
    REQUIRE(cache);
    REQUIRE(plan);
    return slm_copy_info(plan, &cache->plan, sizeof cache->plan, "slm_plan", error);
}

/* ---------------------------------------------------------------- session -------------------- */

slm_status slm_session_open(slm_model *model, const slm_cache_options *options, slm_session **out,
                            slm_error *error) {
    REQUIRE(out);
    *out = NULL;
    REQUIRE(model);
    slm_cache *cache = NULL;
    SLM_TRY(slm_cache_create(model, options, &cache, error));
    slm_status status = slm_session_create(cache, SLM_ROPE_AUTO, out, error);
    if (status != SLM_OK) {
        slm_cache_drop(cache);
        return status;
    }
    cache->is_closed = 1; /* it goes with its last session */
    return SLM_OK;
}

slm_status slm_session_open_on(slm_cache *cache, const slm_session_options *options,
                               slm_session **out, slm_error *error) {
    static const slm_session_options defaults = {.struct_size = sizeof(slm_session_options)};
    REQUIRE(out);
    *out = NULL;
    REQUIRE(cache);
    slm_session_options o;
    SLM_TRY(slm_copy_options(&o, sizeof o, &defaults, options, "slm_session_options", error));
    if (o.rope_factors < SLM_ROPE_AUTO || o.rope_factors > SLM_ROPE_LONG)
        return slm_fail(error, SLM_ERR_RANGE, "rope_factors", SLM_NO_OFFSET,
                        "slm_session_options.rope_factors: got %d, wanted 0 to 2", o.rope_factors);
    return slm_session_create(cache, o.rope_factors, out, error);
}

void slm_session_close(slm_session **session) {
    if (session == NULL || *session == NULL)
        return;
    slm_generator_detach((*session)->generator);
    slm_session_destroy(*session);
    *session = NULL;
}

static slm_status check_logits(int32_t logits, slm_error *error) {
    if (logits >= SLM_LOGITS_NONE && logits <= SLM_LOGITS_ALL)
        return SLM_OK;
    return slm_fail(error, SLM_ERR_ARG, "logits", SLM_NO_OFFSET,
                    "logits: got %d, wanted 0 to 2", logits);
}

slm_status slm_session_eval(slm_session *session, const int32_t *ids, size_t n, int32_t logits,
                            slm_error *error) {
    REQUIRE(session);
    if (n > 0)
        REQUIRE(ids);
    SLM_TRY(check_logits(logits, error));
    SLM_TRY(slm_session_check_free(session, error));
    slm_eval_item item = {sizeof item, logits, session, ids, n};
    return slm_session_run(session->cache, &item, 1, error);
}

slm_status slm_session_get_logits(const slm_session *session, size_t row, const float **logits,
                                  slm_error *error) {
    REQUIRE(session);
    REQUIRE(logits);
    *logits = NULL;
    return slm_session_logits_row(session, row, logits, error);
}

slm_status slm_cache_eval(slm_cache *cache, const slm_eval_item *items, size_t n_items,
                          slm_error *error) {
    REQUIRE(cache);
    if (n_items > 0)
        REQUIRE(items);
    if (n_items > cache->options.max_sessions)
        return slm_fail(error, SLM_ERR_ARG, "n_items", SLM_NO_OFFSET,
                        "slm_cache_eval: got %zu items, wanted at most max_sessions = %u", n_items,
                        cache->options.max_sessions);
    const uint8_t *item = (const uint8_t *)items;
    for (size_t i = 0; i < n_items; i++, item += items[0].struct_size) {
        static const slm_eval_item defaults = {.struct_size = sizeof(slm_eval_item)};
        slm_eval_item *it = &cache->items[i];
        SLM_TRY(slm_copy_options(it, sizeof *it, &defaults, item, "slm_eval_item", error));
        if (it->session == NULL || (it->n > 0 && it->ids == NULL))
            return slm_fail(error, SLM_ERR_ARG, "items", SLM_NO_OFFSET,
                            "slm_cache_eval: item %zu: %s is NULL", i,
                            it->session == NULL ? "session" : "ids");
        if (it->session->cache != cache)
            return slm_fail(error, SLM_ERR_ARG, "session", SLM_NO_OFFSET,
                            "item %zu: its session is of another cache", i);
        SLM_TRY(check_logits(it->logits, error));
        SLM_TRY(slm_session_check_free(it->session, error));
    }
    return slm_session_run(cache, cache->items, n_items, error);
}

slm_status slm_session_prompt(slm_session *session, const int32_t *ids, size_t n,
                              slm_prompt_report *report, slm_error *error) {
    REQUIRE(session);
    REQUIRE(ids);
    if (n == 0)
        return slm_fail(error, SLM_ERR_ARG, "n", SLM_NO_OFFSET,
                        "slm_session_prompt: got no tokens, wanted at least one");
    if (report != NULL)
        SLM_TRY(slm_check_info(report, "slm_prompt_report", error));
    SLM_TRY(slm_session_check_free(session, error));
    slm_prompt_report r = {.struct_size = sizeof r};
    SLM_TRY(slm_session_set_prompt(session, ids, n, &r, error));
    return report == NULL ? SLM_OK
                          : slm_copy_info(report, &r, sizeof r, "slm_prompt_report", error);
}

slm_status slm_session_truncate(slm_session *session, size_t n, slm_error *error) {
    REQUIRE(session);
    SLM_TRY(slm_session_check_free(session, error));
    if (n > session->n_tokens)
        return slm_fail(error, SLM_ERR_RANGE, "n", SLM_NO_OFFSET,
                        "slm_session_truncate: got %zu, wanted at most the %u tokens held", n,
                        session->n_tokens);
    slm_session_cut(session, (uint32_t)n);
    return SLM_OK;
}

slm_status slm_session_checkpoint(slm_session *session, slm_error *error) {
    REQUIRE(session);
    SLM_TRY(slm_session_check_free(session, error));
    return slm_session_keep(session, error);
}

slm_status slm_session_fork(slm_session *session, slm_session **out, slm_error *error) {
    REQUIRE(out);
    *out = NULL;
    REQUIRE(session);
    SLM_TRY(slm_session_check_free(session, error));
    return slm_session_copy(session, out, error);
}

slm_status slm_session_get_tokens(const slm_session *session, const int32_t **ids, size_t *n,
                                  slm_error *error) {
    REQUIRE(session);
    REQUIRE(ids);
    REQUIRE(n);
    *ids = session->tokens;
    *n = session->n_tokens;
    return SLM_OK;
}

slm_status slm_session_get_info(const slm_session *session, slm_session_info *info,
                                slm_error *error) {
    REQUIRE(session);
    REQUIRE(info);
    const slm_cache *c = session->cache;
    const slm_seq *seq = &c->seqs[session->slot];
    slm_session_info i = {.struct_size = sizeof i};
    i.n_ctx = c->options.n_ctx;
    i.n_tokens = session->n_tokens;
    i.n_evaluated = session->n_evaluated;
    i.n_reevaluated = session->n_reevaluated;
    for (uint32_t g = 0; g < c->model->n_groups; g++)
        i.n_pages += seq->tables[g].end - seq->tables[g].begin;
    i.rope_factors = c->model->inv_freq[1] == NULL ? SLM_ROPE_AUTO
                     : seq->rope_long              ? SLM_ROPE_LONG
                                                   : SLM_ROPE_SHORT;
    return slm_copy_info(info, &i, sizeof i, "slm_session_info", error);
}

slm_status slm_session_get_op(const slm_session *session, slm_op op, slm_op_info *info,
                              slm_error *error) {
    static const char *const names[SLM_OP_COUNT] = {"embed",   "qkv",  "attend", "attn_output",
                                                    "gate_up", "down", "head", "scan",
                                                    "gate_memory"};
    REQUIRE(session);
    REQUIRE(info);
    if (op < 0 || op >= SLM_OP_COUNT)
        return slm_fail(error, SLM_ERR_RANGE, "op", SLM_NO_OFFSET, "op: got %d, wanted 0 to %d", op,
                        SLM_OP_COUNT - 1);
    const slm_op_sum *sum = &session->cache->sums[op];
    slm_op_info i = {.struct_size = sizeof i, .op = op, .calls = sum->calls, .ns = sum->ns,
                     .bytes = sum->bytes, .macs = sum->macs};
    snprintf(i.name, sizeof i.name, "%s", names[op]);
    return slm_copy_info(info, &i, sizeof i, "slm_op_info", error);
}

void slm_session_cancel(slm_session *session) {
    if (session != NULL)
        atomic_store(&session->cancelled, 1);
}

/* ---------------------------------------------------------------- generation ----------------- */

slm_status slm_generate_begin(slm_session *session, const slm_generate_options *options,
                              slm_generator **out, slm_error *error) {
    REQUIRE(out);
    *out = NULL;
    REQUIRE(session);
    return slm_generator_create(session, options, out, error);
}

slm_status slm_generate_next(slm_generator *generator, slm_event *event, slm_error *error) {
    REQUIRE(generator);
    REQUIRE(event);
    SLM_TRY(slm_check_info(event, "slm_event", error));
    slm_event ev;
    SLM_TRY(slm_generator_next(generator, &ev, error));
    return slm_copy_info(event, &ev, sizeof ev, "slm_event", error);
}

void slm_generate_end(slm_generator **generator) {
    if (generator == NULL || *generator == NULL)
        return;
    slm_generator_destroy(*generator);
    *generator = NULL;
}
