// Anthropic's client for Node.js.
import assert from "node:assert/strict";
import Anthropic from "@anthropic-ai/sdk";
import { betaZodTool } from "@anthropic-ai/sdk/helpers/beta/zod";
import { zodOutputFormat } from "@anthropic-ai/sdk/helpers/zod";
import { z } from "zod";
import { ASK_WEATHER, TOO_LONG, WEATHER, WEATHER_SCHEMA, box } from "./box.mjs";


const HELLO = [{ role: "user", content: "What is an inode? Answer in one sentence." }];
const GREEDY = { model: box.model, temperature: 0 };
const client = (key = box.key) => new Anthropic({ baseURL: box.http, apiKey: key, maxRetries: 0 });

export async function models() {
  const found = [];
  for await (const model of client().models.list()) found.push(model);
  assert.deepEqual(found.map(({ id, type }) => [id, type]), [[box.model, "model"]]);
  assert.ok(found[0].display_name);
}

export async function chat() {
  const answer = await client().messages.create({ ...GREEDY, messages: HELLO, max_tokens: 16 });
  assert.equal(answer.content[0].type, "text");
  assert.equal(answer.stop_reason, "max_tokens");
  assert.equal(answer.usage.output_tokens, 16);
}

export async function stream() {
  const asked = { ...GREEDY, messages: HELLO, max_tokens: 16 };
  let pieces = 0;
  const events = client().messages.stream(asked).on("text", () => (pieces += 1));
  const answer = await events.finalMessage();
  assert.ok(pieces > 1);
  assert.equal(answer.content[0].text, (await client().messages.create(asked)).content[0].text);
}

export async function turns() {
  const messages = [{ role: "user", content: "My name is Ada. Remember it." }];
  const first = await client().messages.create({ ...GREEDY, messages, max_tokens: 40 });
  const question = { role: "user", content: "What is my name? Answer with one word." };
  messages.push({ role: "assistant", content: first.content }, question);
  assert.match((await client().messages.create({ ...GREEDY, messages, max_tokens: 16 })).content[0].text, /Ada/);
}

export async function tools() {
  const asked = [];
  const get_weather = betaZodTool({
    name: "get_weather",
    description: "Get the weather in a city.",
    inputSchema: z.object({ city: z.string() }),
    run: ({ city }) => (asked.push(city), WEATHER),
  });
  const last = await client().beta.messages.toolRunner({
    ...GREEDY,
    messages: [{ role: "user", content: ASK_WEATHER }],
    tools: [get_weather],
    max_tokens: 64,
  });
  assert.match(asked[0], /Paris/);
  assert.match(last.content[0].text, /21/);
}

export async function forced() {
  const messages = [{ role: "user", content: ASK_WEATHER }];
  const tools = [{ name: "get_weather", input_schema: WEATHER_SCHEMA }];
  for (const tool_choice of [{ type: "any" }, { type: "tool", name: "get_weather" }]) {
    const answer = await client()
      .messages.stream({ ...GREEDY, messages, tools, tool_choice, max_tokens: 500 })
      .finalMessage();
    assert.equal(answer.stop_reason, "tool_use");
    assert.deepEqual(Object.keys(answer.content[0].input), ["city"]);
  }
}

export async function schema() {
  const answer = await client().messages.parse({
    ...GREEDY,
    messages: [{ role: "user", content: "Where is the Eiffel tower?" }],
    output_config: { format: zodOutputFormat(z.object({ name: z.string(), country: z.string() })) },
    max_tokens: 64,
  });
  assert.ok(answer.parsed_output.country);
}

export async function cancel() {
  await box.cancelsOne(async () => {
    const asked = { ...GREEDY, messages: HELLO, max_tokens: 4000, stream: true, ignore_eos: true };
    for await (const event of await client().messages.create(asked)) {
      if (event.type === "content_block_delta") break;
    }
  });
}

export async function errors() {
  const asked = { ...GREEDY, messages: HELLO, max_tokens: 1 };
  await assert.rejects(client("wrong").messages.create(asked), Anthropic.AuthenticationError);
  await assert.rejects(client().messages.create({ ...asked, model: "claude" }), Anthropic.NotFoundError);
  const long = [{ role: "user", content: TOO_LONG }];
  await assert.rejects(client().messages.create({ ...asked, messages: long }), /prompt is too long/);
}

export async function tokens() {
  const counted = await client().messages.countTokens({ model: box.model, messages: HELLO });
  const { usage } = await client().messages.create({ ...GREEDY, messages: HELLO, max_tokens: 1 });
  assert.equal(counted.input_tokens, usage.input_tokens + usage.cache_read_input_tokens);
}
