#include "server.h"

#include <stdlib.h>

/* The languages of the options, or else what the file says of itself; none stands for any. */
static json_t *languages(const wyoming_server *server) {
    const wyoming_options *o = server->options;
    json_t *list = json_array();
    char text[4096];
    size_t len = 0, i;
    for (i = 0; i < o->n_languages; i++)
        json_array_append_new(list, json_string(o->languages[i]));
    if (o->n_languages == 0 && slm_model_get_meta(server->model, "general.languages", text,
                                                  sizeof text, &len, NULL) == SLM_OK) {
        json_t *own = json_loadb(text, len, 0, NULL), *language;
        json_array_foreach(own, i, language)
            if (json_is_string(language))
                json_array_append(list, language);
        json_decref(own);
    }
    return list;
}

/* The members that the protocol wants of programs and models alike. */
static json_t *artifact(const char *name, const char *description, const char *version) {
    return json_pack("{s:s, s:{s:s, s:s}, s:b, s:s, s:s?}", "name", name, "attribution", "name",
                     "libslm", "url", "", "installed", 1, "description", description, "version",
                     version);
}

static json_t *program(const wyoming_server *server, const char *what) {
    slm_model_info info = {.struct_size = sizeof info};
    slm_model_get_info(server->model, &info, NULL);
    json_t *model = artifact(*info.name ? info.name : info.architecture, info.quantization, NULL);
    json_t *out = artifact(server->options->name, what, slm_version());
    json_object_set_new(model, "languages", languages(server));
    json_object_set_new(out, "models", json_pack("[o]", model));
    return out;
}

json_t *wyoming_describe(const wyoming_server *server) {
    json_t *handle = program(server, "a small language model that answers");
    json_object_set_new(handle, "supports_handled_streaming", json_true());
    /* Without tools there are no intents, and clients take it from the service that there are. */
    const char *what = "a small language model that calls tools";
    json_t *intents = server->tools ? json_pack("[o]", program(server, what)) : json_array();
    return json_pack("{s:[], s:[], s:[o], s:o, s:[], s:[], s:[]}", "asr", "tts", "handle", handle,
                     "intent", intents, "wake", "mic", "snd");
}
