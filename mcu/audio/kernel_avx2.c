/* SPDX-License-Identifier: Apache-2.0 */
/* kernel_avx2.c - for processors with AVX2; elsewhere nothing of it is called */
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include "mcu/audio/kernel.h"

#ifdef __x86_64__
#ifdef __clang__
#pragma clang attribute push(__attribute__((target("avx2"))), apply_to = function)
#else
#pragma GCC target("avx2")
#pragma GCC optimize("O3")
#endif
#define KERNEL      kernel_avx2
#define KERNEL_NAME "avx2"
extern const struct kernel kernel_avx2;
#include "mcu/audio/kernel_loops.h"
#ifdef __clang__
#pragma clang attribute pop
#endif
#endif
