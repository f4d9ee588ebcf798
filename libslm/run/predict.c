/* The prediction: what a token reads against what memory, cache and instruction slots of a device
 * give. docs/ORIN.md derives every figure. */
#include "run/predict.h"

#include "base/status.h"
#include "run/session.h"

/* ---------------------------------------------------------------- figures -------------------- */

/* A multiprocessor of compute capability 8.7, in a clock. */
#define ISSUE_SLOTS                                                                                \
    128.0 /* thread-instructions: four schedulers, a warp each                     */
#define INTEGER_SLOTS                                                                              \
    64.0                 /* of these on the integer pipe, and as many that multiply integers      */
#define CACHE_BYTES 41.7 /* from L2, measured on an Orin Nano */
#define TENSOR_MACS                                                                                \
    2048.0 /* int8 on tensor cores; half of it in fp16                             */

/* Pairs: when all goes well, and when it does not. */
static const double memory_share[2] = {0.91,
                                       0.76}; /* of DRAM's peak, read on a Nano and on an AGX   */
static const double instruction_margin[2] = {1.0, 1.3}; /* what happens outside of main loops */
static const double tensor_margin[2] = {1.0, 2.0}; /* the same for many rows: waits for operands   */
static const double node_us[2] = {1.0, 4.0}; /* nobody has measured it on an Orin: a wide guess */
static const double host_us[2] = {50.0,
                                  150.0}; /* one wait, and sampling from the best candidates     */

/* Kernels of a step around the layers: embedding, norm, head, best candidates in two. */
#define STEP_KERNELS 5u
/* Of a scan: rows prepared and multiplied four times, the convolution and the scan. Of a gate on its
 * memory: the same twice, and the gate. */
#define SCAN_KERNELS   10u
#define MEMORY_KERNELS 5u
#define CHUNK_TOKENS 256u /* of a context, that attention takes by itself; then it joins them */
/* Thread-instructions for a token of a prompt and a channel, for each sixteen states: 195 of the scan,
 * and some 85 of its convolution, counted as those below. */
#define SCAN_SLAB         16u
#define SCAN_INSTRUCTIONS 280.0
#define PROMPT_ROWS                                                                                \
    512u /* of one pass over the weights                                              */

/* Thread-instructions for a weight byte in the main loop of the one-row product on sm_87, counted
 * in the machine code (tests/cuda/gates.py): all, and those of the busier of two pipes with 64
 * lanes, that of logic, shifts and sums and that of integer products. TQ1_0 becomes TQ2_0 on the
 * device, with 66 bytes for 54. Last, what its product with many rows reaches of the int8 peak of
 * tensor cores by what the main loop takes; floats, half of their own peak. */
#define FLOAT_SHARE 0.25
static const struct {
    uint32_t type;
    slm_instruction_cost cost;
    double tensor_share;
} costs[] = {
    {SLM_DTYPE_F32, {0.46, 0.06}, FLOAT_SHARE},
    {SLM_DTYPE_F16, {1.30, 0.08}, FLOAT_SHARE},
    {SLM_DTYPE_BF16, {1.30, 0.56}, FLOAT_SHARE},
    {SLM_DTYPE_Q8_0, {1.11, 0.43}, 0.50},
    {SLM_DTYPE_Q4_0, {2.88, 1.29}, 0.45},
    {SLM_DTYPE_Q4_1, {3.01, 1.16}, 0.29},
    {SLM_DTYPE_Q5_0, {3.20, 1.67}, 0.43},
    {SLM_DTYPE_Q5_1, {3.30, 1.53}, 0.28},
    {SLM_DTYPE_Q2_K, {4.64, 2.67}, 0.54},
    {SLM_DTYPE_Q3_K, {5.18, 2.67}, 0.56},
    {SLM_DTYPE_Q4_K, {2.25, 1.33}, 0.52},
    {SLM_DTYPE_Q5_K, {2.53, 1.59}, 0.51},
    {SLM_DTYPE_Q6_K, {2.37, 1.27}, 0.42},
    {SLM_DTYPE_IQ4_NL, {3.58, 1.94}, 0.37},
    {SLM_DTYPE_IQ4_XS, {3.54, 2.21}, 0.47},
    {SLM_DTYPE_TQ1_0, {4.07, 2.67}, 0.60},
    {SLM_DTYPE_TQ2_0, {3.33, 2.18}, 0.60},
    {SLM_DTYPE_I2_S, {3.47, 2.47}, 0.61},
};

slm_instruction_cost slm_predict_cost(uint32_t dtype) {
    slm_instruction_cost cost = {0, 0};
    for (size_t i = 0; i < sizeof costs / sizeof *costs; i++)
        if (costs[i].type == dtype)
            cost = costs[i].cost;
    return cost;
}

static double tensor_share_of(uint32_t dtype) {
    for (size_t i = 0; i < sizeof costs / sizeof *costs; i++)
        if (costs[i].type == dtype)
            return costs[i].tensor_share;
    return FLOAT_SHARE;
}

/* ---------------------------------------------------------------- a token -------------------- */

void slm_predict_bytes(const slm_model *model, uint64_t bytes[SLM_DTYPE_LIMIT]) {
    slm_plan_sums sums = slm_plan_sum(model);
    uint64_t all, macs, matrices = 0;
    slm_plan_token(model, &all, &macs);
    for (uint32_t i = 0; i < SLM_DTYPE_LIMIT; i++) {
        bytes[i] = sums.bytes[i];
        matrices += bytes[i];
    }
    bytes[SLM_DTYPE_F32] += all > matrices ? all - matrices : 0;
}

/* Keys of a layer that a token behind n others sees. */
static double keys_seen(const slm_model *m, const slm_layer *l, double n) {
    double window = m->groups[l->kv_group].window;
    return window > 0 && n > window ? window : n;
}

/* The same for all tokens of a prompt together, each seeing itself. */
static double keys_of_prompt(const slm_model *m, const slm_layer *l, double n) {
    double full = keys_seen(m, l, n);
    return full * (full + 1) / 2 + (n - full) * full;
}

/* Bytes of the cache that a token behind n others reads. Layers may read what others keep. */
static double cache_bytes(const slm_model *m, double n, double bytes_per_token) {
    double keys = 0, n_kept = 0;
    for (uint32_t i = 0; i < m->config.n_layers; i++)
        if (slm_layer_attends(&m->layers[i]))
            keys += keys_seen(m, &m->layers[i], n);
    for (uint32_t i = 0; i < m->n_groups; i++)
        n_kept += m->groups[i].n_layers;
    return keys / n_kept * bytes_per_token;
}

void slm_predict_traffic(const slm_device_profile *p, const slm_traffic *t, slm_prediction *r) {
    double clocks = p->n_sm * p->sm_mhz * 1e3; /* of all multiprocessors, in a millisecond */
    r->bytes_per_token = (uint64_t)t->bytes;
    r->instruction_budget = ISSUE_SLOTS * clocks / (p->dram_gbps * 1e6);
    r->cache_bytes_per_clock = CACHE_BYTES;
    r->graph_nodes = t->graph_nodes;
    for (int i = 0; i < 2; i++) {
        double instructions = t->instructions * instruction_margin[i];
        double integer = t->integer * instruction_margin[i];
        double slots = instructions / ISSUE_SLOTS, integer_slots = integer / INTEGER_SLOTS;
        r->memory_share[i] = memory_share[i];
        r->instructions_per_byte[i] = instructions / t->bytes;
        r->integer_per_byte[i] = integer / t->bytes;
        r->node_us[i] = node_us[i];
        r->host_us[i] = host_us[i];
        r->memory_ms[i] = t->bytes / (p->dram_gbps * 1e6 * memory_share[i]);
        r->issue_ms[i] = (slots > integer_slots ? slots : integer_slots) / clocks;
        r->cache_ms[i] = t->bytes / (CACHE_BYTES * clocks);
        r->overhead_ms[i] = (t->graph_nodes * node_us[i] + host_us[i]) / 1e3;
        const double terms[] = {r->memory_ms[i], r->issue_ms[i], r->cache_ms[i]};
        double longest = 0;
        for (slm_bound term = SLM_BOUND_MEMORY; term <= SLM_BOUND_CACHE; term++)
            if (terms[term] > longest) {
                longest = terms[term];
                r->bound[i] = term;
            }
        if (r->overhead_ms[i] > longest)
            r->bound[i] = SLM_BOUND_OVERHEAD;
        r->token_ms[i] = longest + r->overhead_ms[i];
        r->tokens_per_second[i] = 1e3 / r->token_ms[i];
    }
}

/* Kernels of attention, as run/backend_cuda.c starts them: preparing rows, products of one type
 * together, the heads, attention and what joins its chunks and pairs, the output. */
static uint32_t attention_kernels(const slm_layer *l, int joins) {
    uint32_t n_qkv = 1;
    if (l->mixer != SLM_MIXER_CROSS)
        n_qkv += (uint32_t)(l->k.type != l->q.type) + (l->v.type != l->k.type);
    return 1 + n_qkv + 1 + 1 + (joins != 0) + (l->pair_norm != NULL) + 2 +
           (l->attn_output.bias != NULL);
}

/* With the feed-forward: rows are prepared before each of its products. */
static uint32_t layer_kernels(const slm_layer *l, int joins) {
    uint32_t n = 2 + (l->gate.type == l->up.type ? 1 : 3) + 1;
    if (l->mixer == SLM_MIXER_SCAN)
        return n + SCAN_KERNELS;
    if (l->mixer == SLM_MIXER_MEMORY)
        return n + MEMORY_KERNELS;
    return n + attention_kernels(l, joins);
}

static uint32_t step_kernels(const slm_model *m, uint32_t depth, slm_dtype kv_type) {
    uint32_t n = STEP_KERNELS;
    for (uint32_t i = 0; i < m->config.n_layers; i++)
        n += layer_kernels(&m->layers[i], depth >= CHUNK_TOKENS && kv_type != SLM_DTYPE_F32);
    return n;
}

static void predict_token(const slm_model *m, const slm_device_profile *p, uint32_t depth,
                          double kv_bytes, slm_dtype kv_type, slm_prediction *r) {
    uint64_t weights[SLM_DTYPE_LIMIT];
    slm_instruction_cost kv = slm_predict_cost(kv_type);
    double cache = cache_bytes(m, depth, kv_bytes);
    slm_traffic t = {cache, cache * kv.all, cache * kv.integer, step_kernels(m, depth, kv_type)};
    slm_predict_bytes(m, weights);
    for (uint32_t i = 0; i < SLM_DTYPE_LIMIT; i++) {
        slm_instruction_cost cost = slm_predict_cost(i);
        t.bytes += (double)weights[i];
        t.instructions += (double)weights[i] * cost.all;
        t.integer += (double)weights[i] * cost.integer;
    }
    slm_predict_traffic(p, &t, r);
}

/* ---------------------------------------------------------------- a prompt ------------------- */

/* Multiply-accumulates of a prompt, and how many int8 ones tensor cores could do meanwhile when all
 * goes well. */
typedef struct prompt_work {
    double macs, time;
} prompt_work;

static void add_work(prompt_work *work, double macs, double share) {
    work->macs += macs;
    work->time += macs / share;
}

/* Behind the keys and values of the last layer that keeps some, only the last token goes on. */
static prompt_work work_of_prompt(const slm_model *m, double n) {
    slm_plan_sums sums = slm_plan_sum(m);
    prompt_work work = {0, 0};
    double keys = 0, n_attend = 0;
    for (uint32_t i = 0; i < m->config.n_layers; i++) {
        const slm_layer *l = &m->layers[i];
        if (!slm_layer_attends(l))
            continue;
        n_attend++;
        keys += i < m->last_writer ? keys_of_prompt(m, l, n) : keys_seen(m, l, n);
    }
    add_work(&work, keys / n_attend * (double)sums.attend_macs, FLOAT_SHARE);
    for (uint32_t i = 0; i < SLM_DTYPE_LIMIT; i++) {
        double every = (double)sums.prompt_macs[i], last = (double)sums.macs[i] - every;
        add_work(&work, every * n + last, tensor_share_of(i));
    }
    double slabs = (m->config.d_state + SCAN_SLAB - 1) / SCAN_SLAB;
    work.time += n * m->n_scans * m->config.d_inner * slabs * SCAN_INSTRUCTIONS *
                 (TENSOR_MACS / ISSUE_SLOTS);
    return work;
}

static void predict_prompt(const slm_model *m, const slm_device_profile *p, slm_prediction *r) {
    uint64_t bytes, unused;
    slm_plan_token(m, &bytes, &unused);
    double passes = (r->n_prompt + PROMPT_ROWS - 1) / PROMPT_ROWS;
    double peak = TENSOR_MACS * p->n_sm * p->sm_mhz * 1e3; /* in a millisecond */
    prompt_work work = work_of_prompt(m, r->n_prompt);
    for (int i = 0; i < 2; i++) {
        r->tensor_share[i] = work.macs / (work.time * tensor_margin[i]);
        double computing = work.time * tensor_margin[i] / peak;
        double reading = passes * (double)bytes / (p->dram_gbps * 1e6 * memory_share[i]);
        double starting = passes * r->graph_nodes * node_us[i] / 1e3;
        double longest = computing > reading ? computing : reading;
        r->prompt_bound[i] = computing > reading ? SLM_BOUND_TENSOR : SLM_BOUND_MEMORY;
        if (starting > longest)
            r->prompt_bound[i] = SLM_BOUND_OVERHEAD;
        r->prompt_ms[i] = longest + starting;
        r->prompt_tokens_per_second[i] = r->n_prompt / r->prompt_ms[i] * 1e3;
        r->first_token_ms[i] = r->prompt_ms[i] + host_us[i] / 1e3;
    }
}

double slm_predict_row_ns(const slm_model *m, uint32_t n_sm, uint32_t sm_mhz) {
    double peak = TENSOR_MACS * n_sm * sm_mhz * 1e-3; /* in a nanosecond */
    return work_of_prompt(m, PROMPT_ROWS).time * tensor_margin[1] / PROMPT_ROWS / peak;
}

/* ---------------------------------------------------------------- both ----------------------- */

static slm_status check_range(double value, double least, double most, const char *what,
                              slm_error *error) {
    if (value >= least && value <= most)
        return SLM_OK;
    return slm_fail(error, SLM_ERR_RANGE, what, SLM_NO_OFFSET,
                    "slm_device_profile: %s: got %g, wanted %g to %g", what, value, least, most);
}

static slm_status check_context(const slm_model *m, uint32_t n, const char *what,
                                slm_error *error) {
    if (n <= m->config.n_ctx_train)
        return SLM_OK;
    return slm_fail(error, SLM_ERR_LIMIT, what, SLM_NO_OFFSET,
                    "slm_predict: %s: got %u tokens, the model's context has %u", what, n,
                    m->config.n_ctx_train);
}

slm_status slm_predict_step(const slm_model *m, const slm_device_profile *p,
                            const slm_predict_options *o, slm_prediction *r, slm_error *error) {
    SLM_TRY(check_range(p->n_sm, 1, 1024, "n_sm", error));
    SLM_TRY(check_range(p->sm_mhz, 1, 10000, "sm_mhz", error));
    SLM_TRY(check_range(p->dram_gbps, 1e-3, 1e5, "dram_gbps", error));
    slm_cache_options asked = {.struct_size = sizeof asked, .kv_type = o->kv_type}, filled;
    slm_plan plan;
    SLM_TRY(slm_cache_make_plan(m, &asked, &filled, &plan, error));
    SLM_TRY(check_context(m, o->depth, "depth", error));
    SLM_TRY(check_context(m, o->n_prompt, "n_prompt", error));
    *r = (slm_prediction){.struct_size = sizeof *r, .n_prompt = o->n_prompt};
    if (r->n_prompt == 0)
        r->n_prompt = m->config.n_ctx_train < 512 ? m->config.n_ctx_train : 512;
    slm_dtype kv_type = filled.kv_type == SLM_KV_F32    ? SLM_DTYPE_F32
                        : filled.kv_type == SLM_KV_Q8_0 ? SLM_DTYPE_Q8_0
                                                        : SLM_DTYPE_F16;
    predict_token(m, p, o->depth, (double)plan.kv_bytes_per_token, kv_type, r);
    predict_prompt(m, p, r);
    return SLM_OK;
}
