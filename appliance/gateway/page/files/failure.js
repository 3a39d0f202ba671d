// Shows an error as one line, with a button that offers a way on.

import { at } from "./element.js";
import { put } from "./language.js";

// The error codes and statuses that have a sentence of their own, and the way on. In a stream, only the code is left.
const BY_CODE = {
  __proto__: null,
  no_response: ["error_no_response", "again"],
  broken: ["error_broken", ""],
  context_length_exceeded: ["error_context", "new"],
  rate_limit_exceeded: ["error_rate", "again"],
  overloaded: ["error_busy", "again"],
  unavailable: ["error_not_ready", "again"],
  shutting_down: ["error_not_ready", "again"],
  deadline_exceeded: ["error_time", "again"],
};
const BY_STATUS = {
  401: ["error_key", "key"],
  403: ["error_scope", "key"],
  413: ["error_size", ""],
  429: ["error_busy", "again"],
  503: ["error_not_ready", "again"],
  504: ["error_time", "again"],
};

let goOn = null;

/** Shows a Refusal; `ways` has the functions of the ways on: {again, new, key}. */
export function showRefusal(refusal, ways = {}) {
  const [sentence, way] = BY_CODE[refusal.code] ?? BY_STATUS[refusal.status] ?? ["error_other", "again"];
  const wait = refusal.waitS ? "_wait" : "";
  const hasWait = ["error_rate", "error_busy", "error_not_ready"].includes(sentence);
  const detail = refusal.message.replace(/[.\s]+$/, "") || `status ${refusal.status}`;
  showError(sentence + (hasWait ? wait : ""), { detail, seconds: refusal.waitS ?? 0 }, way, ways[way]);
}

/** Shows a line, and a button if there is a way on. */
export function showError(sentence, values = {}, way = "", take = null) {
  put(at("error-text"), sentence, values);
  at("error-way").hidden = !take;
  if (take) put(at("error-way"), `way_${way}`);
  goOn = take;
  at("error").hidden = false;
}

export function hideError() {
  at("error").hidden = true;
  goOn = null;
}

at("error-way").addEventListener("click", () => {
  const take = goOn;
  hideError();
  take?.();
});
at("error-close").addEventListener("click", hideError);
