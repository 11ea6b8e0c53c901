#!/bin/sh
# The model in the box, end to end: its perplexity on a held-out text to four digits on each device and
# instruction set, resident and streamed; that it answers without a path, in time; the dense sibling.
set -u
: "${HY:=build/release/hy}"
text=tests/data/held-out.txt
dense=models/default/stories-dense.gguf
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
export HY_CACHE_DIR="$dir/cache"
failures=0

ok() { echo "ok $1"; }
fail() { # NAME WHY
    echo "FAIL $1: $2"
    failures=$((failures + 1))
}

# perplexity NAME WANTED OPTION...
perplexity() {
    name=$1 wanted=$2
    shift 2
    if ! "$HY" eval "$@" -f "$text" >"$dir/out" 2>"$dir/err"; then
        if grep -q "this processor does not run\|no Metal" "$dir/err"; then echo "skip $name: $(cat "$dir/err")"
        else fail "$name" "$(cat "$dir/err")"; fi
        return
    fi
    got=$(sed -n 's/^perplexity \([0-9.]*\).*/\1/p' "$dir/out")
    if [ "$got" = "$wanted" ]; then ok "$name"; else fail "$name" "perplexity $got, not $wanted"; fi
}

# answers NAME PROMPT PATTERN: the likeliest answer, from the program alone.
answers() {
    if "$HY" run -p "$2" --temp 0 -n 500 >"$dir/out" 2>"$dir/err" && grep -q "$3" "$dir/out"; then ok "$1"
    else fail "$1" "$(head -c 300 "$dir/out" "$dir/err")"; fi
}

# Rounding of activations to 8 bits is each instruction set's own.
perplexity "held-out text, scalar" 1.8549 --isa scalar
case $(uname -m) in
x86_64)
    perplexity "held-out text, AVX2" 1.8595 --isa avx2
    perplexity "held-out text, AVX-512" 1.8605 --isa avx512
    ;;
*) echo "skip held-out text on this processor: its digits are not recorded" ;;
esac
perplexity "held-out text, 16 expert slots" 1.8549 models/default/stories.gguf --isa scalar --slots 16
perplexity "held-out text, 16 expert slots, from the box" 1.8549 --isa scalar --slots 16
if [ "$(uname)" = Linux ]; then
    perplexity "held-out text, soft Metal" 1.8574 --device metal
    perplexity "held-out text, soft Metal, 16 expert slots" 1.8574 models/default/stories.gguf --device metal --slots 16
fi
perplexity "held-out text, dense sibling, scalar" 1.9611 "$dense" --isa scalar

answers "a story about a fox" "Tell me a story about a fox" "fox who lived"
answers "a story about what is asked for" "Write a short story about a girl who lost her kite." "lay the kite"
answers "what hy is" "What is hy?" "GGUF"
answers "how streaming works" "How does streaming work?" "disk\|SSD"
answers "what it does not know" "Why is the sky blue?" "do not know"

"$HY" run -p "Tell me a story about a fox" --temp 0 -n 500 >"$dir/one" 2>"$dir/err"
"$HY" run models/default/stories.gguf -p "Tell me a story about a fox" --temp 0 -n 500 >"$dir/two" 2>"$dir/err"
if [ -s "$dir/one" ] && cmp -s "$dir/one" "$dir/two"; then ok "the box holds the file"; else fail "the box holds the file" "texts differ"; fi

[ "$failures" -eq 0 ]
