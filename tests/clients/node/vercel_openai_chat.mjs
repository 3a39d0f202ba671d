// Vercel's AI SDK with its provider for OpenAI: chat completions.
import { createOpenAI } from "@ai-sdk/openai";
import { box } from "./box.mjs";
import { calls } from "./vercel.mjs";

export const { chat, stream, turns, tools, forced, schema, cancel, errors } = calls((name, apiKey) =>
  createOpenAI({ baseURL: box.v1, apiKey }).chat(name),
);
