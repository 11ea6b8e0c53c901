/* Small templates, each with the text that Jinja2 3.1.6 renders with Hugging Face's settings (trim_blocks, lstrip_blocks,
 * the sandbox, loop controls, tojson without HTML escapes) from the variables below; NULL where it raises an error. */
#pragma once
#include <stddef.h>

static const char jinja_vars[] =
    "{\"s\": \"Hello Wörld\", \"u\": \"日本語 text\", \"n\": 5, \"f\": 2.5, \"l\": [3, 1, 2], \"d\": {\"b\":"
    " 1, \"a\": {\"x\": [1, 2]}, \"items\": 7}, \"t\": true, \"z\": null, \"e\": \"\", \"msgs\": [{\"role"
    "\": \"user\", \"content\": \"hi\"}, {\"role\": \"assistant\", \"content\": \"yo\", \"tool_calls\": ["
    "]}, {\"role\": \"user\", \"content\": \"<b>'q'\\\"&\"}], \"nested\": [[1, [2, [3]]], [4]], \"tree\":"
    " [{\"n\": \"a\", \"c\": [{\"n\": \"b\", \"c\": []}]}, {\"n\": \"z\", \"c\": []}], \"fl\": [0.1, 1e+1"
    "6, 1e-05, 123456789.123, 1e+100, -0.0, 100.0, 1000000000000000.0, 5e-324, 1.7976931348623157e+308]}";

static const struct jinja_case {
    const char *source, *want;
} jinja_cases[] = {
    {"{{ s }} {{ u }} {{ n }} {{ f }} {{ l }} {{ d }} {{ t }} {{ z }} {{ e }} {{ msgs }}",
     "Hello Wörld 日本語 text 5 2.5 [3, 1, 2] {'b': 1, 'a': {'x': [1, 2]}, 'items': 7} True None  [{'role': '"
     "user', 'content': 'hi'}, {'role': 'assistant', 'content': 'yo', 'tool_calls': []}, {'role': 'user', "
     "'content': '<b>\\'q\\'\"&'}]"},
    {"{{ fl }} {{ fl|tojson }} {% for x in fl %}{{ x }},{% endfor %}",
     "[0.1, 1e+16, 1e-05, 123456789.123, 1e+100, -0.0, 100.0, 1000000000000000.0, 5e-324, 1.79769313486231"
     "57e+308] [0.1, 1e+16, 1e-05, 123456789.123, 1e+100, -0.0, 100.0, 1000000000000000.0, 5e-324, 1.79769"
     "31348623157e+308] 0.1,1e+16,1e-05,123456789.123,1e+100,-0.0,100.0,1000000000000000.0,5e-324,1.797693"
     "1348623157e+308,"},
    {"{{ s|length }} {{ u|length }} {{ u[0] }} {{ u[-1] }} {{ u[1:3] }} {{ u[::-1] }} {{ u[::2] }} {{ l[::"
     "-1] }} {{ l[-2:] }} {{ l[5:] }} {{ l[:100] }} {{ u[-3:-1] }}",
     "11 8 日 t 本語 txet 語本日 日語tx [2, 1, 3] [1, 2] [] [3, 1, 2] ex"},
    {"{{ l[10] }}|{{ l[10] is defined }}|{{ l['x'] }}|{{ d.nope }}|{{ d['nope'] is defined }}|{{ nope }}",
     "|False|||False|"},
    {"{{ nope.x }}",
     NULL},
    {"{{ d.nope.x }}",
     NULL},
    {"{{ nope + 'x' }}",
     NULL},
    {"{{ 'x' + nope }}",
     NULL},
    {"{{ 'a' ~ nope ~ 1 ~ none ~ true ~ 1.0 ~ [1] }}",
     "a1NoneTrue1.0[1]"},
    {"{{ 7 // 2 }} {{ -7 // 2 }} {{ 7 % 3 }} {{ -7 % 3 }} {{ 7 % -3 }} {{ 7 / 2 }} {{ 4 / 2 }} {{ 2 ** 10 "
     "}} {{ 2 ** -1 }} {{ 2 ** 0.5 }} {{ -2 ** 2 }} {{ 7.5 // 2 }} {{ -7.5 % 2 }} {{ 1e3 }} {{ 1_000 }} {{"
     " 0x1f }} {{ 0b11 }} {{ 0o17 }} {{ 1.5e-3 }} {{ 3 * 'ab' }} {{ [1] * 3 }} {{ 'ab' * 0 }} {{ true + 1 "
     "}}",
     "3 -4 1 2 -2 3.5 2.0 1024 0.5 1.4142135623730951 4 3.0 0.5 1000.0 1000 31 3 15 0.0015 ababab [1, 1, 1"
     "]  2"},
    {"{{ 1 < 2 < 3 }} {{ 1 < 3 < 2 }} {{ 1 == 1.0 }} {{ true == 1 }} {{ 'a' < 'b' }} {{ [1,2] < [1,3] }} {"
     "{ (1,2) == [1,2] }} {{ none == none }} {{ nope == none }} {{ {'a':1} == {'a':1.0} }}",
     "True False True True True True False True False True"},
    {"{{ 1 < 'a' }}",
     NULL},
    {"{{ 'a' in 'abc' }} {{ 'a' not in 'abc' }} {{ 1 in l }} {{ 'a' in d }} {{ 'x' in nope }} {{ not 1 in "
     "l }} {{ 1 in (1,2) }}",
     "True False True True False False True"},
    {"{{ 1 in 'abc' }}",
     NULL},
    {"{{ 1 in none }}",
     NULL},
    {"{% for k, v in d.items() %}{{ k }}={{ v }};{% endfor %}|{% for k, v in d|items %}{{ k }}={{ v }};{% "
     "endfor %}{{ d['items'] }}",
     "b=1;a={'x': [1, 2]};items=7;|b=1;a={'x': [1, 2]};items=7;7"},
    {"{{ d.get('b') }} {{ d.get('q') }} {{ d.get('q', 4) }} {{ d.keys()|list }} {{ d.values()|list }} {{ d"
     "|list }} {{ d|length }} {{ d|dictsort(false,'key') }}",
     "1 None 4 ['b', 'a', 'items'] [1, {'x': [1, 2]}, 7] ['b', 'a', 'items'] 3 [('a', {'x': [1, 2]}), ('b'"
     ", 1), ('items', 7)]"},
    {"{{ l.append(3) }}",
     NULL},
    {"{{ l.append is defined }}",
     "False"},
    {"{{ d.update({}) }}",
     NULL},
    {"{{ ''.__class__ }}",
     ""},
    {"{{ ''.__class__ is defined }} {{ d.__class__ is defined }} ",
     "False False "},
    {"{{ ''.__class__.__mro__ }}",
     NULL},
    {"{% for x in l %}{{ loop.index }}/{{ loop.length }}{{ loop.first }}{{ loop.last }}{{ loop.revindex }}"
     "{{ loop.revindex0 }}{{ loop.previtem }}{{ loop.nextitem }}{{ loop.cycle('a','b') }}{{ loop.depth }}{"
     "{ loop.changed(x>1) }}\n{% else %}none{% endfor %}",
     "1/3TrueFalse321a1True\n2/3FalseFalse2132b1True\n3/3FalseTrue101a1True\n"},
    {"{% for x in [] %}a{% else %}none{% endfor %}",
     "none"},
    {"{% for x in l if x > 1 %}{{ x }}{{ loop.length }}{{ loop.last }}{% endfor %}",
     "32False22True"},
    {"{%- for node in tree recursive %}<{{ node.n }}{{ loop.depth0 }}>{{ loop(node.c) }}{% endfor -%}",
     "<a0><b1><z0>"},
    {"{% for x in range(10) %}{% if x == 3 %}{% continue %}{% endif %}{% if x > 5 %}{% break %}{% endif %}"
     "{{ x }}{% endfor %}",
     "01245"},
    {"{% set x = 1 %}{% for i in [1,2] %}{% set x = x + 1 %}{{ x }}{% endfor %}{{ x }}",
     "221"},
    {"{% set ns = namespace(a=1, b='q') %}{% for i in [1,2] %}{% set ns.a = ns.a + i %}{% endfor %}{{ ns.a"
     " }}{{ ns.b }}{{ ns.c }}{{ ns['a'] }}",
     "4q4"},
    {"{% set q.a = 1 %}",
     NULL},
    {"{% set a, b = 1, 2 %}{{ a }}{{ b }}{% set a, b = [3,4] %}{{ a }}{{ b }}{% set (c) = 3 %}{{ c }}",
     "12343"},
    {"{% set a, b = 1 %}",
     NULL},
    {"{% set a, b = [1,2,3] %}",
     NULL},
    {"{% macro m(a, b=2, c=a) %}{{ a }}{{ b }}{{ c }}{{ varargs }}{{ kwargs }}{% endmacro %}{{ m(1) }}|{{ "
     "m(1,2,3,4,x=5) }}|{{ m(b=7) }}|{{ m.name }}",
     "121(){}|123(4,){'x': 5}|7(){}|m"},
    {"{% macro m(a) %}{{ a }}{% endmacro %}{{ m(1,2) }}",
     NULL},
    {"{% macro m(a) %}{{ a }}{% endmacro %}{{ m(z=2) }}",
     NULL},
    {"{% macro m(a) %}[{{ caller('x') }}{{ a }}]{% endmacro %}{% call(v) m(1) %}body{{ v }}{% endcall %}",
     "[bodyx1]"},
    {"{% macro m() %}[{{ caller() }}]{% endmacro %}{{ m() }}",
     NULL},
    {"{% macro m() %}{{ x }}{% endmacro %}{% set x = 2 %}{{ m() }}{% set x = 3 %}{{ m() }}",
     "23"},
    {"{% macro f(n) %}{% if n > 0 %}{{ n }}{{ f(n-1) }}{% endif %}{% endmacro %}{{ f(5) }}",
     "54321"},
    {"{% set x %}  block {{ n }} {% endset %}[{{ x }}]{% set y | upper | trim %} abc {% endset %}[{{ y }}]",
     "[  block 5 ][ABC]"},
    {"{% filter upper %}abc{{ s }}{% endfilter %}",
     "ABCHELLO WÖRLD"},
    {"{% with a = 1, b = 2 %}{{ a }}{{ b }}{% set a = 4 %}{{ a }}{% endwith %}{{ a }}",
     "124"},
    {"{% if n > 3 %}A{% elif n > 2 %}B{% else %}C{% endif %}{% if z %}A{% elif e %}B{% else %}{% if t %}D{"
     "% endif %}E{% endif %}",
     "ADE"},
    {"{{ 'a' if z }}|{{ 'a' if z else 'b' }}|{{ 'x' if n == 5 else 'y' if n == 6 else 'q' }}",
     "|b|x"},
    {"{{ (1 if z) + 1 }}",
     NULL},
    {"  {%- if true %}\n  x\n  {%- endif %}\n  y\n    {% if true %}\n  z\n    {% endif %}\n  {{ n }}",
     "  x  y\n  z\n  5"},
    {"a\n  {# comment #}\nb {# c2 #} c\n{#- strip -#}\nd\n  {#+ keep #}\ne",
     "a\nb  cd\n  e"},
    {"{% raw %}{{ x }}{% if %}{% endraw %} q {%- raw -%}  {{ y }}  {%- endraw -%}  z",
     "{{ x }}{% if %} q{{ y }}z"},
    {"  {%+ if true %} a {% endif +%}\nb",
     "   a \nb"},
    {"{{ \"a\\nb\\t\\\"q\\\" \\u00e9 \\x41 \\101 \\q\" }}{{ 'it''s' }}{{ \"x\" 'y' }}",
     "a\nb\t\"q\" é A A \\qitsxy"},
    {"{{ {\"a\": 1, 'b': [1, 2, {'c': none}]} | tojson }}{{ {'a':1,'b':[]} | tojson(indent=2) }}{{ u|tojso"
     "n(ensure_ascii=true) }}{{ s|tojson }}{{ {'b':1,'a':2}|tojson(sort_keys=true,separators=(',',':')) }}",
     "{\"a\": 1, \"b\": [1, 2, {\"c\": null}]}{\n  \"a\": 1,\n  \"b\": []\n}\"\\u65e5\\u672c\\u8a9e text\""
     "\"Hello Wörld\"{\"a\":2,\"b\":1}"},
    {"{{ \"<a href='x'>&\\u2028\\u007f\\u0001\" | tojson }}",
     "\"<a href='x'>& \177\\u0001\""},
    {"{{ nope | tojson }}",
     NULL},
    {"{{ d.items() | tojson }}",
     NULL},
    {"{{ msgs | map(attribute='role') | join(',') }} {{ msgs | selectattr('role','equalto','user') | list "
     "| length }} {{ msgs | rejectattr('role','eq','user') | map(attribute='content') | list }} {{ l | sel"
     "ect('gt', 1) | list }} {{ l | reject('odd') | list }} {{ ['a','b'] | map('upper') | join }} {{ msgs|"
     "selectattr('tool_calls','defined')|list|length }} {{ msgs | map(attribute='zz', default='D') | list "
     "}}",
     "user,assistant,user 2 ['yo'] [3, 2] [2] AB 1 ['D', 'D', 'D']"},
    {"{{ msgs | selectattr('role') | length }}",
     NULL},
    {"{{ l | sort }} {{ l | sort(reverse=true) }} {{ ['b','A','c'] | sort }} {{ ['b','A','c'] | sort(case_"
     "sensitive=true) }} {{ msgs | sort(attribute='content') | map(attribute='content') | list }} {{ l|min"
     " }} {{ l|max }} {{ l|sum }} {{ [1,1,2,'a','A']|unique|list }} {{ l|first }} {{ l|last }} {{ l|revers"
     "e|list }} {{ s|reverse }}",
     "[1, 2, 3] [3, 2, 1] ['A', 'b', 'c'] ['A', 'b', 'c'] ['<b>\\'q\\'\"&', 'hi', 'yo'] 1 3 6 [1, 2, 'a'] "
     "3 2 [2, 1, 3] dlröW olleH"},
    {"{{ l|batch(2)|list }} {{ l|batch(2,'x')|list }} {{ [1,2,3,4,5]|slice(3)|list }} {{ [1,2,3,4,5]|slice"
     "(3,'-')|list }}",
     "[[3, 1], [2]] [[3, 1], [2, 'x']] [[1, 2], [3, 4], [5]] [[1, 2], [3, 4], [5, '-']]"},
    {"{% for g, items in msgs|groupby('role') %}{{ g }}:{{ items|length }};{% endfor %}{% for g in msgs|gr"
     "oupby('role') %}{{ g.grouper }}{{ g.list|length }}{% endfor %}{{ l|groupby(0) if false }}",
     "assistant:1;user:2;assistant1user2"},
    {"{{ 3.7|int }} {{ '42'|int }} {{ '42.9'|int }} {{ 'x'|int }} {{ 'x'|int(7) }} {{ '0x1A'|int(0,16) }} "
     "{{ '3.5'|float }} {{ 'z'|float }} {{ 3|float }} {{ -3|abs }} {{ 2.5|round }} {{ 3.5|round }} {{ 2.67"
     "5|round(2) }} {{ 42.55|round(1,'floor') }} {{ 42.51|round(1,'ceil') }} {{ 5|round }} {{ 1234567|roun"
     "d(-2) }} {{ none|int }}",
     "3 42 42 0 7 26 3.5 0.0 3.0 3 2.0 4.0 2.67 42.5 42.6 5 1234600 0"},
    {"{{ nope|default('d') }} {{ ''|default('d') }} {{ ''|default('d', true) }} {{ z|d('q') }} {{ nope|def"
     "ault }}",
     "d  d None "},
    {"{{ '  x '|trim }}| {{ 'xxaxx'|trim('x') }} {{ 'a b'|title }} {{ \"it's a-b (c)\"|title }} {{ \"it's "
     "a-b\".title() }} {{ 'HELLO'|capitalize }} {{ 'hello'|upper }} {{ 'ÀÉ'|lower }} {{ 'straße'|upper }} "
     "{{ 'ab'|replace('a','x') }} {{ 'aaa'|replace('a','b',2) }} {{ 'ab'|replace('','-') }} {{ 'ab'.replac"
     "e('','-') }}",
     "x| a A B It's A-B (C) It'S A-B Hello HELLO àé STRASSE xb bba -a-b- -a-b-"},
    {"{{ 'a\\nb\\n\\nc'|indent }}|{{ 'a\\nb\\n\\nc'|indent(2,true) }}|{{ 'a\\nb\\n\\nc'|indent(2,false,tru"
     "e) }}|{{ 'a\\n'|indent('>') }}|{{ ''|indent(2,true) }}",
     "a\n    b\n\n    c|  a\n  b\n\n  c|a\n  b\n  \n  c|a\n|  "},
    {"{{ 'a,b,,c'.split(',') }} {{ ' a  b '.split() }} {{ 'a,b,c'.split(',',1) }} {{ 'a b c'.split(none,1)"
     " }} {{ 'a,b,c'.rsplit(',',1) }} {{ ' a b  c '.rsplit(none,1) }} {{ 'a=b=c'.partition('=') }} {{ 'a=b"
     "=c'.rpartition('=') }} {{ 'abc'.partition('x') }} {{ 'a\\nb\\r\\nc\\n'.splitlines() }} {{ 'a\\nb'.sp"
     "litlines(true) }} {{ ','.join(['a','b']) }}",
     "['a', 'b', '', 'c'] ['a', 'b'] ['a', 'b,c'] ['a', 'b c'] ['a,b', 'c'] [' a b', 'c'] ('a', '=', 'b=c'"
     ") ('a=b', '=', 'c') ('abc', '', '') ['a', 'b', 'c'] ['a\\n', 'b'] a,b"},
    {"{{ 'abc'.startswith('a') }} {{ 'abc'.startswith(('x','a')) }} {{ 'abc'.endswith('bc') }} {{ 'abc'.st"
     "artswith('b',1) }} {{ 'abc'.find('c') }} {{ 'aäbä'.find('b') }} {{ 'aäbä'.rfind('ä') }} {{ 'abc'.ind"
     "ex('b') }} {{ 'banana'.count('an') }} {{ 'abc'.find('x') }} {{ 'abcabc'.find('a',1) }} {{ 'abc'.coun"
     "t('') }}",
     "True True True True 2 2 3 1 2 -1 3 4"},
    {"{{ 'abc'.index('x') }}",
     NULL},
    {"{{ 'xxabxx'.strip('x') }} {{ 'xxab'.lstrip('x') }} {{ 'abxx'.rstrip('x') }} {{ 'abc'.removeprefix('a"
     "') }} {{ 'abc'.removesuffix('c') }} {{ 'a'.zfill(3) }} {{ '-5'.zfill(4) }} {{ 'a'.center(4,'*') }} {"
     "{ 'ab'.center(5,'*') }} {{ 'a'.ljust(3,'.') }} {{ 'a'.rjust(3) }} {{ '12'.isdigit() }} {{ 'ab'.isalp"
     "ha() }} {{ 'a1'.isalnum() }} {{ ' '.isspace() }} {{ 'AB'.isupper() }} {{ 'Ab'.islower() }} {{ 'hELLO"
     " wORLD'.capitalize() }}",
     "ab ab ab bc ab 00a -005 *a** **ab* a..   a True True True True True False Hello world"},
    {"{{ '%s is %d and %.2f %5s|%-5s|%05d %x %%' % ('a', 3, 2.5, 'r', 'l', 42, 255) }} {{ '%s' % 'x' }} {{"
     " '%r' % 'x' }} {{ '%(a)s' % {'a': 1} }} {{ '%s-%s'|format('a','b') }}",
     "a is 3 and 2.50     r|l    |00042 ff % x 'x' 1 a-b"},
    {"{{ '{} {} {0}'.format(1) }}",
     NULL},
    {"{{ '{} {}'.format(1,'a') }} {{ '{1} {0}'.format('a','b') }} {{ '{x}'.format(x=3) }} {{ '{:>5}|{:<5}|"
     "{:^5}|{:05d}|{:.2f}|{:,}|{:x}'.format('a','b','c',42,2.5,1234567,255) }} {{ '{{}}'.format() }} {{ '{"
     "a[b]} {a.x}'.format(a={'b':1,'x':2}) }} {{ '{!r}'.format('x') }} {{ '{:+d} {:e} {:%}'.format(3, 1234"
     ".5, 0.25) }}",
     "1 a b a 3     a|b    |  c  |00042|2.50|1,234,567|ff {} 1 2 'x' +3 1.234500e+03 25.000000%"},
    {"{{ z is none }} {{ nope is defined }} {{ nope is undefined }} {{ s is string }} {{ d is mapping }} {"
     "{ l is iterable }} {{ s is iterable }} {{ l is sequence }} {{ d is sequence }} {{ n is number }} {{ "
     "t is number }} {{ t is boolean }} {{ n is integer }} {{ f is float }} {{ 4 is even }} {{ 3 is odd }}"
     " {{ 9 is divisibleby 3 }} {{ 9 is divisibleby(2) }} {{ 'a' is in ['a'] }} {{ 1 is eq 1 }} {{ 1 is sa"
     "meas 1 }} {{ 'abc' is lower }} {{ 'ABC' is upper }} {{ z is not none }} {{ n is gt 3 }} {{ range is "
     "callable }} {{ nope is iterable }} {{ nope is mapping }} {{ l is not mapping and l is iterable }} {{"
     " t is true }} {{ t is false }} {{ 'upper' is filter }} {{ 'odd' is test }} {{ z is iterable }} {{ no"
     "pe is string }}",
     "True False True True True True True True True True True True True True True True True False True Tru"
     "e True True True False True True True False True True False True True False False"},
    {"{{ range(5)|list }} {{ range(1,10,3)|list }} {{ range(5,0,-2)|list }} {{ range(3)[1] }} {{ range(3)|"
     "length }} {{ range(5)[1:3]|list }}",
     "[0, 1, 2, 3, 4] [1, 4, 7] [5, 3, 1] 1 3 [1, 2]"},
    {"{{ range(100001)|length }}",
     NULL},
    {"{{ dict(a=1,b=2) }} {{ dict([('a',1)]) }} {{ {**{}} if false else 1 }}",
     NULL},
    {"{{ dict({'a':1}, b=2) }}",
     "{'a': 1, 'b': 2}"},
    {"{{ (1,) }} {{ () }} {{ (1,2) }} {{ [] }} {{ {} }} {{ [1,'a',none,true,1.0] }} {{ {'k':'v','n':none} "
     "}} {{ [\"it's\", 'say \"x\"', 'both \\' and \"', '\\n\\t\\\\', 'é', '\\x00\\x7f'] }}",
     "(1,) () (1, 2) [] {} [1, 'a', None, True, 1.0] {'k': 'v', 'n': None} [\"it's\", 'say \"x\"', 'both "
     "\\' and \"', '\\n\\t\\\\', 'é', '\\x00\\x7f']"},
    {"{{ raise_exception('boom ' ~ n) }}",
     NULL},
    {"{{ strftime_now('%Y-%m-%d') }} {{ strftime_now('%d %b %Y') }}",
     "2023-11-14 14 Nov 2023"},
    {"{% generation %}abc{{ n }}{% endgeneration %}",
     "abc5"},
    {"{{ none + 'x' }}",
     NULL},
    {"{{ 'x' + 1 }}",
     NULL},
    {"{{ [1] + [2] }} {{ (1,) + (2,) }}",
     "[1, 2] (1, 2)"},
    {"{{ 'a'|unknownfilter }}",
     NULL},
    {"{% if false %}{{ 'a'|unknownfilter }}{% endif %}ok",
     "ok"},
    {"{{ 'x'.nope is defined }} {{ l.nope is defined }} {{ 'x'['upper']() }} {{ n.nope is defined }}",
     "False False X False"},
    {"{{ msgs[0].role }} {{ msgs[0]['role'] }} {{ msgs.0.role }} {{ msgs[-1].content|e }} {{ msgs[-1].cont"
     "ent|safe }} {{ ('<'|e) + '<' }} {{ ('<'|safe) + '<' }} {{ '<'|e|e }} {{ '<'|e ~ '<' }} {{ '<'|forcee"
     "scape }}",
     "user user user &lt;b&gt;&#39;q&#39;&#34;&amp; <b>'q'\"& &lt;&lt; <&lt; &lt; &lt;< &lt;"},
    {"{{ not z and t }} {{ z or 'x' }} {{ z and 'x' }} {{ '' or 0 or 'last' }} {{ not not 1 }}",
     "True x None last True"},
    {"{% for a, b in [[1,2],[3,4]] %}{{ a }}{{ b }}{% endfor %}{% for (a, b), c in [((1,2),3)] %}{{ a }}{{"
     " b }}{{ c }}{% endfor %}",
     "1234123"},
    {"{% for x in 5 %}{% endfor %}",
     NULL},
    {"{% for x in none %}{% endfor %}",
     NULL},
    {"{% for x in nope %}a{% else %}b{% endfor %}",
     "b"},
    {"{% for x in d %}{{ x }}{% endfor %}{% for c in u %}[{{ c }}]{% endfor %}",
     "baitems[日][本][語][ ][t][e][x][t]"},
    {"{{ '' }}{{ 1 }}\n{{ 2 }}\n{% if true %}\nx\n{% endif %}\n",
     "1\n2\nx\n"},
    {"{% set x = [1,2] %}{% set y = x + [3] %}{{ x }}{{ y }}{{ x|length + 1 }}{{ 'a' ~ 'b' * 2 }}{{ 1 + 2 "
     "~ 3 }}{{ 2 * 3 + 4 }}{{ -n }}{{ +n }}{{ - n|abs }}{{ (-3)|abs }}",
     NULL},
    {"{{ 1 if true else 2 if false }} {{ [x for x in l] }}",
     NULL},
    {"{{ \"a\" if n is defined and n > 3 and not z }}",
     "a"},
    {"{{ n is not divisibleby 2 }}{{ n in [5] and 'a' is string }}",
     "TrueTrue"},
    {"{{ l|join(', ', attribute=0) if false else l|join('|') }}{{ msgs|join(';', attribute='role') }}",
     "3|1|2user;assistant;user"},
    {"{{ 'abcdefghij klm'|truncate(9) }} {{ 'abc def ghi jkl mno'|truncate(9) }} {{ 'abc def ghi jkl mno'|"
     "truncate(9,true) }} {{ 'foo bar'|wordcount }} {{ 'a b/c?&é'|urlencode }} {{ 'x'|center(5) }}|",
     "abcdefghij klm abc... abc de... 2 a%20b/c%3F%26%C3%A9   x  |"},
    {"{% break %}",
     NULL},
    {"{% if %}",
     NULL},
    {"{% for %}",
     NULL},
    {"{% if true %}",
     NULL},
    {"{{ 'abc }}",
     NULL},
    {"{{ (1 }}",
     NULL},
    {"{% endif %}",
     NULL},
    {"{% macro a(b %}{% endmacro %}",
     NULL},
    {"{# unclosed",
     NULL},
    {"{{ loop }}",
     ""},
    {"{% for x in l %}{{ loop is defined }}{% endfor %}{{ loop is defined }}",
     "TrueTrueTrueFalse"},
    {"{{ x is defined }}{% set x = none %}{{ x is defined }}{{ x is none }}",
     "FalseTrueTrue"},
    {"{% set tools = tools if tools is defined else none %}{{ tools is none }}",
     "True"},
    {"{{ d.a.x[1] }}{{ d['a']['x'][0] }}{{ d.a['x'] | join('-') }}",
     "211-2"},
    {"{%- set msg = {'role': 'x', 'c': [1,2,3]} -%}{{ msg.c[1:] }}{{ msg['c'][-1] }}{{ msg.c|length }}{{ m"
     "sg|length }}",
     "[2, 3]332"},
    {"{{ \"a\" \"b\" | upper }}{{ [\"x\"]|first|upper ~ 'z' }}{{ 'a'|upper~'b'|upper }}",
     "ABXzAB"},
    {"{{ 'abc'[1] }}{{ 'abc'[5] is defined }}{{ 'abc'[:-1] }}{{ 'abc'[-2:] }}{{ 'abcdef'[1:5:2] }}{{ 'abcd"
     "ef'[5:1:-2] }}{{ 'abcdef'[::-1] }}",
     "bFalseabbcbdfdfedcba"},
    {"{{ l[1:][0] }}{{ (l + [9])[-1] }}{{ l[0:2] + l[2:] }}",
     "19[3, 1, 2]"},
    {"{{ 1.0 }} {{ 1e20 }} {{ 1.5 + 1.5 }} {{ 0.1 + 0.2 }} {{ 3.0 * 2 }} {{ 7 // 2.0 }} {{ 1/3 }} {{ 100 *"
     " 1.1 }}",
     "1.0 1e+20 3.0 0.30000000000000004 6.0 3.0 0.3333333333333333 110.00000000000001"},
    {"{{ true }} {{ True }} {{ none }} {{ None }} {{ false|tojson }} {{ none|tojson }} {{ true|string }} {"
     "{ none|string|length }}",
     "True True None None false null True 4"},
    {"{{ 1/0 }}",
     NULL},
    {"{{ {'a':1}['a'] }}{{ {'a':{'b':2}}.a.b }}{{ [1,2,3][1] }}{{ 'x'.upper() }}{{ ('a','b')[1] }}",
     "122Xb"},
    {"{%- for m in msgs -%}\n  {%- if loop.first and m.role != 'system' -%} first {%- endif -%}\n  {{- m.r"
     "ole -}}\n{%- endfor -%}",
     "firstuserassistantuser"},
    {"{{ msgs|map(attribute='role')|unique|list|tojson }}{{ msgs|map('length')|list }}{{ nested|string }}{"
     "{ nested|tojson }}",
     "[\"user\", \"assistant\"][2, 3, 2][[1, [2, [3]]], [4]][[1, [2, [3]]], [4]]"},
    {"{{- '\\n' -}}a{{ '\\\\' }}{{ \"\\\"\" }}{{ '\\'' }}",
     "\na\\\"'"},
    {"{% set x = namespace() %}{{ x }}{% set x.l = [] %}{{ x.l }}",
     "<Namespace {}>[]"},
    {"{{ ['a','b','c']|map('replace','a','z')|list }}{{ [' a ','b']|map('trim')|join }}{{ [1,2]|map('strin"
     "g')|join('+') }}",
     "['z', 'b', 'c']ab1+2"},
    {"{{ 'ab' is in 'cab' }}{{ 'a' is eq('a') }}{{ (n is defined) ~ '' }}",
     "TrueTrueTrue"},
    {"{%if n==5%}x{%endif%}{{n}}{%set q=3%}{{q}}{{-n-}} y",
     "x535y"},
    {"{{ {'x': 1}.items()|list }}{{ {'x':1}|items|list }}{{ {'x': 1}.items()|length }}{{ {'b':1,'a':2}|dic"
     "tsort }}{{ {'b':1,'A':2}|dictsort(true) }}{{ {'b':1,'a':2}|dictsort(by='value', reverse=true) }}",
     "[('x', 1)][('x', 1)]1[('a', 2), ('b', 1)][('A', 2), ('b', 1)][('a', 2), ('b', 1)]"},
    {"{{ 'İstanbul ñandú ÇA'|lower }} {{ 'ǆ'.upper() }} {{ 'ß'.title() }} {{ '  a　b  '|trim }}|{{ ' x '.sp"
     "lit() }}",
     "i̇stanbul ñandú ça Ǆ Ss a　b|['x']"},
    {"{{ [3,1,2]|sort|join(',') }}{{ [{'a':2,'b':1},{'a':1,'b':2}]|sort(attribute='a,b')|map(attribute='b'"
     ")|list }}{{ [(2,'x'),(1,'y')]|sort }}",
     "1,2,3[2, 1][(1, 'y'), (2, 'x')]"},
    {"{% for x in [1,2,3] %}{% for y in [1,2] %}{% if y == 2 %}{% break %}{% endif %}{{ x }}{{ y }}{{ loop"
     ".index }}{% endfor %}{{ loop.index }}{% endfor %}",
     "111121123113"},
    {"{% set ns = namespace(found=false) %}{% for m in msgs %}{% if m.role == 'assistant' %}{% set ns.foun"
     "d = true %}{% endif %}{% endfor %}{{ ns.found }}",
     "True"},
    {"{% for m in msgs[::-1] %}{{ m.role[0] }}{% endfor %}{{ msgs[1:]|length }}{{ (msgs|last).role }}{{ ms"
     "gs[:-1]|map(attribute='role')|join('>') }}",
     "uau2useruser>assistant"},
    {"{% macro outer() %}{% set z = 5 %}{% macro inner(q) %}{{ q }}{{ z }}{% endmacro %}{{ inner(1) }}{% e"
     "ndmacro %}{{ outer() }}{{ z }}",
     "15None"},
    {"{% macro f(x, y=[1,2], *args) %}{% endmacro %}",
     NULL},
    {"{%- macro render(p) -%}\n  {%- if p is string -%}S{%- elif p is mapping -%}{%- for k, v in p.items()"
     " -%}{{ k }}:{{ render(v) }},{%- endfor -%}{%- elif p is sequence -%}[{%- for i in p -%}{{ render(i) "
     "}}{%- endfor -%}]{%- else -%}{{ p }}{%- endif -%}\n{%- endmacro -%}\n{{ render(d) }}{{ render(nested"
     ") }}",
     "b:1,a:x:[12],,items:7,[[1[2[3]]][4]]"},
    {"{{ {'a': 1} | items | list }}{% for k in {'x':1,'y':2} %}{{ k }}{% endfor %}{{ {'x':1}|length }}{{ {"
     "1:2, 'a':3, none:4, true:5}|tojson }}{{ {(1,2):3} }}",
     "[('a', 1)]xy1{\"1\": 5, \"a\": 3, \"null\": 4}{(1, 2): 3}"},
    {"{{ {[1]: 2} }}",
     NULL},
    {"{{ 'abc' * 2 ~ 'd' }}{{ not 'a' in 'b' }}{{ -5 % 3 }}{{ 5.0 % 3 }}{{ 10 / 5 }}{{ 2 ** 3 ** 2 }}{{ (1"
     ",2,3)[1:] }}",
     "abcabcdTrue12.02.064(2, 3)"},
    {"{{ [1,2,3] is sequence }}{{ (1,2) is iterable }}{{ 'x' is sequence }}{{ 5 is sequence }}{{ {}.keys()"
     " is sequence }}{{ range(2) is sequence }}{{ msgs|map(attribute='role') is sequence }}{{ msgs|map(att"
     "ribute='role') is iterable }}{{ range(2) is mapping }}",
     "TrueTrueTrueFalseFalseTrueFalseTrueFalse"},
    {"{% set a %}x{% endset %}{% set a = a ~ 'y' %}{{ a }}{{ a is string }}",
     "xyTrue"},
    {"{{ (msgs|selectattr('role','in',['user','tool'])|list)[0].content }}{{ msgs|selectattr('content','st"
     "ring')|list|length }}{{ msgs|map(attribute='content')|map('length')|sum }}",
     "hi312"},
    {"{{ '%.3f' % 3.14159 }}{{ '%5.1f|' % 2.25 }}{{ '%+d' % 3 }}{{ '%e' % 12345.678 }}{{ '%g' % 0.00001 }}"
     "{{ '%c' % 'x' }}{{ '%i' % 3.9 }}{{ '%s %s' % ([1], {'a':1}) }}{{ '%-8s|%8s|' % ('ä','ö') }}{{ '%#x' "
     "% 255 }}{{ '%03d' % -5 }}",
     "3.142  2.2|+31.234568e+041e-05x3[1] {'a': 1}ä       |       ö|0xff-05"},
    {"{{ '%d' % 'x' }}",
     NULL},
    {"{{ '%s %s' % ('a',) }}",
     NULL},
    {"{{ '%s' % ('a','b') }}",
     NULL},
    {"{{ \"x\".join(['a', 1]) }}",
     NULL},
    {"{{ 'abc'.foo() }}",
     NULL},
    {"{{ msgs.role }}{{ msgs['role'] }}{{ 5['a'] }}|{{ none['a'] }}|{{ none.a }}",
     "||"},
    {"{{ none.a.b }}",
     NULL},
    {"{{ d['a']['x']['nope'] }}|{{ d.a.x.nope }}|{{ d.a.x[99] }}",
     "||"},
    {"{{ d.a.x[99].foo }}",
     NULL},
    {"{% if nope.foo %}{% endif %}",
     NULL},
    {"{% if nope and nope.foo %}a{% else %}b{% endif %}{{ nope.foo if nope is defined else 'q' }}",
     "bq"},
    {"{{ 'a'.split('') }}",
     NULL},
    {"{{ ''.split(',') }}{{ ''.split() }}{{ 'abc'.split('x') }}{{ 'a,b'.split(sep=',') }}{{ 'a,b,c'.split("
     "',', maxsplit=1) }}{{ ',a,'.split(',') }}",
     "[''][]['abc']['a', 'b']['a', 'b,c']['', 'a', '']"},
    {"{{ 1 == '1' }}{{ '1' == 1 }}{{ 1 != 2 }}{{ 'a' != 'a' }}{{ [] == () }}{{ none != false }}{{ 0 == fal"
     "se }}{{ '' == false }}",
     "FalseFalseTrueFalseFalseTrueTrueFalse"},
    {"{{ true and false or true }}{{ true or false and false }}{{ not true or true }}{{ 1 + 1 == 2 and 'y'"
     " or 'n' }}{{ 3 > 2 > 1 }}{{ 3 > 2 == true }}",
     "TrueTrueTrueyTrueFalse"},
    {"  {{ n }}  \n   {% if t %}   \n  yes  \n   {% else %}  \n  no\n   {% endif %}   \nend",
     "  5  \n   \n  yes  \n   \nend"},
    {"{% if t %}{% endif %}\n\n{% if t -%}\n\nx\n\n{%- endif %}\n\n\ny",
     "\nx\n\ny"},
    {"a {%- set q = 1 %} b {% set q = 2 -%} c\n\t{% set q = 3 %}\t\n  {# c #}   d",
     "a b c\n\t\n   d"},
    {"{{ \"{{ not }}\" }}{{ '%}' }}{{ \"#}\" }}{% set x = \"{% raw %}\" %}{{ x }}",
     "{{ not }}%}#}{% raw %}"},
    {"{{ {'a':{'b':{}}} }}{{ {'a':{}}.a }}{{ [[]] }}{{ {} is mapping }}{{ {'a':[{'b':1}]}['a'][0]['b'] }}",
     "{'a': {'b': {}}}{}[[]]True1"},
    {"line1\\n{{ 'x\\\ny' }}",
     "line1\\nxy"},
    {"{{ 3.0|int }}{{ 3.99|int }}{{ -3.5|int }}{{ '  7 '|int }}{{ '1_000'|int }}{{ true|int }}{{ []|int(5)"
     " }}{{ '1e3'|int }}{{ '1e3'|float }}{{ 'inf'|float }}{{ 'nan'|float }}{{ '0x10'|float }}",
     "33-3710001510001000.0infnan0.0"},
    {"{{ [1,[2,3]]|tojson(indent=4) }}{{ {'a':{'b':[]},'c':{}}|tojson(indent=1) }}{{ []|tojson(indent=2) }"
     "}{{ [1]|tojson(separators=(',', ':')) }}{{ {'a':1}|tojson(none, 2) }}{{ [1.0,1e400,2]|tojson }}",
     "[\n    1,\n    [\n        2,\n        3\n    ]\n]{\n \"a\": {\n  \"b\": []\n },\n \"c\": {}\n}[][1]{"
     "\n  \"a\": 1\n}[1.0, Infinity, 2]"},
    {"{% for k, v in d|dictsort %}{{ k }}{{ loop.index }}{% endfor %}{% for k, v in {'B':1,'a':2}|dictsort"
     " %}{{ k }}{% endfor %}",
     "a1b2items3aB"},
    {"{%- for i in range(3) -%}{{ i }}{%- if not loop.last %}, {% endif -%}{%- endfor -%}",
     "0, 1, 2"},
    {"{% for i in [1,2,3,4] if i is even %}{{ i }}{% else %}none{% endfor %}{% for i in [1] if i > 5 %}x{%"
     " else %}none{% endfor %}",
     "24none"},
    {"{% for item in [] %}{% else %}{% set leak = 1 %}{% endfor %}{{ leak is defined }}",
     "False"},
    {"{% if true %}{% set leak = 1 %}{% endif %}{{ leak is defined }}",
     "True"},
    {"{% macro a() %}{{ caller is defined }}{% endmacro %}{{ a() }}{% call a() %}{% endcall %}",
     "FalseTrue"},
    {"{% macro a(x) %}{{ x is defined }}{{ x }}{% endmacro %}{{ a() }}{{ a(none) }}",
     "FalseTrueNone"},
    {"{% macro a(x) %}{{ x.y }}{% endmacro %}{{ a() }}",
     NULL},
    {"{{ 'a' in namespace(a=1) }}",
     NULL},
    {"{{ s.replace('l', 'L', 1) }}{{ s.replace('', '.') }}{{ 'aaa'.replace('a', '') }}{{ 'x'|replace('x', "
     "5) }}",
     "HeLlo Wörld.H.e.l.l.o. .W.ö.r.l.d.5"},
    {"{{ \"abc\"|first }}{{ \"abc\"|last }}{{ []|first }}{{ []|last is defined }}{{ d|first }}{{ u|list }}",
     "acFalseb['日', '本', '語', ' ', 't', 'e', 'x', 't']"},
    {"{{ msgs|tojson }}",
     "[{\"role\": \"user\", \"content\": \"hi\"}, {\"role\": \"assistant\", \"content\": \"yo\", \"tool_ca"
     "lls\": []}, {\"role\": \"user\", \"content\": \"<b>'q'\\\"&\"}]"},
    {"{{ 5 // 0 }}",
     NULL},
    {"{{ 5 % 0 }}",
     NULL},
    {"{{ [1,2]|map(attribute='x')|list }}",
     "[Undefined, Undefined]"},
    {"{{ ['a']|map('nope')|list }}",
     NULL},
    {"{{ ['a']|select('nope')|list }}",
     NULL},
    {"{{ 'x'|default }}{{ none|default('n') }}{{ none|default('n', true) }}{{ false|default('f', boolean=t"
     "rue) }}{{ nope|default(nope2)|default('z') }}",
     "xNonenfz"},
    {"{{ 'a\nb' }}{{ \"tab\tx\" }}",
     "a\nbtab\tx"},
    {"{{ 'é'|length }}{{ '👩‍🚀'|length }}{{ '👩‍🚀'[0] }}{{ '日本'|reverse }}{{ '日本'|upper }}{{ 'éà'|title }}{{"
     " 'x日'.find('日') }}{{ '日本語'.center(7, '*') }}",
     "13👩本日日本Éà1**日本語**"},
    {"{%- set x = [1, 2] %}{% set y = {'k': x} %}{{ y.k + [3] }}{{ x }}",
     "[1, 2, 3][1, 2]"},
    {"{% set tool_calls = [{'function': {'name': 'f', 'arguments': {'a': 1}}}] %}{% for tc in tool_calls %"
     "}{% if tc.function %}{% set tc = tc.function %}{% endif %}{{ tc.name }}{% for k, v in tc.arguments|i"
     "tems %}{{ k }}{{ v if v is string else v|tojson }}{% endfor %}{% endfor %}",
     "fa1"},
};
