// NVIDIA's driver, as far as Synfire calls it: devices whose memory is the machine's and whose kernels are shared objects for
// the CPU (compiler.cpp). Everything is done when it is asked for, so that streams and events have nothing to wait for.

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <dlfcn.h>
#include <map>
#include <mutex>

namespace {

[[noreturn]] void fail(const char *what, unsigned long value) {
    fprintf(stderr, "emulated CUDA: %s (%lu)\n", what, value);
    abort();
}

enum Status { SUCCESS = 0, OUT_OF_MEMORY = 2, INVALID_DEVICE = 101, INVALID_IMAGE = 200, NOT_FOUND = 500, NOT_SUPPORTED = 801 };

constexpr int MOST_DEVICES = 16;
int contexts[MOST_DEVICES];
thread_local int *current = nullptr;

std::size_t from_environment(const char *name, std::size_t otherwise) {
    const char *value = getenv(name);
    return value ? strtoull(value, nullptr, 10) : otherwise;
}

int devices() { return int(std::min<std::size_t>(from_environment("EMULATED_DEVICES", 1), MOST_DEVICES)); }

std::size_t memory() { return from_environment("EMULATED_MEMORY", 16384) << 20; }

int device() { return current ? int(current - contexts) : 0; }

std::mutex lock;
std::map<std::uint64_t, std::pair<int, std::size_t>> blocks;
std::size_t taken[MOST_DEVICES];

// Memory begins as NaN, so that what is read before it is written shows.
Status allocate(std::uint64_t *at, std::size_t size) {
    std::lock_guard<std::mutex> guard(lock);
    void *block = nullptr;
    if (taken[device()] + size > memory() || posix_memalign(&block, 512, size)) {
        return OUT_OF_MEMORY;
    }
    memset(block, 0xff, size);
    *at = std::uint64_t(block);
    blocks[*at] = {device(), size};
    taken[device()] += size;
    return SUCCESS;
}

Status give_back(std::uint64_t at) {
    std::lock_guard<std::mutex> guard(lock);
    auto block = blocks.find(at);
    if (block == blocks.end()) {
        fail("memory that is given back and was not taken", at);
    }
    taken[block->second.first] -= block->second.second;
    blocks.erase(block);
    free((void *)at);
    return SUCCESS;
}

double milliseconds() {
    timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return double(now.tv_sec) * 1e3 + double(now.tv_nsec) / 1e6;
}

// CUDA_MEMCPY2D
struct Side {
    std::size_t x, y;
    int type;
    void *host;
    std::uint64_t device;
    void *array;
    std::size_t pitch;
    char *row(std::size_t i) const {
        constexpr int HOST = 1;
        return (type == HOST ? (char *)host : (char *)device) + (y + i) * pitch + x;
    }
};
struct Copy2d {
    Side from, to;
    std::size_t width, height;
};

} // namespace

#define API extern "C" __attribute__((visibility("default"))) Status

API cuInit(unsigned) { return SUCCESS; }
API cuDriverGetVersion(int *version) { return *version = 13000, SUCCESS; }
API cuGetErrorName(Status, const char **text) { return *text = "an error of the emulated driver", SUCCESS; }
API cuGetErrorString(Status status, const char **text) {
    return *text = status == OUT_OF_MEMORY ? "out of memory" : "an error of the emulated driver", SUCCESS;
}

API cuDeviceGetCount(int *count) { return *count = devices(), SUCCESS; }
API cuDeviceGet(int *of, int ordinal) { return *of = ordinal, ordinal < devices() ? SUCCESS : INVALID_DEVICE; }
API cuDeviceGetName(char *name, int size, int) { return snprintf(name, size, "emulated"), SUCCESS; }
API cuDeviceGetPCIBusId(char *id, int size, int of) { return snprintf(id, size, "0000:%02d:00.0", of + 1), SUCCESS; }
API cuDeviceGetUuid_v2(char *uuid, int of) { return memset(uuid, of + 1, 16), SUCCESS; }
API cuDeviceGetLuid(char *, unsigned *, int) { return NOT_SUPPORTED; }
API cuDeviceTotalMem_v2(std::size_t *size, int) { return *size = memory(), SUCCESS; }
API cuMemGetInfo_v2(std::size_t *left, std::size_t *size) {
    std::lock_guard<std::mutex> guard(lock);
    return *size = memory(), *left = memory() - taken[device()], SUCCESS;
}
// What a GPU of capability 9.0 has.
API cuDeviceGetAttribute(int *value, int attribute, int) {
    switch (attribute) {
    case 1: *value = 1024; break;                       // threads of a block
    case 2: case 3: *value = 1024; break;               // along each dimension
    case 4: *value = 64; break;
    case 5: *value = 2147483647; break;                 // blocks of a grid
    case 6: case 7: *value = 65535; break;
    case 8: *value = 49152; break;                      // shared memory of a block
    case 10: *value = 32; break;                        // threads of a warp
    case 12: *value = 65536; break;                     // registers
    case 16: *value = 132; break;                       // multiprocessors
    case 75: *value = 9; break;                         // capability
    case 76: *value = 0; break;
    case 97: *value = 232448; break;                    // shared memory, where a kernel asks for it
    case 115: *value = 1; break;                        // memory pools
    default: *value = 0;
    }
    return SUCCESS;
}

API cuDevicePrimaryCtxRetain(int **context, int of) { return *context = &contexts[of], SUCCESS; }
API cuDevicePrimaryCtxRelease_v2(int) { return SUCCESS; }
API cuCtxSetCurrent(int *context) { return current = context, SUCCESS; }
API cuCtxGetCurrent(int **context) { return *context = current, SUCCESS; }
API cuCtxGetDevice(int *of) { return *of = device(), SUCCESS; }
API cuCtxSynchronize() { return SUCCESS; }
API cuCtxGetStreamPriorityRange(int *least, int *greatest) { return *least = *greatest = 0, SUCCESS; }

API cuStreamCreate(void **stream, unsigned) { return *stream = malloc(1), SUCCESS; }
API cuStreamCreateWithPriority(void **stream, unsigned, int) { return *stream = malloc(1), SUCCESS; }
API cuStreamDestroy_v2(void *stream) { return free(stream), SUCCESS; }
API cuStreamSynchronize(void *) { return SUCCESS; }
API cuStreamQuery(void *) { return SUCCESS; }
API cuStreamWaitEvent(void *, void *, unsigned) { return SUCCESS; }
API cuEventCreate(double **event, unsigned) { return *event = new double, SUCCESS; }
API cuEventDestroy_v2(double *event) { return delete event, SUCCESS; }
API cuEventRecord(double *event, void *) { return *event = milliseconds(), SUCCESS; }
API cuEventSynchronize(double *) { return SUCCESS; }
API cuEventQuery(double *) { return SUCCESS; }
API cuEventElapsedTime_v2(float *time, double *from, double *to) { return *time = float(*to - *from), SUCCESS; }

API cuMemAlloc_v2(std::uint64_t *at, std::size_t size) { return allocate(at, size); }
API cuMemAllocAsync(std::uint64_t *at, std::size_t size, void *) { return allocate(at, size); }
API cuMemFree_v2(std::uint64_t at) { return give_back(at); }
API cuMemFreeAsync(std::uint64_t at, void *) { return give_back(at); }
API cuMemAllocHost_v2(void **at, std::size_t size) { return *at = malloc(size), *at ? SUCCESS : OUT_OF_MEMORY; }
API cuMemFreeHost(void *at) { return free(at), SUCCESS; }
API cuMemcpyHtoDAsync_v2(void *to, const void *from, std::size_t size, void *) { return memcpy(to, from, size), SUCCESS; }
API cuMemcpyDtoHAsync_v2(void *to, const void *from, std::size_t size, void *) { return memcpy(to, from, size), SUCCESS; }
API cuMemcpyDtoDAsync_v2(void *to, const void *from, std::size_t size, void *) { return memmove(to, from, size), SUCCESS; }
API cuMemsetD8Async(void *at, unsigned char value, std::size_t size, void *) { return memset(at, value, size), SUCCESS; }
API cuMemcpy2DAsync_v2(const Copy2d *copy, void *) {
    for (std::size_t i = 0; i < copy->height; i++) {
        memcpy(copy->to.row(i), copy->from.row(i), copy->width);
    }
    return SUCCESS;
}

// An image is the path of a shared object (compiler.cpp), in which there is one kernel.
API cuModuleLoadData(void **module, const char *path) {
    *module = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!*module) {
        fprintf(stderr, "%s\n", dlerror());
        return INVALID_IMAGE;
    }
    return SUCCESS;
}
API cuModuleGetFunction(void **function, void *module, const char *) {
    return *function = dlsym(module, "emulated_launch"), *function ? SUCCESS : NOT_FOUND;
}
API cuFuncSetAttribute(void *, int, int) { return SUCCESS; }
API cuLaunchKernel(void *function, unsigned x, unsigned y, unsigned z, unsigned block_x, unsigned block_y, unsigned block_z,
                   unsigned shared, void *, void **arguments, void **) {
    const unsigned grid[] = {x, y, z}, block[] = {block_x, block_y, block_z};
    const unsigned long threads = block_x * block_y * block_z;
    if (threads == 0 || threads > 1024 || block_z > 64 || !x || !y || !z || y > 65535 || z > 65535) {
        fail("a launch of so many threads in a block, or of too many or no blocks", threads);
    }
    using Launch = void (*)(void **, const unsigned *, const unsigned *, std::size_t);
    ((Launch)function)(arguments, grid, block, shared);
    return SUCCESS;
}
