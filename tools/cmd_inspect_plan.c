/* slm inspect --plan: what a model will hold in memory, and what a machine can make of it. */
#include "cmd_inspect.h"

#include <stdio.h>

/* ---------------------------------------------------------------- two rates ------------------ */

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

/* depth: none, or the whole context. */
static speed decode_speed(const slm_report *r, const slm_target *t, uint64_t depth) {
    uint64_t keys = depth;
    if (r->info.sliding_window > 0 && keys > r->info.sliding_window)
        keys = r->info.sliding_window;
    double cache = depth > 0 ? (double)r->full_bytes : 0;
    double scores = 2.0 * (double)keys * r->info.n_layers * r->info.n_heads * r->info.d_head;
    return predict((double)r->plan.bytes_per_token + cache, (double)r->plan.macs_per_token + scores,
                   1, t->gbps, t->gmacs);
}

static speed prompt_speed(const slm_report *r, const slm_target *t, uint32_t n) {
    double head = (double)r->info.n_vocab * r->info.d_model; /* for the last token only */
    double macs = ((double)r->plan.macs_per_token - head) * n + head;
    return predict((double)r->plan.bytes_per_token, macs, n, t->gbps, t->gmacs);
}

static uint32_t prompt_tokens(const slm_target *t) {
    return t->n_prompt > 0 ? t->n_prompt : 512;
}

/* ---------------------------------------------------------------- text ----------------------- */

static const char *kv_name(const slm_report *r) {
    return r->cache.kv_type == SLM_KV_F32    ? "f32"
           : r->cache.kv_type == SLM_KV_Q8_0 ? "q8_0"
                                             : "f16";
}

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
    if (p->recurrent_bytes > 0)
        line("recurrent state", p->recurrent_bytes, "with checkpoints");
    line("scratch", p->scratch_bytes, "activations and logits");
    line("total", p->total_bytes, "");
    slm_cli_print("  a generated token reads %.1f MB and multiplies %.1f million times, empty "
                  "cache;\n  each token in the cache adds %.1f kB\n",
                  (double)p->bytes_per_token / 1e6, (double)p->macs_per_token / 1e6,
                  (double)p->kv_bytes_per_token / 1e3);
}

static void print_speeds(const slm_report *r, const slm_target *t) {
    speed empty = decode_speed(r, t, 0), full = decode_speed(r, t, r->cache.n_ctx);
    slm_cli_print("\nPrediction for a machine as given\n  assumes %.1f GB/s", t->gbps);
    if (t->gmacs > 0)
        slm_cli_print(", and %.0f x 10^9 multiply-accumulates a second", t->gmacs);
    slm_cli_print("\n  generation, empty cache %10.1f tokens/s   bound by %s\n",
                  empty.tokens_per_second, empty.bound);
    slm_cli_print("  generation at %-9u %10.1f tokens/s   bound by %s\n", r->cache.n_ctx,
                  full.tokens_per_second, full.bound);
    if (t->gmacs > 0) {
        speed prompt = prompt_speed(r, t, prompt_tokens(t));
        slm_cli_print("  prompt of %-13u %10.1f tokens/s   bound by %s\n", prompt_tokens(t),
                      prompt.tokens_per_second, prompt.bound);
    }
}

/* The binding term of both ends of a range, where they differ. */
static void print_bound(const slm_bound bound[2]) {
    static const char *const names[] = {"memory", "issue", "cache", "overhead", "tensor cores"};
    slm_cli_print("   bound by %s", names[bound[0]]);
    if (bound[1] != bound[0])
        slm_cli_print(" or %s", names[bound[1]]);
    slm_cli_print("\n");
}

static void print_token(const slm_prediction *p, const char *depth) {
    const double *terms[] = {p->memory_ms, p->issue_ms, p->cache_ms, p->overhead_ms};
    static const char *const names[] = {"memory", "issue", "cache", "overhead"};
    slm_cli_print("  generation, %-12s %8.1f to %.1f tokens/s", depth, p->tokens_per_second[1],
                  p->tokens_per_second[0]);
    print_bound(p->bound);
    slm_cli_print("    %.1f MB a token; ms:", (double)p->bytes_per_token / 1e6);
    for (size_t i = 0; i < sizeof terms / sizeof *terms; i++)
        slm_cli_print("%s %s %.2f to %.2f", i > 0 ? "," : "", names[i], terms[i][0], terms[i][1]);
    slm_cli_print("\n");
}

static void print_device(const slm_report *r, const slm_device_profile *d) {
    const slm_prediction *p = &r->empty;
    char depth[24];
    double need = d->dram_gbps * 1e3 / ((double)d->n_sm * d->sm_mhz);
    slm_cli_print("\nPrediction for %s, mode %s (%s); worked out, not measured\n", d->module,
                  d->mode, d->name);
    slm_cli_print("  memory        %.1f GB/s at %u MHz, of which kernels reach %.0f to %.0f %%\n",
                  d->dram_gbps, d->emc_mhz, p->memory_share[1] * 100, p->memory_share[0] * 100);
    slm_cli_print(
        "  processors    %u SM at %u MHz; the memory's peak is %.1f bytes a clock for each, "
        "L2 gives %.1f\n",
        d->n_sm, d->sm_mhz, need, p->cache_bytes_per_clock);
    slm_cli_print(
        "  instructions  %.2f to %.2f a byte, %.2f to %.2f of them integer; there is time "
        "for %.1f and %.1f\n",
        p->instructions_per_byte[0], p->instructions_per_byte[1], p->integer_per_byte[0],
        p->integer_per_byte[1], p->instruction_budget, p->instruction_budget / 2);
    for (size_t i = 0; i < r->n_costs; i++)
        slm_cli_print("    %-8s %10.1f MB %6.2f %6.2f\n", r->costs[i].type,
                      (double)r->costs[i].bytes / 1e6, r->costs[i].instructions_per_byte,
                      r->costs[i].integer_per_byte);
    slm_cli_print("  overhead      %u kernels of %.0f to %.0f us; %.0f to %.0f us to wait and to "
                  "sample\n",
                  p->graph_nodes, p->node_us[0], p->node_us[1], p->host_us[0], p->host_us[1]);
    slm_cli_print("  prompts       %.0f to %.0f %% of the int8 peak of the tensor cores\n",
                  p->tensor_share[1] * 100, p->tensor_share[0] * 100);
    print_token(p, "empty cache");
    snprintf(depth, sizeof depth, "at %u", r->cache.n_ctx);
    print_token(&r->full, depth);
    slm_cli_print("  prompt of %-14u %8.1f to %.1f tokens/s", p->n_prompt,
                  p->prompt_tokens_per_second[1], p->prompt_tokens_per_second[0]);
    print_bound(p->prompt_bound);
    slm_cli_print("    first token after %.0f to %.0f ms\n", p->first_token_ms[0],
                  p->first_token_ms[1]);
    slm_cli_print("  %.1f of %.1f GB%s\n", (double)r->plan.total_bytes / 1e9,
                  (double)d->memory_bytes / 1e9,
                  (double)r->plan.total_bytes < 0.85 * (double)d->memory_bytes
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
                  {"recurrent_bytes", p->recurrent_bytes},
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

static void print_speeds_json(const slm_report *r, const slm_target *t) {
    slm_cli_print(",\"prediction\":{\"device_profile\":\"generic\",\"bandwidth_gbps\":%.2f,"
                  "\"gmacs\":%.2f,\"speeds\":[",
                  t->gbps, t->gmacs);
    speed_json("tg", "depth", 0, decode_speed(r, t, 0), 1);
    speed_json("tg", "depth", r->cache.n_ctx, decode_speed(r, t, r->cache.n_ctx), 0);
    if (t->gmacs > 0)
        speed_json("pp", "n", prompt_tokens(t), prompt_speed(r, t, prompt_tokens(t)), 0);
    slm_cli_print("]}");
}

static void range_json(const char *name, const double pair[2]) {
    int up = pair[0] <= pair[1];
    slm_cli_print(",\"%s\":{\"min\":%.4f,\"max\":%.4f}", name, pair[up ? 0 : 1], pair[up ? 1 : 0]);
}

static void bound_json(const slm_bound bound[2]) {
    static const char *const names[] = {"memory", "issue", "cache", "overhead", "tensor"};
    slm_cli_print(",\"bound_by\":[\"%s\"", names[bound[0]]);
    if (bound[1] != bound[0])
        slm_cli_print(",\"%s\"", names[bound[1]]);
    slm_cli_print("]");
}

static void token_json(const slm_prediction *p, uint32_t depth) {
    slm_cli_print("{\"test\":\"tg\",\"depth\":%u,\"bytes_per_token\":%llu", depth,
                  (unsigned long long)p->bytes_per_token);
    range_json("tokens_per_second", p->tokens_per_second);
    bound_json(p->bound);
    range_json("memory_ms", p->memory_ms);
    range_json("issue_ms", p->issue_ms);
    range_json("cache_ms", p->cache_ms);
    range_json("overhead_ms", p->overhead_ms);
    slm_cli_print("},");
}

static void print_device_json(const slm_report *r, const slm_device_profile *d) {
    const slm_prediction *p = &r->empty;
    slm_cli_print(
        ",\"prediction\":{\"device_profile\":\"%s\",\"module\":\"%s\",\"mode\":\"%s\","
        "\"n_sm\":%u,\"sm_mhz\":%u,\"emc_mhz\":%u,\"dram_gbps\":%.2f,\"memory_bytes\":%llu",
        d->name, d->module, d->mode, d->n_sm, d->sm_mhz, d->emc_mhz, d->dram_gbps,
        (unsigned long long)d->memory_bytes);
    range_json("memory_share", p->memory_share);
    range_json("instructions_per_byte", p->instructions_per_byte);
    range_json("integer_per_byte", p->integer_per_byte);
    slm_cli_print(",\"instruction_budget\":%.4f,\"cache_bytes_per_clock\":%.1f,\"graph_nodes\":%u",
                  p->instruction_budget, p->cache_bytes_per_clock, p->graph_nodes);
    range_json("node_us", p->node_us);
    range_json("host_us", p->host_us);
    range_json("tensor_share", p->tensor_share);
    slm_cli_print(",\"types\":[");
    for (size_t i = 0; i < r->n_costs; i++)
        slm_cli_print("%s{\"type\":\"%s\",\"bytes\":%llu,\"instructions_per_byte\":%.4f,"
                      "\"integer_per_byte\":%.4f}",
                      i > 0 ? "," : "", r->costs[i].type, (unsigned long long)r->costs[i].bytes,
                      r->costs[i].instructions_per_byte, r->costs[i].integer_per_byte);
    slm_cli_print("],\"speeds\":[");
    token_json(p, 0);
    token_json(&r->full, r->cache.n_ctx);
    slm_cli_print("{\"test\":\"pp\",\"n\":%u", p->n_prompt);
    range_json("tokens_per_second", p->prompt_tokens_per_second);
    bound_json(p->prompt_bound);
    range_json("first_token_ms", p->first_token_ms);
    slm_cli_print("}]}");
}

/* ---------------------------------------------------------------- both ----------------------- */

static slm_status predict_device(const slm_model *model, const slm_target *t, slm_report *r,
                                 slm_error *error) {
    slm_predict_options o = {
        .struct_size = sizeof o, .kv_type = r->cache.kv_type, .n_prompt = t->n_prompt};
    slm_weight_cost cost = {.struct_size = sizeof cost};
    r->empty = r->full = (slm_prediction){.struct_size = sizeof r->empty};
    slm_status status = slm_predict(model, &t->device, &o, &r->empty, error);
    o.depth = r->cache.n_ctx;
    if (status == SLM_OK)
        status = slm_predict(model, &t->device, &o, &r->full, error);
    while (status == SLM_OK && r->n_costs < SLM_REPORT_COSTS &&
           slm_predict_weights(model, r->n_costs, &cost, NULL) == SLM_OK)
        r->costs[r->n_costs++] = cost;
    return status;
}

int slm_inspect_plan(const char *path, const slm_cli_common *common, const slm_target *target,
                     slm_report *r) {
    *r = (slm_report){.info = {.struct_size = sizeof r->info},
                      .plan = {.struct_size = sizeof r->plan}};
    slm_error error = SLM_ERROR_INIT;
    slm_model *model = NULL;
    int status = slm_cli_open_model(path, common, 0, &model);
    if (status != 0)
        return status;
    slm_cli_cache_options(model, common, &r->cache);
    if (slm_model_get_info(model, &r->info, &error) != SLM_OK ||
        slm_cache_plan(model, &r->cache, &r->plan, &error) != SLM_OK ||
        slm_cli_depth_bytes(model, r->cache.kv_type, r->cache.n_ctx, &r->full_bytes, &error) != SLM_OK ||
        (target->device.n_sm > 0 && predict_device(model, target, r, &error) != SLM_OK))
        status = slm_cli_fail_error(path, &error);
    slm_model_close(&model);
    return status;
}

void slm_inspect_print_plan(const slm_report *r, const slm_target *t, int json) {
    if (json)
        print_json(r);
    else
        print_text(r);
    if (t->device.n_sm > 0 && json)
        print_device_json(r, &t->device);
    else if (t->device.n_sm > 0)
        print_device(r, &t->device);
    else if (t->gbps > 0 && json)
        print_speeds_json(r, t);
    else if (t->gbps > 0)
        print_speeds(r, t);
}
