// OpenAI's Agents SDK for Node.js: responses.
import { OpenAIResponsesModel } from "@openai/agents";
import { calls } from "./openai_agents.mjs";

export const { chat, stream, turns, tools, forced, schema, cancel, errors } = calls(OpenAIResponsesModel);
