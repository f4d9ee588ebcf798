/* Text through the public header: metadata, tokens, streams of text, conversations. */
#include "api/tiny_open.h"

/* ---------------------------------------------------------------- metadata ------------------- */

static void values(gb *b) {
    gb_kv_str(b, "a.text", "two\nlines \"quoted\" \xc3\xa9");
    gb_kv_str(b, "a.empty", "");
    gb_kv_u8(b, "a.u8", 200);
    gb_kv_i32(b, "a.i32", -70000);
    gb_kv_u64(b, "a.u64", UINT64_MAX);
    gb_kv_i64(b, "a.i64", INT64_MIN);
    gb_kv_f32(b, "a.f32", 0.1f);
    gb_kv_f64(b, "a.f64", 1e-300);
    gb_kv_bool(b, "a.yes", 1);
    gb_kv_arr_str(b, "a.texts", (const char *const[]){"x", "a\"b\\\n", ""}, 3);
    gb_kv_arr_i32(b, "a.numbers", (int32_t[]){1, -2, 3}, 3);
    gb_kv_arr_u32(b, "a.none", NULL, 0);
}

static void metadata(void **state) {
    (void)state;
    static const char *const wanted[][2] = {
        {"general.architecture", "llama"},
        {"a.text", "two\nlines \"quoted\" \xc3\xa9"},
        {"a.empty", ""},
        {"a.u8", "200"},
        {"a.i32", "-70000"},
        {"a.u64", "18446744073709551615"},
        {"a.i64", "-9223372036854775808"},
        {"a.f32", "0.1"},
        {"a.f64", "1e-300"},
        {"a.yes", "true"},
        {"a.texts", "[\"x\",\"a\\\"b\\\\\\u000a\",\"\"]"},
        {"a.numbers", "[1,-2,3]"},
        {"a.none", "[]"},
    };
    slm_model *m = tiny_open(&(tiny_tweak){.extra = values}, NULL);
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        char text[64];
        size_t len = 99, want = strlen(wanted[i][1]);
        OK(slm_model_get_meta(m, wanted[i][0], NULL, 0, &len, &golden_err));
        assert_int_equal(len, want);
        memset(text, '#', sizeof text);
        OK(slm_model_get_meta(m, wanted[i][0], text, len == 0 ? 1 : len, &len, &golden_err));
        assert_int_equal(len, want);
        assert_memory_equal(text, wanted[i][1], want);
        assert_int_equal(text[want], '#'); /* no final NUL */
        if (want < 2)
            continue;
        memset(text, '#', sizeof text);
        len = 0;
        REFUSED(slm_model_get_meta(m, wanted[i][0], text, want - 1, &len, &golden_err),
                SLM_ERR_LIMIT, "bytes");
        assert_int_equal(len, want);
    }
    size_t len;
    REFUSED(slm_model_get_meta(m, "a.missing", NULL, 0, &len, &golden_err), SLM_ERR_MISSING,
            "a.missing");
    REFUSED(slm_model_get_meta(m, "a.u8", NULL, 9, &len, &golden_err), SLM_ERR_ARG, "text");
    REFUSED(slm_model_get_meta(m, NULL, NULL, 0, &len, &golden_err), SLM_ERR_ARG, "key");
    REFUSED(slm_model_get_meta(m, "a.u8", NULL, 0, NULL, &golden_err), SLM_ERR_ARG, "len");
    slm_model_close(&m);
}

/* ---------------------------------------------------------------- tokens --------------------- */

static void token_types(gb *b) {
    int32_t types[TINY_VOCAB];
    for (uint32_t i = 0; i < TINY_VOCAB; i++)
        types[i] = i == 0 ? 2 : i < 3 ? 3 : i < 259 ? 6 : 1;
    types[261] = 4; /* "b" is user-defined, "ab" unused */
    types[262] = 5;
    gb_kv_arr_i32(b, "tokenizer.ggml.token_type", types, TINY_VOCAB);
}

static void tokens(void **state) {
    (void)state;
    slm_model *m = tiny_open(&(tiny_tweak){.name = "tokenizer.ggml.token_type",
                                           .emit = token_types}, NULL);
    static const struct {
        int32_t id;
        uint32_t flags;
        const char *text;
    } wanted[] = {
        {0, SLM_TOKEN_UNKNOWN, "<unk>"},       {1, SLM_TOKEN_CONTROL, "<s>"},
        {2, SLM_TOKEN_CONTROL | SLM_TOKEN_END, "</s>"}, {3, SLM_TOKEN_BYTE, "<0x00>"},
        {258, SLM_TOKEN_BYTE, "<0xFF>"},       {260, 0, "a"},
        {261, SLM_TOKEN_USER_DEFINED, "b"},    {262, SLM_TOKEN_UNUSED, "ab"},
        {263, 0, "\xe2\x96\x81" "a"},
    };
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        slm_token_info t = {.struct_size = sizeof t};
        OK(slm_model_get_token(m, wanted[i].id, &t, &golden_err));
        assert_int_equal(t.flags, wanted[i].flags);
        assert_int_equal(t.len, strlen(wanted[i].text));
        assert_memory_equal(t.text, wanted[i].text, t.len);
        assert_true(t.score == -(float)wanted[i].id);
    }
    slm_token_info t = {.struct_size = sizeof t};
    REFUSED(slm_model_get_token(m, -1, &t, &golden_err), SLM_ERR_RANGE, "-1", "0 to 263");
    REFUSED(slm_model_get_token(m, 264, &t, &golden_err), SLM_ERR_RANGE, "264");
    REFUSED(slm_model_get_token(m, 0, NULL, &golden_err), SLM_ERR_ARG, "info");
    slm_model_close(&m);
}

/* ---------------------------------------------------------------- streams -------------------- */

#define BYTE(x) (3 + (x))

/* Feeds ids, finishes, and puts what came together; every piece is what it is said to be. */
static size_t stream(slm_detokenizer *d, const int32_t *ids, size_t n, char *text) {
    size_t len = 0;
    for (size_t i = 0; i <= n; i++) {
        const char *piece = NULL;
        size_t n_piece = 99;
        if (i < n)
            OK(slm_detokenizer_feed(d, ids[i], &piece, &n_piece, &golden_err));
        else
            OK(slm_detokenizer_finish(d, &piece, &n_piece, &golden_err));
        memcpy(text + len, piece, n_piece);
        len += n_piece;
    }
    return len;
}

static void whole_characters(void **state) {
    (void)state;
    slm_model *m = tiny_open(NULL, NULL);
    slm_detokenizer *d = NULL;
    const char *text;
    size_t len;
    OK(slm_detokenizer_open(m, 0, &d, &golden_err));
    /* Each byte alone: a character comes with its last one. */
    static const char words[] = "\xc3\xa9\xe4\xbd\xa0\xf0\x9f\x99\x82";
    static const size_t comes[] = {0, 2, 0, 0, 3, 0, 0, 0, 4};
    size_t at = 0;
    for (size_t i = 0; i < sizeof comes / sizeof comes[0]; i++) {
        OK(slm_detokenizer_feed(d, BYTE((uint8_t)words[i]), &text, &len, &golden_err));
        assert_int_equal(len, comes[i]);
        assert_memory_equal(text, words + at, len);
        at += len;
    }
    OK(slm_detokenizer_finish(d, &text, &len, &golden_err));
    assert_int_equal(len, 0);
    static const struct {
        int32_t ids[6];
        size_t n;
        const char *text;
    } cases[] = {
        {{BYTE(0xff), 260}, 2, "\xef\xbf\xbd" "a"},                        /* never UTF-8        */
        {{BYTE(0xe4), BYTE(0xbd)}, 2, "\xef\xbf\xbd"},                    /* unfinished          */
        {{BYTE(0xe4), BYTE(0xbd), 260, 261}, 4, "\xef\xbf\xbd" "ab"},      /* broken off          */
        {{BYTE(0xc3), BYTE(0xc3), BYTE(0xa9)}, 3, "\xef\xbf\xbd\xc3\xa9"}, /* and begun again     */
        {{BYTE(0xed), BYTE(0xa0), BYTE(0x80)}, 3,
         "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},                         /* a surrogate         */
        {{260, 1, 2, 261}, 4, "ab"},                                       /* controls: nothing   */
        {{263, 262}, 2, " aab"},
    };
    for (int again = 0; again < 2; again++) /* finished, it starts afresh */
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
            char got[100];
            len = stream(d, cases[i].ids, cases[i].n, got);
            assert_int_equal(len, strlen(cases[i].text));
            assert_memory_equal(got, cases[i].text, len);
        }
    REFUSED(slm_detokenizer_feed(d, 264, &text, &len, &golden_err), SLM_ERR_RANGE, "264");
    REFUSED(slm_detokenizer_feed(d, -1, &text, &len, &golden_err), SLM_ERR_RANGE, "-1");
    REFUSED(slm_detokenizer_feed(d, 5, NULL, &len, &golden_err), SLM_ERR_ARG, "text");
    REFUSED(slm_detokenizer_finish(NULL, &text, &len, &golden_err), SLM_ERR_ARG);
    slm_detokenizer_close(&d);
    assert_null(d);
    slm_detokenizer_close(&d);
    slm_detokenizer_close(NULL);
    REFUSED(slm_detokenizer_open(m, 4, &d, &golden_err), SLM_ERR_ARG, "flags");
    OK(slm_detokenizer_open(m, SLM_DETOKENIZE_SPECIAL, &d, &golden_err));
    slm_model_close(&m); /* which it keeps alive */
    char got[100];
    len = stream(d, (int32_t[]){1, 260, 2}, 3, got);
    assert_int_equal(len, 8);
    assert_memory_equal(got, "<s>a</s>", 8);
    slm_detokenizer_close(&d);
}

/* The stream gives what the call for all of them gives, whatever the flags. */
static void same_text(slm_model *m, const int32_t *ids, size_t n) {
    for (uint32_t flags = 0; flags < 4; flags++) {
        char whole[2048], parts[2048];
        size_t n_whole;
        slm_detokenizer *d = NULL;
        OK(slm_detokenize(m, ids, n, flags, whole, sizeof whole, &n_whole, &golden_err));
        OK(slm_detokenizer_open(m, flags, &d, &golden_err));
        for (int again = 0; again < 2; again++) {
            assert_int_equal(stream(d, ids, n, parts), n_whole);
            assert_memory_equal(parts, whole, n_whole);
        }
        slm_detokenizer_close(&d);
    }
}

static void streams_agree(void **state) {
    (void)state;
    static const int32_t alphabet[] = {1, 2, 0, 259, 260, 261, 262, 263, BYTE(' '), BYTE('x')};
    slm_model *m = tiny_open(NULL, NULL);
    uint32_t seed = 12345;
    for (int round = 0; round < 500; round++) {
        int32_t ids[12];
        for (size_t i = 0; i < 12; i++) {
            seed = seed * 1664525u + 1013904223u;
            ids[i] = alphabet[(seed >> 16) % 10];
        }
        same_text(m, ids, (size_t)round % 13);
    }
    slm_model_close(&m);
}

static void controls_in_the_middle(void **state) {
    (void)state;
    slm_model *m = tiny_open(NULL, NULL);
    static const int32_t ids[] = {1, 263, 262, 1, 263, 262, 263};
    char text[64];
    size_t len;
    OK(slm_detokenize(m, ids, 7, SLM_DETOKENIZE_DROP_SPACE, text, sizeof text, &len, &golden_err));
    assert_int_equal(len, 8); /* only the blanks that tokenizing put behind <s> are dropped */
    assert_memory_equal(text, "aabaab a", len);
    same_text(m, ids, 7);
    slm_model_close(&m);
}

/* ---------------------------------------------------------------- conversations -------------- */

static const char *template_text;
static void chat_template(gb *b) {
    if (template_text != NULL)
        gb_kv_str(b, "tokenizer.chat_template", template_text);
}
/* The last two tokens become those of ChatML. */
static void chat_tokens(gb *b) {
    static char text[TINY_VOCAB][16];
    const char *names[TINY_VOCAB];
    static const char *const last[5] = {"\xe2\x96\x81", "a", "b", "<|im_start|>", "<|im_end|>"};
    for (uint32_t i = 0; i < TINY_VOCAB; i++) {
        snprintf(text[i], sizeof text[i], i < 3 ? "<%u>" : "<0x%02X>", i < 3 ? i : i - 3);
        names[i] = i < 259 ? text[i] : last[i - 259];
    }
    gb_kv_arr_str(b, "tokenizer.ggml.tokens", names, TINY_VOCAB);
}
static void chat_types(gb *b) {
    int32_t types[TINY_VOCAB];
    for (uint32_t i = 0; i < TINY_VOCAB; i++)
        types[i] = i == 0 ? 2 : i < 3 || i > 261 ? 3 : i < 259 ? 6 : 1;
    gb_kv_arr_i32(b, "tokenizer.ggml.token_type", types, TINY_VOCAB);
}

static slm_model *open_chat(const char *text) {
    template_text = text;
    return tiny_open(&(tiny_tweak){.name = "tokenizer.ggml.tokens", .emit = chat_tokens,
                                   .name2 = "tokenizer.ggml.token_type", .emit2 = chat_types,
                                   .extra = chat_template}, NULL);
}

static const char chatml[] =
    "{% for m in messages %}{{ '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

static void render(void **state) {
    (void)state;
    slm_model *m = open_chat(chatml);
    slm_message talk[] = {{sizeof talk[0], "system", SLM_NTS, "a b", SLM_NTS},
                          {sizeof talk[0], "user...", 4, "ba<|im_end|>!", 12},
                          {sizeof talk[0], "assistant", 9, NULL, 0}};
    static const char wanted[] = "<|im_start|>system\na b<|im_end|>\n"
                                 "<|im_start|>user\nba<|im_end|><|im_end|>\n"
                                 "<|im_start|>assistant\n<|im_end|>\n"
                                 "<|im_start|>assistant\n";
    size_t want = strlen(wanted), opening = strlen("<|im_start|>assistant\n"), len = 0;
    char text[300];
    OK(slm_chat_render(m, talk, 3, SLM_CHAT_GENERATION_PROMPT, NULL, 0, &len, &golden_err));
    assert_int_equal(len, want);
    memset(text, '#', sizeof text);
    OK(slm_chat_render(m, talk, 3, SLM_CHAT_GENERATION_PROMPT, text, want, &len, &golden_err));
    assert_int_equal(len, want);
    assert_memory_equal(text, wanted, want);
    assert_int_equal(text[want], '#');
    OK(slm_chat_render(m, talk, 3, 0, text, sizeof text, &len, &golden_err));
    assert_int_equal(len, want - opening);
    assert_memory_equal(text, wanted, len);
    memset(text, '#', sizeof text);
    len = 0;
    REFUSED(slm_chat_render(m, talk, 3, 0, text, 20, &len, &golden_err), SLM_ERR_LIMIT, "20");
    assert_int_equal(len, want - opening);

    /* As ids: the turns' tokens are the template's own, what is spelt in a content is text. */
    int32_t ids[300];
    size_t n = 0, n_start = 0, n_end = 0;
    OK(slm_chat_tokenize(m, talk, 3, SLM_CHAT_GENERATION_PROMPT, ids, 300, &n, &golden_err));
    for (size_t i = 0; i < n; i++) {
        n_start += ids[i] == 262;
        n_end += ids[i] == 263;
    }
    assert_int_equal(n_start, 4);
    assert_int_equal(n_end, 3);
    memset(ids, 0x55, sizeof ids);
    REFUSED(slm_chat_tokenize(m, talk, 3, SLM_CHAT_GENERATION_PROMPT, ids, 5, &len, &golden_err),
            SLM_ERR_LIMIT);
    assert_int_equal(len, n);
    assert_int_equal(ids[0], 0x55555555); /* nothing is written */
    slm_model_close(&m);
}

static void render_refused(void **state) {
    (void)state;
    slm_message talk = {sizeof talk, "user", SLM_NTS, "a", SLM_NTS};
    size_t len = 0;
    slm_model *m = open_chat(NULL);
    REFUSED(slm_chat_render(m, &talk, 1, 0, NULL, 0, &len, &golden_err), SLM_ERR_MISSING,
            "chat template");
    slm_model_close(&m);
    m = open_chat("a\n{{ [INST }}");
    REFUSED(slm_chat_render(m, &talk, 1, 0, NULL, 0, &len, &golden_err), SLM_ERR_TEMPLATE,
            "line 2, column 10");
    slm_model_close(&m);
    m = open_chat("{{ raise_exception('no, thank you') }}");
    REFUSED(slm_chat_render(m, &talk, 1, 0, NULL, 0, &len, &golden_err), SLM_ERR_TEMPLATE,
            "no, thank you");
    slm_model_close(&m);
    m = open_chat(chatml);
    REFUSED(slm_chat_render(NULL, &talk, 1, 0, NULL, 0, &len, &golden_err), SLM_ERR_ARG, "model");
    REFUSED(slm_chat_render(m, NULL, 1, 0, NULL, 0, &len, &golden_err), SLM_ERR_ARG, "messages");
    REFUSED(slm_chat_render(m, &talk, 0, 0, NULL, 0, &len, &golden_err), SLM_ERR_ARG, "messages");
    REFUSED(slm_chat_render(m, &talk, 1, 4, NULL, 0, &len, &golden_err), SLM_ERR_ARG, "0x4");
    REFUSED(slm_chat_render(m, &talk, 1, 0, NULL, 9, &len, &golden_err), SLM_ERR_ARG, "text");
    REFUSED(slm_chat_render(m, &talk, 1, 0, NULL, 0, NULL, &golden_err), SLM_ERR_ARG, "len");
    talk.role = "admin";
    REFUSED(slm_chat_render(m, &talk, 1, 0, NULL, 0, &len, &golden_err), SLM_ERR_TEMPLATE,
            "message 0", "admin");
    talk.role = "user";
    talk.content = "a\xff";
    REFUSED(slm_chat_render(m, &talk, 1, 0, NULL, 0, &len, &golden_err), SLM_ERR_UTF8, "byte 18");
    slm_model_close(&m);
}

/* All that a conversation can be given, in the struct and as one text. */
static void render_input(void **state) {
    (void)state;
    static const char template[] =
        "{% for m in messages %}{{ m.role }}={{ m.content }}{{ m.tool_calls | tojson if m.tool_calls }};"
        "{% endfor %}{{ tools | length }} {{ flavour }} {{ strftime_now('%d %b %Y %H:%M') }}"
        "{% if add_generation_prompt %}>{% endif %}";
    static const char wanted[] = "user=a;assistant=[{\"f\": 1.5}];1 sweet 26 Jul 2024 12:34>";
    slm_model *m = open_chat(template);
    slm_message talk[2] = {{sizeof *talk, "user", SLM_NTS, "a", SLM_NTS},
                           {sizeof *talk, NULL, 0, "{\"role\": \"assistant\", \"content\": \"\", "
                                                   "\"tool_calls\": [{\"f\": 1.5}]}", SLM_NTS}};
    slm_chat_input in = {.struct_size = sizeof in, .flags = SLM_CHAT_GENERATION_PROMPT,
                         .messages = talk, .n_messages = 2, .tools = "[{\"name\": \"f\"}]",
                         .tools_len = SLM_NTS, .extra = "{\"flavour\": \"sweet\"}",
                         .extra_len = SLM_NTS, .now = 1721997240};
    char text[200];
    int32_t ids[200];
    size_t len = 0, n = 0, want = sizeof wanted - 1;
    OK(slm_chat_render_input(m, &in, text, sizeof text, &len, &golden_err));
    assert_int_equal(len, want);
    assert_memory_equal(text, wanted, want);
    OK(slm_chat_tokenize_input(m, &in, ids, 200, &n, &golden_err));
    assert_true(n > 0);

    slm_chat_input whole = {.struct_size = sizeof whole, .conversation_len = SLM_NTS, .now = in.now,
                            .conversation =
        "{\"messages\": [{\"role\": \"user\", \"content\": \"a\"}, {\"role\": \"assistant\", \"content\": "
        "\"\", \"tool_calls\": [{\"f\": 1.5}]}], \"tools\": [{\"name\": \"f\"}], \"add_generation_prompt\":"
        " true, \"extra\": {\"flavour\": \"sweet\"}}"};
    char again[200];
    OK(slm_chat_render_input(m, &whole, again, sizeof again, &len, &golden_err));
    assert_int_equal(len, want);
    assert_memory_equal(again, text, want);
    in.now = 0;
    REFUSED(slm_chat_render_input(m, &in, NULL, 0, &len, &golden_err), SLM_ERR_TEMPLATE, "the date");
    REFUSED(slm_chat_render_input(m, NULL, NULL, 0, &len, &golden_err), SLM_ERR_ARG, "input");
    REFUSED(slm_chat_tokenize_input(NULL, &in, NULL, 0, &len, &golden_err), SLM_ERR_ARG, "model");
    REFUSED(slm_chat_tokenize_input(m, &in, NULL, 0, NULL, &golden_err), SLM_ERR_ARG, "n_ids");
    REFUSED(slm_chat_tokenize_input(m, &in, NULL, 7, &len, &golden_err), SLM_ERR_ARG, "ids");
    in.flags = SLM_CHAT_CONTINUE | SLM_CHAT_GENERATION_PROMPT;
    REFUSED(slm_chat_render_input(m, &in, NULL, 0, &len, &golden_err), SLM_ERR_ARG, "one of them");
    talk[1].struct_size = 8;
    in.flags = 0;
    REFUSED(slm_chat_render_input(m, &in, NULL, 0, &len, &golden_err), SLM_ERR_ARG, "message 1");
    slm_model_close(&m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(metadata),      cmocka_unit_test(tokens),
        cmocka_unit_test(whole_characters), cmocka_unit_test(streams_agree),
        cmocka_unit_test(controls_in_the_middle), cmocka_unit_test(render),
        cmocka_unit_test(render_refused), cmocka_unit_test(render_input),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
