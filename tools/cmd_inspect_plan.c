/* slm inspect --plan: what a model will hold in memory, and what a machine can make of it. */
#include "cmd_inspect.h"

#include <string.h>

/* Orin: data sheets for bandwidth, clocks and SMs; a read kernel reaches 75 to 82 % of the former
 * (measured 153 of 205 GB/s on AGX Orin, and 165 by whole models). Arithmetic of one SM and clock:
 * 256 int8 multiply-accumulates by dp4a, which a token at a time can use, 2048 by the tensor
 * cores, of which prompts reach about half. */
#define ORIN(gbps, sms, ghz, gigabytes) \
    gbps, 0.78, 256.0 * (sms) * (ghz), 0.5 * 2048.0 * (sms) * (ghz), gigabytes

static const slm_profile profiles[] = {
    {"orin-nano-8", "Jetson Orin Nano 8 GB, 8 SM at 0.625 GHz", ORIN(68.0, 8, 0.625, 8.0)},
    {"orin-nano-8-super", "Jetson Orin Nano 8 GB, super mode, 8 SM at 1.02 GHz",
     ORIN(102.4, 8, 1.02, 8.0)},
    {"orin-nx-16", "Jetson Orin NX 16 GB, 8 SM at 0.918 GHz", ORIN(102.4, 8, 0.918, 16.0)},
    {"agx-orin-64", "Jetson AGX Orin 64 GB, 16 SM at 1.3 GHz", ORIN(204.8, 16, 1.3, 64.0)},
};

const slm_profile *slm_profile_at(size_t index) {
    return index < sizeof profiles / sizeof *profiles ? &profiles[index] : NULL;
}

const slm_profile *slm_profile_find(const char *name) {
    for (size_t i = 0; slm_profile_at(i) != NULL; i++)
        if (strcmp(name, slm_profile_at(i)->name) == 0)
            return slm_profile_at(i);
    return NULL;
}

/* ---------------------------------------------------------------- prediction ----------------- */

typedef struct speed {
    double tokens_per_second;
    const char *bound; /* which term is the longer one */
} speed;

/* A step that reads bytes and multiplies macs, giving n tokens. */
static speed predict(double bytes, double macs, double n, double gbps, double gmacs) {
    double reading = bytes / (gbps * 1e9), computing = gmacs > 0 ? macs / (gmacs * 1e9) : 0;
    if (reading >= computing)
        return (speed){n / reading, "memory"};
    return (speed){n / computing, "arithmetic"};
}

static const char *kv_name(const slm_report *r) {
    return r->cache.kv_type == SLM_KV_F32 ? "f32" : r->cache.kv_type == SLM_KV_Q8_0 ? "q8_0" : "f16";
}

static speed decode_speed(const slm_report *r, const slm_profile *p, uint64_t depth) {
    uint64_t keys = depth;
    if (r->info.sliding_window > 0 && keys > r->info.sliding_window)
        keys = r->info.sliding_window;
    double cache = (double)keys * (double)r->plan.kv_bytes_per_token;
    double scores = 2.0 * (double)keys * r->info.n_layers * r->info.n_heads * r->info.d_head;
    return predict((double)r->plan.bytes_per_token + cache, (double)r->plan.macs_per_token + scores,
                   1, p->bandwidth * p->attained, p->decode);
}

#define PROMPT 512 /* tokens of the prompt that is predicted, evaluated in one step */

static speed prompt_speed(const slm_report *r, const slm_profile *p) {
    double head = (double)r->info.n_vocab * r->info.d_model; /* for the last token only */
    double macs = ((double)r->plan.macs_per_token - head) * PROMPT + head;
    return predict((double)r->plan.bytes_per_token, macs, PROMPT, p->bandwidth * p->attained,
                   p->prompt);
}

/* ---------------------------------------------------------------- text ----------------------- */

static void line(const char *label, uint64_t bytes, const char *what) {
    slm_cli_print("  %-22s %15llu  %10.1f MB%s%s\n", label, (unsigned long long)bytes,
                  (double)bytes / 1e6, *what ? "  " : "", what);
}

static void print_text(const slm_report *r) {
    const slm_plan *p = &r->plan;
    slm_cli_print("\nMemory plan: context %u, cache %s, %u thread%s\n", r->cache.n_ctx, kv_name(r),
                  p->n_threads, p->n_threads == 1 ? "" : "s");
    line("weights, mapped", p->weights_mapped, "the file's pages, used in place");
    line("weights, allocated", p->weights_allocated, "");
    line("model", p->model_bytes, "vocabulary and tables");
    line("keys and values", p->kv_bytes, "");
    line("scratch", p->scratch_bytes, "activations and logits");
    line("total", p->total_bytes, "");
    slm_cli_print("  a generated token reads %.1f MB and multiplies %.1f million times, empty "
                  "cache;\n  each token in the cache adds %.1f kB\n",
                  (double)p->bytes_per_token / 1e6, (double)p->macs_per_token / 1e6,
                  (double)p->kv_bytes_per_token / 1e3);
}

static void print_speeds(const slm_report *r, const slm_profile *p) {
    speed empty = decode_speed(r, p, 0), full = decode_speed(r, p, r->cache.n_ctx);
    slm_cli_print("\nPrediction for %s\n  assumes %.1f GB/s, which is %.0f %% of %.1f",
                  p->what, p->bandwidth * p->attained, p->attained * 100, p->bandwidth);
    if (p->decode > 0)
        slm_cli_print(", and a second %.0f x 10^9 multiply-accumulates\n  for a token at a time, "
                      "%.0f x 10^9 for a prompt",
                      p->decode, p->prompt);
    slm_cli_print("\n  generation, empty cache %10.1f tokens/s   bound by %s\n",
                  empty.tokens_per_second, empty.bound);
    slm_cli_print("  generation at %-9u %10.1f tokens/s   bound by %s\n", r->cache.n_ctx,
                  full.tokens_per_second, full.bound);
    if (p->prompt > 0) {
        speed prompt = prompt_speed(r, p);
        slm_cli_print("  prompt of %-13d %10.1f tokens/s   bound by %s\n", PROMPT,
                      prompt.tokens_per_second, prompt.bound);
    }
    if (p->memory > 0)
        slm_cli_print("  memory %.1f of %.0f GB%s\n", (double)r->plan.total_bytes / 1e9, p->memory,
                      (double)r->plan.total_bytes < p->memory * 0.9e9
                          ? ""
                          : ": does not fit beside a system");
}

/* ---------------------------------------------------------------- JSON ----------------------- */

static void print_json(const slm_report *r) {
    const slm_plan *p = &r->plan;
    slm_cli_print(",\"plan\":{\"n_ctx\":%u,\"kv_type\":\"%s\",\"n_threads\":%u,\"n_pages\":%u",
                  r->cache.n_ctx, kv_name(r), p->n_threads, p->n_pages);
    const struct {
        const char *name;
        uint64_t value;
    } fields[] = {{"weights_mapped", p->weights_mapped},
                  {"weights_allocated", p->weights_allocated},
                  {"model_bytes", p->model_bytes},
                  {"kv_bytes", p->kv_bytes},
                  {"scratch_bytes", p->scratch_bytes},
                  {"total_bytes", p->total_bytes},
                  {"bytes_per_token", p->bytes_per_token},
                  {"macs_per_token", p->macs_per_token},
                  {"kv_bytes_per_token", p->kv_bytes_per_token}};
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        slm_cli_print(",\"%s\":%llu", fields[i].name, (unsigned long long)fields[i].value);
    slm_cli_print("}");
}

static void speed_json(const char *test, const char *key, uint32_t value, speed s, int first) {
    slm_cli_print("%s{\"test\":\"%s\",\"%s\":%u,\"tokens_per_second\":%.3f,\"bound_by\":\"%s\"}",
                  first ? "" : ",", test, key, value, s.tokens_per_second, s.bound);
}

static void print_speeds_json(const slm_report *r, const slm_profile *p) {
    slm_cli_print(",\"prediction\":{\"device_profile\":\"%s\",\"bandwidth_gbps\":%.2f,"
                  "\"attained_share\":%.2f,\"decode_gmacs\":%.0f,\"prompt_gmacs\":%.0f,"
                  "\"memory_gb\":%.0f,\"speeds\":[",
                  p->name, p->bandwidth, p->attained, p->decode, p->prompt, p->memory);
    speed_json("tg", "depth", 0, decode_speed(r, p, 0), 1);
    speed_json("tg", "depth", r->cache.n_ctx, decode_speed(r, p, r->cache.n_ctx), 0);
    if (p->prompt > 0)
        speed_json("pp", "n", PROMPT, prompt_speed(r, p), 0);
    slm_cli_print("]}");
}

int slm_inspect_plan(const char *path, const slm_cli_common *common, slm_report *r) {
    *r = (slm_report){.info = {.struct_size = sizeof r->info},
                      .plan = {.struct_size = sizeof r->plan}};
    slm_error error = SLM_ERROR_INIT;
    slm_model *model = NULL;
    int status = slm_cli_open_model(path, common, 0, &model);
    if (status != 0)
        return status;
    slm_cli_cache_options(model, common, &r->cache);
    if (slm_model_get_info(model, &r->info, &error) != SLM_OK ||
        slm_cache_plan(model, &r->cache, &r->plan, &error) != SLM_OK)
        status = slm_cli_fail_error(path, &error);
    slm_model_close(&model);
    return status;
}

void slm_inspect_print_plan(const slm_report *r, const slm_profile *profile, int json) {
    if (json)
        print_json(r);
    else
        print_text(r);
    if (profile != NULL && json)
        print_speeds_json(r, profile);
    else if (profile != NULL)
        print_speeds(r, profile);
}
