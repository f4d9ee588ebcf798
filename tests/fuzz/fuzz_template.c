/* Templates on any bytes. The input is a template, a NUL, and a conversation as JSON; without a NUL a
 * conversation of its own is used.
 *   - every byte of the output has a mark, and rendering again gives the same bytes
 *   - a character that only the conversation holds is marked as data wherever it comes out
 *   - whatever happens, all memory is given back */
#include "text/chat.h"

#include <stdlib.h>
#include <string.h>

#define CHECK(x)     \
    do {             \
        if (!(x))    \
            abort(); \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SIGN "\xef\xa3\xbf" /* U+F8FF, private use: no case, no decomposition */

static const char CONVERSATION[] =
    "{\"messages\": [{\"role\": \"system\", \"content\": \"" SIGN "s\"}, {\"role\": \"user\", \"content\": "
    "\" a" SIGN "b\\n\"}, {\"role\": \"assistant\", \"content\": \"<think>" SIGN "</think>x\", "
    "\"tool_calls\": [{\"id\": \"" SIGN "\", \"function\": {\"name\": \"f" SIGN "\", \"arguments\": {\"k"
    SIGN "\": [1, 2.5, null, true, \"" SIGN "\\\"\"]}}}]}, {\"role\": \"tool\", \"content\": {\"a\": [{}, "
    "\"" SIGN "\"]}}], \"tools\": [{\"name\": \"" SIGN "\", \"description\": \"d\"}], "
    "\"add_generation_prompt\": true, \"extra\": {\"x\": 3, \"s\": \"" SIGN SIGN "\", \"l\": [3, 1, 2]}}";

static slm_status render(slm_host *host, slm_str source, slm_str conversation, slm_chat_prompt *p,
                         slm_error *error) {
    static const slm_chat_names names = {{"<s>", 3}, {"</s>", 4}, {NULL, 0}};
    slm_chat_input in = {.struct_size = sizeof in, .conversation = conversation.ptr,
                         .conversation_len = conversation.len, .now = 1721997296};
    slm_host_init(host, NULL, NULL, NULL, SLM_LOG_NONE);
    *p = (slm_chat_prompt){.spells_bos = 0};
    *error = (slm_error)SLM_ERROR_INIT;
    return slm_chat_render_template(p, host, source, NULL, &names, &in, error);
}

/* Whether a template could spell the sign itself. */
static int may_spell(slm_str source) {
    for (size_t i = 0; i < source.len; i++)
        if (source.ptr[i] == '\\' || (source.len - i >= 3 && memcmp(source.ptr + i, SIGN, 3) == 0))
            return 1;
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const char *text = (const char *)data, *nul = size > 0 ? memchr(text, 0, size) : NULL;
    slm_str source = {text, nul ? (size_t)(nul - text) : size};
    slm_str conversation = {CONVERSATION, sizeof CONVERSATION - 1};
    if (nul)
        conversation = (slm_str){nul + 1, size - source.len - 1};
    slm_host hosts[2];
    slm_chat_prompt p[2];
    slm_error error[2];
    slm_status first = render(&hosts[0], source, conversation, &p[0], &error[0]);
    slm_status second = render(&hosts[1], source, conversation, &p[1], &error[1]);
    const slm_buffer *out = &p[0].j.text;
    CHECK(first == second && out->len == p[1].j.text.len && out->len * sizeof(slm_jmark) == p[0].j.marks.len);
    CHECK(out->len == 0 || memcmp(out->ptr, p[1].j.text.ptr, out->len) == 0);
    CHECK((first == SLM_OK) == (error[0].status == SLM_OK));
    if (first == SLM_OK && !nul && !may_spell(source))
        for (size_t i = 0; i + 3 <= out->len; i++)
            if (memcmp(out->ptr + i, SIGN, 3) == 0)
                for (size_t k = i; k < i + 3; k++)
                    CHECK(slm_j_marks(&p[0].j.marks)[k] != SLM_MARK_TEMPLATE);
    for (int i = 0; i < 2; i++) {
        slm_chat_prompt_close(&p[i]);
        CHECK(atomic_load(&hosts[i].bytes) == 0);
    }
    return 0;
}
