// What comes from outside is checked with schemas, of any library that has Standard Schema: the same cases with each of two.

import { createClient } from "@skep/client";
import { actor, queue, setup } from "skep";
import { setupTest } from "skep/test";
import * as v from "valibot";
import { describe, expect, test } from "vitest";
import { z } from "zod";

import { until } from "./waiting.ts";

interface Room {
  topic: string;
  size: number;
}
interface Job {
  n: number;
}

/** The same in each library: trimmed names, sizes that need not be given, numbers above 0. */
const libraries = {
  zod: {
    input: z.object({ topic: z.string().trim().min(1), size: z.number().int().default(3) }),
    params: z.object({ name: z.string().trim().min(2) }),
    job: z.object({ n: z.number().positive() }),
    rename: z.tuple([z.string().trim().min(1), z.number().int().default(7)]),
  },
  valibot: {
    input: v.object({
      topic: v.pipe(v.string(), v.trim(), v.minLength(1)),
      size: v.optional(v.pipe(v.number(), v.integer()), 3),
    }),
    params: v.object({ name: v.pipe(v.string(), v.trim(), v.minLength(2)) }),
    job: v.object({ n: v.pipe(v.number(), v.gtValue(0)) }),
    rename: v.tuple([
      v.pipe(v.string(), v.trim(), v.minLength(1)),
      v.optional(v.pipe(v.number(), v.integer()), 7),
    ]),
  },
};
type Library = (typeof libraries)[keyof typeof libraries];

function registryOf({ input, params, job, rename }: Library) {
  const room = actor({
    schemas: {
      input,
      params,
      actions: { rename },
      queues: { handled: job, read: job },
    },
    queues: { handled: queue<Job, number>({ triesMax: 1 }), read: queue<Job, number>({ triesMax: 1 }) },
    createState: (_c, given: Room) => ({ ...given, jobs: [] as number[] }),
    onBeforeConnect: () => {},
    createConnState: (_c, given: { name: string }) => ({ name: given.name }),
    run: async (c) => {
      for await (const message of c.queue.iter("read")) {
        c.state.jobs.push(message.body.n);
        await message.complete(message.body.n * 2);
      }
    },
    onMessage: {
      handled: (c, body) => {
        c.state.jobs.push(body.n);
        return body.n * 2;
      },
    },
    actions: {
      rename: (c, topic: string, size: number) => {
        c.state.topic = topic;
        c.state.size = size;
      },
      look: (c) => ({ topic: c.state.topic, size: c.state.size }),
      jobs: (c) => c.state.jobs,
      me: (c) => c.conn?.state.name ?? "nobody",
    },
  });
  return setup({ use: { room } });
}

const invalid = { group: "request", code: "invalid_arguments" };
const bees = { topic: "bees", size: 1 };

describe.each(Object.entries(libraries))("%s", (_name, library) => {
  const registry = registryOf(library);
  /** As code without types calls. */
  const world = async (t: { onTestFinished(ended: () => Promise<void>): unknown }) => {
    const { client, url } = await setupTest(t, registry, { logLevel: "off" });
    const params = { name: "ada" };
    return {
      url,
      room: client.room,
      make: (key: string, createWithInput: unknown = bees) =>
        client.room.getOrCreate(key, { createWithInput: createWithInput as Room, params }),
      as: (key: string, given: unknown) =>
        client.room.get(key, { params: given as { name: string } }),
    };
  };

  test("an input is what the schema makes of it", async (t) => {
    const { make } = await world(t);
    expect(await make("a", { topic: " bees " }).look()).toEqual({ topic: "bees", size: 3 });
  });

  test("a wrong input makes no actor, and says what is wrong", async (t) => {
    const { make, as } = await world(t);
    await expect(make("a", { topic: " ", size: 1.5 }).look()).rejects.toMatchObject({
      ...invalid,
      metadata: { issues: [{ path: ["topic"] }, { path: ["size"] }] },
    });
    await expect(as("a", { name: "ada" }).look()).rejects.toMatchObject({ code: "not_found" });
    expect(await make("a").look()).toEqual(bees);
  });

  test("parameters of a connection are what the schema makes of them", async (t) => {
    const { make, as } = await world(t);
    await make("a").look();
    const connection = as("a", { name: " bob " }).connect();
    expect(await connection.me()).toBe("bob");
  });

  test("wrong parameters refuse the connection for good, and calls without one", async (t) => {
    const { make, as } = await world(t);
    await make("a").look();
    for (const wrong of [{ name: " b " }, { name: 7 }, "bob", undefined]) {
      const connection = as("a", wrong).connect();
      await expect(connection.me()).rejects.toMatchObject(invalid);
      await until(() => connection.status === "disconnected");
      expect(connection.error).toMatchObject(invalid);
      connection.dispose();
      await expect(as("a", wrong).look()).rejects.toMatchObject(invalid);
    }
  });

  test("arguments are what the schema makes of them", async (t) => {
    const { make } = await world(t);
    const one = make("a") as unknown as { rename(...args: unknown[]): Promise<void>; look(): Promise<Room> };
    await one.rename(" wasps ");
    expect(await one.look()).toEqual({ topic: "wasps", size: 7 });
    await expect(one.rename("", "seven")).rejects.toMatchObject({
      ...invalid,
      metadata: { issues: [{ path: [0] }, { path: [1] }] },
    });
    expect(await one.look()).toEqual({ topic: "wasps", size: 7 });
  });

  test.each(["handled", "read"] as const)("wrong messages do not reach the code: %s", async (name) => {
    // On the clock of the system: whoever waits for an answer waits for the run of the actor.
    const server = await registry.start({ store: "memory:", listen: 0, signals: false, logLevel: "off" });
    const client = createClient<typeof registry>(server.url);
    try {
      const one = client.room.getOrCreate("a", { createWithInput: bees, params: { name: "ada" } });
      expect((await one.queue[name].send({ n: 4 }, { wait: true })).reply).toBe(8);
      for (const wrong of [{ n: -1 }, { n: "4" }, null]) {
        const sent = await one.queue[name]
          .send(wrong as unknown as Job, { wait: true })
          .then(() => "answered", (error: { code: string }) => error.code);
        expect(sent).not.toBe("answered");
      }
      expect((await one.queue[name].send({ n: 5 }, { wait: true })).reply).toBe(10);
      expect(await one.jobs()).toEqual([4, 5]);
    } finally {
      client.dispose();
      await server.stop();
    }
  });
});
