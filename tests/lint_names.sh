#!/bin/sh
# The file name is the prefix: every symbol that an object exports begins with the first word of a
# file of its folder, whole or cut short (kv_append in kv.c, prog_add in program.c). A header that
# lays down further nouns names them here. hy_ is sched's public API alone.
# Usage: lint_names.sh build/release
set -u
build=${1:?usage: lint_names.sh BUILD_FOLDER}
cd "$(dirname "$0")/.." || exit 1

nouns() {
    case $1 in
    runtime) echo "buf cmd check" ;; # device.h, err.h
    io) echo "readers" ;;            # reader.h
    kernels) echo "mm" ;;            # matmul_rows.h
    models) echo "arch op tensor" ;; # hparams.h, program.h, weights.h
    models/tokenizer) echo "tokens" ;; # tokenizer.h
    sched) echo "hy" ;;
    esac
}

findings=0 symbols=0
for folder in runtime gguf io kernels models models/tokenizer models/chat models/grammar sched; do
    # Each word is between bars, so that "|prog" finds "|program|".
    words=$(find "$folder" -maxdepth 1 -name '*.[ch]' | sed 's|.*/||; s|[_.].*||' | sort -u | tr '\n' '|')
    words="|$words$(nouns "$folder" | tr ' ' '|')|"
    for object in "$build/$folder"/*.o; do
        [ -e "$object" ] || continue
        for symbol in $(nm -g --defined-only "$object" |
            awk 'NF == 3 { print $3 }' | grep -v -E '^_|\.'); do
            symbols=$((symbols + 1))
            case $words in
            *"|${symbol%%_*}"*) ;;
            *) echo "$object: $symbol does not begin with the name of a file of $folder/"
               findings=$((findings + 1)) ;;
            esac
        done
    done
done
echo "lint_names: $symbols symbols, $findings findings"
[ "$findings" -eq 0 ] && [ "$symbols" -gt 0 ]
