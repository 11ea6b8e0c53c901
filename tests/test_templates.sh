#!/bin/sh
# Prompts of real chat templates against @huggingface/jinja: tests/peer/templates.mjs. Skipped where it cannot be had.
# With sanitizers a shorter matrix is rendered.
set -u
: "${HY:=build/release/hy}" "${HY_DATA:=../shared/data}"
export HY HY_DATA

case ${HY_BUILD:-build/release} in
*/release) ;;
*) export HY_TEMPLATES="${HY_TEMPLATES:-quick}" ;;
esac

why=$(mktemp)
trap 'rm -f "$why"' EXIT
if ! node=$(sh tests/peer/setup.sh 2>"$why"); then
    echo "skip templates against @huggingface/jinja: $(tail -n 1 "$why")"
    exit 77
fi
"$node" tests/peer/templates.mjs
