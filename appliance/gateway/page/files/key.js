// The API key: asks for it when the box requires one, and keeps it in this tab alone.

import { key } from "./api.js";
import { at } from "./element.js";
import { put } from "./language.js";

/** While the page asks for a key: the function that is called with whether a key was given; otherwise null. */
let answer = null;

/** Runs `call`. While the box rejects the key and the person enters another one, runs it again. */
export async function withKey(call) {
  for (;;) {
    try {
      return await call();
    } catch (error) {
      if (error.status !== 401) throw error;
      const why = key.get() ? "key_rejected" : "key_required";
      key.forget();
      showKey();
      if (!(await askForKey(why))) throw error;
    }
  }
}

/** Shows the key field, and resolves to whether a key was given. */
export function askForKey(why = "key_stays") {
  put(at("key-why"), why);
  at("key-form").hidden = false;
  at("key").focus();
  answer?.(false);
  return new Promise((resolve) => {
    answer = resolve;
  });
}

/** Gives up, if the page asks for a key. */
export function leaveKey() {
  if (answer) close(false);
}

function close(given) {
  at("key").value = "";
  at("key-form").hidden = true;
  showKey();
  at("question").focus();
  const resolve = answer;
  answer = null;
  resolve?.(given);
}

export function showKey() {
  put(at("box-key"), key.get() ? "key_in_tab" : "key_none");
  put(at("key-enter"), key.get() ? "key_change" : "key_enter");
  at("key-forget").hidden = !key.get();
}

at("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const given = at("key").value.trim();
  if (!/^[\x21-\x7e]+$/.test(given)) {
    put(at("key-why"), "key_characters");
    return;
  }
  key.set(given);
  close(true);
});
at("key-form").addEventListener("keydown", (event) => {
  if (event.key === "Escape") close(false);
});
at("key-cancel").addEventListener("click", () => close(false));
at("key-forget").addEventListener("click", () => {
  key.forget();
  showKey();
  at("key-enter").focus();
});
