// The client against a real server: actions, events, values, failures.

import { randomUUID } from "node:crypto";

import { ActorError, type Client, createClient } from "@skep/client";
import { afterEach, beforeEach, describe, expect, inject, test } from "vitest";

import type { Registry } from "../../../testing/packages/registry.ts";

describe.each(["cbor", "json"] as const)("with %s", (encoding) => {
  let client: Client<Registry>;
  beforeEach(() => {
    client = createClient<Registry>(inject("serverUrl"), { encoding });
  });
  afterEach(() => client.dispose());

  test("an action is called over HTTP", async () => {
    const counter = client.counter.getOrCreate(randomUUID());
    expect(await counter.increment(5)).toBe(5);
    expect(await counter.action({ name: "increment", args: [2] })).toBe(7);
    expect(await counter.action({ name: "value" })).toBe(7);
  });

  test("an action is called over a connection, and what it broadcasts comes before its reply", async () => {
    const room = client.chat.getOrCreate(["room", randomUUID()]).connect();
    const seen: string[] = [];
    room.on("message", ({ text }) => seen.push(text));
    expect(await room.send("ada", "hello")).toEqual({ id: 1, sender: "ada", text: "hello" });
    expect(seen).toEqual(["hello"]);
    expect(room.status).toBe("connected");
  });

  test("an argument that is left out at the end is left out", async () => {
    const values = client.values.getOrCreate("any").connect();
    expect(await values.both("a", "b")).toBe("a/b");
    await expect(values.action({ name: "both", args: ["a"] })).rejects.toMatchObject({
      code: "invalid_arguments",
    });
  });

  test("what an actor throws is an ActorError, over HTTP and over a connection", async () => {
    const handle = client.values.getOrCreate("any");
    const connection = handle.connect();
    for (const caller of [handle, connection]) {
      const error = await caller.fail("not_today").catch((reason: unknown) => reason);
      expect(error).toBeInstanceOf(ActorError);
      expect(error).toMatchObject({
        group: "user",
        code: "not_today",
        message: "as you asked",
        metadata: { asked: true },
        retryable: false,
      });
      await expect(caller.crash()).rejects.toMatchObject({ group: "internal", code: "internal" });
    }
  });

  test("a key's parts are kept apart, whatever is in them", async () => {
    const keys = [
      ["a", "b"],
      ["a,b"],
      ["a/b"],
      ["actions", "x"],
      ["x", "connect"],
      ["é ?#%2F", "queues"],
      ["request"],
    ];
    for (const [index, key] of keys.entries()) {
      const unique = [randomUUID(), ...key];
      await client.counter.getOrCreate(unique).increment(index + 1);
      const connection = client.counter.getOrCreate(unique).connect();
      expect(await connection.value()).toBe(index + 1);
      connection.dispose();
    }
    for (const key of [["a", ".."], ["."], [""], [], ["\ud800"]]) {
      await expect(client.counter.getOrCreate(key).value()).rejects.toMatchObject({
        code: "invalid_address",
      });
      expect(() => client.counter.getOrCreate(key).connect()).toThrow(ActorError);
    }
  });
});

describe("an actor", () => {
  let client: Client<Registry>;
  beforeEach(() => {
    client = createClient<Registry>(inject("serverUrl"));
  });
  afterEach(() => client.dispose());

  test("is not made by get", async () => {
    const counter = client.counter.get(randomUUID());
    await expect(counter.value()).rejects.toMatchObject({ group: "actor", code: "not_found" });
    await expect(counter.resolve()).rejects.toMatchObject({ group: "actor", code: "not_found" });
    const connection = counter.connect();
    await expect(connection.value()).rejects.toMatchObject({ group: "actor", code: "not_found" });
    expect(connection.status).toBe("disconnected");
  });

  test("is made once by create", async () => {
    const key = randomUUID();
    const counter = await client.counter.create(key, { input: { start: 40 } });
    expect(await counter.increment(2)).toBe(42);
    await expect(client.counter.create(key)).rejects.toMatchObject({ code: "already_exists" });
    expect(await client.counter.get(key).value()).toBe(42);
  });

  test("gets its input from who calls it first", async () => {
    const key = randomUUID();
    const first = client.counter.getOrCreate(key, { createWithInput: { start: 10 } });
    expect(await first.increment(1)).toBe(11);
    expect(await client.counter.getOrCreate(key, { createWithInput: { start: 20 } }).value()).toBe(
      11,
    );
    const other = client.counter
      .getOrCreate(randomUUID(), { createWithInput: { start: 30 } })
      .connect();
    expect(await other.value()).toBe(30);
  });

  test("is resolved without a call", async () => {
    const key = randomUUID();
    await client.counter.getOrCreate(key).resolve();
    await client.counter.get(key).resolve();
  });

  test("has bytes and integers of 64 bits that arrive as they went", async () => {
    const handle = client.values.getOrCreate("any");
    const values = [
      0,
      -1,
      23,
      24,
      255,
      256,
      65_535,
      65_536,
      2 ** 32,
      Number.MAX_SAFE_INTEGER,
      Number.MIN_SAFE_INTEGER,
      1.5,
      -0.1,
      1e300,
      9223372036854775807n,
      -9223372036854775808n,
      18446744073709551615n,
      "",
      "é\u{1F600}\uFEFF",
      true,
      null,
      new Uint8Array([0, 255]),
      new Uint8Array(70_000).fill(7),
      [],
      {},
      { a: [{ b: new Uint8Array(0) }] },
    ];
    const connection = handle.connect();
    for (const caller of [handle, connection]) {
      expect(await caller.echo(values)).toEqual(values);
      expect(await caller.add(9007199254740993n, 1)).toBe(9007199254740994n);
      expect(await caller.reverse(new Uint8Array([1, 2, 3]))).toEqual(new Uint8Array([3, 2, 1]));
    }
    const seen: unknown[] = [];
    connection.on("echoed", (value) => seen.push(value));
    await connection.announce(values);
    expect(seen).toEqual([values]);
  });

  test("has dates as JSON has them", async () => {
    const at = new Date("2026-01-31T08:15:00.123Z");
    expect(await client.values.getOrCreate("any").echo({ at })).toEqual({
      at: "2026-01-31T08:15:00.123Z",
    });
  });

  test("is told who its client is", async () => {
    const ada = client.club.getOrCreate("club", { params: { name: "ada" } }).connect();
    expect(await ada.me()).toBe("ada");
    const eve = client.club.getOrCreate("club").connect({ name: "eve" });
    expect(await eve.me()).toBe("eve");
    const other = client.club
      .getOrCreate("club", { getParams: async () => ({ name: "late" }) })
      .connect();
    expect(await other.me()).toBe("late");
  });

  test("sends nothing to a listener that was taken away", async () => {
    const connection = client.counter.getOrCreate(randomUUID()).connect();
    const seen: string[] = [];
    const remove = connection.on("changed", (value) => seen.push(`on ${value}`));
    connection.once("changed", (value) => seen.push(`once ${value}`));
    await connection.increment(1);
    await connection.increment(1);
    remove();
    await connection.increment(1);
    connection.on("changed", (value) => seen.push(`again ${value}`));
    await connection.increment(1);
    expect(seen).toEqual(["on 1", "once 1", "on 2", "again 4"]);
  });

  test("answers a call that was given up, but nobody hears it", async () => {
    const handle = client.values.getOrCreate("any");
    const connection = handle.connect();
    for (const caller of [handle, connection]) {
      const giveUp = new AbortController();
      const call = caller.action({ name: "wait", args: [100], signal: giveUp.signal });
      setTimeout(() => giveUp.abort(new Error("enough")), 5);
      await expect(call).rejects.toThrow("enough");
      const before = AbortSignal.abort(new Error("before"));
      await expect(caller.action({ name: "wait", args: [1], signal: before })).rejects.toThrow(
        "before",
      );
      expect(await caller.wait(0)).toBe(0);
    }
  });

  test("answers many calls at once", async () => {
    const connection = client.values.getOrCreate("any").connect();
    const calls = Array.from({ length: 500 }, (_, i) => connection.add(i, 1));
    expect(await Promise.all(calls)).toEqual(Array.from({ length: 500 }, (_, i) => i + 1));
  });
});

describe("a refusal for good", () => {
  test.each([
    ["mallory", { group: "request", code: "forbidden", message: "you are banned" }],
    ["bob", { group: "user", code: "name_taken", message: "bob is here already" }],
  ])("of %s ends the connection, its calls, and the tries", async (name, expected) => {
    const client = createClient<Registry>(inject("serverUrl"), { backoff: { minMs: 1 } });
    const connection = client.club.getOrCreate("club", { params: { name } }).connect();
    const statuses: string[] = [];
    const errors: ActorError[] = [];
    connection.onStatusChange((status) => statuses.push(status));
    connection.onError((error) => errors.push(error));
    const closed = new Promise((resolve) => connection.onClose(resolve));
    await expect(connection.me()).rejects.toMatchObject(expected);
    expect(await closed).toMatchObject({ code: 4000, willReconnect: false });
    expect(connection.error).toMatchObject(expected);
    await expect(connection.me()).rejects.toMatchObject(expected);
    expect(statuses).toEqual(["disconnected"]);
    expect(errors).toHaveLength(1);
    const handle = client.club.getOrCreate("club", { getParams: () => ({ name }) });
    await expect(handle.me()).rejects.toMatchObject(expected);
    await expect(handle.resolve()).rejects.toMatchObject(expected);
    client.dispose();
  });

  test("is not for those whose parameters are good, over HTTP too", async () => {
    const client = createClient<Registry>(inject("serverUrl"));
    expect(await client.club.getOrCreate("club", { params: { name: "Jürgen" } }).me()).toBe(
      "nobody",
    );
    const getParams = (): Promise<{ name: string }> => Promise.reject(new Error("lost"));
    const broken = client.club.getOrCreate("club", { getParams });
    await expect(broken.me()).rejects.toMatchObject({ code: "params_failed" });
    client.dispose();
  });

  test("by parameters that the actor does not know", async () => {
    const client = createClient(inject("serverUrl"));
    const connection = client.actor("club").getOrCreate("club").connect({ nome: "ada" });
    await expect(connection.action({ name: "me" })).rejects.toMatchObject({
      code: "invalid_arguments",
    });
    client.dispose();
  });

  test("by an actor type that nobody hosts", async () => {
    const client = createClient(inject("serverUrl"));
    const handle = client.actor("nothing").getOrCreate("any");
    await expect(handle.action({ name: "a" })).rejects.toMatchObject({ code: "unknown_type" });
    await expect(handle.connect().action({ name: "a" })).rejects.toMatchObject({
      code: "unknown_type",
    });
    client.dispose();
  });

  test("of a WebSocket is found out, although a browser is not told why", async () => {
    const elsewhere = createClient<Registry>(`${inject("serverUrl")}/elsewhere`);
    const lost = elsewhere.counter.getOrCreate("k").connect();
    await expect(lost.value()).rejects.toMatchObject({ group: "request", code: "not_found" });
    expect(lost.status).toBe("disconnected");
    const client = createClient<Registry>(inject("serverUrl"));
    const tooLong = client.counter.getOrCreate(Array.from({ length: 17 }, () => "part")).connect();
    await expect(tooLong.value()).rejects.toMatchObject({ group: "request", code: "invalid_address" });
    elsewhere.dispose();
    client.dispose();
  });

  test("is tried again when the client is told to", async () => {
    const client = createClient<Registry>(inject("serverUrl"));
    let name = "bob";
    const connection = client.club.getOrCreate("club", { getParams: () => ({ name }) }).connect();
    await expect(connection.me()).rejects.toMatchObject({ code: "name_taken" });
    name = "ada";
    connection.connect();
    expect(await connection.me()).toBe("ada");
    client.dispose();
  });

  test("comes when the actor is destroyed, or ends the connection itself", async () => {
    const client = createClient<Registry>(inject("serverUrl"));
    for (const [call, expected] of [
      ["vanish", { code: 4000, error: { code: "destroyed" }, willReconnect: false }],
      [
        "endAll",
        {
          code: 4001,
          error: { group: "actor", code: "disconnected", message: "that's it" },
          willReconnect: false,
        },
      ],
    ] as const) {
      const connection = client.chat.getOrCreate(randomUUID()).connect();
      await connection.history();
      const closed = new Promise((resolve) => connection.onClose(resolve));
      if (call === "vanish") await connection.vanish().catch(() => {});
      else await connection.endAll("that's it").catch(() => {});
      expect(await closed).toMatchObject(expected);
    }
    client.dispose();
  });
});

test("an event that the actor does not have is an error of the connection, which lives on", async () => {
  const client = createClient(inject("serverUrl"));
  const connection = client.actor("counter").getOrCreate(randomUUID()).connect();
  await connection.action({ name: "value" });
  const error = new Promise((resolve) => connection.onError(resolve));
  connection.on("chnaged", () => {});
  expect(await error).toMatchObject({ group: "actor", code: "unknown_event" });
  expect(await connection.action({ name: "increment", args: [1] })).toBe(1);
  client.dispose();
});

test("a value that cannot be sent fails its call alone", async () => {
  const client = createClient<Registry>(inject("serverUrl"));
  const handle = client.values.getOrCreate("any");
  const connection = handle.connect();
  const itself: unknown[] = [];
  itself.push(itself);
  for (const caller of [handle, connection]) {
    for (const value of [() => 1, new Map(), 2n ** 64n, itself]) {
      const echo = value instanceof Function ? caller.echo(Symbol()) : caller.echo(value);
      if (value instanceof Function) await expect(echo).resolves.toBe(null);
      else await expect(echo).rejects.toMatchObject({ group: "client", code: "invalid_value" });
    }
  }
  await expect(connection.echo("x".repeat(2 ** 20))).rejects.toMatchObject({
    group: "client",
    code: "too_large",
  });
  expect(await connection.echo("x".repeat(2 ** 19))).toHaveLength(2 ** 19);
  client.dispose();
});
