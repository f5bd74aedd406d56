/* SPDX-License-Identifier: Apache-2.0 */
/* The steps of encoding a static or arranged chunk: it is described, begun, coded from its end, and finished. */
#ifndef ZNL_STATIC_ENCODER_H
#define ZNL_STATIC_ENCODER_H

#include "static_body.h"

/* A chunk that is being encoded, from its end. */
typedef struct {
    znl_chunk *chunk;
    const znl_layout *layout;
    const uint8_t *source;  /* the chunk's values, in the order in which they are coded */
    const uint8_t *classes; /* of each unit; NULL: one table */
    const znl_arrangement *arrangement; /* NULL: a static chunk */
    uint8_t *planes;                    /* of a run, to be packed; NULL: they are stored whole */
    znl_static_shape shape;
    unsigned context_count; /* the last of the tables are for second symbols */
    const znl_encode_model *models[ZNL_MAX_TABLES];
    znl_encode_lanes lanes;
    uint32_t *patches_end;
    uint8_t *raw;        /* the raw section, whole */
    size_t words_room;   /* at first */
    size_t before_words; /* bytes, without patches and the gap */
    size_t behind_words;
    size_t block; /* those before it are left */
} znl_static_encoder;

/* Make room for the models of `wanted` tables: those found from now on stay. */
void znl_encoder_reserve(znl_encode_cache *cache, size_t wanted);

/* What is to be encoded: a static chunk, with the class of each unit, or NULL and one table. */
void znl_encoder_describe(const znl_layout *layout, znl_chunk *chunk, const uint8_t *classes,
                          znl_static_encoder *it);

/* All but the states, which need the end of the raw section. The shape is final. Returns ZNL_OK or ZNL_E_NO_ROOM. */
int znl_encoder_begin(const znl_freq_table *tables, znl_encode_cache *cache,
                      znl_encode_chunk_scratch *scratch, znl_static_encoder *it);

/* The end of the raw section is there: it moves into the states. */
void znl_encoder_begin_lanes(znl_static_encoder *it);

/* The first block of the last run before `end`. */
size_t znl_encoder_run_begin(size_t end);

/* Split the next run, the one before those that were encoded; the last run of all begins the lanes. */
void znl_encoder_begin_run(const znl_kernels *kernels, znl_static_encoder *it, size_t begin_block,
                           uint16_t *symbols);

/* Put the body together. Returns ZNL_OK, or ZNL_E_NO_ROOM when it is not smaller than the source. */
int znl_encoder_finish(znl_static_encoder *it);

#endif
