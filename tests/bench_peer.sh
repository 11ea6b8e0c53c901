#!/bin/sh
# Speed beside llama.cpp on models of a 1B shape, which the generator makes once (2.5 GB in all):
# sh tests/bench_peer.sh build/release [bench.mjs options]
set -eu
build=${1:-build/release}
[ $# -eq 0 ] || shift
export HY="$build/hy"
node=$(sh tests/peer/setup.sh)

mkdir -p build/models
for type in ${HY_BENCH_TYPES:-Q4_K Q6_K Q8_0}; do
    file=build/models/llama-1b-$type.gguf
    if [ -z "$(find "$file" -newer "$build/hy-genmodel" 2>/dev/null)" ]; then
        "$build/hy-genmodel" --arch llama --type "$type" --size 1b -o "$file.part"
        mv "$file.part" "$file"
    fi
    set -- "$@" "$file"
done
exec "$node" tests/peer/bench.mjs "$@"
