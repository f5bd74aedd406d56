/* SPDX-License-Identifier: Apache-2.0 */
/* Planes with AVX2. */
#include "errors.h"
#include "planes.h"
#include "target.h"

#if ZNL_HAS_AVX2
#include <immintrin.h>

#include "vector_avx2.h"

#define SPLIT znl_split_avx2
#define MERGE znl_merge_avx2
#include "planes_shuffle_body.h" /* last: it uses the names above */

#endif
