/* SPDX-License-Identifier: Apache-2.0 */
/* kernel_base.c - vectors of the processor that all are built for (SSE2 on x86-64, NEON on ARM 64); and the choice */
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include "mcu/audio/kernel.h"

#ifndef __clang__
#pragma GCC optimize("O3")
#endif
#define KERNEL      kernel_base
#define KERNEL_NAME "base"
extern const struct kernel kernel_base, kernel_avx2;
#include "mcu/audio/kernel_loops.h"

static const struct kernel *const sets[] = {
	&kernel_scalar, &kernel_base,
#ifdef __x86_64__
	&kernel_avx2,
#endif
};
#define NSETS (sizeof(sets) / sizeof(sets[0]))

const struct kernel *kernel = &kernel_base;

const struct kernel *kernel_get(unsigned i)
{
#ifdef __x86_64__
	if (i < NSETS && sets[i] == &kernel_avx2 && !__builtin_cpu_supports("avx2"))
		return NULL;
#endif
	return i < NSETS ? sets[i] : NULL;
}

__attribute__((constructor)) static void choose(void)
{
#ifdef __x86_64__
	__builtin_cpu_init();
#endif
	for (unsigned i = 0; kernel_get(i); i++)
		kernel = kernel_get(i);
}
