#!/usr/bin/env bash
# Writes the stubs of the compiled part, by what it says of itself.
set -euo pipefail
cd "$(dirname "$0")/.."
stubs=python/synfire/_synfire.pyi
out=$(mktemp -d)
# What is kept where it fails.
cp $stubs "$out/before.pyi"
trap 'cp "$out/before.pyi" $stubs && rm -rf "$out"' EXIT
# A file of that name would be in the way of the one that goes into the package, and a package for users has no symbols to tell by.
rm $stubs
MATURIN_STRIP=false maturin build -q --release --generate-stubs -i python3 -o "$out"
python3 -m zipfile -e "$out"/*.whl "$out"
cp "$out/synfire/_synfire.pyi" "$out/before.pyi"
