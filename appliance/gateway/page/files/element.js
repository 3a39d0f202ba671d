// Creates elements. Texts become text, never markup.

import { label, put } from "./language.js";

const SVG = "http://www.w3.org/2000/svg";

/** The element of the document with this id. */
export const at = (id) => document.getElementById(id);

/** Creates an element with a class and children. */
export function element(name, className = "", ...children) {
  const node = document.createElement(name);
  if (className) node.className = className;
  node.append(...children);
  return node;
}

/** Creates a picture of icons.svg. */
export function icon(name) {
  const picture = document.createElementNS(SVG, "svg");
  const use = document.createElementNS(SVG, "use");
  picture.setAttribute("class", "icon");
  picture.setAttribute("viewBox", "0 0 24 24");
  picture.setAttribute("aria-hidden", "true");
  use.setAttribute("href", `/page/icons.svg#${name}`);
  picture.append(use);
  return picture;
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
  const use = (button, name) => button.querySelector("use").setAttribute("href", `/page/icons.svg#${name}`);
  const button = iconButton("copy", key, async () => {
    let worked = true;
    await navigator.clipboard.writeText(text()).catch(() => (worked = false));
    use(button, worked ? "check" : "close");
    label(button, worked ? "copied" : "not_copied");
    setTimeout(() => {
      use(button, "copy");
      label(button, key);
    }, 1500);
  });
  // Browsers permit the clipboard only to pages over TLS or from the same machine.
  button.hidden = !navigator.clipboard;
  return button;
}
