/* The small trained model: logits, and its greedy story token for token. */
#include "golden.h"

#include <math.h>

static const char dir[] = "models:";

static void first_logits(void **state) {
    (void)state;
    size_t size, n_vocab = 512;
    float *want = golden_read(dir, "stories260K.first32.f32", &size);
    json_t *golden = golden_json(dir, "stories260K.golden.json");
    assert_int_equal(size, 32 * n_vocab * sizeof *want);
    const json_t *prompt = json_object_get(golden, "prompt_ids");
    const json_t *next = json_object_get(golden, "new_ids");
    int32_t ids[32];
    size_t n_prompt = json_array_size(prompt);
    for (size_t i = 0; i < 32; i++)
        ids[i] = (int32_t)json_integer_value(i < n_prompt ? json_array_get(prompt, i)
                                                          : json_array_get(next, i - n_prompt));
    slm_cache_options o = {.struct_size = sizeof o, .kv_type = SLM_KV_F32};
    float *got = golden_logits(dir, "stories260K.gguf", &o, 0, ids, 32, n_vocab);
    double worst = 0, mean = 0, squares = 0;
    for (size_t i = 0; i < 32 * n_vocab; i++)
        mean += (double)want[i] / (32.0 * (double)n_vocab);
    for (size_t i = 0; i < 32 * n_vocab; i++) {
        squares += ((double)want[i] - mean) * ((double)want[i] - mean);
        worst = fmax(worst, fabs((double)want[i] - (double)got[i]));
    }
    assert_true(worst / sqrt(squares / (32.0 * (double)n_vocab)) < 5e-4);
    free(want);
    free(got);
    json_decref(golden);
}

static void story_with(slm_kv_type kv, uint32_t n_threads, uint32_t levels) {
    json_t *golden = golden_json(dir, "stories260K.golden.json");
    const char *prompt = json_string_value(json_object_get(golden, "prompt"));
    const char *new_text = json_string_value(json_object_get(golden, "new_text"));
    const json_t *want = json_object_get(golden, "new_ids");
    slm_model *model = golden_open(dir, "stories260K.gguf", levels);
    slm_cache_options o = {.struct_size = sizeof o, .kv_type = kv, .n_threads = n_threads};
    slm_session *session = NULL;
    slm_generator *gen = NULL;
    OK(slm_session_open(model, &o, &session, &golden_err));
    slm_span span = {prompt, SLM_NTS, 0};
    int32_t ids[64];
    size_t n = 0;
    OK(slm_tokenize(model, &span, 1, SLM_BOS_DEFAULT, ids, 64, &n, &golden_err));
    const json_t *prompt_ids = json_object_get(golden, "prompt_ids");
    assert_int_equal(n, json_array_size(prompt_ids));
    for (size_t i = 0; i < n; i++)
        assert_int_equal(ids[i], json_integer_value(json_array_get(prompt_ids, i)));
    OK(slm_session_prompt(session, ids, n, NULL, &golden_err));

    slm_sampling sampling = {.struct_size = sizeof sampling};
    OK(slm_sampling_init(&sampling));
    sampling.temperature = 0;
    slm_generate_options go = {.struct_size = sizeof go, .max_tokens = json_array_size(want),
                               .sampling = &sampling};
    OK(slm_generate_begin(session, &go, &gen, &golden_err));
    slm_event ev = {.struct_size = sizeof ev};
    char text[4096];
    size_t used = 0, made = 0;
    do {
        OK(slm_generate_next(gen, &ev, &golden_err));
        if (ev.type == SLM_EVENT_TEXT) {
            assert_int_equal(ev.token, json_integer_value(json_array_get(want, made)));
            made++;
        }
        assert_true(used + ev.text_len < sizeof text);
        memcpy(text + used, ev.text, ev.text_len);
        used += ev.text_len;
    } while (ev.type != SLM_EVENT_END);
    assert_int_equal(ev.reason, SLM_END_LENGTH);
    assert_int_equal(made, json_array_size(want));
    assert_int_equal(used, strlen(new_text));
    assert_memory_equal(text, new_text, used);
    slm_generate_end(&gen);
    slm_session_close(&session);
    slm_model_close(&model);
    json_decref(golden);
}

static void story(void **state) {
    (void)state;
    story_with(SLM_KV_F32, 1, 0);
    story_with(SLM_KV_F16, 2, 0);
    story_with(SLM_KV_F16, 3, SLM_CPU_PORTABLE);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_logits),
        cmocka_unit_test(story),
    };
    golden_need_data();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
