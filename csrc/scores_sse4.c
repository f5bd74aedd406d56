/* SPDX-License-Identifier: Apache-2.0 */
/* Scores with SSSE3 and SSE4.1. */
#include "scores.h"
#include "target.h"

#if ZNL_HAS_SSE4
#include <immintrin.h>

#include "vector_sse4.h"

#define SCORE_ROW znl_score_row_sse4
#define FIND_PLACES znl_find_places_sse4
#include "scores_shuffle_body.h" /* last: it uses the names above */

#endif
