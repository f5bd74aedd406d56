/* SPDX-License-Identifier: Apache-2.0 */
/* What the core asks of the operating system: nothing but large pages for large buffers. */
#if defined(__linux__)
#define _DEFAULT_SOURCE /* madvise */
#include <sys/mman.h>
#endif

#include "zipnn_like.h"

void znl_advise_large_pages(uint8_t *room, size_t nbytes)
{
#if defined(__linux__) && defined(MADV_HUGEPAGE)
    /* Whole pages inside the buffer only: the rest of its first and last one is others'. */
    enum { PAGE = 4096 };
    const uintptr_t start = ((uintptr_t)room + PAGE - 1) & ~(uintptr_t)(PAGE - 1);
    const uintptr_t stop = ((uintptr_t)room + nbytes) & ~(uintptr_t)(PAGE - 1);
    /* A hint: where it is refused (EINVAL with larger base pages or without THP) nothing changes. */
    if (start < stop) (void)madvise((void *)start, stop - start, MADV_HUGEPAGE);
#else
    (void)room;
    (void)nbytes;
#endif
}
