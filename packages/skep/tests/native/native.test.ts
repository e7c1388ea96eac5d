// A registry on the real addon, and clients that come over the network.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { ActorError, createClient } from "@skep/client";
import type { Server } from "skep";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";

import { registry } from "./actors.ts";
import { key, until } from "./waiting.ts";

let server: Server;
let client: ReturnType<typeof createClient<typeof registry>>;
let directory: string;
let written: string[];

const start = async (): Promise<void> => {
  server = await registry.start({
    store: `embedded:${join(directory, "store")}`,
    listen: 0,
    signals: false,
    logLevel: "warn",
  });
  client = createClient<typeof registry>(server.url);
};
const stop = async (): Promise<void> => {
  client.dispose();
  await server.stop();
};

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "skep-registry-"));
  written = [];
  vi.spyOn(process.stderr, "write").mockImplementation(
    (text) => (written.push(String(text)), true),
  );
  await start();
});
afterAll(async () => {
  await stop();
  vi.restoreAllMocks();
  await rm(directory, { recursive: true });
});

describe("an actor", () => {
  test("keeps rows and state together, and forgets both when a call fails", async () => {
    const room = client.chatRoom.getOrCreate(key());
    expect(await room.send("ada", "hello")).toEqual({ id: 1, sender: "ada", text: "hello" });
    const failed = await room.failAfterSend("bob").catch((each: unknown) => each);
    expect(failed).toBeInstanceOf(ActorError);
    expect(failed).toMatchObject({ group: "user", code: "asked", metadata: { sender: "bob" } });
    await room.send("carl", "hi");
    expect((await room.history()).map(({ sender }) => sender)).toEqual(["ada", "carl"]);
    expect(await room.look()).toEqual([
      2,
      ["ada", "carl"],
      [
        ["ada", 5],
        ["carl", 5],
      ],
      true,
      true,
    ]);
  });
  test("is made with an input, once", async () => {
    const name = key();
    await client.chatRoom.create(name, { input: { topic: "bees" } });
    expect(await client.chatRoom.get(name).topic()).toBe("bees");
    await expect(client.chatRoom.create(name)).rejects.toMatchObject({ code: "already_exists" });
  });
  test("migrates", async () => {
    expect(await client.chatRoom.getOrCreate(key()).migrated()).toEqual([{ v: "migrated" }]);
  });
  test("masks what it does not mean to tell", async () => {
    const room = client.chatRoom.getOrCreate(key());
    for (const call of [() => room.bug(), () => room.badSql()]) {
      written.length = 0;
      const error = (await call().catch((each: unknown) => each)) as ActorError;
      expect(error).toMatchObject({ group: "internal", code: "internal" });
      const reference = /under (\w{8})$/.exec(error.message)![1]!;
      expect(written.join("")).toMatch(reference);
      expect(written.join("")).toMatch(/a secret|no such table: nowhere/);
    }
  });
  test("gets and gives values as they are", async () => {
    const values = [null, 1, -1.5, "ä€", 2 ** 53 - 1, 2n ** 62n, new Uint8Array([0, 255])];
    expect(await client.chatRoom.getOrCreate(key()).values(...values)).toEqual(values);
  });
  test("has transactions within its turn", async () => {
    expect(await client.chatRoom.getOrCreate(key()).transactions()).toEqual(["before", "kept"]);
  });
  test("has transactions that are whole whatever they wait for, and nobody sees half of one", async () => {
    const room = client.chatRoom.getOrCreate(key());
    const texts = async (): Promise<string[]> => (await room.history()).map(({ text }) => text);
    const halfway = room.halfway(60);
    const seen: string[][] = [];
    let goesOn = true;
    const ended = halfway.catch((each: unknown) => ((goesOn = false), each));
    while (goesOn) seen.push(await texts());
    expect(await ended).toMatchObject({ code: "asked" });
    // Its first statement belongs to the same turn, and that fails.
    expect(await texts()).toEqual([]);
    expect(seen.flat()).toEqual([]);
    await expect(room.keptAfterAWait()).rejects.toMatchObject({ code: "asked" });
    expect(await texts()).toEqual(["half", "whole"]);
  });
  test("whose time ends within a transaction keeps nothing of it", async () => {
    const room = client.chatRoom.getOrCreate(key());
    await expect(room.halfway(60_000)).rejects.toMatchObject({ code: "action_timed_out" });
    expect(await room.history()).toEqual([]);
  });
  test("does not wait for others within a transaction, which would end its turn", async () => {
    const refused = expect.stringContaining("not within a transaction") as string;
    const room = client.chatRoom.getOrCreate(key());
    expect(await room.waitsInTransaction()).toEqual([refused, refused, refused]);
    expect((await room.history()).map(({ text }) => text)).toEqual(["whole"]);
  });
  test("has key-value pairs", async () => {
    expect(await client.chatRoom.getOrCreate(key()).pairs()).toEqual([
      "a/1",
      7,
      [["a/2", true]],
      null,
      true,
      "gone",
    ]);
  });
  test("whose call takes too long answers, and goes on", async () => {
    const room = client.chatRoom.getOrCreate(key());
    await expect(room.forever()).rejects.toMatchObject({ code: "action_timed_out" });
    expect(await room.history()).toEqual([]);
  });
  test("keeps the changes of a call that waits, from before the wait", async () => {
    expect(await client.worker.getOrCreate(key()).waits()).toEqual(["before"]);
  });
  test("whose call fails while another one waits leaves the state to that one", async () => {
    const worker = client.worker.getOrCreate(key());
    const slow = worker.slowly();
    await until(async () => (await worker.ran()).length === 1);
    await expect(worker.failBetween()).rejects.toMatchObject({ code: "asked" });
    expect(await worker.ran()).toEqual(["before"]);
    await worker.release();
    await slow;
    expect(await worker.ran()).toEqual(["before", "after"]);
  });
  test("is there again after a restart of the process", async () => {
    const name = key();
    await client.chatRoom.create(name, { input: { topic: "bees" } });
    await client.chatRoom.get(name).send("ada", "hello");
    await stop();
    await start();
    const room = client.chatRoom.get(name);
    expect(await room.topic()).toBe("bees");
    expect(await room.look()).toEqual([1, ["ada"], [["ada", 5]], true, true]);
    expect(await room.migrated()).toEqual([{ v: "migrated" }, { v: "migrated" }]);
    expect(await room.history()).toHaveLength(1);
  });
  test("can be destroyed", async () => {
    const name = key();
    await client.worker.getOrCreate(name).remind(60_000, "never");
    await client.worker.get(name).remove();
    await until(async () => {
      const error: unknown = await client.worker
        .get(name)
        .ran()
        .catch((each: unknown) => each);
      return error instanceof ActorError && error.code === "not_found";
    });
  });
});

describe("connections", () => {
  test("have a state, get events, and see each other come and go", async () => {
    const room = client.chatRoom.getOrCreate(key());
    const ada = room.connect({ name: "ada" });
    const heard: unknown[] = [];
    ada.on("newMessage", ({ text }) => heard.push(text));
    ada.on("whisper", (text) => heard.push(text));
    expect(await ada.me()).toEqual([{ name: "ada", sent: 0 }, ["here"], 1]);
    const bob = room.connect({ name: "bob" });
    await bob.send("bob", "hello");
    await expect(bob.failAfterSend("bob")).rejects.toMatchObject({ code: "asked" });
    expect(await bob.me()).toEqual([{ name: "bob", sent: 1 }, ["here"], 2]);
    bob.dispose();
    await until(() => heard.length === 3);
    expect(heard).toEqual(["bob came", "hello", "bob went"]);
    ada.dispose();
  });
  test("may say nothing about themselves, in both encodings", async () => {
    for (const encoding of ["cbor", "json"] as const) {
      const other = createClient<typeof registry>(server.url, { encoding });
      const connection = other.chatRoom.getOrCreate(key()).connect();
      expect(await connection.me()).toEqual([{ name: "nobody", sent: 0 }, ["here"], 1]);
      other.dispose();
    }
  });
  test("are refused by the actor, and so are calls and raw requests", async () => {
    const room = client.chatRoom.getOrCreate(key());
    const mallory = room.connect({ name: "mallory" });
    await until(() => mallory.status === "disconnected");
    expect(mallory.error).toMatchObject({ code: "not_you" });
    mallory.dispose();
    const calls = client.chatRoom.getOrCreate(key(), { params: { name: "mallory" } });
    await expect(calls.history()).rejects.toMatchObject({ code: "not_you" });
    const refused = await client.page
      .getOrCreate(key())
      .fetch("/json", { headers: { "x-name": "mallory" } });
    expect([refused.status, await refused.json()]).toMatchObject([400, { code: "not_you" }]);
  });
  test("may be ended by the actor", async () => {
    const connection = client.chatRoom.getOrCreate(key()).connect({ name: "ada" });
    const closed = new Promise((resolve) => connection.onClose(resolve));
    // The connection may be gone before the reply.
    await connection
      .kick("enough")
      .catch((error: ActorError) => expect(error.code).toBe("connection_lost"));
    await closed;
    await until(() => connection.status === "disconnected");
    connection.dispose();
  });
  test("keep their state while the actor sleeps", async () => {
    const connection = client.chatRoom.getOrCreate(key()).connect({ name: "ada" });
    await connection.send("ada", "hello");
    // Longer than sleepAfter; what is seen is the same if it should not sleep by then.
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect(await connection.me()).toEqual([{ name: "ada", sent: 1 }, ["here"], 1]);
    connection.dispose();
  });
});

describe("what an actor does of its own", () => {
  test("timers run actions, with arguments as they were", async () => {
    const worker = client.worker.getOrCreate(key());
    expect(await worker.remind(30, "tea")).toEqual(["happen", "tea", true]);
    await until(async () => (await worker.ran()).length > 0);
    expect(await worker.ran()).toEqual(["tea"]);
    await expect(worker.badTimer()).rejects.toMatchObject({ code: "unknown_action" });
  });
  test("jobs run again and again, until they are removed", async () => {
    const worker = client.worker.getOrCreate(key());
    expect(await worker.plan()).toEqual([
      ["daily", "0 8 * * *", null],
      ["often", null, 50],
    ]);
    await until(async () => (await worker.runs()) >= 2);
    expect(await worker.unplan()).toBe(true);
    expect(await worker.unplan()).toBe(false);
  });
  test("messages are handled, and answered", async () => {
    const worker = client.worker.getOrCreate(key());
    expect((await worker.queue.handled.send({ n: 21 }, { wait: true })).reply).toBe(42);
    expect((await worker.queue.read.send("abc", { wait: true })).reply).toBe("ABC");
    await worker.enqueue("own");
    await until(async () => (await worker.done()).length === 3);
    expect(await worker.done()).toEqual(["handled 21", "read abc", "read own"]);
  });
  test("it calls others", async () => {
    const worker = client.worker.getOrCreate(key());
    expect(await worker.ask(`${key()}-room`)).toBe(1);
    expect(await worker.askNobody()).toBe("not_found");
    await expect(worker.pass(key())).rejects.toMatchObject({ group: "internal" });
    await until(async () => (await client.worker.get("other").done()).length === 1);
  });
});

test("actors are made by others, with an input and once, and looked for", async () => {
  const name = key();
  expect(await client.worker.getOrCreate(key()).make(name)).toEqual([
    "bees",
    "already_exists not_found",
  ]);
  expect(await client.chatRoom.get(`${name}-other`).topic()).toBe("");
});

describe("raw requests", () => {
  test("are answered whole, or as a stream", async () => {
    const page = client.page.getOrCreate(key());
    const whole = await page.fetch("/json?x=1", { method: "POST", body: "hello" });
    expect(whole.status).toBe(201);
    expect(await whole.json()).toEqual({ method: "POST", body: "hello", visits: 1 });
    const stream = await page.fetch("/stream");
    expect(stream.headers.get("content-type")).toBe("text/plain");
    expect(await stream.text()).toBe("one two three");
    expect((await page.fetch("/nothing")).status).toBe(204);
    const failed = await page.fetch("/fail");
    expect([failed.status, await failed.json()]).toEqual([
      400,
      { group: "user", code: "not_this", message: "not this" },
    ]);
    expect(await (await page.fetch("/json")).json()).toMatchObject({ visits: 4 });
  });
});

test("calls that nobody may make are refused, and those with wrong arguments", async () => {
  const post = (path: string, body: BodyInit, type = "application/json") =>
    fetch(`${server.url}/actors/worker/${key()}/${path}`, {
      method: "POST",
      body,
      headers: { "content-type": type },
    });
  expect((await post("actions/nope", "[]")).status).toBe(404);
  expect((await post("actions/ran", "{}")).status).toBe(400);
  expect((await post("actions/ran", "[")).status).toBe(400);
  expect((await post("actions/ran", new Uint8Array([0x9f]), "application/cbor")).status).toBe(400);
  expect((await post("actions/toString", "[]")).status).toBe(404);
  expect((await post("actions/constructor", "[]")).status).toBe(404);
});

test("an actor type that no client may spell is refused at the start", async () => {
  const { actor, setup } = await import("skep");
  // On this thread a registry runs already.
  await expect(
    setup({ use: { it: actor({}) } }).start({ store: "memory:", listen: 0, signals: false }),
  ).rejects.toThrow("started on this thread already");
  expect(await client.chatRoom.getOrCreate(key()).history()).toEqual([]);
});

test("the server says how it is, and what it has done", async () => {
  const get = async (path: string): Promise<string> => {
    const response = await fetch(`${server.url}${path}`);
    expect(response.status).toBe(200);
    return response.text();
  };
  await client.worker.getOrCreate(key()).ran();
  await get("/health");
  await get("/ready");
  const metrics = await get("/metrics");
  const value = (name: string): number => Number(new RegExp(`^${name} (.+)$`, "m").exec(metrics)?.[1]);
  for (const name of [
    "skep_actors_awake",
    "skep_actions_total",
    "skep_actor_creations_total",
    "skep_http_requests_total",
    "skep_commits_total",
    "skep_page_cache_bytes",
    "skep_uptime_seconds",
  ]) {
    expect.soft(value(name), name).toBeGreaterThan(0);
  }
});
