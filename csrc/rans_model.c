/* SPDX-License-Identifier: Apache-2.0 */
/* Tables into the forms that the coders run on. */
#include <string.h>

#include "rans.h"

/* The pieces that buckets lend, sorted: those of one symbol follow each other in the order of buckets. */
static void build_pieces(const znl_alias *alias, const uint16_t *first, znl_piece_model *pieces)
{
    uint16_t begins[ZNL_SYMBOL_COUNT];
    unsigned lent_to[ZNL_SYMBOL_COUNT] = {0}, count = 0;
    memset(pieces->lent_shift, 0, sizeof pieces->lent_shift);
    for (unsigned b = 0; b < ZNL_SYMBOL_COUNT; b++)
        lent_to[alias->alias[b]] += alias->threshold[b] != ZNL_BUCKET_SIZE;
    for (unsigned s = 0; s < ZNL_SYMBOL_COUNT; s++) {
        const unsigned pieces_of_symbol = lent_to[s];
        pieces->threshold[s] = alias->threshold[s];
        pieces->own_shift[s] = (uint16_t)(s * ZNL_BUCKET_SIZE - first[s]);
        lent_to[s] = count; /* from here on the number of the symbol's next piece */
        count += pieces_of_symbol;
    }
    for (unsigned b = 0; b < ZNL_SYMBOL_COUNT; b++) {
        const unsigned s = alias->alias[b];
        if (alias->threshold[b] == ZNL_BUCKET_SIZE) continue;
        const int begin = first[s] + alias->threshold[b] + alias->shift[b];
        begins[lent_to[s]] = (uint16_t)begin;
        pieces->lent_shift[lent_to[s]++] =
            (uint16_t)((int)(b * ZNL_BUCKET_SIZE) + alias->threshold[b] - begin);
    }
    for (unsigned i = 0; i < ZNL_SYMBOL_COUNT; i++)
        pieces->last_of[i] = i + 1 < count ? (uint16_t)(begins[i + 1] - 1) : INT16_MAX;
    pieces->steps = 0;
    for (unsigned cell = 0, piece = 0; cell < ZNL_CELL_COUNT; cell++) {
        const unsigned begin = cell * (ZNL_TABLE_SIZE / ZNL_CELL_COUNT);
        unsigned last;
        while (pieces->last_of[piece] < begin) piece++;
        pieces->piece_of[cell] = (uint16_t)piece;
        for (last = piece; pieces->last_of[last] + 1u < begin + ZNL_TABLE_SIZE / ZNL_CELL_COUNT;
             last++)
            ;
        if (last - piece > pieces->steps) pieces->steps = last - piece;
    }
}

/* The slots from `slot` on, which follow each other, and again for quotients that are 1 short. */
static void fill_run(uint16_t *slots, unsigned count, unsigned slot, unsigned frequency)
{
    uint16_t *short_slots = slots + frequency;
    for (unsigned i = 0; i < count; i++) {
        slots[i] = (uint16_t)(slot + i);
        short_slots[i] = (uint16_t)(slot + i + ZNL_TABLE_SIZE);
    }
}

static void fill_encoder_slots(const znl_alias *alias, znl_encode_model *model)
{
    for (unsigned b = 0; b < ZNL_SYMBOL_COUNT; b++) {
        const unsigned threshold = alias->threshold[b], lent = alias->alias[b];
        const unsigned slot = b * ZNL_BUCKET_SIZE;
        const int lent_at = model->begin[lent] + alias->shift[b] + (int)threshold;
        fill_run(model->slots + model->begin[b], threshold, slot, model->frequency[b]);
        fill_run(model->slots + lent_at, ZNL_BUCKET_SIZE - threshold, slot + threshold,
                 model->frequency[lent]);
    }
    model->slots[2 * ZNL_TABLE_SIZE] = 0;
}

void znl_encode_model_build(const znl_freq_table *table, unsigned symbol_bits,
                            znl_encode_model *model)
{
    memset(model->symbol_of, ZNL_PATCHED | (ZNL_SYMBOL_COUNT - 1), (size_t)1 << symbol_bits);
    model->base = table->base;
    model->mask = (uint16_t)((1u << symbol_bits) - 1);
    model->may_pass_2_31 = 0;
    unsigned first = 0;
    /* Where a window wraps around the value 0, the last symbol, which is 0 by itself, wins. */
    for (unsigned s = 0; s < ZNL_SYMBOL_COUNT; s++) {
        const unsigned frequency = table->frequency[s];
        const unsigned value = znl_table_value(table, s, symbol_bits);
        model->symbol_of[value] = (uint8_t)s;
        model->value_of[s] = (uint16_t)value;
        model->first[s] = (uint16_t)first;
        model->frequency_bytes[0][s] = (uint8_t)frequency;
        model->frequency_bytes[1][s] = (uint8_t)(frequency >> 8);
        model->begin[s] = (uint16_t)(2 * first);
        model->begin_bytes[0][s] = (uint8_t)model->begin[s];
        model->begin_bytes[1][s] = (uint8_t)(model->begin[s] >> 8);
        model->value_bytes[0][s] = (uint8_t)value;
        model->value_bytes[1][s] = (uint8_t)(value >> 8);
        model->frequency[s] = (uint16_t)frequency;
        model->reciprocal[s] = ((UINT64_C(1) << ZNL_RECIPROCAL_SHIFT) + frequency - 1) / frequency;
        /* 8 units of 2^-24 below: four roundings, here and in a kernel, each at most 2 units off in any
         * rounding mode of the process. */
        model->inverse[s] = 1.0f / (float)frequency * (1.0f - 8.0f / 16777216.0f);
        model->may_pass_2_31 |= frequency > ZNL_TABLE_SIZE / 2;
        first += frequency;
    }
    znl_alias alias;
    znl_alias_build(table, &alias);
    build_pieces(&alias, model->first, &model->pieces);
    fill_encoder_slots(&alias, model);
}

static void fill_slots(const znl_freq_table *table, const znl_alias *alias, uint32_t *slots)
{
    for (unsigned b = 0; b < ZNL_SYMBOL_COUNT; b++) {
        const unsigned threshold = alias->threshold[b], lent = alias->alias[b];
        for (unsigned r = 0; r < ZNL_BUCKET_SIZE; r++) {
            const unsigned symbol = r < threshold ? b : lent;
            const unsigned index = r < threshold ? r : (unsigned)((int)r + alias->shift[b]);
            slots[b * ZNL_BUCKET_SIZE + r] = (uint32_t)table->frequency[symbol] << 20 |
                                             (index & (ZNL_TABLE_SIZE - 1)) << 8 | symbol;
        }
    }
}

void znl_decode_model_build(const znl_freq_table *table, unsigned symbol_bits, int with_slots,
                            znl_decode_model *model)
{
    znl_alias alias;
    znl_alias_build(table, &alias);
    for (unsigned b = 0; b < ZNL_SYMBOL_COUNT; b++) {
        const unsigned lent = alias.alias[b];
        const unsigned frequency = (unsigned)table->frequency[b] << 4;
        const uint16_t shift = (uint16_t)alias.shift[b];
        /* A full bucket lends its last slot to itself: 128 would not fit the 7 bits of a bound. */
        const unsigned threshold =
            alias.threshold[b] < ZNL_BUCKET_SIZE ? alias.threshold[b] : ZNL_BUCKET_SIZE - 1;
        model->bound[b] = (uint16_t)(threshold << 9 | lent);
        model->own[b] = (uint16_t)frequency;
        model->lent[b] = (uint16_t)(table->frequency[lent] << 4);
        model->shift[b] = shift;
        model->value_of[b] = (uint16_t)znl_table_value(table, b, symbol_bits);
        model->bytes[ZNL_BYTES_THRESHOLD][b] = (uint8_t)threshold;
        model->bytes[ZNL_BYTES_TURN][b] = (uint8_t)(lent ^ b);
        model->bytes[ZNL_BYTES_FREQUENCY_LOW][b] = (uint8_t)frequency;
        model->bytes[ZNL_BYTES_FREQUENCY_HIGH][b] = (uint8_t)(frequency >> 8);
        model->bytes[ZNL_BYTES_SHIFT_LOW][b] = (uint8_t)shift;
        model->bytes[ZNL_BYTES_SHIFT_HIGH][b] = (uint8_t)(shift >> 8);
        model->bytes[ZNL_BYTES_VALUE_LOW][b] = (uint8_t)model->value_of[b];
        model->bytes[ZNL_BYTES_VALUE_HIGH][b] = (uint8_t)(model->value_of[b] >> 8);
    }
    if (with_slots) fill_slots(table, &alias, model->slots);
}
