#include "model/config.h"

#include <stdio.h>
#include <string.h>

static const slm_arch *const archs[] = {
    &slm_arch_llama, &slm_arch_phi3, &slm_arch_qwen2, &slm_arch_qwen3, &slm_arch_bitnet,
    &slm_arch_bitnet_25, &slm_arch_phi4flash,
};

slm_status slm_arch_find(const slm_gguf *g, const slm_arch **arch, slm_str *name,
                         slm_error *error) {
    SLM_TRY(slm_gguf_get_str(g, "general.architecture", 1, name, error));
    char known[160] = "", shown[48];
    size_t used = 0;
    for (size_t i = 0; i < sizeof archs / sizeof archs[0]; i++) {
        if (strlen(archs[i]->name) == name->len &&
            memcmp(archs[i]->name, name->ptr, name->len) == 0) {
            *arch = archs[i];
            return SLM_OK;
        }
        used += (size_t)snprintf(known + used, sizeof known - used, "%s%s", i > 0 ? ", " : "",
                                 archs[i]->name);
    }
    if (name->len > 64)
        return slm_fail(error, SLM_ERR_LIMIT, "general.architecture", SLM_NO_OFFSET,
                        "general.architecture: got a name of %zu bytes, wanted at most 64",
                        name->len);
    slm_escape(shown, sizeof shown, name->ptr, name->len);
    return slm_fail(error, SLM_ERR_UNSUP, "general.architecture", SLM_NO_OFFSET,
                    "general.architecture: got \"%s\", wanted one of %s", shown, known);
}
