// The box, as a client's file sees it: the same as ../python/box.py.
import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";

const LIMIT_MS = 300_000;
const { env } = process;

export const box = {
  http: `http://${env.APPLIANCE_CLIENT_HTTP}`,
  v1: `http://${env.APPLIANCE_CLIENT_HTTP}/v1`,
  model: env.APPLIANCE_CLIENT_MODEL,
  key: env.APPLIANCE_CLIENT_KEY,

  // Runs the block and waits until the box has counted one more cancelled request.
  async cancelsOne(block) {
    const before = await cancelled();
    await block();
    const deadline = Date.now() + LIMIT_MS;
    while ((await cancelled()) <= before) {
      assert.ok(Date.now() < deadline, "the box counted no cancelled request");
      await sleep(50);
    }
  },
};

async function cancelled() {
  const page = await (await fetch(`http://${env.APPLIANCE_CLIENT_METRICS}/metrics`)).text();
  const counts = page.matchAll(/^appliance_gateway_requests_total\{.*outcome="cancelled".*\} (\S+)$/gm);
  return [...counts].reduce((sum, [, count]) => sum + Number(count), 0);
}

export const WEATHER_SCHEMA = {
  type: "object",
  properties: { city: { type: "string", description: "name of the city" } },
  required: ["city"],
};
export const ASK_WEATHER = "What is the weather in Paris? Call the tool get_weather.";
export const WEATHER = JSON.stringify({ sky: "clear", temperature_celsius: 21 });
// Longer than the context of every model that the tests serve.
export const TOO_LONG = "one two three four ".repeat(20_000);
