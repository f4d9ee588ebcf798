/* What rendering a conversation costs: chat templates over a conversation of 30 messages with a
 * system turn, three tools, calls and their results. Reading the template is part of it.
 *
 *   bench_template TEMPLATE.jinja...
 *
 * Prints CSV: CPU time of the thread for the best and the median of the rounds. */
#define _POSIX_C_SOURCE 200809L

#include "text/chat.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { N_MESSAGES = 30, ROUNDS = 500 };

static const char TOOLS[] =
    "[{\"type\": \"function\", \"function\": {\"name\": \"get_weather\", \"description\": "
    "\"Current "
    "weather of a city.\", \"parameters\": {\"type\": \"object\", \"properties\": {\"city\": "
    "{\"type\": "
    "\"string\", \"description\": \"City and country\"}, \"unit\": {\"type\": \"string\", "
    "\"enum\": "
    "[\"celsius\", \"fahrenheit\"]}}, \"required\": [\"city\"]}}}, {\"type\": \"function\", "
    "\"function\": "
    "{\"name\": \"set_light\", \"description\": \"Switch a lamp and set its brightness.\", "
    "\"parameters\": {\"type\": \"object\", \"properties\": {\"room\": {\"type\": \"string\"}, "
    "\"on\": "
    "{\"type\": \"boolean\"}, \"level\": {\"type\": \"integer\", \"minimum\": 0, \"maximum\": "
    "100}}, "
    "\"required\": [\"room\", \"on\"]}}}, {\"type\": \"function\", \"function\": {\"name\": "
    "\"start_timer\", \"description\": \"Start a timer.\", \"parameters\": {\"type\": \"object\", "
    "\"properties\": {\"seconds\": {\"type\": \"number\"}}, \"required\": [\"seconds\"]}}}]";

static const char QUESTION[] =
    "What will the weather be in Oslo tomorrow, and should I take the "
    "bicycle or rather the tram to work? The road is icy in the morning.";
static const char ANSWER[] =
    "It will be cold and clear, with about four degrees below zero at eight "
    "o'clock. The tram is the safer choice; by noon the ice will have gone.";
static const char CALL[] =
    "{\"role\": \"assistant\", \"content\": \"\", \"tool_calls\": [{\"type\": "
    "\"function\", \"function\": {\"name\": \"get_weather\", \"arguments\": "
    "{\"city\": \"Oslo, NO\", \"unit\": \"celsius\"}}}]}";

/* Every other answer comes by a call; templates that refuse tools get a plain conversation. */
static void fill(slm_message *m, int with_tools) {
    m[0] = (slm_message){sizeof *m, "system", SLM_NTS, "You help in the house. Be brief.", SLM_NTS};
    m[1] = (slm_message){sizeof *m, "user", SLM_NTS, QUESTION, SLM_NTS};
    for (size_t i = 2; i < N_MESSAGES; i++) {
        if (with_tools && i % 4 == 2)
            m[i] = (slm_message){sizeof *m, NULL, 0, CALL, SLM_NTS};
        else if (with_tools && i % 4 == 3)
            m[i] = (slm_message){sizeof *m, "tool", SLM_NTS, "{\"temp\": -4.5}", SLM_NTS};
        else if (i % 2 == 0)
            m[i] = (slm_message){sizeof *m, "assistant", SLM_NTS, ANSWER, SLM_NTS};
        else
            m[i] = (slm_message){sizeof *m, "user", SLM_NTS, QUESTION, SLM_NTS};
    }
}

static double now_us(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec * 1e-3;
}

static slm_status render(slm_str source, const slm_chat_input *in, size_t *bytes,
                         slm_error *error) {
    static const slm_chat_names names = {{"<s>", 3}, {"</s>", 4}, {NULL, 0}};
    slm_host host;
    slm_chat_prompt p = {.spells_bos = 0};
    slm_host_init(&host, NULL, NULL, NULL, SLM_LOG_NONE);
    slm_status status = slm_chat_render_template(&p, &host, source, NULL, &names, in, error);
    *bytes = p.j.text.len;
    slm_chat_prompt_close(&p);
    return status;
}

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static int measure(const char *path) {
    static char source[1 << 20];
    FILE *f = fopen(path, "rb");
    size_t n = f ? fread(source, 1, sizeof source, f) : 0, bytes = 0;
    if (f)
        fclose(f);
    if (n == 0 || strlen(path) < strlen("x.jinja")) {
        fprintf(stderr, "%s: cannot be read\n", path);
        return 1;
    }
    slm_message m[N_MESSAGES];
    slm_error error = SLM_ERROR_INIT;
    slm_chat_input in = {.struct_size = sizeof in,
                         .messages = m,
                         .n_messages = N_MESSAGES,
                         .tools = TOOLS,
                         .tools_len = SLM_NTS,
                         .now = 1721997296,
                         .flags = SLM_CHAT_GENERATION_PROMPT};
    slm_str text = {source, n};
    slm_status status = SLM_ERR_TEMPLATE;
    int with_tools = 1;
    for (int plainer = 0; plainer < 3 && status != SLM_OK; plainer++) {
        with_tools = plainer == 0;
        fill(m, with_tools);
        in.tools = with_tools ? TOOLS : NULL;
        in.messages = m + (plainer == 2);             /* without the system turn */
        in.n_messages = N_MESSAGES - (size_t)plainer; /* the last is a user's, or a tool's */
        status = render(text, &in, &bytes, &error);
    }
    if (status != SLM_OK) {
        fprintf(stderr, "%s: %s\n", path, error.message);
        return 1;
    }
    double us[ROUNDS];
    for (int i = 0; i < ROUNDS; i++) {
        double before = now_us();
        (void)render(text, &in, &bytes, &error);
        us[i] = now_us() - before;
    }
    qsort(us, ROUNDS, sizeof *us, compare);
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    printf("%.*s,%zu,%zu,%s,%zu,%.0f,%.0f\n", (int)(strlen(name) - strlen(".jinja")), name, n,
           in.n_messages, with_tools ? "yes" : "no", bytes, us[0], us[ROUNDS / 2]);
    return 0;
}

int main(int argc, char **argv) {
    int failed = argc < 2;
    if (failed)
        fprintf(stderr, "usage: %s TEMPLATE.jinja...\n", argv[0]);
    else
        printf("template,template_bytes,messages,tools,rendered_bytes,best_us,median_us\n");
    for (int i = 1; i < argc; i++)
        failed |= measure(argv[i]);
    return failed;
}
