#define _POSIX_C_SOURCE 200809L

#include "guides.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_GUIDES = 16, GUIDE_BYTES = 16 << 20 };

typedef struct entry {
    serve_guide_want want; /* with a text of its own */
    slm_guide *guide;      /* NULL: a free place */
    uint64_t used;
} entry;

struct serve_guides {
    slm_model *model;
    uint64_t clock;
    entry entries[MAX_GUIDES];
};

serve_guides *serve_guides_open(slm_model *model) {
    serve_guides *g = calloc(1, sizeof *g);
    if (g)
        g->model = model;
    return g;
}

static void forget(entry *e) {
    slm_guide_close(&e->guide);
    free(e->want.text);
    *e = (entry){0};
}

void serve_guides_close(serve_guides **out) {
    serve_guides *g = *out;
    for (size_t i = 0; g && i < MAX_GUIDES; i++)
        forget(&g->entries[i]);
    free(g);
    *out = NULL;
}

static int same(const serve_guide_want *a, const serve_guide_want *b) {
    return a->kind == b->kind && a->choice == b->choice && a->one_call == b->one_call &&
           a->after_thinking == b->after_thinking && strcmp(a->tool, b->tool) == 0 &&
           strcmp(a->text, b->text) == 0;
}

static slm_status compile(slm_model *model, const serve_guide_want *want, slm_guide **out,
                          slm_error *error) {
    static const slm_span end_of_thinking = {.text = "</think>", .len = 8};
    slm_guide_options options = {.struct_size = sizeof options, .memory_limit = GUIDE_BYTES};
    if (want->kind == SERVE_TOOLS) {
        const slm_tools_options tools = {.struct_size = sizeof tools, .choice = want->choice,
                                         .name = *want->tool ? want->tool : NULL,
                                         .name_len = SLM_NTS};
        options.flags = want->one_call ? SLM_GUIDE_ONE_CALL : 0;
        return slm_guide_compile_tools(model, want->text, strlen(want->text), &tools, &options, out,
                                       error);
    }
    if (want->after_thinking) {
        options.triggers = &end_of_thinking;
        options.n_triggers = 1;
    }
    return (want->kind == SERVE_SCHEMA ? slm_guide_compile_json_schema
                                       : slm_guide_compile_gbnf)(
        model, want->text, strlen(want->text), &options, out, error);
}

slm_status serve_guides_get(serve_guides *g, const serve_guide_want *want, slm_guide **out,
                            slm_error *error) {
    entry *oldest = &g->entries[0];
    for (size_t i = 0; i < MAX_GUIDES; i++) {
        entry *e = &g->entries[i];
        if (e->guide && same(&e->want, want)) {
            e->used = ++g->clock;
            *out = e->guide;
            return SLM_OK;
        }
        if (e->used < oldest->used)
            oldest = e;
    }
    forget(oldest);
    slm_status status = compile(g->model, want, &oldest->guide, error);
    if (status != SLM_OK)
        return status;
    oldest->want = *want;
    oldest->want.text = strdup(want->text);
    if (!oldest->want.text) {
        forget(oldest);
        error->status = SLM_ERR_NOMEM;
        strcpy(error->message, "got no memory for a guide");
        return SLM_ERR_NOMEM;
    }
    oldest->used = ++g->clock;
    *out = oldest->guide;
    return SLM_OK;
}
