/* SPDX-License-Identifier: Apache-2.0 */
/* Tables into the form that the scalar coder runs on. */
#include "rans.h"

#include <string.h>

void znl_encode_model_build(const znl_freq_table *table, unsigned symbol_bits,
                            znl_encode_model *model)
{
    for (unsigned value = 0; value < 1u << symbol_bits; value++) {
        const unsigned symbol = znl_table_symbol(table, value, symbol_bits);
        model->symbol_of[value] =
            (uint8_t)(symbol < ZNL_SYMBOL_COUNT ? symbol : (ZNL_PATCHED | (ZNL_SYMBOL_COUNT - 1)));
    }
    unsigned first = 0;
    for (unsigned s = 0; s < ZNL_SYMBOL_COUNT; s++) {
        const unsigned frequency = table->frequency[s];
        model->first[s] = (uint16_t)first;
        model->frequency[s] = (uint16_t)frequency;
        model->reciprocal[s] = ((UINT64_C(1) << ZNL_RECIPROCAL_SHIFT) + frequency - 1) / frequency;
        first += frequency;
    }
    znl_alias alias;
    znl_alias_build(table, &alias);
    for (unsigned b = 0; b < ZNL_SYMBOL_COUNT; b++) {
        const unsigned threshold = alias.threshold[b];
        const int own = model->first[b], lent = model->first[alias.alias[b]] + alias.shift[b];
        for (unsigned r = 0; r < ZNL_BUCKET_SIZE; r++)
            model->slots[(r < threshold ? own : lent) + (int)r] =
                (uint16_t)(b * ZNL_BUCKET_SIZE + r);
    }
}

void znl_decode_model_build(const znl_freq_table *table, unsigned symbol_bits,
                            znl_decode_model *model)
{
    znl_alias alias;
    znl_alias_build(table, &alias);
    for (unsigned b = 0; b < ZNL_SYMBOL_COUNT; b++) {
        const unsigned threshold = alias.threshold[b], lent = alias.alias[b];
        model->value_of[b] = (uint16_t)znl_table_value(table, b, symbol_bits);
        for (unsigned r = 0; r < ZNL_BUCKET_SIZE; r++) {
            const unsigned symbol = r < threshold ? b : lent;
            const unsigned index = r < threshold ? r : (unsigned)((int)r + alias.shift[b]);
            model->slots[b * ZNL_BUCKET_SIZE + r] = (uint32_t)table->frequency[symbol] << 20 |
                                                    (index & (ZNL_TABLE_SIZE - 1)) << 8 | symbol;
        }
    }
}
