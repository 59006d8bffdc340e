#pragma once

#include "emulated.h"

struct __half {
    _Float16 value;

    __half() = default;
    template <class N>
        requires std::is_arithmetic_v<N>
    __half(N value) : value(_Float16(float(value))) {}
    operator float() const { return value; }
};
