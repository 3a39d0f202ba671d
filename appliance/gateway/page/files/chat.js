// The conversation on the screen: asks the model, streams its answer, and changes earlier questions and answers.

import { chat, Refusal } from "./api.js";
import { box } from "./box.js";
import { composer } from "./composer.js";
import { messagesOf, newConversation, NO_ANSWER } from "./conversation.js";
import { confirm } from "./dialog.js";
import { at } from "./element.js";
import { exchangeView } from "./exchange.js";
import { hideError, showError, showRefusal } from "./failure.js";
import { askForKey, leaveKey, withKey } from "./key.js";
import { number, put } from "./language.js";
import { store } from "./store.js";

const NEAR_END_PX = 80;
// A frame may use this part of the time; the longer the last paint took, the later the next one comes.
const PAINT_SHARE = 0.3;

let current = newConversation();
/** The AbortController of the running answer; null between answers. */
let running = null;
/** The view of each exchange that was drawn. */
let views = new WeakMap();
/** Called after each change of the conversation that is on the screen. */
let changed = () => {};

export const screen = {
  get conversation() {
    return current;
  },

  get isRunning() {
    return Boolean(running);
  },

  open(listener) {
    changed = listener;
    draw();
  },

  /** Shows another conversation; a running answer ends. */
  show(conversation) {
    stop();
    current = conversation;
    box.choose(current.settings.model);
    hideError();
    draw();
  },

  /** Starts an empty conversation, with the settings of this one. */
  begin() {
    screen.show(newConversation(current.settings));
    at("question").focus();
  },

  stop,

  /** Draws all of it again, in the language of the interface. */
  redraw() {
    views = new WeakMap();
    at("conversation").replaceChildren();
    draw();
  },

  /** Asks a new question at the end. */
  async ask(question) {
    if (!box.model) await box.meet();
    if (!box.model || running) return;
    composer.clear();
    const { exchanges } = current;
    const exchange = { question, answer: { ...NO_ANSWER } };
    await generate([...exchanges, exchange], exchange, () => composer.restore(question));
  },
};

function stop() {
  running?.abort();
  leaveKey();
}

/** Asks again from an exchange on: later ones are lost, with the person's consent. */
async function askAgain(exchange, question, refused = () => {}) {
  const index = current.exchanges.indexOf(exchange);
  if (running || index < 0 || !box.model) return;
  const later = current.exchanges.length - index - 1;
  if (later && !(await confirm("confirm_cut", "confirm_cut_agree", { count: later }))) return;
  const next = { question, answer: { ...NO_ANSWER } };
  await generate([...current.exchanges.slice(0, index), next], next, refused);
}

/** Continues the last answer where it ended. */
async function carryOn(exchange) {
  if (running || exchange !== current.exchanges.at(-1)) return;
  const next = { ...exchange, answer: { ...exchange.answer, text: exchange.answer.text.trimEnd(), finish: "" } };
  await generate([...current.exchanges.slice(0, -1), next], next, () => {}, next.answer.text);
}

async function remove(exchange) {
  if (running || !(await confirm("confirm_delete", "delete"))) return;
  current.exchanges = current.exchanges.filter((one) => one !== exchange);
  await save();
  draw();
  at("question").focus();
}

/**
 * Streams an answer into the last of `exchanges`. If none comes, the conversation is again as it was before, and
 * `refused` is called.
 */
async function generate(exchanges, exchange, refused, prefix = "") {
  const mine = current;
  const before = mine.exchanges;
  mine.exchanges = exchanges;
  mine.settings.model = box.model.id;
  hideError();
  await save(mine);
  const shown = draw().at(-1);
  // The pressed button is gone. On a phone, the focus would open the keyboard.
  if (!matchMedia("(pointer: coarse)").matches) at("question").focus();
  shown.node.scrollIntoView({ block: "end" });
  const error = await receive(exchange, shown, requestOf(mine, prefix));
  const { answer } = exchange;
  const isKept = answer.finish !== "broken" || answer.text.length > prefix.length || Boolean(answer.thinking);
  if (!isKept || (answer.finish === "stopped" && !answer.text && !answer.thinking)) mine.exchanges = before;
  // The person may have deleted the conversation meanwhile.
  if (store.has(mine)) await (mine.exchanges.length ? save(mine) : store.remove(mine.id));
  if (mine !== current) return;
  if (mine.exchanges === before) {
    draw();
    refused();
  } else shown.end();
  if (error instanceof Refusal) explain(error, exchange, mine.exchanges === before);
  else if (error) showError("error_page");
}

/** The body of the request. Settings that the person left empty are the model's own. */
function requestOf({ settings, exchanges }, prefix) {
  const messages = messagesOf({ settings, exchanges }, exchanges.length - 1);
  if (prefix) messages.push({ role: "assistant", content: prefix });
  const body = { model: settings.model, messages };
  if (settings.temperature !== "") body.temperature = settings.temperature;
  if (settings.maxTokens !== "") body.max_tokens = settings.maxTokens;
  if (settings.thinking && box.model.capabilities?.thinking_switch) {
    body.chat_template_kwargs = { enable_thinking: settings.thinking === "on" };
  }
  return body;
}

/** Streams one answer into its exchange. Returns the error that ended it, or null. */
async function receive(exchange, shown, request) {
  const { answer } = exchange;
  const control = new AbortController();
  const began = performance.now();
  const paint = painter(() => keepEnd(shown.paint));
  answer.model = request.model;
  let error = null;
  let usage = null;
  setRunning(control);
  shown.begin();
  try {
    await withKey(async () => {
      for await (const part of chat(request, control.signal)) {
        answer.text += part.text ?? "";
        answer.thinking += part.thinking ?? "";
        answer.finish = part.finish ?? answer.finish;
        usage = part.usage ?? usage;
        paint.soon();
      }
    });
  } catch (failure) {
    if (failure.name !== "AbortError") error = failure;
    if (error instanceof Refusal) box.watch();
    else if (error) console.error(error);
  }
  answer.finish = error ? "broken" : control.signal.aborted ? "stopped" : answer.finish || "stop";
  answer.tokens += usage?.completion_tokens ?? 0;
  answer.seconds += (performance.now() - began) / 1000;
  paint.now();
  if (running === control) setRunning(null);
  if (usage) showUse(usage.total_tokens);
  return error;
}

function explain(refusal, exchange, isGone) {
  const again = isGone ? () => at("send").click() : () => askAgain(exchange, exchange.question);
  const enterKey = async () => {
    if (await askForKey()) box.meet();
  };
  showRefusal(refusal, { again, key: enterKey, new: screen.begin });
}

async function save(conversation = current) {
  conversation.updated = Date.now();
  await store.put(conversation);
  changed();
}

/** Shows the exchanges of the conversation, and returns their views. Views of unchanged exchanges stay. */
function draw() {
  const drawn = current.exchanges.map((exchange) => views.get(exchange) ?? view(exchange));
  const nodes = drawn.map(({ node }) => node);
  for (const node of [...at("conversation").children]) if (!nodes.includes(node)) node.remove();
  at("conversation").append(...nodes.filter((node) => !node.isConnected));
  at("empty").hidden = Boolean(nodes.length);
  at("used").textContent = "";
  changed();
  return drawn;
}

function view(exchange) {
  const made = exchangeView(exchange, {
    edit: (question, leave) => askAgain(exchange, question, leave),
    regenerate: () => askAgain(exchange, exchange.question),
    carryOn: () => carryOn(exchange),
    remove: () => remove(exchange),
  });
  views.set(exchange, made);
  return made;
}

function setRunning(control) {
  running = control;
  composer.setRunning(Boolean(control));
  document.body.classList.toggle("running", Boolean(control));
}

function showUse(tokens) {
  const context = box.model?.max_model_len;
  if (context) put(at("used"), "used", { share: number(tokens / context, { style: "percent" }), tokens, context });
}

/** Paints at most once a frame, and less often when painting takes long, so that the page stays usable. */
function painter(paint) {
  let waiting = 0;
  let next = 0;
  const now = () => {
    cancelAnimationFrame(waiting);
    waiting = 0;
    const began = performance.now();
    paint();
    const ended = performance.now();
    next = ended + (ended - began) * (1 / PAINT_SHARE - 1);
  };
  const frame = () => (performance.now() < next ? (waiting = requestAnimationFrame(frame)) : now());
  return { now, soon: () => (waiting ||= requestAnimationFrame(frame)) };
}

/** Changes the page. If the end was visible, scrolls to the new end; if the person scrolled away, does not scroll. */
function keepEnd(change) {
  const page = document.documentElement;
  const wasNear = innerHeight + scrollY > page.scrollHeight - NEAR_END_PX;
  change();
  if (wasNear) scrollTo({ top: page.scrollHeight });
}
