/* The commands of `slm chat`, such as /save FILE. */
#define _POSIX_C_SOURCE 200809L

#include "talk.h"

#include <stdlib.h>
#include <string.h>

static int no_memory(const slm_talk *t) {
    return slm_cli_fail("%s: got no memory for the conversation", t->path);
}

/* What --raw has for a template: what was said, a newline after each message. */
static const char RAW_TEMPLATE[] =
    "{% for message in messages %}{{ message.content }}{{ '\\n' }}{% endfor %}";

static void chat_options(const slm_talk *t, slm_chat_options *o) {
    *o = (slm_chat_options){.struct_size = sizeof *o,
                            .when_full = t->options->when_full,
                            .tools = t->tools,
                            .tools_len = t->tools_len,
                            .now = slm_cli_wall_clock()};
    if (t->options->raw) {
        o->chat_template = RAW_TEMPLATE;
        o->chat_template_len = SLM_NTS;
    }
}

static slm_status add_system(const slm_talk *t, slm_chat *chat, slm_error *error) {
    slm_message message = {sizeof message, "system", SLM_NTS, t->system, SLM_NTS};
    return t->system ? slm_chat_add(chat, &message, 0, error) : SLM_OK;
}

int slm_talk_begin(slm_talk *t) {
    slm_error error = SLM_ERROR_INIT;
    slm_chat_options options;
    slm_chat *chat = NULL;
    chat_options(t, &options);
    slm_status s = slm_chat_open(t->session, &options, &chat, &error);
    if (s == SLM_OK)
        s = add_system(t, chat, &error);
    if (s != SLM_OK) {
        slm_chat_close(&chat);
        if (s == SLM_ERR_MISSING || s == SLM_ERR_UNSUP)
            return slm_cli_fail("%s: %s; --raw does without one", t->path, error.message);
        return slm_cli_fail_error(t->path, &error);
    }
    slm_chat_close(&t->chat);
    t->chat = chat;
    return 0;
}

int slm_talk_load(slm_talk *t, const char *path) {
    slm_error error = SLM_ERROR_INIT;
    slm_chat_options options;
    slm_chat *chat = NULL;
    chat_options(t, &options);
    if (slm_chat_load(t->session, &options, path, &chat, &error) != SLM_OK)
        return slm_cli_fail_error(path, &error);
    slm_chat_close(&t->chat);
    t->chat = chat;
    return 0;
}

/* ---- the commands: each gets what follows its name, "" where nothing does ---- */

typedef int (*command_fn)(slm_talk *t, const char *rest);

static int reset(slm_talk *t, const char *rest) {
    (void)rest;
    int status = slm_talk_begin(t);
    if (status == 0)
        slm_cli_note("(the conversation begins anew)");
    return status;
}

/* Whether a message is one of the user's, by a member of its JSON, which the library writes without
 * blanks; what it holds, such as arguments of a call, may have such a member too. */
static int is_from_user(const char *json, size_t len) {
    static const char MEMBER[] = "\"role\":\"user\"";
    const size_t n = sizeof MEMBER - 1;
    int depth = 0, in_string = 0;
    for (size_t i = 0; i < len; i++) {
        char c = json[i];
        if (c == '"' && !in_string && depth == 1 && len - i > n && memcmp(json + i, MEMBER, n) == 0)
            return 1;
        if (c == '"')
            in_string = !in_string;
        else if (in_string)
            i += c == '\\';
        else
            depth += (c == '{' || c == '[') - (c == '}' || c == ']');
    }
    return 0;
}

static int undo(slm_talk *t, const char *rest) {
    slm_error error = SLM_ERROR_INIT;
    slm_chat_info info = {.struct_size = sizeof info};
    const char *json;
    size_t len;
    (void)rest;
    slm_chat_get_info(t->chat, &info, NULL);
    for (uint64_t i = info.n_messages; i > info.n_pinned; i--) {
        if (slm_chat_get_message(t->chat, (size_t)i - 1, &json, &len, &error) != SLM_OK)
            return slm_cli_fail_error(t->path, &error);
        if (!is_from_user(json, len))
            continue;
        if (slm_chat_cut(t->chat, (size_t)i - 1, &error) != SLM_OK)
            return slm_cli_fail_error(t->path, &error);
        slm_cli_note("(the last question and its answer are taken back)");
        return 0;
    }
    slm_cli_note("(there is nothing to take back)");
    return 0;
}

/* The rest of the conversation behind another system message. */
static int set_system(slm_talk *t, const char *rest) {
    slm_error error = SLM_ERROR_INIT;
    slm_chat_info info = {.struct_size = sizeof info};
    slm_chat *old = t->chat;
    char *text = *rest ? strdup(rest) : NULL, *before = t->system;
    if (*rest && !text)
        return no_memory(t);
    slm_chat_get_info(old, &info, NULL);
    t->chat = NULL;
    t->system = text;
    int status = slm_talk_begin(t);
    for (uint64_t i = info.n_pinned; status == 0 && i < info.n_messages; i++) {
        slm_message message = {.struct_size = sizeof message};
        slm_status s = slm_chat_get_message(old, (size_t)i, &message.content, &message.content_len,
                                            &error);
        if (s == SLM_OK)
            s = slm_chat_add(t->chat, &message, SLM_CHAT_UNFILTERED, &error);
        if (s != SLM_OK)
            status = slm_cli_fail_error(t->path, &error);
    }
    if (status != 0) {
        slm_chat_close(&t->chat);
        t->chat = old;
        t->system = before;
        free(text);
        return status;
    }
    slm_chat_close(&old);
    free(before);
    slm_cli_note(text ? "(the system message is set)" : "(there is no system message now)");
    return 0;
}

static int set_tools(slm_talk *t, const char *rest) {
    slm_error error = SLM_ERROR_INIT;
    char *text = NULL;
    size_t len = 0;
    if (*rest) {
        int status = slm_cli_read_all(rest, &text, &len);
        if (status)
            return status;
    }
    if (slm_chat_set_tools(t->chat, text, len, &error) != SLM_OK) {
        free(text);
        return slm_cli_fail_error(*rest ? rest : t->path, &error);
    }
    free(t->tools);
    t->tools = text;
    t->tools_len = len;
    slm_cli_note(text ? "(the tools are set)" : "(there are no tools now)");
    return 0;
}

static int save(slm_talk *t, const char *rest) {
    slm_error error = SLM_ERROR_INIT;
    if (slm_chat_save(t->chat, rest, &error) != SLM_OK)
        return slm_cli_fail_error(rest, &error);
    slm_cli_note("(saved)");
    return 0;
}

static int load(slm_talk *t, const char *rest) {
    int status = slm_talk_load(t, rest);
    if (status == 0)
        slm_cli_note("(the saved conversation goes on)");
    return status;
}

static int help(slm_talk *t, const char *rest);

static const struct command {
    const char *name;
    const char *argument; /* what follows; NULL: nothing; in brackets: may be left out */
    const char *help;
    command_fn run; /* NULL: leaves */
} commands[] = {
    {"/undo", NULL, "takes back the last question and its answer", undo},
    {"/reset", NULL, "forgets what was said, but for the system message", reset},
    {"/system", "[TEXT]", "sets the system message, or takes it away", set_system},
    {"/tools", "[FILE]", "sets the tools that the model may call (JSON), or takes them away",
     set_tools},
    {"/save", "FILE", "saves the conversation with all that the model has read of it", save},
    {"/load", "FILE", "goes on with a saved conversation", load},
    {"/help", NULL, "lists the commands", help},
    {"/exit", NULL, "or /quit or Ctrl-D ends", NULL},
    {"/quit", NULL, NULL, NULL},
};
enum { N_COMMANDS = sizeof commands / sizeof *commands };

static int help(slm_talk *t, const char *rest) {
    (void)t;
    (void)rest;
    for (size_t i = 0; i < N_COMMANDS; i++)
        if (commands[i].help)
            slm_cli_note("%-8s%-8s%s", commands[i].name,
                         commands[i].argument ? commands[i].argument : "", commands[i].help);
    slm_cli_note("Ctrl-C stops an answer; a \\ at the end of a line goes on in the next, and \"\"\"\n"
                 "opens and closes a message of several lines.");
    return 0;
}

int slm_talk_command(slm_talk *t, const slm_cli_text *line, int *leave, int *status) {
    const char *blank = memchr(line->data, ' ', line->len);
    size_t n = blank ? (size_t)(blank - line->data) : line->len;
    const struct command *c = commands, *end = commands + N_COMMANDS;
    while (c < end && (strlen(c->name) != n || memcmp(c->name, line->data, n) != 0))
        c++;
    if (c == end) {
        if (!t->interactive || line->data[0] != '/' || blank)
            return 0;
        slm_cli_note("%.*s is not a command; /help lists them", (int)n, line->data);
        return 1;
    }
    while (n < line->len && line->data[n] == ' ')
        n++;
    size_t len = line->len - n;
    if (len > 0 && !c->argument)
        return 0; /* "/help me with this": words */
    if (len == 0 && c->argument && c->argument[0] != '[') {
        slm_cli_note("%s wants %s", c->name, c->argument);
        return 1;
    }
    if (!c->run) {
        *leave = 1;
        return 1;
    }
    char *rest = strndup(line->data + n, len);
    int done = rest ? c->run(t, rest) : no_memory(t);
    *status = t->interactive ? 0 : done; /* what failed was said, and changed nothing */
    free(rest);
    return 1;
}
