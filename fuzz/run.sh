#!/usr/bin/env bash
# Fuzzes each target for so many seconds (60 by default), or those that are named: run.sh [SECONDS [TARGET...]].
# Needs a nightly compiler and `cargo install cargo-fuzz`. Begins with beginnings of real recordings where SYNFIRE_DATA names them.
set -euo pipefail
cd "$(dirname "$0")"
seconds=${1:-60}
shift || true
targets=("$@")
[ ${#targets[@]} -gt 0 ] || mapfile -t targets < <(cargo +nightly fuzz list)

cargo +nightly run --quiet --release --bin seeds
cargo +nightly fuzz build
for target in "${targets[@]}"; do
    # What is not an error, but a crash, a hang, or memory that a small file must not take.
    cargo +nightly fuzz run "$target" -- -max_total_time="$seconds" -max_len=65536 -timeout=20 -report_slow_units=20 -rss_limit_mb=2048 \
        -malloc_limit_mb=512 -verbosity=0 -print_final_stats=1 2>&1 |
        awk -v target="$target" '/crash|ERROR|panicked|Test unit/ { print; bad = 1 }
            /number_of_executed_units/ { runs = $2 } /peak_rss_mb/ { peak = $2 }
            END { printf "%-10s %12d runs, peak %d MiB\n", target, runs, peak; exit bad }'
done
