#pragma once

#include "emulated.h"

// The upper half of a float, rounded to the nearest, ties to even.
struct __nv_bfloat16 {
    std::uint16_t bits;

    __nv_bfloat16() = default;
    template <class N>
        requires std::is_arithmetic_v<N>
    __nv_bfloat16(N value) {
        const unsigned whole = __float_as_uint(float(value));
        const bool is_nan = (whole & 0x7fffffff) > 0x7f800000;
        bits = std::uint16_t(is_nan ? 0x7fff : (whole + 0x7fff + (whole >> 16 & 1)) >> 16);
    }
    operator float() const { return __uint_as_float(unsigned(bits) << 16); }
};
