/* slm inspect: what is in a model file. */
#include "cmd_inspect.h"

#include "gguf/gguf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SHOWN_CHARS 60u /* of a text value in the table                                              */
#define SHOWN_ITEMS 8u  /* arrays up to this length are shown in the table                           */
#define JSON_ITEMS  64u /* and in JSON                                                               */

/* ---------------------------------------------------------------- values --------------------- */

/* A value as text, malloc'ed; NULL after printing why. */
static char *text_of(const slm_gguf_kv *kv, size_t *len) {
    slm_error error = SLM_ERROR_INIT;
    char *text = NULL;
    if (slm_gguf_kv_text(kv, NULL, 0, len, &error) == SLM_OK &&
        (text = malloc(*len + 1)) != NULL &&
        slm_gguf_kv_text(kv, text, *len + 1, len, &error) == SLM_OK) {
        text[*len] = '\0';
        return text;
    }
    free(text);
    slm_cli_fail("a metadata value could not be read: %s", error.message);
    return NULL;
}

static int print_escaped(const char *text, size_t len) {
    char shown[SHOWN_CHARS + 4];
    slm_escape(shown, sizeof shown, text, len);
    return slm_cli_print("%s\n", shown);
}

static int print_value(const slm_gguf_kv *kv) {
    size_t len;
    if (kv->type == SLM_GGUF_ARRAY && kv->count > SHOWN_ITEMS)
        return slm_cli_print("[%llu %s%s]\n", (unsigned long long)kv->count,
                             slm_gguf_type_name(kv->item_type),
                             kv->item_type == SLM_GGUF_STRING ? "s" : "");
    char *text = text_of(kv, &len);
    int status = text != NULL ? print_escaped(text, len) : SLM_EXIT_FAILED;
    free(text);
    return status;
}

/* Scalars go through a one-element array, whose text is JSON. */
static int print_value_json(const slm_gguf_kv *kv) {
    slm_gguf_kv array = *kv;
    size_t len;
    int is_array = kv->type == SLM_GGUF_ARRAY;
    if (is_array) {
        slm_cli_print("{\"type\":\"%s\",\"count\":%llu", slm_gguf_type_name(kv->item_type),
                      (unsigned long long)kv->count);
        if (kv->count > JSON_ITEMS)
            return slm_cli_print("}");
        slm_cli_print(",\"items\":");
    } else {
        array.type = SLM_GGUF_ARRAY;
        array.item_type = kv->type;
        array.count = 1;
    }
    char *text = text_of(&array, &len);
    if (text == NULL)
        return SLM_EXIT_FAILED;
    if (is_array)
        slm_cli_print_json(text, len);
    else
        slm_cli_print_json(text + 1, len - 2);
    free(text);
    return is_array ? slm_cli_print("}") : 0;
}

/* ---------------------------------------------------------------- totals --------------------- */

typedef struct total {
    uint32_t type;
    uint64_t tensors, elements, bytes;
} total;

typedef struct totals {
    total v[SLM_DTYPE_LIMIT + 1]; /* types beyond the limit share the last */
    total all;
} totals;

static void add_up(const slm_gguf *g, totals *s) {
    memset(s, 0, sizeof *s);
    for (uint32_t i = 0; i <= SLM_DTYPE_LIMIT; i++)
        s->v[i].type = i;
    for (uint64_t i = 0; i < slm_gguf_n_tensors(g); i++) {
        const slm_gguf_tensor *t = slm_gguf_tensor_at(g, i);
        total *one = &s->v[t->type < SLM_DTYPE_LIMIT ? t->type : SLM_DTYPE_LIMIT];
        total *both[] = {one, &s->all};
        for (int k = 0; k < 2; k++) {
            both[k]->tensors++;
            both[k]->elements += t->n_elements;
            both[k]->bytes += t->bytes;
        }
    }
}

/* Tensors whose data lie behind the end of their file: a file of infos only, or one cut short. */
static uint64_t count_missing(const slm_gguf *g) {
    uint64_t n = 0;
    for (uint64_t i = 0; i < slm_gguf_n_tensors(g); i++) {
        const slm_gguf_tensor *t = slm_gguf_tensor_at(g, i);
        uint64_t size = slm_gguf_part(g, t->part)->size;
        n += t->offset > size || t->bytes > size - t->offset;
    }
    return n;
}

/* ---------------------------------------------------------------- table ---------------------- */

static void print_shape(const slm_gguf_tensor *t, char *text, size_t cap) {
    size_t len = 0;
    for (uint32_t d = 0; d < t->n_dims; d++)
        len += (size_t)snprintf(text + len, cap - len, "%s%llu", d > 0 ? " x " : "",
                                (unsigned long long)t->ne[d]);
    if (t->n_dims == 0)
        snprintf(text, cap, "1");
}

static void print_total(const char *name, const total *t, uint64_t of) {
    slm_cli_print("  %-8s %8llu %15llu %15llu  %10.1f MB %6.2f %5.1f %%\n", name,
                  (unsigned long long)t->tensors, (unsigned long long)t->elements,
                  (unsigned long long)t->bytes, (double)t->bytes / 1e6,
                  t->elements > 0 ? 8 * (double)t->bytes / (double)t->elements : 0,
                  of > 0 ? 100 * (double)t->bytes / (double)of : 0);
}

static int print_table(const char *path, const slm_gguf *g, const totals *s) {
    uint32_t parts = slm_gguf_n_parts(g);
    char name[256], type[80], shape[96];
    slm_escape(name, sizeof name, path, strlen(path));
    slm_cli_print("%s: GGUF version %u, alignment %llu, %u part%s, %.1f MB\n", name,
                  slm_gguf_version(g), (unsigned long long)slm_gguf_alignment(g), parts,
                  parts == 1 ? "" : "s", (double)slm_gguf_file_bytes(g) / 1e6);
    slm_cli_print("\nMetadata: %llu keys\n", (unsigned long long)slm_gguf_n_kv(g));
    for (uint64_t i = 0; i < slm_gguf_n_kv(g); i++) {
        const slm_gguf_kv *kv = slm_gguf_kv_at(g, i);
        slm_escape(name, sizeof name, kv->key.ptr, kv->key.len);
        snprintf(type, sizeof type, "%s%s",
                 slm_gguf_type_name(kv->type == SLM_GGUF_ARRAY ? kv->item_type : kv->type),
                 kv->type == SLM_GGUF_ARRAY ? "[]" : "");
        slm_cli_print("  %-44s %-9s ", name, type);
        int status = print_value(kv);
        if (status != 0)
            return status;
    }
    slm_cli_print("\nTensors: %llu\n", (unsigned long long)slm_gguf_n_tensors(g));
    for (uint64_t i = 0; i < slm_gguf_n_tensors(g); i++) {
        const slm_gguf_tensor *t = slm_gguf_tensor_at(g, i);
        slm_escape(name, sizeof name, t->name.ptr, t->name.len);
        print_shape(t, shape, sizeof shape);
        slm_cli_print("  %-36s %-7s %-20s %15llu\n", name, slm_dtype_get(t->type)->name, shape,
                      (unsigned long long)t->bytes);
    }
    if (s->all.tensors == 0)
        return 0;
    slm_cli_print("\n  %-8s %8s %15s %15s %14s %6s %7s\n", "type", "tensors", "weights", "bytes",
                  "", "bits", "share");
    for (uint32_t i = 0; i <= SLM_DTYPE_LIMIT; i++)
        if (s->v[i].tensors > 0)
            print_total(slm_dtype_get(i)->name, &s->v[i], s->all.bytes);
    print_total("all", &s->all, s->all.bytes);
    return 0;
}

/* ---------------------------------------------------------------- JSON ----------------------- */

static int print_json(const char *path, const slm_gguf *g, const totals *s) {
    slm_cli_print("{\"file\":");
    slm_cli_print_json_text(path, strlen(path));
    slm_cli_print(",\"version\":%u,\"alignment\":%llu,\"parts\":%u,\"file_bytes\":%llu,"
                  "\"metadata\":{",
                  slm_gguf_version(g), (unsigned long long)slm_gguf_alignment(g),
                  slm_gguf_n_parts(g), (unsigned long long)slm_gguf_file_bytes(g));
    for (uint64_t i = 0; i < slm_gguf_n_kv(g); i++) {
        const slm_gguf_kv *kv = slm_gguf_kv_at(g, i);
        slm_cli_print(i > 0 ? "," : "");
        slm_cli_print_json_text(kv->key.ptr, kv->key.len);
        slm_cli_print(":");
        int status = print_value_json(kv);
        if (status != 0)
            return status;
    }
    slm_cli_print("},\"tensors\":[");
    for (uint64_t i = 0; i < slm_gguf_n_tensors(g); i++) {
        const slm_gguf_tensor *t = slm_gguf_tensor_at(g, i);
        slm_cli_print("%s{\"name\":", i > 0 ? "," : "");
        slm_cli_print_json_text(t->name.ptr, t->name.len);
        slm_cli_print(",\"type\":\"%s\",\"type_id\":%u,\"shape\":[", slm_dtype_get(t->type)->name,
                      t->type);
        for (uint32_t d = 0; d < t->n_dims; d++)
            slm_cli_print("%s%llu", d > 0 ? "," : "", (unsigned long long)t->ne[d]);
        slm_cli_print("],\"bytes\":%llu,\"part\":%u,\"offset\":%llu}", (unsigned long long)t->bytes,
                      t->part, (unsigned long long)t->offset);
    }
    slm_cli_print("],\"totals\":{");
    int first = 1;
    for (uint32_t i = 0; i <= SLM_DTYPE_LIMIT; i++)
        if (s->v[i].tensors > 0) {
            slm_cli_print("%s\"%s\":{\"tensors\":%llu,\"weights\":%llu,\"bytes\":%llu}",
                          first ? "" : ",", slm_dtype_get(i)->name,
                          (unsigned long long)s->v[i].tensors,
                          (unsigned long long)s->v[i].elements, (unsigned long long)s->v[i].bytes);
            first = 0;
        }
    return slm_cli_print("},\"weights\":%llu,\"tensor_bytes\":%llu",
                         (unsigned long long)s->all.elements, (unsigned long long)s->all.bytes);
}

/* ---------------------------------------------------------------- command -------------------- */

static int run(const char *path, const slm_cli_common *common, int plan,
               const slm_target *target, int json) {
    slm_host host;
    slm_gguf *g = NULL;
    slm_error error = SLM_ERROR_INIT;
    totals sums;
    slm_report report;
    int offered = slm_cli_offer_model(&path);
    if (offered != 0)
        return offered;
    slm_host_init(&host, NULL, slm_cli_log, NULL, SLM_LOG_WARNING);
    slm_cli_name_model(path, 1);
    if (slm_gguf_open(&host, path, SLM_LOAD_AUTO, SLM_GGUF_NO_TENSORS, NULL, NULL, &g, &error) !=
        SLM_OK)
        return slm_cli_fail_error(path, &error);
    if (plan) { /* before anything is printed */
        int status = slm_inspect_plan(path, common, target, &report);
        if (status != 0) {
            slm_gguf_close(g);
            return status;
        }
    }
    add_up(g, &sums);
    uint64_t missing = count_missing(g);
    if (missing > 0)
        slm_cli_warn("%s: the data of %llu of %llu tensors lie behind the end of the file", path,
                     (unsigned long long)missing, (unsigned long long)slm_gguf_n_tensors(g));
    int status = json ? print_json(path, g, &sums) : print_table(path, g, &sums);
    slm_gguf_close(g);
    if (status == 0 && plan)
        slm_inspect_print_plan(&report, target, json);
    if (status == 0 && json)
        slm_cli_print("}\n");
    return status;
}

int slm_cmd_inspect(int argc, char **argv) {
    static const char *const arg_names[] = {"MODEL.gguf"};
    static const slm_cli_command command = {
        .name = "inspect",
        .synopsis = "MODEL.gguf [options]",
        .purpose = "Shows the metadata and tensors of a model file, and what it needs to run.",
        .notes = "Profiles: orin-nano-4, orin-nano-8, orin-nx-8, orin-nx-16, agx-orin-32, agx-orin-64,\n"
                 "agx-orin-industrial, with a power mode behind a colon (orin-nx-16:25w; a wrong one\n"
                 "names those there are) or at the full clocks without \"super\"; and generic, which\n"
                 "is what --bandwidth (and --gmacs) say. Predictions are worked out, not measured;\n"
                 "their assumptions are printed with them.\n",
        .min_args = 1,
        .max_args = 1,
        .arg_names = arg_names,
    };
    enum { OWN = 6 };
    slm_cli_common common = {0};
    const char *path, *name = NULL;
    int plan = 0, json = 0;
    float bandwidth = 0, gmacs = 0;
    slm_target target = {.device = {.struct_size = sizeof target.device}};
    slm_opt options[OWN + SLM_CLI_COMMON_OPTIONS] = {
        {.name = "json", .kind = SLM_OPT_FLAG, .target = &json,
         .help = "one JSON object instead of a table"},
        {.name = "plan", .kind = SLM_OPT_FLAG, .target = &plan,
         .help = "also what it will hold in memory, with the options below"},
        {.name = "device-profile", .kind = SLM_OPT_TEXT, .target = &name, .arg = "NAME",
         .help = "also how fast it would run on this machine; implies --plan"},
        {.letter = 'p', .name = "prompt-tokens", .kind = SLM_OPT_U32, .target = &target.n_prompt,
         .arg = "N", .help = "length of the prompt in the prediction (512)", .min = 1, .max = 1e9},
        {.name = "bandwidth", .kind = SLM_OPT_F32, .target = &bandwidth, .arg = "GB/s",
         .help = "generic: memory that can be read a second", .min = 0.001, .max = 1e6},
        {.name = "gmacs", .kind = SLM_OPT_F32, .target = &gmacs, .arg = "N",
         .help = "generic: 10^9 multiply-accumulates a second", .min = 0.001, .max = 1e9},
    };
    size_t n_options = OWN + slm_cli_common_options(options + OWN, &common);
    int status = slm_cli_parse(&command, options, n_options, argc, argv, &path);
    if (status >= 0)
        return status;

    slm_error error = SLM_ERROR_INIT;
    int is_generic = name != NULL ? strcmp(name, "generic") == 0 : bandwidth > 0;
    if (is_generic && bandwidth <= 0)
        return slm_cli_usage("inspect: got --device-profile generic, wanted --bandwidth with it");
    if (!is_generic && (bandwidth > 0 || gmacs > 0))
        return slm_cli_usage("inspect: got --%s, wanted it with --device-profile generic only",
                             bandwidth > 0 ? "bandwidth" : "gmacs");
    if (target.n_prompt > 0 && !is_generic && name == NULL)
        return slm_cli_usage("inspect: got --prompt-tokens, wanted --device-profile with it");
    target.gbps = (double)bandwidth;
    target.gmacs = (double)gmacs;
    if (name != NULL && !is_generic &&
        slm_device_profile_find(name, &target.device, &error) != SLM_OK)
        return slm_cli_usage("option --device-profile: %s", error.message);
    return slm_cli_finish(run(path, &common, plan || name != NULL || is_generic, &target, json));
}
