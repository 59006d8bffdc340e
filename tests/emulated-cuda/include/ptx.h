// The instructions that kernels ask for by name.
#pragma once

#include "cuda_bf16.h"

// Addresses of shared memory begin at 0.
inline unsigned __cvta_generic_to_shared(const void *at) { return unsigned((const char *)at - emulated::shared_memory); }

namespace emulated {

enum Name { UNKNOWN, COPY, CLOSE_GROUP, WAIT_GROUP, LOAD_MATRIX, MULTIPLY, ADD };
template <int> struct Opcode {};

constexpr int opcode(std::string_view text) {
    for (auto [begin, name] : {std::pair{"cp.async.cg", COPY},
                               {"cp.async.commit_group", CLOSE_GROUP},
                               {"cp.async.wait_group", WAIT_GROUP},
                               {"ldmatrix.sync.aligned.m8n8.x4", LOAD_MATRIX},
                               {"mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32", MULTIPLY},
                               {"atom.relaxed.add.f32", ADD}}) {
        if (text.starts_with(begin)) {
            return name;
        }
    }
    return UNKNOWN;
}

constexpr unsigned ROW = 16; // bytes
inline void check_row(unsigned to) {
    if (to % ROW != 0 || to + ROW > team.shared) {
        fail("a row of 16 bytes in shared memory", to);
    }
}

// A thread's copies on their way, by group. They end when they are waited for and no sooner, so that whoever reads before
// reads NaN.
struct Copy {
    unsigned to, size;
    const void *from;
};
using Groups = std::vector<std::vector<Copy>>;
inline Groups &groups() {
    static thread_local std::vector<Groups> of_threads;
    static thread_local unsigned long of_block;
    if (of_block != team.block) {
        of_threads.assign(team.at.size(), Groups(1));
        of_block = team.block;
    }
    return of_threads[team.current];
}
inline void ptx(Opcode<COPY>, std::string_view, unsigned to, const void *from, unsigned size) {
    check_row(to);
    if (size > ROW || (size > 0 && (std::uintptr_t)from % ROW != 0)) {
        fail("a copy of bytes", size);
    }
    memset(shared_memory + to, 0xff, ROW);
    groups().back().push_back({to, size, from});
}
inline void ptx(Opcode<CLOSE_GROUP>, std::string_view) { groups().emplace_back(); }
inline void ptx(Opcode<WAIT_GROUP>, std::string_view text) {
    const unsigned left = atoi(text.data() + text.find("group ") + 6);
    Groups &all = groups();
    while (all.size() - 1 > left) {
        for (const Copy &copy : all.front()) {
            memcpy(shared_memory + copy.to, copy.from, copy.size);
            memset(shared_memory + copy.to + copy.size, 0, ROW - copy.size);
        }
        all.erase(all.begin());
    }
}

// Four matrices of 8 by 8 short numbers, whose rows begin where the lanes say, eight of them for each.
inline void ptx(Opcode<LOAD_MATRIX>, std::string_view text, unsigned &a, unsigned &b, unsigned &c, unsigned &d, unsigned row) {
    check_row(row);
    const bool transposed = text.find(".trans") != text.npos;
    const unsigned first = first_of_warp(), own = lane();
    team.slots[team.current] = row;
    wait(AT_WARP);
    unsigned *const results[] = {&a, &b, &c, &d};
    for (unsigned matrix = 0; matrix < 4; matrix++) {
        std::uint16_t pair[2];
        for (unsigned half = 0; half < 2; half++) {
            unsigned down = own / 4, across = own % 4 * 2 + half;
            if (transposed) {
                std::swap(down, across);
            }
            memcpy(&pair[half], shared_memory + team.slots[first + matrix * 8 + down] + across * 2, 2);
        }
        *results[matrix] = pair[0] | unsigned(pair[1]) << 16;
    }
    wait(AT_WARP);
}

inline float low(unsigned pair) { return __uint_as_float(pair << 16); }
inline float high(unsigned pair) { return __uint_as_float(pair & 0xffff0000u); }

// 16 by 16 times 16 by 8. Of the left matrix registers 0 and 2 have the upper eight rows, 1 and 3 the lower; of both the second half
// of the registers has the second half of the depth.
inline void ptx(Opcode<MULTIPLY>, std::string_view, float &d0, float &d1, float &d2, float &d3, unsigned a0, unsigned a1, unsigned a2,
                unsigned a3, unsigned b0, unsigned b1, float c0, float c1, float c2, float c3) {
    struct Fragments {
        unsigned left[4], right[2];
    };
    static thread_local Fragments of_threads[1024];
    const unsigned first = first_of_warp(), own = lane();
    of_threads[team.current] = {{a0, a1, a2, a3}, {b0, b1}};
    wait(AT_WARP);
    float sums[] = {c0, c1, c2, c3};
    for (unsigned i = 0; i < 4; i++) {
        const unsigned row = own / 4, column = own % 4 * 2 + i % 2, below = i / 2;
        for (unsigned k = 0; k < 16; k += 2) {
            const unsigned left = of_threads[first + row * 4 + k % 8 / 2].left[below + k / 8 * 2];
            const unsigned right = of_threads[first + column * 4 + k % 8 / 2].right[k / 8];
            sums[i] += low(left) * low(right) + high(left) * high(right);
        }
    }
    wait(AT_WARP);
    d0 = sums[0], d1 = sums[1], d2 = sums[2], d3 = sums[3];
}

inline void ptx(Opcode<ADD>, std::string_view, float &before, const float *at, float value) {
    unsigned bits = __atomic_load_n((unsigned *)at, __ATOMIC_RELAXED);
    while (!__atomic_compare_exchange_n((unsigned *)at, &bits, __float_as_uint(__uint_as_float(bits) + value), false, __ATOMIC_RELAXED,
                                        __ATOMIC_RELAXED)) {
    }
    before = __uint_as_float(bits);
}

} // namespace emulated
