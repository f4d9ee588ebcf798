/* A conversation with the model on the device, parts of which a larger one elsewhere may take over:
 *
 *   deep_think MODEL.gguf --address http://127.0.0.1:8080/v1 --consent [options] < LINES
 *
 * Each line is a turn; "/deep" before it asks for the other model. The answer comes with who gave it,
 * "local" or "deep", and why. Nothing leaves the device but with --consent, and nothing at all with
 * --offline. What the policy asks and records is in policy.h. */
#include "local.h"
#include "redact.h"
#include "remote.h"

#include <curl/curl.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MAX_WORDS = 64, MAX_LINE = 1 << 16 };

typedef struct program {
    deep_policy policy;
    deep_remote remote;
    deep_local *local;
    const char *words[MAX_WORDS];
    size_t n_words;
    FILE *audit;
    json_t *messages;
} program;

/* ---- what the policy calls -------------------------------------------------------------------- */

/* The texts of all messages, redacted one by one. */
static char *redact(void *user, const char *text, unsigned *n_redacted) {
    const program *p = user;
    json_t *messages = json_loads(text, 0, NULL), *message;
    size_t i;
    int good = messages != NULL;
    *n_redacted = 0;
    json_array_foreach(messages, i, message) {
        unsigned n = 0;
        const char *content = json_string_value(json_object_get(message, "content"));
        char *plain = content ? deep_redact(content, p->words, p->n_words, &n) : NULL;
        if (!plain || json_object_set_new(message, "content", json_string(plain)) != 0)
            good = 0; /* what cannot be looked at does not leave */
        *n_redacted += n;
        free(plain);
    }
    char *out = good ? json_dumps(messages, JSON_COMPACT) : NULL;
    json_decref(messages);
    return out;
}

static char *take_over(void *user, const char *text, char *error, size_t cap) {
    const program *p = user;
    return deep_remote_ask(&p->remote, text, error, cap);
}

/* A line of JSON, on the disk before anything else happens. */
static int record(void *user, const deep_record *r) {
    const program *p = user;
    json_t *line = json_pack("{s:I, s:s, s:s, s:s}", "time", (json_int_t)time(NULL), "reason",
                             deep_reason_name(r->reason), "outcome", deep_outcome_name(r->outcome),
                             "address", p->remote.address);
    if (r->confidence >= 0)
        json_object_set_new(line, "confidence", json_real(r->confidence));
    if (r->text) {
        json_object_set_new(line, "redacted", json_integer(r->n_redacted));
        json_object_set_new(line, "text", json_string(r->text));
    }
    if (r->error)
        json_object_set_new(line, "error", json_string(r->error));
    char *text = line ? json_dumps(line, JSON_COMPACT | JSON_REAL_PRECISION(4)) : NULL;
    int good = text && fprintf(p->audit, "%s\n", text) > 0 && fflush(p->audit) == 0;
    json_decref(line);
    free(text);
    return good;
}

/* ---- turns ------------------------------------------------------------------------------------ */

static void say(program *p, const char *who, deep_reason reason, const char *text) {
    printf("[%s", who);
    if (reason != DEEP_NO_REASON)
        printf(", %s", deep_reason_name(reason));
    printf("] %s\n", text);
    fflush(stdout);
    json_array_append_new(p->messages, json_pack("{s:s, s:s}", "role", "assistant", "content",
                                                 text));
}

/* Asks the policy. 1: another model has answered. */
static int hand_over(program *p, deep_turn *turn, deep_reason *reason) {
    char *text = json_dumps(p->messages, JSON_COMPACT), *answer = NULL;
    turn->text = text ? text : "";
    deep_outcome outcome = deep_policy_ask(&p->policy, turn, &answer, reason);
    if (outcome == DEEP_TAKEN)
        say(p, "deep", *reason, answer);
    else if (outcome != DEEP_KEPT)
        fprintf(stderr, "deep_think: not handed over: %s\n", deep_outcome_name(outcome));
    free(answer);
    free(text);
    return outcome == DEEP_TAKEN;
}

static int answer_turn(program *p, const char *line) {
    static const char mark[] = "/deep";
    slm_error error = SLM_ERROR_INIT;
    deep_answer local = {0};
    deep_turn turn = {.user_asks = strncmp(line, mark, sizeof mark - 1) == 0};
    deep_reason reason = DEEP_NO_REASON;
    if (turn.user_asks)
        line += sizeof mark - 1 + strspn(line + sizeof mark - 1, " ");
    json_array_append_new(p->messages, json_pack("{s:s, s:s}", "role", "user", "content", line));
    char *messages = json_dumps(p->messages, JSON_COMPACT);
    slm_status status = SLM_ERR_NOMEM;
    if (messages)
        status = deep_local_count(p->local, messages, &turn.n_prompt, &error);
    int done = status == SLM_OK && hand_over(p, &turn, &reason);
    int was_asked = reason != DEEP_NO_REASON; /* once a turn is enough */
    if (status == SLM_OK && !done) {
        status = deep_local_answer(p->local, messages, &local, &error);
        turn.confidence = &local.confidence;
        turn.tool_asks = local.asks_for_help;
        turn.user_asks = 0;
    }
    if (status == SLM_OK && !done && !was_asked)
        done = hand_over(p, &turn, &reason);
    if (status == SLM_OK && !done)
        say(p, "local", DEEP_NO_REASON, local.text ? local.text : "");
    if (status != SLM_OK)
        fprintf(stderr, "deep_think: %s\n", messages ? error.message : "got no memory");
    free(local.text);
    free(messages);
    return status == SLM_OK;
}

/* ---- the command line ------------------------------------------------------------------------- */

static int usage(void) {
    fprintf(stderr,
            "usage: deep_think MODEL.gguf --address URL [options] < LINES\n"
            "  --consent             what is asked may be sent there\n"
            "  --offline             nothing is sent, whatever else is said\n"
            "  --min-confidence X    0 to 1: hands over answers of which the model was less sure\n"
            "  --max-prompt N        hands over prompts of more tokens (the context)\n"
            "  --private WORD        does not leave; repeatable\n"
            "  --audit FILE          where it is written what left (standard error)\n"
            "  --model NAME          of the address\n"
            "  --key-file FILE       with the key for it on its first line\n"
            "  --timeout S           for its answer (60)\n"
            "  --max-tokens N        of its answer\n");
    return 2;
}

static int is_number(const char *text, double most, double *out) {
    char *end;
    *out = strtod(text, &end);
    return end != text && *end == '\0' && *out >= 0 && *out <= most;
}

/* 0: it is no option of ours, or its value is none. */
static int take_option(program *p, const char *name, const char *value, const char **audit,
                       const char **key_file) {
    double number = 0;
    if (strcmp(name, "--address") == 0)
        p->remote.address = value;
    else if (strcmp(name, "--audit") == 0)
        *audit = value;
    else if (strcmp(name, "--model") == 0)
        p->remote.model = value;
    else if (strcmp(name, "--key-file") == 0)
        *key_file = value;
    else if (strcmp(name, "--private") == 0 && p->n_words < MAX_WORDS && *value)
        p->words[p->n_words++] = value;
    else if (strcmp(name, "--min-confidence") == 0 && is_number(value, 1, &number))
        p->policy.min_confidence = number;
    else if (strcmp(name, "--max-prompt") == 0 && is_number(value, 1e9, &number))
        p->policy.max_prompt = (uint64_t)number;
    else if (strcmp(name, "--timeout") == 0 && is_number(value, 86400, &number))
        p->remote.timeout_s = (long)number;
    else if (strcmp(name, "--max-tokens") == 0 && is_number(value, 1e9, &number))
        p->remote.max_tokens = (long)number;
    else
        return 0;
    return 1;
}

static int read_key(const char *path, char *key, int cap) {
    FILE *f = fopen(path, "r");
    int good = f && fgets(key, cap, f);
    if (f)
        fclose(f);
    if (good)
        key[strcspn(key, "\r\n")] = '\0';
    else
        fprintf(stderr, "deep_think: %s: got no key: %s\n", path, f ? "it is empty"
                                                                    : strerror(errno));
    return good;
}

static int converse(program *p) {
    static char line[MAX_LINE];
    int status = 0;
    while (fgets(line, sizeof line, stdin)) {
        line[strcspn(line, "\r\n")] = '\0';
        if (*line && !answer_turn(p, line))
            status = 1;
    }
    return status;
}

int main(int argc, char **argv) {
    static program p = {.policy = {.redact = redact, .take_over = take_over, .record = record},
                        .remote = {.timeout_s = 60}};
    static char key[900];
    const char *audit = NULL, *key_file = NULL, *path = NULL;
    slm_error error = SLM_ERROR_INIT;
    int status = 1;
    p.policy.user = &p;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--consent") == 0)
            p.policy.consent = 1;
        else if (strcmp(argv[i], "--offline") == 0)
            p.policy.offline = 1;
        else if (strncmp(argv[i], "--", 2) != 0 && !path)
            path = argv[i];
        else if (i + 1 == argc || !take_option(&p, argv[i], argv[i + 1], &audit, &key_file))
            return usage();
        else
            i++;
    }
    if (!path || !p.remote.address || (strncmp(p.remote.address, "http://", 7) != 0 &&
                                       strncmp(p.remote.address, "https://", 8) != 0))
        return usage();
    if (key_file && !read_key(key_file, key, sizeof key))
        return 1;
    p.remote.key = key_file ? key : NULL;
    p.audit = audit ? fopen(audit, "a") : stderr;
    if (!p.audit) {
        fprintf(stderr, "deep_think: %s: %s\n", audit, strerror(errno));
        return 1;
    }
    p.messages = json_array();
    p.local = p.messages ? deep_local_open(path, 0, &error) : NULL;
    if (p.local && p.policy.max_prompt == 0)
        p.policy.max_prompt = deep_local_context(p.local) - 1;
    if (!p.local)
        fprintf(stderr, "deep_think: %s: %s\n", path, error.message);
    else if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        fprintf(stderr, "deep_think: libcurl does not start\n");
    else
        status = converse(&p);
    curl_global_cleanup();
    deep_local_close(p.local);
    json_decref(p.messages);
    if (audit)
        fclose(p.audit);
    return status;
}
