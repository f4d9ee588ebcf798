/* Conversations in files: a snapshot of the session with the transcript as its attachment. */
#include "chat/conversation.h"

#include "base/file.h"
#include "run/snapshot.h"

#include <stdio.h>
#include <string.h>

/* ---- saving ---- */

/* {"messages": [...], "n_dropped": 0, "tools": [...]} */
static slm_status write_transcript(const slm_chat *c, slm_buffer *out, slm_error *error) {
    char n_dropped[40];
    snprintf(n_dropped, sizeof n_dropped, "],\"n_dropped\":%zu", c->n_dropped);
    SLM_TRY(slm_buffer_append(out, "{\"messages\":[", 13, error));
    for (size_t i = 0; i < c->transcript.n; i++) {
        SLM_TRY(slm_buffer_append(out, ",", i > 0, error));
        SLM_TRY(slm_entry_write(&c->transcript.entries[i], out, error));
    }
    SLM_TRY(slm_buffer_append(out, n_dropped, strlen(n_dropped), error));
    if (c->tools.ptr != NULL) {
        SLM_TRY(slm_buffer_append(out, ",\"tools\":", 9, error));
        SLM_TRY(slm_buffer_append(out, c->tools.ptr, c->tools.len, error));
    }
    return slm_buffer_append(out, "}", 1, error);
}

slm_status slm_conversation_save(slm_chat *c, const char *path, slm_error *error) {
    slm_buffer text = {.host = c->host};
    if (!slm_conversation_settle(c)) /* what was taken back is not to be in a file */
        slm_session_cut(c->session, 0);
    slm_status status = write_transcript(c, &text, error);
    if (status == SLM_OK) {
        slm_snapshot_options o = {.struct_size = sizeof o, .attachment = text.ptr,
                                  .attachment_len = text.len};
        status = slm_snapshot_save(c->session, path, &o, error);
    }
    slm_buffer_free(&text);
    return status;
}

/* ---- loading ---- */

static slm_status not_a_transcript(const char *what, slm_error *error) {
    return slm_fail(error, SLM_ERR_FORMAT, "attachment", SLM_NO_OFFSET,
                    "the snapshot's attachment is not a conversation: %s", what);
}

static slm_status add_message(slm_chat *c, const slm_json *v, slm_error *error) {
    slm_buffer text = {.host = c->host};
    slm_json_writer w = {.out = &text};
    slm_status status = slm_json_put_value(&w, v, error);
    slm_message m = {sizeof m, NULL, 0, text.ptr, text.len};
    if (status == SLM_OK)
        status = slm_conversation_add(c, &m, 0, error);
    slm_buffer_free(&text);
    return status;
}

static slm_status take_tools(slm_chat *c, const slm_json *v, slm_error *error) {
    slm_buffer text = {.host = c->host};
    slm_json_writer w = {.out = &text};
    slm_status status = slm_json_put_value(&w, v, error);
    if (status == SLM_OK)
        status = slm_conversation_set_tools(c, (slm_str){text.ptr, text.len}, error);
    slm_buffer_free(&text);
    return status;
}

/* Messages up to the last of the assistant were answered. */
static size_t count_committed(const slm_transcript *t) {
    size_t n = t->n;
    while (n > 0 && t->entries[n - 1].speaker != SLM_SPEAKER_ASSISTANT)
        n--;
    return n;
}

static slm_status take_transcript(slm_chat *c, const slm_json *v, slm_error *error) {
    const slm_json *messages = slm_json_get(v, "messages"), *tools = slm_json_get(v, "tools");
    int64_t n_dropped = -1;
    if (messages == NULL || messages->type != SLM_JSON_ARRAY)
        return not_a_transcript("it has no array of messages", error);
    for (uint32_t i = 0; i < messages->n_items; i++)
        SLM_TRY(add_message(c, &messages->items[i], error));
    size_t n_history = c->transcript.n - slm_transcript_pinned(&c->transcript);
    const slm_json *dropped = slm_json_get(v, "n_dropped");
    if (dropped == NULL || !slm_json_int64(dropped, &n_dropped) || n_dropped < 0 ||
        (uint64_t)n_dropped > n_history)
        return not_a_transcript("its n_dropped is missing or more than it has messages", error);
    c->n_dropped = (size_t)n_dropped;
    c->n_committed = count_committed(&c->transcript);
    return tools != NULL && c->tools.ptr == NULL ? take_tools(c, tools, error) : SLM_OK;
}

static slm_status read_text(slm_host *host, const slm_file *file, slm_buffer *text,
                            slm_error *error) {
    slm_snapshot_reader *reader;
    uint32_t section;
    SLM_TRY(slm_snapshot_open(host, file, NULL, &reader, error));
    slm_status status = SLM_OK;
    if (slm_snapshot_find(reader, "attached", &section, NULL) != SLM_OK)
        status = slm_fail(error, SLM_ERR_MISSING, "attachment", SLM_NO_OFFSET,
                          "%s is a session without a conversation: it has no attachment",
                          file->name);
    if (status == SLM_OK && reader->sections[section].bytes > SIZE_MAX / 2)
        status = slm_fail_nomem(error, reader->sections[section].bytes, "a transcript");
    if (status == SLM_OK)
        status = slm_buffer_reserve(text, (size_t)reader->sections[section].bytes, error);
    if (status == SLM_OK) {
        text->len = (size_t)reader->sections[section].bytes;
        status = slm_snapshot_read(reader, section, text->ptr, error);
    }
    slm_snapshot_close(reader);
    return status;
}

static slm_status read_transcript(slm_chat *c, const slm_file *file, slm_error *error) {
    slm_buffer text = {.host = c->host};
    slm_arena arena = {.host = c->host};
    const slm_json *v;
    slm_status status = read_text(c->host, file, &text, error);
    if (status == SLM_OK)
        status = slm_json_parse(&arena, text.ptr, text.len, 0, "attachment", &v, error);
    if (status == SLM_OK)
        status = take_transcript(c, v, error);
    slm_arena_free(&arena);
    slm_buffer_free(&text);
    return status;
}

slm_status slm_conversation_load(slm_chat *c, const char *path, slm_error *error) {
    slm_session *s = c->session;
    slm_file *file;
    slm_snapshot_info info;
    slm_snapshot_load_options o = {.struct_size = sizeof o};
    SLM_TRY(slm_file_open(c->host, path, SLM_LOAD_AUTO, NULL, NULL, &file, error));
    /* the transcript first: a session that was loaded does not come back */
    slm_status status = read_transcript(c, file, error);
    if (status == SLM_OK)
        status = slm_snapshot_load(s, file, &o, &info, error);
    slm_file_close(c->host, file);
    return status;
}
