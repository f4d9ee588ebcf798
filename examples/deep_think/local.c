#include "local.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_TOKENS = 400 };

/* What the model is told of, so that it can ask for help by itself. */
static const char tools[] =
    "[{\"type\":\"function\",\"function\":{\"name\":\"deep_think\",\"description\":\"Asks a larger "
    "model. Only for what you do not know.\",\"parameters\":{\"type\":\"object\",\"properties\":{}}}}]";

struct deep_local {
    slm_model *model;
    slm_batch *batch; /* of one request at a time: it tells the probability of each token */
    slm_guide *guide; /* of the tools */
    uint64_t n_ctx;
};

deep_local *deep_local_open(const char *path, uint32_t n_ctx, slm_error *error) {
    deep_local *l = calloc(1, sizeof *l);
    slm_model_info info = {.struct_size = sizeof info};
    const slm_cache_options cache = {.struct_size = sizeof cache, .n_ctx = n_ctx};
    const slm_batch_options batch = {.struct_size = sizeof batch, .max_running = 1, .cache = &cache};
    if (!l) {
        error->status = SLM_ERR_NOMEM;
        strcpy(error->message, "got no memory");
        return NULL;
    }
    if (slm_model_open(path, NULL, &l->model, error) == SLM_OK &&
        slm_model_get_info(l->model, &info, error) == SLM_OK &&
        slm_guide_compile_tools(l->model, tools, SLM_NTS, NULL, NULL, &l->guide, error) == SLM_OK &&
        slm_batch_open(l->model, &batch, &l->batch, error) == SLM_OK) {
        l->n_ctx = n_ctx > 0 ? n_ctx : info.n_ctx_train;
        return l;
    }
    deep_local_close(l);
    return NULL;
}

void deep_local_close(deep_local *l) {
    if (!l)
        return;
    slm_batch_close(&l->batch);
    slm_guide_close(&l->guide);
    slm_model_close(&l->model);
    free(l);
}

uint64_t deep_local_context(const deep_local *l) { return l->n_ctx; }

/* The ids of a prompt, malloc'ed. */
static slm_status tokenize(deep_local *l, const char *messages, int32_t **ids, size_t *n,
                           slm_error *error) {
    size_t size = strlen(messages) + sizeof tools + 64;
    char *text = malloc(size);
    slm_status status = SLM_ERR_NOMEM;
    *ids = NULL;
    if (text) {
        int len = snprintf(text, size, "{\"messages\":%s,\"tools\":%s,\"add_generation_prompt\":true}",
                           messages, tools);
        const slm_chat_input input = {.struct_size = sizeof input, .conversation = text,
                                      .conversation_len = (size_t)len};
        status = slm_chat_tokenize_input(l->model, &input, NULL, 0, n, error);
        if (status == SLM_OK && !(*ids = malloc((*n + 1) * sizeof **ids)))
            status = SLM_ERR_NOMEM;
        if (status == SLM_OK)
            status = slm_chat_tokenize_input(l->model, &input, *ids, *n, n, error);
    }
    free(text);
    if (status == SLM_ERR_NOMEM) {
        error->status = status;
        strcpy(error->message, "got no memory for the prompt");
    }
    return status;
}

slm_status deep_local_count(deep_local *l, const char *messages, uint64_t *n, slm_error *error) {
    int32_t *ids;
    size_t count = 0;
    slm_status status = tokenize(l, messages, &ids, &count, error);
    free(ids);
    *n = count;
    return status;
}

static int append(char **text, const char *more, size_t len) {
    size_t n = *text ? strlen(*text) : 0;
    char *larger = realloc(*text, n + len + 1);
    if (!larger)
        return 0;
    memcpy(larger + n, more, len);
    larger[n + len] = '\0';
    *text = larger;
    return 1;
}

/* Takes in an event; *over with the last one. */
static slm_status take(deep_local *l, const slm_batch_event *ev, deep_answer *a, int *over,
                       slm_error *error) {
    slm_token_info token = {.struct_size = sizeof token};
    slm_status status;
    switch (ev->type) {
    case SLM_BATCH_TOKEN:
        status = slm_model_get_token(l->model, ev->token, &token, error);
        if (status == SLM_OK && !(token.flags & SLM_TOKEN_END))
            deep_confidence_add(&a->confidence, (double)ev->logprob);
        return status;
    case SLM_BATCH_TEXT:
        if (append(&a->text, ev->text, ev->text_len))
            return SLM_OK;
        error->status = SLM_ERR_NOMEM;
        strcpy(error->message, "got no memory for the answer");
        return SLM_ERR_NOMEM;
    case SLM_BATCH_CALL_END: /* there is but one tool */
        a->asks_for_help = 1;
        return SLM_OK;
    case SLM_BATCH_FAILED:
        error->status = ev->status;
        snprintf(error->message, sizeof error->message, "%.*s", (int)ev->text_len, ev->text);
        return ev->status;
    default:
        *over = ev->type == SLM_BATCH_END;
        return SLM_OK;
    }
}

slm_status deep_local_answer(deep_local *l, const char *messages, deep_answer *a,
                             slm_error *error) {
    int32_t *ids;
    size_t n = 0;
    slm_request *request = NULL;
    slm_sampling sampling = {.struct_size = sizeof sampling};
    slm_sampling_init(&sampling);
    sampling.temperature = 0;
    const slm_generate_options generate = {.struct_size = sizeof generate, .guide = l->guide,
                                           .max_tokens = MAX_TOKENS, .sampling = &sampling};
    const slm_answer_options answer = {.struct_size = sizeof answer, .flags = SLM_ANSWER_CALLS,
                                       .generate = &generate};
    *a = (deep_answer){0};
    slm_status status = tokenize(l, messages, &ids, &n, error);
    if (status == SLM_OK) {
        const slm_request_options options = {.struct_size = sizeof options,
                                             .flags = SLM_REQUEST_TOKENS, .ids = ids, .n_ids = n,
                                             .answer = &answer};
        a->n_prompt = n;
        status = slm_batch_add(l->batch, &options, &request, error);
    }
    free(ids);
    for (int over = 0; status == SLM_OK && !over;) {
        slm_batch_event ev = {.struct_size = sizeof ev};
        status = slm_batch_step(l->batch, NULL, error);
        while (status == SLM_OK && !over &&
               (status = slm_batch_next(l->batch, &ev, error)) == SLM_OK &&
               ev.type != SLM_BATCH_NONE)
            status = take(l, &ev, a, &over, error);
    }
    slm_request_end(&request);
    return status;
}
