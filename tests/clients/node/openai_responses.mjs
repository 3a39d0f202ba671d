// OpenAI's client for Node.js: responses.
import assert from "node:assert/strict";
import OpenAI from "openai";
import { zodTextFormat } from "openai/helpers/zod";
import { ASK_WEATHER, WEATHER, WEATHER_SCHEMA, box } from "./box.mjs";
import { City, client } from "./openai_chat.mjs";


const HELLO = "What is an inode? Answer in one sentence.";
const TOOLS = [{ type: "function", name: "get_weather", parameters: WEATHER_SCHEMA, strict: false }];
const GREEDY = { model: box.model, temperature: 0 };

export async function chat() {
  const answer = await client().responses.create({ ...GREEDY, input: HELLO, max_output_tokens: 16 });
  assert.ok(answer.output_text);
  assert.deepEqual(answer.incomplete_details, { reason: "max_output_tokens" });
}

export async function stream() {
  const kinds = [];
  const events = client().responses.stream({ ...GREEDY, input: HELLO, max_output_tokens: 16 });
  for await (const event of events) kinds.push(event.type);
  assert.deepEqual(kinds.slice(0, 2), ["response.created", "response.in_progress"]);
  assert.ok(kinds.filter((kind) => kind === "response.output_text.delta").length > 1);
  assert.equal(kinds.at(-1), "response.incomplete");
}

export async function turns() {
  const asked = { ...GREEDY, max_output_tokens: 40 };
  const first = await client().responses.create({ ...asked, input: "My name is Ada. Remember it." });
  const input = "What is my name? Answer with one word.";
  const second = await client().responses.create({ ...asked, input, previous_response_id: first.id });
  assert.match(second.output_text, /Ada/);
}

export async function tools() {
  const asked = { ...GREEDY, tools: TOOLS, max_output_tokens: 64, store: false };
  const input = [{ role: "user", content: ASK_WEATHER }];
  const first = await client().responses.create({ ...asked, input });
  const call = first.output.find((item) => item.type === "function_call");
  assert.match(JSON.parse(call.arguments).city, /Paris/);
  input.push(...first.output, { type: "function_call_output", call_id: call.call_id, output: WEATHER });
  assert.match((await client().responses.create({ ...asked, input })).output_text, /21/);
}

export async function forced() {
  for (const tool_choice of ["required", { type: "function", name: "get_weather" }]) {
    const asked = { ...GREEDY, input: ASK_WEATHER, tools: TOOLS, tool_choice, max_output_tokens: 500 };
    const answer = await client().responses.create(asked);
    assert.deepEqual(Object.keys(JSON.parse(answer.output[0].arguments)), ["city"]);
  }
}

export async function schema() {
  const text = { format: zodTextFormat(City, "city") };
  const asked = { ...GREEDY, input: "Where is the Eiffel tower?", text, max_output_tokens: 64 };
  City.parse((await client().responses.parse(asked)).output_parsed);
}

export async function cancel() {
  await box.cancelsOne(async () => {
    const asked = { model: box.model, input: HELLO, stream: true, ignore_eos: true };
    for await (const event of await client().responses.create(asked)) {
      if (event.type === "response.output_text.delta") break;
    }
  });
}

export async function errors() {
  const asked = { ...GREEDY, input: HELLO, max_output_tokens: 16 };
  await assert.rejects(client("wrong").responses.create(asked), OpenAI.AuthenticationError);
  await assert.rejects(client().responses.create({ ...asked, model: "no-such-model" }), OpenAI.NotFoundError);
}
