// Vercel's AI SDK with its provider for Anthropic.
import { createAnthropic } from "@ai-sdk/anthropic";
import { box } from "./box.mjs";
import { calls } from "./vercel.mjs";

export const { chat, stream, turns, tools, forced, schema, cancel, errors } = calls((name, apiKey) =>
  createAnthropic({ baseURL: box.v1, apiKey })(name),
);
