/* SPDX-License-Identifier: Apache-2.0 */
/* XXH3-64: the checksum of headers, records and decoded chunks (docs/format.md). */
#ifndef ZNL_CHECKSUM_H
#define ZNL_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

/* Checksum bytes with XXH3-64, seed 0 and the default secret.
 *
 * in[0..in_nbytes)  bytes to check, any alignment; may be NULL when in_nbytes is 0
 * returns           the checksum, the same on every host; any input has one, so there is no error
 * source            XXH3 algorithm in doc/xxhash_spec.md of the xxHash project, version 0.2.0
 */
uint64_t znl_xxh3_64_scalar(const uint8_t *in, size_t in_nbytes);

#endif
