// The language of the interface. `languages/CODE.json` has all sentences; elements name theirs in `data-` attributes.

import { preference } from "./preference.js";

export const LANGUAGES = { en: "English", de: "Deutsch", fr: "Français", es: "Español", zh: "中文", ar: "العربية" };
const RIGHT_TO_LEFT = ["ar"];

let sentences = {};
let code = "en";

/** The language that the person chose, else the first of the browser's languages that this page has. */
export function preferred() {
  const wanted = [preference.get("language"), ...navigator.languages.map((tag) => tag.split("-")[0].toLowerCase())];
  return wanted.find((one) => Object.hasOwn(LANGUAGES, one)) ?? "en";
}

/** Loads a language and translates the whole page. */
export async function speak(wanted) {
  const response = await fetch(`/page/languages/${wanted}.json`, { redirect: "error" });
  sentences = await response.json();
  code = wanted;
  document.documentElement.lang = wanted;
  document.documentElement.dir = RIGHT_TO_LEFT.includes(wanted) ? "rtl" : "ltr";
  for (const node of document.querySelectorAll("[data-text], [data-label], [data-hint]")) translate(node);
}

/** The sentence of a key. Numbers among the values are written as in the language. */
export function say(key, values = {}) {
  const written = (value) => (typeof value === "number" ? number(value) : value);
  return (sentences[key] ?? key).replace(/\{(\w+)\}/g, (_, name) => written(values[name]));
}

/** The code of the language that the page speaks. */
export const language = () => code;

export function number(count, options) {
  return new Intl.NumberFormat(code, options).format(count);
}

export function date(time) {
  return new Intl.DateTimeFormat(code, { dateStyle: "medium", timeStyle: "short" }).format(time);
}

/** Makes the sentence of a key the node's text, now and after each change of the language. */
export function put(node, key, values) {
  node.dataset.text = key;
  node.dataset.values = JSON.stringify(values ?? {});
  translate(node);
  return node;
}

/** Makes the sentence of a key the name of a control that shows a picture. */
export function label(node, key) {
  node.dataset.label = key;
  translate(node);
  return node;
}

function translate(node) {
  const { text, values, label, hint } = node.dataset;
  if (text) node.textContent = say(text, values && JSON.parse(values));
  if (label) {
    node.setAttribute("aria-label", say(label));
    if (node.localName === "button") node.title = say(label);
  }
  if (hint) node.placeholder = say(hint);
}
