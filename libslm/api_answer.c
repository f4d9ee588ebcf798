/* The public entry points of answers. */
#include "api.h"

#include "chat/answer.h"

slm_status slm_answer_begin(slm_session *session, const slm_answer_options *options,
                            slm_answer **out, slm_error *error) {
    static const slm_answer_options defaults = {.struct_size = sizeof defaults};
    slm_answer_options o;
    REQUIRE(out);
    *out = NULL;
    REQUIRE(session);
    SLM_TRY(slm_copy_options(&o, sizeof o, &defaults, options, "slm_answer_options", error));
    return slm_answer_create(session, &o, out, error);
}

slm_status slm_answer_next(slm_answer *answer, slm_answer_event *event, slm_error *error) {
    REQUIRE(answer);
    REQUIRE(event);
    SLM_TRY(slm_check_info(event, "slm_answer_event", error));
    slm_answer_event e;
    SLM_TRY(slm_answer_step(answer, &e, error));
    return slm_copy_info(event, &e, sizeof e, "slm_answer_event", error);
}

slm_status slm_answer_get_text(const slm_answer *answer, const char **text, size_t *len,
                               slm_error *error) {
    REQUIRE(answer);
    REQUIRE(text);
    REQUIRE(len);
    slm_str all = slm_answer_text(answer);
    *text = all.ptr;
    *len = all.len;
    return SLM_OK;
}

slm_status slm_answer_get_message(slm_answer *answer, const char **json, size_t *len,
                                  slm_error *error) {
    REQUIRE(answer);
    REQUIRE(json);
    REQUIRE(len);
    slm_str message;
    SLM_TRY(slm_answer_message(answer, &message, error));
    *json = message.ptr;
    *len = message.len;
    return SLM_OK;
}

void slm_answer_end(slm_answer **answer) {
    if (answer == NULL)
        return;
    slm_answer_destroy(*answer);
    *answer = NULL;
}
