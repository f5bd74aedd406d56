/* SPDX-License-Identifier: Apache-2.0 */
/* Planes with SSSE3 and SSE4.1. */
#include "errors.h"
#include "planes.h"
#include "target.h"

#if ZNL_HAS_SSE4
#include <immintrin.h>

#include "vector_sse4.h"

#define SPLIT znl_split_sse4
#define MERGE znl_merge_sse4
#include "planes_shuffle_body.h" /* last: it uses the names above */

#endif
