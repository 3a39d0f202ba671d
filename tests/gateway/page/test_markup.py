"""Attempts to make markup, scripts or requests out of text: of a model, a person, a file, an import or an error."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.gateway.fake_triton import refusal, words
from tests.gateway.page.browser import Browser
from tests.waiting import LIMIT_S

STEAL = "window.owned=1"
IMAGE = f"<img src=x onerror={STEAL}>"
EVIL = "https://evil.example"
ANSWERS = {
    "html": f"<script>{STEAL}</script>{IMAGE}<svg onload={STEAL}></svg><iframe src='javascript:{STEAL}'></iframe>",
    "html block": f"<div>\n{IMAGE}\n</div>\n\n<style>*{{display:none}}</style>\n\n<base href='{EVIL}'>",
    "forms": f"<form action='{EVIL}'><input name=key><button formaction=javascript:{STEAL}>a</button></form>",
    "javascript": f"[a](javascript:{STEAL}) [b](JaVaScRiPt:{STEAL}) [c](java&#x0A;script:x) [d](&#106;avascript:x)",
    "schemes": f"[a](data:text/html,<script>{STEAL}</script>) [b](vbscript:x) [c](file:///etc/passwd) [d](blob:x)",
    "autolinks": f"<javascript:{STEAL}> <data:text/html,x> javascript:{STEAL} <{EVIL}/'onmouseover={STEAL}>",
    "references": f"[a][x] ![b][x]\n\n[x]: javascript:{STEAL} '{IMAGE}'",
    "attributes": f'[a]({EVIL}/"onmouseover="{STEAL}) [b]({EVIL} \'" onmouseover="{STEAL}\')',
    "pictures": f"![a]({EVIL}/a.png) ![b](data:image/svg+xml,<svg/onload={STEAL}>) [![c]({EVIL}/c.png)]({EVIL}/d)",
    "picture's name": f'![" onerror="{STEAL}]({EVIL}/a.png) ![{IMAGE}]({EVIL}/b.png)',
    "language": f'```<script>{STEAL}</script>\na\n```\n\n```x"onmouseover="{STEAL}\nb\n```\n\n```constructor\nc\n```',
    "code": f"```html\n{IMAGE}\n```\n\n`{IMAGE}`\n\n    {IMAGE}",
    "language in a list": f'- a\n\n  ```x"><img/src/onerror={STEAL}>\n  {IMAGE}\n  ```',
    "table": f"|{IMAGE}|b|\n|:-:|--:|\n|<svg onload={STEAL}>|[x](javascript:{STEAL})|",
    "name spaces": "<math><mtext><table><mglyph><style><!--</style><img title='--&gt;&lt;img src=1 onerror=x&gt;'>",
    "name spaces again": f"<svg><p><style><g title='</style>{IMAGE}'></svg><math><annotation-xml>{IMAGE}",
    "formula's link": rf"$\href{{javascript:{STEAL}}}{{a}}$ $\url{{javascript:{STEAL}}}$ $$\href{{{EVIL}}}{{b}}$$",
    "formula's html": r"$\htmlData{onclick=x}{a}$ $\htmlStyle{position:fixed}{b}$ $\htmlId{c}{c}$ $\class{d}{d}$",
    "formula's picture": rf"$\includegraphics[height=1em]{{{EVIL}/f.png}}$ $\data{{x=1}}{{y}}$ $\id{{z}}{{z}}$",
    "formula's text": rf"$\text{{{IMAGE}}}$ $\mathrm{{<script>}}$ $\unknown{{<b>}}$ $</math>{IMAGE}$",
    "formula's colour": r"$\color{red;position:fixed}{x}$ $\textcolor{url(https://evil.example/c)}{y}$",
    "formula's size": r"$\rule{9999em}{9999em}$ $\kern{9999em} x$ $\hspace{99999pt} y$ $\raisebox{9999em}{z}$",
    "formula's macros": r"$\def\a{\b\b\b}\def\b{\c\c\c\c}\def\c{\d\d\d\d}\def\d{xxxx}\a\a\a\a$ $\def\x{\x}\x$",
    "entities": "&lt;img src=x onerror=window.owned=1&gt; &#60;script&#62;window.owned=1&#60;/script&#62;",
    "deep": "> " * 300 + "a\n\n" + "- " * 300 + "b\n\n" + "[" * 3000 + "c",
    "unclosed": "$" + "\\(" * 3000 + "$x " * 3000,
}
# What a text in the page may consist of.
STRAY = """
const tags = "article section h1 h2 h3 h4 h5 h6 div span p br hr ul ol li blockquote pre code em strong s a table thead"
  + " tbody tr th td button svg path details summary bdi form textarea";
const math = "math mrow mi mn mo ms mtext mspace mfrac msqrt mroot msub msup msubsup munder mover munderover mtable mtr"
  + " mtd mstyle mpadded mphantom menclose merror mmultiscripts mprescripts";
const allowed = new Set(`${tags} ${math}`.split(" "));
const found = [];
for (const node of document.querySelectorAll(arguments[0])) {
  if (!allowed.has(node.localName)) found.push(node.localName);
  for (const { name, value } of node.attributes) {
    if (/^on|^src|^srcdoc$|^action$|^formaction$|^xlink/.test(name)) found.push(`${name}=${value}`);
    if (name === "href" && !/^(https?|mailto):/.test(value)) found.push(value);
    if (name === "style" && /position|url|fixed/.test(value)) found.push(value);
  }
}
const wide = document.documentElement.scrollWidth > innerWidth ? ["too wide"] : [];
return [...found, ...wide, ...(window.owned ? ["owned"] : []), ...(document.title === "Appliance" ? [] : ["title"])];
"""


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
def test_what_the_model_writes_is_never_markup(page: Browser, harness, answer):
    harness.triton.script = words(f"<think>\n{answer}\n</think>\n\n{answer}", answer)
    page.script("document.getElementById('model').value = 'tiny-talker'")
    page.put(answer[:200])
    page.wait_answered(1)
    assert page.script(STRAY, "#conversation *") == []
    # A mouse over all of it changes nothing.
    page.script("for (const n of document.querySelectorAll('#conversation *')) n.dispatchEvent(new Event('mouseover'))")
    assert page.script("return window.owned ?? 0") == 0
    assert page.texts("#history .conversation bdi") == [_title(answer)]


def test_no_beginning_of_them_is_markup_while_they_stream(page: Browser):
    script = f"""
        const [texts, done] = arguments;
        const check = new Function("selector", {json.dumps(STRAY.replace("arguments[0]", "selector"))});
        import("/page/markdown.js").then(({{ blocksOf, questionBlocks, show }}) => {{
          const found = [];
          for (const text of texts) {{
            const node = document.createElement("div");
            document.getElementById("conversation").append(node);
            for (let end = 1; end <= text.length; end += 1 + Math.floor(text.length / 150)) {{
              show(node, blocksOf(text.slice(0, end)));
              if (check("#conversation *").length) found.push(text.slice(0, end));
            }}
            show(node, questionBlocks(text));
            if (check("#conversation *").length) found.push(text);
            node.remove();
          }}
          done(found);
        }});
    """
    page.driver.set_script_timeout(LIMIT_S)
    assert page.driver.execute_async_script(script, list(ANSWERS.values())) == []


def _title(answer: str) -> str:
    line = answer[:200].strip().split("\n")[0]
    return line if len(line) <= 80 else f"{line[:80]}…"


def test_a_formula_is_no_larger_than_its_limit(page: Browser, harness):
    harness.triton.script = words(ANSWERS["formula's size"])
    page.ask("Hello")
    page.wait_answered(1)
    assert page.script("return document.querySelector('.answer .text').getBoundingClientRect().height") < 1000


def test_an_imported_conversation_is_never_markup(page: Browser, harness, tmp_path: Path):
    harness.triton.script = words("Yes")
    answer = {
        "text": ANSWERS["javascript"],
        "thinking": IMAGE,
        "model": IMAGE,
        "finish": IMAGE,
        "tokens": 1,
        "seconds": 2,
    }
    question = {"text": IMAGE, "files": [{"name": f"{IMAGE}.txt", "text": IMAGE, "tokens": 3}]}
    one = {
        "id": IMAGE,
        "title": IMAGE,
        "updated": 1,
        "settings": {"model": IMAGE, "system": IMAGE, "temperature": "", "maxTokens": "", "thinking": IMAGE},
        "exchanges": [{"question": question, "answer": answer}],
        "__proto__": {"polluted": 1},
    }
    file = tmp_path / "<img src=x onerror=window.owned=1>.json"
    file.write_text(json.dumps({"format": "appliance-conversations", "version": 1, "conversations": [one]}))
    page.find("#history-toggle").click()
    page.find("#import-file").send_keys(str(file))
    page.wait_for(".answer h2", IMAGE)
    assert page.script(STRAY, "#conversation *, #history #conversations *") == []
    assert page.texts(".chip .name") == [f"{IMAGE}.txt"]
    assert page.script("return ({}).polluted ?? 0") == 0
    # It can be continued: its model is not served, so the chosen one answers.
    page.put("Go on")
    page.wait_for(".answer .text", "Yes")
    file.write_text(json.dumps({"format": IMAGE}))
    page.find("#import-file").send_keys(str(file))
    page.wait_for("#error-text", "<img src=x")
    assert page.script(STRAY.replace("article", "article p input"), "#error *") == []


def test_a_file_s_name_is_never_markup(page: Browser, tmp_path: Path):
    name = "<img src=x onerror=window.owned=1>`.txt"
    (tmp_path / name).write_text(IMAGE)
    page.find("#picker").send_keys(str(tmp_path / name))
    page.wait_for("#files .name", "<img")
    page.put("Hello")
    page.wait_answered(1)
    assert page.script(STRAY, "#conversation *") == []
    (tmp_path / name).write_bytes(b"\0")
    page.find("#picker").send_keys(str(tmp_path / name))
    page.wait_for("#error-text", "<img")
    assert page.script("return document.querySelectorAll('#error img').length + (window.owned ?? 0)") == 0


def test_an_error_message_is_never_markup(page: Browser, harness):
    harness.triton.script = refusal(IMAGE)
    page.ask("Hello")
    page.wait_for("#error-text", "refused")
    assert page.script("return document.querySelectorAll('#error img').length + (window.owned ?? 0)") == 0
