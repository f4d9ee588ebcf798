/* The selective scan and its convolution: the portable level. */
#define NAME(op) slm_##op##_ref
#include "scan.h"
