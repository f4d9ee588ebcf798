/* The fields that requests for answers have in common, and the wants of the engine made of them. */
#ifndef SLM_TOOLS_SERVE_GENERATION_H
#define SLM_TOOLS_SERVE_GENERATION_H

#include "server.h"

typedef struct serve_generation {
    slm_sampling sampling;
    slm_logit_bias *bias;
    size_t n_bias;
    const char *stop[16];  /* in the request */
    size_t stop_len[16];
    size_t n_stop;
    uint64_t max_tokens;   /* 0: as many as there is room for */
    int64_t n;             /* answers to each prompt */
    int stream, include_usage;
    int has_logprobs;
    uint32_t n_top;
    serve_guide_want guide;
    const char *guide_param;
} serve_generation;

/* "model": absent, or the one that is served. */
int serve_read_model(const serve_server *server, const serve_object *request, serve_fault *fault);
/* The fields of sampling, stop texts, stream and n. g is filled with defaults first. */
int serve_read_generation(serve_server *server, const serve_object *request, serve_generation *g,
                          serve_fault *fault);
/* A length in tokens; several names may be given, of which one may be there. */
int serve_read_max_tokens(const serve_object *request, const char *name, serve_generation *g,
                          serve_fault *fault);
void serve_generation_free(serve_generation *g);

/* Fills wants for the answers to a prompt: g->n of them. The ids are copied for each. 0: no memory. */
int serve_make_wants(const serve_generation *g, slm_request_kind kind, const int32_t *ids,
                     size_t n_ids, serve_want *wants);

/* Writes the ids of a source, as slm_tokenize does: *n is how many there are, also where they do not fit. */
typedef slm_status serve_tokenizer(const void *source, int32_t *ids, size_t cap, size_t *n,
                                   slm_error *error);
/* Its ids, malloc'ed, in one pass where they are no more than its bytes. */
int serve_make_ids(serve_tokenizer *tokenizer, const void *source, size_t n_bytes, int32_t **ids,
                   size_t *n, const char *param, serve_fault *fault);
/* Ids of a text, malloc'ed. */
int serve_text_ids(const serve_server *server, const char *text, size_t len, int trusted,
                   int32_t bos, int32_t **ids, size_t *n, const char *param, serve_fault *fault);
/* Whether there is room for a token behind them. */
int serve_check_room(const serve_server *server, size_t n_ids, const char *param,
                     serve_fault *fault);
/* An array of token ids, malloc'ed. path is its place. */
int serve_read_ids(const serve_server *server, const json_t *array, const char *path, int32_t **ids,
                   size_t *n, serve_fault *fault);

#endif
