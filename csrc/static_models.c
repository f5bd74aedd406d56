/* SPDX-License-Identifier: Apache-2.0 */
/* Tables off the wire into the models that the decoder runs on, each built once for many chunks. */
#include <string.h>

#include "errors.h"
#include "static_body.h"

/* Whether entry i of the cache is the table of a reference. Names alone are the caller's word. */
static int is_entry(const znl_model_cache *cache, size_t i, uint64_t reference,
                    const znl_table *wire, unsigned symbol_bits)
{
    const znl_table *known = &cache->tables[i];
    if (known->name != reference || cache->symbol_bits[i] != symbol_bits) return 0;
    if (!(reference & ZNL_TABLE_NAME_BIT)) return 1;
    return known->nbytes == wire->nbytes && memcmp(known->bytes, wire->bytes, wire->nbytes) == 0;
}

/* Read a table that is not in the cache. */
static int read_table(uint64_t reference, const znl_table *wire, znl_freq_table *table)
{
    if (reference & ZNL_TABLE_NAME_BIT) return znl_table_read(wire->bytes, wire->nbytes, table);
    if (reference >> 16) return ZNL_E_BAD_TABLE;
    znl_table_universal((unsigned)(reference >> ZNL_UNIVERSAL_BASE_BITS),
                        (unsigned)(reference & ((1u << ZNL_UNIVERSAL_BASE_BITS) - 1)), table);
    return ZNL_OK;
}

static int find_model(const znl_kernels *kernels, uint64_t reference, const znl_table *wire,
                      unsigned symbol_bits, znl_model_cache *cache, const znl_decode_model **found)
{
    const int is_named = (reference & ZNL_TABLE_NAME_BIT) != 0;
    if (is_named && wire->nbytes > sizeof wire->bytes) return ZNL_E_BAD_CALL;
    size_t i = cache->next;
    if (i >= cache->count || !is_entry(cache, i, reference, wire, symbol_bits))
        for (i = 0; i < cache->count; i++)
            if (is_entry(cache, i, reference, wire, symbol_bits)) break;
    if (i == cache->count) {
        znl_freq_table table;
        const int status = read_table(reference, wire, &table);
        if (status != ZNL_OK) return status;
        if (table.base >> symbol_bits) return ZNL_E_BAD_TABLE;
        if (is_named) cache->tables[i] = *wire;
        cache->tables[i].name = reference;
        cache->symbol_bits[i] = (uint8_t)symbol_bits;
        znl_decode_model_build(&table, symbol_bits, kernels->wants_slots, &cache->models[i]);
        cache->count++;
    }
    cache->next = i + 1;
    *found = &cache->models[i];
    return ZNL_OK;
}

int znl_model_cache_find(const znl_kernels *kernels, const uint64_t *references,
                         const znl_table *wire, unsigned count, unsigned symbol_bits,
                         znl_model_cache *cache, const znl_decode_model **models)
{
    int status = ZNL_OK;
    for (unsigned t = 0; t < count && status == ZNL_OK; t++)
        status = find_model(kernels, references[t], &wire[t], symbol_bits, cache, &models[t]);
    return status;
}
