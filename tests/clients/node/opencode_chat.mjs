// opencode, without a terminal: one turn in an empty folder.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { fileURLToPath } from "node:url";
import { box } from "./box.mjs";

const PROGRAM = fileURLToPath(new URL("node_modules/opencode-linux-x64/bin/opencode", import.meta.url));

// The events of one turn.
function opencode(prompt, key = box.key) {
  const folder = mkdtempSync(`${homedir()}/work-`);
  const model = { name: box.model, limit: { context: 32768, output: 4096 } };
  const options = { baseURL: box.v1, apiKey: key };
  const provider = { npm: "@ai-sdk/openai-compatible", name: "appliance", options, models: { [box.model]: model } };
  writeFileSync(`${folder}/opencode.json`, JSON.stringify({ provider: { appliance: provider } }));
  const words = ["run", "--format", "json", "--model", `appliance/${box.model}`, prompt];
  const ended = spawnSync(PROGRAM, words, {
    cwd: folder,
    // It looks for its settings in PWD, not in the folder that it runs in.
    env: { ...process.env, PWD: folder, OPENCODE_DISABLE_AUTOUPDATE: "1" },
    encoding: "utf8",
    stdio: ["ignore", "pipe", "pipe"],
    timeout: 600_000,
  });
  return { output: ended.stdout, complaint: ended.stderr };
}

export async function stream() {
  const { output, complaint } = opencode("What is the capital of France? Answer with one word and call no tool.");
  const kinds = output.split("\n").filter(Boolean).map((line) => JSON.parse(line).type);
  assert.ok(kinds.includes("step_finish"), output.slice(-1500) + complaint.slice(-500));
  assert.ok(!kinds.includes("error"), output.slice(-1500));
}
