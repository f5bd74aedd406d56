/* SPDX-License-Identifier: Apache-2.0 */
/* Shuffle orders for the words of 8 lanes. */
#ifndef ZNL_EXPAND_H
#define ZNL_EXPAND_H

#include <stdint.h>

/* Row m: the k-th of 8 words goes to the k-th lane marked in m, the other lanes get 0. */
extern const uint8_t znl_expand_words[256][16];

/* Row m: the words of the lanes marked in m, in order, at the end of the 16 bytes. */
extern const uint8_t znl_collect_words[256][16];

#endif
