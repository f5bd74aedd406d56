/* SPDX-License-Identifier: Apache-2.0 */
/* XXH3-64 with SSE4. */
#include "checksum.h"
#include "target.h"

#if ZNL_HAS_SSE4
#include <immintrin.h>

#include "vector_sse4.h"

#define CHECKSUM znl_xxh3_64_sse4
#define MIX_BLOCKS znl_xxh3_blocks_sse4
#include "checksum_vector_body.h" /* last: it uses the names above */

#endif
