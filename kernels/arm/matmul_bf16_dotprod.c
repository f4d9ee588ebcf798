#include "float_rows.h"

SLM_DEFINE_F32(bf16, 2)
