/* SPDX-License-Identifier: Apache-2.0 */
/* What the core asks of the operating system: nothing but large pages for large buffers. */
#if defined(__linux__)
#define _DEFAULT_SOURCE /* madvise */
#include <sys/mman.h>
#endif

#include "zipnn_like.h"

#if defined(__linux__) && defined(MADV_HUGEPAGE)

/* For headers older than Linux 5.14, which introduced it. */
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

enum { PAGE = 4096, LARGE_PAGE = 2 << 20 };

static uintptr_t round_up(uintptr_t at, uintptr_t unit)
{
    return (at + unit - 1) & ~(unit - 1);
}

/* Hints all: where one is refused (EINVAL by older systems, with larger base pages or without large ones)
 * nothing changes. */
void znl_advise_large_pages(uint8_t *room, size_t nbytes)
{
    /* Whole pages inside the buffer only: the rest of its first and last one is others'. */
    const uintptr_t start = round_up((uintptr_t)room, PAGE);
    const uintptr_t stop = ((uintptr_t)room + nbytes) & ~(uintptr_t)(PAGE - 1);
    if (start >= stop) return;
    (void)madvise((void *)start, stop - start, MADV_HUGEPAGE);
    /* No large page fits in front of the first boundary: up to 511 small ones in one call instead of a
     * page fault each. */
    const uintptr_t boundary = round_up(start, LARGE_PAGE);
    if (boundary < stop) (void)madvise((void *)start, boundary - start, MADV_POPULATE_WRITE);
}

#else

void znl_advise_large_pages(uint8_t *room, size_t nbytes)
{
    (void)room;
    (void)nbytes;
}

#endif
