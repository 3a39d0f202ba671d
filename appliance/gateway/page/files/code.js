// A block of code: its language, a button that copies it, and the code in colours.

import { copyButton, element } from "./element.js";
import { put } from "./language.js";

// Longer code is shown without colours: they would need more time than a person notices.
const LONGEST = 40_000;
const COLOURS = { ALLOWED_TAGS: ["span"], ALLOWED_ATTR: ["class"], RETURN_DOM_FRAGMENT: true };

/** Creates the node; code is always written from left to right. */
export function codeBlock(language, text) {
  const node = element("div", "code");
  const code = element("code");
  const name = element("span", "language", language);
  if (!language) put(name, "code");
  const pre = element("pre", "", code);
  // Content that scrolls sideways must be reachable by keyboard.
  pre.tabIndex = 0;
  node.dir = "ltr";
  node.append(element("div", "top", name, copyButton("copy_code", () => code.textContent)), pre);
  fillCode(node, language, text);
  return node;
}

/** Replaces the code in a node of `codeBlock`. */
export function fillCode(node, language, text) {
  const code = node.querySelector("code");
  if (text.length > LONGEST || !globalThis.hljs.getLanguage(language)) {
    code.textContent = text;
    return;
  }
  const coloured = globalThis.hljs.highlight(text, { language, ignoreIllegals: true }).value;
  code.replaceChildren(globalThis.DOMPurify.sanitize(coloured, COLOURS));
}
