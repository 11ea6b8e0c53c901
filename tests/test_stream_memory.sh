#!/bin/sh
# What a model that streams takes of the machine: the memory that was planned, next to nothing of the page cache, and no writes but
# the statistics file; and that it may be killed at any time. Run by tests/run.sh, which sets HY and GEN.
set -u
: "${HY:=build/release/hy}" "${GEN:=build/release/hy-genmodel}"
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
export HY_CACHE_DIR="$dir/cache"
failures=0
ok() { echo "ok $1"; }
fail() { # NAME WHY
    echo "FAIL $1: $2"
    failures=$((failures + 1))
}
skip() { echo "skip $1: $2"; }
instrumented=$(nm -C "$HY" 2>/dev/null | grep -c -E '__(asan|tsan|ubsan)_')

make_model() { # NAME OPTION...: a model of some hundred megabytes
    name=$1
    shift
    "$GEN" "$@" --n-embd 1024 --n-head 16 --n-head-kv 4 --n-vocab 2000 -o "$dir/$name.gguf" && return
    echo "FAIL generator"
    exit 1
}
make_model dense --arch llama --type Q8_0 --n-layer 12 --n-ff 6144
make_model experts --arch mixtral --type Q4_K --down-type Q6_K --n-layer 8 --n-ff 2048 --experts 16

# The value of a number in a flat JSON object on stdin.
number() { sed -n "s/.*\"$1\": *\([0-9.]*\).*/\1/p"; }

# Megabytes of a file that the page cache holds.
cached_mb() { fincore -b -n -o RES "$1" | awk '{ printf "%d", $1 / 1e6 }'; }
forget() { dd of="$1" oflag=nocache conv=notrunc,fdatasync count=0 2>/dev/null; }

for row in dense:240M experts:200M; do
    model=${row%:*} budget=${row#*:}
    name="$model in $budget"
    sync
    if ! "$HY" bench "$dir/$model.gguf" --stream --memory "$budget" --device cpu --threads 2 -c 512 -p 480 -n 12 --json >"$dir/out" 2>"$dir/err"; then
        fail "$name" "$(head -c 300 "$dir/err")"
        continue
    fi
    planned=$(number planned_bytes <"$dir/out") peak=$(number peak_rss_bytes <"$dir/out")
    if grep -q '"same_bits": true' "$dir/out"; then ok "$name: the bits of resident"; else fail "$name: the bits of resident" "$(cat "$dir/out")"; fi
    if [ "$instrumented" -gt 0 ]; then skip "$name: peak" "sanitizers take memory of their own"
    elif awk "BEGIN { exit !($peak <= $planned && $peak >= 0.97 * $planned) }"; then ok "$name: peak as planned"
    else fail "$name: peak as planned" "peak $peak, planned $planned"
    fi
done

# hy run reads past the page cache, and writes its statistics only.
run() { "$HY" run "$dir/$1.gguf" --raw -p "Once upon a time" -n 12 --ignore-eos --temp 0 --device cpu -c 512 --memory "$2" >"$dir/text" 2>"$dir/err"; }
for model in dense experts; do
    budget=130M
    if ! run "$model" $budget; then fail "$model runs" "$(head -c 300 "$dir/err")"; fi
    if ! command -v fincore >/dev/null 2>&1; then skip "$model: page cache" "no fincore here"
    else
        forget "$dir/$model.gguf"
        before=$(cached_mb "$dir/$model.gguf")
        run "$model" $budget
        after=$(cached_mb "$dir/$model.gguf")
        if [ "$before" -gt 50 ]; then skip "$model: page cache" "$before MB stay in it"
        elif [ $((after - before)) -lt 20 ]; then ok "$model: page cache"
        else fail "$model: page cache" "$before MB before, $after after"
        fi
    fi
    if [ ! -r /proc/$$/io ]; then skip "$model: writes" "no /proc/PID/io"
    else
        rm -rf "$dir/cache"
        before=$(awk '/^write_bytes/ { print $2 }' /proc/$$/io)
        run "$model" $budget
        wrote=$(($(awk '/^write_bytes/ { print $2 }' /proc/$$/io) - before))
        files=$(find "$dir/cache" -type f 2>/dev/null | wc -l)
        if [ "$wrote" -le $((65536 + 16384 * files)) ]; then ok "$model: writes"; else fail "$model: writes" "$wrote bytes, $files files"; fi
    fi
done

# Killed in the middle, then run again: the same text.
run experts 130M
cp "$dir/text" "$dir/whole"
for after in 0.2 0.5; do
    "$HY" run "$dir/experts.gguf" --raw -p "Once upon a time" -n 400 --ignore-eos --temp 0 --device cpu -c 512 --memory 130M >/dev/null 2>&1 &
    pid=$!
    sleep "$after"
    kill -KILL $pid 2>/dev/null
    wait $pid 2>/dev/null
    run experts 130M
    if cmp -s "$dir/text" "$dir/whole"; then ok "killed after $after s"; else fail "killed after $after s" "another text"; fi
done
[ -s "$dir/whole" ] || fail "text" "none"

# Faults of the disk, by the environment.
for mood in "delay=1ms,reorder" "short" "nodirect" "poison"; do
    export HY_IO_FAULT="$mood"
    if run experts 130M && cmp -s "$dir/text" "$dir/whole"; then ok "disk: $mood"; else fail "disk: $mood" "$(head -c 200 "$dir/err")"; fi
done
HY_IO_FAULT="eio=90"
run experts 130M
rc=$?
unset HY_IO_FAULT
if [ $rc -eq 1 ] && grep -q "experts.gguf.*failed: Input/output error" "$dir/err"; then ok "a failing disk"
else fail "a failing disk" "status $rc: $(head -c 200 "$dir/err")"
fi

# Ctrl-C while it streams: it ends at once, as other commands do.
perl -e 'use POSIX ":sys_wait_h"; $SIG{INT} = "DEFAULT"; my $pid = fork; if (!$pid) { exec @ARGV or exit 127 }
    select undef, undef, undef, 1; kill "INT", $pid; $SIG{ALRM} = sub { kill "KILL", $pid }; alarm 20; my $from = time;
    waitpid $pid, 0; print $? & 127 ? 128 + ($? & 127) : $? >> 8, " ", time - $from, "\n"' \
    "$HY" run "$dir/dense.gguf" --raw -p "Once" -n 500 --ignore-eos --device cpu -c 512 --memory 130M >"$dir/text" 2>"$dir/err"
last=$(tail -n 1 "$dir/text" | sed 's/.*[^0-9 ]//')
case $last in
*"130 "[0-9] | *"1 "[0-9]) ok "Ctrl-C" ;;
*) fail "Ctrl-C" "$last" ;;
esac
[ $failures -eq 0 ]
