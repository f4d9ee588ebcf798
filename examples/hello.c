/* The shortest whole program: hello MODEL.gguf "Why is the sky blue?" */
#include <slm.h>

#include <stdio.h>

int main(int argc, char **argv) {
    slm_error err = SLM_ERROR_INIT;
    slm_model *model = NULL;
    slm_session *session = NULL;
    slm_generator *answer = NULL;
    slm_event ev = {.struct_size = sizeof ev};
    int32_t ids[1024];
    size_t n = 0;
    if (argc != 3) {
        fprintf(stderr, "usage: %s MODEL.gguf QUESTION\n", argv[0]);
        return 2;
    }
    slm_message msg = {sizeof msg, "user", SLM_NTS, argv[2], SLM_NTS};
    slm_status status = slm_model_open(argv[1], NULL, &model, &err);
    if (status == SLM_OK)
        status = slm_session_open(model, NULL, &session, &err);
    if (status == SLM_OK)
        status = slm_chat_tokenize(model, &msg, 1, SLM_CHAT_GENERATION_PROMPT, ids, 1024, &n, &err);
    if (status == SLM_OK)
        status = slm_session_prompt(session, ids, n, NULL, &err);
    if (status == SLM_OK)
        status = slm_generate_begin(session, NULL, &answer, &err);
    while (status == SLM_OK && ev.type != SLM_EVENT_END) {
        if ((status = slm_generate_next(answer, &ev, &err)) == SLM_OK)
            fwrite(ev.text, 1, ev.text_len, stdout);
    }
    puts("");
    if (status != SLM_OK)
        fprintf(stderr, "hello: %s\n", err.message);
    slm_generate_end(&answer);
    slm_session_close(&session);
    slm_model_close(&model);
    return status == SLM_OK ? 0 : 1;
}
