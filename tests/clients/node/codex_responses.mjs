// Codex CLI, without a terminal: one turn in which it may run commands in an empty folder.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { fileURLToPath } from "node:url";
import { box } from "./box.mjs";

const PROGRAM = fileURLToPath(new URL("node_modules/.bin/codex", import.meta.url));

// The events of one turn.
function codex(prompt, key = box.key) {
  const home = `${homedir()}/codex`;
  mkdirSync(home, { recursive: true });
  const settings = `
model = "${box.model}"
model_provider = "appliance"
model_context_window = 32768
[model_providers.appliance]
name = "appliance"
base_url = "${box.v1}"
env_key = "BOX_KEY"
wire_api = "responses"
request_max_retries = 0
stream_max_retries = 0
`;
  writeFileSync(`${home}/config.toml`, settings);
  const ended = spawnSync(PROGRAM, ["exec", "--skip-git-repo-check", "--sandbox", "read-only", "--json", prompt], {
    cwd: mkdtempSync(`${homedir()}/work-`),
    env: { ...process.env, CODEX_HOME: home, BOX_KEY: key },
    encoding: "utf8",
    stdio: ["ignore", "pipe", "pipe"],
  });
  return ended.stdout
    .split("\n")
    .filter((line) => line.startsWith("{"))
    .map((line) => JSON.parse(line));
}

export async function stream() {
  const events = codex("What is the capital of France? Answer with one word and run no command.");
  const last = events.at(-1);
  assert.equal(last.type, "turn.completed", JSON.stringify(last));
  assert.ok(last.usage.output_tokens > 0);
}

export async function errors() {
  const last = codex("Hello", "wrong").at(-1);
  assert.equal(last.type, "turn.failed");
  assert.match(last.error.message, /401/);
}
