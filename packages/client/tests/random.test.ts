// Networks that break anywhere, and servers that say anything.

import { randomUUID } from "node:crypto";

import { ActorError, createClient } from "@skep/client";
import { describe, expect, inject, test } from "vitest";

import { BrokenNetwork } from "../../../testing/packages/broken_network.ts";
import { FakeServer } from "../../../testing/packages/fake_server.ts";
import { randomOf, seed } from "../../../testing/packages/random.ts";
import type { ChatMessage, Registry } from "../../../testing/packages/registry.ts";

describe(`(seed ${seed})`, () => {
  const random = randomOf(seed);
  const below = (n: number): number => Math.floor(random() * n);

  test.each([500, 1_000, 5_000])(
    "a network that breaks after about %i bytes loses no event, and doubles no call",
    async (bytes) => {
      const network = await BrokenNetwork.start(inject("serverUrl"), () => 400 + below(2 * bytes));
      const client = createClient<Registry>(network.url, { backoff: { minMs: 1, maxMs: 3 } });
      const direct = createClient<Registry>(inject("serverUrl"));
      const key = randomUUID();
      const seen: ChatMessage[] = [];
      let missed = 0;
      const listener = client.chat.getOrCreate(key).connect();
      listener.on("message", (message) => seen.push(message));
      listener.onMissed(() => ++missed);
      // From here on it has a place in the stream.
      await listener.action({ name: "history", idempotent: true });

      const writer = client.chat.getOrCreate(key).connect();
      const done = new Set<string>();
      const unknown = new Set<string>();
      while (done.size < 100) {
        await Promise.all(
          Array.from({ length: 1 + below(4) }, async () => {
            const text = `${done.size} ${randomUUID()}`;
            try {
              await writer.send("ada", text);
              done.add(text);
            } catch (error) {
              expect(error).toMatchObject({
                group: "client",
                code: "connection_lost",
                retryable: false,
              });
              unknown.add(text);
            }
          }),
        );
      }
      await direct.chat.get(key).send("ada", "last");
      const history = await direct.chat.get(key).history();
      const texts = history.map(({ text }) => text);
      // What was answered has happened; what nobody knows of has happened once or not at all;
      // nothing else has.
      expect(new Set(texts).size).toBe(texts.length);
      for (const text of done) expect(texts).toContain(text);
      for (const text of texts.slice(0, -1)) expect(done.has(text) || unknown.has(text)).toBe(true);
      while (seen.at(-1)?.text !== "last") await new Promise(setImmediate);
      expect(seen).toEqual(history);
      expect(missed).toBe(0);
      expect(network.cutCount).toBeGreaterThan(0);
      client.dispose();
      direct.dispose();
      await network.stop();
    },
  );

  test("calls that may happen twice all come to an end on a network that breaks", async () => {
    const network = await BrokenNetwork.start(inject("serverUrl"), () => 3_000 + below(3_000));
    const client = createClient<Registry>(network.url, {
      backoff: { minMs: 1, maxMs: 3 },
      retries: 1_000,
    });
    const handle = client.values.getOrCreate("any");
    const connection = handle.connect();
    for (let round = 0; round < 10; ++round) {
      const calls = Array.from({ length: 40 }, async (_, i) => {
        const options = { name: "add", args: [i, round], idempotent: true } as const;
        expect(await (i % 2 ? handle : connection).action(options)).toBe(i + round);
      });
      await Promise.all(calls);
    }
    expect(network.cutCount).toBeGreaterThan(0);
    client.dispose();
    await network.stop();
  });

  test("a server that says anything gets no client to throw, or to hang", async () => {
    const server = await FakeServer.start();
    const types = [
      "connected",
      "reply",
      "error",
      "event",
      "missed",
      "pong",
      "call",
      "",
      "toString",
      7,
    ];
    const values = [
      undefined,
      null,
      0,
      1,
      -1,
      2 ** 60,
      "",
      "changed",
      "__proto__",
      [],
      {},
      true,
      { group: 1, code: [] },
      { group: "a", code: "b" },
    ];
    const pick = <T>(all: readonly T[]): T => all[below(all.length)]!;
    const anything = (): object =>
      Object.fromEntries(
        ["id", "result", "error", "retry", "name", "value", "stream", "seq", "connection"]
          .filter(() => below(2))
          .map((field) => [field, pick(values)]),
      );
    const client = createClient<Registry>(server.url, { backoff: { minMs: 1, maxMs: 1 } });
    const connection = client.counter.getOrCreate("k").connect();
    connection.on("changed", () => {});
    connection.onError((error) => expect(error).toBeInstanceOf(ActorError));
    for (let round = 0; round < 60; ++round) {
      const peer = await server.next();
      await peer.welcome();
      const calls = Array.from({ length: below(5) }, () =>
        connection.action({ name: "value", retries: 0 }).catch((error: unknown) => error),
      );
      for (let i = 0; i < 40; ++i) peer.send({ ...anything(), type: pick(types) });
      peer.cut();
      // A random reply may have come first.
      for (const outcome of await Promise.all(calls))
        if (outcome instanceof Error) expect(outcome).toBeInstanceOf(ActorError);
    }
    const peer = await server.next();
    await peer.welcome();
    const value = connection.value();
    await peer.reply(7);
    expect(await value).toBe(7);
    client.dispose();
    await server.stop();
  });
});
