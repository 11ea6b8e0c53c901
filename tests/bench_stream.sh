#!/bin/sh
# Models larger than memory: hy against its bound (hy bench --stream), and beside llama.cpp, which maps the file.
#   sh tests/bench_stream.sh build/release [MODEL...]
# Without a model: a Mixtral-shaped one a third larger than this machine's memory is written to build/models and kept. Figures of
# a file that was just written say little: the disk may still be busy with it.
set -eu
build=${1:-build/release}
[ $# -eq 0 ] || shift
export HY="$build/hy"
node=$(sh tests/peer/setup.sh)

if [ $# -eq 0 ]; then
    file=build/models/mixtral-larger-than-memory.gguf
    memory_kb=$(awk '/^MemTotal/ {print $2}' /proc/meminfo)
    layers=$((memory_kb * 4 / 3 / 983040)) # one layer of eight experts, Q5_K, is 0.98 GB
    mkdir -p build/models
    free_kb=$(df -Pk build/models | awk 'NR == 2 {print $4}')
    if [ ! -f "$file" ] && [ "$free_kb" -lt $((memory_kb * 4 / 3 + 4000000)) ]; then
        echo "bench: the disk has no room for $((memory_kb * 4 / 3000000)) GB in build/models; name a model of your own" >&2
        exit 1
    fi
    if [ ! -f "$file" ]; then
        echo "writing $file ($layers layers)" >&2
        "$build/hy-genmodel" --arch mixtral --type Q5_K --n-embd 4096 --n-layer "$layers" --n-head 32 --n-head-kv 8 --experts 8 \
            --experts-used 2 --n-ff 14336 --n-vocab 32000 --n-ctx 4096 -o "$file.part"
        mv "$file.part" "$file"
        sync
    fi
    set -- "$file"
fi
for file in "$@"; do "$HY" bench "$file" --stream -p 16 -n 16; done
exec "$node" tests/peer/bench.mjs --rounds 1 -p 16 -n 8 "$@"
