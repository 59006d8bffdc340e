#!/usr/bin/env bash
# The experiments of docs/results.md, each a comparison in a folder of its own. What was stopped goes on where it was.
#
#     cargo build --release && SYNFIRE_DATA=DIR bash bench/experiments.sh OUT [NAME…]
#
# Without a name all of them, in this order, each about an hour or less on two cores.
set -euo pipefail
synfire="$(cd "$(dirname "$0")/.." && pwd)/target/release/synfire"
out="${1:?where the comparisons go}"
shift
wanted=" $* "

# experiment NAME ARGUMENTS…: begins a comparison, takes it up, or shows it.
experiment() {
    local name="$1"
    shift
    case "$wanted" in "  " | *" $name "*) ;; *) return 0 ;; esac
    printf '\n== %s\n' "$name"
    if [ -f "$out/$name/compare.toml" ]; then
        "$synfire" compare --resume "$out/$name"
    else
        "$synfire" compare "$@" --out "$out/$name"
    fi
    "$synfire" report "$out/$name"
}

methods=(--vary method=stbp,bpsa,bpsta)
steps=(--vary time-steps=4,8 --inference-steps 1,2,4,8,16)
small=16C3-MP2-32C3-MP2-64C3-AP2-LI10

# Methods against time steps, three seeds or more.
experiment gestures gestures "${methods[@]}" "${steps[@]}"
experiment nmnist nmnist "${methods[@]}" "${steps[@]}" --epochs 20 --seeds 5
experiment mnist mnist --vary method=stbp,bpsa,bpsta,ann "${steps[@]}" --train-samples 10000 --epochs 8 --net $small
experiment nmnist-simulated nmnist-simulated "${methods[@]}" "${steps[@]}" --train-samples 3000 --epochs 6 --net $small
experiment cifar-10 cifar-10 "${methods[@]}" "${steps[@]}" --epochs 3 --net $small
# The weight of the error across a spike, where order in time decides.
experiment alpha gestures --vary alpha=0,0.2,0.5,1 --time-steps 4 --epochs 8

# MNIST as well as it gets in under an hour.
experiment mnist-best mnist --vary method=bpsta --time-steps 2 --epochs 30 --rotate 10 --jobs 1 --inference-steps 1,2,4,8

# Readouts against losses and methods, five seeds.
losses=(--vary loss=mse,cross-entropy --seeds 5)
both=(--vary voter-method=same,stbp)
for set in digits mnist nmnist; do
    case $set in
        digits) net=32C3-64C3-MP2-128C3-AP2 settings=(--epochs 15) ;;
        mnist) net=16C3-MP2-32C3-AP2 settings=(--epochs 4 --train-samples 5000) ;;
        nmnist) net=32C3-MP2-64C3-MP2-128C3-AP2 settings=(--epochs 12 --time-steps 4) ;;
    esac
    experiment voters-$set $set --net $net-VOTE10 "${both[@]}" "${methods[@]}" "${losses[@]}" "${settings[@]}"
    experiment integrators-$set $set --net $net-LI10 "${methods[@]}" "${losses[@]}" "${settings[@]}"
done

# What bench/agree.py trains in PyTorch.
experiment agree mnist "${methods[@]}" --train-samples 10000 --epochs 4 --net 16C3-MP2-32C3-AP2-LI10 --time-steps 4 \
    --batch-size 64 --shift 0 --norm per-step --precision f32 --seeds 5
