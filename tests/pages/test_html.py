"""A page of blocks through templates: whole, escaped, and restyled by a folder of somebody's own."""

from __future__ import annotations

from pathlib import Path

import pytest
from html_checker import Checker, check
from sample_blocks import BLOCKS

from bench3dmm.errors import Bench3dmmError
from bench3dmm.pages.html import TEMPLATES, html_page
from bench3dmm.view.blocks import Badge, Heading, Table, Text

EXPECTED = Path(__file__).parent / "expected_page.html"  # written before there were templates; without its style
ALL_SORTS = [
    *BLOCKS,
    Heading("A “second” one's", 3),
    Text("`only code`"),
    Table(["", "n <"], [["a 'b'", "1,234"], [(Badge("no", "bad"), "\nbecause `x`"), ""]]),
    Table(["a", ""], [["", "x"]], stacked=True),
    Heading("Last"),
]


@pytest.fixture
def restyled(tmp_path):
    """Writes files into a folder of templates, and a page with it."""

    def write(blocks=BLOCKS, **files):
        for name, content in files.items():
            (tmp_path / name.replace("__", ".")).write_text(content)
        return html_page("Title", blocks, tmp_path)

    return write


def test_html_page_is_whole_and_escaped():
    page = html_page("Title <&>", BLOCKS)
    checker = check(page)
    assert page.startswith("<!DOCTYPE html>\n") and page.endswith("</html>\n")
    assert "<title>Title &lt;&amp;&gt;</title>" in page
    assert "<code>a &lt;b&gt;|c</code>" in page
    assert 'alt="A &#34;quoted&#34; caption &lt; here"' in page
    assert '<span class="badge good">✓ 2 &lt;good&gt;</span>' in page
    assert '<td class="number" data-label="mm">1.5 ± 0.2</td>' in page
    assert "a<br>b | c" in page and "then *rest* of [it]<br>and" in page
    assert checker.links == ["first-last"]
    assert "prefers-color-scheme: dark" in page and "@media print" in page and 'name="viewport"' in page


def test_the_page_is_the_one_it_was_before_there_were_templates():
    page = html_page("Title <&> `code`", ALL_SORTS)
    head, _, rest = page.partition("<style>\n")
    style, _, body = rest.partition("\n</style>")
    assert Checker(f"{head}<style></style>{body}").flow == Checker(EXPECTED.read_text()).flow
    assert style == (TEMPLATES / "style.css").read_text().strip()


def test_one_file_of_ones_own_takes_the_place_of_ours(restyled):
    page = restyled(notice__html__jinja='<aside role="note">{{ block.text }}</aside>')
    assert '<aside role="note">none of it; run `bench3dmm sweep x`</aside>' in page and "<h2 id=" in page
    assert 'class="notice"' not in page
    check(page)


def test_a_style_of_ones_own_is_taken_as_it_is(restyled):
    style = "@media print{#a>b{content:'{{ 1 }} <'}}"
    assert f"<style>\n{style}\n</style>" in restyled(style__css=f"\n{style}\n")


def test_a_page_of_ones_own_can_use_files_of_its_own(restyled):
    page = restyled(
        page__html__jinja='{% for kind, block in blocks if kind != "picture" %}{% include "each.txt" %}{% endfor %}',
        each__txt="({{ kind }})",
    )
    assert page == "(heading)(text)(notice)(facts)(table)\n"


@pytest.mark.parametrize("name", ["text.html.jinja", "inline.html.jinja", "page.html.jinja"])
@pytest.mark.parametrize(
    ("broken", "said"),
    [
        ("{% if %}", "Expected an expression"),
        ("{{ title | shout }}", "No filter named 'shout'"),
        ("{{ titel }}", "'titel' is undefined"),
        ("{% include 'gone.txt' %}", "there is no template 'gone.txt'"),
        ("{{ 1 / 0 }}", "division by zero"),
    ],
)
def test_a_broken_template_is_named_with_its_line(restyled, tmp_path, name, broken, said):
    ours = (TEMPLATES / name).read_text()
    start = "{% macro text(string) -%}\n" if name == "inline.html.jinja" else ""
    with pytest.raises(Bench3dmmError) as error:
        restyled(**{name.replace(".", "__"): f"{start}\n\n{broken}\n{ours.removeprefix(start)}"})
    line = 3 + start.count("\n")
    assert str(error.value).startswith(f"{tmp_path / name}, line {line}: ") and said in str(error.value)
    assert "\n" not in str(error.value)


def test_a_macro_that_is_missing_is_named(restyled):
    with pytest.raises(Bench3dmmError, match=r"'inline.html.jinja' .* does not export the requested name 'cell'"):
        restyled(inline__html__jinja="{% macro text(string) %}{{ string }}{% endmacro %}")


def test_what_is_no_text_is_named_with_its_line(restyled, tmp_path):
    (tmp_path / "style.css").write_bytes(b"a {}\nb { content: '\xff' }")
    with pytest.raises(Bench3dmmError, match=r"style.css, line 2: the file must be UTF-8"):
        restyled()


def test_a_relative_folder_is_as_good(restyled, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    Path("mine/text.html.jinja").write_text("\n{{ titel }}")
    with pytest.raises(Bench3dmmError, match=r"^mine/text.html.jinja, line 2: 'titel' is undefined$"):
        html_page("Title", BLOCKS, "./mine")


def test_a_folder_that_replaces_nothing_is_an_error(restyled, tmp_path):
    with pytest.raises(Bench3dmmError, match=r"holds none of the files that it could replace: .*, style.css, "):
        restyled(styles__css="a {}")
    with pytest.raises(Bench3dmmError, match="there is no such folder"):
        html_page("Title", BLOCKS, tmp_path / "gone")
