/* What snapshots are bound to, and the memory that they are moved through. */
#include "run/snapshot.h"

#include <string.h>

static void copy_text(char to[32], slm_str from) {
    slm_escape(to, 32, from.ptr, from.len);
}

slm_status slm_snapshot_describe(const slm_session *s, slm_snapshot_model *model,
                                 slm_snapshot_session *state, slm_error *error) {
    const slm_cache *c = s->cache;
    slm_model *m = c->model;
    const slm_seq *seq = &c->seqs[s->slot];
    const char *type = slm_model_main_type(m);
    memset(model, 0, sizeof *model);
    memset(state, 0, sizeof *state);
    SLM_TRY(slm_model_get_fingerprint(m, &model->fingerprint, error));
    model->model_bytes = slm_gguf_file_bytes(m->gguf);
    model->n_layers = m->config.n_layers;
    model->n_kv_heads = m->config.n_kv_heads;
    model->d_head = m->config.d_head;
    model->n_vocab = m->config.n_vocab;
    model->n_ctx_train = m->config.n_ctx_train;
    model->n_groups = m->n_groups;
    copy_text(model->architecture, m->arch_name);
    copy_text(model->quantization, (slm_str){type, strlen(type)});
    state->kv_type = (uint32_t)c->options.kv_type;
    state->device = c->cuda != NULL ? SLM_DEVICE_CUDA : SLM_DEVICE_CPU;
    state->page_tokens = c->layout.page_tokens;
    state->n_ctx = c->options.n_ctx;
    if (m->inv_freq[1] != NULL)
        state->rope_factors = s->rope_auto     ? SLM_ROPE_AUTO
                              : seq->rope_long ? SLM_ROPE_LONG
                                               : SLM_ROPE_SHORT;
    state->rope_long = seq->rope_long;
    state->n_tokens = s->n_tokens;
    state->n_valid = s->n_valid;
    state->n_seen = s->n_seen;
    for (uint32_t g = 0; g < m->n_groups; g++) {
        model->groups[g].n_layers = m->groups[g].n_layers;
        model->groups[g].window = m->groups[g].window;
        state->groups[g].begin = seq->tables[g].begin;
        state->groups[g].end = seq->tables[g].end;
    }
    return SLM_OK;
}

slm_status slm_snapshot_buffers_open(slm_cache *c, uint32_t n, slm_snapshot_buffers *b,
                                     slm_error *error) {
    size_t bytes = n * SLM_SNAPSHOT_BLOCK;
    *b = (slm_snapshot_buffers){.cache = c, .n = n};
#ifdef SLM_HAVE_CUDA
    if (c->cuda != NULL) {
        SLM_TRY(slm_device_alloc(c->model, &b->pinned, bytes, 1, "a snapshot", error));
        b->at = b->pinned.at;
        return SLM_OK;
    }
#endif
    b->at = slm_alloc(c->host, bytes);
    return b->at != NULL ? SLM_OK : slm_fail_nomem(error, bytes, "a snapshot");
}

void slm_snapshot_buffers_close(slm_snapshot_buffers *b) {
    if (b->at == NULL)
        return;
#ifdef SLM_HAVE_CUDA
    if (b->cache->cuda != NULL) {
        slm_device_free(b->cache->model, &b->pinned);
        return;
    }
#endif
    slm_free(b->cache->host, b->at);
}
