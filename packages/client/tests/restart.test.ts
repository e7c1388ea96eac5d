// A server that is killed, stopped and started again while clients are connected.

import { randomUUID } from "node:crypto";

import { ActorError, createClient } from "@skep/client";
import { afterEach, beforeEach, expect, test } from "vitest";

import type { ChatMessage, Registry } from "../../../testing/packages/registry.ts";
import { TestServer } from "../../../testing/packages/server.ts";

let server: TestServer;
beforeEach(async () => {
  server = await TestServer.start({ durable: true });
});
afterEach(() => server[Symbol.asyncDispose]());

const backoff = { minMs: 5, maxMs: 100 };

test("a client whose server is killed loses no message that was acknowledged, and sees each event once and in order", async () => {
  const client = createClient<Registry>(server.url, { backoff });
  const handle = client.chat.getOrCreate(randomUUID());
  const seen: ChatMessage[] = [];
  let missed = 0;
  const listener = handle.connect();
  listener.on("keptMessage", (message) => seen.push(message));
  listener.onMissed(() => ++missed);
  const writer = handle.connect();

  const acknowledged: number[] = [];
  const unknown: string[] = [];
  for (let round = 0; round < 4; ++round) {
    let isOver = false;
    const write = async (name: string): Promise<void> => {
      for (let i = 0; !isOver; ++i) {
        const text = `${round}.${i}`;
        try {
          acknowledged.push((await writer.send(name, text)).id);
        } catch (error) {
          expect(error).toBeInstanceOf(ActorError);
          unknown.push((error as ActorError).code);
        }
      }
    };
    const writers = ["ada", "eve", "mallory"].map(write);
    const goal = acknowledged.length + 60;
    while (acknowledged.length < goal) await new Promise(setImmediate);
    await server.kill();
    await server.start();
    isOver = true;
    await Promise.all(writers);
  }
  await writer.send("ada", "last");
  const history = await handle.history();
  const ids = new Set(history.map(({ id }) => id));
  for (const id of acknowledged) expect(ids).toContain(id);
  expect(history.length).toBeLessThanOrEqual(acknowledged.length + unknown.length + 1);
  expect(new Set(unknown)).toEqual(new Set(["connection_lost"]));

  // Events are kept in the database: the listener has all of them, as they are there.
  while (seen.at(-1)?.text !== "last") await new Promise(setImmediate);
  expect(seen).toEqual(history);
  expect(missed).toBe(0);
  client.dispose();
});

test("a client is told when events were lost that nobody kept", async () => {
  const client = createClient<Registry>(server.url, { backoff });
  const room = client.chat.getOrCreate(randomUUID()).connect();
  room.on("message", () => {});
  await room.send("ada", "before");
  const missed = new Promise<void>((resolve) => room.onMissed(resolve));
  await server.kill();
  await server.start();
  await missed;
  expect(await room.history()).toHaveLength(1);
  client.dispose();
});

test("a server that stops in order answers what is under way, and its clients come back", async () => {
  const client = createClient<Registry>(server.url, { backoff });
  const values = client.values.getOrCreate("any").connect();
  await values.echo(1);
  const closed = new Promise((resolve) => values.onClose(resolve));
  const underWay = values.wait(50);
  // The call is there: a server answers calls of a connection in any order, but begins them in
  // theirs.
  await values.echo(2);
  const stopped = server.stop();
  expect(await underWay).toBe(50);
  expect(await closed).toMatchObject({ code: 1001, willReconnect: true });
  await stopped;
  const waits = values.echo(3);
  await server.start();
  expect(await waits).toBe(3);
  client.dispose();
});

test("calls over HTTP that may happen twice outlast a restart", async () => {
  const client = createClient<Registry>(server.url, { backoff, retries: 1_000 });
  const counter = client.counter.getOrCreate(randomUUID());
  await counter.increment(1);
  await server.kill();
  const call = counter.action({ name: "value", idempotent: true });
  await expect(counter.value()).rejects.toMatchObject({ group: "client", code: "network" });
  await server.start();
  expect(await call).toBe(1);
});
