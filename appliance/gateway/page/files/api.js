// Sends requests to the box's HTTP API, with the key if there is one. Only the tab's session storage has the key.

const STORED_KEY = "appliance.key";

/** The error of a request that failed. `status` is 0 when there was no response. */
export class Refusal extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
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
  let response;
  try {
    response = await fetch(path, {
      method: body ? "POST" : "GET",
      headers,
      body: body && JSON.stringify(body),
      signal,
      cache: "no-store",
      redirect: "error",
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refusal(0, "The box does not answer. It may be restarting, or there is no network connection.");
  }
  if (response.ok) return response;
  const error = await response.json().then((said) => said.error, () => null);
  const wait = response.headers.get("Retry-After");
  const again = wait && /^\d+$/.test(wait) ? ` Try again in ${wait} s.` : "";
  throw new Refusal(response.status, sentence(error?.message ?? `The box answered with status ${response.status}`) + again);
}

/** The served models: [{id, max_model_len}]. */
export async function models() {
  return (await (await ask("/v1/models")).json()).data;
}

/** Returns if the box would accept a request now; otherwise throws Refusal with the reason. */
export async function ready() {
  await ask("/health/ready");
}

/** Yields the parts of an answer: {text}, {thinking}, {finish}, {usage}. Throws Refusal if the stream breaks off. */
export async function* chat(model, messages, signal) {
  const body = { model, messages, stream: true, stream_options: { include_usage: true } };
  const response = await ask("/v1/chat/completions", { body, signal });
  for await (const event of events(response.body)) {
    if (event === "[DONE]") return;
    const said = JSON.parse(event);
    if (said.error) throw new Refusal(response.status, sentence(said.error.message));
    const choice = said.choices?.[0];
    if (choice?.delta?.reasoning_content) yield { thinking: choice.delta.reasoning_content };
    if (choice?.delta?.content) yield { text: choice.delta.content };
    if (choice?.finish_reason) yield { finish: choice.finish_reason };
    if (said.usage) yield { usage: said.usage };
  }
  throw new Refusal(0, "The answer is incomplete: the box closed the connection.");
}

/** The data of each server-sent event. */
async function* events(stream) {
  const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    let piece;
    try {
      piece = await reader.read();
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new Refusal(0, "The answer is incomplete: the connection was lost.");
    }
    if (piece.done) return;
    const complete = (rest + piece.value).split("\n\n");
    rest = complete.pop();
    for (const event of complete) {
      const lines = event.split("\n").filter((line) => line.startsWith("data:"));
      if (lines.length) yield lines.map((line) => line.slice(5).trimStart()).join("\n");
    }
  }
}

function sentence(text) {
  const start = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(start) ? start : `${start}.`;
}
