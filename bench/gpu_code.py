"""What NVIDIA's compiler makes of Synfire's kernels: registers, shared memory, and the instructions of their loops. No GPU is needed.

The kernels are those that ran on the emulated CUDA devices (tests/emulated-cuda) and were kept there:

    rm -rf target/emulated-cuda
    pip install nvidia-cuda-nvrtc nvidia-cuda-runtime nvidia-cuda-crt nvidia-cuda-cccl triton
    tests/emulated-cuda/run.sh target/debug/synfire bench --device cuda --precision bf16 --net 16C3-16C3-MP2-16C3-LI10 \\
        --input 2,8,8 -b 1 -T 16 --seconds 0
    python bench/gpu_code.py target/emulated-cuda/*/*.cu --only tensor_kernel errors_kernel spread_kernel
"""

import argparse
import collections
import ctypes
import pathlib
import re
import subprocess
import tempfile

import nvidia
import triton


def libraries():
    """The run-time compiler, its headers, and the tools that come with Triton."""
    roots = [pathlib.Path(root) for root in nvidia.__path__]
    compiler = next(path for root in roots for path in sorted(root.glob("**/libnvrtc.so*")) if "builtins" not in path.name)
    headers = sorted({path.parent for root in roots for path in root.glob("*/include/*.h")})
    headers += [folder / "cccl" for folder in headers if (folder / "cccl").is_dir()]
    tools = pathlib.Path(triton.__file__).parent / "backends/nvidia/bin"
    return ctypes.CDLL(str(compiler)), headers, tools


def compiled(library, headers, source, architecture):
    """The machine code of a kernel."""
    program, size = ctypes.c_void_p(), ctypes.c_size_t()
    options = [f"--gpu-architecture={architecture}", *(f"--include-path={folder}" for folder in headers)]
    array = (ctypes.c_char_p * len(options))(*(option.encode() for option in options))
    library.nvrtcCreateProgram(ctypes.byref(program), source, None, 0, None, None)
    failed = library.nvrtcCompileProgram(program, len(options), array)
    what = "ProgramLog" if failed else "CUBIN"
    getattr(library, f"nvrtcGet{what}Size")(program, ctypes.byref(size))
    data = ctypes.create_string_buffer(size.value)
    getattr(library, f"nvrtcGet{what}")(program, data)
    library.nvrtcDestroyProgram(ctypes.byref(program))
    if failed:
        raise SystemExit(data.value.decode())
    return data.raw


def loops(listing):
    """The instructions of each loop, by name, in the order in which the loops end."""
    labels, instructions = {}, []
    for line in listing.splitlines():
        if label := re.match(r"\s*(\.L_x_\d+):", line):
            labels[label[1]] = len(instructions)
        elif instruction := re.search(r"/\*[0-9a-f]{4,}\*/\s+(?:@!?U?P\w+\s+)?(.*?);", line):
            instructions.append(instruction[1].strip())
    for end, instruction in enumerate(instructions):
        target = re.search(r"BRA.*`\((\.L_x_\d+)\)", instruction)
        begin = labels.get(target[1], end) if target else end
        if begin < end:
            yield collections.Counter(re.split(r"[.\s]", one)[0] for one in instructions[begin : end + 1])


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("sources", nargs="+", type=pathlib.Path, help="kernels in CUDA C++")
    arguments.add_argument("--only", nargs="*", default=[""], help="kernels whose names begin so")
    arguments.add_argument("--architecture", default="sm_90a")
    arguments = arguments.parse_args()
    library, headers, tools = libraries()
    for path in arguments.sources:
        source = path.read_bytes()
        name = re.search(rb"__launch_bounds__\(\d+\)\s+(\w+)\(", source)[1].decode()
        if not name.startswith(tuple(arguments.only)):
            continue
        with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
            file.write(compiled(library, headers, source, arguments.architecture))
            file.flush()
            run = lambda *command: subprocess.run([*command, file.name], capture_output=True, text=True, check=True).stdout
            used = re.search(r"REG:(\d+) STACK:(\d+)", run(tools / "cuobjdump", "-res-usage"))
            found = list(loops(run(tools / "nvdisasm", "-c")))
        print(f"{path.stem} {name}: {used[1]} registers, {used[2]} bytes of stack")
        for loop in found:
            most = ", ".join(f"{n} {name}" for name, n in loop.most_common(8))
            print(f"    loop of {loop.total()}: {most}")


if __name__ == "__main__":
    main()
