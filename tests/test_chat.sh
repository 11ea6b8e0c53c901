#!/bin/sh
# Conversations in the terminal: hy run -i through a pipe and on a terminal (script(1)), and hy run -p of a model with a chat
# template. Random models with templates of a line: what they say is noise, but at temperature 0 always the same noise.
# Run by tests/run.sh, which sets HY and GEN.
set -u
: "${HY:=build/release/hy}" "${GEN:=build/release/hy-genmodel}"
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
out=$dir/out err=$dir/err
failures=0
export HY_CACHE_DIR="$dir/cache"

ok() { echo "ok $1"; }
fail() { # NAME WHY
    echo "FAIL $1: $2"
    sed 's/^/    stderr: /' "$err" | head -n 5
    failures=$((failures + 1))
}
holds() { # NAME COMMAND...: the command succeeds
    name=$1
    shift
    if "$@"; then ok "$name"; else fail "$name" "not so: $(head -c 60 "$out")"; fi
}
same() { # NAME FILE FILE
    if cmp -s "$2" "$3"; then ok "$1"; else fail "$1" "differ: $(head -c 60 "$2") / $(head -c 60 "$3")"; fi
}
sanitized() { grep -q -E 'Sanitizer|runtime error:' "$err"; }

# talks NAME STATUS TEXT ARG...: hy run with the text, a printf format, on stdin; stdout in $out, stderr in $err.
talks() {
    name=$1 want=$2 text=$3
    shift 3
    # shellcheck disable=SC2059  # a format on purpose
    printf "$text" | "$HY" run "$@" >"$out" 2>"$err"
    rc=$?
    if sanitized; then fail "$name" "a sanitizer spoke"
    elif [ "$rc" -ne "$want" ]; then fail "$name" "exit status $rc, not $want"
    else ok "$name"
    fi
}
says() { holds "$1" grep -q -e "$2" "$err"; } # NAME PATTERN
is() { # NAME FILTER: of the conversation that was saved
    if jq -e "$2" "$dir/saved.json" >"$dir/jq" 2>&1; then ok "$1"; else fail "$1" "not so: $2 in $(head -c 300 "$dir/saved.json")"; fi
}

# The text in tags; the thought of an answer is left out of later prompts.
plain='{% for m in messages %}<{{ m.role }}>{{ m.content }}</{{ m.role }}>{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}'
thinking="{% for m in messages %}<{{ m.role }}>{{ m.content.split('</think>')[-1] }}</{{ m.role }}>{% endfor %}{% if add_generation_prompt %}<assistant><think>
{% endif %}"
model=$dir/chat.gguf thinker=$dir/thinker.gguf none=$dir/none.gguf
make_model() { "$GEN" --arch llama --type Q8_0 --seed 3 "$@" || { echo "FAIL generator"; exit 1; }; }
make_model --chat-template "$plain" -o "$model"
make_model --chat-template "$thinking" -o "$thinker"
make_model -o "$none"

# One question.

"$HY" run "$none" --raw -p '<user>Who are you?</user><assistant>' -n 12 --temp 0 >"$dir/fresh"
talks "run applies the template" 0 '' "$model" -p 'Who are you?' -n 12 --temp 0
same "run -p is the template's prompt" "$dir/fresh" "$out"
talks "run applies the template to stdin" 0 'Who are you?' "$model" -n 12 --temp 0
same "stdin is one question" "$dir/fresh" "$out"
"$HY" run "$none" --raw -p '<system>Be kind.</system><user>Who are you?</user><assistant>' -n 12 --temp 0 >"$dir/fresh"
talks "run --system" 0 '' "$model" -p 'Who are you?' --system 'Be kind.' -n 12 --temp 0
same "--system is in the prompt" "$dir/fresh" "$out"
"$HY" run "$none" --raw -p 'Once upon' -n 12 --temp 0 >"$dir/fresh"
talks "run without a template" 0 '' "$none" -p 'Once upon' -n 12 --temp 0
same "a model without a template continues the text" "$dir/fresh" "$out"
holds "and says nothing" test ! -s "$err"
talks "--system without a template" 1 '' "$none" -p x --system y
talks "--think of a model that cannot" 1 '' "$model" -p x --think on
talks "--think that is none" 1 '' "$thinker" -p x --think perhaps
talks "wrong usage: -i and --raw" 2 '' "$model" -i --raw
talks "wrong usage: --system and --raw" 2 '' "$model" --system x --raw -p y
talks "wrong usage: -i and --ignore-eos" 2 '' "$model" -i --ignore-eos
talks "a question that is no UTF-8" 1 '\377' "$model"
says "it is told" "UTF-8"

# Through a pipe: answers on stdout, one after the other, and nothing else.

talks "two questions" 0 "One?\nTwo?\n/save $dir/saved.json\n/stats\n" -i "$model" -n 8 --temp 0
jq -r '.messages[] | select(.role == "assistant") | .content' "$dir/saved.json" >"$dir/answers"
same "stdout has the answers alone" "$dir/answers" "$out"
is "the messages are saved" '[.messages[] | .role] == ["user", "assistant", "user", "assistant"] and .messages[2].content == "Two?"'
says "the beginning was not computed again" "  [1-9][0-9]* more were there already"
jq '{messages: .messages[:3], add_generation_prompt: true}' "$dir/saved.json" | "$HY" template "$model" >"$dir/prompt"
"$HY" run "$none" --raw -f "$dir/prompt" -n 8 --temp 0 >"$dir/fresh"
jq -r '.messages[3].content' "$dir/saved.json" >"$dir/second"
same "the second answer is that of a fresh engine" "$dir/fresh" "$dir/second"
talks "another conversation, then the first" 0 "Else?\n/clear\nOne?\nTwo?\n" -i "$model" -n 8 --temp 0
tail -n +2 "$out" >"$dir/rest"
same "/clear forgets" "$dir/answers" "$dir/rest"
jq '{messages: .messages[:2]}' "$dir/saved.json" >"$dir/first.json"
talks "/load" 0 "Else?\n/load $dir/first.json\nTwo?\n" -i "$model" -n 8 --temp 0
tail -n 1 "$out" >"$dir/rest"
same "/load goes on from there" "$dir/second" "$dir/rest"
talks "a first question by option" 0 "Two?\n" -i "$model" -p "One?" -n 8 --temp 0
same "-p is the first question" "$dir/answers" "$out"
talks "-i without a template" 0 "One?\n" -i "$none" -n 4 --temp 0
says "one is assumed, and told" "no chat template"
talks "nothing to say" 0 "" -i "$model"
holds "and nothing said" test ! -s "$out"
talks "blank lines are nothing" 0 "\n  \n/bye\nOne?\n" -i "$model" -n 4
holds "/bye ends it" test ! -s "$out"

talks "several lines" 0 "\"\"\"one\ntwo\n\"\"\"\nthree \\\\\nfour\n\"\"\"five\"\"\"\n six\r\n/save $dir/saved.json\n" -i "$model" -n 2 --temp 0
is "several lines are one message" '[.messages[] | select(.role == "user") | .content] == ["one\ntwo", "three \nfour", "five", " six"]'
talks "quotes that the file's end closes" 0 "\"\"\"one\ntwo" -i "$model" -n 2 --temp 0
holds "they are answered" test -s "$out"
talks "text that is no UTF-8" 1 "caf\351\nOne?\n" -i "$model" -n 8 --temp 0
head -n 1 "$dir/answers" >"$dir/rest"
same "the next question is answered as if nothing had been" "$dir/rest" "$out"

talks "/system" 0 "/system Be kind.\n/system\nOne?\n/system \"\"\n/system\n/save $dir/saved.json\n" -i "$model" -n 2 --temp 0
says "/system shows it" "^Be kind.$"
says "/system \"\" takes it away" "no system text"
is "no system message is left" '.messages[0].role == "user"'
talks "/set" 0 "/set temp 0\n/set num_predict 8\n/set seed 5\n/set\nOne?\nTwo?\n" -i "$model" --temp 1
same "/set temp and n" "$dir/answers" "$out"
says "/set shows all" "^  seed  *5$"
talks "/set of what cannot be" 0 "/set temp hot\n/set top_p 7\n/set colour blue\n/set num_ctx 9\n/set think on\n/set seed\n/frobnicate\n/help\n" -i "$model"
for what in "temp takes a number" "top_p takes a number from 0 to 1" "'colour' cannot be set" "with -c N" "knows no thinking" \
    "give a value" "'/frobnicate' is no command" "/load FILE"; do
    says "it says: $what" "$what"
done
echo 'no JSON' >"$dir/bad.json"
echo '{"messages": [{"content": "x"}]}' >"$dir/role.json"
echo '{"messages": [{"role": "user", "content": 7}]}' >"$dir/content.json"
talks "files that cannot be loaded" 0 "One?\n/load $dir/nowhere\n/load $dir/bad.json\n/load $dir/role.json\n/load $dir/content.json\n/load\n/save\n/save $dir/no/such\n/save $model\nTwo?\n" \
    -i "$model" -n 8 --temp 0
same "they change nothing" "$dir/answers" "$out"
for what in nowhere "bad.json' is not JSON" "message 1 has no role" "content of message 1" "/load FILE" "/save FILE" "no/such" "file of the model and is not written over"; do
    says "it says: $what" "$what"
done

# A context that fills up.

talks "a full context" 0 "/system Kind.\nOne?\nTwo?\n/set n 100\nThree?\n/save $dir/saved.json\n" -i "$model" -n 8 --temp 0 -c 128
says "turns are forgotten" "of 128 tokens is full; forgotten: [1-9]"
is "the system text stays" '.messages[0].role == "system" and ([.messages[] | select(.role == "user") | .content] | last) == "Three?"'
is "the first question is gone" '[.messages[] | .content] | index("One?") == null'
words=$(printf 'many words %.0s' 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20)
talks "a question longer than the context" 1 "One?\n$words\nTwo?\n" -i "$model" -n 8 --temp 0 -c 110
says "it is told" "do not fit the context of 110"
same "and the conversation goes on without it" "$dir/answers" "$out"

# Thinking.

talks "thinking" 0 "One?\n/save $dir/saved.json\n" -i "$thinker" -n 8 --temp 0
is "a thought is not the answer" '.messages[1].content == "" and (.messages[1].thinking | length) > 0'
jq -r '.messages[1].thinking' "$dir/saved.json" >"$dir/thought"
head -n 1 "$err" >"$dir/rest"
same "a pipe gets thoughts on stderr" "$dir/thought" "$dir/rest"
holds "and none on stdout" test -z "$(tr -d '\n' <"$out")"

# Ctrl-C. A shell's background jobs ignore SIGINT, so perl puts its default back.

soon() { # COMMAND...: until it succeeds, 60 s at most
    n=0
    until "$@" 2>/dev/null; do
        n=$((n + 1))
        [ "$n" -lt 600 ] || return 1
        sleep 0.1
    done
}
wait_for() { soon grep -a -q -e "$2" "$1"; }                 # FILE PATTERN
has_more() { [ "$(wc -c <"$1")" -ge "$2" ]; }                # FILE BYTES
at_prompt() { [ "$(tail -c 2 "$1")" = '> ' ]; }             # FILE
long=$dir/long.gguf
make_model --seed 5 --n-layer 24 --n-ctx 100000 --chat-template "$plain" -o "$long"
mkfifo "$dir/questions"
# shellcheck disable=SC2016  # perl's variables
perl -e '$SIG{INT} = "DEFAULT"; exec @ARGV or exit 127' "$HY" run -i "$long" -c 20000 --temp 0 --threads 1 <"$dir/questions" >"$out" 2>"$err" &
pid=$!
exec 9>"$dir/questions"
echo "hi" >&9
wait_for "$out" "...."
kill -INT "$pid"
printf '/stats\n/set n 4\nAnd?\n/save %s\n' "$dir/saved.json" >&9
exec 9>&-
wait "$pid"
rc=$?
n=$(awk '/^generation/ { print $2; exit }' "$err")
"$HY" run "$long" -p hi -c 20000 --temp 0 --threads 1 -n $((n + 20)) >"$dir/whole"
if [ "$rc" -ne 0 ]; then fail "Ctrl-C stops the answer" "exit status $rc"; else ok "Ctrl-C stops the answer"; fi
is "the next question is answered" '.messages | length == 4'
jq -j '.messages[1].content' "$dir/saved.json" >"$dir/part"
head -c "$(wc -c <"$dir/part")" "$dir/whole" >"$dir/rest"
same "what was written until then stays" "$dir/part" "$dir/rest"
holds "and is a part of the answer" test "$(wc -c <"$dir/part")" -lt "$(wc -c <"$dir/whole")"

# On a terminal.

if command -v script >/dev/null 2>&1 && script -qec true /dev/null </dev/null >/dev/null 2>&1; then
    mkdir -p "$dir/cache"
    screen=$dir/screen
    cat >"$dir/terminal.sh" <<END
stty -a >"$dir/before"
"$HY" run -i "$long" -c 20000 --temp 0 --threads 1
echo "left with \$?"
stty -a >"$dir/after"
END
    TERM=xterm LC_ALL=C.UTF-8 script -qec "sh $dir/terminal.sh" /dev/null <"$dir/questions" >"$screen" 2>"$err" &
    pid=$!
    exec 9>"$dir/questions"
    wait_for "$screen" '/help tells'
    wait_for "$screen" '^> '
    printf '/set n 2\n\303\251t\303\251?\n' >&9
    printf '/save %s\n' "$dir/saved.json" >&9
    wait_for "$screen" 'messages are in'
    is "what was typed is read as UTF-8" '.messages[0].content == "été?"'
    soon at_prompt "$screen"
    printf 'caf\351 noir \303(\377\342\202\351\n' >&9
    printf '/save %s\n' "$dir/saved.json" >&9
    wait_for "$screen" '4 messages are in'
    is "a byte that is no UTF-8 takes no other with it" '.messages[2].content == "caf\ufffd noir \ufffd(\ufffd\ufffd\ufffd"'
    printf '/set n 9000\nhi\n' >&9
    wait_for "$screen" '^> hi'
    soon has_more "$screen" $(($(wc -c <"$screen") + 60))
    printf '\003' >&9
    soon at_prompt "$screen"
    printf '/stats\n' >&9
    wait_for "$screen" '3 turns'
    holds "Ctrl-C stops the answer on a terminal" grep -a -q '3 turns' "$screen"
    printf '\003' >&9
    wait_for "$screen" '/bye or Ctrl-D leaves.$'
    holds "Ctrl-C at the prompt tells how to leave" grep -a -q '^hy: /bye or Ctrl-D leaves' "$screen"
    printf '\004' >&9
    wait_for "$screen" 'left with'
    exec 9>&-
    wait "$pid"
    holds "Ctrl-D leaves" grep -a -q 'left with 0' "$screen"
    same "the terminal is as it was" "$dir/before" "$dir/after"
    holds "the history is kept" grep -q 'hi' "$dir/cache/talk_history"
    holds "for nobody else" test -n "$(find "$dir/cache/talk_history" -perm 600)"
    TERM=xterm script -qec "$HY run $thinker -p One? -n 8 --temp 0" /dev/null </dev/null >"$screen" 2>&1
    holds "thoughts are dim" grep -a -q "$(printf '\033\\[2m.*\033\\[0m')" "$screen"
    TERM=dumb script -qec "$HY run $thinker -p One? -n 8 --temp 0" /dev/null </dev/null >"$screen" 2>&1
    if grep -a -q "$(printf '\033\\[2m')" "$screen"; then fail "no colours on a dumb terminal" "there are"; else ok "no colours on a dumb terminal"; fi
else
    echo "skip a terminal: no script(1)"
fi

[ "$failures" -eq 0 ]
