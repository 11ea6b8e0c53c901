#!/bin/sh
# Runs every test: sh tests/run.sh build/release [NAME...]
#
# A test is a cmocka program (BUILD/tests/test_*) or a script (tests/test_*.sh). A script prints
# "ok NAME", "FAIL NAME" and "skip NAME: why" lines and exits 0, 1, or 77 when all of it is skipped.
# The counts are of cases, not of files. A program that crashes, hangs or runs no case is one
# failure. The output of each is kept in BUILD/tests/log; the last line sums everything up.
#
# HY_TEST_JOBS=4: four at a time, on a machine with cores to spare (each uses several). xargs starts them by way of this script.
set -u

build=${1:?usage: tests/run.sh BUILD_FOLDER [NAME...]}
shift
export HY="$build/hy" GEN="$build/hy-genmodel" HY_BUILD="$build"
export HY_DATA="${HY_DATA:-../shared/data}"
export ASAN_OPTIONS="${ASAN_OPTIONS:-detect_leaks=1:strict_string_checks=1}"
export UBSAN_OPTIONS="${UBSAN_OPTIONS:-print_stacktrace=1}"
limit_s=${HY_TEST_LIMIT:-600}
log_dir="$build/tests/log"
cache_dir="$build/tests/cache" # a folder in it for each test: not the user's, and empty at the start

# macOS has no timeout(1); an alarm outlives exec, so perl does the same.
limited() {
    if command -v timeout >/dev/null 2>&1; then
        timeout -k 5 "$limit_s" "$@"
    else
        perl -e 'alarm shift; exec @ARGV or exit 127' "$limit_s" "$@"
    fi
}

# "passed failed skipped" out of a log. cmocka lists its failures again after "N test(s) run.".
count() {
    awk '
        /^\[==========\].*Running/ { listing = 0 }
        /^\[==========\].*run\./ { listing = 1 }
        /^\[       OK \]/ { passed++ }
        /^\[  FAILED  \]/ && !listing { failed++ }
        /^\[  SKIPPED \]/ && !listing { skipped++ }
        /^ok / { passed++ }
        /^FAIL / { failed++ }
        /^skip / { skipped++ }
        END { print passed + 0, failed + 0, skipped + 0 }' "$1"
}

reasons() {
    awk '
        /^\[==========\].*Running/ { listing = 0 }
        /^\[==========\].*run\./ { listing = 1 }
        /^\[  SKIPPED \]/ && !listing { print "    SKIPPED " $4; next }
        /^skip / { sub(/^skip /, ""); print "    SKIPPED " $0 }' "$1"
}

# 2.5 for 2 s and 500 ms; date has no finer unit on every system, perl has.
now() { perl -MTime::HiRes=time -e 'printf "%.2f", time'; }

# run_one NAME: prints its line, and what went wrong; its counts go to NAME.count.
run_one() {
    name=$1
    log="$log_dir/$name.log"
    export HY_CACHE_DIR="$cache_dir/$name"
    from=$(now)
    if [ -e "tests/$name.sh" ]; then limited sh "tests/$name.sh"; else limited "$build/tests/$name"; fi </dev/null >"$log" 2>&1
    rc=$?
    took=$(awk "BEGIN { printf \"%.1f\", $(now) - $from }")
    read -r passed failed skipped <<EOF
$(count "$log")
EOF
    note=
    case $rc in
    0) [ $((passed + failed + skipped)) -gt 0 ] || { failed=1 note="no case was run"; } ;;
    77) [ "$skipped" -gt 0 ] || skipped=1 ;;
    124 | 137 | 142) failed=$((failed + 1)) note="stopped after the limit of $limit_s s (or killed)" ;;
    *) [ "$failed" -gt 0 ] || { failed=1 note="exit status $rc"; } ;;
    esac
    verdict=ok
    [ "$skipped" -eq 0 ] || verdict=partly
    [ "$passed" -gt 0 ] || [ "$skipped" -eq 0 ] || verdict=SKIPPED
    [ "$failed" -eq 0 ] || verdict=FAILED
    {
        printf '%-8s %-24s %6s s  %s passed, %s failed, %s skipped%s\n' \
            "$verdict" "$name" "$took" "$passed" "$failed" "$skipped" "${note:+ ($note)}"
        reasons "$log"
        [ "$failed" -eq 0 ] || complain | sed 's/^/    /'
    } >"$log_dir/$name.line"
    cat "$log_dir/$name.line" # in one piece: another test may be at the same point
    echo "$passed $failed $skipped" >"$log_dir/$name.count"
}

complain() {
    grep -n -E '^FAIL |^\[  FAILED  \]|Sanitizer|runtime error' "$log" | head -n 20
    echo "-- the end of $log:"
    tail -n 25 "$log"
}

if [ "${1:-}" = --one ]; then
    run_one "$2"
    exit
fi

# wanted FILE NAME: whether the file exists (a pattern without a match does not) and was asked for.
wanted() {
    [ -e "$1" ] || return 1
    [ -n "$names" ] || return 0
    case " $names " in *" $2 "*) return 0 ;; esac
    return 1
}

names=$*
# Scripts first: they are the longest.
list() {
    for source in tests/test_*.sh tests/test_*.c; do
        name=$(basename "${source%.*}")
        wanted "$source" "$name" || continue
        case "$(uname -s) $source" in "Darwin tests/test_soft"*) continue ;; esac # soft Metal is Linux's
        echo "$name"
    done
}

n_test=$(list | wc -l)
[ "$n_test" -gt 0 ] || { echo "there is no test called $names" >&2; exit 1; }
rm -rf "$log_dir" "$cache_dir"
mkdir -p "$log_dir" "$cache_dir"
list | xargs -n 1 -P "${HY_TEST_JOBS:-1}" sh tests/run.sh "$build" --one

cat "$log_dir"/*.count | awk -v n_test="$((n_test))" '
    { passed += $1; failed += $2; skipped += $3 }
    END {
        if (NR < n_test) { print n_test - NR " tests were not run to their end"; failed += n_test - NR }
        printf "%d passed, %d failed%s\n", passed, failed, skipped ? ", " skipped " skipped" : ""
        exit failed > 0 || passed == 0
    }'
