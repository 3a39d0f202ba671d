"""Markdown in the page: the nodes that it becomes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.gateway.page.browser import Browser

_SHAPES = """
const node = document.createElement("div");
const [text, kind, done] = arguments;
import("/page/markdown.js").then((markdown) => {
  markdown.show(node, markdown[kind](text));
  for (const top of node.querySelectorAll(".top")) top.remove();
  done(node.innerHTML);
});
"""


def shown(page: Browser, text: str, kind: str = "blocksOf") -> str:
    """The HTML of a Markdown text."""
    found: str = page.driver.execute_async_script(_SHAPES, text, kind)
    return found


@pytest.fixture(scope="module")
def tab(chromium: Browser, shared_harness) -> Iterator[Browser]:
    chromium.open_tab(shared_harness.url)
    chromium.wait_ready()
    yield chromium
    complaints = chromium.complaints()
    chromium.close_tab()
    assert complaints == []


_AWAY = 'target="_blank" rel="noopener noreferrer nofollow"'
_TABLE = """<div class="table" tabindex="0" dir="auto"><table>
<thead>
<tr>
<th class="align-right">a</th>
<th>b</th>
</tr>
</thead>
<tbody>
<tr>
<td class="align-right">1</td>
<td>2</td>
</tr>
</tbody>
</table></div>"""
_LINK = f'<a href="https://b.example/c" {_AWAY} title="https://b.example/c">'
NODES = {
    "**a** *b* ~~c~~": '<p dir="auto"><strong>a</strong> <em>b</em> <s>c</s></p>',
    "# a\n### b": '<h1 dir="auto">a</h1><h3 dir="auto">b</h3>',
    "- a\n- b": '<ul dir="auto">\n<li>a</li>\n<li>b</li>\n</ul>',
    "3. a": '<ol start="3" dir="auto">\n<li>a</li>\n</ol>',
    "> a": '<blockquote dir="auto">\n<p>a</p>\n</blockquote>',
    "a\nb": '<p dir="auto">a<br>\nb</p>',
    "---": '<hr dir="auto">',
    "`a`": '<p dir="auto"><code dir="ltr">a</code></p>',
    "|a|b|\n|--:|---|\n|1|2|": _TABLE,
    "[a](https://b.example/c)": f'<p dir="auto">{_LINK}a</a></p>',
    "https://b.example/c": f'<p dir="auto">{_LINK}https://b.example/c</a></p>',
    "![a](https://b.example/c)": f'<p dir="auto"><span class="picture">a {_LINK}https://b.example/c</a></span></p>',
    "main.rs a@b.example": '<p dir="auto">main.rs a@b.example</p>',
    "$5 and $10": '<p dir="auto">$5 and $10</p>',
    "\n\n": "",
}


@pytest.mark.parametrize(("text", "html"), NODES.items())
def test_markdown_becomes_nodes(tab: Browser, text, html):
    assert shown(tab, text) == html


@pytest.mark.parametrize(
    ("answer", "blocks"),
    [
        ("a\n```\nb", ["p:a", ":b"]),
        ("```py\nb\n```", ["py:b"]),
        ("````\n```\n````\na", [":```", "p:a"]),
        ("~~~\na\n```\n~~~", [":a\n```"]),
        ("a ``` b", ["p:a ``` b"]),
        ("1. so:\n   ```c\n   x\n     y\n   ```\n", ["p:so:", "c:x\n  y"]),
    ],
    ids=["open", "language", "longer fence", "tildes", "within a line", "in a list"],
)
def test_fences_make_blocks_of_code(tab: Browser, answer, blocks):
    script = """
        const [text, done] = arguments;
        const node = document.createElement("div");
        import("/page/markdown.js").then((markdown) => {
          markdown.show(node, markdown.blocksOf(text));
          const found = [];
          for (const part of node.querySelectorAll("p, li, .code")) {
            if (part.matches(".code")) {
              const name = part.querySelector(".language");
              found.push(`${name.dataset.text ? "" : name.textContent}:${part.querySelector("code").textContent}`);
            } else found.push(`p:${part.firstChild.textContent.trim()}`);
          }
          done(found);
        });
    """
    assert tab.driver.execute_async_script(script, answer) == blocks


@pytest.mark.parametrize("tex", ["$x^2$", r"\(x^2\)", "$$x^2$$", r"\[x^2\]", "$$\nx^2\n$$", "- a\n  $$\n  x^2\n  $$"])
def test_formulas_become_mathml(tab: Browser, tex):
    html = shown(tab, tex)
    assert "<msup>" in html
    assert "$" not in html
    assert ('display="block"' in html) == ("$$" in tex or r"\[" in tex)


@pytest.mark.parametrize("text", ["`$x$`", "```\n$x$\n```", r"\$x\$", "$ x $", "a$", "$$", "$x$5"])
def test_what_is_no_formula_stays_text(tab: Browser, text):
    assert "<math" not in shown(tab, text)


def test_tex_with_a_mistake_is_shown_as_it_is(tab: Browser):
    assert r">\frac{1</code>" in shown(tab, r"$\frac{1$")


def test_a_question_stays_as_it_was_typed_and_its_code_is_code(tab: Browser):
    html = shown(tab, "  *a*\n    b <i>\n```py\nx  =  1\n```\n# c", "questionBlocks")
    assert '<div class="typed" dir="auto">  *a*\n    b &lt;i&gt;</div>' in html
    assert '<div class="typed" dir="auto"># c</div>' in html
    assert html.count('<div class="code" dir="ltr">') == 1


def test_code_has_colours_and_keeps_its_text(tab: Browser):
    html = shown(tab, "```python\ndef f(): return '<b>'\n```")
    assert '<span class="hljs-keyword">def</span>' in html
    assert "&lt;b&gt;" in html
