#!/bin/sh
# hy serve over HTTP: what clients see, the rules of the API one by one, clients that mean harm, and real clients. Run by
# tests/run.sh, which sets HY and GEN. Real clients are left to the release build, where they can be had.
set -u
: "${HY:=build/release/hy}" "${GEN:=build/release/hy-genmodel}"
export HY GEN
command -v node >/dev/null 2>&1 || { echo "skip serve: node is not installed"; exit 77; }
rc=0
logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT

run() { "$1" "tests/serve/$2.mjs" >"$logs/out" 2>&1 || rc=1; cat "$logs/out"; }

# Mostly it waits.
node tests/serve/hostile.mjs >"$logs/hostile" 2>&1 &
hostile=$!
for part in smoke talk conformance_shared conformance_endpoints conformance_generate conformance_openai conformance_transport; do
    run node "$part"
done
wait "$hostile" || rc=1
cat "$logs/hostile"

case ${HY_BUILD:-build/release} in
*/release) ;;
*) exit $rc ;;
esac
if client_node=$(sh tests/serve/clients/setup.sh 2>"$logs/why"); then
    for client in ollama openai langchain ai; do run "$client_node" "clients/$client"; done
    if sh tests/serve/clients/setup.sh ../openclaw >/dev/null 2>"$logs/why"; then run "$client_node" clients/openclaw
    else echo "skip openclaw: $(tail -n 1 "$logs/why")"; fi
else
    echo "skip ollama, openai, langchain, ai, openclaw as clients: $(tail -n 1 "$logs/why")"
fi
exit $rc
