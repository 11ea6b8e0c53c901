#!/bin/sh
# Compiles hy's C for arm64 macOS, with the declarations of tests/darwin in place of its headers: finds what only
# compiles on Linux. Shows nothing of what macOS's own headers, linker or frameworks would say.
# Usage: tests/darwin_check.sh [CLANG]
set -u
cd "$(dirname "$0")/.." || exit 1
cc=${1:-clang}
out=build/darwin
mkdir -p $out/include
for header in xxhash.h xxh3.h pcre2.h utf8proc.h jansson.h jansson_config.h microhttpd.h histedit.h; do
    for dir in /usr/include /usr/include/*-linux-gnu; do
        [ -f "$dir/$header" ] && ln -sf "$dir/$header" $out/include/$header
    done
done
ok=0 bad=0
check() { # source, flags
    # shellcheck disable=SC2086 # the flags are several words or none
    if $cc -target arm64-apple-macos14 -nostdlibinc -isystem tests/darwin -isystem $out/include -std=gnu17 -O1 \
        -Wall -Wextra -Werror -Wno-unused-parameter -Wno-missing-field-initializers -D_DARWIN_C_SOURCE -I. $2 \
        -c "$1" -o $out/check.o 2>$out/log; then
        ok=$((ok + 1))
    else
        bad=$((bad + 1))
        echo "$1: does not compile for arm64-apple-macos"
        grep -E 'error' $out/log | head -n 5
    fi
}
for source in runtime/*.c gguf/*.c io/*.c kernels/*.c models/*.c models/*/*.c sched/*.c tools/*.c tools/serve/*.c; do
    [ -f "$source" ] || continue
    case $source in
    *_cpu.c)
        neon="-DISA_neon=1 -march=armv8.2-a+fp16+dotprod"
        check "$source" "-DISA=neon $neon"
        check "$source" "-DISA=neon_i8mm -DISA_neon_i8mm=1 $neon+i8mm"
        ;;
    *) check "$source" "" ;;
    esac
done
echo "$ok passed, $bad failed"
[ $bad -eq 0 ]
