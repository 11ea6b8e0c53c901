#!/bin/sh
# hy trace's page and JSON: made from runs that stream, looked at in a headless Chromium (tests/trace_page.mjs).
# Without a browser the page's cases are skipped, in CI they fail. HY_SHOTS=FOLDER keeps the screenshots.
set -u
: "${HY:=build/release/hy}" "${GEN:=build/release/hy-genmodel}"
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
failures=0
export HY_CACHE_DIR="$dir/cache"

ok() { echo "ok $1"; }
fail() {
    echo "FAIL $1: $2"
    failures=$((failures + 1))
}
holds() { # NAME FILE JQ-PROGRAM
    if jq -e "$3" "$2" >/dev/null 2>"$dir/jq"; then ok "$1"; else fail "$1" "not so: $3 $(head -c 200 "$dir/jq")"; fi
}

browser=
for name in chromium chromium-browser google-chrome "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome" /Applications/Chromium.app/Contents/MacOS/Chromium; do
    [ -n "$browser" ] || browser=$(command -v "$name" 2>/dev/null || :)
done

# A name that would be markup, and no UTF-8.
dense="$dir/<img src=x onerror=alert(1)> & \"dense\" $(printf '\377').gguf"
experts="$dir/experts.gguf"
"$GEN" --arch llama --type Q4_K --n-layer 6 --n-embd 512 --n-ff 2048 --seed 1 -o "$dense" &&
    "$GEN" --arch qwen3moe --type Q4_K --n-layer 6 --n-embd 256 --n-ff-exp 512 --experts 24 --experts-used 4 --seed 1 -o "$experts" || {
    echo "FAIL generator"
    exit 1
}

# trace KIND MODEL OPTION...: leaves KIND.json, KIND.html, KIND.sums
trace() {
    kind=$1 model=$2
    shift 2
    if "$HY" trace "$model" --raw -p "Once upon a time there was" -n 8 --ignore-eos --temp 0 "$@" -o "$dir/$kind.json" --html "$dir/$kind.html" --json \
        >"$dir/$kind.sums" 2>"$dir/err"; then
        ok "$kind: runs"
    else
        fail "$kind: runs" "$(tail -n 2 "$dir/err")"
    fi
    holds "$kind: the summary's parts add up" "$dir/$kind.sums" '.each_step | length == 8 and all(.compute_ns + .stall_ns + .other_ns + .between_ns == .time_ns)'
    holds "$kind: reads and waits are in it" "$dir/$kind.sums" '.token.read_bytes > 0 and .token.io_ns > 0 and (.each_layer | length == 6)'
    holds "$kind: events in Chrome's form" "$dir/$kind.json" '.traceEvents | all(.ph == "M" or (.ts >= 0 and .pid > 0 and .tid > 0 and (.name | length > 0) and .args.step >= 0))'
    holds "$kind: times begin at the first event" "$dir/$kind.json" '[.traceEvents[] | select(.ph != "M") | .ts] | min == 0 and (. == sort)'
    holds "$kind: every lane is named" "$dir/$kind.json" '[.traceEvents[] | select(.name == "thread_name") | [.pid, .tid]] as $named
        | [.traceEvents[] | select(.ph != "M") | [.pid, .tid]] | unique - $named == []'
    holds "$kind: reads say of what" "$dir/$kind.json" '[.traceEvents[] | select(.cat == "read")] | length > 20 and all(.args.bytes > 0 and .args.layer < 6 and (.args.priority | length > 0) and .dur > 0)'
    # Reads at the very beginning (the cache warms before the first step) and at the very end may count or not.
    holds "$kind: bytes of events and sums agree" "$dir/$kind.json" '[.traceEvents[] | select(.cat == "step")] as $steps
        | ($steps | map(.ts) | min) as $start | ($steps | map(.ts + .dur) | max) as $stop
        | [.traceEvents[] | select(.cat == "read")] as $reads | ([.otherData.each_step[].read_bytes] | add) as $sum
        | ([$reads[] | select(.ts > $start + 500 and .ts + .dur < $stop - 500) | .args.bytes] | add) <= $sum
        and $sum <= ([$reads[] | select(.ts + .dur > $start - 500 and .ts < $stop + 500) | .args.bytes] | add)'
    holds "$kind: reads of one reader do not overlap" "$dir/$kind.json" '[.traceEvents[] | select(.cat == "read")] | group_by(.tid) | all([., .[1:]] | transpose | map(select(.[0] and .[1])) | all(.[0].ts + .[0].dur <= .[1].ts + 0.001))'
}
trace dense "$dense" --ring 4
trace experts "$experts" --slots 40
holds "experts: hits, misses and evictions are in it" "$dir/experts.json" '[.traceEvents[].cat] as $c | ["hit", "miss", "evict"] - $c == []'
holds "experts: they are named" "$dir/experts.json" '[.traceEvents[] | select(.cat == "read" or .cat == "hit")] | all(.args.expert >= 0 and .args.expert < 24)'

if [ -z "$browser" ] || ! command -v node >/dev/null 2>&1; then
    why="neither Chromium nor Chrome, or no node, is here: NOBODY LOOKED AT THE PAGE (sh tools/deps.sh test installs them)"
    if [ -n "${CI:-}" ]; then fail "page" "$why"; else echo "skip page: $why"; fi
else
    shots=${HY_SHOTS:-}
    [ -z "$shots" ] || mkdir -p "$shots"
    node tests/trace_page.mjs "$browser" "$dir/dense.html" "<img src=x onerror=alert(1)> & \"dense\" $(printf '\357\277\275').gguf" dense "$shots" || failures=$((failures + 1))
    node tests/trace_page.mjs "$browser" "$dir/experts.html" experts.gguf experts "$shots" || failures=$((failures + 1))
fi
[ "$failures" -eq 0 ]
