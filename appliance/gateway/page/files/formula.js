// Formulas: finds TeX in Markdown, and shows it as MathML, which browsers draw without fonts or styles of ours.

import { element } from "./element.js";

const LONGEST = 5_000;
// `trust` off: no links, classes, ids or pictures out of TeX. A size over 20 em or 1,000 loops of a macro is an error.
const LIMITS = { trust: false, maxSize: [20, 250], maxExpand: 500, throwOnError: true };
const MATHML = { IN_PLACE: true, USE_PROFILES: { mathMl: true }, ADD_TAGS: ["span"], ADD_ATTR: ["class", "style"] };
// The first that a text begins with counts.
const MARKS = [
  { open: "$$", close: "$$", display: true },
  { open: "\\[", close: "\\]", display: true },
  { open: "\\(", close: "\\)", display: false },
  { open: "$", close: "$", display: false },
];

/** A plugin of markdown-it: formulas become `<span class="tex">`, or `<span class="tex display">`. */
export function formulas(markdown) {
  markdown.inline.ruler.before("escape", "formula", inline);
  markdown.block.ruler.before("fence", "formula", block, { alt: ["paragraph", "reference", "blockquote", "list"] });
  const escape = markdown.utils.escapeHtml;
  markdown.renderer.rules.formula = (tokens, index) => {
    const { content, meta } = tokens[index];
    return `<span class="tex${meta.display ? " display" : ""}">${escape(content)}</span>`;
  };
  markdown.renderer.rules.formula_block = (tokens, index) =>
    `<p><span class="tex display">${escape(tokens[index].content)}</span></p>`;
}

function inline(state, silent) {
  const { src, pos } = state;
  const mark = MARKS.find(({ open }) => src.startsWith(open, pos));
  if (!mark) return false;
  const start = pos + mark.open.length;
  const end = src.slice(start, start + LONGEST).indexOf(mark.close) + start;
  if (end <= start || !src.slice(start, end).trim()) return false;
  // "$5 and $10" are prices.
  const isPrice = /^\s|\s$|\\$/.test(src.slice(start, end)) || /\d/.test(src[end + 1] ?? "");
  if (mark.open === "$" && isPrice) return false;
  if (!silent) {
    const token = state.push("formula", "", 0);
    token.content = src.slice(start, end);
    token.meta = { display: mark.display };
  }
  state.pos = end + mark.close.length;
  return true;
}

/** A formula that has lines of its own. */
function block(state, first, last, silent) {
  const line = (number) => state.src.slice(state.bMarks[number] + state.tShift[number], state.eMarks[number]).trimEnd();
  if (state.sCount[first] - state.blkIndent >= 4) return false;
  const mark = MARKS.find(({ open, display }) => display && line(first).startsWith(open));
  if (!mark) return false;
  const lines = [line(first).slice(mark.open.length)];
  let next = first;
  let length = 0;
  while (!lines.at(-1).endsWith(mark.close)) {
    next += 1;
    length += lines.at(-1).length;
    if (next >= last || length > LONGEST || !line(next)) return false;
    lines.push(line(next));
  }
  if (silent) return true;
  const token = state.push("formula_block", "", 0);
  token.content = lines.join("\n").slice(0, -mark.close.length);
  token.map = [first, next + 1];
  state.line = next + 1;
  return true;
}

/** Creates the node of a formula; TeX with a mistake is shown as it is. */
export function formula(tex, display) {
  const node = element("span", display ? "formula display" : "formula");
  node.dir = "ltr";
  try {
    globalThis.temml.render(tex, node, { displayMode: display, ...LIMITS });
    globalThis.DOMPurify.sanitize(node, { ...MATHML, FORBID_ATTR: ["href", "id", "src"] });
  } catch {
    node.replaceChildren(element("code", "", tex));
  }
  return node;
}
