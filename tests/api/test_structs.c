/* Option structs of older and newer callers: a field counts from the size that covers it, unknown
 * bytes must be zero, and nothing is read beyond the size given. */
#include "api/tiny_group.h"

#include <math.h>

/* What follows the struct is poison: reading it as a field has a visible effect. */
static void *cut(slot *s, const void *full, size_t size) {
    uint32_t struct_size = (uint32_t)size;
    memset(s->bytes, 0xff, sizeof s->bytes);
    memcpy(s->bytes, full, size);
    memcpy(s->bytes, &struct_size, sizeof struct_size);
    return s->bytes;
}

/* ---------------------------------------------------------------- larger and impossible sizes - */

static slm_status use_model_options(void *o) {
    gb *b = tiny_model(NULL);
    size_t size;
    const uint8_t *bytes = gb_finish(b, &size);
    slm_model *m = NULL;
    slm_status status = slm_model_open_memory(bytes, size, o, &m, &golden_err);
    slm_model_close(&m);
    gb_free(b);
    return status;
}

static slm_status use_cache_options(void *o) {
    slm_session *s = NULL;
    slm_status status = slm_session_open(model, o, &s, &golden_err);
    slm_session_close(&s);
    return status;
}

static slm_status use_session_options(void *o) {
    slm_cache *c = NULL;
    slm_session *s = NULL;
    OK(slm_cache_open(model, NULL, &c, &golden_err));
    slm_status status = slm_session_open_on(c, o, &s, &golden_err);
    slm_session_close(&s);
    slm_cache_close(&c);
    return status;
}

static slm_status use_generate_options(void *o) {
    slm_session *s = session_with(3);
    slm_generator *g = NULL;
    slm_status status = slm_generate_begin(s, o, &g, &golden_err);
    slm_generate_end(&g);
    slm_session_close(&s);
    return status;
}

static slm_status use_sampling(void *o) {
    slm_generate_options go = {.struct_size = sizeof go, .sampling = o};
    return use_generate_options(&go);
}

static slm_status use_eval_item(void *o) {
    slm_cache_options co = {.struct_size = sizeof co, .n_threads = 1};
    slm_cache *c = NULL;
    slm_session *s = NULL;
    OK(slm_cache_open(model, &co, &c, &golden_err));
    OK(slm_session_open_on(c, NULL, &s, &golden_err));
    memcpy((char *)o + offsetof(slm_eval_item, session), &s, sizeof s);
    slm_status status = slm_cache_eval(c, o, 1, &golden_err);
    assert_int_equal(held(s), status == SLM_OK ? 3 : 0);
    slm_session_close(&s);
    slm_cache_close(&c);
    return status;
}

static slm_status use_device_profile(void *o) {
    slm_prediction p = {.struct_size = sizeof p};
    return slm_predict(model, o, NULL, &p, &golden_err);
}

static slm_status use_predict_options(void *o) {
    slm_device_profile device = {.struct_size = sizeof device};
    slm_prediction p = {.struct_size = sizeof p};
    OK(slm_device_profile_get(0, &device, &golden_err));
    return slm_predict(model, &device, o, &p, &golden_err);
}

static slm_status use_tool_parser_options(void *o) {
    slm_tool_parser *p = NULL;
    slm_status status = slm_tool_parser_open(model, o, &p, &golden_err);
    slm_tool_parser_close(&p);
    return status;
}

static slm_status use_speech_options(void *o) {
    slm_speech *s = NULL;
    slm_status status = slm_speech_open(model, o, &s, &golden_err);
    slm_speech_close(&s);
    return status;
}

/* A model that speaks ChatML. */
static void chatml(gb *b) {
    gb_kv_str(b, "tokenizer.chat_template",
              "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n"
              "{% endfor %}{{ tools | tojson if tools }}{{ mood }}"
              "{{ strftime_now('%Y') if strftime_now is defined }}");
}
static void chatml_tokens(gb *b) {
    static char text[TINY_VOCAB][16];
    static const char *tokens[TINY_VOCAB];
    for (uint32_t i = 0; i < TINY_VOCAB; i++) {
        snprintf(text[i], sizeof text[i], i < 3 ? "<%u>" : "<0x%02X>", i < 3 ? i : i - 3);
        tokens[i] = text[i];
    }
    static const char *const last[5] = {"\xe2\x96\x81", "a", "b", "<|im_start|>", "<|im_end|>"};
    for (int i = 0; i < 5; i++)
        tokens[259 + i] = last[i];
    gb_kv_arr_str(b, "tokenizer.ggml.tokens", tokens, TINY_VOCAB);
}
static const tiny_tweak speaks_chatml = {.name = "tokenizer.ggml.tokens", .emit = chatml_tokens,
                                         .extra = chatml};
static slm_model *talker;

static slm_status use_message(void *o) {
    char text[200];
    size_t len = 0;
    return slm_chat_render(talker, o, 1, 0, text, sizeof text, &len, &golden_err);
}

static slm_status use_chat_input(void *o) {
    char text[200];
    size_t len = 0;
    return slm_chat_render_input(talker, o, text, sizeof text, &len, &golden_err);
}

static void other_sizes(void **state) {
    (void)state;
    slm_model_options mo = {.struct_size = sizeof mo};
    slm_cache_options co = {.struct_size = sizeof co, .n_threads = 1};
    slm_session_options so = {.struct_size = sizeof so};
    slm_generate_options go = {.struct_size = sizeof go};
    slm_sampling sa = {.struct_size = sizeof sa};
    OK(slm_sampling_init(&sa));
    slm_eval_item it = {sizeof it, SLM_LOGITS_LAST, NULL, some, 3};
    slm_message me = {sizeof me, "user", SLM_NTS, "ab", 2};
    slm_chat_input in = {.struct_size = sizeof in, .messages = &me, .n_messages = 1};
    slm_device_profile dp = {.struct_size = sizeof dp};
    OK(slm_device_profile_get(0, &dp, &golden_err));
    slm_predict_options po = {.struct_size = sizeof po};
    slm_tool_parser_options to = {.struct_size = sizeof to};
    slm_speech_options sp = {.struct_size = sizeof sp};
    const struct {
        const char *name;
        const void *full;
        size_t size;
        slm_status (*use)(void *);
    } structs[] = {
        {"slm_model_options", &mo, sizeof mo, use_model_options},
        {"slm_cache_options", &co, sizeof co, use_cache_options},
        {"slm_session_options", &so, sizeof so, use_session_options},
        {"slm_generate_options", &go, sizeof go, use_generate_options},
        {"sampling", &sa, sizeof sa, use_sampling},
        {"slm_eval_item", &it, sizeof it, use_eval_item},
        {"slm_message", &me, sizeof me, use_message},
        {"slm_chat_input", &in, sizeof in, use_chat_input},
        {"slm_device_profile", &dp, sizeof dp, use_device_profile},
        {"slm_predict_options", &po, sizeof po, use_predict_options},
        {"slm_tool_parser_options", &to, sizeof to, use_tool_parser_options},
        {"slm_speech_options", &sp, sizeof sp, use_speech_options},
    };
    talker = tiny_open(&speaks_chatml, NULL);
    for (size_t i = 0; i < sizeof structs / sizeof structs[0]; i++) {
        slot s;
        size_t size = structs[i].size;
        OK(structs[i].use(cut(&s, structs[i].full, size)));
        for (uint32_t wrong = 0; wrong < 4; wrong++) {
            memcpy(s.bytes, &wrong, sizeof wrong);
            REFUSED(structs[i].use(&s), SLM_ERR_ARG, "struct_size");
            assert_non_null(strstr(golden_err.message, structs[i].name));
        }
        for (uint32_t more = 8; more <= 64; more += 8) { /* a newer caller */
            uint32_t newer = (uint32_t)size + more;
            cut(&s, structs[i].full, size);
            memcpy(s.bytes, &newer, sizeof newer);
            memset(s.bytes + size, 0, more);
            OK(structs[i].use(&s));
            for (uint32_t odd = 0; odd < more; odd += more - 1) {
                s.bytes[size + odd] = 1;
                REFUSED(structs[i].use(&s), SLM_ERR_ARG, "not zero");
                assert_non_null(strstr(golden_err.message, structs[i].name));
                assert_string_equal(golden_err.subject, "struct_size");
                s.bytes[size + odd] = 0;
            }
        }
    }
    slm_model_close(&talker);
}

/* ---------------------------------------------------------------- options, field by field ---- */

static uint64_t n_allocations;
static void *any_user; /* what the callbacks were given */
static int n_lines, n_progress;

static void *count_alloc(void *user, size_t size, size_t align) {
    (void)user;
    n_allocations++;
    return aligned_alloc(align, (size + align - 1) / align * align);
}
static void just_free(void *user, void *p, size_t size, size_t align) {
    (void)user, (void)size, (void)align;
    free(p);
}
static void count_line(void *user, slm_log_level level, const char *line) {
    (void)level, (void)line;
    any_user = user;
    n_lines++;
}
static int32_t count_progress(void *user, uint64_t done, uint64_t total) {
    (void)done, (void)total;
    any_user = user;
    n_progress++;
    return 0;
}

/* An unknown tensor behind a known one: something to warn of. */
static void strange_tensor(gb *b) {
    gb_tensor_random(b, "output_norm.weight", 1, (uint64_t[]){32}, 1.0f, 99);
    gb_tensor(b, "strange.weight", 0, 1, (uint64_t[]){4}, NULL);
}

static void model_options(void **state) {
    (void)state;
    static const size_t ends[] = {
        4, END(slm_model_options, flags), END(slm_model_options, device),
        END(slm_model_options, load), END(slm_model_options, memory_limit),
        END(slm_model_options, cpu_levels), END(slm_model_options, log_level),
        END(slm_model_options, log), END(slm_model_options, log_user),
        END(slm_model_options, allocator), END(slm_model_options, progress),
        END(slm_model_options, progress_user), END(slm_model_options, packed_path)};
    int me;
    slm_allocator allocator = {count_alloc, just_free, NULL};
    slm_model_options full = {.flags = SLM_MODEL_CHECK_TENSORS, .device = SLM_DEVICE_CPU,
                              .load = SLM_LOAD_READ, .memory_limit = 1u << 20,
                              .cpu_levels = SLM_CPU_PORTABLE, .log_level = SLM_LOG_DEBUG,
                              .log = count_line, .log_user = &me, .allocator = &allocator,
                              .progress = count_progress, .progress_user = &me};
    gb *b = tiny_model(&(tiny_tweak){.name = "output_norm.weight", .emit = strange_tensor});
    size_t size;
    const uint8_t *bytes = gb_finish(b, &size);
    uint8_t *aligned = aligned_alloc(64, (size + 63) / 64 * 64);
    assert_non_null(aligned);
    memcpy(aligned, bytes, size);
    slm_model_info usual = {.struct_size = sizeof usual};
    OK(slm_model_get_info(model, &usual, &golden_err));
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
#define HAS(field) (ends[i] >= END(slm_model_options, field))
        slot s;
        slm_model *m = NULL;
        slm_plan plan = {.struct_size = sizeof plan};
        slm_model_info info = {.struct_size = sizeof info};
        n_allocations = 0;
        n_lines = n_progress = 0;
        any_user = &golden_err;
        OK(slm_model_open_memory(aligned, size, cut(&s, &full, ends[i]), &m, &golden_err));
        OK(slm_cache_plan(m, NULL, &plan, &golden_err));
        OK(slm_model_get_info(m, &info, &golden_err));
        assert_true(HAS(load) == (plan.weights_allocated > 0));
        assert_true(HAS(load) == (plan.weights_mapped == 0));
        assert_int_equal(info.cpu_levels, HAS(cpu_levels) ? SLM_CPU_PORTABLE : usual.cpu_levels);
        assert_true(HAS(log) == (n_lines > 0));
        assert_true(HAS(allocator) == (n_allocations > 0));
        assert_true(HAS(progress) == (n_progress > 0));
        if (HAS(log))
            assert_ptr_equal(any_user, HAS(progress) ? HAS(progress_user) ? &me : NULL
                                       : HAS(log_user) ? &me : NULL);
        slm_session *session = NULL; /* a limit of 1 MiB leaves no room for this */
        slm_cache_options co = {.struct_size = sizeof co, .max_logits = 4096};
        slm_status status = slm_session_open(m, &co, &session, &golden_err);
        assert_int_equal(status, HAS(memory_limit) ? SLM_ERR_NOMEM : SLM_OK);
        slm_session_close(&session);
        slm_model_close(&m);
        /* what can be seen only by being refused or left out */
        slm_model_options odd = full;
        odd.flags = SLM_MODEL_VOCAB_ONLY;
        OK(slm_model_open_memory(aligned, size, cut(&s, &odd, ends[i]), &m, &golden_err));
        OK(slm_model_get_info(m, &info, &golden_err));
        assert_int_equal(info.has_weights, !HAS(flags));
        slm_model_close(&m);
        odd = full;
        odd.device = 9;
        status = slm_model_open_memory(aligned, size, cut(&s, &odd, ends[i]), &m, &golden_err);
        assert_int_equal(status, HAS(device) ? SLM_ERR_ARG : SLM_OK);
        slm_model_close(&m);
        odd = full;
        odd.load = SLM_LOAD_PACK;
        odd.packed_path = "none/x.packed";
        status = slm_model_open_memory(aligned, size, cut(&s, &odd, ends[i]), &m, &golden_err);
        assert_int_equal(status, HAS(packed_path) ? SLM_ERR_IO : SLM_OK);
        slm_model_close(&m);
        odd = full;
        odd.log_level = SLM_LOG_ERROR; /* a warning is below that */
        n_lines = 0;
        OK(slm_model_open_memory(aligned, size, cut(&s, &odd, ends[i]), &m, &golden_err));
        assert_int_equal(n_lines, 0);
        slm_model_close(&m);
#undef HAS
    }
    free(aligned);
    gb_free(b);
}

static void cache_options(void **state) {
    (void)state;
    static const size_t ends[] = {
        4, END(slm_cache_options, n_ctx), END(slm_cache_options, n_cells),
        END(slm_cache_options, max_sessions), END(slm_cache_options, kv_type),
        END(slm_cache_options, page_tokens), END(slm_cache_options, max_rows),
        END(slm_cache_options, max_logits), END(slm_cache_options, n_threads),
        END(slm_cache_options, rope_factors)};
    slm_plan before = {.struct_size = sizeof before}, usual = {.struct_size = sizeof usual};
    OK(slm_cache_plan(model, NULL, &usual, &golden_err));
    slm_cache_options full = {.n_ctx = 64, .n_cells = 48, .max_sessions = 3,
                              .kv_type = SLM_KV_F32, .page_tokens = 16, .max_rows = 7,
                              .max_logits = 9, .n_threads = usual.n_threads % 4 + 1,
                              .rope_factors = 9};
    for (size_t i = 0; i + 1 < sizeof ends / sizeof ends[0]; i++) {
        slot s, zeros;
        slm_cache_options same = {.struct_size = sizeof same};
        slm_plan a = {.struct_size = sizeof a}, b = {.struct_size = sizeof b};
        memcpy((char *)&same + 4, (const char *)&full + 4, ends[i] - 4);
        memcpy(zeros.bytes, &same, sizeof same);
        OK(slm_cache_plan(model, cut(&s, &full, ends[i]), &a, &golden_err));
        OK(slm_cache_plan(model, (slm_cache_options *)&zeros, &b, &golden_err));
        assert_memory_equal(&a, &b, END(slm_plan, n_threads));
        assert_memory_not_equal(&a, &before, END(slm_plan, n_threads));
        before = a;
        slm_cache *c = NULL;
        slm_session *sessions[3] = {NULL, NULL, NULL};
        OK(slm_cache_open(model, (slm_cache_options *)&s, &c, &golden_err));
        uint32_t most = ends[i] >= END(slm_cache_options, max_sessions) ? 3 : 1;
        for (uint32_t k = 0; k < most; k++)
            OK(slm_session_open_on(c, NULL, &sessions[k], &golden_err));
        slm_session *too_many = NULL;
        REFUSED(slm_session_open_on(c, NULL, &too_many, &golden_err), SLM_ERR_LIMIT,
                "max_sessions");
        for (uint32_t k = 0; k < most; k++)
            slm_session_close(&sessions[k]);
        slm_cache_close(&c);
    }
    slot s;
    slm_plan plan = {.struct_size = sizeof plan};
    REFUSED(slm_cache_plan(model, cut(&s, &full, sizeof full), &plan, &golden_err), SLM_ERR_RANGE,
            "rope_factors");
}

static void session_options(void **state) {
    (void)state;
    slm_session_options full = {.rope_factors = 9};
    slot s;
    OK(use_session_options(cut(&s, &full, 4)));
    REFUSED(use_session_options(cut(&s, &full, END(slm_session_options, rope_factors))),
            SLM_ERR_RANGE, "rope_factors");
}

/* Each field in turn has a value that is refused by its name, once the size covers it. */
static void sampling(void **state) {
    (void)state;
#define F(field) {#field, offsetof(slm_sampling, field), sizeof(((slm_sampling *)0)->field)}
    static const struct {
        const char *name;
        size_t at, size;
    } fields[] = {
        F(temperature), F(top_k), F(top_p), F(min_p), F(typical_p), F(repeat_penalty),
        F(presence_penalty), F(frequency_penalty), F(penalty_last_n), F(dry_multiplier),
        F(dry_base), F(dry_allowed_length), F(dry_last_n), F(seed), F(dry_breakers),
        F(n_dry_breakers), F(logit_bias), F(n_logit_bias), F(order)};
#undef F
    static const slm_span no_text = {NULL, 0, 0};
    static const slm_logit_bias nobody = {-1, 1.0f};
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        slm_sampling bad = {.struct_size = sizeof bad}, usual;
        slot s;
        OK(slm_sampling_init(&bad));
        usual = bad;
        const char *name = fields[i].name;
        if (strcmp(name, "seed") == 0)
            continue; /* any number will do; see below */
        if (strstr(name, "_last_n") != NULL || strstr(name, "top_k") != NULL ||
            strstr(name, "_length") != NULL) {
            int32_t number = -2;
            memcpy((char *)&bad + fields[i].at, &number, sizeof number);
        } else if (fields[i].size == 4) {
            float number = NAN;
            memcpy((char *)&bad + fields[i].at, &number, sizeof number);
        }
        if (strstr(name, "dry_breakers") != NULL) /* counts once there are texts and their number */
            bad.dry_breakers = &no_text, bad.n_dry_breakers = 1;
        if (strstr(name, "logit_bias") != NULL)
            bad.logit_bias = &nobody, bad.n_logit_bias = 1;
        if (strcmp(name, "order") == 0)
            bad.order[0] = 99;
        if (strcmp(name, "dry_breakers") == 0 || strcmp(name, "logit_bias") == 0)
            continue; /* without their number, the next field, there are none */
        OK(use_sampling(cut(&s, &bad, fields[i].at)));
        OK(use_sampling(cut(&s, &usual, fields[i].at + fields[i].size)));
        REFUSED(use_sampling(cut(&s, &bad, fields[i].at + fields[i].size)),
                strstr(name, "breakers") != NULL ? SLM_ERR_ARG : SLM_ERR_RANGE, "sampling");
        assert_string_equal(golden_err.subject, strncmp(name, "n_", 2) == 0 ? name + 2 : name);
    }
}

/* The first token with this much of a sampling. */
static int32_t first_token(const slm_sampling *full, size_t size, int n) {
    slot s;
    slm_generate_options go = {.struct_size = sizeof go, .sampling = cut(&s, full, size),
                               .flags = SLM_GENERATE_IGNORE_END};
    slm_session *session = session_with(3);
    slm_generator *g = NULL;
    slm_event ev = {.struct_size = sizeof ev};
    uint32_t hash = 0;
    OK(slm_generate_begin(session, &go, &g, &golden_err));
    for (int i = 0; i < n; i++) {
        OK(slm_generate_next(g, &ev, &golden_err));
        hash = hash * 31 + (uint32_t)ev.token;
    }
    slm_generate_end(&g);
    slm_session_close(&session);
    return n == 1 ? ev.token : (int32_t)hash;
}

static void sampling_seed_and_bias(void **state) {
    (void)state;
    slm_sampling full = {.struct_size = sizeof full}, usual;
    OK(slm_sampling_init(&full));
    full.temperature = 100; /* as good as even */
    full.top_k = 0;
    full.min_p = 0;
    full.top_p = 1;
    usual = full;
    full.seed = 12345;
    size_t seed = END(slm_sampling, seed);
    assert_int_equal(first_token(&full, seed - 8, 20), first_token(&usual, sizeof usual, 20));
    assert_int_not_equal(first_token(&full, seed, 20), first_token(&usual, sizeof usual, 20));
    assert_int_equal(first_token(&full, seed, 20), first_token(&full, sizeof full, 20));
    static const slm_logit_bias only = {262, 1e6f};
    full = usual;
    full.temperature = 0;
    full.logit_bias = &only;
    full.n_logit_bias = 1;
    assert_int_not_equal(first_token(&full, END(slm_sampling, logit_bias), 1), 262);
    assert_int_equal(first_token(&full, END(slm_sampling, n_logit_bias), 1), 262);
}

static void generate_options(void **state) {
    (void)state;
    static const size_t ends[] = {
        4, END(slm_generate_options, flags), END(slm_generate_options, max_tokens),
        END(slm_generate_options, sampling), END(slm_generate_options, stop),
        END(slm_generate_options, n_stop), END(slm_generate_options, n_top),
        END(slm_generate_options, guide), END(slm_generate_options, n_draft)};
    static const slm_logit_bias only = {261, 1e6f}; /* "b", again and again */
    slm_sampling greedy = {.struct_size = sizeof greedy};
    OK(slm_sampling_init(&greedy));
    greedy.temperature = 0;
    greedy.logit_bias = &only;
    greedy.n_logit_bias = 1;
    slm_span stop = {"bbb", 3, 0};
    slm_generate_options full = {.flags = SLM_GENERATE_IGNORE_END, .max_tokens = 5,
                                 .sampling = &greedy, .stop = &stop, .n_stop = 1, .n_top = 3};
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
#define HAS(field) (ends[i] >= END(slm_generate_options, field))
        slot s;
        slm_session *session = session_with(3);
        slm_generator *g = NULL;
        slm_event ev = {.struct_size = sizeof ev};
        OK(slm_generate_begin(session, cut(&s, &full, ends[i]), &g, &golden_err));
        int n = 0, n_b = 0;
        for (; n < 20; n++) {
            OK(slm_generate_next(g, &ev, &golden_err));
            if (ev.type == SLM_EVENT_END)
                break;
            n_b += ev.token == 261;
            assert_int_equal(ev.n_top, HAS(n_top) ? 3 : 0);
        }
        if (HAS(n_stop)) {
            assert_int_equal(ev.reason, SLM_END_STOP);
            assert_int_equal(n, 2); /* the third one ends it */
        } else if (HAS(max_tokens)) {
            assert_int_equal(ev.reason, SLM_END_LENGTH);
            assert_int_equal(n, 5);
            assert_true(HAS(sampling) == (n_b == 5));
        } else {
            assert_true(n == 20 || ev.reason == SLM_END_TOKEN);
        }
        slm_generate_end(&g);
        slm_generate_options odd = full;
        odd.flags = 1u << 9;
        slm_status status = slm_generate_begin(session, cut(&s, &odd, ends[i]), &g, &golden_err);
        assert_int_equal(status, HAS(flags) ? SLM_ERR_ARG : SLM_OK);
        slm_generate_end(&g);
        odd = full;
        odd.n_draft = 99;
        status = slm_generate_begin(session, cut(&s, &odd, ends[i]), &g, &golden_err);
        assert_int_equal(status, HAS(n_draft) ? SLM_ERR_RANGE : SLM_OK);
        slm_generate_end(&g);
        slm_session_close(&session);
#undef HAS
    }
}

static void messages(void **state) {
    (void)state;
    static const size_t ends[] = {4, END(slm_message, role), END(slm_message, role_len),
                                  END(slm_message, content), END(slm_message, content_len)};
    slm_message full[2] = {{0, "user", SLM_NTS, "ab", 2}, {0, "assistant", SLM_NTS, "ba", SLM_NTS}};
    talker = tiny_open(&speaks_chatml, NULL);
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        slot s, second; /* an array of callers' structs, one close to the other */
        char text[200];
        size_t len = 0;
        cut(&s, &full[0], ends[i]);
        memcpy(s.bytes + ends[i], cut(&second, &full[1], ends[i]), ends[i]);
        slm_status status = slm_chat_render(talker, (slm_message *)&s, 2, 0, text, sizeof text,
                                            &len, &golden_err);
        if (ends[i] < END(slm_message, role)) {
            assert_int_equal(status, SLM_ERR_ARG);
            assert_non_null(strstr(golden_err.message, "role is NULL"));
        } else if (ends[i] < END(slm_message, role_len)) {
            assert_int_equal(status, SLM_ERR_TEMPLATE); /* a role of no letters */
        } else {
            const char *want = ends[i] < END(slm_message, content_len)
                                   ? "<|im_start|>user\n<|im_end|>\n"
                                     "<|im_start|>assistant\n<|im_end|>\n"
                                   : "<|im_start|>user\nab<|im_end|>\n"
                                     "<|im_start|>assistant\nba<|im_end|>\n";
            assert_int_equal(status, SLM_OK);
            assert_int_equal(len, strlen(want));
            assert_memory_equal(text, want, len);
        }
    }
    slm_model_close(&talker);
}

static void chat_input(void **state) {
    (void)state;
    static const size_t ends[] = {
        4, END(slm_chat_input, flags), END(slm_chat_input, messages),
        END(slm_chat_input, n_messages), END(slm_chat_input, conversation),
        END(slm_chat_input, conversation_len), END(slm_chat_input, tools),
        END(slm_chat_input, tools_len), END(slm_chat_input, extra), END(slm_chat_input, extra_len),
        END(slm_chat_input, now)};
    slm_message me = {sizeof me, "user", SLM_NTS, "ab", 2};
    slm_chat_input full = {.messages = &me, .n_messages = 1, .tools = "[{}]", .tools_len = 4,
                           .extra = "{\"mood\": 1}", .extra_len = 11, .now = 86400};
    talker = tiny_open(&speaks_chatml, NULL);
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        slot s;
        char text[200], want[200];
        size_t len = 0;
        slm_status status = slm_chat_render_input(talker, cut(&s, &full, ends[i]), text, sizeof text,
                                                  &len, &golden_err);
#define HAS(field) (ends[i] >= END(slm_chat_input, field))
        if (!HAS(n_messages)) {
            assert_int_equal(status, SLM_ERR_ARG);
            continue;
        }
        /* A text whose length is not given has none. */
        if ((HAS(tools) && !HAS(tools_len)) || (HAS(extra) && !HAS(extra_len))) {
            assert_int_equal(status, SLM_ERR_FORMAT);
            continue;
        }
        assert_int_equal(status, SLM_OK);
        snprintf(want, sizeof want, "<|im_start|>user\nab<|im_end|>\n%s%s%s",
                 HAS(tools) ? "[{}]" : "", HAS(extra) ? "1" : "", HAS(now) ? "1970" : "");
        assert_int_equal(len, strlen(want));
        assert_memory_equal(text, want, len);
#undef HAS
    }
    slm_model_close(&talker);
}

static void eval_items(void **state) {
    (void)state;
    static const size_t ends[] = {4, END(slm_eval_item, logits), END(slm_eval_item, session),
                                  END(slm_eval_item, ids), END(slm_eval_item, n)};
    slm_cache_options o = {.struct_size = sizeof o, .max_sessions = 2, .n_threads = 1};
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        slm_cache *c = NULL;
        slm_session *a = NULL, *b = NULL;
        OK(slm_cache_open(model, &o, &c, &golden_err));
        OK(slm_session_open_on(c, NULL, &a, &golden_err));
        OK(slm_session_open_on(c, NULL, &b, &golden_err));
        OK(slm_session_eval(a, some, 2, SLM_LOGITS_NONE, &golden_err));
        OK(slm_session_eval(b, some, 1, SLM_LOGITS_NONE, &golden_err));
        slm_eval_item full[2] = {{0, SLM_LOGITS_LAST, a, some + 2, 3},
                                 {0, SLM_LOGITS_LAST, b, some + 1, 4}};
        slot s, second;
        cut(&s, &full[0], ends[i]);
        memcpy(s.bytes + ends[i], cut(&second, &full[1], ends[i]), ends[i]);
        slm_status status = slm_cache_eval(c, (slm_eval_item *)&s, 2, &golden_err);
        int has_session = ends[i] >= END(slm_eval_item, session), all = ends[i] == sizeof full[0];
        assert_int_equal(status, has_session ? SLM_OK : SLM_ERR_ARG);
        assert_int_equal(held(a), all ? 5 : 2);
        assert_int_equal(held(b), all ? 5 : 1);
        const float *row;
        assert_int_equal(slm_session_get_logits(a, 0, &row, NULL),
                         has_session ? SLM_OK : SLM_ERR_RANGE);
        slm_session_close(&a);
        slm_session_close(&b);
        slm_cache_close(&c);
    }
}

/* A profile without a field that counts is refused; options that are not there are the defaults. */
static void predictions(void **state) {
    (void)state;
    slm_device_profile device = {.struct_size = sizeof device};
    slm_prediction plain = {.struct_size = sizeof plain}, p = plain;
    slot s;
    OK(slm_device_profile_get(0, &device, &golden_err));
    OK(slm_predict(model, &device, NULL, &plain, &golden_err));
    static const size_t profile_ends[] = {
        4, END(slm_device_profile, n_sm), END(slm_device_profile, sm_mhz),
        END(slm_device_profile, emc_mhz), END(slm_device_profile, dram_gbps)};
    static const char *const missing[] = {"n_sm", "sm_mhz", "dram_gbps", "dram_gbps"};
    for (size_t i = 0; i < sizeof profile_ends / sizeof *profile_ends; i++) {
        cut(&s, &device, profile_ends[i]);
        if (i < 4) {
            REFUSED(slm_predict(model, (slm_device_profile *)&s, NULL, &p, &golden_err),
                    SLM_ERR_RANGE, missing[i]);
        } else {
            OK(slm_predict(model, (slm_device_profile *)&s, NULL, &p, &golden_err));
            assert_memory_equal(p.token_ms, plain.token_ms, sizeof p.token_ms);
        }
    }
    slm_predict_options full = {0, SLM_KV_F32, 32, 16};
    static const size_t option_ends[] = {4, END(slm_predict_options, kv_type),
                                         END(slm_predict_options, depth),
                                         END(slm_predict_options, n_prompt)};
    for (size_t i = 0; i < sizeof option_ends / sizeof *option_ends; i++) {
        OK(slm_predict(model, &device, cut(&s, &full, option_ends[i]), &p, &golden_err));
        assert_int_equal(p.bytes_per_token > plain.bytes_per_token, i >= 2);
        assert_int_equal(p.n_prompt == 16, i >= 3);
    }
    full.struct_size = sizeof full;
    full.depth = 1u << 30;
    REFUSED(slm_predict(model, &device, &full, &p, &golden_err), SLM_ERR_LIMIT, "depth");
    full.depth = 0;
    full.n_prompt = 1u << 30;
    REFUSED(slm_predict(model, &device, &full, &p, &golden_err), SLM_ERR_LIMIT, "n_prompt");
    full.n_prompt = 0;
    full.kv_type = 9;
    REFUSED(slm_predict(model, &device, &full, &p, &golden_err), SLM_ERR_RANGE, "kv_type");
    device.dram_gbps = NAN;
    REFUSED(slm_predict(model, &device, NULL, &p, &golden_err), SLM_ERR_RANGE, "dram_gbps");
    REFUSED(slm_predict(model, NULL, NULL, &p, &golden_err), SLM_ERR_ARG, "profile");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(other_sizes),      cmocka_unit_test(model_options),
        cmocka_unit_test(cache_options),    cmocka_unit_test(session_options),
        cmocka_unit_test(sampling),         cmocka_unit_test(sampling_seed_and_bias),
        cmocka_unit_test(generate_options), cmocka_unit_test(messages),
        cmocka_unit_test(chat_input),       cmocka_unit_test(eval_items),
        cmocka_unit_test(predictions),
    };
    return cmocka_run_group_tests(tests, open_model, close_model);
}
