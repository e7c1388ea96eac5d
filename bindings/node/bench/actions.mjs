// Actions a second and round trips: actors of one JavaScript thread, called by another process.
//
//   npm run build && SKEP_NATIVE=build/bindings/node/skep.node node bindings/node/bench/actions.mjs [ROUNDS] [SECONDS]
//
// The load comes over bare sockets, one request at a time on each, as clients of this machine would take the processor from the
// server. Round trips are those of the client package. Medians of the rounds.

import { fork } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { createClient } from "@skep/client";

const [rounds, seconds] = [Number(process.argv[2] ?? 3), Number(process.argv[3] ?? 5)];

/** The process whose actors are measured. */
async function serve(store) {
  const { actor, db, setup } = await import("skep");
  const echo = actor({ actions: { echo: (_c, n) => n } });
  const log = actor({
    db: db({ migrations: [{ version: 1, sql: "CREATE TABLE entry(id INTEGER PRIMARY KEY, text TEXT)" }] }),
    actions: {
      add: async (c, text) => void (await c.db.execute("INSERT INTO entry(text) VALUES (?)", text)),
    },
  });
  const server = await setup({ use: { echo, log } }).start({ store, listen: 0, logLevel: "error" });
  process.send(server.url);
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

async function main() {
  const folder = mkdtempSync(join(tmpdir(), "skep-bench-"));
  const server = fork(process.argv[1], [], { env: { ...process.env, SKEP_BENCH_STORE: `embedded:${folder}` } });
  const url = await new Promise((resolve, reject) => server.once("message", resolve).once("exit", reject));
  const results = { calls: [], inserts: [], p50: [], p99: [] };
  const inserts = Array.from({ length: 1_000 }, (_, i) => request(`/actors/log/k${i}/actions/add`, ["a line of text"]));
  for (let round = 0; round < rounds; ++round) {
    results.calls.push(await load(url, 32, [request("/actors/echo/a/actions/echo", [7])]));
    results.inserts.push(await load(url, 64, inserts));
    const [p50, p99] = await roundTrips(url);
    results.p50.push(p50);
    results.p99.push(p99);
  }
  show("action without SQL, HTTP, 32 connections", results.calls, "/s");
  show("action with a durable INSERT, 1,000 actors, 64 connections", results.inserts, "/s");
  show("WebSocket round trip of the client package, p50", results.p50, "µs");
  show("WebSocket round trip of the client package, p99", results.p99, "µs");
  const ended = new Promise((resolve) => server.removeAllListeners("exit").once("exit", resolve));
  server.kill("SIGTERM");
  await ended;
  rmSync(folder, { recursive: true });
}

if (process.env.SKEP_BENCH_STORE && process.send) await serve(process.env.SKEP_BENCH_STORE);
else await main();
