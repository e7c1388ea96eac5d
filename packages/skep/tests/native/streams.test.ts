// Bodies that are streams go to the client as they come, on the real addon.

import { actor, setup } from "skep";
import { setupTest } from "skep/test";
import { expect, test } from "vitest";

/** By key: what writes into the stream of the actor. */
const streams = new Map<string, ReadableStreamDefaultController<string | Uint8Array>>();
const cancelled: string[] = [];

const tap = actor({
  onRequest: (c, request) => {
    const [key] = c.key as [string];
    const stream = new ReadableStream<string | Uint8Array>({
      start: (controller) => void streams.set(key, controller),
      cancel: () => void cancelled.push(key),
    });
    const type = new URL(request.url).pathname === "/events" ? "text/event-stream" : "text/plain";
    return new Response(stream as ReadableStream<Uint8Array>, { headers: { "content-type": type } });
  },
});
const registry = setup({ use: { tap } });

/** What is read next, as text; undefined: it is over. */
async function next(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<string | undefined> {
  const { value, done } = await reader.read();
  return done ? undefined : new TextDecoder().decode(value);
}

test("a piece is with the client before the next one is written", async (t) => {
  const { client } = await setupTest(t, registry);
  const response = await client.tap.getOrCreate("a").fetch("/events");
  // Its head is here though nothing was written.
  expect(response.headers.get("content-type")).toBe("text/event-stream");
  const reader = response.body!.getReader();
  for (const piece of ["data: one\n\n", "data: two\n\n", "data: three\n\n"]) {
    streams.get("a")!.enqueue(piece);
    expect(await next(reader)).toBe(piece);
  }
  streams.get("a")!.close();
  expect(await next(reader)).toBeUndefined();
});

test("streams of several actors do not wait for each other", async (t) => {
  const { client } = await setupTest(t, registry);
  const readers = await Promise.all(
    ["b", "c"].map(async (key) => (await client.tap.getOrCreate(key).fetch("/")).body!.getReader()),
  );
  streams.get("c")!.enqueue("of c");
  expect(await next(readers[1]!)).toBe("of c");
  streams.get("b")!.enqueue("of b");
  expect(await next(readers[0]!)).toBe("of b");
  for (const key of ["b", "c"]) streams.get(key)!.close();
});

test("a stream that breaks ends the answer as one that is not whole", async (t) => {
  const { client } = await setupTest(t, registry, { logLevel: "off" });
  const reader = (await client.tap.getOrCreate("d").fetch("/")).body!.getReader();
  streams.get("d")!.enqueue("first");
  expect(await next(reader)).toBe("first");
  streams.get("d")!.error(new Error("as asked"));
  await expect(next(reader)).rejects.toThrow();
});

test("whoever writes hears that the client has gone", async (t) => {
  const { client } = await setupTest(t, registry, { logLevel: "off" });
  const reader = (await client.tap.getOrCreate("e").fetch("/")).body!.getReader();
  streams.get("e")!.enqueue("first");
  expect(await next(reader)).toBe("first");
  await reader.cancel();
  // It is told when something is to be sent to it, if not before.
  while (!cancelled.includes("e")) {
    try {
      streams.get("e")!.enqueue("more");
    } catch {
      // It is closed already.
    }
    await new Promise((resolve) => setImmediate(resolve));
  }
});
