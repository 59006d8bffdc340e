#!/usr/bin/env bash
# Runs a command with emulated CUDA devices: tests/emulated-cuda/run.sh COMMAND...
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
if [ "$(uname -sm)" != "Linux x86_64" ] || ! command -v g++ >/dev/null; then
    echo "$0: needs Linux on x86-64, and g++ 12 or later (Debian: apt-get install g++)" >&2
    exit 2
fi
# Compiled kernels belong to these sources and this compiler.
version=$({ cat "$here"/run.sh "$here"/*.cpp "$here"/include/*.h; g++ --version; } | cksum | cut -d ' ' -f 1)
made=${CARGO_TARGET_DIR:-$here/../../target}/emulated-cuda/$version
mkdir -p "$made"
made=$(cd "$made" && pwd)
for library in driver:cuda compiler:nvrtc; do
    to=$made/lib${library#*:}.so
    if [ ! -e "$to" ]; then
        g++ -std=c++17 -O1 -Wall -Wextra -Wno-unused-parameter -shared -fPIC -o "$to.$$" "$here/${library%:*}.cpp"
        mv "$to.$$" "$to"
    fi
done
compiler="g++ -std=c++20 -w -O1 -fno-strict-aliasing -ffp-contract=off -fopenmp -fPIC -I'$made' -I'$here/include'"
# What every kernel begins with is read once.
if [ ! -e "$made/kernel.h.gch" ]; then
    eval "$compiler -x c++-header -o '$made/kernel.h.$$' '$here/include/kernel.h'"
    mv "$made/kernel.h.$$" "$made/kernel.h.gch"
fi
# Devices are threads of their own; those that have nothing to do should not spin.
export OMP_WAIT_POLICY=passive
# The version of the driver that is emulated, for builds.
export CUDARC_CUDA_VERSION=13000
export EMULATED_COMPILER=$compiler EMULATED_KERNELS=$made CUDA_PATH=$here
export LD_LIBRARY_PATH=$made${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
exec "$@"
