// Sends requests to the box's HTTP API, with the key if there is one. Only the tab's session storage has the key.

const STORED_KEY = "appliance.key";

/**
 * The error of a request that failed. `status` is 0 when there was no response, `code` is OpenAI's error code, and
 * `waitS` the seconds after which a retry makes sense; null: the box named none.
 */
export class Refusal extends Error {
  constructor(status, message, { code = "", waitS = null } = {}) {
    super(message);
    this.status = status;
    this.code = code;
    this.waitS = waitS;
  }
}

export const key = {
  get: () => sessionStorage.getItem(STORED_KEY) ?? "",
  set: (text) => sessionStorage.setItem(STORED_KEY, text),
  forget: () => sessionStorage.removeItem(STORED_KEY),
};

/** Returns the response of a successful request; `body` makes it a POST. Throws Refusal, or AbortError by `signal`. */
async function ask(path, { body, signal } = {}) {
  const headers = {};
  if (key.get()) headers.Authorization = `Bearer ${key.get()}`;
  if (body) headers["Content-Type"] = "application/json";
  const options = { method: body ? "POST" : "GET", headers, body: body && JSON.stringify(body), signal };
  let response;
  try {
    response = await fetch(path, { ...options, cache: "no-store", redirect: "error" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refusal(0, "", { code: "no_response" });
  }
  if (response.ok) return response;
  const error = await response.json().then((answer) => answer.error, () => null);
  const wait = response.headers.get("Retry-After") ?? "";
  const waitS = /^\d+$/.test(wait) ? Number(wait) : null;
  throw new Refusal(response.status, String(error?.message ?? ""), { code: error?.code ?? "", waitS });
}

/** The served models: [{id, max_model_len, capabilities: {chat, thinking_switch}}]. */
export async function models() {
  const models = (await (await ask("/v1/models")).json()).data;
  // The others are aliases of these.
  return models.filter((model) => model.id === model.root);
}

/** Returns if the box would accept a request now; otherwise throws Refusal with the reason. */
export async function ready() {
  await ask("/health/ready");
}

/** What the site permits the page: {history: boolean}. */
export async function siteSettings() {
  return (await ask("/page/settings.json")).json();
}

/** The number of tokens of a text. */
export async function countTokens(model, text) {
  return (await (await ask("/v1/tokenize", { body: { model, prompt: text } })).json()).count;
}

/** Yields the parts of an answer: {text}, {thinking}, {finish}, {usage}. Throws Refusal if the stream breaks off. */
export async function* chat(request, signal) {
  const body = { ...request, stream: true, stream_options: { include_usage: true } };
  const response = await ask("/v1/chat/completions", { body, signal });
  for await (const event of events(response.body)) {
    if (event === "[DONE]") return;
    const said = JSON.parse(event);
    if (said.error) throw new Refusal(response.status, String(said.error.message), { code: said.error.code ?? "" });
    const choice = said.choices?.[0];
    if (choice?.delta?.reasoning_content) yield { thinking: choice.delta.reasoning_content };
    if (choice?.delta?.content) yield { text: choice.delta.content };
    if (choice?.finish_reason) yield { finish: choice.finish_reason };
    if (said.usage) yield { usage: said.usage };
  }
  throw new Refusal(0, "", { code: "broken" });
}

/** The `data` of each server-sent event. Comments (`: …`), which keep the connection open, and other fields are skipped. */
async function* events(stream) {
  const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  let lines = [];
  for (;;) {
    let piece;
    try {
      piece = await reader.read();
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new Refusal(0, "", { code: "broken" });
    }
    if (piece.done) return;
    const complete = (rest + piece.value).split("\n");
    rest = complete.pop();
    for (const line of complete.map((one) => one.replace(/\r$/, ""))) {
      if (line.startsWith("data:")) lines.push(line.slice(5).replace(/^ /, ""));
      if (line || !lines.length) continue;
      yield lines.join("\n");
      lines = [];
    }
  }
}
