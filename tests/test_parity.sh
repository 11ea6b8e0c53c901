#!/bin/sh
# Logits and greedy text against llama.cpp on the same files: tests/peer/parity.mjs.
# Skipped where llama.cpp cannot be had. With sanitizers a shorter list is run.
set -u
: "${HY:=build/release/hy}" "${GEN:=build/release/hy-genmodel}" "${HY_DATA:=../shared/data}"
export HY GEN HY_DATA

case ${HY_BUILD:-build/release} in
*/release) ;;
*) export HY_PARITY="${HY_PARITY:-quick}" ;;
esac

why=$(mktemp)
trap 'rm -f "$why"' EXIT
if ! node=$(sh tests/peer/setup.sh 2>"$why"); then
    echo "skip parity with llama.cpp: $(tail -n 1 "$why")"
    exit 77
fi
"$node" tests/peer/parity.mjs "$@"
