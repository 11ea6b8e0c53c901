#!/bin/sh
# What the commands promise: text on stdout and everything else on stderr; exit 0, 1 for a failure,
# 2 for wrong usage; bad input gets one clear sentence. Run by tests/run.sh, which sets HY and GEN.
set -u
: "${HY:=build/release/hy}" "${GEN:=build/release/hy-genmodel}" "${HY_DATA:=../shared/data}"
dir=$(mktemp -d)
trap 'chmod -R u+rwx "$dir" 2>/dev/null; rm -rf "$dir"' EXIT
out=$dir/out err=$dir/err
failures=0
export HY_CACHE_DIR="$dir/cache"

ok() { echo "ok $1"; }
fail() { # NAME WHY
    echo "FAIL $1: $2"
    sed 's/^/    stderr: /' "$err" | head -n 5
    failures=$((failures + 1))
}
skip() { echo "skip $1: $2"; }
verdict() { # NAME, and a reason when it is a failure
    if [ -n "$2" ]; then fail "$1" "$2"; else ok "$1"; fi
}

holds() { # NAME COMMAND...: the command succeeds
    name=$1
    shift
    if "$@"; then ok "$name"; else fail "$name" "not so: $(head -c 60 "$out")"; fi
}
text_on_stdout_alone() { [ -s "$out" ] && [ ! -s "$err" ]; }

# run ARG...: hy with stdout in $out, stderr in $err and the exit status in $rc; stdin is $input.
input=/dev/null
run() {
    "$HY" "$@" <"$input" >"$out" 2>"$err"
    rc=$?
}

sanitized() { grep -q -E 'Sanitizer|runtime error:' "$err"; }

# refused NAME STATUS PATTERN ARG...: ends with that status (several as 1|2), says on stderr something
# that matches, in few lines, and nothing on stdout.
refused() {
    name=$1 want=$2 pattern=$3
    shift 3
    run "$@"
    why=
    if sanitized; then why="a sanitizer spoke"
    elif ! echo "$rc" | grep -q -x -E "$want"; then why="exit status $rc, not $want"
    elif [ -s "$out" ]; then why="wrote to stdout: $(head -c 80 "$out")"
    elif ! grep -q -i -E -e "$pattern" "$err"; then why="stderr does not speak of '$pattern'"
    elif [ "$(wc -l <"$err")" -gt 30 ]; then why="stderr has $(wc -l <"$err") lines"
    fi
    verdict "$name" "$why"
}

# works NAME ARG...: exit status 0.
works() {
    name=$1
    shift
    run "$@"
    why=
    if sanitized; then why="a sanitizer spoke"
    elif [ "$rc" -ne 0 ]; then why="exit status $rc"
    fi
    verdict "$name" "$why"
}

same() { # NAME FILE FILE
    if cmp -s "$2" "$3"; then ok "$1"; else fail "$1" "differ: $(head -c 60 "$2") / $(head -c 60 "$3")"; fi
}
differ() {
    if cmp -s "$2" "$3"; then fail "$1" "both are: $(head -c 60 "$2")"; else ok "$1"; fi
}

model=$dir/tiny.gguf
"$GEN" --arch llama --type Q8_0 --seed 1 -o "$model" || { echo "FAIL generator"; exit 1; }

# Usage.

works "help" --help
holds "help is on stdout" text_on_stdout_alone
for command in run eval tokenize inspect kernels-test bench profile trace optimize; do
    works "$command --help" "$command" --help
    holds "$command --help is on stdout" text_on_stdout_alone
    refused "$command: unknown option" 2 "no-such-option" "$command" --no-such-option
done
refused "no command" 2 "usage" # with how to begin
refused "unknown command" 2 "frobnicate" frobnicate
works "no model: the one in the box" run -p "What is hy?" -n 4 --temp 0
for args in "-n" "-n x" "-n 1.5" "-n -2" "--temp hot" "--top-p 1x" "--seed -" "--threads 0" "--threads many" \
    "--device gpu" "--kv q4" "-c 0" "-c x" "--memory lots" "--memory 1.5" "--memory 0.0" "--memory 0.5.5" \
    "--memory 20X" "--memory -1" "--memory 1e-3" "--simulate-memory 1e-3" "--simulate-memory 0.5.5" "--simulate-memory auto"; do
    # shellcheck disable=SC2086  # words on purpose
    refused "wrong usage: run $args" 2 "${args%% *}" run "$model" -p x $args
done
refused "wrong usage: a flag with a value" 2 "no value" run "$model" -p x --stats=3
refused "wrong usage: numbers are written out" 2 " 268435456," run "$model" -p x -c 0
refused "wrong usage: two models" 2 "." run "$model" "$model" -p x
refused "wrong usage: eval without tokens" 2 "tokens" eval "$model"
refused "wrong usage: -p and -f" 2 "." run "$model" -p x -f "$model"

# trace.

experts=$dir/experts.gguf
"$GEN" --arch qwen3moe --type Q4_K --experts 8 --experts-used 2 --seed 1 -o "$experts" || echo "FAIL generator"
refused "trace: a file that cannot be written" 1 "cannot be written" trace "$model" -p x -o "$dir/no/such/folder.json"
refused "trace: routes of a model without experts" 1 "no experts" trace "$model" -p x --routes "$dir/routes"
refused "trace: replay of what is no routes file" 1 "." trace --replay "$model"
refused "trace: replay of no file" 1 "No such file" trace --replay "$dir/no-routes"
refused "trace: too few events for a step" 1 "more events" trace "$model" --raw -p x -n 4 --ring 3 --events 16
run trace "$model" --raw -p x -n 4 -o /dev/full
if [ "$rc" -eq 1 ] && grep -q "/dev/full" "$err"; then ok "trace: a full disk"; else fail "trace: a full disk" "exit status $rc"; fi
works "trace: last steps" trace "$model" --raw -p x -n 6 --ignore-eos --ring 3 --last 2 --json
holds "trace: last steps, and no more" jq -e '.steps_before == 4 and (.each_step | length) == 2' "$out"
works "trace: more events than it keeps" trace "$model" --raw -p x -n 12 --ignore-eos --ring 3 --events 256
holds "trace: says what it lost" grep -q "oldest .* events" "$out"
holds "trace: and a verdict" grep -q "^verdict" "$out"
works "trace: routes" trace "$experts" --raw -p x -n 4 --ignore-eos --slots 4 --routes "$dir/routes"
works "trace: replay" trace --replay "$dir/routes" --json
holds "trace: replay of what was saved" jq -e '.steps == 4 and .experts == 8 and .experts_used == 2' "$out"

# Files that are no model.

: >"$dir/empty.gguf"
echo "Dear model, once upon a time there was a text file that wanted to be a model." >"$dir/text.gguf"
mkdir "$dir/folder.gguf"
head -c 3 "$model" >"$dir/three.gguf"
head -c 1000 "$model" >"$dir/header.gguf"
size=$(wc -c <"$model")
head -c $((size / 2)) "$model" >"$dir/half.gguf"
head -c $((size - 1)) "$model" >"$dir/short.gguf"
{ printf 'GGUF\377\377\377\377'; tail -c +9 "$model"; } >"$dir/version.gguf"
mkfifo "$dir/pipe.gguf"

for command in "run -p x" "eval --tokens 1,2" "inspect" "bench -p 8 -n 1 -r 1" "tokenize"; do
    verb=${command%% *}
    rest=${command#"$verb"}
    for bad in missing empty text folder three header version pipe; do
        # shellcheck disable=SC2086
        refused "$verb: $bad file" 1 "$bad.gguf" "$verb" "$dir/$bad.gguf" $rest
    done
done
for bad in half short; do # the header is whole: inspect and tokenize may do their work
    refused "run: $bad file" 1 "$bad.gguf" run "$dir/$bad.gguf" -p x
    refused "eval: $bad file" 1 "$bad.gguf" eval "$dir/$bad.gguf" --tokens 1,2
done

cp "$model" "$dir/secret.gguf"
chmod 000 "$dir/secret.gguf"
if [ ! -r "$dir/secret.gguf" ]; then
    refused "unreadable file" 1 "secret.gguf" run "$dir/secret.gguf" -p x
elif command -v setpriv >/dev/null 2>&1 && chmod 755 "$dir" && cp "$HY" "$dir/hy" &&
    setpriv --reuid 65534 --regid 65534 --clear-groups "$dir/hy" --help >/dev/null 2>&1; then
    real=$HY
    HY=$dir/as_nobody
    printf '#!/bin/sh\nexec setpriv --reuid 65534 --regid 65534 --clear-groups "%s/hy" "$@"\n' "$dir" >"$HY"
    chmod 755 "$HY"
    refused "unreadable file" 1 "secret.gguf" run "$dir/secret.gguf" -p x
    HY=$real
else
    skip "unreadable file" "root reads everything"
fi

# Numbers that do not fit.

refused "context beyond the model's" '1|2' "context" run "$model" -p x -c 100000
refused "prompt longer than the context" 1 "context" run "$model" --raw -c 8 -p "$(printf 'long words %.0s' 1 2 3 4 5 6 7 8 9)"
refused "memory too small" 1 "memory" run "$model" -p x --memory 1K
refused "a share that is too small" 1 "--memory allows" run "$model" -p x --memory 0.000001
refused "a simulated machine that is too small" 1 "the simulated machine has" run "$model" -p x --simulate-memory 1M
for memory in auto 900M 1GiB 1gb 0.5 1.0; do
    works "--memory $memory" run "$model" --raw -p x -n 1 --memory $memory
done
works "--simulate-memory" run "$model" --raw -p x -n 1 --simulate-memory 2G --memory 0.5
for tokens in 99999 512 4294967296 99999999999999999999; do
    refused "token $tokens is out of range" '1|2' "token|$tokens" eval "$model" --tokens "1,$tokens"
done
for tokens in -1 x "1,x" "1;2" ""; do
    refused "'$tokens' are no tokens" '1|2' "token" eval "$model" --tokens "$tokens"
done
run run "$model" --raw -p "Once upon" -n 0
if sanitized; then fail "-n 0" "a sanitizer spoke"
elif [ "$rc" -eq 0 ] && [ -n "$(tr -d '\n' <"$out")" ]; then fail "-n 0" "wrote text: $(head -c 60 "$out")"
elif [ "$rc" -ne 0 ] && { [ "$rc" -gt 2 ] || [ ! -s "$err" ]; }; then fail "-n 0" "exit status $rc without a sentence"
else ok "-n 0"
fi
if [ "$(uname -s)" != Darwin ]; then
    export HY_SOFT_FAULT=nodevice
    refused "no Metal here" 1 "[Mm]etal" run "$model" -p x --device metal
    unset HY_SOFT_FAULT
fi

# Text that is no UTF-8: a sentence, or an answer.

printf 'caf\351 \377\376 \303' >"$dir/latin1.txt"
for how in "-f $dir/latin1.txt" "stdin"; do
    if [ "$how" = stdin ]; then
        input=$dir/latin1.txt
        run run "$model" --raw -n 4
        input=/dev/null
    else
        # shellcheck disable=SC2086
        run run "$model" --raw -n 4 $how
    fi
    if sanitized || [ "$rc" -gt 1 ] || { [ "$rc" -eq 1 ] && ! grep -q -i "utf-8" "$err"; }; then
        fail "invalid UTF-8 (${how%% *})" "exit status $rc"
    else
        ok "invalid UTF-8 (${how%% *})"
    fi
done

# The machine's profile: measured once, then from the cache.

home=${HOME:-/}
export HOME="$dir"
works "profile" profile
holds "profile tells the bandwidth" grep -q "bandwidth  *[0-9]" "$out"
holds "profile is kept" grep -q "kept in $dir/cache" "$out"
works "profile again" profile
holds "profile comes from the cache" grep -q "from the cache" "$out"
for file in "$dir"/cache/profile-*.json; do echo '{"version": 1,' >"$file"; done
works "profile with a damaged cache" profile
holds "profile is measured again" grep -q "kept in" "$out"
works "profile after that" profile
holds "profile was rewritten" grep -q "from the cache" "$out"
HY_CACHE_DIR=/dev/null/no "$HY" profile >"$out" 2>"$err"
holds "profile without a cache folder says so" grep -q "cannot be written" "$err"
if grep -q "kept in" "$out"; then fail "profile that is not kept" "says that it is"; else ok "profile that is not kept"; fi
works "profile --force" profile --force
holds "profile --force measures" grep -q "kept in" "$out"
works "profile --json" profile --json
holds "profile --json tells the bandwidth" grep -q '"memory_bytes_per_s": [1-9]' "$out"
refused "profile of a small file" 1 "too little" profile "$model"
refused "profile of no file" 1 "no-such-file" profile "$dir/no-such-file"
unset HOME HY_CACHE_DIR
works "profile without a home" profile
works "profile without a home again" profile
if grep -q -e "from the cache" -e "kept in" "$out"; then fail "profile without a home keeps nothing" "it says so"
else ok "profile without a home keeps nothing"
fi
export HOME="$home" HY_CACHE_DIR="$dir/cache"

# Output that nobody takes.

{
    while [ ! -e "$dir/gone" ]; do sleep 0.05; done # the reader, before the first byte
    "$HY" run "$model" --raw -p "Once" -n 4 --temp 0 2>"$err"
    echo $? >"$dir/rc"
} | {
    exec <&-
    : >"$dir/gone"
}
rc=$(cat "$dir/rc")
if [ ! -s "$err" ]; then fail "closed pipe" "nothing is said"
elif sanitized; then fail "closed pipe" "a sanitizer spoke"
elif [ "$rc" -eq 0 ] || { [ "$rc" -gt 1 ] && [ "$rc" -ne 141 ]; }; then fail "closed pipe" "exit status $rc"
else ok "closed pipe"
fi
if [ -c /dev/full ]; then
    for command in "run $model --raw -p Once -n 20 --temp 0" "inspect $model --tensors" "eval $model --tokens 1,2,3"; do
        # shellcheck disable=SC2086
        "$HY" $command </dev/null >/dev/full 2>"$err"
        rc=$?
        if [ "$rc" -eq 1 ] && [ -s "$err" ]; then ok "full disk: ${command%% *}"
        else fail "full disk: ${command%% *}" "exit status $rc"
        fi
    done
fi
# Standard streams that are closed, and files that may not grow.

"$HY" run "$model" --raw -n 2 <&- >"$out" 2>"$err"
rc=$?
if [ "$rc" -eq 1 ] && grep -q "standard input cannot be read" "$err"; then ok "closed stdin"; else fail "closed stdin" "exit status $rc"; fi
"$HY" trace "$experts" --raw -p x -n 3 --ignore-eos --slots 4 -o "$dir/t.json" --html "$dir/t.html" --routes "$dir/t.routes" <&- >&- 2>&-
: >"$err"
holds "closed streams: JSON" jq -e '.traceEvents | length > 10' "$dir/t.json"
works "closed streams: routes" trace --replay "$dir/t.routes" --json
holds "closed streams: routes of three steps" jq -e '.steps == 3 and (.cut_off | not)' "$out"
holds "closed streams: page" grep -q -i '^<!doctype html>' "$dir/t.html"
cp "$experts" "$dir/limited.gguf"
(ulimit -f 100 && exec "$HY" optimize "$dir/limited.gguf" >"$out" 2>"$err")
rc=$?
if [ "$rc" -eq 1 ] && grep -q "limited.hyx' cannot be written: File too large" "$err"; then ok "a file that may not grow"
else fail "a file that may not grow" "exit status $rc"
fi
works "it goes on from there" optimize "$dir/limited.gguf"
works "and is used" run "$dir/limited.gguf" --raw -p x -n 2 --slots 4 --sidecar "$dir/limited.hyx"
refused "logits to nowhere" 1 "no/such" eval "$model" --tokens 1,2 --logits "$dir/no/such/folder.f32"

# Ctrl-C. A shell's background jobs ignore SIGINT, so perl puts its default back.

interrupt() { # NAME ARG...: after 0.7 s
    name=$1
    shift
    # shellcheck disable=SC2016  # perl's variables
    perl -e 'use POSIX ":sys_wait_h"; $SIG{INT} = "DEFAULT"; my $pid = fork;
        if (!$pid) { exec @ARGV or exit 127 }
        select undef, undef, undef, 0.7;
        if (waitpid($pid, WNOHANG) != 0) { print "gone\n0 0\n"; exit }
        my $from = time; kill "INT", $pid; $SIG{ALRM} = sub { kill "KILL", $pid }; alarm 20;
        waitpid $pid, 0; print $? & 127 ? 128 + ($? & 127) : $? >> 8, " ", time - $from, "\n"' \
        "$HY" "$@" <"$dir/pipe.gguf" >"$dir/perl" 2>"$err"
    read -r rc took <<EOF
$(tail -n 1 "$dir/perl")
EOF
    if grep -q '^gone' "$dir/perl"; then fail "$name" "it had ended by itself"
    elif sanitized; then fail "$name" "a sanitizer spoke"
    elif [ "$rc" -ne 130 ] && [ "$rc" -ne 1 ]; then fail "$name" "exit status $rc"
    elif [ "$took" -gt 15 ]; then fail "$name" "took $took s to end"
    else ok "$name"
    fi
}
exec 9<>"$dir/pipe.gguf" # keeps the pipe open: who reads it waits
interrupt "Ctrl-C while waiting for a prompt" run "$model" --raw
interrupt "Ctrl-C while benchmarking" bench "$model" -r 100
"$GEN" --arch llama --type F32 --n-ctx 100000 -o "$dir/long.gguf"
interrupt "Ctrl-C while generating" run "$dir/long.gguf" --raw -p Once --temp 0 -c 50000 --ignore-eos
exec 9>&-

# A mapped file that is cut while a step reads it.

mapped=$dir/mapped.gguf
"$GEN" --arch llama --type F32 --n-layer 4 --n-embd 512 --n-head 8 --n-head-kv 8 --n-ff 4096 -o "$mapped"
# shellcheck disable=SC2016  # perl's variables
perl -e 'my $file = shift; my $pid = fork; if (!$pid) { exec @ARGV or exit 127 }
    select undef, undef, undef, 1.0; truncate $file, 5000000;
    waitpid $pid, 0; print "\n", $? & 127 ? 128 + ($? & 127) : $? >> 8, "\n"' \
    "$mapped" "$HY" run "$mapped" --raw -p Once -n 480 --ignore-eos --ram-tier mmap --memory 80M </dev/null >"$dir/perl" 2>"$err"
rc=$(tail -n 1 "$dir/perl")
if [ "$rc" -eq 1 ] && grep -q -E "was cut, or its disk failed|start again when it is whole" "$err"; then ok "a mapped file is cut"
else fail "a mapped file is cut" "exit status $rc"
fi
if command -v script >/dev/null 2>&1 && script -qec true /dev/null </dev/null >/dev/null 2>&1; then
    cat >"$dir/terminal.sh" <<EOF
stty -a >"$dir/before"
"$HY" run "$model" --raw -p Once -n 20 --temp 0 >/dev/null
perl -e 'my \$pid = fork; if (!\$pid) { exec @ARGV } sleep 1; kill "INT", \$pid; waitpid \$pid, 0' \
    "$HY" run "$dir/long.gguf" --raw -p Once --temp 0 -c 50000 --ignore-eos >/dev/null
stty -a >"$dir/after"
EOF
    script -qec "sh $dir/terminal.sh" /dev/null </dev/null >"$dir/screen" 2>&1
    same "the terminal is as it was" "$dir/before" "$dir/after"
else
    skip "the terminal is as it was" "no script(1)"
fi

# The same answer, however it is asked for.

works "run" run "$model" --raw -p "Once upon a time" -n 40 --temp 0 --threads 1
cp "$out" "$dir/greedy"
holds "run is quiet on stderr" text_on_stdout_alone
run run "$model" --raw -p "Once upon a time" -n 40 --temp 0 --threads 2
same "greedy text on 2 threads" "$dir/greedy" "$out"
run run "$model" --raw -p "Once upon a time" -n 40 --temp 0 --seed 7 --stats
same "greedy text whatever the seed; --stats is on stderr" "$dir/greedy" "$out"
for what in 'tok/s' 'GB/s' '[0-9a-f]{16}'; do
    if grep -q -E "$what" "$err"; then ok "--stats has $what"; else fail "--stats has $what" "no"; fi
done
grep -o -E '[0-9a-f]{16}' "$err" >"$dir/hash"
run run "$model" --raw -p "Once upon a time" -n 40 --temp 0 --threads 1 --stats
grep -o -E '[0-9a-f]{16}' "$err" >"$dir/hash1"
same "the hash of the last logits on 1 thread" "$dir/hash" "$dir/hash1"
printf 'Once upon a time' >"$dir/prompt"
run run "$model" --raw -f "$dir/prompt" -n 40 --temp 0
same "prompt from a file" "$dir/greedy" "$out"
input=$dir/prompt
run run "$model" --raw -n 40 --temp 0
input=/dev/null
same "prompt from stdin" "$dir/greedy" "$out"
run run --raw --temp 0 -n 40 -p "Once upon a time" "$model"
same "the model last" "$dir/greedy" "$out"
works "--kv q8_0" run "$model" --raw -p "Once upon a time" -n 40 --temp 0 --kv q8_0
holds "--kv q8_0 writes text" test -s "$out"

run run "$model" --raw -p "Once" -n 40 --seed 3 --temp 1
cp "$out" "$dir/seed3"
run run "$model" --raw -p "Once" -n 40 --seed 3 --temp 1 --threads 1
same "the same seed" "$dir/seed3" "$out"
run run "$model" --raw -p "Once" -n 40 --seed 4 --temp 1
differ "another seed" "$dir/seed3" "$out"
run run "$model" --raw -p "Once" -n 40 --seed 4 --temp 1 --top-k 1
cp "$out" "$dir/topk1"
run run "$model" --raw -p "Once" -n 40 --temp 0
same "--top-k 1 is greedy" "$dir/topk1" "$out"
run run "$model" --raw -p "Once" -n 40 --temp 0 --repeat-penalty 1000
differ "--repeat-penalty" "$dir/topk1" "$out"

# eval

works "eval" eval "$model" --tokens 1,5,9,300 --logits "$dir/a.f32"
bytes=$(wc -c <"$dir/a.f32")
holds "a row of logits per token" test "$bytes" -eq $((4 * 512 * 4))
run eval "$model" --tokens 1,5,9,300 --logits "$dir/b.f32" --threads 1
same "the same logits on 1 thread" "$dir/a.f32" "$dir/b.f32"
run eval "$model" --tokens 1,5,9 --logits "$dir/b.f32"
head -c $((3 * 512 * 4)) "$dir/a.f32" >"$dir/c.f32"
same "the same logits in a batch of 3" "$dir/b.f32" "$dir/c.f32"
works "eval of a text" eval "$model" -f "$dir/prompt"

# JSON

json() { # NAME FILTER ARG...: the filter holds of what is on stdout
    name=$1 filter=$2
    shift 2
    run "$@"
    if ! command -v jq >/dev/null 2>&1; then skip "$name" "no jq"
    elif [ "$rc" -ne 0 ]; then fail "$name" "exit status $rc"
    elif jq -e "$filter" "$out" >/dev/null 2>>"$err"; then ok "$name"
    else fail "$name" "not so: $filter in $(head -c 200 "$out")"
    fi
}
json "eval --json" '[.. | numbers] | length >= 1' eval "$model" --tokens 1,5,9 --json
json "inspect --json" 'tostring | test("llama")' inspect "$model" --json
LC_ALL=C sed "s/random weights/no UTF-8 \"$(printf '\377')<xx/" "$model" >"$dir/odd.gguf"
json "inspect --json: any bytes" '.name == "no UTF-8 \"\ufffd<xx"' inspect "$dir/odd.gguf" --json
json "inspect --json --tensors" 'tostring | test("token_embd.weight") and test("Q8_0")' inspect "$model" --json --tensors
json "bench --json" '[.prompt_tok_s, .gen_tok_s, .load_s, .peak_rss_bytes, .gen_gb_s] | all(type == "number" and . >= 0)' \
    bench "$model" -p 16 -n 4 -r 1 --json
"$GEN" --arch llama --type F16 --split 3 -o "$dir/split.gguf"
first=$(find "$dir" -name 'split-00001-of-*')
works "a split model" run "$first" --raw -p Once -n 4
rm "$dir"/split-00002-of-*
refused "a part is missing" 1 "00002-of-00003" run "$first" --raw -p Once -n 4

# The sidecar: beside the model it is used by itself, otherwise a sentence says why not.

moe=$dir/moe.gguf
side=$dir/moe.hyx
"$GEN" --arch mixtral --type Q8_0 --n-ff 1024 --experts 8 -o "$moe"
streams() { # OPTION...: greedy text of the model while its experts stream
    run run "$moe" --raw -p Once -n 12 --temp 0 --slots 3 "$@"
}
streams --sidecar off
cp "$out" "$dir/without"
works "optimize" optimize "$moe"
holds "optimize is quiet on stderr" text_on_stdout_alone
holds "optimize says the space" grep -q "free there" "$out"
cp "$side" "$dir/whole.hyx"
works "optimize again" optimize "$moe"
holds "optimize again has nothing to do" grep -q "complete already" "$out"
streams
same "the same text with a sidecar" "$dir/without" "$out"
if grep -q "hyx" "$err"; then fail "a sidecar is used in silence" "it speaks"; else ok "a sidecar is used in silence"; fi
run inspect "$moe" --plan --slots 3
holds "the plan names the sidecar" grep -q "^weights stream from '$side'" "$out"
json "a plan without streaming has none" '.sidecar == ""' inspect "$moe" --plan --json
works "optimize --force" optimize "$moe" --force
same "optimize --force writes the same" "$side" "$dir/whole.hyx"
json "optimize --json" '.expert_records == 24 and .dense_records == 0 and .kept_bytes > 0 and .written_bytes == 0' optimize "$moe" --json
head -c 1000000 "$dir/whole.hyx" >"$side"
streams
same "the same text with half a sidecar" "$dir/without" "$out"
holds "half a sidecar is told" grep -q "not used.*optimize --force" "$err"
json "the plan tells half a sidecar" '.sidecar | test("not used.*optimize --force")' inspect "$moe" --plan --slots 3 --json
refused "half a sidecar by name" 1 "optimize --force" run "$moe" --raw -p Once --slots 3 --sidecar "$side"
perl -e 'local $/; $_ = <STDIN>; my $n = length; for (my $i = 70000; $i < $n; $i += 16384) { substr($_, $i, 1) ^= "\1" } print' \
    <"$dir/whole.hyx" >"$side"
streams
why=
if [ "$rc" -ne 1 ]; then why="exit status $rc"
elif ! grep -q "damaged.*xxHash.*hy optimize" "$err"; then why="stderr does not say so"
fi
verdict "a damaged sidecar" "$why"
streams --sidecar off
same "the same text without the damaged sidecar" "$dir/without" "$out"
streams --sidecar "$dir/whole.hyx"
same "the same text with a sidecar by name" "$dir/without" "$out"
refused "a sidecar that is not there" 1 "nowhere.hyx" run "$moe" --raw -p Once --slots 3 --sidecar "$dir/nowhere.hyx"
refused "a sidecar that is not there, for a model that fits" 1 "nowhere.hyx.*hy optimize" run "$moe" --raw -p Once --sidecar "$dir/nowhere.hyx"
refused "a plan with a sidecar that is none" 1 "no sidecar of hy" inspect "$moe" --plan --sidecar "$moe"
# What is read is not written over: under its name or another, whole or in parts.
mkdir "$dir/kept"
"$GEN" --arch llama --type Q8_0 --split 2 -o "$dir/kept/cut.gguf"
cut=$dir/kept/cut-00001-of-00002.gguf
cp "$dir/whole.hyx" "$dir/kept/cut.hyx"
cp "$dir/whole.hyx" "$dir/kept/named.hyx"
cp "$dir/whole.hyx" "$dir/kept/cut-00001-of-00002.hyx"
ln -s named.hyx "$dir/kept/link"
ln "$dir/kept/cut-00002-of-00002.gguf" "$dir/kept/hard"
echo "Once upon a time" >"$dir/kept/text"
cat "$dir"/kept/* >"$dir/before"
for option in "trace -p Once -o" "trace -p Once --html" "trace -p Once --routes" "eval --tokens 1,2 --logits"; do
    for file in cut-00001-of-00002.gguf cut-00002-of-00002.gguf hard cut-00001-of-00002.hyx; do
        # shellcheck disable=SC2086
        refused "${option##* } over $file" 1 "'.*/$file' is .*model.* not written over" $option "$dir/kept/$file" "$cut"
    done
done
refused "trace over the sidecar that was named" 1 "sidecar.*not written over" trace "$cut" -p Once --sidecar "$dir/kept/named.hyx" -o "$dir/kept/link"
refused "trace over its prompt" 1 "text.*not written over" trace "$cut" -f "$dir/kept/text" -o "$dir/kept/text"
refused "eval over its text" 1 "text.*not written over" eval "$cut" -f "$dir/kept/text" --logits "$dir/kept/text"
cat "$dir"/kept/* >"$dir/after"
same "what is read stays" "$dir/before" "$dir/after"
refused "optimize leaves other files alone" 1 "left as it is" optimize "$moe" --json -o "$model" --force
refused "optimize to a folder that is not there" 1 "no/such" optimize "$moe" -o "$dir/no/such/x.hyx"
if [ -d /sys/kernel ]; then refused "optimize where nothing can be written" 1 "hyx" optimize "$moe" -o /sys/kernel/x.hyx; fi
rm "$side"
exec 9<>"$dir/pipe.gguf"
export HY_IO_FAULT=delay=400ms
interrupt "Ctrl-C while optimizing" optimize "$moe"
unset HY_IO_FAULT
exec 9>&-
holds "it says how to go on" grep -q "goes on from there" "$err"
works "optimize after Ctrl-C" optimize "$moe"
holds "optimize after Ctrl-C keeps what was written" grep -q "kept from before" "$out"
same "optimize after Ctrl-C ends with the same" "$side" "$dir/whole.hyx"
rm "$moe" "$side" "$dir/whole.hyx"

# tokenize

printf 'Hello world, once upon a time\n  two  spaces' >"$dir/text"
input=$dir/text
works "tokenize" tokenize "$model"
holds "ids on one line" test "$(wc -l <"$out")" -le 1
cp "$out" "$dir/ids"
input=$dir/ids
works "tokenize --decode" tokenize "$model" --decode
same "there and back" "$dir/text" "$out"
printf '<s>hello' >"$dir/text"
input=$dir/text
run tokenize "$model"
cp "$out" "$dir/ids"
run tokenize "$model" --special
differ "--special" "$dir/ids" "$out"
printf '1 99999' >"$dir/ids"
input=$dir/ids
refused "decoding an id out of range" '1|2' "99999|token" tokenize "$model" --decode
input=/dev/null

# kernels-test

works "kernels-test --quick" kernels-test --quick --filter add
tail -n 1 "$out" >"$dir/counts"
holds "kernels-test ends with its counts" grep -q -x -E '[1-9][0-9]* passed, 0 failed' "$dir/counts"

# A real model.

stories=$HY_DATA/stories260K.gguf
if [ -e "$stories" ]; then
    run run "$stories" --raw -p "" --temp 0 -n 60
    tale="Once upon a time, there was a little girl named Lily. She loved to play outside in the park. One day, she saw a big, red ball. She wanted to play with it, but it was too high"
    case $(cat "$out") in
    "$tale"*) ok "the story" ;;
    *) fail "the story" "$(head -c 300 "$out")" ;;
    esac
    json "perplexity of a story" '[.. | numbers | select(. > 1 and . < 20)] | length >= 1' \
        eval "$stories" --tokens 1,403,407,261,378,432,383,286,261,376,298,315,421,395 --json
else
    skip "the story" "$stories is not here"
fi

[ "$failures" -eq 0 ]
