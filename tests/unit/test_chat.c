/* Conversations with the template and the vocabulary of a file: as text, and as ids that user text
 * cannot make control tokens of. */
#define _POSIX_C_SOURCE 200809L
#include "support/gguf_builder.h"
#include "text/chat.h"
#include "vocab_files.h"

/* ---- a file that holds a template ---- */

typedef struct template_file {
    slm_host host;
    slm_gguf *g;
} template_file;

static void open_file(template_file *t, const char *text, size_t len, const char *with_tools) {
    slm_error error = SLM_ERROR_INIT;
    slm_file *file = NULL;
    slm_host_init(&t->host, NULL, NULL, NULL, SLM_LOG_NONE);
    gb *b = gb_begin();
    gb_kv_str(b, "general.name", "x");
    if (text)
        gb_kv_str_n(b, "tokenizer.chat_template", text, len);
    if (with_tools)
        gb_kv_str(b, "tokenizer.chat_template.tool_use", with_tools);
    size_t size;
    const uint8_t *bytes = gb_finish(b, &size);
    assert_int_equal(slm_file_open_memory(&t->host, bytes, size, SLM_LOAD_READ, &file, &error), 0);
    if (slm_gguf_open_file(&t->host, file, SLM_GGUF_NO_TENSORS, &t->g, &error) != SLM_OK)
        fail_msg("%s", error.message);
    gb_free(b);
}

static void open_template(template_file *t, const char *text, size_t len) {
    open_file(t, text, len, NULL);
}

static void open_two_templates(template_file *t, const char *text, const char *with_tools) {
    open_file(t, text, strlen(text), with_tools);
}

static void close_template(template_file *t) {
    slm_gguf_close(t->g);
    assert_int_equal(t->host.bytes, 0);
}

static char *read_whole(const char *path, size_t *len) {
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    char *text = malloc(1 << 20);
    assert_non_null(text);
    *len = fread(text, 1, 1 << 20, f);
    fclose(f);
    return text;
}

/* ---- the renderings ---- */

typedef struct chat_case {
    vocab_file *f;
    template_file t;
    slm_chat_format format;
    size_t n_same;
} chat_case;

enum { MAX_MESSAGES = 64 };

/* Reads a plain conversation; 0 when it has tools, variables or contents that are no strings. */
static size_t read_messages(json_t *line, slm_message *messages) {
    json_t *list = json_object_get(line, "messages"), *item;
    size_t i;
    if (!json_is_null(json_object_get(line, "tools")) ||
        json_object_size(json_object_get(line, "extra")) > 0)
        return 0;
    assert_true(json_array_size(list) <= MAX_MESSAGES);
    json_array_foreach(list, i, item) {
        json_t *content = json_object_get(item, "content");
        if (!json_is_string(content) || json_object_get(item, "tool_calls") ||
            json_object_get(item, "tools") || json_object_get(item, "reasoning_content"))
            return 0;
        messages[i] = (slm_message){sizeof *messages, json_string_value(json_object_get(item, "role")),
                                    SLM_NTS, json_string_value(content),
                                    json_string_length(content)};
    }
    return json_array_size(list);
}

static slm_chat_input plain_input(const slm_message *m, size_t n, uint32_t flags) {
    return (slm_chat_input){.struct_size = sizeof(slm_chat_input), .flags = flags, .messages = m,
                            .n_messages = n};
}

static slm_status open_prompt(chat_case *c, const slm_chat_input *in, slm_chat_prompt *p,
                              slm_error *error) {
    *error = (slm_error)SLM_ERROR_INIT;
    return slm_chat_prompt_open(p, &c->f->host, c->format, c->t.g, c->f->v, in, error);
}

static char *render(chat_case *c, const slm_message *m, size_t n, uint32_t flags, size_t *len) {
    slm_error error;
    slm_chat_prompt p;
    slm_chat_input in = plain_input(m, n, flags);
    if (open_prompt(c, &in, &p, &error) != SLM_OK ||
        slm_chat_text(&p, NULL, 0, len, &error) != SLM_OK)
        fail_msg("%s", error.message);
    char *text = calloc(*len + 1, 1);
    assert_non_null(text);
    size_t again;
    assert_int_equal(slm_chat_text(&p, text, *len, &again, &error), SLM_OK);
    assert_int_equal(again, *len);
    slm_chat_prompt_close(&p);
    return text;
}

static int32_t *input_ids(chat_case *c, const slm_chat_input *in, size_t *n_ids) {
    slm_error error;
    slm_chat_prompt p;
    if (open_prompt(c, in, &p, &error) != SLM_OK ||
        slm_chat_ids(&p, c->f->v, NULL, 0, n_ids, &error) != SLM_OK)
        fail_msg("%s", error.message);
    int32_t *ids = malloc((*n_ids + 1) * sizeof *ids);
    assert_non_null(ids);
    size_t again;
    assert_int_equal(slm_chat_ids(&p, c->f->v, ids, *n_ids, &again, &error), SLM_OK);
    assert_int_equal(again, *n_ids);
    slm_chat_prompt_close(&p);
    return ids;
}

static int32_t *render_ids(chat_case *c, const slm_message *m, size_t n, uint32_t flags,
                           size_t *n_ids) {
    slm_chat_input in = plain_input(m, n, flags);
    return input_ids(c, &in, n_ids);
}

static size_t count_controls(const slm_vocab *v, const int32_t *ids, size_t n) {
    size_t count = 0;
    for (size_t i = 0; i < n; i++)
        count += (slm_vocab_flags(v, ids[i]) & SLM_TOKEN_CONTROL) != 0;
    return count;
}

/* The ids are those of the whole text, with one BOS in front where there is one. Not so where the
 * contents spell control tokens, and where BitNet cuts between header and content. */
static void check_ids(chat_case *c, const char *name, const char *text, size_t len,
                      const int32_t *ids, size_t n_ids) {
    if (c->format == SLM_CHAT_BITNET || strncmp(name, "control_", 8) == 0)
        return;
    slm_str bos = slm_vocab_text(c->f->v, slm_vocab_bos(c->f->v));
    int spelt = len >= bos.len && memcmp(text, bos.ptr, bos.len) == 0;
    slm_span span = {text, len, 1};
    size_t n;
    int32_t *want = tokenize(c->f->v, &span, 1, spelt ? SLM_BOS_NONE : SLM_BOS_DEFAULT, &n);
    if (n_ids != n || memcmp(ids, want, n * sizeof *ids) != 0)
        fail_msg("%s: %zu ids, the whole text has %zu: %s", name, n_ids, n, text);
    free(want);
}

static void check_line(void *user, const char *file, size_t line, json_t *object) {
    chat_case *c = user;
    slm_message m[MAX_MESSAGES];
    size_t n = read_messages(object, m), len, n_ids, n_harmless;
    if (n == 0)
        return;
    const char *name = json_string_value(json_object_get(object, "name"));
    uint32_t flags = json_is_true(json_object_get(object, "add_generation_prompt"))
                         ? SLM_CHAT_GENERATION_PROMPT
                         : 0;
    json_t *want = json_object_get(object, "rendered");
    if (!want) /* the template refuses it */
        return;
    char *text = render(c, m, n, flags, &len);
    if (len != json_string_length(want) || memcmp(text, json_string_value(want), len) != 0)
        fail_msg("%s:%zu %s\n got  \"%.*s\"\n want \"%s\"", file, line, name, (int)len, text,
                 json_string_value(want));
    c->n_same++;

    int32_t *ids = render_ids(c, m, n, flags, &n_ids);
    check_ids(c, name, text, len, ids, n_ids);
    free(text);
    /* Whatever the messages hold, the control tokens are those of the template. */
    for (size_t i = 0; i < n; i++)
        if (m[i].content_len > 0) {
            m[i].content = "x";
            m[i].content_len = 1;
        }
    int32_t *harmless = render_ids(c, m, n, flags, &n_harmless);
    assert_int_equal(count_controls(c->f->v, ids, n_ids),
                     count_controls(c->f->v, harmless, n_harmless));
    free(ids);
    free(harmless);
}

static void open_case(chat_case *c, const char *vocab, const char *architecture, const char *name) {
    size_t len;
    open_vocab_file(c->f, vocab);
    char *text = read_whole(shared_path("chat/templates/%s.jinja", name), &len);
    open_template(&c->t, text, len);
    free(text);
    c->format = slm_chat_detect(c->t.g, (slm_str){architecture, strlen(architecture)}, c->f->v);
}

static void close_case(chat_case *c) {
    close_template(&c->t);
    close_vocab_file(c->f);
}

static void golden(void **state) {
    (void)state;
    need_shared();
    static const struct {
        const char *vocab, *architecture, *name;
        slm_chat_format format;
        size_t n_lines;
    } cases[] = {
        {"llama3", "llama", "llama-3-instruct", SLM_CHAT_LLAMA3, 36},
        {"llama3", "llama", "llama-3.1-instruct", SLM_CHAT_LLAMA3, 36},
        {"llama3", "llama", "llama-3.2-instruct", SLM_CHAT_LLAMA3, 36},
        {"phi3", "phi3", "phi-3-mini-4k", SLM_CHAT_PHI3, 36},
        {"phi3", "phi3", "phi-3-mini-128k-first", SLM_CHAT_PHI3, 36},
        {"phi3", "phi3", "phi-3-mini-gguf-vocab", SLM_CHAT_PHI3, 36},
        {"phi3", "phi3", "phi-3.5-mini", SLM_CHAT_PHI3, 36},
        {"phi4-mini", "phi3", "phi-4-mini-instruct", SLM_CHAT_PHI4_MINI, 36},
        {"phi4-mini", "phi3", "phi-4-mini-flash-reasoning", SLM_CHAT_PHI4_MINI, 36},
        {"phi4-mini", "phi3", "phi-4-mini-reasoning", SLM_CHAT_PHI4_MINI, 36},
        {"qwen2", "qwen2", "qwen2.5-base", SLM_CHAT_CHATML, 36},
        {"qwen2", "qwen2", "qwen2.5-instruct", SLM_CHAT_CHATML, 36},
        {"qwen2", "qwen3", "qwen3", SLM_CHAT_CHATML, 41},
        {"qwen2", "qwen3", "qwen3-first", SLM_CHAT_CHATML, 41},
        {"qwen2", "qwen3", "qwen3-gguf-unsloth", SLM_CHAT_CHATML, 41},
        {"qwen2", "qwen2", "chatml", SLM_CHAT_CHATML, 36},
        {"qwen2", "qwen2", "chatml-vllm", SLM_CHAT_CHATML, 36},
        {"llama3", "bitnet-b1.58", "bitnet-b1.58-2b-4t", SLM_CHAT_BITNET, 36},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        vocab_file f;
        chat_case c = {.f = &f};
        open_case(&c, cases[i].vocab, cases[i].architecture, cases[i].name);
        assert_int_equal(c.format, cases[i].format);
        each_json_line(shared_path("chat/rendered/%s.jsonl", cases[i].name), check_line, &c);
        assert_int_equal(c.n_same, cases[i].n_lines);
        close_case(&c);
    }
}

/* What looks like none of the formats with a name renders all the same. */
static void unknown(void **state) {
    (void)state;
    need_shared();
    static const struct {
        const char *vocab, *name;
    } cases[] = {
        {"llama3", "llama-2-chat"},   {"phi3", "zephyr-tinyllama"}, {"phi4-mini", "phi-4-mini-vllm"},
        {"qwen2", "x-smollm3"},       {"qwen2", "x-gemma-2"},       {"qwen2", "x-gemma-3"},
        {"qwen2", "x-granite-4"},     {"qwen2", "x-ministral-3-reasoning"},
        {"llama-spm", "phi-3-mini-4k"},   /* known, but its tokens are missing */
        {"llama-spm", "qwen2.5-instruct"}, {"llama-spm", "llama-3.2-instruct"},
    };
    slm_message m = {sizeof m, "user", SLM_NTS, "Hi there", SLM_NTS};
    slm_chat_input in = plain_input(&m, 1, SLM_CHAT_GENERATION_PROMPT);
    for (size_t i = 0; i < COUNT(cases); i++) {
        vocab_file f;
        chat_case c = {.f = &f};
        slm_chat_prompt p;
        slm_error error;
        char text[4096];
        size_t len;
        open_case(&c, cases[i].vocab, "llama", cases[i].name);
        assert_int_equal(c.format, SLM_CHAT_UNKNOWN);
        assert_string_equal(slm_chat_format_name(c.format), "");
        in.now = 1721997296;
        assert_int_equal(open_prompt(&c, &in, &p, &error), SLM_OK);
        assert_int_equal(slm_chat_text(&p, text, sizeof text - 1, &len, &error), SLM_OK);
        text[len] = 0;
        assert_non_null(strstr(text, "Hi there"));
        slm_chat_prompt_close(&p);
        if (strcmp(cases[i].name, "x-smollm3") == 0) { /* it does not go on without a date */
            in.now = 0;
            assert_int_equal(open_prompt(&c, &in, &p, &error), SLM_ERR_TEMPLATE);
            assert_non_null(strstr(error.message, "wants the date"));
            slm_chat_prompt_close(&p);
        }
        close_case(&c);
    }
}

static void no_template(void **state) {
    (void)state;
    need_shared();
    vocab_file f;
    open_vocab_file(&f, "llama-spm");
    assert_int_equal(slm_chat_detect(f.g, f.architecture, f.v), SLM_CHAT_NONE);
    slm_message m = {sizeof m, "user", SLM_NTS, "Hi", SLM_NTS};
    slm_chat_input in = plain_input(&m, 1, 0);
    slm_error error = SLM_ERROR_INIT;
    slm_chat_prompt p;
    assert_int_equal(slm_chat_prompt_open(&p, &f.host, SLM_CHAT_NONE, f.g, f.v, &in, &error),
                     SLM_ERR_MISSING);
    assert_non_null(strstr(error.message, "no chat template"));
    slm_chat_prompt_close(&p);
    close_vocab_file(&f);
}

/* A file may have a template of its own for conversations with tools. */
static void tool_template(void **state) {
    (void)state;
    need_shared();
    vocab_file f;
    chat_case c = {.f = &f};
    open_vocab_file(&f, "qwen2");
    open_two_templates(&c.t, "plain", "with {{ tools | length }}");
    c.format = SLM_CHAT_UNKNOWN;
    slm_message m = {sizeof m, "user", SLM_NTS, "Hi", SLM_NTS};
    slm_chat_input in = plain_input(&m, 1, 0);
    for (int tools = 0; tools < 2; tools++) {
        const char *want = tools ? "with 1" : "plain";
        slm_chat_prompt p;
        slm_error error;
        in.tools = tools ? "[{\"name\": \"f\"}]" : NULL;
        in.tools_len = SLM_NTS;
        assert_int_equal(open_prompt(&c, &in, &p, &error), SLM_OK);
        assert_int_equal(p.j.text.len, strlen(want));
        assert_memory_equal(p.j.text.ptr, want, strlen(want));
        slm_chat_prompt_close(&p);
    }
    close_case(&c);
}

/* The ids of whole conversations as the models' own tokenizers give them. */
static void known_ids(void **state) {
    (void)state;
    need_shared();
    static const slm_message system = {sizeof system, "system", SLM_NTS,
                                       "You are a helpful assistant.", SLM_NTS};
    static const slm_message german = {sizeof german, "user", SLM_NTS, "Hallo, wie geht's?", SLM_NTS};
    static const slm_message weather = {sizeof weather, "user", SLM_NTS,
                                        "What's the weather in Z\xC3\xBCrich?", SLM_NTS};
    static const slm_message hello = {sizeof hello, "user", SLM_NTS, "Hello", SLM_NTS};
    static const slm_message hi = {sizeof hi, "user", SLM_NTS, "Hi", SLM_NTS};
    const slm_message phi4[] = {system, weather};
    static const int32_t qwen_ids[] = {
        151644, 8948,  198, 2610,   525, 1207,   16948, 11,  3465, 553,    54364, 14817,
        13,     1446,  525, 264,    10950, 17847, 13, 151645, 198, 151644, 872,   198,
        78078,  11,    13368, 39264, 594, 30,    151645, 198, 151644, 77091, 198};
    static const int32_t phi4_ids[] = {200022, 3575,   553,   261,  10297, 29186,
                                       13,     200020, 200021, 45350, 290,  11122,
                                       306,    127483, 30,    200020, 200019};
    static const int32_t phi3_ids[] = {1, 32010, 15043, 32007, 32001};
    static const int32_t bitnet_ids[] = {128000, 1502, 25, 220, 13347, 128009, 72803, 25, 220};
    const struct {
        const char *vocab, *architecture, *template;
        const slm_message *m;
        size_t n;
        const int32_t *ids;
        size_t n_ids;
    } cases[] = {
        {"qwen2", "qwen2", "qwen2.5-instruct", &german, 1, qwen_ids, COUNT(qwen_ids)},
        {"phi4-mini", "phi3", "phi-4-mini-instruct", phi4, 2, phi4_ids, COUNT(phi4_ids)},
        {"phi3", "phi3", "phi-3-mini-4k", &hello, 1, phi3_ids, COUNT(phi3_ids)},
        {"phi3", "phi3", "phi-3-mini-gguf-vocab", &hello, 1, phi3_ids, COUNT(phi3_ids)},
        {"llama3", "bitnet-b1.58", "bitnet-b1.58-2b-4t", &hi, 1, bitnet_ids, COUNT(bitnet_ids)},
        {"llama3", "bitnet-25", "bitnet-gguf-converter", &hi, 1, bitnet_ids, COUNT(bitnet_ids)},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        vocab_file f;
        chat_case c = {.f = &f};
        size_t n;
        open_case(&c, cases[i].vocab, cases[i].architecture, cases[i].template);
        int32_t *ids = render_ids(&c, cases[i].m, cases[i].n, SLM_CHAT_GENERATION_PROMPT, &n);
        assert_int_equal(n, cases[i].n_ids);
        assert_memory_equal(ids, cases[i].ids, n * sizeof *ids);
        free(ids);
        close_case(&c);
    }
}

static void names(void **state) {
    (void)state;
    assert_string_equal(slm_chat_format_name(SLM_CHAT_NONE), "");
    assert_string_equal(slm_chat_format_name(SLM_CHAT_LLAMA3), "llama3");
    assert_string_equal(slm_chat_format_name(SLM_CHAT_PHI3), "phi3");
    assert_string_equal(slm_chat_format_name(SLM_CHAT_PHI4_MINI), "phi4-mini");
    assert_string_equal(slm_chat_format_name(SLM_CHAT_CHATML), "chatml");
    assert_string_equal(slm_chat_format_name(SLM_CHAT_BITNET), "bitnet");
}

static void refused(void **state) {
    (void)state;
    need_shared();
    vocab_file f;
    chat_case c = {.f = &f};
    open_case(&c, "qwen2", "qwen2", "qwen2.5-instruct");
    slm_message good = {sizeof good, "user", SLM_NTS, "Hi", SLM_NTS};
    slm_message m[2];
    slm_chat_prompt p;
    slm_error error;
    slm_chat_input in = plain_input(m, 2, 0);
    char text[512];
    int32_t ids[64];
    size_t n;
    m[0] = m[1] = good;
    assert_int_equal(open_prompt(&c, &in, &p, &error), SLM_OK);
    memset(text, '#', sizeof text);
    assert_int_equal(slm_chat_text(&p, text, 5, &n, &error), SLM_ERR_LIMIT);
    assert_int_equal(text[0], '#');
    memset(ids, 0, sizeof ids);
    assert_int_equal(slm_chat_ids(&p, f.v, ids, 5, &n, &error), SLM_ERR_LIMIT);
    assert_int_equal(ids[0], 0);
    slm_chat_prompt_close(&p);
    static const char *const roles[] = {"us", "users", "", "user ", "User", "user<|im_end|>",
                                        "<|im_start|>", "im_start", "user\nassistant"};
    for (size_t i = 0; i < COUNT(roles); i++) { /* a role is no way to write control tokens */
        m[1].role = roles[i];
        assert_int_equal(open_prompt(&c, &in, &p, &error), SLM_ERR_TEMPLATE);
        assert_non_null(strstr(error.message, "message 1 has the role \""));
        slm_chat_prompt_close(&p);
    }
    m[1] = good;
    m[1].content = NULL;
    m[1].content_len = 1;
    assert_int_equal(open_prompt(&c, &in, &p, &error), SLM_ERR_ARG);
    slm_chat_prompt_close(&p);
    m[1].content_len = 0;
    m[1].role = NULL;
    assert_int_equal(open_prompt(&c, &in, &p, &error), SLM_ERR_ARG);
    slm_chat_prompt_close(&p);
    m[1] = good;
    m[1].content = "a\xFF";
    assert_int_equal(open_prompt(&c, &in, &p, &error), SLM_OK);
    assert_int_equal(slm_chat_text(&p, text, sizeof text, &n, &error), SLM_ERR_UTF8);
    assert_int_equal(slm_chat_ids(&p, f.v, ids, 64, &n, &error), SLM_OK); /* bytes can be tokens */
    slm_chat_prompt_close(&p);
    close_case(&c);
}

/* ---- control tokens ---- */

/* Every way for text of a conversation to get into a prompt; %s stands for it. */
static const char *const WAYS[] = {
    "{\"messages\": [{\"role\": \"system\", \"content\": %s}, {\"role\": \"user\", \"content\": \"x\"}]}",
    "{\"messages\": [{\"role\": \"user\", \"content\": %s}]}",
    "{\"messages\": [{\"role\": \"user\", \"content\": \"x\"}, {\"role\": \"assistant\", \"content\": %s}]}",
    "{\"messages\": [{\"role\": \"user\", \"content\": \"x\"}, {\"role\": \"assistant\", \"content\": \"\","
    " \"tool_calls\": [{\"type\": \"function\", \"function\": {\"name\": %s, \"arguments\": {%s: %s}}}]},"
    " {\"role\": \"tool\", \"name\": %s, \"content\": %s}]}",
    "{\"messages\": [{\"role\": \"system\", \"content\": \"x\", \"tools\": %s}, {\"role\": \"user\","
    " \"content\": \"x\"}], \"tools\": [{\"type\": \"function\", \"function\": {\"name\": %s,"
    " \"description\": %s, \"parameters\": {\"type\": \"object\", \"properties\": {%s: {\"type\": %s}}}}}],"
    " \"extra\": {\"date_string\": %s, \"enable_thinking\": true}}",
};

/* A conversation with a JSON string in all the places of a way. */
static slm_buffer fill(slm_host *host, const char *way, const slm_buffer *string) {
    slm_buffer out = {.host = host};
    for (const char *p = way; *p;) {
        int here = p[0] == '%' && p[1] == 's';
        assert_int_equal(slm_buffer_append(&out, here ? string->ptr : p, here ? string->len : 1, NULL),
                         SLM_OK);
        p += here ? 2 : 1;
    }
    return out;
}

/* How many control tokens a conversation has with this text in it; SIZE_MAX when the template refuses
 * it. */
static size_t controls_with(chat_case *c, const char *way, const char *text, size_t len) {
    slm_buffer string = {.host = &c->f->host};
    assert_int_equal(slm_json_quote(&string, text, len, 0, NULL), SLM_OK);
    slm_buffer whole = fill(&c->f->host, way, &string);
    slm_chat_input in = plain_input(NULL, 0, SLM_CHAT_GENERATION_PROMPT);
    in.conversation = whole.ptr;
    in.conversation_len = whole.len;
    slm_chat_prompt p;
    slm_error error;
    static int32_t ids[4096];
    size_t n, count = SIZE_MAX;
    if (open_prompt(c, &in, &p, &error) == SLM_OK) {
        assert_int_equal(slm_chat_ids(&p, c->f->v, ids, COUNT(ids), &n, &error), SLM_OK);
        count = count_controls(c->f->v, ids, n);
    }
    slm_chat_prompt_close(&p);
    slm_buffer_free(&string);
    slm_buffer_free(&whole);
    return count;
}

/* Every control token of a vocabulary, in every place: those in the prompt are the template's. The
 * many that are spelt alike but for a number are tried now and then. */
static void no_control(void **state) {
    (void)state;
    need_shared();
    static const struct {
        const char *vocab, *architecture, *name;
    } cases[] = {
        {"llama3", "llama", "llama-3.1-instruct"},    {"llama3", "llama", "llama-3.2-instruct"},
        {"llama3", "bitnet-b1.58", "bitnet-b1.58-2b-4t"}, {"phi3", "phi3", "phi-3.5-mini"},
        {"phi4-mini", "phi3", "phi-4-mini-instruct"}, {"qwen2", "qwen2", "qwen2.5-instruct"},
        {"qwen2", "qwen3", "qwen3"},                  {"llama-spm", "llama", "llama-2-chat"},
        {"llama-spm", "llama", "zephyr-tinyllama"},   {"qwen2", "qwen2", "x-hermes-2-pro-tools"},
    };
    size_t n_tried = 0;
    for (size_t i = 0; i < COUNT(cases); i++) {
        vocab_file f;
        chat_case c = {.f = &f};
        open_case(&c, cases[i].vocab, cases[i].architecture, cases[i].name);
        for (size_t w = 0; w < COUNT(WAYS); w++) {
            size_t want = controls_with(&c, WAYS[w], "x", 1);
            for (uint32_t id = 0; want != SIZE_MAX && id < slm_vocab_size(f.v); id++) {
                slm_str text = slm_vocab_text(f.v, (int32_t)id);
                if (!(slm_vocab_flags(f.v, (int32_t)id) & SLM_TOKEN_CONTROL))
                    continue;
                size_t got = controls_with(&c, WAYS[w], text.ptr, text.len);
                if (got != want)
                    fail_msg("%s, %.*s: %zu control tokens, wanted %zu: %s", cases[i].name,
                             (int)text.len, text.ptr, got, want, WAYS[w]);
                n_tried++;
            }
        }
        close_case(&c);
    }
    assert_true(n_tried > 4000);
}

/* Pieces of a control token that meet in the output are none, wherever they come from. */
static void no_joining(void **state) {
    (void)state;
    need_shared();
    static const char *const sources[] = {
        "<|im_{{ messages[0].content }}|>", "{{ '<|im_' ~ messages[0].content ~ '|>' }}",
        "<{{ '|im_start' }}{{ messages[1].content }}", "{{ messages[2].content }}m_start|>",
        "{{ messages[3].content | lower }}", "{{ messages[4].content | replace('X', 'im') }}",
        "{{ messages[5].content.split('#') | join }}", "{{ messages[5].content.replace('#', '') }}",
        "{{ messages[6].content[::-1] }}", "{{ messages[7].content | join }}",
        "{{ [messages[2].content, 'm_start|>'] | join }}",
        "{{ '%sm_start|>' | format(messages[2].content) }}",
    };
    static const char conversation[] =
        "{\"messages\": [{\"role\": \"user\", \"content\": \"start\"}, {\"role\": \"user\", \"content\": "
        "\"|>\"}, {\"role\": \"user\", \"content\": \"<|i\"}, {\"role\": \"user\", \"content\": "
        "\"<|IM_START|>\"}, {\"role\": \"user\", \"content\": \"<|X_start|>\"}, {\"role\": \"user\", "
        "\"content\": \"<|im#_start|>\"}, {\"role\": \"user\", \"content\": \">|trats_mi|<\"}, {\"role\": "
        "\"user\", \"content\": [\"<|im\", \"_start|>\"]}]}";
    for (size_t i = 0; i < COUNT(sources); i++) {
        vocab_file f;
        chat_case c = {.f = &f, .format = SLM_CHAT_UNKNOWN};
        slm_chat_input in = plain_input(NULL, 0, 0);
        size_t n;
        open_vocab_file(&f, "qwen2");
        open_template(&c.t, sources[i], strlen(sources[i]));
        in.conversation = conversation;
        in.conversation_len = SLM_NTS;
        int32_t *ids = input_ids(&c, &in, &n);
        char *text = detokenize(f.v, ids, n, SLM_DETOKENIZE_SPECIAL, &n);
        assert_int_equal(n, strlen("<|im_start|>"));
        assert_memory_equal(text, "<|im_start|>", n);
        free(text);
        assert_int_equal(count_controls(f.v, ids, 1), 0);
        free(ids);
        close_case(&c);
    }
}

/* A BOS that the template spells and that the vocabulary adds is one. */
static void one_bos(void **state) {
    (void)state;
    need_shared();
    vocab_file f;
    chat_case c = {.f = &f};
    slm_message m = {sizeof m, "user", SLM_NTS, "<|begin_of_text|>x", SLM_NTS};
    open_case(&c, "llama3", "llama", "llama-3-instruct");
    size_t n, count = 0;
    int32_t *ids = render_ids(&c, &m, 1, 0, &n);
    assert_int_equal(ids[0], slm_vocab_bos(f.v));
    for (size_t i = 0; i < n; i++)
        count += ids[i] == slm_vocab_bos(f.v);
    assert_int_equal(count, 1);
    free(ids);
    close_case(&c);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden),    cmocka_unit_test(unknown), cmocka_unit_test(no_template),
        cmocka_unit_test(known_ids), cmocka_unit_test(names),   cmocka_unit_test(refused),
        cmocka_unit_test(one_bos),   cmocka_unit_test(tool_template), cmocka_unit_test(no_control),
        cmocka_unit_test(no_joining),
    };
    return cmocka_run_group_tests_name("chat", tests, NULL, NULL);
}
