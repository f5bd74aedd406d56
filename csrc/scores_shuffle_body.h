/* SPDX-License-Identifier: Apache-2.0 */
/* The text of scores by vectors of bytes. For files that include a vector_*.h, and define SCORE_ROW and FIND_PLACES,
 * the functions' names. */

/* The transformed tops of LANES values. */
TARGET ZNL_INLINE V load_tops(const uint8_t *in, size_t width)
{
    if (width == 1) return WIDEN8(in);
    if (width == 2) return LOAD(in);
    return NARROW32(SHIFT_RIGHT32(LOAD(in), 16), SHIFT_RIGHT32(LOAD(in + sizeof(V)), 16));
}

/* Numbers of 32 bits added up: those of sums and those of counts. */
TARGET ZNL_INLINE znl_row_score add_up(V sums, V counts)
{
    uint32_t each[LANES / 2];
    znl_row_score row = {0, 0};
    V both = ADD32(UNPACK_LOW32(sums, counts), UNPACK_HIGH32(sums, counts));
    both = ADD32(both, SWAP_HALVES64(both));
    STORE(each, both);
    for (unsigned half = 0; half < LANES / 2; half += 4) {
        row.sum += each[half];
        row.count += each[half + 1];
    }
    return row;
}

/* The scores of LANES values; width and is_distance are constants. */
TARGET ZNL_INLINE V find_scores(znl_score_rule rule, const uint8_t *in, size_t width,
                                int is_distance)
{
    const V tops = load_tops(in, width), centre = SET16(rule.centre);
    if (!is_distance) return AND(SHIFT_RIGHT16(tops, rule.shift), SET16(rule.mask));
    const V flipped = XOR(tops, SET16(rule.flip));
    return OR(SUB_SATURATED16(flipped, centre), SUB_SATURATED16(centre, flipped));
}

/* The first `count` values of a row, a multiple of LANES; width, is_distance and has_columns are constants. */
TARGET ZNL_INLINE znl_row_score score_vectors(znl_score_rule rule, const uint8_t *in, size_t count,
                                              uint16_t *column_sums, size_t width, int is_distance,
                                              int has_columns)
{
    const V least = SET16(rule.least), ones = SET16(1);
    V sums = ZERO(), counts = ZERO(); /* of 32 and 16 bits */
    for (size_t i = 0; i < count; i += LANES) {
        const V scores = find_scores(rule, in + i * width, width, is_distance);
        sums = ADD32(sums, ADD_PAIRS16(scores, ones));
        counts = ADD16(counts, MIN16(scores, ones));
        if (has_columns)
            STORE(column_sums + i, ADD16(LOAD(column_sums + i), SUB_SATURATED16(scores, least)));
    }
    return add_up(sums, ADD_PAIRS16(counts, ones));
}

#define SCORE_VECTORS(width, is_distance)                                                          \
    (column_sums ? score_vectors(*rule, in, done, column_sums, width, is_distance, 1)              \
                 : score_vectors(*rule, in, done, NULL, width, is_distance, 0))

TARGET znl_row_score SCORE_ROW(const znl_score_rule *rule, const uint8_t *in, size_t row_values,
                               uint16_t *column_sums)
{
    znl_row_score row = {0, 0};
    size_t done = row_values / LANES * LANES;
    if (rule->is_distance)
        row = SCORE_VECTORS(1, 1);
    else if (rule->width == 1)
        row = SCORE_VECTORS(1, 0);
    else if (rule->width == 2)
        row = SCORE_VECTORS(2, 0);
    else if (rule->width == 4)
        row = SCORE_VECTORS(4, 0);
    else
        done = 0;
    if (done == row_values) return row;
    const znl_row_score rest = znl_score_row_scalar(
        rule, in + done * rule->width, row_values - done, column_sums ? column_sums + done : NULL);
    row.sum += rest.sum;
    row.count += rest.count;
    return row;
}

/* Places of a piece; width is a constant. */
TARGET ZNL_INLINE void find_places(const znl_score_rule *rule, const znl_windows *windows,
                                   const uint8_t *in, const int8_t *columns, size_t width,
                                   uint16_t *places)
{
    const V first_of_all = SET16(windows->first), moves = SET16(windows->moves ? -1 : 0);
    for (unsigned i = 0; i < ZNL_PIECE_VALUES; i += LANES) {
        const V tops = XOR(load_tops(in + i * width, width), SET16(rule->flip));
        const V symbols = AND(SHIFT_RIGHT16(tops, rule->shift), SET16(rule->mask));
        /* The sum is 128 or more before 128 is taken from it, but not below 0. */
        V bins = ADD16(SET16(windows->bin + 128), WIDEN_SIGNED8(columns + i));
        bins = MIN16(SUB_SATURATED16(bins, SET16(128)), SET16(ZNL_BIN_COUNT - 1));
        const V first = AND(ADD16(first_of_all, SHIFT_RIGHT16(bins, 2)), moves);
        const V place = SUB16(symbols, first);
        const V is_inside = EQUAL16(MIN16(place, SET16(ZNL_WINDOW_ZERO - 1)), place);
        V found = SELECT8(is_inside, place, SET16(ZNL_WINDOW_OTHER));
        found = SELECT8(EQUAL16(symbols, ZERO()), SET16(ZNL_WINDOW_ZERO), found);
        bins = SHIFT_LEFT16(SUB16(bins, SET16(windows->lowest)), 6);
        STORE(places + i, ADD16(bins, found));
    }
}

TARGET void FIND_PLACES(const znl_score_rule *rule, const znl_windows *windows, const uint8_t *in,
                        const int8_t *columns, uint16_t *places)
{
    switch (rule->width) {
    case 1: find_places(rule, windows, in, columns, 1, places); return;
    case 2: find_places(rule, windows, in, columns, 2, places); return;
    case 4: find_places(rule, windows, in, columns, 4, places); return;
    default: znl_find_places_scalar(rule, windows, in, columns, places); return;
    }
}
