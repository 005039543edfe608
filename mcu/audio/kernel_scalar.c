/* SPDX-License-Identifier: Apache-2.0 */
/* kernel_scalar.c - the reference set: one sample after the other */
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include "mcu/audio/kernel.h"

#ifndef __clang__
#pragma GCC optimize("no-tree-vectorize", "no-tree-slp-vectorize")
#endif
#define KERNEL      kernel_scalar
#define KERNEL_NAME "scalar"
#include "mcu/audio/kernel_loops.h"
