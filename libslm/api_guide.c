/* The public entry points of guides and matchers. */
#include "api.h"

#include "guide/guide.h"
#include "model/model.h"
#include "text/chat.h"
#include "text/markers.h"

#include <string.h>

static void release_model(void *model) {
    slm_model_release(model);
}

static slm_status create(slm_model *model, const slm_guide_source *source,
                         const slm_tool_rules *tools, const slm_guide_options *options,
                         slm_guide **out, slm_error *error) {
    static const slm_guide_options defaults = {.struct_size = sizeof defaults};
    slm_guide_options o;
    slm_trie *trie = NULL;
    SLM_TRY(slm_copy_options(&o, sizeof o, &defaults, options, "slm_guide_options", error));
    if (o.allocator != NULL && (o.allocator->alloc == NULL) != (o.allocator->free == NULL))
        return slm_fail(error, SLM_ERR_ARG, "allocator", SLM_NO_OFFSET,
                        "slm_guide_options.allocator: got one of alloc and free, wanted both");
    if (model != NULL)
        SLM_TRY(slm_model_get_trie(model, &trie, error));
    SLM_TRY(slm_guide_create(model != NULL ? &model->host : NULL, source, tools, &o, trie,
                             model != NULL ? release_model : NULL, model, out, error));
    if (model != NULL)
        slm_model_retain(model);
    return SLM_OK;
}

slm_status slm_guide_compile_gbnf(slm_model *model, const char *text, size_t len,
                                  const slm_guide_options *options, slm_guide **out,
                                  slm_error *error) {
    REQUIRE(out);
    *out = NULL;
    REQUIRE(text);
    slm_guide_source source = {text, len == SLM_NTS ? strlen(text) : len, 0};
    return create(model, &source, NULL, options, out, error);
}

slm_status slm_guide_compile_json_schema(slm_model *model, const char *text, size_t len,
                                         const slm_guide_options *options, slm_guide **out,
                                         slm_error *error) {
    REQUIRE(out);
    *out = NULL;
    REQUIRE(text);
    slm_guide_source source = {text, len == SLM_NTS ? strlen(text) : len, 1};
    return create(model, &source, NULL, options, out, error);
}

/* Whether the model was taught to think before it answers. */
static int model_thinks(const slm_model *model) {
    static const slm_str open = {SLM_THINKING_OPEN, sizeof SLM_THINKING_OPEN - 1};
    slm_str text = slm_chat_template(model->gguf, "tokenizer.chat_template");
    return slm_vocab_find(model->vocab, open.ptr, open.len) >= 0 ||
           (text.ptr != NULL && slm_str_find(text, open, 0) != SIZE_MAX);
}

static slm_status read_tools_options(const slm_model *model, const slm_tools_options *options,
                                     slm_tool_rules *rules, slm_error *error) {
    static const slm_tools_options defaults = {.struct_size = sizeof defaults};
    slm_tools_options o;
    SLM_TRY(slm_copy_options(&o, sizeof o, &defaults, options, "slm_tools_options", error));
    if (o.choice < SLM_TOOL_CHOICE_AUTO || o.choice > SLM_TOOL_CHOICE_NAMED)
        return slm_fail(error, SLM_ERR_RANGE, "choice", SLM_NO_OFFSET,
                        "slm_tools_options.choice: got %d, wanted %d to %d", o.choice,
                        SLM_TOOL_CHOICE_AUTO, SLM_TOOL_CHOICE_NAMED);
    if ((o.choice == SLM_TOOL_CHOICE_NAMED) != (o.name != NULL))
        return slm_fail(error, SLM_ERR_ARG, "name", SLM_NO_OFFSET,
                        "slm_tools_options.name: wanted a name with NAMED, and NULL without");
    if (o.format == SLM_TOOLS_AUTO && model == NULL)
        return slm_fail(error, SLM_ERR_ARG, "format", SLM_NO_OFFSET,
                        "slm_tools_options.format: got AUTO without a model");
    if (o.format == SLM_TOOLS_AUTO)
        SLM_TRY(slm_model_get_tool_format(model, &o.format, error));
    *rules = (slm_tool_rules){.format = slm_call_format_of(o.format),
                              .choice = o.choice,
                              .name = slm_str_given(o.name, o.name_len),
                              .schema = slm_str_given(o.schema, o.schema_len)};
    if (rules->format == NULL)
        return slm_fail(error, SLM_ERR_RANGE, "format", SLM_NO_OFFSET,
                        "slm_tools_options.format: got %d, wanted %d to %d", o.format,
                        SLM_TOOLS_AUTO, SLM_TOOLS_JSON);
    rules->thinks = model != NULL && model_thinks(model);
    return SLM_OK;
}

slm_status slm_guide_compile_tools(slm_model *model, const char *tools, size_t len,
                                   const slm_tools_options *options,
                                   const slm_guide_options *guide_options, slm_guide **out,
                                   slm_error *error) {
    slm_tool_rules rules;
    REQUIRE(out);
    *out = NULL;
    REQUIRE(tools);
    SLM_TRY(read_tools_options(model, options, &rules, error));
    slm_guide_source source = {tools, len == SLM_NTS ? strlen(tools) : len, 0};
    return create(model, &source, &rules, guide_options, out, error);
}

void slm_guide_close(slm_guide **guide) {
    if (guide == NULL)
        return;
    slm_guide_release(*guide);
    *guide = NULL;
}

slm_status slm_guide_match(slm_guide *guide, const char *text, size_t len, slm_match *match,
                           slm_error *error) {
    slm_matcher *m;
    int can_end = 0, must_end;
    REQUIRE(guide);
    REQUIRE(match);
    if (len > 0)
        REQUIRE(text);
    *match = SLM_MATCH_NONE;
    SLM_TRY(slm_matcher_create(guide, &m, error));
    slm_status status = slm_matcher_take_bytes(m, text, len == SLM_NTS ? strlen(text) : len, error);
    if (status == SLM_OK)
        status = slm_matcher_state(m, &can_end, &must_end, error);
    if (status == SLM_OK)
        *match = can_end ? SLM_MATCH_WHOLE : SLM_MATCH_PREFIX;
    slm_matcher_destroy(m);
    return status == SLM_ERR_RANGE ? SLM_OK : status;
}

slm_status slm_matcher_open(slm_guide *guide, slm_matcher **out, slm_error *error) {
    REQUIRE(out);
    *out = NULL;
    REQUIRE(guide);
    return slm_matcher_create(guide, out, error);
}

void slm_matcher_close(slm_matcher **matcher) {
    if (matcher == NULL)
        return;
    slm_matcher_destroy(*matcher);
    *matcher = NULL;
}

slm_status slm_matcher_reset(slm_matcher *matcher, slm_error *error) {
    REQUIRE(matcher);
    return slm_matcher_restart(matcher, error);
}

static slm_status require_model(const slm_matcher *m, const char *function, slm_error *error) {
    if (m->guide->trie != NULL)
        return SLM_OK;
    return slm_fail(error, SLM_ERR_ARG, "matcher", SLM_NO_OFFSET,
                    "%s: the guide was compiled without a model", function);
}

slm_status slm_matcher_accept(slm_matcher *matcher, int32_t token, slm_error *error) {
    REQUIRE(matcher);
    SLM_TRY(require_model(matcher, __func__, error));
    return slm_matcher_take(matcher, token, error);
}

slm_status slm_matcher_accept_bytes(slm_matcher *matcher, const char *bytes, size_t n,
                                    slm_error *error) {
    REQUIRE(matcher);
    if (n > 0)
        REQUIRE(bytes);
    return slm_matcher_take_bytes(matcher, bytes, n, error);
}

slm_status slm_matcher_get_mask(slm_matcher *matcher, const uint64_t **bits, size_t *n_words,
                                slm_error *error) {
    REQUIRE(matcher);
    REQUIRE(bits);
    REQUIRE(n_words);
    SLM_TRY(require_model(matcher, __func__, error));
    return slm_matcher_find(matcher, bits, n_words, error);
}

slm_status slm_matcher_get_forced(slm_matcher *matcher, const char **bytes, size_t *n,
                                  slm_error *error) {
    REQUIRE(matcher);
    REQUIRE(bytes);
    REQUIRE(n);
    return slm_matcher_find_forced(matcher, bytes, n, error);
}

slm_status slm_matcher_get_info(slm_matcher *matcher, slm_matcher_info *info, slm_error *error) {
    int can_end, must_end;
    REQUIRE(matcher);
    REQUIRE(info);
    SLM_TRY(slm_matcher_state(matcher, &can_end, &must_end, error));
    slm_matcher_info i = {.struct_size = sizeof i,
                          .can_end = (uint32_t)can_end,
                          .must_end = (uint32_t)must_end,
                          .sleeps = (uint32_t)slm_matcher_sleeps(matcher)};
    return slm_copy_info(info, &i, sizeof i, "slm_matcher_info", error);
}
