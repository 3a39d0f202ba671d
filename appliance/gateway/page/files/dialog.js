// Asks the person before something is lost.

import { at } from "./element.js";
import { put } from "./language.js";

/** Resolves to whether the person agreed; `question` and `agree` are keys of sentences. */
export function confirm(question, agree, values) {
  const dialog = at("confirm");
  put(at("confirm-question"), question, values);
  put(at("confirm-agree"), agree);
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "agree"), { once: true });
  });
}

/** Asks for a line of text; resolves to it, or to null. */
export function askLine(question, text) {
  const dialog = at("line");
  put(at("line-question"), question);
  at("line-text").value = text;
  dialog.returnValue = "";
  dialog.showModal();
  at("line-text").select();
  return new Promise((resolve) => {
    const result = () => (dialog.returnValue === "agree" ? at("line-text").value.trim() : null);
    dialog.addEventListener("close", () => resolve(result()), { once: true });
  });
}

at("line-cancel").addEventListener("click", () => at("line").close());
