// What OpenAI's Agents SDK does with both of its models.
import assert from "node:assert/strict";
import { Agent, Runner, setTracingDisabled, tool } from "@openai/agents";
import OpenAI from "openai";
import { z } from "zod";
import { ASK_WEATHER, WEATHER, box } from "./box.mjs";

setTracingDisabled(true);
const City = z.object({ name: z.string(), country: z.string() });
const ends = { toolUseBehavior: "stop_on_first_tool" };
const CAPITAL = "What is the capital of France?";

// Kind: the class of the model.
export function calls(Kind) {
  const runner = new Runner({ tracingDisabled: true });
  const agent = (maxTokens, { key = box.key, name = box.model, settings = {}, ...more } = {}) => {
    const model = new Kind(new OpenAI({ baseURL: box.v1, apiKey: key, maxRetries: 0 }), name);
    const modelSettings = { temperature: 0, maxTokens, ...settings };
    return new Agent({ name: "agent", instructions: "You are brief.", model, modelSettings, ...more });
  };
  const weather = () =>
    tool({
      name: "get_weather",
      description: "Get the weather in a city.",
      parameters: z.object({ city: z.string() }),
      execute: async ({ city }) => `${city}: ${WEATHER}`,
    });

  return {
    async chat() {
      assert.match((await runner.run(agent(40), CAPITAL)).finalOutput, /Paris/);
    },

    async stream() {
      const answer = await runner.run(agent(40), CAPITAL, { stream: true });
      const pieces = await Array.fromAsync(answer.toTextStream());
      await answer.completed;
      assert.ok(pieces.length > 1);
      assert.match(answer.finalOutput, /Paris/);
    },

    async turns() {
      const first = await runner.run(agent(40), "My name is Ada. Remember it.");
      const question = { role: "user", content: "What is my name? Answer with one word." };
      assert.match((await runner.run(agent(40), [...first.history, question])).finalOutput, /Ada/);
    },

    async tools() {
      // A small model may repeat its call for ever: the run ends with the tool's output, which the next run sends back.
      const answer = await runner.run(agent(64, { tools: [weather()], ...ends }), ASK_WEATHER);
      assert.ok(answer.newItems.some((item) => item.type === "tool_call_output_item"));
      assert.match(answer.finalOutput, /21/);
      const question = { role: "user", content: "How warm is it? Answer with one word." };
      assert.ok((await runner.run(agent(40), [...answer.history, question])).finalOutput);
    },

    async forced() {
      const settings = { toolChoice: "required" };
      const answer = await runner.run(agent(200, { tools: [weather()], settings, ...ends }), ASK_WEATHER);
      assert.equal(answer.newItems[0].type, "tool_call_item");
    },

    async schema() {
      City.parse((await runner.run(agent(64, { outputType: City }), "Where is the Eiffel tower?")).finalOutput);
    },

    async cancel() {
      await box.cancelsOne(async () => {
        const leaving = new AbortController();
        const answer = await runner.run(agent(4000), "Write a long story.", { stream: true, signal: leaving.signal });
        try {
          for await (const _ of answer.toTextStream()) leaving.abort();
        } catch (error) {
          assert.equal(error.name, "AbortError");
        }
      });
    },

    async errors() {
      await assert.rejects(runner.run(agent(16, { key: "wrong" }), "Hello"), OpenAI.AuthenticationError);
      await assert.rejects(runner.run(agent(16, { name: "no-such-model" }), "Hello"), OpenAI.NotFoundError);
    },
  };
}
