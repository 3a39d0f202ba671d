// Ollama's client for Node.js.
import assert from "node:assert/strict";
import { Ollama } from "ollama";
import { ASK_WEATHER, TOO_LONG, WEATHER, WEATHER_SCHEMA, box } from "./box.mjs";

const HELLO = [{ role: "user", content: "What is an inode? Answer in one sentence." }];
const GREEDY = (num_predict, more = {}) => ({ temperature: 0, num_predict, ...more });
const client = (key = box.key) => new Ollama({ host: box.http, headers: { Authorization: `Bearer ${key}` } });
const refused = (status) => (error) => error.status_code === status;

export async function models() {
  const { models: found } = await client().list();
  assert.ok(found.some(({ model }) => model === box.model));
  const shown = await client().show({ model: box.model });
  assert.ok(shown.capabilities.includes("tools"));
}

export async function chat() {
  const answer = await client().chat({ model: box.model, messages: HELLO, options: GREEDY(16) });
  assert.ok(answer.message.content);
  assert.deepEqual([answer.done_reason, answer.eval_count], ["length", 16]);
}

export async function stream() {
  const asked = { model: box.model, messages: HELLO, options: GREEDY(16) };
  const chunks = [];
  for await (const chunk of await client().chat({ ...asked, stream: true })) chunks.push(chunk);
  assert.ok(chunks.length > 2);
  assert.equal(chunks.at(-1).eval_count, 16);
  const text = chunks.map(({ message }) => message.content).join("");
  assert.equal(text, (await client().chat(asked)).message.content);
}

export async function turns() {
  const messages = [{ role: "user", content: "My name is Ada. Remember it." }];
  const first = await client().chat({ model: box.model, messages, options: GREEDY(40) });
  messages.push(first.message, { role: "user", content: "What is my name? Answer with one word." });
  assert.match((await client().chat({ model: box.model, messages, options: GREEDY(16) })).message.content, /Ada/);
}

export async function tools() {
  const get_weather = { name: "get_weather", description: "Get the weather in a city.", parameters: WEATHER_SCHEMA };
  const asked = { model: box.model, tools: [{ type: "function", function: get_weather }], options: GREEDY(64) };
  const messages = [{ role: "user", content: ASK_WEATHER }];
  const { message } = await client().chat({ ...asked, messages });
  assert.match(message.tool_calls[0].function.arguments.city, /Paris/);
  messages.push(message, { role: "tool", tool_name: "get_weather", content: WEATHER });
  assert.match((await client().chat({ ...asked, messages })).message.content, /21/);
}

export async function schema() {
  const properties = { name: { type: "string" }, country: { type: "string" } };
  const answer = await client().chat({
    model: box.model,
    messages: [{ role: "user", content: "Where is the Eiffel tower?" }],
    format: { type: "object", properties, required: ["name", "country"] },
    options: GREEDY(64),
  });
  assert.ok(JSON.parse(answer.message.content).country);
}

export async function cancel() {
  await box.cancelsOne(async () => {
    const options = GREEDY(4000, { ignore_eos: true });
    const chunks = await client().chat({ model: box.model, messages: HELLO, options, stream: true });
    for await (const _ of chunks) {
      chunks.abort();
      break;
    }
  });
}

export async function errors() {
  const asked = { model: box.model, messages: HELLO };
  await assert.rejects(client("wrong").chat(asked), refused(401));
  await assert.rejects(client().chat({ ...asked, model: "llama3.2" }), refused(404));
  const long = [{ role: "user", content: TOO_LONG }];
  await assert.rejects(client().chat({ ...asked, messages: long }), refused(400));
  await assert.rejects(client().pull({ model: "llama3.2" }), refused(403));
}
