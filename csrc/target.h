/* SPDX-License-Identifier: Apache-2.0 */
/* Which instruction sets this compiler can build, and the attribute a function needs for each. */
#ifndef ZNL_TARGET_H
#define ZNL_TARGET_H

#if defined(__x86_64__) && (defined(__GNUC__) || defined(__clang__))
#define ZNL_HAS_SSE4 1
#define ZNL_HAS_AVX2 1
#define ZNL_HAS_AVX512 1
#define ZNL_FEATURES_SSE4 "ssse3,sse4.1,popcnt"
#define ZNL_FEATURES_AVX2 "avx2,bmi,bmi2,fma,popcnt,lzcnt"
#define ZNL_FEATURES_AVX512 "avx512f,avx512bw,avx512vl,avx512dq,avx512vbmi2,bmi,bmi2,popcnt,lzcnt"
#define ZNL_TARGET_SSE4 __attribute__((target(ZNL_FEATURES_SSE4)))
#define ZNL_TARGET_AVX2 __attribute__((target(ZNL_FEATURES_AVX2)))
#define ZNL_TARGET_AVX512 __attribute__((target(ZNL_FEATURES_AVX512)))
#elif defined(_M_X64)
/* MSVC offers every intrinsic without an attribute. */
#define ZNL_HAS_SSE4 1
#define ZNL_HAS_AVX2 1
#define ZNL_HAS_AVX512 1
#define ZNL_TARGET_SSE4
#define ZNL_TARGET_AVX2
#define ZNL_TARGET_AVX512
#else
#define ZNL_HAS_SSE4 0
#define ZNL_HAS_AVX2 0
#define ZNL_HAS_AVX512 0
#endif

/* Every AArch64 CPU has NEON, so it needs neither an attribute nor a question to the CPU. On
 * big-endian AArch64 lanes lie the other way round in memory: it runs the portable loops. */
#if defined(__aarch64__) && defined(__ARM_NEON) && defined(__BYTE_ORDER__) &&                      \
    __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define ZNL_HAS_NEON 1
#else
#define ZNL_HAS_NEON 0
#endif

/* For functions whose arguments must become constants or stay in registers. */
#if defined(__GNUC__)
#define ZNL_INLINE static inline __attribute__((always_inline))
#elif defined(_MSC_VER)
#define ZNL_INLINE static __forceinline
#else
#define ZNL_INLINE static inline
#endif

/* Hints that never fault, whatever the address. */
#if defined(__GNUC__)
#define ZNL_PREFETCH_READ(address) __builtin_prefetch((const void *)(address), 0, 3)
#define ZNL_PREFETCH_WRITE(address) __builtin_prefetch((const void *)(address), 1, 3)
#else
#define ZNL_PREFETCH_READ(address) ((void)(address))
#define ZNL_PREFETCH_WRITE(address) ((void)(address))
#endif

#endif
