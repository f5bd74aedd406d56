/* SPDX-License-Identifier: Apache-2.0 */
/* Splitting with AVX2: the loops of planes_body.h as the compiler vectorises them. */
#include <string.h>

#include "bytes.h"
#include "errors.h"
#include "planes.h"

#include "target.h"

#if ZNL_HAS_AVX2

#ifdef __AVX2__
#error "build for the baseline: this file must not decide what other code may use"
#endif

#if defined(__clang__)
#pragma clang attribute push(ZNL_TARGET_AVX2, apply_to = function)
#elif defined(__GNUC__)
#pragma GCC push_options
ZNL_PRAGMA(GCC target(ZNL_FEATURES_AVX2))
#endif

#define SPLIT znl_split_avx2
#include "planes_body.h" /* last: it uses the names above */

#if defined(__clang__)
#pragma clang attribute pop
#elif defined(__GNUC__)
#pragma GCC pop_options
#endif

#endif
