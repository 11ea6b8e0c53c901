#!/bin/sh
# Runs every test: sh tests/run.sh build/release [NAME...]
#
# A test is a cmocka program (BUILD/tests/test_*) or a script (tests/test_*.sh). A script prints
# "ok NAME", "FAIL NAME" and "skip NAME: why" lines and exits 0, 1, or 77 when all of it is skipped.
# The counts are of cases, not of files. A program that crashes, hangs or runs no case is one
# failure. The output of each is kept in BUILD/tests/log; the last line sums everything up.
set -u

build=${1:?usage: tests/run.sh BUILD_FOLDER [NAME...]}
shift
export HY="$build/hy" GEN="$build/hy-genmodel" HY_BUILD="$build"
export HY_DATA="${HY_DATA:-../shared/data}"
export ASAN_OPTIONS="${ASAN_OPTIONS:-detect_leaks=1:strict_string_checks=1}"
export UBSAN_OPTIONS="${UBSAN_OPTIONS:-print_stacktrace=1}"
limit_s=${HY_TEST_LIMIT:-600}
log_dir="$build/tests/log"
mkdir -p "$log_dir"
export HY_CACHE_DIR="$build/tests/cache" # not the user's, and empty at the start
rm -rf "$HY_CACHE_DIR"

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

all_passed=0 all_failed=0 all_skipped=0
run_one() {
    name=$1
    shift
    log="$log_dir/$name.log"
    from=$(now)
    limited "$@" </dev/null >"$log" 2>&1
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
    printf '%-8s %-24s %6s s  %s passed, %s failed, %s skipped%s\n' \
        "$verdict" "$name" "$took" "$passed" "$failed" "$skipped" "${note:+ ($note)}"
    reasons "$log"
    if [ "$failed" -gt 0 ]; then
        { grep -n -E '^FAIL |^\[  FAILED  \]|Sanitizer|runtime error' "$log" | head -n 20
          echo "-- the end of $log:"
          tail -n 25 "$log"; } | sed 's/^/    /'
    fi
    all_passed=$((all_passed + passed))
    all_failed=$((all_failed + failed))
    all_skipped=$((all_skipped + skipped))
}

# wanted FILE NAME: whether the file exists (a pattern without a match does not) and was asked for.
wanted() {
    [ -e "$1" ] || return 1
    [ -n "$names" ] || return 0
    case " $names " in *" $2 "*) return 0 ;; esac
    return 1
}

names=$*
for source in tests/test_*.c; do
    name=$(basename "$source" .c)
    wanted "$source" "$name" || continue
    case "$(uname -s) $name" in "Darwin test_soft"*) continue ;; esac # soft Metal is Linux's
    run_one "$name" "$build/tests/$name"
done
for script in tests/test_*.sh; do
    name=$(basename "$script" .sh)
    wanted "$script" "$name" || continue
    run_one "$name" sh "$script"
done

summary="$all_passed passed, $all_failed failed"
[ "$all_skipped" -eq 0 ] || summary="$summary, $all_skipped skipped"
echo "$summary"
[ "$all_failed" -eq 0 ] && [ "$all_passed" -gt 0 ]
