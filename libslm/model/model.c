#include "model/device.h"
#include "model/pack.h"

#include <string.h>

static const slm_model_options default_options = {
    .struct_size = sizeof(slm_model_options),
    .log_level = SLM_LOG_WARNING,
};

static slm_status check_options(slm_model_options *o, slm_error *error) {
    if (o->flags & ~(uint32_t)(SLM_MODEL_VOCAB_ONLY | SLM_MODEL_STRICT | SLM_MODEL_CHECK_TENSORS))
        return slm_fail(error, SLM_ERR_ARG, "flags", SLM_NO_OFFSET,
                        "slm_model_options.flags: got 0x%x, which has unknown bits", o->flags);
    if (o->device < SLM_DEVICE_AUTO || o->device > SLM_DEVICE_CUDA)
        return slm_fail(error, SLM_ERR_ARG, "device", SLM_NO_OFFSET,
                        "slm_model_options.device: got %d, wanted 0 to 2", o->device);
    if (o->device == SLM_DEVICE_CUDA)
        SLM_TRY(slm_device_probe(error));
    if (o->load < SLM_LOAD_AUTO || o->load > SLM_LOAD_PACK)
        return slm_fail(error, SLM_ERR_ARG, "load", SLM_NO_OFFSET,
                        "slm_model_options.load: got %d, wanted 0 to 3", o->load);
    if (o->allocator != NULL && (o->allocator->alloc == NULL) != (o->allocator->free == NULL))
        return slm_fail(error, SLM_ERR_ARG, "allocator", SLM_NO_OFFSET,
                        "slm_model_options.allocator: got one of alloc and free, wanted both");
    if (o->log_level == SLM_LOG_NONE)
        o->log_level = SLM_LOG_WARNING;
    return SLM_OK;
}

static void destroy(slm_model *m) {
    slm_host *host = &m->host;
    slm_device_unload(m);
    slm_free(host, m->inv_freq[0]);
    slm_free(host, m->inv_freq[1]);
    slm_free(host, m->vectors);
    slm_free(host, m->packed);
    slm_file_close(host, m->packed_file);
    slm_free(host, m->layers);
    slm_trie_close(atomic_load(&m->trie));
    slm_vocab_close(m->vocab);
    slm_gguf_close(m->gguf);
    slm_host last = *host; /* the model itself came from it */
    slm_free(&last, m);
}

static slm_status open_gguf(slm_model *m, const slm_model_source *s, const slm_model_options *o,
                            int for_device, slm_error *error) {
    uint32_t flags = 0;
    if (o->flags & SLM_MODEL_STRICT)
        flags |= SLM_GGUF_STRICT;
    if (o->flags & SLM_MODEL_VOCAB_ONLY)
        flags |= SLM_GGUF_NO_TENSORS;
    slm_load load = for_device ? SLM_LOAD_AROUND : o->load;
    if (s->path != NULL)
        return slm_gguf_open(&m->host, s->path, load, flags, o->progress, o->progress_user,
                             &m->gguf, error);
    slm_file *file = NULL;
    if (s->data != NULL) {
        if (((uintptr_t)s->data & 63u) != 0)
            load = SLM_LOAD_READ; /* weights are aligned relative to the first byte */
        SLM_TRY(slm_file_open_memory(&m->host, s->data, s->size, load, &file, error));
    } else {
        SLM_TRY(slm_file_open_fd(&m->host, s->fd, load, o->progress, o->progress_user, &file,
                                 error));
    }
    return slm_gguf_open_file(&m->host, file, flags, &m->gguf, error);
}

/* Adapters, projectors and importance matrices are GGUF files too. */
static slm_status check_kind(const slm_gguf *g, slm_error *error) {
    slm_str type = {"model", 5};
    SLM_TRY(slm_gguf_get_str(g, "general.type", 0, &type, error));
    if (type.len == 5 && memcmp(type.ptr, "model", 5) == 0)
        return SLM_OK;
    char name[48];
    slm_escape(name, sizeof name, type.ptr, type.len);
    return slm_fail(error, SLM_ERR_UNSUP, "general.type", SLM_NO_OFFSET,
                    "general.type: got \"%s\", wanted a file that holds a model", name);
}

/* Whether the weights go to a device: where one is asked for, or is there and usable. */
static int is_for_device(const slm_model_options *o) {
    return !(o->flags & SLM_MODEL_VOCAB_ONLY) && o->device != SLM_DEVICE_CPU &&
           slm_device_probe(NULL) == SLM_OK;
}

static void runs_on_cpu(const slm_model *m, const slm_error *why) {
    slm_log(&m->host, SLM_LOG_WARNING, "the model runs on the processor: %s", why->message);
}

/* *on_cpu: the device does not do after all, so that the file has to be opened as the processor wants
 * it. */
static slm_status place_weights(slm_model *m, const slm_model_source *s, const slm_model_options *o,
                                int for_device, int *on_cpu, slm_error *error) {
    slm_error why = SLM_ERROR_INIT;
    if (o->device == SLM_DEVICE_CUDA)
        return slm_device_load(m, o, error);
    if (for_device) {
        slm_status status = slm_device_load(m, o, &why);
        *on_cpu = status == SLM_ERR_DEVICE || status == SLM_ERR_NOMEM || status == SLM_ERR_UNSUP;
        if (*on_cpu)
            runs_on_cpu(m, &why);
        else if (status != SLM_OK)
            slm_fail(error, status, why.subject, why.offset, "%s", why.message);
        return status;
    }
    if (o->device == SLM_DEVICE_AUTO && slm_device_probe(&why) == SLM_ERR_DEVICE)
        runs_on_cpu(m, &why);
    return slm_weights_pack(m, s->path, o, error);
}

static slm_status open_parts(slm_model *m, const slm_model_source *s, const slm_model_options *o,
                             int *on_cpu, slm_error *error) {
    int for_device = is_for_device(o);
    SLM_TRY(open_gguf(m, s, o, for_device, error));
    for (uint32_t i = 0; i < slm_gguf_n_parts(m->gguf); i++) {
        const slm_file *part = slm_gguf_part(m->gguf, i);
        *(part->kind == SLM_FILE_READ ? &m->read_bytes : &m->mapped_bytes) += part->size;
    }
    SLM_TRY(check_kind(m->gguf, error));
    if (m->host.limit != 0) {
        uint64_t wanted = m->mapped_bytes + atomic_load(&m->host.bytes);
        if (wanted > m->host.limit)
            return slm_fail(error, SLM_ERR_NOMEM, "memory_limit", SLM_NO_OFFSET,
                            "the model needs %llu bytes, but memory_limit is %llu",
                            (unsigned long long)wanted, (unsigned long long)m->host.limit);
        m->host.limit -= m->mapped_bytes;
    }
    if (o->flags & SLM_MODEL_VOCAB_ONLY) { /* any family's tokenizer will do */
        SLM_TRY(slm_gguf_get_str(m->gguf, "general.architecture", 1, &m->arch_name, error));
    } else {
        const slm_arch *arch = NULL;
        SLM_TRY(slm_arch_find(m->gguf, &arch, &m->arch_name, error));
    }
    SLM_TRY(slm_vocab_open(&m->host, m->gguf, m->arch_name, &m->vocab, error));
    m->chat = slm_chat_detect(m->gguf, m->arch_name, m->vocab);
    /* Asking the processor takes longer than refusing a bad file, where it is a virtual one. */
    m->cpu_levels = (o->cpu_levels == 0 ? UINT32_MAX : o->cpu_levels) & slm_cpu_levels();
    m->cpu_levels |= SLM_LEVEL_PORTABLE;
    if (o->flags & SLM_MODEL_VOCAB_ONLY)
        return SLM_OK;

    slm_kernels_init(&m->kernels, m->cpu_levels);
    SLM_TRY(slm_config_read(m->gguf, slm_vocab_size(m->vocab), &m->config, error));
    SLM_TRY(slm_weights_bind(m, o->flags, error));
    if (o->flags & SLM_MODEL_CHECK_TENSORS)
        SLM_TRY(slm_weights_check(m, o->progress, o->progress_user, error));
    SLM_TRY(place_weights(m, s, o, for_device, on_cpu, error));
    m->has_weights = 1;
    return SLM_OK;
}

static slm_status open_once(const slm_model_source *source, const slm_model_options *o, int *on_cpu,
                            slm_model **out, slm_error *error) {
    slm_host host;
    slm_host_init(&host, o->allocator, o->log, o->log_user, o->log_level);
    host.limit = o->memory_limit;
    slm_model *m = slm_calloc(&host, 1, sizeof *m);
    if (m == NULL)
        return slm_fail_nomem(error, sizeof *m, "the model");
    slm_host_init(&m->host, o->allocator, o->log, o->log_user, o->log_level);
    atomic_store(&m->host.bytes, atomic_load(&host.bytes));
    m->host.limit = o->memory_limit;
    atomic_store(&m->n_refs, 1);

    slm_status status = open_parts(m, source, o, on_cpu, error);
    if (status != SLM_OK) {
        destroy(m);
        return status;
    }
    m->own_bytes = atomic_load(&m->host.bytes) - m->read_bytes - m->packed_bytes -
                   m->on_device_bytes;
    *out = m;
    return SLM_OK;
}

slm_status slm_model_open_source(const slm_model_source *source, const slm_model_options *options,
                                 slm_model **out, slm_error *error) {
    slm_model_options o;
    int on_cpu = 0;
    *out = NULL;
    SLM_TRY(slm_copy_options(&o, sizeof o, &default_options, options, "slm_model_options", error));
    SLM_TRY(check_options(&o, error));
    slm_status status = open_once(source, &o, &on_cpu, out, error);
    if (!on_cpu)
        return status;
    o.device = SLM_DEVICE_CPU;
    return open_once(source, &o, &on_cpu, out, error);
}

void slm_model_retain(slm_model *m) { atomic_fetch_add(&m->n_refs, 1); }

void slm_model_release(slm_model *m) {
    if (m != NULL && atomic_fetch_sub(&m->n_refs, 1) == 1)
        destroy(m);
}

/* Of two threads that make it at the same time, the first keeps it. */
slm_status slm_model_get_trie(slm_model *m, slm_trie **out, slm_error *error) {
    slm_trie *made = NULL, *kept = atomic_load(&m->trie);
    if (kept == NULL) {
        SLM_TRY(slm_trie_open(&m->host, m->vocab, &made, error));
        if (atomic_compare_exchange_strong(&m->trie, &kept, made))
            kept = made;
        else
            slm_trie_close(made);
    }
    *out = kept;
    return SLM_OK;
}

slm_status slm_model_get_fingerprint(slm_model *m, uint64_t *fingerprint, slm_error *error) {
    *fingerprint = atomic_load(&m->fingerprint);
    if (*fingerprint != 0)
        return SLM_OK;
    SLM_TRY(slm_packed_fingerprint(m, fingerprint, error));
    atomic_store(&m->fingerprint, *fingerprint);
    return SLM_OK;
}

const char *slm_model_main_type(const slm_model *m) {
    uint64_t bytes[SLM_DTYPE_LIMIT] = {0};
    uint32_t best = SLM_DTYPE_F32;
    for (uint64_t i = 0; i < slm_gguf_n_tensors(m->gguf); i++) {
        const slm_gguf_tensor *t = slm_gguf_tensor_at(m->gguf, i);
        if (t->n_dims >= 2 && t->type < SLM_DTYPE_LIMIT)
            bytes[t->type] += t->n_elements;
    }
    for (uint32_t i = 0; i < SLM_DTYPE_LIMIT; i++)
        if (bytes[i] > bytes[best])
            best = i;
    return bytes[best] == 0 ? "" : slm_dtype_get(best)->name;
}
