#!/bin/sh
# What hy needs from the system, installed with apt-get (Debian, Ubuntu) or brew (macOS).
#
#   tools/deps.sh build|test|lint
#
# Silent and quick when nothing is missing. HY_NO_INSTALL=1 prints the command instead of running
# it and fails. Each package's reason stands in the README's table of dependencies.
set -eu

what=${1:-build}
no_install=${HY_NO_INSTALL:-}

# A package is named with the reason that the user reads. The first list holds libraries, known to
# the package manager; tools are looked for on the PATH, since they may come from anywhere.
case $what in
build)
    why="to build hy: a C compiler, xxHash (digests), jansson (JSON), libmicrohttpd (HTTP), libedit (chat), PCRE2 and utf8proc (tokenizers), clang-19 and libobjc (Metal on Linux)"
    apt_libs="libc6-dev libxxhash-dev libedit-dev libjansson-dev libmicrohttpd-dev libpcre2-dev libutf8proc-dev libobjc4"
    brew_libs="xxhash libedit jansson libmicrohttpd pcre2 utf8proc"
    tools="cc:gcc: clang-19:clang-19:" ;;
test)
    why="to test hy: cmocka (unit tests), clang (fuzzers), jq, node with npm (llama.cpp as a peer), chromium (the trace page)"
    apt_libs="libcmocka-dev libclang-rt-19-dev"
    brew_libs="cmocka"
    tools="clang:clang: jq:jq:jq node:nodejs:node npm:npm:node"
    # Ubuntu's is a snap, which needs more than apt-get: there Chrome or Chromium is used if it is on the PATH.
    command -v google-chrome >/dev/null 2>&1 || grep -q '^ID=ubuntu' /etc/os-release 2>/dev/null || tools="$tools chromium:chromium:" ;;
lint)
    why="to lint hy: shellcheck (shell scripts)"
    apt_libs=""
    brew_libs=""
    tools="shellcheck:shellcheck:shellcheck" ;;
*)
    echo "usage: tools/deps.sh build|test|lint" >&2
    exit 2 ;;
esac

say() { echo "deps: $*" >&2; }

# missing_tools FIELD: the packages (field 2: apt, 3: brew) of the tools that are not on the PATH.
missing_tools() {
    for tool in $tools; do
        command -v "${tool%%:*}" >/dev/null 2>&1 && continue
        echo "$tool" | cut -d: -f"$1"
    done
}

missing_apt() {
    # shellcheck disable=SC2016,SC2086  # the format is dpkg's; the list is words
    have=$([ -z "$apt_libs" ] || dpkg-query -W -f '${db:Status-Status} ${Package}\n' $apt_libs 2>/dev/null || :)
    for lib in $apt_libs; do
        case "
$have
" in
        *"
installed $lib
"*) ;;
        *) echo "$lib" ;;
        esac
    done
    missing_tools 2
}

missing_brew() {
    prefix=${HOMEBREW_PREFIX:-$(brew --prefix)}
    for lib in $brew_libs; do
        [ -d "$prefix/opt/$lib" ] || echo "$lib"
    done
    missing_tools 3
}

words() { sort -u | tr '\n' ' ' | sed 's/^ *//; s/ *$//'; }

install_apt() {
    if [ -z "$(find /var/lib/apt/lists -name '*_Packages*' 2>/dev/null | head -n 1)" ]; then
        $sudo apt-get update -q </dev/null >&2
    fi
    # shellcheck disable=SC2086  # words on purpose
    get() { $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $missing </dev/null >&2; }
    get || { $sudo apt-get update -q </dev/null >&2 && get; }
}

if command -v apt-get >/dev/null 2>&1 && command -v dpkg-query >/dev/null 2>&1; then
    missing=$(missing_apt | words)
    sudo=
    [ "$(id -u)" -eq 0 ] || sudo=sudo
    command="${sudo:+$sudo }apt-get install -y --no-install-recommends $missing"
    install=install_apt
elif [ "$(uname -s)" = Darwin ]; then
    if ! command -v cc >/dev/null 2>&1; then
        say "no C compiler: run 'xcode-select --install', then try again"
        exit 1
    fi
    if ! command -v brew >/dev/null 2>&1; then
        say "Homebrew is needed for libraries: see https://brew.sh, then try again"
        exit 1
    fi
    missing=$(missing_brew | words)
    command="brew install $missing"
    install="brew install $missing"
else
    # Another system: the compiler's own complaint about a missing header says the rest.
    missing=$(missing_tools 1 | words)
    [ -z "$missing" ] && exit 0
    say "missing: $missing ($why); install with your package manager"
    exit 1
fi

[ -z "$missing" ] && exit 0
if [ -n "$no_install" ]; then
    say "missing: $missing ($why); install with"
    echo "$command"
    exit 1
fi
if [ -n "${sudo:-}" ] && ! command -v sudo >/dev/null 2>&1; then
    say "missing: $missing ($why); as root, run"
    echo "$command"
    exit 1
fi
say "installing $missing ($why): $command"
if ! $install; then
    say "that failed; install by hand: $command"
    exit 1
fi
