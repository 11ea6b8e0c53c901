#!/bin/sh
# The shape of the house, checked: who may include whom, headers that stand alone, and what only
# tools/ may do. Prints one line per finding; silent but for a last line when all is well.
set -u
cd "$(dirname "$0")/.." || exit 1
cc=${CC:-cc}
folders="runtime gguf io kernels models sched tools"
findings=$(mktemp)
trap 'rm -f "$findings"' EXIT
found() { echo "$*" >>"$findings"; }

# A folder and those that it may include from.
may_include() {
    case $1 in
    runtime) echo "runtime" ;;
    gguf) echo "runtime gguf" ;;
    io) echo "runtime io" ;;
    kernels) echo "runtime gguf kernels" ;;
    models) echo "runtime gguf kernels models" ;;
    sched) echo "runtime gguf io kernels models sched" ;;
    tools) echo "$folders" ;;
    esac
}

# A header named after an instruction set is one of several variants of a kernel's body: it does not
# stand alone, and is kernels/ own affair.
is_variant() {
    case $1 in
    *_scalar.h | *_avx2*.h | *_avx512*.h | *_neon*.h) return 0 ;;
    esac
    return 1
}

# grep_code PATTERN FILE...: without the lines that are comments.
grep_code() {
    pattern=$1
    shift
    grep -n -E "$pattern" "$@" /dev/null | grep -v -E '^[^:]*:[0-9]+: *(\*|//|/\*)'
}

# shellcheck disable=SC2086  # lists of words, here and below
sources=$(find $folders -name '*.[ch]' | sort)
# shellcheck disable=SC2086
headers=$(find $folders tests -name node_modules -prune -o -path tests/darwin -prune -o -name '*.h' -print | sort)
# shellcheck disable=SC2086
written=$(find $folders tests .ci -name node_modules -prune -o \( -name '*.[ch]' -o -name '*.sh' \
    -o -name '*.mjs' -o -name '*.metal' -o -name run \) -type f -print | sort)

for file in $sources; do
    allowed=$(may_include "${file%%/*}")
    # shellcheck disable=SC2013  # names have no blanks
    for include in $(sed -n 's/^ *# *include *"\([^"]*\)".*/\1/p' "$file"); do
        case $include in
        */*) ;;
        *) found "$file: \"$include\" is not a rooted include"; continue ;;
        esac
        if is_variant "$include" && [ "${file%%/*}" != "${include%%/*}" ]; then
            found "$file: only ${include%%/*}/ may include \"$include\""
        fi
        case " $allowed " in
        *" ${include%%/*} "*) ;;
        *) found "$file: ${file%%/*} must not include \"$include\"" ;;
        esac
    done
done

below_tools=$(echo "$sources" | grep -v '^tools/')
# shellcheck disable=SC2086  # lists of words
{
    before='(^|[^_[:alnum:]>.])'
    grep_code "$before(exit|_exit|_Exit|quick_exit) *\(" $below_tools | sed 's/$/   <- only tools\/ exits/'
    grep_code "$before(printf|vprintf|puts|putchar) *\(|[(, ]stdout *[,)]" $below_tools |
        sed 's/$/   <- only tools\/ writes to stdout/'
    grep -n "$(printf '\t')" $written | sed 's/$/   <- a tab/'
} >>"$findings"

for file in $headers; do
    grep -q '^#pragma once' "$file" || found "$file: no #pragma once"
    is_variant "$file" && continue
    case $file in
    *.metal.h | runtime/soft/msl*.h) continue ;; # the kernels' language, not C
    tests/darwin/*) continue ;;                  # stands in for another system's headers
    esac
    said=$(echo "#include \"$file\"" |
        "$cc" -std=gnu17 -D_GNU_SOURCE -I. -Wall -Werror -fsyntax-only -x c - 2>&1 | head -n 3)
    case $said in
    '') ;;
    *objc/*"No such file"* | *objc/*"not found"*) echo "SKIPPED $file alone: no Objective-C runtime here" ;;
    *) echo "$said" | sed "s|^|$file alone: |" >>"$findings" ;;
    esac
done

for file in $written; do
    lines=$(wc -l <"$file")
    [ "$lines" -le 1000 ] || echo "warning: $file has $lines lines; think of two files" >&2
done

if [ -s "$findings" ]; then
    cat "$findings"
    echo "lint_layers: $(wc -l <"$findings") findings"
    exit 1
fi
echo "lint_layers: $(echo "$sources" | wc -l) files, no findings"
