// Calls over HTTP to a server that fails in each way.

import {
  type ActorHandle,
  ActorError,
  type ClientOptions,
  createClient,
  type DefinitionOf,
} from "@skep/client";
import { afterEach, beforeEach, expect, test } from "vitest";

import type { Registry } from "../../../testing/packages/registry.ts";
import { decodeCbor, encodeCbor } from "../src/cbor.ts";
import { FakeServer } from "../../../testing/packages/fake_server.ts";

let server: FakeServer;
beforeEach(async () => {
  server = await FakeServer.start();
});
afterEach(() => server.stop());

function counterOf(options: ClientOptions = {}): ActorHandle<DefinitionOf<Registry, "counter">> {
  return createClient<Registry>(server.url, {
    backoff: { minMs: 1, maxMs: 2 },
    ...options,
  }).counter.getOrCreate("k");
}
/** Answers in this order; the last for all that follow. */
function answer(
  ...answers: { status: number; body?: unknown; headers?: Record<string, string> }[]
): void {
  server.onRequest = (_, response) => {
    const { status, body, headers } = answers.length > 1 ? answers.shift()! : answers[0]!;
    response.writeHead(status, { "content-type": "application/cbor", ...headers });
    response.end(encodeCbor(body));
  };
}
const overloaded = { group: "actor", code: "overloaded", message: "later" };

test("a call is a POST of its arguments, in CBOR, with the token and the headers that the client was given", async () => {
  answer({ status: 200, body: 7 });
  const counter = counterOf({ getToken: async () => "secret", headers: { "x-trace": "1" } });
  expect(await counter.increment(5)).toBe(7);
  const [request] = server.requests;
  expect(request).toMatchObject({
    method: "POST",
    url: "/actors/counter/k/actions/increment",
    headers: {
      authorization: "Bearer secret",
      "x-trace": "1",
      "content-type": "application/cbor",
      accept: "application/cbor",
    },
  });
  expect(decodeCbor(request!.body)).toEqual([5]);
});

test("a call that has certainly not happened is made again", async () => {
  answer(
    { status: 503, body: overloaded },
    { status: 503, body: overloaded },
    { status: 200, body: 7 },
  );
  expect(await counterOf().increment(5)).toBe(7);
  expect(server.requests).toHaveLength(3);
});

test("a call is made again whatever the code, if the server says that it may be", async () => {
  const limited = { group: "request", code: "rate_limited", message: "slowly" };
  answer({ status: 429, body: limited, headers: { "retry-after": "1" } }, { status: 200, body: 7 });
  expect(await counterOf().increment(5)).toBe(7);
});

test("a call is made again only so often", async () => {
  answer({ status: 503, body: overloaded });
  await expect(counterOf({ retries: 2 }).increment(5)).rejects.toMatchObject({
    ...overloaded,
    retryable: true,
  });
  expect(server.requests).toHaveLength(3);
  await expect(
    counterOf().action({ name: "increment", args: [5], retries: 0 }),
  ).rejects.toMatchObject(overloaded);
  expect(server.requests).toHaveLength(4);
});

test("a call that may have happened is not made again", async () => {
  for (const failure of [
    { group: "actor", code: "broken", message: "" },
    { group: "internal", code: "internal", message: "" },
    { group: "actor", code: "action_timed_out", message: "" },
  ]) {
    answer({ status: 503, body: failure });
    await expect(counterOf().increment(5)).rejects.toMatchObject({ ...failure, retryable: false });
  }
  expect(server.requests).toHaveLength(3);
});

test("a call whose answer is lost fails, unless it may happen twice", async () => {
  let count = 0;
  server.onRequest = (request, response) => {
    if (++count % 2 === 1) return request.socket.destroy();
    response.writeHead(200, { "content-type": "application/json" }).end("7");
  };
  await expect(counterOf().increment(5)).rejects.toMatchObject({
    group: "client",
    code: "network",
    retryable: false,
  });
  expect(count).toBe(1);
  count = 0;
  expect(await counterOf().action({ name: "increment", args: [5], idempotent: true })).toBe(7);
  expect(count).toBe(2);
});

test("an answer that is cut off is no answer", async () => {
  server.onRequest = (request, response) => {
    response.writeHead(200, { "content-type": "application/cbor", "content-length": "100" });
    response.write(Buffer.from([0x07]), () => request.socket.destroy());
  };
  await expect(counterOf().increment(5)).rejects.toMatchObject({
    group: "client",
    code: "network",
  });
});

test("an answer that is not Skep's is said to be none", async () => {
  for (const [status, type, body] of [
    [502, "text/html", "<h1>Bad gateway</h1>"],
    [200, "text/html", "<h1>Please log in</h1>"],
    [200, "application/json", "{"],
    [200, "application/cbor", "\x1c"],
    [500, "application/json", '{"message":"no code"}'],
    [404, "application/json", "null"],
  ] as const) {
    server.onRequest = (_, response) =>
      response.writeHead(status, { "content-type": type }).end(body);
    const error = await counterOf()
      .increment(5)
      .catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(ActorError);
    expect(error).toMatchObject({
      group: "client",
      code: "bad_response",
      metadata: { status },
      retryable: false,
    });
  }
});

test("a call that waits before it is made again can be given up", async () => {
  answer({ status: 503, body: overloaded });
  const giveUp = new AbortController();
  const call = counterOf({ backoff: { minMs: 600_000, maxMs: 600_000 } }).action({
    name: "value",
    signal: giveUp.signal,
  });
  setTimeout(() => giveUp.abort(new Error("enough")), 20);
  await expect(call).rejects.toThrow("enough");
});

test("a token that cannot be had fails the call", async () => {
  const counter = counterOf({ getToken: () => Promise.reject(new Error("logged out")) });
  await expect(counter.value()).rejects.toMatchObject({
    group: "client",
    code: "token_failed",
    message: "logged out",
  });
  expect(server.requests).toEqual([]);
});

test("a request to the actor's own handler is passed on, and its answer is handed back", async () => {
  server.onRequest = (_, response) => response.writeHead(418, { "x-own": "1" }).end("teapot");
  const counter = counterOf({ getToken: () => "secret" });
  const response = await counter.fetch("/a/b%20c?d=e", {
    method: "PATCH",
    body: "x",
    headers: { "content-type": "text/plain" },
  });
  expect([response.status, response.headers.get("x-own"), await response.text()]).toEqual([
    418,
    "1",
    "teapot",
  ]);
  expect(server.requests[0]).toMatchObject({
    method: "PATCH",
    url: "/actors/counter/k/request/a/b%20c?d=e",
    headers: { authorization: "Bearer secret", "content-type": "text/plain" },
  });
  for (const path of [
    "../actions/increment",
    "a/../../../l/request/",
    "%2e%2e/queues/q",
    "..\\..\\x",
  ]) {
    await expect(counter.fetch(path)).rejects.toMatchObject({ code: "invalid_address" });
  }
  await counter.fetch("plain", { headers: { authorization: "Basic own" } });
  expect(server.requests[1]).toMatchObject({
    url: "/actors/counter/k/request/plain",
    headers: { authorization: "Basic own" },
  });
});

test("a request to the own handler of an actor says whether it is to be made", async () => {
  answer({ status: 200, body: null });
  const { counter } = createClient<Registry>(server.url);
  await counter.getOrCreate("k").fetch("a");
  await counter.get("k").fetch("b");
  await counter.getOrCreate("k", { createWithInput: { start: 1 } }).fetch("c");
  const seen = server.requests.map(({ method, url, headers }) => [
    `${method} ${url}`,
    headers["x-skep-existence"],
  ]);
  expect(seen).toEqual([
    ["GET /actors/counter/k/request/a", undefined],
    ["GET /actors/counter/k/request/b", "get"],
    ["PUT /actors/counter/k", undefined],
    ["GET /actors/counter/k/request/c", "get"],
  ]);
});

test("a message goes to its queue with what the caller wants", async () => {
  answer({ status: 200, body: { id: 7, reply: 2 } });
  const { additions } = counterOf().queue;
  expect(await additions.send(1)).toEqual({ id: 7, reply: 2 });
  expect((await additions.send(1, { wait: true })).reply).toBe(2);
  await additions.send(1, { wait: true, timeout: 500, delay: 10 });
  expect(server.requests.map(({ method, url }) => `${method} ${url}`)).toEqual([
    "POST /actors/counter/k/queues/additions",
    "POST /actors/counter/k/queues/additions?wait=true",
    "POST /actors/counter/k/queues/additions?wait=500&delay=10",
  ]);
  expect(server.requests.map(({ body }) => decodeCbor(body))).toEqual([1, 1, 1]);
});

test("a handle is no promise, and no tool takes it for something else", async () => {
  const counter = counterOf();
  expect(await Promise.resolve(counter)).toBe(counter);
  expect(Reflect.get(counter, "toJSON")).toBeUndefined();
  expect(Reflect.get(counter, Symbol.iterator)).toBeUndefined();
  expect(counter.increment).toBe(counter.increment);
  expect([counter.name, counter.key]).toEqual(["counter", ["k"]]);
});
