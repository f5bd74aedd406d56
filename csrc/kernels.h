/* SPDX-License-Identifier: Apache-2.0 */
/* The dispatch table: one function type per kernel family, one struct of pointers. The portable C version of each
 * is its definition; an instruction set overwrites the entries that it has. */
#ifndef ZNL_KERNELS_H
#define ZNL_KERNELS_H

#include <stddef.h>
#include <stdint.h>

#include "checksum.h"
#include "fused.h"
#include "layout.h"
#include "moves.h"
#include "planes.h"
#include "rans.h"
#include "scores.h"
#include "second.h"

struct znl_kernels {
    znl_histogram_fn *histogram;
    znl_split_fn *split;
    znl_merge_fn *merge;
    znl_rans_encode_fn *rans_encode;
    znl_rans_encode_pair_fn *rans_encode_pair; /* NULL where two chunks at once gain nothing */
    znl_rans_decode_fn *rans_decode;
    znl_decode_pair_fn *decode_pair; /* NULL where two chunks side by side gain nothing */
    int wants_slots;                 /* rans_decode reads the table of slots */
    znl_arrange_row_fn *arrange_row; /* NULL: portable loops over lists of columns are as good */
    znl_restore_row_fn *restore_row;
    znl_count_contexts_fn *count_contexts;
    znl_sort_second_fn *sort_second;
    znl_spread_second_fn *spread_second;
    znl_read_fields_fn *read_fields;
    znl_score_row_fn *score_row;
    znl_find_places_fn *find_places;
    znl_xxh3_64_fn *xxh3_64;
    znl_xxh3_blocks_fn *xxh3_blocks; /* the same, for a checksum that is taken piece by piece */
};

#endif
