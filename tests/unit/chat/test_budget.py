"""Templates that would never end, or fill the memory, are refused in good time."""

import time

import pytest

from app.chat import budget
from app.chat.template import ChatTemplate, TemplateTooSlow
from app.core.errors import TemplateRefused
from app.core.messages import Message, Tool

USER = Message("user", "Hi")

ENDLESS = {
    "loops": "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
    "silent loops": (
        "{% for a in range(99999) %}{% for b in range(99999) if false %}{% endfor %}{% endfor %}"
    ),
    "recursive loop": (
        "{% for a in [1, 1] recursive %}{% if loop.depth < 60 %}{{ loop([1, 1]) }}{% endif %}"
        "{% endfor %}"
    ),
    "macro": (
        "{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(60) }}"
    ),
    "search": "{% set x = range(99999) | list %}{{ x | select('in', x | reverse | list) | list }}",
}
GROWING = "{% set l = [1] %}{% for i in range(99999) %}{% for j in range(9999) %}"
ENDLESS["appending"] = GROWING + "{{ l.append(l) }}{% endfor %}{% endfor %}"
ENDLESS["generation"] = (
    "{% for a in range(99999) %}{% for b in range(99999) %}{% generation %}{% endgeneration %}"
    "{% endfor %}{% endfor %}"
)
SHARED = (
    "{% set n = namespace(x=[1]) %}{% for i in range(60) %}{% set n.x = [n.x, n.x] %}{% endfor %}"
)
TWICE = SHARED.replace("(x=[1])", "(x=[1], y=[1])").replace(
    "{% endfor %}", "{% set n.y = [n.y, n.y] %}{% endfor %}"
)
HUGE = {
    "repeat": "{{ 'a' * 3000000000 }}",
    "repeat a list": "{{ [1] * 3000000000 }}",
    "repeat after": "{{ 3000000000 * 'a' }}",
    "percent": "{{ '%2000000000d' % 1 }}",
    "percent star": "{{ '%*d' % (2000000000, 1) }}",
    "format filter": "{{ '%2000000000d' | format(1) }}",
    "format": "{{ '{:2000000000d}'.format(1) }}",
    "nested format": "{{ '{:{}d}'.format(1, 2000000000) }}",
    "power": "{{ 10 ** (10 ** 10) }}",
    "center": "{{ 'a'.center(3000000000) }}",
    "center filter": "{{ 'a' | center(3000000000) }}",
    "indent filter": "{{ 'a\\nb' | indent(3000000000) }}",
    "indented JSON": "{{ [[1]] | tojson(indent=3000000000) }}",
    "round": "{{ 1.5 | round(1000000000, 'floor') }}",
    "join": "{{ ('x' * 1000000).join('y' * 1000000) }}",
    "join filter": "{{ ('y' * 1000000) | join('x' * 1000000) }}",
    "replace": "{{ ('a' * 1000000).replace('a', 'x' * 1000000) }}",
    "replace filter": "{{ ('a' * 1000000) | replace('a', 'x' * 1000000) }}",
    "bytes": "{{ (1).to_bytes(3000000000) }}",
    "words": "{{ lipsum(100000000) }}",
    "doubled": "{% set n = namespace(x='aa') %}{% for i in range(60) %}{% set n.x = n.x + n.x %}"
    "{% endfor %}",
    "joined": "{% set n = namespace(x='aa') %}{% for i in range(60) %}{% set n.x = n.x ~ n.x %}"
    "{% endfor %}",
    "captured": "{% set n = namespace(x='aa') %}{% for i in range(60) %}{% set y %}{{ n.x }}"
    "{{ n.x }}{% endset %}{% set n.x = y %}{% endfor %}",
    "squared": "{% set n = namespace(x=99) %}{% for i in range(60) %}{% set n.x = n.x * n.x %}"
    "{% endfor %}",
    "shared": SHARED + "{{ n.x }}",
    "shared JSON": SHARED + "{{ n.x | tojson }}",
    "compared": TWICE + "{{ n.x == n.y }}",
    "looked for": TWICE + "{{ n.x in [n.y] }}",
    "tested": TWICE + "{{ n.x is eq(n.y) }}",
    "sorted": TWICE + "{{ [n.x, n.y] | sort }}",
    "bytes replaced": "{{ ('a' * 999999).encode().replace('a'.encode(), ('a' * 99999).encode()) }}",
    "lists of lists": "{{ ([range(99999) | list] * 99999) | map('list') | list }}",
    "extended": "{% set l = [1] %}{% for i in range(60) %}{{ l.extend(l) }}{% endfor %}",
    "extended by a generator": (
        "{% set l = [] %}{% for i in range(999) %}{{ l.extend(range(99999) | map('string')) }}"
        "{% endfor %}"
    ),
    "a list in itself": "{% set l = [1] %}{{ l.append(l) }}{{ l | tojson }}",
    "parsed": "{{ ('[' * 999999) | from_json }}",
    "a generator as JSON": "{{ ([range(99999) | list] * 99999) | map('list') | tojson }}",
    "sum of lists": "{{ ([range(99999) | list] * 99999) | sum(start=[]) }}",
}


@pytest.mark.parametrize("source", ENDLESS.values(), ids=ENDLESS.keys())
def test_what_does_not_end_is_refused(source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.chat.template._PROBE_SECONDS", 0.1)
    template = ChatTemplate(source)
    assert template.traits.problem is not None
    started = time.process_time()
    with pytest.raises(TemplateRefused):
        template.render((USER,), seconds=0.3)
    assert time.process_time() - started < 2


@pytest.mark.parametrize("source", HUGE.values(), ids=HUGE.keys())
def test_what_is_huge_is_refused(source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.chat.template._PROBE_SECONDS", 0.1)
    with pytest.raises(TemplateRefused):
        ChatTemplate(source).render((USER,), seconds=1.0)


def test_slow_is_told_apart() -> None:
    template = ChatTemplate(ENDLESS["loops"].replace("range(99999)", "range(200)"))
    assert template.render((USER,)).text == ""
    with pytest.raises(TemplateTooSlow, match="takes too long"):
        template.render((USER,), seconds=0.0)


def test_work_is_bounded_without_a_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budget, "MAX_OPERATIONS", 1000)
    template = ChatTemplate("{% for m in messages %}{{ m.content }}{% endfor %}")
    assert template.render([USER] * 100).text == "Hi" * 100
    with pytest.raises(TemplateRefused, match="does too much"):
        template.render([USER] * 1000)


def test_long_honest_conversations_are_rendered() -> None:
    tool = Tool("f", "x" * 5_000_000, {"type": "object", "properties": {}})
    text = ChatTemplate(None).render([USER] * 20_000, tools=(tool,)).text
    assert text.count("Hi") == 20_000


def test_what_templates_usually_do_still_works() -> None:
    sources = {
        "{{ ('a' ~ 1 ~ none ~ missing) }}": "a1None",
        "{{ 'ab' * 2 + 'c' }}|{{ 7 % 4 }}|{{ 2 ** 3 }}": "ababc|3|8",
        "{{ '%s-%02d' % ('a', 5) }}": "a-05",
        "{{ '{}:{x:>3}'.format('a', x=5) }}": "a:  5",
        "{{ 1 < 2 < 3 }}{{ 'a' in 'abc' }}{{ messages[0] == messages[-1] }}": "TrueTrueTrue",
        "{{ 'x' not in ['y'] and messages[0]['role'] != 'system' }}": "True",
        "{{ ['b', 'a'] | sort | join(', ') }}": "a, b",
        "{{ messages | join('', attribute='role') }}": "user",
        "{{ 'a\nb' | indent(2) }}|{{ 'aXa' | replace('X', '-') }}|{{ 'x'.replace('x', 'y') }}": (
            "a\n  b|a-a|y"
        ),
        "{{ [1, 2] | sum }}|{{ [1.26] | first | round(1) }}|{{ ' a '.strip() | upper }}": "3|1.3|A",
        "{{ messages | selectattr('role', 'equalto', 'user') | list | length }}": "1",
        "{{ messages | map(attribute='content') | list }}": "['Hi']",
        "{% macro f(x) %}{{ x }}{{ caller() }}{% endmacro %}{% call f(2) %}a{% endcall %}": "2a",
        "{% set x %}a{{ 1 }}{% endset %}{{ x }}{{ [1, 2, 3][::-1] }}": "a1[3, 2, 1]",
        "{% for k, v in {'a': 1}.items() %}{{ loop.index }}{{ k }}{{ v }}{% endfor %}": "1a1",
        "{{ {'a': [1, {'b': none}]} | tojson(indent=2) }}": (
            '{\n  "a": [\n    1,\n    {\n      "b": null\n    }\n  ]\n}'
        ),
    }
    for source, text in sources.items():
        assert ChatTemplate(source).render((USER,)).text == text


@pytest.mark.parametrize(
    "change",
    ["messages.append(1)", "messages[0].parts.append(1)", "tools.pop()", "x.extend([1])"],
)
def test_a_template_changes_only_its_own_lists(change: str) -> None:
    tool = Tool("f", "f", {"type": "object", "properties": {}})
    own = ChatTemplate("{% set l = [2] %}{{ l.append(1) or l.insert(0, 3) or l.pop(0) }}{{ l }}")
    assert own.render((USER,)).text == "3[2, 1]"
    given: dict[str, list[int]] = {"x": [1]}
    with pytest.raises(TemplateRefused):
        ChatTemplate("{{ " + change + " }}").render((USER,), tools=(tool,), variables=given)
    assert given == {"x": [1]}


def test_trying_a_slow_template_takes_a_bounded_time() -> None:
    slow = (
        "{% for a in range(3000) %}{% for b in range(100) %}{% endfor %}{% endfor %}{{ messages }}"
    )
    started = time.process_time()
    ChatTemplate(slow)
    assert time.process_time() - started < 3


def test_filters_and_tags_of_newer_templates() -> None:
    sources = {
        "{{ '{\"a\": [1]}' | from_json }}": "{'a': [1]}",
        "{{ messages | map(attribute='role') | tojson }}": '["user"]',
        "{% generation %}{% set x = 1 %}{{ x }}{% endgeneration %}{{ x }}": "1",
    }
    for source, text in sources.items():
        assert ChatTemplate(source).render((USER,)).text == text
