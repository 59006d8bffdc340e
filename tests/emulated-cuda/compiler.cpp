// NVIDIA's run-time compiler: what it is given as CUDA C++ becomes a shared object for the CPU, whose path stands for the PTX.

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <regex>
#include <sstream>
#include <string>
#include <unistd.h>

namespace {

enum Status { SUCCESS = 0, COMPILATION_FAILED = 6 };

struct Program {
    std::string source, log, path;
};

// asm volatile("mma…" : results : operands) becomes emulated::ptx("mma…", results, operands).
std::string with_calls_for_ptx(const std::string &source) {
    static const std::regex statement(
        R"re(asm (?:volatile)?\(("(?:[^"\\]|\\.)*") : ([^;]*?) : ([^;]*?)(?: : "memory")?\s*\);)re");
    static const std::regex operand(R"re("=?\w"\(([^()]*)\))re");
    std::string out;
    auto rest = source.cbegin();
    for (std::sregex_iterator found(source.begin(), source.end(), statement), none; found != none; ++found) {
        const std::smatch &parts = *found;
        std::string call = "emulated::ptx(emulated::Opcode<emulated::opcode(" + parts[1].str() + ")>{}, " + parts[1].str();
        for (const std::string &list : {parts[2].str(), parts[3].str()}) {
            for (std::sregex_iterator one(list.begin(), list.end(), operand); one != none; ++one) {
                call += ", " + (*one)[1].str();
            }
        }
        out.append(rest, parts[0].first).append(call).append(");");
        rest = parts[0].second;
    }
    return out.append(rest, source.cend());
}

// The memory that a block shares is one array of the thread that runs the block.
std::string with_shared_memory(const std::string &source) {
    static const std::regex declared(R"(extern __shared__ __align__\(\d+\) char (\w+)\[\];)");
    return std::regex_replace(source, declared, "char* const $1 = emulated::shared_memory;");
}

// Whether threads of the kernel may wait for each other.
bool waits(const std::string &source) {
    return std::regex_search(source, std::regex("__sync|asm volatile"));
}

std::string name_of_kernel(const std::string &source) {
    static const std::regex head(R"(extern "C" __global__ void __launch_bounds__\(\d+\)\s+(\w+)\()");
    std::smatch found;
    return std::regex_search(source, found, head) ? found[1].str() : std::string();
}

std::string contents(const std::string &path) {
    std::ifstream file(path);
    std::stringstream text;
    text << file.rdbuf();
    return text.str();
}

} // namespace

#define API extern "C" __attribute__((visibility("default"))) Status

API nvrtcVersion(int *major, int *minor) { return *major = 13, *minor = 0, SUCCESS; }
API nvrtcCreateProgram(Program **program, const char *source, const char *, int, const char *const *, const char *const *) {
    return *program = new Program{source, "", ""}, SUCCESS;
}
API nvrtcDestroyProgram(Program **program) { return delete *program, *program = nullptr, SUCCESS; }

API nvrtcCompileProgram(Program *program, int, const char *const *) {
    char name[32];
    snprintf(name, sizeof name, "/%016zx", std::hash<std::string>{}(program->source));
    const std::string base = getenv("EMULATED_KERNELS") + std::string(name);
    program->path = base + ".so";
    if (access(program->path.c_str(), R_OK) == 0) {
        return SUCCESS;
    }
    // Several processes and threads may compile the same kernel.
    static std::atomic<unsigned> count;
    const std::string own = base + "." + std::to_string(getpid()) + "-" + std::to_string(count++), source = own + ".cpp", log = own + ".log", made = own + ".so";
    std::ofstream(source) << "#include \"kernel.h\"\n"
                          << with_calls_for_ptx(with_shared_memory(program->source))
                          << "\nextern \"C\" void emulated_launch(void** arguments, const unsigned* grid, const unsigned* block, "
                             "unsigned long shared) { emulated::launch("
                          << waits(program->source) << ", " << name_of_kernel(program->source) << ", arguments, grid, block, shared); }\n";
    const std::string command =
        getenv("EMULATED_COMPILER") + (" -shared -o '" + made + "' '" + source + "' >'" + log + "' 2>&1");
    const bool failed = system(command.c_str()) != 0;
    program->log = contents(log);
    unlink(log.c_str());
    if (failed || rename(made.c_str(), program->path.c_str()) != 0) {
        return COMPILATION_FAILED;
    }
    rename(source.c_str(), (base + ".cpp").c_str());
    // For bench/gpu_code.py.
    std::ofstream(base + ".cu") << program->source;
    return SUCCESS;
}

API nvrtcGetPTXSize(Program *program, std::size_t *size) { return *size = program->path.size() + 1, SUCCESS; }
API nvrtcGetPTX(Program *program, char *out) { return strcpy(out, program->path.c_str()), SUCCESS; }
API nvrtcGetProgramLogSize(Program *program, std::size_t *size) { return *size = program->log.size() + 1, SUCCESS; }
API nvrtcGetProgramLog(Program *program, char *out) { return strcpy(out, program->log.c_str()), SUCCESS; }
extern "C" __attribute__((visibility("default"))) const char *nvrtcGetErrorString(Status) { return "an error of the emulated compiler"; }
