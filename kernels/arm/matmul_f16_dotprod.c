#include "float_rows.h"

SLM_DEFINE_F32(f16, 2)
