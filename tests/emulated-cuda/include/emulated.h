// CUDA C++ on the CPU. The threads of a block are fibers that change where they wait for each other; blocks run on all cores.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#define __global__ __attribute__((noinline))
#define __device__
#define __host__
#define __grid_constant__
#define __launch_bounds__(...)

struct dim3 {
    unsigned x, y, z;
};
typedef unsigned int uint;
inline thread_local dim3 threadIdx, blockIdx, blockDim, gridDim;

using std::abs, std::exp, std::fma, std::isinf, std::isnan, std::log, std::max, std::min, std::pow, std::sqrt, std::tanh;
inline float max(float a, float b) { return std::fmax(a, b); }
inline float min(float a, float b) { return std::fmin(a, b); }

namespace emulated {

[[noreturn]] inline void fail(const char *what, unsigned long value) {
    fprintf(stderr, "emulated CUDA: %s (%lu)\n", what, value);
    abort();
}

constexpr unsigned WARP = 32;
constexpr std::size_t STACK = 96 * 1024;
alignas(1024) inline thread_local char shared_memory[232448];

enum State : unsigned char { READY, DONE, AT_BLOCK, AT_WARP };

// A block's threads, kept from one block to the next.
struct Team {
    std::vector<char> stacks;
    std::vector<void *> at;
    std::vector<State> state;
    std::vector<std::uint64_t> slots;
    void *scheduler = nullptr;
    unsigned current = 0;
    unsigned long block = 0;
    std::size_t shared = 0;
    void (*body)(void *) = nullptr;
    void *argument = nullptr;
};
inline thread_local Team team;

// Keeps this fiber's place in `*from` and goes on at `to`.
extern "C" void emulated_switch(void **from, void *to);
#if defined(__x86_64__)
asm(R"(
.local emulated_switch
.type emulated_switch,@function
emulated_switch:
    pushq %rbp; pushq %rbx; pushq %r12; pushq %r13; pushq %r14; pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15; popq %r14; popq %r13; popq %r12; popq %rbx; popq %rbp
    ret
)");
constexpr int SAVED = 6;
#else
#error "emulated CUDA changes between fibers on x86-64 alone"
#endif

inline void wait(State where) {
    const unsigned me = team.current;
    team.state[me] = where;
    emulated_switch(&team.at[me], team.scheduler);
}

inline void begin() {
    team.body(team.argument);
    wait(DONE);
}

inline void set_thread(unsigned i) {
    team.current = i;
    threadIdx = {i % blockDim.x, i / blockDim.x % blockDim.y, i / blockDim.x / blockDim.y};
}

inline void run_fibers(unsigned threads, void (*body)(void *), void *argument) {
    Team &t = team;
    if (t.at.size() < threads) {
        t.stacks.resize(threads * STACK);
        t.at.resize(threads);
        t.state.resize(threads);
        t.slots.resize(threads + WARP);
    }
    t.body = body, t.argument = argument, t.block++;
    for (unsigned i = 0; i < threads; i++) {
        void **top = (void **)((std::uintptr_t)(t.stacks.data() + (i + 1) * STACK) & ~std::uintptr_t(63));
        *--top = nullptr;
        *--top = (void *)begin;
        t.at[i] = memset(top - SAVED, 0, SAVED * sizeof(void *));
        t.state[i] = READY;
    }
    for (unsigned done = 0; done < threads;) {
        unsigned at_block = 0;
        done = 0;
        for (unsigned first = 0; first < threads; first += WARP) {
            const unsigned end = min(threads, first + WARP);
            for (bool more = true; more;) {
                for (unsigned i = first; i < end; i++) {
                    if (t.state[i] == READY) {
                        set_thread(i);
                        emulated_switch(&t.scheduler, t.at[i]);
                    }
                }
                const auto at_warp = std::count(&t.state[first], &t.state[0] + end, AT_WARP);
                more = at_warp != 0;
                if (more && at_warp != end - first) {
                    fail("lanes of a warp that wait for the others in vain", at_warp);
                }
                std::replace(&t.state[first], &t.state[0] + end, AT_WARP, READY);
            }
            done += std::count(&t.state[first], &t.state[0] + end, DONE);
            at_block += std::count(&t.state[first], &t.state[0] + end, AT_BLOCK);
        }
        if (at_block != 0 && done != 0) {
            fail("threads left before a barrier that others wait at", done);
        }
        std::replace(&t.state[0], &t.state[0] + threads, AT_BLOCK, READY);
    }
}

template <class... A, std::size_t... I> void call(void (*kernel)(A...), void **arguments, std::index_sequence<I...>) {
    kernel(*(std::remove_cv_t<A> *)arguments[I]...);
}

// Threads of which none `waits` run one after the other.
template <class... A>
void launch(bool waits, void (*kernel)(A...), void **arguments, const unsigned *grid, const unsigned *block, std::size_t shared) {
    struct Call {
        void (*kernel)(A...);
        void **arguments;
    } of{kernel, arguments};
    const long blocks = long(grid[0]) * grid[1] * grid[2];
    if (shared > sizeof shared_memory) {
        fail("shared memory of a block", shared);
    }
#pragma omp parallel for schedule(dynamic) if (blocks > 1)
    for (long i = 0; i < blocks; i++) {
        gridDim = {grid[0], grid[1], grid[2]};
        blockDim = {block[0], block[1], block[2]};
        blockIdx = {unsigned(i % grid[0]), unsigned(i / grid[0] % grid[1]), unsigned(i / grid[0] / grid[1])};
        team.shared = shared;
        memset(shared_memory, 0xff, shared);
        const auto body = [](void *of) {
            call(((Call *)of)->kernel, ((Call *)of)->arguments, std::index_sequence_for<A...>{});
        };
        const unsigned threads = block[0] * block[1] * block[2];
        if (waits) {
            run_fibers(threads, body, &of);
            continue;
        }
        for (unsigned i = 0; i < threads; i++) {
            set_thread(i);
            body(&of);
        }
    }
}

inline unsigned lane() { return team.current % WARP; }
inline unsigned first_of_warp() { return team.current / WARP * WARP; }

} // namespace emulated

inline void __syncthreads() { emulated::wait(emulated::AT_BLOCK); }
inline float rsqrt(float x) { return 1.0f / sqrtf(x); }
inline unsigned __umulhi(unsigned a, unsigned b) { return unsigned(std::uint64_t(a) * b >> 32); }
inline int __clz(unsigned x) { return x ? __builtin_clz(x) : 32; }
inline unsigned __float_as_uint(float value) { return __builtin_bit_cast(unsigned, value); }
inline float __uint_as_float(unsigned bits) { return __builtin_bit_cast(float, bits); }
