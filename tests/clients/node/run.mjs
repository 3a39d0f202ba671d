// `node run.mjs MODULE PACKAGE CALL...`: makes the calls of one client, in this order, and reports each: the same as ../python/run.py.
import { appendFileSync, readFileSync } from "node:fs";

const [name, packageName, ...calls] = process.argv.slice(2);
const client = await import(`./${name}.mjs`);
const report = (line) => appendFileSync(process.env.APPLIANCE_CLIENT_REPORT, `${JSON.stringify(line)}\n`);

const manifest = new URL(`node_modules/${packageName}/package.json`, import.meta.url);
report({ version: JSON.parse(readFileSync(manifest, "utf8")).version });
for (const call of calls.filter((each) => client[each])) {
  try {
    await client[call]();
    report({ call, error: null });
  } catch (error) {
    report({ call, error: error?.stack ?? String(error) });
  }
}
// Keep-alive connections and timers of a client do not keep it running.
process.exit();
