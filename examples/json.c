/* An answer that a program can read: json MODEL.gguf SCHEMA.json QUESTION
 *
 * The schema is compiled once into a guide, and only tokens are chosen that keep to it. So the answer
 * needs no repairing: it parses, has the members that the schema requires, and values of their
 * types. What the model means by them is still its own affair. */
#include <slm.h>

#include <stdio.h>
#include <stdlib.h>

/* The whole file, with its length in *size; NULL where it cannot be read. */
static char *read_file(const char *path, size_t *size) {
    FILE *f = fopen(path, "rb");
    char *text = NULL;
    size_t cap = 0, n = 0;
    while (f && !ferror(f) && !feof(f)) {
        char *larger = realloc(text, cap += 4096);
        if (!larger)
            break;
        text = larger;
        n += fread(text + n, 1, cap - n, f);
    }
    int is_whole = f && feof(f) && !ferror(f);
    if (f)
        fclose(f);
    if (!is_whole) {
        free(text);
        return NULL;
    }
    *size = n;
    return text;
}

static slm_status ask(slm_session *session, slm_guide *guide, const int32_t *ids, size_t n,
                      slm_error *err) {
    slm_sampling sampling = {.struct_size = sizeof sampling};
    slm_sampling_init(&sampling);
    sampling.temperature = 0;
    slm_generate_options options = {
        .struct_size = sizeof options, .sampling = &sampling, .guide = guide};
    slm_event ev = {.struct_size = sizeof ev};
    slm_generator *answer = NULL;
    slm_status status = slm_session_prompt(session, ids, n, NULL, err);
    if (status == SLM_OK)
        status = slm_generate_begin(session, &options, &answer, err);
    while (status == SLM_OK && ev.type != SLM_EVENT_END) {
        if ((status = slm_generate_next(answer, &ev, err)) == SLM_OK)
            fwrite(ev.text, 1, ev.text_len, stdout);
    }
    slm_generate_end(&answer);
    puts("");
    if (status == SLM_OK && ev.reason != SLM_END_GUIDE && ev.reason != SLM_END_TOKEN) {
        fputs("json: the context ended before the answer did\n", stderr);
        return SLM_ERR_CTX;
    }
    return status;
}

int main(int argc, char **argv) {
    slm_error err = SLM_ERROR_INIT;
    slm_model *model = NULL;
    slm_session *session = NULL;
    slm_guide *guide = NULL;
    int32_t ids[1024];
    size_t n = 0, size = 0;
    if (argc != 4) {
        fprintf(stderr, "usage: %s MODEL.gguf SCHEMA.json QUESTION\n", argv[0]);
        return 2;
    }
    char *schema = read_file(argv[2], &size);
    if (!schema) {
        fprintf(stderr, "json: %s: cannot be read\n", argv[2]);
        return 1;
    }
    slm_message msg = {sizeof msg, "user", SLM_NTS, argv[3], SLM_NTS};
    slm_status status = slm_model_open(argv[1], NULL, &model, &err);
    if (status == SLM_OK)
        status = slm_guide_compile_json_schema(model, schema, size, NULL, &guide, &err);
    if (status == SLM_OK)
        status = slm_session_open(model, NULL, &session, &err);
    if (status == SLM_OK)
        status = slm_chat_tokenize(model, &msg, 1, SLM_CHAT_GENERATION_PROMPT, ids, 1024, &n, &err);
    if (status == SLM_OK)
        status = ask(session, guide, ids, n, &err);
    if (err.status != SLM_OK)
        fprintf(stderr, "json: %s\n", err.message);
    slm_guide_close(&guide);
    slm_session_close(&session);
    slm_model_close(&model);
    free(schema);
    return status == SLM_OK ? 0 : 1;
}
