// Actions a second and round trips: actors of one JavaScript thread, called by another process; beside them, in turns, what
// somebody might write without Skep: a server of node:http whose handlers use better-sqlite3, a file for each key.
//
//   scripts/better_sqlite3.sh          once
//   npm run build && SKEP_NATIVE=build/bindings/node/skep.node node bindings/node/bench/actions.mjs [ROUNDS] [SECONDS]
//
// The load comes over bare sockets, one request at a time on each, as clients of this machine would take the processor from the
// server. Round trips are those of the client package. Medians of the rounds; ratios are the medians of those of each round.

import { fork } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { createClient } from "@skep/client";

const [rounds, seconds] = [Number(process.argv[2] ?? 3), Number(process.argv[3] ?? 5)];

const table = "CREATE TABLE entry(id INTEGER PRIMARY KEY, text TEXT)";
const rowCount = 1_000;
const fill = `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${rowCount})
  INSERT INTO entry SELECT i, 'entry number ' || i FROM n`;
const select = "SELECT id, text FROM entry WHERE id = ?";
const insert = "INSERT INTO entry(text) VALUES (?)";

/** The process whose actors are measured. */
async function serveActors(folder) {
  const { actor, db, setup } = await import("skep");
  const echo = actor({ actions: { echo: (_c, n) => n } });
  const log = actor({
    db: db({ migrations: [{ version: 1, sql: table }] }),
    actions: { add: async (c, text) => void (await c.db.execute(insert, text)) },
  });
  const shelf = actor({
    db: db({ migrations: [{ version: 1, sql: `${table}; ${fill}` }] }),
    actions: { find: async (c, id) => (await c.db.execute(select, id))[0] },
  });
  const server = await setup({ use: { echo, log, shelf } }).start({ store: `embedded:${folder}`, listen: 0, logLevel: "error" });
  process.send(server.url);
}

/** The process of the others: the same addresses, bodies and durability. */
async function serveBase(folder) {
  const { createServer } = await import("node:http");
  const { createRequire } = await import("node:module");
  const Database = createRequire(new URL("../../../build/better-sqlite3/package.json", import.meta.url))("better-sqlite3");
  const files = new Map();
  const open = (type, key) => {
    const file = new Database(join(folder, `${type}-${key}.sqlite`));
    file.pragma("journal_mode = WAL");
    file.pragma("synchronous = FULL"); // what is answered is on disk
    file.exec(type === "shelf" ? `${table}; ${fill}` : table);
    return { select: file.prepare(select), insert: file.prepare(insert) };
  };
  const fileOf = (type, key) => {
    const name = `${type}/${key}`;
    let file = files.get(name);
    if (!file) files.set(name, (file = open(type, key)));
    return file;
  };
  const actions = {
    echo: (_type, _key, n) => n,
    add: (type, key, text) => void fileOf(type, key).insert.run(text),
    find: (type, key, id) => fileOf(type, key).select.get(id),
  };
  const server = createServer((request, response) => {
    let body = "";
    request.setEncoding("utf8").on("data", (text) => (body += text));
    request.on("end", () => {
      const [, , type, key, , name] = request.url.split("/");
      const result = JSON.stringify(actions[name](type, key, ...JSON.parse(body)) ?? null);
      response.writeHead(200, { "content-type": "application/json", "content-length": Buffer.byteLength(result) });
      response.end(result);
    });
  });
  server.listen(0, "127.0.0.1", () => process.send(`http://127.0.0.1:${server.address().port}`));
}

/** Requests a second over so many connections, each to the next of the actors, for so long. */
async function load(url, connectionCount, requests) {
  const { hostname, port } = new URL(url);
  let done = 0;
  let next = 0;
  const sockets = await Promise.all(
    Array.from(
      { length: connectionCount },
      () =>
        new Promise((resolve, reject) => {
          const socket = connect(Number(port), hostname, () => resolve(socket));
          socket.setNoDelay(true).once("error", reject);
        }),
    ),
  );
  const ask = (socket) => socket.write(requests[next++ % requests.length]);
  for (const socket of sockets) {
    let text = "";
    socket.on("data", (bytes) => {
      text += bytes.toString("latin1");
      const end = text.indexOf("\r\n\r\n");
      if (end < 0) return;
      const length = Number(/\r\ncontent-length: *(\d+)/i.exec(text)?.[1] ?? 0);
      if (text.length < end + 4 + length) return;
      if (!/^HTTP\/1\.1 20[04]/.test(text)) throw new Error(text);
      text = "";
      ++done;
      ask(socket);
    });
    ask(socket);
  }
  const measure = async (ms) => {
    const [before, start] = [done, performance.now()];
    await new Promise((resolve) => setTimeout(resolve, ms));
    return ((done - before) * 1_000) / (performance.now() - start);
  };
  await measure(1_000);
  const rate = await measure(seconds * 1_000);
  for (const socket of sockets) socket.removeAllListeners("data").destroy();
  return rate;
}

function request(path, args) {
  const body = JSON.stringify(args);
  return `POST ${path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`;
}

/** Microseconds of one round trip over a connection of the client package: p50 and p99. */
async function roundTrips(url) {
  const client = createClient(url);
  const connection = client.echo.getOrCreate("a").connect();
  const times = [];
  for (let i = 0; i < 12_000; ++i) {
    const start = performance.now();
    await connection.echo(i);
    if (i >= 2_000) times.push((performance.now() - start) * 1_000);
  }
  client.dispose();
  times.sort((a, b) => a - b);
  return [times[times.length / 2], times[times.length * 0.99]];
}

const median = (all) => all.toSorted((a, b) => a - b)[Math.floor(all.length / 2)];
const range = (all) => `${Math.round(Math.min(...all))} to ${Math.round(Math.max(...all))}`;
function show(what, all, unit) {
  console.log(`${what.padEnd(62)} ${Math.round(median(all))} ${unit} (${range(all)})`);
}

async function begin(role, folder) {
  const child = fork(process.argv[1], [], { env: { ...process.env, SKEP_BENCH_ROLE: role, SKEP_BENCH_FOLDER: folder } });
  const url = await new Promise((resolve, reject) => child.once("message", resolve).once("exit", reject));
  const end = async () => {
    const ended = new Promise((resolve) => child.removeAllListeners("exit").once("exit", resolve));
    child.kill("SIGTERM");
    await ended;
  };
  return { url, end };
}

async function main() {
  const folder = mkdtempSync(join(tmpdir(), "skep-bench-"));
  mkdirSync(join(folder, "base"));
  const actors = await begin("actors", join(folder, "store"));
  const base = existsSync(new URL("../../../build/better-sqlite3/package.json", import.meta.url)) ? await begin("base", join(folder, "base")) : undefined;
  if (!base) console.log("better-sqlite3 is not built: scripts/better_sqlite3.sh builds it. Without it there are no ratios.");
  const cases = {
    "action without SQL, HTTP, 32 connections": [32, [request("/actors/echo/a/actions/echo", [7])]],
    "action with a point SELECT, 32 connections": [
      32,
      Array.from({ length: 997 }, (_, i) => request("/actors/shelf/a/actions/find", [((i * 7) % rowCount) + 1])),
    ],
    "action with a durable INSERT, 1,000 actors, 64 connections": [
      64,
      Array.from({ length: 1_000 }, (_, i) => request(`/actors/log/k${i}/actions/add`, ["a line of text"])),
    ],
  };
  const rates = Object.fromEntries(Object.keys(cases).map((name) => [name, { ours: [], theirs: [] }]));
  const trips = { p50: [], p99: [] };
  for (let round = 0; round < rounds; ++round) {
    for (const [name, [connections, requests]] of Object.entries(cases)) {
      rates[name].ours.push(await load(actors.url, connections, requests));
      if (base) rates[name].theirs.push(await load(base.url, connections, requests));
    }
    const [p50, p99] = await roundTrips(actors.url);
    trips.p50.push(p50);
    trips.p99.push(p99);
  }
  for (const [name, { ours, theirs }] of Object.entries(rates)) {
    show(name, ours, "/s");
    if (!base) continue;
    show("  node:http and better-sqlite3", theirs, "/s");
    console.log(`  ratio ${median(ours.map((each, i) => each / theirs[i])).toFixed(2)} ×`);
  }
  show("WebSocket round trip of the client package, p50", trips.p50, "µs");
  show("WebSocket round trip of the client package, p99", trips.p99, "µs");
  await actors.end();
  await base?.end();
  rmSync(folder, { recursive: true });
}

const { SKEP_BENCH_ROLE: role, SKEP_BENCH_FOLDER: its } = process.env;
if (role === "actors") await serveActors(its);
else if (role === "base") await serveBase(its);
else await main();
