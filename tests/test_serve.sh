#!/bin/sh
# hy serve over HTTP: what clients see, and clients that mean harm. Run by tests/run.sh, which sets HY and GEN.
set -u
: "${HY:=build/release/hy}" "${GEN:=build/release/hy-genmodel}"
export HY GEN
command -v node >/dev/null 2>&1 || { echo "skip serve: node is not installed"; exit 77; }
rc=0
for part in smoke talk hostile; do
    node "tests/serve/$part.mjs" || rc=1
done
exit $rc
