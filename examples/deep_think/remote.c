#define _POSIX_C_SOURCE 200809L

#include "remote.h"

#include <curl/curl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_REPLY = 4 << 20, CONNECT_S = 10 };

typedef struct reply {
    char *data;
    size_t len;
} reply;

static size_t take(char *data, size_t size, size_t n, void *user) {
    reply *r = user;
    char *larger = size * n <= MAX_REPLY - r->len ? realloc(r->data, r->len + size * n + 1) : NULL;
    if (!larger)
        return 0;
    memcpy(larger + r->len, data, size * n);
    r->data = larger;
    r->len += size * n;
    return size * n;
}

/* Words of others on one line of ours. */
static void say(char *error, size_t cap, const char *what, const char *why) {
    snprintf(error, cap, "%s%s", what, why);
    for (char *p = error; *p; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            *p = ' ';
}

static char *read_reply(const reply *r, long status, char *error, size_t cap) {
    json_t *root = json_loadb(r->data ? r->data : "", r->len, 0, NULL);
    const json_t *message =
        json_object_get(json_array_get(json_object_get(root, "choices"), 0), "message");
    const char *text = json_string_value(json_object_get(message, "content"));
    const char *why =
        json_string_value(json_object_get(json_object_get(root, "error"), "message"));
    char number[32], *answer = NULL;
    snprintf(number, sizeof number, "status %ld: ", status);
    if (status != 200)
        say(error, cap, number, why ? why : "got no reason");
    else if (!text || !(answer = strdup(text)))
        say(error, cap, number, "got no text for an answer");
    json_decref(root);
    return answer;
}

static char *write_request(const deep_remote *remote, const char *messages) {
    json_t *list = json_loads(messages, 0, NULL);
    json_t *request = json_pack("{s:o*, s:s*, s:b}", "messages", list, "model", remote->model,
                                "stream", 0);
    if (request && remote->max_tokens > 0)
        json_object_set_new(request, "max_tokens", json_integer(remote->max_tokens));
    char *text = list ? json_dumps(request, JSON_COMPACT) : NULL;
    json_decref(request);
    return text;
}

char *deep_remote_ask(const deep_remote *remote, const char *messages, char *error, size_t cap) {
    char *body = write_request(remote, messages), *answer = NULL;
    char url[1024], authorization[1024], why[CURL_ERROR_SIZE] = "";
    struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
    CURL *curl = curl_easy_init();
    reply r = {0};
    long status = 0;
    int n = snprintf(url, sizeof url, "%s/chat/completions", remote->address);
    int n_key = snprintf(authorization, sizeof authorization, "Authorization: Bearer %s",
                         remote->key ? remote->key : "");
    if (n < 0 || (size_t)n >= sizeof url || n_key < 0 || (size_t)n_key >= sizeof authorization) {
        say(error, cap, "address: ", "it or the key is too long");
    } else if (!body || !headers || !curl) {
        say(error, cap, "request: ", "got no memory, or no JSON");
    } else {
        if (remote->key)
            headers = curl_slist_append(headers, authorization);
        curl_easy_setopt(curl, CURLOPT_URL, url);
        curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
        curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take);
        curl_easy_setopt(curl, CURLOPT_WRITEDATA, &r);
        curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, why);
        curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
        curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_S);
        curl_easy_setopt(curl, CURLOPT_TIMEOUT, remote->timeout_s);
        CURLcode code = curl_easy_perform(curl);
        curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
        if (code != CURLE_OK)
            say(error, cap, "connection: ", *why ? why : curl_easy_strerror(code));
        else
            answer = read_reply(&r, status, error, cap);
    }
    curl_slist_free_all(headers);
    curl_easy_cleanup(curl);
    free(body);
    free(r.data);
    return answer;
}
