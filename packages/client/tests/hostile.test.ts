// Connections to a server that closes, refuses, breaks, and says nothing.

import { getEventListeners } from "node:events";

import {
  type ActorConnection,
  ActorError,
  type Client,
  type ClientOptions,
  type CloseInfo,
  createClient,
  type DefinitionOf,
} from "@skep/client";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";

import type { Registry } from "../../../testing/packages/registry.ts";
import { FakeServer } from "../../../testing/packages/fake_server.ts";

type Counter = ActorConnection<DefinitionOf<Registry, "counter">>;

let server: FakeServer;
const clients: Client<Registry>[] = [];
beforeEach(async () => {
  server = await FakeServer.start();
});
afterEach(async () => {
  for (const each of clients.splice(0)) each.dispose();
  await server.stop();
});

function clientWith(options: ClientOptions = {}): Client<Registry> {
  const client = createClient<Registry>(server.url, {
    backoff: { minMs: 1, maxMs: 2 },
    ...options,
  });
  clients.push(client);
  return client;
}
function connect(options: ClientOptions = {}): Counter {
  return clientWith(options).counter.getOrCreate("k").connect();
}
function closeOf(connection: Counter): Promise<CloseInfo> {
  return new Promise((resolve) => {
    const remove = connection.onClose((info) => {
      remove();
      resolve(info);
    });
  });
}

describe("a client whose connection is closed", () => {
  test.each([1000, 1001, 1011, 1012, 1013, 1014, 4002])("with %i comes back", async (code) => {
    const connection = connect();
    const first = await server.next();
    await first.welcome();
    const closed = closeOf(connection);
    first.socket.close(code);
    expect(await closed).toMatchObject({
      code,
      willReconnect: true,
      error: { group: "client", code: "network", retryable: true },
    });
    const second = await server.next();
    await second.welcome();
    const value = connection.value();
    await second.reply(7);
    expect(await value).toBe(7);
  });

  test.each([1002, 1003, 1007, 1008, 1009, 1010, 3000, 4000, 4001, 4003, 4999])(
    "with %i stays away",
    async (code) => {
      const connection = connect();
      const first = await server.next();
      await first.welcome();
      const closed = closeOf(connection);
      first.socket.close(code, "why");
      expect(await closed).toMatchObject({ code, reason: "why", willReconnect: false });
      await expect(connection.value()).rejects.toMatchObject({ message: "why", retryable: false });
      expect(connection.status).toBe("disconnected");
      expect(server.upgradeCount).toBe(1);
    },
  );

  test("without a close frame comes back", async () => {
    const connection = connect();
    const first = await server.next();
    await first.welcome();
    const closed = closeOf(connection);
    first.cut();
    expect(await closed).toMatchObject({ code: 1006, willReconnect: true });
    await server.next();
  });

  test("is told what the server said before", async () => {
    const connection = connect();
    const first = await server.next();
    await first.welcome();
    const closed = closeOf(connection);
    const error = {
      group: "actor",
      code: "unavailable",
      message: "the store does not answer",
      metadata: { a: 1 },
    };
    first.send({ type: "error", error, retry: true });
    first.socket.close(1013, "actor.unavailable: the store…");
    expect(await closed).toMatchObject({
      code: 1013,
      willReconnect: true,
      error: { ...error, retryable: true },
    });
  });

  test("takes a refusal's code from the close frame when that is all there is", async () => {
    const connection = connect();
    const first = await server.next();
    const closed = closeOf(connection);
    await first.next();
    first.socket.close(4000, "access.token_missing: who are you?");
    expect(await closed).toMatchObject({
      error: { group: "access", code: "token_missing", message: "who are you?" },
    });
  });
});

describe("a client whose WebSocket is not let in", () => {
  const failure = JSON.stringify({ group: "request", code: "some_code", message: "no" });

  test.each([400, 401, 403, 404, 405, 410])("with %i stays away", async (status) => {
    server.answerAll(status, failure, { "content-type": "application/json" });
    const connection = connect();
    const closed = closeOf(connection);
    await expect(connection.value()).rejects.toMatchObject({
      group: "request",
      code: "some_code",
      message: "no",
    });
    expect(await closed).toMatchObject({ code: 1006, willReconnect: false });
    expect(server.upgradeCount).toBe(1);
  });

  test("with 404 and a page of somebody else's stays away", async () => {
    server.answerAll(404, "<h1>Not here</h1>", { "content-type": "text/html" });
    await expect(connect().value()).rejects.toMatchObject({
      group: "client",
      code: "bad_response",
      metadata: { status: 404 },
    });
  });

  test.each([408, 426, 429, 500, 502, 503, 504])("with %i comes back", async (status) => {
    server.answerAll(status, failure, { "content-type": "application/json" });
    const connection = connect();
    expect(await closeOf(connection)).toMatchObject({ code: 1006, willReconnect: true });
    expect(await closeOf(connection)).toMatchObject({ code: 1006, willReconnect: true });
    server.onUpgrade = () => true;
    const peer = await server.next();
    await peer.welcome();
    const value = connection.value();
    await peer.reply(7);
    expect(await value).toBe(7);
  });

  test("because nobody listens comes back", async () => {
    const url = server.url;
    await server.stop();
    const connection = connect({});
    expect(await closeOf(connection)).toMatchObject({ willReconnect: true });
    expect(await closeOf(connection)).toMatchObject({ willReconnect: true });
    expect(connection.error).toMatchObject({
      group: "client",
      code: "network",
      message: `no connection to ${url}/actors/counter/k/connect`,
    });
    server = await FakeServer.start();
  });

  test("by a server that speaks another protocol stays away", async () => {
    // Too few bytes for a Sec-WebSocket-Accept: the handshake fails, and asked over HTTP the server
    // knows nothing.
    server.onUpgrade = (_, socket) => {
      socket.end(
        "HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: no\r\n\r\n",
      );
      return false;
    };
    server.onRequest = (_, response) => response.writeHead(404).end();
    expect(await closeOf(connect())).toMatchObject({ willReconnect: false });
  });
});

describe("a server that is silent", () => {
  test("while the WebSocket opens is given up", async () => {
    server.onUpgrade = () => false;
    const connection = connect({ connectTimeoutMs: 20 });
    expect(await closeOf(connection)).toMatchObject({ code: 1006, willReconnect: true });
    expect(await closeOf(connection)).toMatchObject({ code: 1006, willReconnect: true });
  });

  test("after the WebSocket has opened is given up", async () => {
    const connection = connect({ connectTimeoutMs: 50 });
    expect(await closeOf(connection)).toMatchObject({ code: 1006, willReconnect: true });
  });

  test("for long is asked for a sign, and given up without one", async () => {
    const connection = connect({ pingMs: 10 });
    const first = await server.next();
    await first.welcome();
    const closed = closeOf(connection);
    for (let i = 0; i < 5; ++i) {
      expect(await first.next()).toEqual({ type: "ping" });
      first.send({ type: "pong" });
    }
    expect(connection.status).toBe("connected");
    expect(await closed).toMatchObject({
      code: 1006,
      willReconnect: true,
      reason: "the server says nothing any more",
    });
    await server.next();
  });
});

describe("a server that says nonsense", () => {
  const nonsense: [string, Buffer | string][] = [
    ["bytes that are no CBOR", Buffer.from([0x1c])],
    ["no bytes", Buffer.alloc(0)],
    ["text that is no JSON", "{"],
    ["null", "null"],
    ["a number", "7"],
    ["a list", "[]"],
    ["an object without a type", "{}"],
    ["a type that is no text", '{"type": 1}'],
    ["deep nesting", Buffer.alloc(100_000, 0x81)],
  ];
  test.each(nonsense)("(%s) is left, and asked again", async (_, data) => {
    const connection = connect();
    const first = await server.next();
    await first.welcome();
    const closed = closeOf(connection);
    first.socket.send(data);
    expect(await closed).toMatchObject({ willReconnect: true, error: { code: "network" } });
    await (await server.next()).welcome();
  });

  test.each([
    ["a reserved opcode", [0x8b, 0x00]],
    ["a masked frame", [0x82, 0x81, 0, 0, 0, 0, 0]],
    ["text that is no UTF-8", [0x81, 0x02, 0xc3, 0x28]],
    ["a frame with a reserved bit", [0xc2, 0x00]],
    ["a length of 2^63", [0x82, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]],
  ])("(broken frames: %s) is left, and asked again", async (_, frame) => {
    const connection = connect();
    const first = await server.next();
    await first.welcome();
    const closed = closeOf(connection);
    (first.socket as unknown as { _socket: { write(data: Buffer): void } })._socket.write(
      Buffer.from(frame),
    );
    expect(await closed).toMatchObject({ willReconnect: true });
    await server.next();
  });

  test("(messages that nobody asked for) is not minded", async () => {
    const connection = connect();
    const seen: unknown[] = [];
    connection.on("changed", (value) => seen.push(value));
    const peer = await server.next();
    await peer.welcome();
    for (const message of [
      { type: "reply", id: 99, result: 1 },
      { type: "reply" },
      { type: "error", id: 99, error: { group: "a", code: "b", message: "c" } },
      { type: "error" },
      { type: "error", error: 7 },
      { type: "event" },
      { type: "event", name: "toString", value: 1 },
      { type: "pong", id: 1 },
      { type: "news" },
      { type: "connected", connection: "c2", stream: "s", seq: 0 },
    ]) {
      peer.send(message);
    }
    const value = connection.value();
    const call = await peer.next();
    peer.send({ type: "reply", id: call["id"], result: 1 });
    peer.send({ type: "reply", id: call["id"], result: 2 });
    peer.send({ type: "event", name: "changed", value: 3 });
    expect(await value).toBe(1);
    const second = connection.value();
    await peer.reply(4);
    expect(await second).toBe(4);
    expect(seen).toEqual([3]);
    expect(connection.status).toBe("connected");
  });
});

describe("calls", () => {
  test("that were made before there is a connection are sent in their order", async () => {
    const connection = connect();
    const calls = [connection.increment(1), connection.increment(2), connection.value()];
    const peer = await server.next();
    await peer.welcome();
    for (const args of [[1], [2], []]) expect((await peer.reply(0))["args"]).toEqual(args);
    await Promise.all(calls);
  });

  test("under way when the connection is lost fail, for nobody knows what they did", async () => {
    const connection = connect();
    const first = await server.next();
    await first.welcome();
    const call = connection.increment(1);
    await first.next();
    first.cut();
    await expect(call).rejects.toMatchObject({
      group: "client",
      code: "connection_lost",
      retryable: false,
    });
    const second = await server.next();
    await second.welcome();
    const next = connection.value();
    expect(await second.reply(5)).toMatchObject({ action: "value" });
    expect(await next).toBe(5);
  });

  test("that may happen twice are made again, before those that waited", async () => {
    const connection = connect();
    const first = await server.next();
    await first.welcome();
    const again = connection.action({ name: "increment", args: [1], idempotent: true });
    await first.next();
    const closed = closeOf(connection);
    first.cut();
    await closed;
    const waiting = connection.increment(2);
    const second = await server.next();
    await second.welcome();
    expect((await second.reply(1))["args"]).toEqual([1]);
    expect((await second.reply(2))["args"]).toEqual([2]);
    expect(await Promise.all([again, waiting])).toEqual([1, 2]);
  });

  test("that have certainly not happened are made again, as often as the client says", async () => {
    const connection = connect({ retries: 2 });
    const peer = await server.next();
    await peer.welcome();
    const overloaded = { group: "actor", code: "overloaded", message: "later" };
    const lucky = connection.increment(1);
    for (let i = 0; i < 2; ++i)
      peer.send({ type: "error", id: (await peer.next())["id"], error: overloaded, retry: true });
    await peer.reply(1);
    expect(await lucky).toBe(1);

    const unlucky = connection.increment(1);
    for (let i = 0; i < 3; ++i)
      peer.send({ type: "error", id: (await peer.next())["id"], error: overloaded, retry: true });
    await expect(unlucky).rejects.toMatchObject({ ...overloaded, retryable: true });
    const once = connection.action({ name: "increment", args: [1], retries: 0 });
    peer.send({ type: "error", id: (await peer.next())["id"], error: overloaded, retry: true });
    await expect(once).rejects.toMatchObject({ code: "overloaded" });
    expect(peer.waiting).toEqual([]);
  });

  test("beyond a hundred wait for the replies to others", async () => {
    const connection = connect();
    const peer = await server.next();
    await peer.welcome();
    const calls = Array.from({ length: 150 }, (_, i) => connection.increment(i));
    const ids: unknown[] = [];
    for (let i = 0; i < 100; ++i) ids.push((await peer.next())["id"]);
    // What the client has sent by then is here before its answer to a ping.
    const pong = new Promise((resolve) => peer.socket.once("pong", resolve));
    peer.socket.ping();
    await pong;
    expect(peer.waiting).toEqual([]);
    for (const id of ids) peer.send({ type: "reply", id, result: 0 });
    for (let i = 0; i < 50; ++i) await peer.reply(0);
    await Promise.all(calls);
  });

  test("without a connection wait only so long", async () => {
    server.onUpgrade = () => false;
    const connection = connect({ offline: { timeoutMs: 10 } });
    await expect(connection.value()).rejects.toMatchObject({
      group: "client",
      code: "offline",
      retryable: true,
    });
  });

  test("without a connection wait only so many", async () => {
    server.onUpgrade = () => false;
    const connection = connect({ offline: { callsMax: 2 } });
    const waiting = [connection.value(), connection.value()];
    await expect(connection.value()).rejects.toMatchObject({
      group: "client",
      code: "queue_full",
      retryable: true,
    });
    clients[0]!.dispose();
    for (const each of waiting) await expect(each).rejects.toMatchObject({ code: "disposed" });
  });

  test("without a connection fail at once when the client wants it so", async () => {
    const connection = connect({ offline: { policy: "fail" } });
    await expect(connection.value()).rejects.toMatchObject({
      group: "client",
      code: "offline",
      retryable: true,
    });
    const peer = await server.next();
    await peer.welcome();
    await vi.waitUntil(() => connection.status === "connected");
    const call = connection.value();
    await peer.reply(1);
    expect(await call).toBe(1);
  });

  test("that are given up while they wait are not made", async () => {
    const connection = connect();
    const giveUp = new AbortController();
    const gone = connection.action({ name: "increment", args: [1], signal: giveUp.signal });
    const stays = connection.increment(2);
    giveUp.abort();
    await expect(gone).rejects.toMatchObject({ name: "AbortError" });
    const peer = await server.next();
    await peer.welcome();
    expect((await peer.reply(0))["args"]).toEqual([2]);
    await stays;
    const never = connection.action({ name: "increment", args: [3], signal: giveUp.signal });
    await expect(never).rejects.toMatchObject({ name: "AbortError" });
    const next = connection.increment(4);
    expect((await peer.reply(0))["args"]).toEqual([4]);
    await next;
  });
});

test("a signal that lives long does not remember the calls that it was given to", async () => {
  const { signal } = new AbortController();
  server.onRequest = (_, response) =>
    response.writeHead(200, { "content-type": "application/json" }).end("1");
  const handle = clientWith().counter.getOrCreate("k");
  const connection = connect();
  const peer = await server.next();
  await peer.welcome();
  for (let i = 0; i < 20; ++i) {
    const call = connection.action({ name: "value", signal });
    await peer.reply(1);
    expect(await call).toBe(1);
    expect(await handle.action({ name: "value", signal })).toBe(1);
  }
  const lost = connection.action({ name: "value", signal });
  await peer.next();
  peer.cut();
  await expect(lost).rejects.toMatchObject({ code: "connection_lost" });
  // fetch() keeps at most a weak one for requests that are not yet collected.
  const own = getEventListeners(signal, "abort").length;
  expect(own).toBeLessThanOrEqual(20);
  const more = connection.action({ name: "value", signal });
  expect(getEventListeners(signal, "abort").length).toBe(own + 1);
  const second = await server.next();
  await second.welcome();
  await second.reply(1);
  await more;
  expect(getEventListeners(signal, "abort").length).toBe(own);
});

describe("events", () => {
  test("are subscribed to anew, from where they were seen last", async () => {
    const connection = connect();
    const seen: unknown[] = [];
    connection.on("changed", (value) => seen.push(value));
    const first = await server.next();
    const hello = await first.welcome({ stream: "s1", seq: 3 }, "c1");
    expect(hello).toEqual({ type: "connect", existence: "getOrCreate", subscribe: ["changed"] });
    first.send({ type: "event", name: "changed", value: 1, stream: "s1", seq: 5 });
    first.send({ type: "event", name: "changed", value: 2 });
    const closed = closeOf(connection);
    first.socket.close(1013);
    await closed;
    const second = await server.next();
    expect((await second.welcome({ stream: "s1", seq: 5 }, "c2"))["resume"]).toEqual({
      stream: "s1",
      seq: 5,
      connection: "c1",
    });
    second.send({ type: "event", name: "changed", value: 3, stream: "s2", seq: 1 });
    second.socket.close(1001);
    expect((await (await server.next()).next())["resume"]).toEqual({
      stream: "s2",
      seq: 1,
      connection: "c2",
    });
    expect(seen).toEqual([1, 2, 3]);
  });

  test("that are gone are told of", async () => {
    const connection = connect();
    connection.on("changed", () => {});
    let missed = 0;
    connection.onMissed(() => ++missed);
    const first = await server.next();
    await first.welcome({ stream: "s1", seq: 3 });
    first.send({ type: "missed", stream: "s2", seq: 9 });
    first.socket.close(1013);
    expect((await (await server.next()).next())["resume"]).toMatchObject({ stream: "s2", seq: 9 });
    expect(missed).toBe(1);
  });

  test("that nobody listens to cannot be missed", async () => {
    const connection = connect();
    const first = await server.next();
    await first.welcome();
    const remove = connection.on("changed", () => {});
    expect(await first.next()).toEqual({ type: "subscribe", events: ["changed"] });
    remove();
    expect(await first.next()).toEqual({ type: "unsubscribe", events: ["changed"] });
    first.cut();
    expect(await (await server.next()).next()).toEqual({
      type: "connect",
      existence: "getOrCreate",
      subscribe: [],
    });
  });

  test("that are asked for while the connection opens are asked for", async () => {
    const connection = connect();
    connection.on("changed", () => {});
    const peer = await server.next();
    const remove = connection.on("changed", () => {});
    expect((await peer.next())["subscribe"]).toEqual(["changed"]);
    // Before it is let in: messages may follow at once.
    (connection as unknown as { on(name: string, listener: () => void): void }).on(
      "other",
      () => {},
    );
    expect(await peer.next()).toEqual({ type: "subscribe", events: ["other"] });
    remove();
    expect(peer.waiting).toEqual([]);
  });

  test("reach all who listen, also when one of them throws", async () => {
    const thrown: unknown[] = [];
    const spy = vi.spyOn(globalThis, "queueMicrotask").mockImplementation((task) => {
      try {
        task();
      } catch (error) {
        thrown.push(error);
      }
    });
    const connection = connect();
    const seen: unknown[] = [];
    connection.on("changed", () => {
      throw new Error("mine");
    });
    connection.on("changed", (value) => seen.push(value));
    const peer = await server.next();
    await peer.welcome();
    const value = connection.value();
    peer.send({ type: "event", name: "changed", value: 3 });
    await peer.reply(1);
    await value;
    spy.mockRestore();
    expect(seen).toEqual([3]);
    expect(thrown).toEqual([new Error("mine")]);
  });
});

describe("who the client is", () => {
  test("is asked anew for each connection, and is in no URL", async () => {
    let count = 0;
    const client = clientWith({ getToken: async () => `secret-${++count}` });
    client.club.getOrCreate("k", { getParams: () => ({ name: `n${count}` }) }).connect();
    for (let i = 1; i <= 3; ++i) {
      const peer = await server.next();
      const hello = await peer.welcome();
      expect(hello).toMatchObject({
        token: `secret-${i}`,
        params: { name: expect.stringMatching(/^n\d$/) as string },
      });
      expect(peer.request.url).toBe("/actors/club/k/connect");
      expect(peer.request.headers.authorization).toBeUndefined();
      peer.cut();
    }
  });

  test("may have run out on the way: asked once more, then never again", async () => {
    let count = 0;
    const connection = connect({ getToken: () => `token-${++count}` });
    const refuse = async (): Promise<void> => {
      const peer = await server.next();
      await peer.next();
      peer.send({
        type: "error",
        error: { group: "access", code: "token_expired", message: "too old" },
        retry: false,
      });
      peer.socket.close(4000, "access.token_expired: too old");
    };
    const first = closeOf(connection);
    await refuse();
    expect(await first).toMatchObject({ willReconnect: true });
    const second = closeOf(connection);
    await refuse();
    expect(await second).toMatchObject({
      willReconnect: false,
      error: { group: "access", code: "token_expired" },
    });
    expect(count).toBe(2);
  });

  test("that cannot be found out now is asked for again", async () => {
    let count = 0;
    const connection = connect({
      getToken: () => {
        if (++count < 3) throw new Error("no token today");
        return "token";
      },
    });
    expect(await closeOf(connection)).toMatchObject({
      willReconnect: true,
      error: { code: "token_failed", message: "no token today" },
    });
    expect((await (await server.next()).next())["token"]).toBe("token");
    expect(count).toBe(3);
  });

  test("that another server refuses to tell ends it", async () => {
    const refused = new ActorError("access", "logged_out", "log in first");
    const connection = connect({ getToken: () => Promise.reject(refused) });
    expect(await closeOf(connection)).toMatchObject({
      willReconnect: false,
      error: { group: "access", code: "logged_out" },
    });
  });

  test("that is never found out does not hold the client up for ever", async () => {
    const connection = connect({ connectTimeoutMs: 10, getToken: () => new Promise(() => {}) });
    expect(await closeOf(connection)).toMatchObject({ willReconnect: true });
  });

  test("that cannot be sent ends it", async () => {
    const connection = clientWith()
      .actor("club")
      .getOrCreate("k")
      .connect(new Map() as unknown as { name?: string });
    await expect(connection.me()).rejects.toMatchObject({ code: "invalid_value" });
  });
});

describe("a connection that is disposed of", () => {
  test("is closed, fails its calls, and says nothing more", async () => {
    const connection = connect();
    const peer = await server.next();
    await peer.welcome();
    const call = connection.value();
    await peer.next();
    const said: unknown[] = [];
    connection.onStatusChange((status) => said.push(status));
    connection.onClose(() => said.push("closed"));
    connection.onError(() => said.push("error"));
    connection.dispose();
    connection.dispose();
    await expect(call).rejects.toMatchObject({ code: "disposed" });
    await expect(connection.value()).rejects.toMatchObject({ code: "disposed" });
    expect(await peer.closed).toBe(1000);
    connection.connect();
    expect(connection.status).toBe("idle");
    expect(said).toEqual(["idle"]);
    expect(server.upgradeCount).toBe(1);
  });

  test("while it opens, waits for its token, or waits for the next try, never opens", async () => {
    const tokens: ((token: string) => void)[] = [];
    const early = connect({ getToken: () => new Promise((resolve) => tokens.push(resolve)) });
    early.dispose();
    for (const give of tokens) give("late");

    server.answerAll(503);
    const waiting = connect({ backoff: { minMs: 60_000 } });
    await closeOf(waiting);
    const count = server.upgradeCount;
    waiting.dispose();

    server.onUpgrade = () => true;
    const opening = connect();
    opening.dispose();
    // The next one that opens is the next one that was made.
    const last = connect();
    const peer = await server.next();
    await peer.welcome();
    const value = last.value();
    await peer.reply(1);
    expect(await value).toBe(1);
    expect(server.upgradeCount).toBeLessThanOrEqual(count + 2);
    expect([early.status, waiting.status, opening.status]).toEqual(["idle", "idle", "idle"]);
  });

  test("with its client goes with it", async () => {
    const connection = connect();
    const peer = await server.next();
    await peer.welcome();
    clients[0]!.dispose();
    await peer.closed;
    expect(connection.status).toBe("idle");
  });
});

test("a client that waits tries at once when it is told to, and when the browser is online again", async () => {
  const online = new EventTarget();
  vi.stubGlobal("addEventListener", online.addEventListener.bind(online));
  vi.stubGlobal("removeEventListener", online.removeEventListener.bind(online));
  const connection = connect({ backoff: { minMs: 600_000, maxMs: 600_000 } });
  for (const again of [
    () => connection.connect(),
    () => online.dispatchEvent(new Event("online")),
    () => connection.connect(),
  ]) {
    const peer = await server.next();
    await peer.welcome();
    const closed = closeOf(connection);
    peer.socket.close(1013);
    await closed;
    again();
  }
  await server.next();
  online.dispatchEvent(new Event("online"));
  expect(server.upgradeCount).toBe(4);
  vi.unstubAllGlobals();
});

test("a client of JSON speaks text", async () => {
  const connection = connect({ encoding: "json" });
  const peer = await server.next();
  const kinds: boolean[] = [];
  peer.socket.on("message", (_, isBinary) => kinds.push(isBinary));
  expect(await peer.next()).toMatchObject({ type: "connect" });
  peer.socket.send('{"type":"connected","connection":"c","stream":"s","seq":0}');
  const call = connection.increment(1);
  const { id } = await peer.next();
  peer.socket.send(`{"type":"reply","id":${id as number},"result":2}`);
  expect(await call).toBe(2);
  expect(kinds).not.toContain(true);
});

test("a server behind a path is reached there", async () => {
  const client = createClient<Registry>(`${server.url}/behind/a/proxy/?x#y`);
  clients.push(client);
  client.counter.getOrCreate("k").connect();
  const peer = await server.next();
  expect(peer.request.url).toBe("/behind/a/proxy/actors/counter/k/connect");
  expect(peer.request.headers["sec-websocket-protocol"]).toBe("skep.1");
});

test("a runtime without a WebSocket is told so", async () => {
  class Broken {
    constructor() {
      throw new SyntaxError("not here");
    }
  }
  const connection = connect({ WebSocket: Broken as unknown as new () => WebSocket });
  await expect(connection.value()).rejects.toMatchObject({ group: "client", message: "not here" });
});
