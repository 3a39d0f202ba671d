// Creates elements. Texts become text, never markup.

import { draw, icon } from "./icons.js";
import { label, put } from "./language.js";

/** The element of the document with this id. */
export const at = (id) => document.getElementById(id);

/** Creates an element with a class and children. */
export function element(name, className = "", ...children) {
  const node = document.createElement(name);
  if (className) node.className = className;
  node.append(...children);
  return node;
}

/** Creates a button that shows a picture; `key` is the sentence that names it. */
export function iconButton(name, key, press) {
  const button = label(element("button", "icon-button", icon(name)), key);
  button.type = "button";
  button.addEventListener("click", () => press(button));
  return button;
}

/** Creates a button with a text. */
export function textButton(key, press, className = "quiet") {
  const button = put(element("button", className), key);
  button.type = "button";
  button.addEventListener("click", press);
  return button;
}

/** Creates a button that copies a text; it shows for a moment whether that worked. */
export function copyButton(key, text) {
  const show = (button, name) => draw(button.querySelector("svg"), name);
  const button = iconButton("copy", key, async () => {
    let worked = true;
    await navigator.clipboard.writeText(text()).catch(() => (worked = false));
    show(button, worked ? "check" : "close");
    label(button, worked ? "copied" : "not_copied");
    setTimeout(() => {
      show(button, "copy");
      label(button, key);
    }, 1500);
  });
  // Browsers permit the clipboard only to pages over TLS or from the same machine.
  button.hidden = !navigator.clipboard;
  return button;
}
