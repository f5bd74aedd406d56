/* SPDX-License-Identifier: Apache-2.0 */
/* Planes with AVX-512: the loops of planes_body.h as the compiler vectorises them. */
#include <string.h>

#include "bytes.h"
#include "errors.h"
#include "planes.h"

#include "target.h"

#if ZNL_HAS_AVX512

#ifdef __AVX512F__
#error "build for the baseline: this file must not decide what other code may use"
#endif

#if defined(__clang__)
#pragma clang attribute push(ZNL_TARGET_AVX512, apply_to = function)
#elif defined(__GNUC__)
#pragma GCC push_options
ZNL_PRAGMA(GCC target(ZNL_FEATURES_AVX512))
#endif

#define SPLIT znl_split_avx512
#define MERGE znl_merge_avx512
#include "planes_body.h" /* last: it uses the names above */

#if defined(__clang__)
#pragma clang attribute pop
#elif defined(__GNUC__)
#pragma GCC pop_options
#endif

#endif
