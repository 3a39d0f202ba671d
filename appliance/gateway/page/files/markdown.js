// Turns Markdown into nodes. Its writer is not trusted: HTML in it stays text, and DOMPurify sanitises what markdown-it
// makes of it, before anything of it is in the document. Nothing is loaded for it: pictures become their addresses.

import { codeBlock, fillCode } from "./code.js";
import { element } from "./element.js";
import { formula, formulas } from "./formula.js";

const LINK = /^(?:https?|mailto):/i;
const TAGS = "p br hr h1 h2 h3 h4 h5 h6 ul ol li blockquote pre code em strong s a table thead tbody tr th td span";
const RULES = {
  ALLOWED_TAGS: TAGS.split(" "),
  ALLOWED_ATTR: ["href", "class", "start"],
  ALLOWED_URI_REGEXP: LINK,
  ADD_URI_SAFE_ATTR: ["start"],
  ALLOW_DATA_ATTR: false,
  ALLOW_ARIA_ATTR: false,
  RETURN_DOM_FRAGMENT: true,
};

const markdown = globalThis.markdownit({ html: false, linkify: true, breaks: true }).use(formulas);
markdown.validateLink = (address) => LINK.test(address);
// Only complete addresses become links: "main.rs" is no host.
markdown.linkify.set({ fuzzyLink: false, fuzzyEmail: false });
markdown.renderer.rules.image = picture;
markdown.renderer.rules.th_open = markdown.renderer.rules.td_open = cell;
// In a person's question only fences count; all else stays as it was typed.
const fences = globalThis.markdownit("zero", { html: false }).enable("fence");

/**
 * Splits Markdown into its outermost blocks: [{key, code, language, text, nodes}]. Blocks with the same key look the
 * same; `nodes()` creates the nodes of a block. An unclosed fence goes on to the end.
 */
export function blocksOf(text) {
  const environment = {};
  const found = split(markdown, text, environment);
  const references = Object.keys(environment.references ?? {}).length;
  return found.map(({ tokens, source }) => ({
    ...codeOf(tokens),
    key: `${tokens[0].type} ${references} ${source}`,
    nodes: () => dressed(markdown.renderer.render(tokens, markdown.options, environment)),
  }));
}

/** As `blocksOf`, for a person's question: code in fences, and all else as it was typed. */
export function questionBlocks(text) {
  const lines = text.split("\n");
  const blocks = [];
  let line = 0;
  const plain = (end) => {
    const typed = lines.slice(line, end).join("\n").replace(/^\n+|\s+$/g, "");
    if (typed) blocks.push({ key: `typed ${typed}`, nodes: () => [typedText(typed)] });
  };
  for (const token of fences.parse(text, {}).filter(({ type }) => type === "fence")) {
    plain(token.map[0]);
    const code = codeOf([token]);
    blocks.push({ ...code, key: `fence ${token.info} ${token.content}`, nodes: () => [codeBlock(code.language, code.text)] });
    line = token.map[1];
  }
  plain(lines.length);
  return blocks;
}

/**
 * Makes `container` show blocks. Nodes of unchanged blocks stay, so that a person's selection in them stays; code that
 * grows stays the same node.
 */
export function show(container, blocks) {
  const before = container.shown ?? [];
  let same = 0;
  while (same < before.length && before[same].key === blocks[same]?.key) same += 1;
  const old = before.slice(same);
  container.shown = before.slice(0, same);
  for (const block of blocks.slice(same)) {
    const last = old.shift();
    if (last?.code && block.code && last.language === block.language) {
      fillCode(last.made[0], block.language, block.text);
      block.made = last.made;
    } else {
      block.made = block.nodes();
      const place = last?.made[0] ?? container.childNodes[container.shown.flatMap(({ made }) => made).length] ?? null;
      for (const node of block.made) container.insertBefore(node, place);
      for (const node of last?.made ?? []) node.remove();
    }
    container.shown.push(block);
  }
  for (const { made } of old) for (const node of made) node.remove();
}

/** The outermost blocks: [{tokens, source}]. */
function split(parser, text, environment) {
  const lines = text.split("\n");
  const found = [];
  let tokens = [];
  for (const token of parser.parse(text, environment)) {
    tokens.push(token);
    if (token.level > 0 || token.nesting > 0) continue;
    const [start, end] = tokens[0].map;
    found.push({ tokens, source: lines.slice(start, end).join("\n") });
    tokens = [];
  }
  return found;
}

function codeOf([token]) {
  const isCode = token.type === "fence" || token.type === "code_block";
  return { code: isCode, language: token.info.trim().split(/\s/)[0], text: isCode ? token.content.replace(/\n$/, "") : "" };
}

/** The nodes of HTML from markdown-it, sanitised, with all that Markdown cannot express. */
function dressed(html) {
  const fragment = globalThis.DOMPurify.sanitize(html, RULES);
  for (const node of fragment.querySelectorAll("pre")) {
    const code = node.querySelector("code");
    const language = /^language-(\S+)/.exec(code.className)?.[1] ?? "";
    node.replaceWith(codeBlock(language, code.textContent.replace(/\n$/, "")));
  }
  for (const node of fragment.querySelectorAll("span.tex")) {
    node.replaceWith(formula(node.textContent, node.classList.contains("display")));
  }
  for (const node of fragment.querySelectorAll("a")) {
    node.target = "_blank";
    node.rel = "noopener noreferrer nofollow";
    node.title = node.href;
  }
  for (const node of fragment.querySelectorAll(":not(.code pre) > code")) node.dir = "ltr";
  for (const node of fragment.querySelectorAll("table")) {
    const frame = element("div", "table");
    frame.tabIndex = 0;
    node.replaceWith(frame);
    frame.append(node);
  }
  const nodes = [...fragment.children];
  // The direction of a block follows its first letter.
  for (const node of nodes) node.dir ||= "auto";
  return nodes;
}

function typedText(text) {
  const node = element("div", "typed", text);
  node.dir = "auto";
  return node;
}

/** A picture is never loaded: its description and its address take its place. */
function picture(tokens, index) {
  const escape = markdown.utils.escapeHtml;
  const address = tokens[index].attrGet("src");
  const count = (type) => tokens.slice(0, index).filter((token) => token.type === type).length;
  const isInLink = count("link_open") > count("link_close");
  const place = isInLink ? escape(address) : `<a href="${escape(address)}">${escape(address)}</a>`;
  return `<span class="picture">${escape(tokens[index].content)} ${place}</span>`;
}

/** The alignment of a table's cell as a class: styles in HTML are against the page's policy. */
function cell(tokens, index, options, _environment, renderer) {
  const style = tokens[index].attrGet("style");
  if (style) tokens[index].attrs = [["class", style.replace("text-align:", "align-")]];
  return renderer.renderToken(tokens, index, options);
}
