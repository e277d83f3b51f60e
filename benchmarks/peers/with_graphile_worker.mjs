// graphile-worker: https://worker.graphile.org. The same verbs as the peers in Python (see driving.py); it runs in the
// folder that holds its packages, and takes them from there.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { parseArgs } from "node:util";

const require = createRequire(`${process.cwd()}/`);
const { Logger, makeWorkerUtils, run } = require("graphile-worker");
const { Pool: HttpPool } = require("undici");
const { Pool } = require("pg");

// Good ones of what `make bench ARGS="sweep --only graphile-worker"` tries, one at a time; from a busy machine, to be swept again.
const BEST = {
  concurrentJobs: 192,
  localQueue: 500,
  completeJobBatchDelay: 0,
  maxPoolSize: 10,
  connections: 100,
};
// Without the local queue each job is fetched by itself: what is best is not the same.
const DIRECT = { ...BEST, concurrentJobs: 96, localQueue: -1, maxPoolSize: 24 };
const SWEEP = [
  ...[48, 96, 192, 384].map((concurrentJobs) => ({ concurrentJobs })),
  ...[-1, 100, 200, 500, 1000, 2000].map((localQueue) => ({ localQueue })),
  ...[-1, 0, 5, 20].map((completeJobBatchDelay) => ({ completeJobBatchDelay })),
  ...[10, 24, 48].map((maxPoolSize) => ({ maxPoolSize })),
  ...[32, 64].map((connections) => ({ connections })),
];

const { positionals, values: given } = parseArgs({
  allowPositionals: true,
  options: {
    database: { type: "string" },
    sink: { type: "string" },
    body: { type: "string" },
    events: { type: "string", default: "0" },
    client: { type: "string", default: "undici" },
    set: { type: "string", multiple: true, default: [] },
  },
});
// A job that throws would be tried again later: the run would go on, and measure something else.
const fail = (why) => {
  console.error(why);
  process.exit(1);
};
const logger = new Logger(() => () => {});

function chosen() {
  const pairs = given.set.map((each) => each.split("="));
  const changes = Object.fromEntries(pairs.map(([name, value]) => [name, JSON.parse(value)]));
  return { ...(changes.localQueue === -1 ? DIRECT : BEST), ...changes };
}

async function enqueue() {
  const payload = JSON.parse(readFileSync(given.body, "utf8"));
  const utils = await makeWorkerUtils({ connectionString: given.database, logger });
  await utils.migrate();
  for (let start = 0; start < Number(given.events); start += 1000) {
    const many = Math.min(1000, Number(given.events) - start);
    await utils.addJobs(Array.from({ length: many }, () => ({ identifier: "post", payload })));
  }
  await utils.release();
  console.log(JSON.stringify({ events: Number(given.events) }));
}

async function drain() {
  const settings = chosen();
  const sink = new URL(given.sink);
  const http = new HttpPool(sink.origin, { connections: settings.connections });
  const looking = new Pool({ connectionString: given.database, max: 1 });
  await looking.query("SELECT 1");
  const events = Number(given.events);
  let done = 0;
  let all;
  const handled = new Promise((resolve) => (all = resolve));
  const expected = readFileSync(given.body, "utf8");
  const headers = { "content-type": "application/json" };
  const post = async (payload) => {
    const sent = JSON.stringify(payload);
    const { statusCode, body } = await http.request({ method: "POST", path: sink.pathname, headers, body: sent });
    await body.dump();
    if (statusCode !== 200 || sent !== expected) fail(`answered ${statusCode} to ${sent}`);
    done += 1;
    if (done >= events) all();
  };

  const began = process.hrtime.bigint();
  const cpu = process.cpuUsage();
  const worker = {
    connectionString: given.database,
    concurrentJobs: settings.concurrentJobs,
    maxPoolSize: settings.maxPoolSize,
    completeJobBatchDelay: settings.completeJobBatchDelay,
    logger,
  };
  if (settings.localQueue > 0) worker.localQueue = { size: settings.localQueue };
  const runner = await run({ preset: { worker }, taskList: { post }, noHandleSignals: true, parsedCronItems: [] });
  await handled;
  const left = async () => {
    const found = await looking.query("SELECT count(*)::int AS left FROM graphile_worker._private_jobs");
    return found.rows[0].left;
  };
  while (await left()) await new Promise((resolve) => setTimeout(resolve, 2));
  const seconds = Number(process.hrtime.bigint() - began) / 1e9;
  const { user, system } = process.cpuUsage(cpu);
  await runner.stop();
  await http.close();
  await looking.end();
  console.log(JSON.stringify({ seconds, cpu_seconds: (user + system) / 1e6, done, settings }));
}

const verbs = { enqueue, drain, settings: async () => console.log(JSON.stringify({ best: chosen(), sweep: SWEEP })) };
await verbs[positionals[0]]();
