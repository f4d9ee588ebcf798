/* A small home that a model can act on: tools MODEL.gguf TOOLS.json [< LINES]
 *
 *   tools examples/models/hearth.gguf examples/household/tools.json
 *
 * Each line is a wish. The model may answer it in words, or call a tool; the program does what was
 * called, gives the result back, and the model says what came of it. Of the tools in the file this
 * home has lights, timers and a clock; it says so of the others. Calls are held to the schemas of the
 * tools, so their arguments need no checking but for their sense. */
#include <slm.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MAX_CALLS = 8, MAX_TIMERS = 8, MAX_ROUNDS = 4 };

typedef struct lamp {
    const char *place;
    int brightness; /* percent; 0: off */
} lamp;

typedef struct timer {
    char length[40]; /* as it was said */
    time_t ends;     /* 0: none */
} timer;

typedef struct home {
    lamp lamps[5];
    timer timers[MAX_TIMERS];
} home;

typedef struct call {
    char name[64];
    char arguments[1024]; /* JSON on one line, without blanks between its tokens */
} call;

/* ---- arguments: flat objects, right by construction ---- */

/* The value of a member as text, or NULL: a string without its quotes and escapes, a number. */
static const char *argument(const call *c, const char *member, char *value, size_t size) {
    char key[72];
    int n_key = snprintf(key, sizeof key, "\"%s\":", member);
    const char *p = strstr(c->arguments, key);
    size_t n = 0;
    if (n_key < 0 || !p)
        return NULL;
    p += n_key;
    int quoted = *p == '"';
    for (p += quoted; *p && n + 1 < size; p++) {
        if (quoted ? *p == '"' : *p == ',' || *p == '}')
            break;
        p += *p == '\\' && p[1];
        value[n++] = *p;
    }
    value[n] = '\0';
    return value;
}

/* "10 minutes", "1 hour 30 minutes", in seconds; 0 where it is no length in digits. */
static long seconds(const char *length) {
    long total = 0;
    while (*length) {
        char *end;
        long n = strtol(length, &end, 10);
        if (end == length || n <= 0 || n > 10000)
            return 0;
        while (*end == ' ')
            end++;
        total += n * (*end == 's' ? 1 : *end == 'm' ? 60 : *end == 'h' ? 3600 : 0);
        while (*end && (*end < '0' || *end > '9'))
            end++;
        length = end;
    }
    return total;
}

/* ---- what the home can do; each writes its result as JSON ---- */

static void light(home *h, const call *c, char *result, size_t size) {
    char place[64], value[64];
    const char *where = argument(c, "place", place, sizeof place);
    int found = 0;
    for (size_t i = 0; i < sizeof h->lamps / sizeof *h->lamps; i++) {
        lamp *l = &h->lamps[i];
        if (where && strcmp(where, "all") != 0 && !strstr(where, l->place))
            continue;
        found = 1;
        if (argument(c, "state", value, sizeof value))
            l->brightness = strcmp(value, "on") == 0 ? 100 : 0;
        if (argument(c, "brightness", value, sizeof value))
            l->brightness = atoi(value);
        if (argument(c, "change", value, sizeof value))
            l->brightness += strcmp(value, "brighter") == 0 ? 20 : -20;
        l->brightness = l->brightness < 0 ? 0 : l->brightness > 100 ? 100 : l->brightness;
    }
    snprintf(result, size, "%s",
             found ? "{\"ok\": true}" : "{\"ok\": false, \"error\": \"no such lamp\"}");
}

static void set_timer(home *h, const char *length, char *result, size_t size) {
    long wait = length ? seconds(length) : 0;
    for (timer *t = h->timers; wait > 0 && t < h->timers + MAX_TIMERS; t++) {
        if (t->ends != 0)
            continue;
        t->ends = time(NULL) + wait;
        snprintf(t->length, sizeof t->length, "%s", length);
        snprintf(result, size, "{\"ok\": true}");
        return;
    }
    snprintf(result, size, "{\"ok\": false, \"error\": \"%s\"}",
             wait > 0 ? "too many timers" : "how long is not clear");
}

static void timers(home *h, const call *c, char *result, size_t size) {
    char action[32] = "list", length[64];
    argument(c, "action", action, sizeof action);
    const char *said = argument(c, "length", length, sizeof length);
    if (strcmp(action, "set") == 0) {
        set_timer(h, said, result, size);
    } else if (strcmp(action, "list") == 0) {
        size_t n = (size_t)snprintf(result, size, "{\"timers\": [");
        for (size_t i = 0, some = 0; i < MAX_TIMERS && n < size; i++)
            if (h->timers[i].ends != 0)
                n += (size_t)snprintf(result + n, size - n, "%s\"%s\"", some++ ? ", " : "",
                                      h->timers[i].length);
        if (n < size)
            snprintf(result + n, size - n, "]}");
    } else { /* cancel, change: the last one that was set */
        size_t i = MAX_TIMERS;
        while (i > 0 && h->timers[i - 1].ends == 0)
            i--;
        if (i > 0)
            h->timers[i - 1].ends = 0;
        if (i == 0)
            snprintf(result, size, "{\"ok\": false, \"error\": \"no timer is set\"}");
        else if (strcmp(action, "change") == 0)
            set_timer(h, said, result, size);
        else
            snprintf(result, size, "{\"ok\": true}");
    }
}

static void act(home *h, const call *c, char *result, size_t size) {
    if (strcmp(c->name, "light") == 0) {
        light(h, c, result, size);
    } else if (strcmp(c->name, "timer") == 0) {
        timers(h, c, result, size);
    } else if (strcmp(c->name, "clock") == 0) {
        time_t now = time(NULL);
        strftime(result, size, "{\"time\": \"%H:%M\", \"date\": \"%A, %d %B\"}", localtime(&now));
    } else {
        snprintf(result, size, "{\"ok\": false, \"error\": \"this home has no %.40s\"}", c->name);
    }
    printf("  [%s %s -> %s]\n", c->name, c->arguments, result);
}

/* ---- the conversation ---- */

/* One answer: text goes out as it comes, calls are noted. */
static slm_status answer(slm_chat *chat, const slm_answer_options *options, call *calls,
                         size_t *n_calls, slm_error *err) {
    slm_answer_event ev = {.struct_size = sizeof ev};
    slm_answer *a = NULL;
    size_t n_text = 0;
    *n_calls = 0;
    slm_status status = slm_chat_answer(chat, options, &a, NULL, err);
    while (status == SLM_OK && ev.type != SLM_ANSWER_END) {
        if ((status = slm_answer_next(a, &ev, err)) != SLM_OK)
            break;
        call *c = &calls[ev.call < MAX_CALLS ? ev.call : MAX_CALLS - 1];
        if (ev.type == SLM_ANSWER_TEXT) {
            n_text += fwrite(ev.text, 1, ev.text_len, stdout);
        } else if (ev.type == SLM_ANSWER_CALL_BEGIN) {
            snprintf(c->name, sizeof c->name, "%.*s", (int)ev.text_len, ev.text);
            c->arguments[0] = '\0';
        } else if (ev.type == SLM_ANSWER_ARGUMENTS) {
            size_t n = strlen(c->arguments);
            snprintf(c->arguments + n, sizeof c->arguments - n, "%.*s", (int)ev.text_len, ev.text);
        } else if (ev.type == SLM_ANSWER_CALL_END) { /* one that max_tokens cuts off does not come here */
            *n_calls = (size_t)(c - calls) + 1;
        }
    }
    if (n_text > 0)
        puts("");
    slm_answer_end(&a);
    return status;
}

/* A wish: answers, and acts, until the model has nothing more to call. */
static slm_status turn(slm_chat *chat, home *h, const char *wish, slm_error *err) {
    static call calls[MAX_CALLS];
    slm_sampling sampling = {.struct_size = sizeof sampling};
    slm_sampling_init(&sampling);
    sampling.temperature = 0;
    slm_generate_options generate = {
        .struct_size = sizeof generate, .max_tokens = 200, .sampling = &sampling};
    slm_answer_options options = {.struct_size = sizeof options, .generate = &generate};
    slm_message message = {sizeof message, "user", SLM_NTS, wish, SLM_NTS};
    slm_status status = slm_chat_add(chat, &message, 0, err);
    size_t n_calls = 1;
    for (int round = 0; status == SLM_OK && n_calls > 0 && round < MAX_ROUNDS; round++) {
        status = answer(chat, &options, calls, &n_calls, err);
        for (size_t i = 0; status == SLM_OK && i < n_calls; i++) {
            char result[512];
            act(h, &calls[i], result, sizeof result);
            slm_message back = {sizeof back, "tool", SLM_NTS, result, SLM_NTS};
            status = slm_chat_add(chat, &back, 0, err);
        }
    }
    return status;
}

static char *read_tools(const char *path) {
    enum { MOST = 1 << 16 };
    FILE *f = fopen(path, "rb");
    char *text = f ? calloc(1, MOST) : NULL;
    size_t n = text ? fread(text, 1, MOST - 1, f) : 0;
    int is_whole = n > 0 && feof(f) && !ferror(f);
    if (f)
        fclose(f);
    if (!is_whole) {
        free(text);
        return NULL;
    }
    return text;
}

int main(int argc, char **argv) {
    home h = {.lamps = {
                  {"kitchen", 0}, {"living room", 0}, {"bedroom", 0}, {"study", 0}, {"hall", 0}}};
    slm_error err = SLM_ERROR_INIT;
    slm_model *model = NULL;
    slm_session *session = NULL;
    slm_chat *chat = NULL;
    char line[1024];
    if (argc != 3) {
        fprintf(stderr, "usage: %s MODEL.gguf TOOLS.json\n", argv[0]);
        return 2;
    }
    char *tools = read_tools(argv[2]);
    if (!tools) {
        fprintf(stderr, "tools: %s: cannot be read, wanted a file of at most 64 KiB\n", argv[2]);
        return 1;
    }
    slm_chat_options options = {.struct_size = sizeof options,
                                .when_full = SLM_CHAT_FULL_DROP, /* wishes come all day */
                                .tools = tools,
                                .tools_len = SLM_NTS};
    slm_status status = slm_model_open(argv[1], NULL, &model, &err);
    if (status == SLM_OK)
        status = slm_session_open(model, NULL, &session, &err);
    if (status == SLM_OK)
        status = slm_chat_open(session, &options, &chat, &err);
    while (status == SLM_OK && fgets(line, sizeof line, stdin)) {
        line[strcspn(line, "\n")] = '\0';
        if (line[0] != '\0')
            status = turn(chat, &h, line, &err);
    }
    for (size_t i = 0; status == SLM_OK && i < sizeof h.lamps / sizeof *h.lamps; i++)
        printf("%s light: %d %%\n", h.lamps[i].place, h.lamps[i].brightness);
    if (status != SLM_OK)
        fprintf(stderr, "tools: %s\n", err.message);
    slm_chat_close(&chat);
    slm_session_close(&session);
    slm_model_close(&model);
    free(tools);
    return status == SLM_OK ? 0 : 1;
}
