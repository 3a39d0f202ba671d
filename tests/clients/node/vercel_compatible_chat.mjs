// Vercel's AI SDK with its provider for servers that are compatible with OpenAI.
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { box } from "./box.mjs";
import { calls } from "./vercel.mjs";

export const { chat, stream, turns, tools, forced, schema, cancel, errors } = calls((name, apiKey) =>
  createOpenAICompatible({ name: "appliance", baseURL: box.v1, apiKey, includeUsage: true, supportsStructuredOutputs: true })(name),
);
