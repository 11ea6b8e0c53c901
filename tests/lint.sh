#!/bin/sh
# Every lint: sh tests/lint.sh [build/release] (exported names are checked when it is built).
set -u
cd "$(dirname "$0")/.." || exit 1
build=${1:-build/release}
failed=0

sh tests/lint_layers.sh || failed=1

if [ -e "$build/libhy.a" ]; then
    sh tests/lint_names.sh "$build" || failed=1
else
    echo "lint_names: SKIPPED, $build is not built"
fi

find . -name node_modules -prune -o -path ./build -prune -o -name '*.sh' -exec shellcheck -S warning {} + || failed=1
shellcheck -S warning .ci/run || failed=1

[ "$failed" -eq 0 ] && echo "lint: no findings"
exit "$failed"
