// OpenAI's client for Node.js: chat completions.
import assert from "node:assert/strict";
import OpenAI from "openai";
import { zodResponseFormat } from "openai/helpers/zod";
import { z } from "zod";
import { ASK_WEATHER, TOO_LONG, WEATHER, WEATHER_SCHEMA, box } from "./box.mjs";


export const City = z.object({ name: z.string(), country: z.string() });
const HELLO = [{ role: "user", content: "What is an inode? Answer in one sentence." }];
const CAPITAL = [{ role: "user", content: "What is the capital of France?" }];
const TOOLS = [{ type: "function", function: { name: "get_weather", parameters: WEATHER_SCHEMA } }];
const GREEDY = { model: box.model, temperature: 0 };

export const client = (key = box.key) => new OpenAI({ baseURL: box.v1, apiKey: key, maxRetries: 0 });

export async function models() {
  const names = [];
  for await (const model of client().models.list()) names.push(model.id);
  assert.deepEqual(names, [box.model]);
}

export async function chat() {
  const answer = await client().chat.completions.create({ ...GREEDY, messages: HELLO, max_tokens: 16 });
  assert.ok(answer.choices[0].message.content);
  assert.equal(answer.choices[0].finish_reason, "length");
  assert.equal(answer.usage.completion_tokens, 16);
}

export async function stream() {
  const asked = { ...GREEDY, messages: CAPITAL, max_tokens: 40 };
  const events = client().chat.completions.stream({ ...asked, stream_options: { include_usage: true } });
  let pieces = 0;
  events.on("content", () => (pieces += 1));
  const answer = await events.finalChatCompletion();
  assert.ok(pieces > 1);
  assert.ok(answer.usage.completion_tokens > 1);
  const whole = await client().chat.completions.create(asked);
  assert.equal(answer.choices[0].message.content, whole.choices[0].message.content);
}

export async function turns() {
  const messages = [{ role: "user", content: "My name is Ada. Remember it." }];
  const first = await client().chat.completions.create({ ...GREEDY, messages, max_tokens: 40 });
  messages.push(first.choices[0].message, { role: "user", content: "What is my name? Answer with one word." });
  const second = await client().chat.completions.create({ ...GREEDY, messages, max_tokens: 16 });
  assert.match(second.choices[0].message.content, /Ada/);
}

export async function tools() {
  const asked = [];
  const get_weather = ({ city }) => (asked.push(city), WEATHER);
  const runner = client().chat.completions.runTools({
    ...GREEDY,
    messages: [{ role: "user", content: ASK_WEATHER }],
    tools: [{ type: "function", function: { ...TOOLS[0].function, function: get_weather, parse: JSON.parse } }],
    max_tokens: 64,
  });
  const last = await runner.finalContent();
  assert.match(asked[0], /Paris/);
  assert.match(last, /21/);
}

export async function forced() {
  const messages = [{ role: "user", content: ASK_WEATHER }];
  for (const tool_choice of ["required", { type: "function", function: { name: "get_weather" } }]) {
    const answer = await client()
      .chat.completions.stream({ ...GREEDY, messages, tools: TOOLS, tool_choice, max_tokens: 500 })
      .finalChatCompletion();
    const [call] = answer.choices[0].message.tool_calls;
    assert.equal(answer.choices[0].finish_reason, "tool_calls");
    assert.deepEqual(Object.keys(JSON.parse(call.function.arguments)), ["city"]);
  }
}

export async function schema() {
  const answer = await client().chat.completions.parse({
    ...GREEDY,
    messages: [{ role: "user", content: "Where is the Eiffel tower?" }],
    response_format: zodResponseFormat(City, "city"),
    max_tokens: 64,
  });
  City.parse(answer.choices[0].message.parsed);
}

export async function cancel() {
  await box.cancelsOne(async () => {
    const asked = { model: box.model, messages: HELLO, stream: true, ignore_eos: true };
    for await (const _ of await client().chat.completions.create(asked)) break;
  });
}

export async function errors() {
  const asked = { ...GREEDY, messages: HELLO, max_tokens: 1 };
  const create = (changed, key) => client(key).chat.completions.create({ ...asked, ...changed });
  await assert.rejects(create({}, "wrong"), (error) => error instanceof OpenAI.AuthenticationError);
  await assert.rejects(create({ model: "no-such-model" }), (error) => error instanceof OpenAI.NotFoundError);
  await assert.rejects(
    create({ messages: [{ role: "user", content: TOO_LONG }] }),
    (error) => error instanceof OpenAI.BadRequestError && error.code === "context_length_exceeded",
  );
}
