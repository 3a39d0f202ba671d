// The page: handles input and shows the results. The conversation exists only in the memory of this page.

import { chat, key, models, ready, Refusal } from "./api.js";
import { element, show } from "./blocks.js";

const READY_POLL_MS = 15_000;
const WAITING_POLL_MS = 2_000;
const NEAR_END_PX = 80;

const at = (id) => document.getElementById(id);
const number = (count) => count.toLocaleString("en");

/** The messages to send before the next question: [{role, content}]. A new conversation is a new array. */
let conversation = [];
/** The AbortController of the running answer; null between answers. */
let running = null;
/** The served models: [{id, max_model_len}]. */
let offered = [];
/** While the page asks for a key: the function that is called with whether a key was given; otherwise null. */
let answerKey = null;

// The question field.

at("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  if (running) stop();
  else send();
});
at("question").addEventListener("keydown", (event) => {
  // While an input method composes a character, the input method needs the Enter key.
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  if (!running) send();
});
at("question").addEventListener("input", fit);
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && running && at("key-form").hidden) stop();
});
at("new").addEventListener("click", () => {
  stop();
  conversation = [];
  at("conversation").replaceChildren();
  at("empty").hidden = false;
  say("");
  at("used").textContent = "";
  at("question").focus();
});

function stop() {
  running?.abort();
  if (answerKey) closeKey(false);
}

/** Makes the field as high as its text. */
function fit() {
  const field = at("question");
  field.style.height = "auto";
  field.style.height = `${field.scrollHeight}px`;
}

async function send() {
  const question = at("question").value.trim();
  if (!question) return;
  if (!at("model").value) await meet();
  const model = at("model").value;
  if (!model) return;
  say("");
  at("question").value = "";
  fit();
  at("empty").hidden = true;
  const mine = conversation;
  const asked = addTurn("asked", "You");
  asked.text.dir = "auto";
  asked.text.textContent = question;
  const answer = addTurn("answer", model);
  answer.text.scrollIntoView({ block: "end" });
  const outcome = await receive(answer, model, [...mine, { role: "user", content: question }]);
  if (mine !== conversation) return;
  if (outcome.kept) {
    mine.push({ role: "user", content: question }, { role: "assistant", content: outcome.text });
  } else {
    // No answer came: put the question back into the field, so that the user can change it and send it again.
    asked.node.remove();
    answer.node.remove();
    at("empty").hidden = Boolean(mine.length);
    at("question").value ||= question;
    fit();
  }
  if (outcome.error) say(outcome.error);
}

/** Streams one answer into its turn. Returns {text, kept, error}: a stopped answer has no error, an empty one is not kept. */
async function receive(answer, model, messages) {
  const control = new AbortController();
  const began = performance.now();
  let text = "";
  let thinking = "";
  let finish = "";
  let usage = null;
  let error = "";
  let frame = 0;
  const paint = () => {
    frame = 0;
    keepEnd(() => {
      if (thinking) answer.think(thinking);
      show(answer.text, text);
    });
  };
  setRunning(control);
  answer.node.classList.add("waiting");
  answer.node.setAttribute("aria-busy", "true");
  try {
    await withKey(async () => {
      for await (const part of chat(model, messages, control.signal)) {
        text += part.text ?? "";
        thinking += part.thinking ?? "";
        finish = part.finish ?? finish;
        usage = part.usage ?? usage;
        frame ||= requestAnimationFrame(paint);
      }
    });
  } catch (failure) {
    if (failure.name !== "AbortError") error = failure instanceof Refusal ? failure.message : "An error occurred in this page.";
    if (failure instanceof Refusal) watch();
    else if (error) console.error(failure);
  } finally {
    cancelAnimationFrame(frame);
    paint();
    answer.node.classList.remove("waiting");
    answer.node.removeAttribute("aria-busy");
    if (running === control) setRunning(null);
  }
  keepEnd(() => {
    answer.note(noteOf({ stopped: control.signal.aborted, broke: Boolean(error), finish, usage, began }));
    if (usage) at("used").textContent = usedOf(model, usage);
  });
  return { text, kept: Boolean(text || usage), error };
}

function noteOf({ stopped, broke, finish, usage, began }) {
  const notes = [];
  if (stopped) notes.push("stopped");
  if (broke) notes.push("incomplete: an error occurred");
  if (finish === "length") notes.push("incomplete: the context is full");
  if (usage) notes.push(`${number(usage.completion_tokens)} tokens in ${((performance.now() - began) / 1000).toFixed(1)} s`);
  return notes.join(" · ");
}

function usedOf(model, usage) {
  const context = contextOf(model);
  return context ? `${number(usage.total_tokens)} of ${number(context)} tokens` : "";
}

function setRunning(control) {
  running = control;
  at("send").textContent = control ? "Stop" : "Send";
}

/** Changes the page. If the end was visible, scrolls to the new end; if the user scrolled away, does not scroll. */
function keepEnd(change) {
  const page = document.documentElement;
  const wasNear = innerHeight + scrollY > page.scrollHeight - NEAR_END_PX;
  change();
  if (wasNear) scrollTo({ top: page.scrollHeight });
}

/** Adds a turn to the page and returns its parts. */
function addTurn(className, who) {
  const node = element("article", `turn ${className}`);
  const text = element("div", "text");
  node.append(element("h2", "", who), text);
  at("conversation").append(node);
  let thoughts = null;
  return {
    node,
    text,
    think: (content) => {
      if (!thoughts) {
        const details = element("details", "thinking");
        thoughts = element("div", "text");
        thoughts.dir = "auto";
        details.append(element("summary", "", "Thinking"), thoughts);
        text.before(details);
      }
      thoughts.textContent = content;
    },
    note: (content) => content && node.append(element("p", "note small", content)),
  };
}

/** Shows an error in one line; an empty message hides it. */
function say(message) {
  at("error").textContent = message;
  at("error").hidden = !message;
}

// The key.

/** Runs `call`. While the box rejects the key and the user enters another one, runs it again. */
async function withKey(call) {
  for (;;) {
    try {
      return await call();
    } catch (error) {
      if (error.status !== 401) throw error;
      const had = key.get();
      key.forget();
      showKey();
      const why = had ? "The box does not accept this key. " : "The box requires a key. ";
      if (!(await askForKey(why))) throw error;
    }
  }
}

/** Shows the key field, and resolves to whether a key was given. */
function askForKey(why) {
  at("key-why").textContent = `${why}The key stays in this tab and is deleted when you close the tab.`;
  at("key-form").hidden = false;
  at("key").focus();
  answerKey?.(false);
  return new Promise((resolve) => {
    answerKey = resolve;
  });
}

function closeKey(given) {
  at("key").value = "";
  at("key-form").hidden = true;
  showKey();
  at("question").focus();
  const resolve = answerKey;
  answerKey = null;
  resolve?.(given);
}

function showKey() {
  at("box-key").textContent = key.get() ? "stored in this tab" : "none";
  at("key-enter").textContent = key.get() ? "Change the key" : "Enter a key";
  at("key-forget").hidden = !key.get();
}

at("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const given = at("key").value.trim();
  if (!/^[\x21-\x7e]+$/.test(given)) {
    at("key-why").textContent = "A key contains only letters, digits and symbols, without spaces.";
    return;
  }
  key.set(given);
  closeKey(true);
});
at("key-form").addEventListener("keydown", (event) => {
  if (event.key === "Escape") closeKey(false);
});
at("key-cancel").addEventListener("click", () => closeKey(false));
at("key-enter").addEventListener("click", async () => {
  openBox(false);
  if (await askForKey("")) meet();
});
at("key-forget").addEventListener("click", () => {
  key.forget();
  showKey();
  at("key-enter").focus();
});

// The box.

at("status").addEventListener("click", () => openBox(at("box").hidden));

function openBox(open) {
  at("box").hidden = !open;
  at("status").setAttribute("aria-expanded", String(open));
}

at("model").addEventListener("change", showModel);
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) watch();
});

let meeting = null;

/** Loads the list of models; concurrent callers wait for the same request. */
function meet() {
  meeting ??= learnModels().finally(() => (meeting = null));
  return meeting;
}

async function learnModels() {
  try {
    offered = await withKey(models);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    say(error.message);
    return;
  }
  const chosen = at("model").value;
  at("model").replaceChildren(...offered.map((model) => new Option(model.id, model.id)));
  if (offered.some((model) => model.id === chosen)) at("model").value = chosen;
  at("picker").hidden = offered.length < 2;
  say(offered.length ? "" : "The box serves no model.");
  showModel();
}

function contextOf(model) {
  return offered.find((one) => one.id === model)?.max_model_len;
}

function showModel() {
  const model = at("model").value;
  const context = contextOf(model);
  at("box-model").textContent = model || "unknown";
  at("box-context").textContent = context ? `${number(context)} tokens for a conversation and its answer` : "unknown";
}

let nextWatch = 0;

/** Checks the state of the box, and repeats this after a pause; a hidden page does not check. */
async function watch() {
  clearTimeout(nextWatch);
  if (document.hidden) return;
  let pause = WAITING_POLL_MS;
  try {
    await ready();
    showStatus("ready", "Ready", "ready");
    pause = READY_POLL_MS;
    if (!offered.length) meet();
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    if (error.status) showStatus("waiting", "Not ready", error.message);
    else showStatus("gone", "No answer", error.message);
  }
  clearTimeout(nextWatch);
  nextWatch = setTimeout(watch, pause);
}

function showStatus(state, word, detail) {
  at("status").dataset.state = state;
  // Only a change is told to screen readers.
  if (at("status-text").textContent !== word) at("status-text").textContent = word;
  at("box-status").textContent = detail;
}

showKey();
meet();
watch();
