// What Vercel's AI SDK does with every provider.
import assert from "node:assert/strict";
import { APICallError, Output, generateText, stepCountIs, streamText, tool } from "ai";
import { z } from "zod";
import { ASK_WEATHER, TOO_LONG, WEATHER, box } from "./box.mjs";

const GREEDY = { temperature: 0, maxRetries: 0 };
const CAPITAL = "What is the capital of France?";
const City = z.object({ name: z.string(), country: z.string() });

// make(name, key): the provider's model.
export function calls(make) {
  const model = make(box.model, box.key);
  const weather = () => {
    const asked = [];
    const get_weather = tool({
      description: "Get the weather in a city.",
      inputSchema: z.object({ city: z.string() }),
      execute: async ({ city }) => (asked.push(city), WEATHER),
    });
    return { asked, tools: { get_weather } };
  };

  return {
    async chat() {
      const answer = await generateText({ ...GREEDY, model, prompt: CAPITAL, maxOutputTokens: 40 });
      assert.match(answer.text, /Paris/);
      assert.equal(answer.finishReason, "stop");
      assert.ok(answer.usage.outputTokens > 1);
    },

    async stream() {
      const answer = streamText({ ...GREEDY, model, prompt: CAPITAL, maxOutputTokens: 40 });
      const pieces = await Array.fromAsync(answer.textStream);
      assert.ok(pieces.length > 1);
      assert.match(pieces.join(""), /Paris/);
      assert.ok((await answer.usage).outputTokens > 1);
    },

    async turns() {
      const messages = [{ role: "user", content: "My name is Ada. Remember it." }];
      const first = await generateText({ ...GREEDY, model, messages, maxOutputTokens: 40 });
      messages.push(...first.response.messages, { role: "user", content: "What is my name? Answer with one word." });
      assert.match((await generateText({ ...GREEDY, model, messages, maxOutputTokens: 16 })).text, /Ada/);
    },

    async tools() {
      const { asked, tools } = weather();
      const stopWhen = stepCountIs(3);
      const answer = await generateText({ ...GREEDY, model, prompt: ASK_WEATHER, tools, stopWhen, maxOutputTokens: 64 });
      assert.match(asked[0], /Paris/);
      assert.match(answer.text, /21/);
    },

    async forced() {
      const { asked, tools } = weather();
      const prompt = ASK_WEATHER;
      await generateText({ ...GREEDY, model, prompt, tools, toolChoice: "required", maxOutputTokens: 200 });
      assert.match(asked[0], /Paris/);
      const toolChoice = { type: "tool", toolName: "get_weather" };
      const answer = streamText({ ...GREEDY, model, prompt, tools, toolChoice, maxOutputTokens: 200 });
      assert.equal((await answer.toolCalls)[0].toolName, "get_weather");
    },

    async schema() {
      const output = Output.object({ schema: City });
      const prompt = "Where is the Eiffel tower? Answer in JSON.";
      City.parse((await generateText({ ...GREEDY, model, prompt, output, maxOutputTokens: 100 })).output);
    },

    async cancel() {
      await box.cancelsOne(async () => {
        const leaving = new AbortController();
        const prompt = "Write a long story.";
        const answer = streamText({ ...GREEDY, model, prompt, maxOutputTokens: 4000, abortSignal: leaving.signal });
        for await (const _ of answer.textStream) leaving.abort();
      });
    },

    async errors() {
      const ask = (name, key, prompt) => generateText({ ...GREEDY, model: make(name, key), prompt, maxOutputTokens: 16 });
      const has = (status) => (error) => APICallError.isInstance(error) && error.statusCode === status;
      await assert.rejects(ask(box.model, "wrong", CAPITAL), has(401));
      await assert.rejects(ask("no-such-model", box.key, CAPITAL), has(404));
      await assert.rejects(ask(box.model, box.key, TOO_LONG), has(400));
    },
  };
}
