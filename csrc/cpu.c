/* SPDX-License-Identifier: Apache-2.0 */
/* The best instruction set of this machine: what the CPU has and what the system saves. */
#include "target.h"
#include "zipnn_like.h"

#if ZNL_HAS_AVX512

#if defined(_MSC_VER) && !defined(__clang__)
#include <intrin.h>
static void cpuid(unsigned leaf, unsigned subleaf, unsigned registers[4])
{
    __cpuidex((int *)registers, (int)leaf, (int)subleaf);
}
static unsigned long long xgetbv(void)
{
    return _xgetbv(0);
}
#else
#include <cpuid.h>
static void cpuid(unsigned leaf, unsigned subleaf, unsigned registers[4])
{
    if (!__get_cpuid_count(leaf, subleaf, registers, registers + 1, registers + 2, registers + 3))
        registers[0] = registers[1] = registers[2] = registers[3] = 0;
}
static unsigned long long xgetbv(void)
{
    unsigned low, high;
    __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (unsigned long long)high << 32 | low;
}
#endif

enum { EAX, EBX, ECX, EDX };

static int has_bits(unsigned found, unsigned wanted)
{
    return (found & wanted) == wanted;
}

int znl_cpu_isa(void)
{
    enum {
        SSSE3 = 1 << 9,
        FMA = 1 << 12,
        SSE41 = 1 << 19,
        POPCNT = 1 << 23,
        OSXSAVE = 1 << 27,
        BMI1 = 1 << 3,
        AVX2 = 1 << 5,
        BMI2 = 1 << 8,
        AVX512F = 1 << 16,
        AVX512DQ = 1 << 17,
        AVX512BW = 1 << 30,
        VBMI2 = 1 << 6,
    };
    const unsigned avx512vl = 1u << 31;
    const unsigned long long saves_avx = 0x06,
                             saves_avx512 = 0xe6; /* XCR0: XMM, YMM; opmask, ZMM */
    unsigned leaf1[4], leaf7[4], extended[4];
    cpuid(1, 0, leaf1);
    cpuid(7, 0, leaf7);
    cpuid(0x80000001u, 0, extended);
    if (!has_bits(leaf1[ECX], SSSE3 | SSE41 | POPCNT)) return ZNL_ISA_SCALAR;
    const unsigned lzcnt = 1u << 5;
    if (!has_bits(leaf1[ECX], OSXSAVE | FMA) || !has_bits(leaf7[EBX], AVX2 | BMI1 | BMI2) ||
        !has_bits(extended[ECX], lzcnt))
        return ZNL_ISA_SSE4;
    const unsigned long long saved = xgetbv();
    if ((saved & saves_avx) != saves_avx) return ZNL_ISA_SSE4;
    if (!has_bits(leaf7[EBX], AVX512F | AVX512DQ | AVX512BW | avx512vl) ||
        !has_bits(leaf7[ECX], VBMI2) || (saved & saves_avx512) != saves_avx512)
        return ZNL_ISA_AVX2;
    return ZNL_ISA_AVX512;
}

#else

int znl_cpu_isa(void)
{
    return ZNL_HAS_NEON ? ZNL_ISA_NEON : ZNL_ISA_SCALAR;
}

#endif

int znl_cpu_has(int isa)
{
    const int best = znl_cpu_isa();
    if (best == ZNL_ISA_NEON) return isa == ZNL_ISA_SCALAR || isa == ZNL_ISA_NEON;
    return isa >= ZNL_ISA_SCALAR && isa <= best;
}
