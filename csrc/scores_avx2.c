/* SPDX-License-Identifier: Apache-2.0 */
/* Scores with AVX2. */
#include "scores.h"
#include "target.h"

#if ZNL_HAS_AVX2
#include <immintrin.h>

#include "vector_avx2.h"

#define SCORE_ROW znl_score_row_avx2
#define FIND_PLACES znl_find_places_avx2
#include "scores_shuffle_body.h" /* last: it uses the names above */

#endif
