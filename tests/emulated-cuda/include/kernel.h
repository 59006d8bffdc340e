// What every kernel begins with. The 64-bit integers of its source have other names than the C library's.
#pragma once

#include "cuda_bf16.h"
#include "ptx.h"

#define uint64_t uint64_of_kernel
#define int64_t int64_of_kernel
