/* SPDX-License-Identifier: Apache-2.0 */
/* XXH3-64 with AVX2. */
#include "checksum.h"
#include "target.h"

#if ZNL_HAS_AVX2
#include <immintrin.h>

#include "vector_avx2.h"

#define CHECKSUM znl_xxh3_64_avx2
#define MIX_BLOCKS znl_xxh3_blocks_avx2
#include "checksum_vector_body.h" /* last: it uses the names above */

#endif
