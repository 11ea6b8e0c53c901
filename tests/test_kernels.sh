#!/bin/sh
# hy kernels-test on every instruction set of this machine and on metal; on soft Metal the outputs must have the same
# bits in every order of threads and with every poison pattern. One case per group with sanitizers.
set -u
: "${HY:=build/release/hy}"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
failed=0
quick=
case ${HY_BUILD:-build/release} in */release) ;; *) quick=--quick ;; esac

# check NAME OPTIONS...: one run; its report is shown when something fails.
check() {
    name=$1
    shift
    if "$HY" kernels-test "$@" >"$log" 2>&1; then echo "ok $name: $(tail -n 1 "$log")"
    elif grep -q 'does not run the' "$log"; then echo "skip $name: not this processor"
    else
        grep -v 'pass$' "$log" | tail -n 40
        echo "FAIL $name"
        failed=1
    fi
}

digest() { sed -n 's/^outputs *\([0-9a-f]*\).*/\1/p' "$log"; }

for isa in scalar avx2 avx512 neon neon_i8mm; do check "$isa" --isa "$isa" $quick; done
check metal --device metal $quick
[ "$(uname -s)" = Linux ] || exit "$failed"

# shellcheck disable=SC2086  # $quick is a word or nothing
"$HY" kernels-test --device metal --quick >"$log" 2>&1
want=$(digest)
[ -n "$want" ] || { echo "FAIL no digest"; failed=1; }
for order in desc random:1 random:2; do
    HY_SOFT_ORDER=$order check "metal, threads in order $order" --device metal --quick
    [ "$(digest)" = "$want" ] || { echo "FAIL other bits in order $order"; failed=1; }
done
for poison in 0 255; do
    HY_SOFT_POISON=$poison check "metal, poison $poison" --device metal --quick
    [ "$(digest)" = "$want" ] || { echo "FAIL other bits with poison $poison"; failed=1; }
done
exit "$failed"
