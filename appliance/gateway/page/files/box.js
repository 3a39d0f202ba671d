// The box: its state, the models that it serves and their limits.

import { models, ready, Refusal } from "./api.js";
import { at } from "./element.js";
import { showError, showRefusal } from "./failure.js";
import { askForKey, withKey } from "./key.js";
import { put } from "./language.js";

const READY_POLL_MS = 15_000;
const WAITING_POLL_MS = 2_000;

/** The served models: [{id, max_model_len, capabilities}]. */
let offered = [];
let meeting = null;
let nextWatch = 0;

export const box = {
  /** The chosen model; undefined before the box answered. */
  get model() {
    return offered.find(({ id }) => id === at("model").value);
  },

  /** Chooses a model, if it is still served and chats. */
  choose(id) {
    if (offered.some((one) => one.id === id && one.capabilities?.chat !== false)) at("model").value = id;
    showModel();
  },

  /** Loads the list of models; concurrent callers wait for the same request. */
  meet() {
    meeting ??= learnModels().finally(() => (meeting = null));
    return meeting;
  },

  watch,
};

async function learnModels() {
  try {
    offered = await withKey(models);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    showRefusal(error, { again: box.meet, key: enterKey });
    return;
  }
  const chosen = at("model").value;
  at("model").replaceChildren(...offered.map(option));
  if (!box.model) showError("no_model", {}, "again", box.meet);
  box.choose(chosen);
}

function option({ id, capabilities }) {
  const choice = new Option(id, id);
  choice.disabled = capabilities?.chat === false;
  return choice;
}

function showModel() {
  const { id, max_model_len: tokens, capabilities } = box.model ?? {};
  at("model-name").textContent = offered.length === 1 ? (id ?? "") : "";
  at("model").hidden = offered.length < 2;
  if (id) at("box-model").textContent = id;
  if (tokens) put(at("box-context"), "context_size", { tokens });
  at("thinking-row").hidden = !capabilities?.thinking_switch;
  at("model").dispatchEvent(new CustomEvent("shown"));
}

/** Checks the state of the box, and repeats this after a pause; a hidden page does not check. */
async function watch() {
  clearTimeout(nextWatch);
  if (document.hidden) return;
  let pause = WAITING_POLL_MS;
  try {
    await ready();
    showState("ready", "state_ready", "state_ready");
    pause = READY_POLL_MS;
    if (!offered.length) box.meet();
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    if (error.status) showState("waiting", "state_waiting", "state_detail", error.message);
    else showState("gone", "state_gone", "error_no_response");
  }
  clearTimeout(nextWatch);
  nextWatch = setTimeout(watch, pause);
}

function showState(state, word, sentence, detail = "") {
  const changes = at("status").dataset.state !== state;
  at("status").dataset.state = state;
  // Only a change is told to screen readers.
  if (changes) put(at("status-text"), word);
  put(at("box-status"), sentence, { detail });
}

async function enterKey() {
  if (await askForKey()) box.meet();
}

at("status").addEventListener("click", () => {
  const open = at("box").hidden;
  at("box").hidden = !open;
  at("status").setAttribute("aria-expanded", String(open));
});
at("key-enter").addEventListener("click", () => {
  at("status").click();
  enterKey();
});
at("model").addEventListener("change", showModel);
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) watch();
});
