/* What the template interpreter makes of short templates: the answers are those of Jinja 3.1.6, set up
 * as for chat templates. The messages of templates that fail are our own. */
#ifndef TESTS_UNIT_JINJA_CASES_H
#define TESTS_UNIT_JINJA_CASES_H

/* The variables, as JSON. */
static const char CASE_VARIABLES[] =
     "{\"s\": \"Hello World\", \"e\": \"\", \"u\": \"Gr\\u00fc\\u00dfe  aus K\\u00f6ln \\ud8"
     "3d\\ude00\", \"n\": 5, \"f\": 2.5, \"neg\": -7, \"big\": 12345678901234567890123456789"
     "0, \"t\": true, \"z\": null, \"l\": [3, 1, 2], \"ls\": [\"b\", \"A\", \"c\"], \"d\": {"
     "\"b\": 1, \"a\": 2, \"C\": [1, {\"x\": null}]}, \"ms\": [{\"role\": \"user\", \"conten"
     "t\": \"hi\", \"k\": 3}, {\"role\": \"assistant\", \"content\": \"yo\", \"k\": 1}, {\"r"
     "ole\": \"user\", \"content\": \"x\", \"k\": 2}], \"q\": \"it's \\\"q\\\"\\n\\t\\\\ \\u"
     "0007\\u00e9\\u200b\", \"w\": \" \\n\\u00a0 pad \\u3000\\n\", \"nested\": {\"a\": {\"b"
     "\": {\"c\": [10, 20]}}}, \"items\": [1, 2], \"html\": \"<b>&'\\\"</b>\", \"csv\": \"a,"
     "b,,c\", \"emptyl\": [], \"dd\": {\"items\": 5, \"keys\": \"K\"}}";

static const struct {
    const char *source, *want;
} CASES[] = {
    {"{{ 1 + 2 * 3 - 4 }} {{ 7 // 2 }} {{ -7 // 2 }} {{ 7 % 3 }} {{ -7 % 3 }} {{ 7 / 2 }} {{"
     " 2 ** 10 }} {{ 2 ** -1 }} {{ -2 ** 2 }} {{ 2 ** 3 ** 2 }}",
     "3 3 -4 1 2 3.5 1024 0.5 4 64"},
    {"{{ 1.5 + 1 }} {{ 1e3 }} {{ 2.0 * 3 }} {{ 7.5 // 2 }} {{ -7.5 % 2 }} {{ 1 / 3 }} {{ 10 "
     "/ 5 }}",
     "2.5 1000.0 6.0 3.0 0.5 0.3333333333333333 2.0"},
    {"{{ \"a\" \"b\" 'c' }} {{ 'it\\'s' }} {{ \"q\\\"q\" }} {{ 'a\\nb\\tc\\\\d\\x41\\u00e9\\"
     "q' }}",
     "abc it's q\"q a\nb\tc\\dA\303\251\\q"},
    {"{{ s[0] }} {{ s[-1] }} {{ s[1:3] }} {{ s[::-1] }} {{ s[:-6] }} {{ s[6:] }} {{ s[::2] }"
     "} {{ s[100] }} {{ s[100:] }} {{ s[-3:-1] }} {{ u[3] }} {{ u[2:6] }} {{ u[-1] }}",
     "H d el dlroW olleH Hello World HloWrd   rl \303\237 \303\274\303\237e  \360\237\230"
     "\200"},
    {"{{ l[0] }} {{ l[-1] }} {{ l[1:] }} {{ l[::-1] }} {{ l[5] }} {{ l[:2] }} {{ l[-2:] }} {"
     "{ l[::-2] }} {{ l[2:0:-1] }}",
     "3 2 [1, 2] [2, 1, 3]  [3, 1] [1, 2] [2, 3] [2, 1]"},
    {"{{ s ~ 1 ~ none ~ true ~ 1.0 ~ l }}",
     "Hello World1NoneTrue1.0[3, 1, 2]"},
    {"{{ \"ab\" * 3 }} {{ 3 * \"x\" }} {{ [1] * 3 }} {{ \"x\" * 0 }} {{ \"x\" * -1 }}",
     "ababab xxx [1, 1, 1]  "},
    {"{{ [1,2] + [3] }} {{ (1,2) + (3,) }} {{ (1,) }} {{ () }} {{ [] }} {{ {} }} {{ {'a': 1,"
     " 'b': [1,2]} }}",
     "[1, 2, 3] (1, 2, 3) (1,) () [] {} {'a': 1, 'b': [1, 2]}"},
    {"{{ d }} {{ d.a }} {{ d['b'] }} {{ d.zz }} {{ d['zz'] }} {{ d.C[1] }} {{ d.C[1].x }}",
     "{'b': 1, 'a': 2, 'C': [1, {'x': None}]} 2 1   {'x': None} None"},
    {"{{ q }} {{ [q] }} {{ [w] }} {{ [u] }}",
     "it's \"q\"\n\t\\ \007\303\251\342\200\213 ['it\\'s \"q\"\\n\\t\\\\ \\x07\303\251\\u200"
     "b'] [' \\n\\xa0 pad \\u3000\\n'] ['Gr\303\274\303\237e  aus K\303\266ln \360\237\230"
     "\200']"},
    {"{{ undefinedthing }}|{{ undefinedthing is defined }}|{{ undefinedthing == none }}|{{ u"
     "ndefinedthing is none }}|{{ not undefinedthing }}",
     "|False|False|False|True"},
    {"{{ undefinedthing | length }} {{ undefinedthing | trim }} {{ undefinedthing | default("
     "'D') }} {{ e | default('D') }} {{ e | default('D', true) }} {{ none | d('x') }} {{ z |"
     " default('q', boolean=true) }} {{ undefinedthing | upper }} {{ undefinedthing|list }} "
     "{{ undefinedthing|join(',') }}",
     "0  D  D None q  [] "},
    {"{% for x in undefinedthing %}x{% else %}none{% endfor %}",
     "none"},
    {"{{ 'a' in undefinedthing }}",
     "False"},
    {"{{ 'ell' in s }} {{ 'z' not in s }} {{ 3 in l }} {{ 9 in l }} {{ 'a' in d }} {{ 'q' in"
     " d }} {{ '' in s }}",
     "True True True False True False True"},
    {"{{ 1 < 2 < 3 }} {{ 1 < 2 > 5 }} {{ 'a' < 'b' }} {{ 1 == 1.0 }} {{ true == 1 }} {{ [1,2"
     "] == [1,2] }} {{ {'a':1} == {'a':1} }} {{ 'a' != 'b' }} {{ (1,2) < (1,3) }} {{ none =="
     " none }} {{ none != false }}",
     "True False True True True True True True True True True"},
    {"{{ n and 'yes' or 'no' }} {{ e or 'alt' }} {{ n and e }} {{ not n }} {{ not e and n }}"
     " {{ 0 or none or 'x' }}",
     "yes alt  False 5 x"},
    {"{{ 'a' if n else 'b' }} {{ 'a' if e else 'b' }} {{ 'a' if e }} {{ 'x' if e else 'y' if"
     " e else 'z' }} {{ ('a' if t else 'b') ~ 'c' }}",
     "a b  z ac"},
    {"{{ not s | length == 11 }} {{ s | length - 1 }} {{ 'a' | upper + 'b' }} {{ -n | abs }}"
     " {{ -5 | abs }} {{ (-5) | abs }}",
     "False 10 Ab 5 5 5"},
    {"{{ s | length }} {{ u | length }} {{ l | length }} {{ d | length }} {{ l | count }}",
     "11 17 3 3 3"},
    {"{{ w | trim }}|{{ w.strip() }}|{{ w.lstrip() }}|{{ w.rstrip() }}|{{ 'xxaxx'.strip('x')"
     " }}|{{ 'abcba'.lstrip('ab') }}|{{ 'abcba' | trim('ab') }}|{{ '\\n\\nx\\n'.strip('\\n')"
     " }}|",
     "pad|pad|pad \343\200\200\n| \n\302\240 pad|a|cba|c|x|"},
    {"{{ s.upper() }} {{ s.lower() }} {{ 'hELLO wORLD it\\'s'.title() }} {{ 'hELLO'.capitali"
     "ze() }} {{ 'hELLO wORLD' | capitalize }} {{ 'hello world' | title }} {{ u | upper }} {"
     "{ u | lower }}",
     "HELLO WORLD hello world Hello World It'S Hello Hello world Hello World GR\303\234SSE  "
     "AUS K\303\226LN \360\237\230\200 gr\303\274\303\237e  aus k\303\266ln \360\237\230\200"},
    {"{{ csv.split(',') }} {{ csv.split(',', 1) }} {{ ' a  b '.split() }} {{ 'a b c d'.split"
     "(' ', 2) }} {{ 'a b  c d'.split(none, 2) }} {{ csv.rsplit(',', 1) }} {{ 'a'.split('x')"
     " }} {{ ''.split(',') }} {{ ''.split() }} {{ 'a\\nb\\r\\nc\\n'.splitlines() }} {{ csv.s"
     "plit(',')[-1] }} {{ csv.split(sep=',', maxsplit=1) }}",
     "['a', 'b', '', 'c'] ['a', 'b,,c'] ['a', 'b'] ['a', 'b', 'c d'] ['a', 'b', 'c d'] ['a,b"
     ",', 'c'] ['a'] [''] [] ['a', 'b', 'c'] c ['a', 'b,,c']"},
    {"{{ s.startswith('He') }} {{ s.endswith('x') }} {{ s.startswith(('x','He')) }} {{ s.sta"
     "rtswith('') }} {{ s.endswith(('d',)) }}",
     "True False True True True"},
    {"{{ s.replace('l', 'L') }} {{ s.replace('l', 'L', 1) }} {{ 'aaa'.replace('aa','b') }} {"
     "{ 'abc'.replace('', '-') }} {{ s | replace('o', '0') }} {{ s | replace('o', '0', 1) }}"
     " {{ ''.replace('','x') }} {{ '\303\251\342\202\254'.replace('','.') }}",
     "HeLLo WorLd HeLlo World ba -a-b-c- Hell0 W0rld Hell0 World x .\303\251.\342\202\254."},
    {"{{ s.find('o') }} {{ s.rfind('o') }} {{ s.find('zz') }} {{ u.find('K') }} {{ s.count('"
     "l') }} {{ 'aaaa'.count('aa') }} {{ 'abc'.count('') }} {{ '12'.isdigit() }} {{ 'a1'.isa"
     "lpha() }} {{ ' \\n'.isspace() }} {{ ''.isdigit() }} {{ 'prefix-x'.removeprefix('prefix"
     "-') }} {{ 'x.txt'.removesuffix('.txt') }} {{ ','.join(['a','b']) }}",
     "4 7 -1 11 3 2 4 True False True False x x a,b"},
    {"{{ l | join(', ') }} {{ l | join }} {{ ms | join(',', attribute='role') }} {{ s | join"
     "('-') }} {{ d | join(',') }} {{ [] | join('x') }} {{ [1,none,true] | join('|') }}",
     "3, 1, 2 312 user,assistant,user H-e-l-l-o- -W-o-r-l-d b,a,C  1|None|True"},
    {"{{ l | first }} {{ l | last }} {{ s | first }} {{ s | last }} {{ [] | first }} {{ [] |"
     " first is defined }} {{ d | first }}",
     "3 2 H d  False b"},
    {"{{ l | list }} {{ s | list }} {{ d | list }} {{ l | reverse | list }} {{ s | reverse }"
     "}",
     "[3, 1, 2] ['H', 'e', 'l', 'l', 'o', ' ', 'W', 'o', 'r', 'l', 'd'] ['b', 'a', 'C'] [2, "
     "1, 3] dlroW olleH"},
    {"{{ l | sort }} {{ ls | sort }} {{ ls | sort(case_sensitive=true) }} {{ l | sort(revers"
     "e=true) }} {{ ms | sort(attribute='k') | map(attribute='k') | list }} {{ ls|sort(true)"
     " }} {{ l|min }} {{ l|max }} {{ ls|min }} {{ ls | max }} {{ ms|max(attribute='k') }} {{"
     " l|sum }} {{ ms|sum(attribute='k') }} {{ l | sum(start=10) }} {{ [1.5,2]|sum }}",
     "[1, 2, 3] ['A', 'b', 'c'] ['A', 'b', 'c'] [3, 2, 1] [1, 2, 3] ['c', 'b', 'A'] 1 3 A c "
     "{'role': 'user', 'content': 'hi', 'k': 3} 6 6 16 3.5"},
    {"{{ d | dictsort }} {{ d | dictsort(case_sensitive=true) }} {{ {'a':2,'b':1} | dictsort"
     "(by='value') }} {{ {'a':2,'b':1} | dictsort(false,'value',true) }}",
     "[('a', 2), ('b', 1), ('C', [1, {'x': None}])] [('C', [1, {'x': None}]), ('a', 2), ('b'"
     ", 1)] [('b', 1), ('a', 2)] [('a', 2), ('b', 1)]"},
    {"{{ d | items | list }} {{ d.items() | list }} {{ d.keys() | list }} {{ d.values() | li"
     "st }} {{ d.get('a') }} {{ d.get('zz') }} {{ d.get('zz', 'def') }}",
     "[('b', 1), ('a', 2), ('C', [1, {'x': None}])] [('b', 1), ('a', 2), ('C', [1, {'x': Non"
     "e}])] ['b', 'a', 'C'] [1, 2, [1, {'x': None}]] 2 None def"},
    {"{{ dd['items'] }} {{ dd.items() | list }} {{ dd['keys'] }}",
     "5 [('items', 5), ('keys', 'K')] K"},
    {"{% for k, v in d.items() %}{{ k }}={{ v }};{% endfor %}",
     "b=1;a=2;C=[1, {'x': None}];"},
    {"{% for k, v in d | dictsort %}{{ k }}={{ v }};{% endfor %}",
     "a=2;b=1;C=[1, {'x': None}];"},
    {"{% for k in d %}{{ k }},{% endfor %}",
     "b,a,C,"},
    {"{% for c in 'a\303\261\360\237\230\200' %}{{ c }}.{% endfor %}",
     "a.\303\261.\360\237\230\200."},
    {"{% for x in l %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 "
     "}}{{ loop.first }}{{ loop.last }}{{ loop.length }}{{ loop.depth }}{{ loop.depth0 }} {{"
     " loop.previtem }}<{{ loop.nextitem }} {{ loop.cycle('a','b') }}{% endfor %}",
     "1032TrueFalse310 <1 a2121FalseFalse310 3<2 b3210FalseTrue310 1< a"},
    {"{% for x in l %}{% for y in l %}{{ loop.depth }}{{ x }}{{ y }} {% endfor %}{% endfor %"
     "}",
     "133 131 132 113 111 112 123 121 122 "},
    {"{% for x in l if x > 1 %}{{ x }}/{{ loop.index }}/{{ loop.length }} {% endfor %}",
     "3/1/2 2/2/2 "},
    {"{% for x in [] %}a{% else %}empty{% endfor %}{% for x in l if x > 9 %}a{% else %}empty"
     "2{% endfor %}",
     "emptyempty2"},
    {"{% for x in range(10) %}{% if x == 2 %}{% continue %}{% endif %}{% if x == 5 %}{% brea"
     "k %}{% endif %}{{ x }}{% endfor %}",
     "0134"},
    {"{% for x in range(3) %}{% for y in range(3) %}{% if y == 1 %}{% break %}{% endif %}{{ "
     "x }}{{ y }} {% endfor %}|{% endfor %}",
     "00 |10 |20 |"},
    {"{{ range(5) | list }} {{ range(2, 8, 3) | list }} {{ range(3, 0, -1) | list }}",
     "[0, 1, 2, 3, 4] [2, 5] [3, 2, 1]"},
    {"{% set x = 1 %}{% for i in l %}{% set x = i %}{{ x }}{% endfor %}{{ x }}",
     "3121"},
    {"{% set x = 1 %}{% if true %}{% set x = 2 %}{% endif %}{{ x }}",
     "2"},
    {"{% set ns = namespace(a=1, b='x') %}{% for i in l %}{% set ns.a = ns.a + i %}{% endfor"
     " %}{{ ns.a }} {{ ns.b }} {{ ns.c }}",
     "7 x "},
    {"{% set ns = namespace() %}{% set ns.x = 5 %}{{ ns.x }}",
     "5"},
    {"{% set a, b = 1, 2 %}{{ a }}{{ b }}{% set t2 = 1, 2 %}{{ t2 }}",
     "12(1, 2)"},
    {"{% set x %}block {{ n }} text{% endset %}[{{ x }}]{% set y | upper | trim %} abc {% en"
     "dset %}[{{ y }}]",
     "[block 5 text][ABC]"},
    {"{% macro m(a, b='B', c=a) %}[{{ a }}{{ b }}{{ c }}]{% endmacro %}{{ m(1) }}{{ m(1, 2) "
     "}}{{ m(1, c=3) }}{{ m(b=1, a=2) }}{{ m() }}",
     "[1B1][121][1B3][212][B]"},
    {"{% macro m(a) %}{% if a > 0 %}{{ a }}{{ m(a - 1) }}{% endif %}{% endmacro %}{{ m(4) }}",
     "4321"},
    {"{% set g = 5 %}{% macro m() %}{{ g }}{{ loc }}{% endmacro %}{% for loc in l %}{{ m() }"
     "}{% endfor %}{% set g = 6 %}{{ m() }}",
     "5556"},
    {"{% macro m() %}<{{ caller() }}>{% endmacro %}{% call m() %}body {{ n }}{% endcall %}",
     "<body 5>"},
    {"{% macro m(x) %}<{{ caller(x, 2) }}>{% endmacro %}{% call(a, b) m(7) %}{{ a }}-{{ b }}"
     "{% endcall %}",
     "<7-2>"},
    {"{% filter upper %}abc {{ s }}{% endfilter %}{% filter replace('a','b') | upper %}aaa{%"
     " endfilter %}",
     "ABC HELLO WORLDBBB"},
    {"{% with a = 1, b = 2 %}{{ a + b }}{% endwith %}{{ a }}",
     "3"},
    {"{% generation %}gen {{ n }}{% endgeneration %}",
     "gen 5"},
    {"{% raw %}{{ not }} {% if %}{% endraw %}x",
     "{{ not }} {% if %}x"},
    {"{%- raw -%}  {{ a }}  {%- endraw -%} y",
     "{{ a }}y"},
    {"{{ d | tojson }} {{ u | tojson }} {{ q | tojson }} {{ big | tojson }} {{ f | tojson }}"
     " {{ [1.0, 1e22, 1e-7, -0.0, 1e16] | tojson }} {{ none | tojson }} {{ true | tojson }} "
     "{{ (1, 2) | tojson }} {{ html | tojson }}",
     "{\"b\": 1, \"a\": 2, \"C\": [1, {\"x\": null}]} \"Gr\303\274\303\237e  aus K\303\266ln"
     " \360\237\230\200\" \"it's \\\"q\\\"\\n\\t\\\\ \\u0007\303\251\342\200\213\" 123456789"
     "012345678901234567890 2.5 [1.0, 1e+22, 1e-07, -0.0, 1e+16] null true [1, 2] \"<b>&'\\"
     "\"</b>\""},
    {"{{ d | tojson(indent=2) }} {{ [] | tojson(indent=2) }} {{ {'a': [], 'b': {}} | tojson("
     "indent=4) }} {{ d | tojson(sort_keys=true) }} {{ u | tojson(ensure_ascii=true) }} {{ d"
     " | tojson(separators=(',', ':')) }} {{ {1: 2, none: 3, true: 4} | tojson }}",
     "{\n  \"b\": 1,\n  \"a\": 2,\n  \"C\": [\n    1,\n    {\n      \"x\": null\n    }\n  ]"
     "\n} [] {\n    \"a\": [],\n    \"b\": {}\n} {\"C\": [1, {\"x\": null}], \"a\": 2, \"b\""
     ": 1} \"Gr\\u00fc\\u00dfe  aus K\\u00f6ln \\ud83d\\ude00\" {\"b\":1,\"a\":2,\"C\":[1,{"
     "\"x\":null}]} {\"1\": 4, \"null\": 3}"},
    {"{{ ms | selectattr('role', 'equalto', 'user') | list | length }} {{ ms | rejectattr('r"
     "ole', 'eq', 'user') | map(attribute='content') | list }} {{ ms | selectattr('k', 'gt',"
     " 1) | map(attribute='k') | join(',') }} {{ ms | selectattr('zz') | list }} {{ ms | sel"
     "ectattr('zz', 'undefined') | list | length }}",
     "2 ['yo'] 3,2 [] 3"},
    {"{{ [0,1,2] | select | list }} {{ [0,1,2] | reject | list }} {{ l | select('odd') | lis"
     "t }} {{ l | reject('equalto', 1) | list }} {{ ['a','b'] | map('upper') | join }} {{ ['"
     "a',' b '] | map('trim') | list }} {{ ms | map(attribute='zz', default='-') | join }} {"
     "{ [[1,2],[3]] | map('length') | list }} {{ ['x'] | map('replace', 'x', 'y') | list }} "
     "{{ ['a','b','A'] | unique | list }}",
     "[1, 2] [0] [3, 1] [3, 2] AB ['a', 'b'] --- [2, 1] ['y'] ['a', 'b']"},
    {"{{ '%s-%s' | format('a', 1) }} {{ '%d%%' | format(5) }} {{ '%s' % 'x' }} {{ '%s %s' % "
     "(1, 'b') }}",
     "a-1 5% x 1 b"},
    {"{{ '5' | int }} {{ 'x' | int }} {{ 'x' | int(9) }} {{ 5.9 | int }} {{ '5.9' | int }} {"
     "{ '3.5' | float }} {{ 'z' | float }} {{ 3 | float }} {{ true | int }} {{ 2.5 | round }"
     "} {{ 3.14159 | round(2) }} {{ 2.4 | round(method='ceil') }} {{ -3 | abs }} {{ n | stri"
     "ng ~ 'x' }} {{ l | string }}",
     "5 0 9 5 5 3.5 0.0 3.0 1 2.0 3.14 3.0 3 5x [3, 1, 2]"},
    {"{{ html | e }} {{ html | escape }} {{ html | safe }}",
     "&lt;b&gt;&amp;&#39;&#34;&lt;/b&gt; &lt;b&gt;&amp;&#39;&#34;&lt;/b&gt; <b>&'\"</b>"},
    {"{{ 'a\\nb\\n\\nc' | indent }}|{{ 'a\\nb' | indent(2, true) }}|{{ 'a\\n\\nb' | indent(2"
     ", blank=true) }}|{{ 'a\\nb' | indent('> ') }}|{{ 'a\\n' | indent }}|",
     "a\n    b\n\n    c|  a\n  b|a\n  \n  b|a\n> b|a\n|"},
    {"{{ n is number }}{{ s is string }}{{ d is mapping }}{{ l is iterable }}{{ s is iterabl"
     "e }}{{ n is iterable }}{{ l is sequence }}{{ d is sequence }}{{ t is boolean }}{{ n is"
     " boolean }}{{ n is integer }}{{ f is float }}{{ f is integer }}{{ z is none }}{{ t is "
     "true }}{{ t is false }}{{ n is odd }}{{ n is even }}{{ n is divisibleby 5 }}{{ n is di"
     "visibleby(2) }}{{ 'a' is lower }}{{ 'A' is upper }}{{ n is eq 5 }}{{ n is ne(5) }}{{ n"
     " is gt 3 }}{{ n is lt 3 }}{{ n is ge 5 }}{{ 'a' is in 'abc' }}{{ 1 is in [1] }}{{ s is"
     " not none }}{{ s is not string }}{{ undefinedthing is undefined }}{{ n is sameas n }}{"
     "{ raise_exception is callable }}{{ n is defined and s is defined }}",
     "TrueTrueTrueTrueTrueFalseTrueTrueTrueFalseTrueTrueFalseTrueTrueFalseTrueFalseTrueFalse"
     "TrueTrueTrueFalseTrueFalseTrueTrueTrueTrueFalseTrueTrueTrueTrue"},
    {"{{ strftime_now('%d %b %Y %B %A %a %H:%M:%S %j %y %m %I %p %-d %% %F %T') }}",
     "26 Jul 2024 July Friday Fri 12:34:56 208 24 07 12 PM 26 % 2024-07-26 12:34:56"},
    {"a {% if true %} b {% endif %} c",
     "a  b  c"},
    {"a",
     "a"},
    {"  b",
     "  b"},
    {"c",
     "c"},
    {"a",
     "a"},
    {"  b",
     "  b"},
    {"c",
     "c"},
    {"a   {{- ' b ' -}}   c",
     "a b c"},
    {"a {#- comment -#} b {# c #}",
     "ab "},
    {"  {# comment line #}",
     ""},
    {"x",
     "x"},
    {"  {#- c #}",
     ""},
    {"y",
     "y"},
    {"{{ {'a': {'b': 1}}['a']['b'] }}{{ {'a': {}} }}",
     "1{'a': {}}"},
    {"{%for x in l%}{{x}}{%endfor%}",
     "312"},
    {"{% if n == 5 and (s or e) and not (e) %}ok{% elif x %}no{% else %}else{% endif %}{% if"
     " e %}a{% elif n %}b{% else %}c{% endif %}",
     "okb"},
    {"{{ 'a' if x is defined else 'b' }}{{ x if x is defined and x is not none else 'none' }"
     "}",
     "bnone"},
    {"{{ not(n == 5) }} {{ not (n) }}",
     "False False"},
    {"{{ l.0 }} {{ d.C.1.x }}",
     "3 None"},
    {"{{ \"{{ }}\" }} {{ '%}' }}",
     "{{ }} %}"},
    {"{{ s.__class__ }}",
     ""},
    {"{{ big }} {{ big is integer }} {{ big == big }}",
     "123456789012345678901234567890 True True"},
    {"{% set x = namespace(a=1) %}{{ x.a }}{{ x['a'] }}",
     "11"},
    {"{% for a, b in [[1,2],[3,4]] %}{{ a }}{{ b }}{% endfor %}",
     "1234"},
    {"{{ dict(a=1, b=2) }} {{ dict({'x':1}, y=2) }}",
     "{'a': 1, 'b': 2} {'x': 1, 'y': 2}"},
    {"{{ loop }}x",
     "x"},
    {"{{ '\303\251' * 3 }}{{ 'a\303\251'[1] }}{{ '\303\251'|length }}",
     "\303\251\303\251\303\251\303\2511"},
    {"{% set content = 'abc</think>def</think>g' %}{{ content.split('</think>')[0].rstrip('"
     "\\n').split('<think>')[-1].lstrip('\\n') }}|{{ content.split('</think>')[-1] }}",
     "abc|g"},
    {"{{ true and false or true }} {{ 1 if 0 else 2 if 0 else 3 }} {{ [1,2,3,][-1] }} {{ {'a"
     "':1,}.a }}",
     "True 3 3 1"},
    {"{{ (1, 2) }}{{ ((1, 2), 3)[0][1] }} {{ [none, true, 1.5, 'x', q, (1,)] }}",
     "(1, 2)2 [None, True, 1.5, 'x', 'it\\'s \"q\"\\n\\t\\\\ \\x07\303\251\\u200b', (1,)]"},
    {"{{ 'abc' is in ['abc'] }} {{ 'k' in ms[0] }} {{ ms[0].content }} {{ ms[-1]['role'] }} "
     "{{ ms[n - 5].k }} {{ ms[1:][0].k }}",
     "True True hi user 3 1"},
    {"{{ s | attr('upper') is defined }} {{ ms | map(attribute='role') | unique | join(',') "
     "}}",
     "True user,assistant"},
    {"{{ messages }}x{{ items }}",
     "x[1, 2]"},
    {"{{ \"a\" ~ (\"b\" if false) ~ \"c\" }} {{ [\"a\", \"b\"] | join(\"\\n\") }} {{ 'A' < '"
     "a' }} {{ 'a' == \"a\" }}",
     "ac a\nb True True"},
    {"a\n  {% if true %}\n  b\n  {% endif %}\nc",
     "a\n  b\nc"},
    {"a\n  {%+ if true %}\n  b\n  {%- endif +%}\nc",
     "a\n    b\nc"},
    {"  {# comment line #}\nx\n  {#- c #}\ny",
     "xy"},
    {"a\nb\n{{ 1 }}\n",
     "a\nb\n1"},
    {"x\n\n",
     "x\n"},
    {"{{ 1 }}\n",
     "1"},
    {"{% if true %}\n\n x {% endif %}\n",
     "\n x "},
    {"\n{% set x = 1 %}\n\ny",
     "\n\ny"},
    {"   {{ 1 }}   {% set a=1 %}  \n z",
     "   1     \n z"},
    {"{% raw %}\n  a\n  {% endraw %}\nb",
     "\n  a\nb"},
    {"a{%- if true -%}\n\n b \n{%- endif -%}\n c",
     "abc"},
    {"{%- set x = 1 -%}\n  {{- x -}} \n y",
     "1y"},
    {"  {%- if true %}\n x\n  {%- endif %}\n",
     " x"},
    {"\t{% if true %}\t\n{% endif %}",
     "\t\n"},
    {"a {# x #}\n b",
     "a  b"},
    {"{#- x -#}\n\n b",
     "b"},
    {"{{ 'a\nb' }}",
     "a\nb"},
    {"{{ x }}\n{% for i in [1,2] %}\n  - {{ i }}\n{% endfor %}\nend\n\n",
     "\n  - 1\n  - 2\nend\n"},
    {"{{ '{}-{}'.format(n, s) }} {{ '{1}{0}{1}'.format('a', 'b') }} {{ '{x} {{}} {y}'.form"
     "at(x=1.0, y=none) }} {{ '{}{n}'.format(true, n=l) }} {{ ''.format() }}",
     "5-Hello World bab 1.0 {} None True[3, 1, 2] "},
    {"{{ z | selectattr('k') | list }} {{ none | map('upper') | list }} {{ '' | select | l"
     "ist }} {{ false | rejectattr('a', 'equalto', 1) | list | length }} {{ 0 | reject | l"
     "ist }}",
     "[] [] [] 0 []"},
    {"{{ 'a\\u2028b\\x0bc\\r\\nd\\re\\n\\nf' | indent(2) }}|{{ 'a\\n\\nb\\n' | indent(1, true, true)"
     " }}|{{ 'a\\r' | indent }}|{{ '' | indent(2, true) }}|{{ 'x\\ny' | indent('> ') }}",
     "a\n  b\n  c\n  d\n  e\n\n  f| a\n \n b\n |a|  |x\n> y"},
    {"{{ '\\x7f\\x80~' | tojson(ensure_ascii=true) }} {{ '\\x7f' | tojson }}",
     "\"\\u007f\\u0080~\" \"\177\""},
    {"{{ 'a=b=c'.partition('=') }} {{ 'a=b=c'.rpartition('=') }} {{ 'abc'.partition('=') }"
     "} {{ 'abc'.rpartition('=') }} {{ 'a\\nb\\r\\nc'.splitlines(true) }} {{ 'a\\n'.splitlines"
     "() }}",
     "('a', '=', 'b=c') ('a=b', '=', 'c') ('abc', '', '') ('', '', 'abc') ['a\\n', 'b\\r\\n',"
     " 'c'] ['a']"},
};

static const struct {
    const char *source, *message;
} FAILURES[] = {
    {"{{ undefinedthing.x }}",
     "line 1, column 18: \"undefinedthing\" is undefined"},
    {"{{ undefinedthing + 'x' }}",
     "line 1, column 19: \"undefinedthing\" is undefined"},
    {"{{ 3 in 'abc' }}",
     "line 1, column 6: an integer cannot be looked for in a string"},
    {"{{ 1 < 'a' }}",
     "line 1, column 6: an integer and a string have no order"},
    {"{{ none < 1 }}",
     "line 1, column 9: none and an integer have no order"},
    {"{{ 5 | length }}",
     "line 1, column 8: the length of an integer"},
    {"{{ 'x'.split('') }}",
     "line 1, column 13: an empty separator"},
    {"{{ ','.join([1,2]) }}",
     "line 1, column 12: join of an integer, wanted strings"},
    {"{% set s.x = 1 %}",
     "line 1, column 8: \"s\" is a string, wanted a namespace to set a member of"},
    {"{% macro m(a) %}x{% endmacro %}{{ m(1, 2) }}",
     "line 1, column 36: the macro \"m\" takes 1 arguments, got others or more"},
    {"{% macro m(a) %}x{% endmacro %}{{ m(zz=2) }}",
     "line 1, column 36: the macro \"m\" takes 1 arguments, got others or more"},
    {"{{ undefinedthing | tojson }}",
     "line 1, column 21: an undefined value cannot be written as JSON"},
    {"{{ nested.a.b.c[1] }} {{ nested['a']['b'].c.0 }} {{ nested.a.zz }} {{ nested.zz.a }}",
     "line 1, column 80: \"zz\" is undefined"},
    {"{{ x is y }}",
     "line 1, column 9: the test \"y\" is not known"},
    {"{{ n | nofilter }}",
     "line 1, column 8: the filter \"nofilter\" is not known"},
    {"{{ raise_exception('my own message: ' ~ n) }}",
     "line 1, column 19: my own message: 5"},
    {"  {% if true %}",
     "line 1, column 16: got the end of the template, wanted endif"},
    {"  {% endif %}",
     "line 1, column 6: got the statement \"endif\", wanted for, if, set, macro, call, filte"
     "r, with, break, continue, raw or generation, or the end of one"},
    {"  {%+ if true %}",
     "line 1, column 17: got the end of the template, wanted endif"},
    {"  {%- endif +%}",
     "line 1, column 7: got the statement \"endif\", wanted for, if, set, macro, call, filte"
     "r, with, break, continue, raw or generation, or the end of one"},
    {"{{ ''.__class__.__mro__ }}",
     "line 1, column 16: \"__class__\" is undefined"},
    {"{{ [].append(1) }}",
     "line 1, column 13: \"append\" is undefined"},
    {"{{ d.update({'a':1}) }}",
     "line 1, column 12: \"update\" is undefined"},
    {"{{ 1 / 0 }}",
     "line 1, column 6: a division by zero"},
    {"{{ 1 // 0 }}",
     "line 1, column 6: a division by zero"},
    {"{{ 9223372036854775807 }} {{ 4 * 4611686018427387903 }}",
     "line 1, column 32: an integer beyond 64 bits"},
    {"{% if %}",
     "line 1, column 7: got the end of the tag, wanted an expression"},
    {"{% for x in %}",
     "line 1, column 13: got the end of the tag, wanted an expression"},
    {"{% endif %}",
     "line 1, column 4: got the statement \"endif\", wanted for, if, set, macro, call, filte"
     "r, with, break, continue, raw or generation, or the end of one"},
    {"{{ 1 + }}",
     "line 1, column 8: got the end of the tag, wanted an expression"},
    {"{{ (1 }}",
     "line 1, column 7: got '}', wanted )"},
    {"{{ 'abc }}",
     "line 1, column 4: a string without end, wanted '"},
    {"{% unknown %}",
     "line 1, column 4: got the statement \"unknown\", wanted for, if, set, macro, call, fil"
     "ter, with, break, continue, raw or generation, or the end of one"},
    {"{% if true %}",
     "line 1, column 14: got the end of the template, wanted endif"},
    {"{% include 'x' %}",
     "line 1, column 4: got the statement \"include\", wanted for, if, set, macro, call, fil"
     "ter, with, break, continue, raw or generation, or the end of one"},
    {"{% break %}",
     "line 1, column 4: got break outside of a loop"},
    {"{# never ends",
     "line 1, column 1: a comment without end, wanted \"#}\""},
    {"{{ x",
     "line 1, column 3: a tag without end, wanted \"}}\""},
    {"{% for a, b in [[1,2,3]] %}{{ a }}{% endfor %}",
     "line 1, column 8: 3 values for 2 names"},
    {"{% for x in none %}{% endfor %}",
     "line 1, column 13: none has no items to go through"},
    {"{% for x in 5 %}{% endfor %}",
     "line 1, column 13: an integer has no items to go through"},
    {"{{ 5 is not none and 3 }} {{ 1_000 }} {{ 3.0 | tojson }} {{ 0.1 + 0.2 }} {{ 1e400 }} {"
     "{ 100000000000000000000.0 }}",
     "line 1, column 31: got \"_000\", wanted the end of the tag"},
};

#endif
