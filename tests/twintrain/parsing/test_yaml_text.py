from __future__ import annotations

import time

import pytest
import yaml

from twintrain.parsing.yaml_text import DEEPEST, MOST_CHARACTERS, load_yaml


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("a: 1\nb: [x, 2.5, null]", {"a": 1, "b": ["x", 2.5, None]}),
        ("a: &name 3", {"a": 3}),
        ("é: '\U0001f600'", {"é": "\U0001f600"}),
        ("[" * DEEPEST + "]" * DEEPEST, None),
    ],
    ids=lambda value: str(value)[:30],
)
def test_plain_values_are_as_yaml_has_them(text: str, value: object) -> None:
    assert load_yaml(text) == (yaml.safe_load(text) if value is None else value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 1\nb: *a", r"line 2, column 4: aliases such as \*a are not taken"),
        ("a: &a [*a]", r"aliases such as \*a"),
        ("[" * (DEEPEST + 1), f"nested deeper than {DEEPEST} levels"),
        ("- " * 3000, f"nested deeper than {DEEPEST} levels"),
        ("a: 1\nb: 2\na: 3", r"line 3, column 1: the key 'a' is there twice"),
        ("x: {b: 1, b: 2}", "the key 'b' is there twice"),
        ("day: 2020-99-99", r"line 1, column 6: '2020-99-99' cannot be read as timestamp"),
        ("!!timestamp x", "'x' cannot be read as timestamp"),
        ("!!int ''", "'' cannot be read as int"),
        ("!!float x", "'x' cannot be read as float"),
        ("9" * 5000, r"'9{40}' cannot be read as int"),
        ('"\\ud800"', "cannot be read as str"),
        ("%YAML " + "9" * 5000 + ".1", "line 1, column 7: a number or an escape that cannot"),
        ('a: 1\nb: "\\U00110000"', "line 2, column .*a number or an escape that cannot"),
        ('"\\UFFFFFFFF"', "a number or an escape that cannot"),
        ("a: \0", r"#x0000: special characters are not allowed"),
        ("!!python/object:os.system x", "could not determine a constructor"),
        ("a: [", "line 1, column 5: expected the node content"),
        ("a: 1\n---\nb: 2", "but found another document"),
        ("x" * (MOST_CHARACTERS + 1), "more than 200,000"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_what_is_not_plain_is_refused_in_one_short_line(text: str, said: str) -> None:
    with pytest.raises(yaml.YAMLError, match=said) as caught:
        load_yaml(text)
    assert len(str(caught.value)) < 250
    assert "\n" not in str(caught.value)


def test_values_that_stand_for_a_billion_others_take_no_time() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 10)]
    started = time.process_time()
    with pytest.raises(yaml.YAMLError, match="aliases"):
        load_yaml("\n".join(lines))
    assert time.process_time() - started < 1
