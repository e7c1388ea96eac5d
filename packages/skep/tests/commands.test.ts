// What a context asks of the addon by its commands.

import { ActorError } from "@skep/client";
import { describe, expect, test } from "vitest";

import { decode, encode } from "../src/cbor.ts";
import { actor, type BaseContext, queue, UserError } from "../src/index.ts";
import { Command, Kind } from "../src/native.ts";
import { connection, type FakeNative, stopped } from "./fake_native.ts";
import { World } from "./world.ts";

/** Runs `code` as an action. */
async function within<T>(
  code: (c: BaseContext, native: FakeNative) => T | Promise<T>,
  prepare: (native: FakeNative) => void = () => {},
): Promise<{ value: Awaited<T>; log: unknown[][] }> {
  let value: Awaited<T> | undefined;
  let problem: unknown;
  const it = actor({
    queues: { q: queue<unknown, unknown>() },
    actions: {
      go: async (c) => {
        try {
          value = await code(c as BaseContext, world.native);
        } catch (error) {
          problem = error;
        }
      },
    },
  });
  await using world = await World.of({ it });
  prepare(world.native);
  const one = await world.actor("it");
  await one.action("go");
  if (problem) throw problem as Error;
  // Without the settling.
  return { value: value!, log: world.native.log.slice(0, -1) as unknown[][] };
}

describe("key-value pairs", () => {
  test("keep what a state may hold", async () => {
    const stored = new Map<string, unknown>();
    const { value } = await within(
      async (c) => {
        await c.kv.put("a", new Map([[1n, new Date(5)]]));
        await c.kv.put(new Uint8Array([255]), null);
        return [
          await c.kv.get("a"),
          await c.kv.get("nope"),
          await c.kv.get(new Uint8Array([255])),
          await c.kv.delete("a"),
          await c.kv.delete("a"),
          await c.kv.get("a"),
        ];
      },
      (native) => {
        const hex = (key: unknown): string => Buffer.from(key as Uint8Array).toString("hex");
        native.commands.set(Command.KvPut, ([key, each]) => void stored.set(hex(key), each));
        native.commands.set(Command.KvGet, ([key]) => stored.get(hex(key)));
        native.commands.set(Command.KvDelete, ([key]) => stored.delete(hex(key)));
      },
    );
    expect(value).toEqual([new Map([[1n, new Date(5)]]), undefined, null, true, false, undefined]);
  });
  test("are listed by ranges", async () => {
    const text = (key: string): Uint8Array => new TextEncoder().encode(key);
    const { value, log } = await within(
      async (c) => [
        await c.kv.list(),
        await c.kv.list({ prefix: "u/", after: "u/1", limit: 5 }),
        await c.kv.listBytes({ prefix: new Uint8Array([255]) }),
      ],
      (native) => native.commands.set(Command.KvList, () => [[text("ä"), encode(7n, "stored")]]),
    );
    expect(value).toEqual([[["ä", 7n]], [["ä", 7n]], [[text("ä"), 7n]]]);
    expect(log).toEqual([
      ["KvList", text(""), null, 1000],
      ["KvList", text("u/"), text("u/1"), 5],
      ["KvList", new Uint8Array([255]), null, 1000],
    ]);
  });
  test("that cannot be kept are refused at once", async () => {
    await expect(within((c) => c.kv.put("a", () => 1))).rejects.toThrow(
      "a function cannot be stored",
    );
  });
});

describe("timers and jobs", () => {
  test("are set with times that are never early, and with arguments that come back as they were", async () => {
    const { value, log } = await within(
      async (c) => [
        await c.schedule.after(1.5, "go", new Date(5), 1n),
        await c.schedule.after(-5, "go"),
        await c.schedule.at(new Date(2000), "go"),
        await c.schedule.at(1999.5, "go"),
        await c.schedule.named("x").at(3000, "go"),
      ],
      (native) => native.commands.set(Command.TimerSet, () => 9),
    );
    expect(value).toEqual([9, 9, 9, 9, 9]);
    expect(
      log.map(([, name, at, action, args, delay]) => [
        name,
        at,
        action,
        decode(args as Uint8Array),
        delay,
      ]),
    ).toEqual([
      [null, 0, "go", [new Date(5), 1n], 2],
      [null, 0, "go", [], 0],
      [null, 2000, "go", [], undefined],
      [null, 2000, "go", [], undefined],
      ["x", 3000, "go", [], undefined],
    ]);
    for (const time of [NaN, Infinity]) {
      await expect(within((c) => c.schedule.after(time, "go"))).rejects.toThrow(RangeError);
      await expect(within((c) => c.schedule.at(time, "go"))).rejects.toThrow(RangeError);
    }
  });
  test("are looked up, listed and cancelled", async () => {
    const timer = {
      id: 1,
      name: "",
      action: "go",
      args: encode([1n], "stored"),
      atMs: 5,
      nextTryMs: null,
      tries: 8,
      error: "e",
    };
    const info = {
      id: 1,
      name: "",
      action: "go",
      args: [1n],
      at: 5,
      nextTry: null,
      tries: 8,
      error: "e",
    };
    const { value, log } = await within(
      async (c) => [
        await c.schedule.get("x"),
        await c.schedule.get(2),
        await c.schedule.list(),
        await c.schedule.list({ after: 5, limit: 2 }),
        await c.schedule.cancel(1),
      ],
      (native) => {
        native.commands.set(Command.TimerGet, ([id]) => (id === "x" ? timer : null));
        native.commands.set(Command.TimerList, () => [timer]);
        native.commands.set(Command.TimerCancel, () => true);
      },
    );
    expect(value).toEqual([info, null, [info], [info], true]);
    expect(log.slice(2)).toEqual([
      ["TimerList", 0, 1000],
      ["TimerList", 5, 2],
      ["TimerCancel", 1],
    ]);
  });
  test("of cron have an expression or an interval", async () => {
    const job = {
      name: "j",
      action: "go",
      args: encode([], "stored"),
      expression: "",
      timeZone: "",
      intervalMs: 10,
      nextMs: 7,
      tries: 0,
    };
    const info = {
      name: "j",
      action: "go",
      args: [],
      expression: null,
      timezone: "",
      interval: 10,
      next: 7,
      tries: 0,
    };
    const { value, log } = await within(
      async (c) => {
        await c.cron.set({
          name: "a",
          expression: "0 8 * * *",
          action: "go",
          args: [1],
          timezone: "Europe/Berlin",
        });
        await c.cron.every({ name: "b", interval: 10, action: "go" });
        return [
          await c.cron.get("j"),
          await c.cron.list(),
          await c.cron.history("j"),
          await c.cron.remove("j"),
        ];
      },
      (native) => {
        native.commands.set(Command.JobGet, () => job);
        native.commands.set(Command.JobList, () => [job]);
        native.commands.set(Command.JobHistory, () => [
          { scheduledMs: 1, startedMs: 2, endedMs: 3, error: null },
        ]);
        native.commands.set(Command.JobRemove, () => true);
      },
    );
    expect(value).toEqual([
      info,
      [info],
      [{ scheduled: 1, started: 2, ended: 3, error: null }],
      true,
    ]);
    expect(log.slice(0, 2)).toEqual([
      ["JobSet", "a", "0 8 * * *", "Europe/Berlin", null, "go", encode([1], "stored")],
      ["JobSet", "b", null, null, 10, "go", encode([], "stored")],
    ]);
  });
});

describe("queues of one's own", () => {
  const message = (id: number, body: unknown) => ({ id, body: encode(body, "stored"), tries: 1 });

  test("are sent to and read from", async () => {
    const { value, log } = await within(
      async (c) => {
        const queues = c.queue as unknown as ReturnType<typeof typed>;
        await queues.send("q", new Map([[1, 1]]), { delay: 5 });
        const first = await queues.next("q", { timeout: 10 });
        await first!.complete("done");
        const second = await queues.next("q");
        await second!.fail("broken");
        return [first!.id, first!.body, first!.tries, await queues.next("q")];
      },
      (native) => {
        const waiting = [message(1, new Set([5])), message(2, "x"), null];
        native.commands.set(Command.QueueSend, () => 1);
        native.commands.set(Command.QueueNext, () => waiting.shift());
      },
    );
    expect(value).toEqual([1, new Set([5]), 1, null]);
    expect(log.map(([name, ...args]) => [name, ...args.slice(1)])).toEqual([
      ["QueueSend", encode(new Map([[1, 1]]), "stored"), 5],
      ["QueueNext", 10],
      ["QueueComplete", 1, encode("done", "sent")],
      ["QueueNext", null],
      ["QueueFail", 2, "broken"],
      ["QueueNext", null],
    ]);
  });
  test("are read one message after the other until the run is told to end", async () => {
    const bodies: unknown[] = [];
    const { log } = await within(
      async (c, native) => {
        const queues = c.queue as unknown as ReturnType<typeof typed>;
        for await (const each of queues.iter("q")) {
          bodies.push(each.body);
          await each.complete(null);
          if (bodies.length === 2) {
            native.callbacks.abort(3, false);
            native.commands.set(Command.QueueNext, () => Promise.reject(stopped));
          }
        }
        return null;
      },
      (native) => native.commands.set(Command.QueueNext, () => message(1, bodies.length)),
    );
    expect(bodies).toEqual([0, 1]);
    expect(log).toHaveLength(4);
  });
  test("that fail otherwise say so", async () => {
    const fails = within(
      async (c) => {
        for await (const _ of (c.queue as unknown as ReturnType<typeof typed>).iter("q")) return;
      },
      (native) =>
        native.commands.set(Command.QueueNext, () =>
          Promise.reject({ ...stopped, code: "unavailable" }),
        ),
    );
    await expect(fails).rejects.toMatchObject({ code: "unavailable" });
  });
  /** For its type. */
  function typed(
    c: BaseContext<unknown, unknown, object, { q: ReturnType<typeof queue<unknown, unknown>> }>,
  ) {
    return c.queue;
  }
});

describe("other actors", () => {
  test("are called, sent to and made", async () => {
    const { value, log } = await within(
      async (c) => {
        const { counter } = c.client();
        const one = counter!.getOrCreate(["a", "b"], { createWithInput: { n: 1 } });
        const made = await counter!.create("new", { input: 5 });
        return [
          await one.add!(1, new Date(0)),
          await counter!.get("k").action({ name: "add" }),
          await one.queue["jobs"]!.send({ x: 1 }, { delay: 3 }),
          await one.resolve(),
          [made.name, made.key],
        ];
      },
      (native) => {
        native.commands.set(Command.Call, () => encode({ sum: 3 }, "sent"));
        native.commands.set(Command.Send, () => 7);
      },
    );
    expect(value).toEqual([{ sum: 3 }, { sum: 3 }, 7, undefined, ["counter", ["new"]]]);
    const sent = (each: unknown): Uint8Array => encode(each, "sent");
    expect(log).toEqual([
      ["Resolve", "counter", ["new"], 2, sent(5)],
      [
        "Call",
        "counter",
        ["a", "b"],
        "add",
        sent([1, "1970-01-01T00:00:00.000Z"]),
        0,
        sent({ n: 1 }),
      ],
      ["Call", "counter", ["k"], "add", sent([]), 1, null],
      ["Send", "counter", ["a", "b"], "jobs", sent({ x: 1 }), 3],
      ["Resolve", "counter", ["a", "b"], 0, sent({ n: 1 })],
    ]);
  });
  test("may fail, which is for the caller's code to know and not for its clients", async () => {
    const it = actor({
      actions: {
        pass: (c) => c.client().other!.get("k").go!(),
        read: async (c) => {
          const error = await c.client().other!.get("k").go!().catch((each: unknown) => each);
          throw new UserError((error as ActorError).message, { code: (error as ActorError).code });
        },
      },
    });
    await using world = await World.of({ it });
    const one = await world.actor("it");
    const failure = {
      group: "user",
      code: "broke",
      message: "no money",
      metadata: "",
      retryable: false,
    };
    world.native.commands.set(Command.Call, () => Promise.reject(failure));
    expect((await one.action("pass")).failure).toMatchObject({ group: "internal" });
    expect((await one.action("read")).failure).toMatchObject({
      group: "user",
      code: "broke",
      message: "no money",
    });
  });
  test("are not waited for by mistake: a handle is no promise", async () => {
    const { log } = await within(async (c) => {
      const handle = await c.client().other!.get("k");
      return JSON.stringify(handle) + String(Object.keys(handle));
    });
    expect(log).toEqual([]);
  });
});

describe("the run itself", () => {
  test("waits, sleeps, is destroyed, and stays awake for a promise", async () => {
    let release = (): void => {};
    const { log, value } = await within(async (c, native) => {
      const given = c.keepAwake(new Promise<number>((resolve) => (release = () => resolve(5))));
      c.waitUntil(Promise.resolve());
      const before = native.awake.size;
      release();
      const result = await given;
      await c.sleepFor(1.2);
      await c.idleFor(-1);
      await c.flush();
      c.sleep();
      c.destroy();
      await expect(c.sleepFor(NaN)).rejects.toThrow(RangeError);
      return [before, result, native.awake.size, c.now()];
    });
    expect(value).toEqual([2, 5, 0, 1000]);
    expect(log).toEqual([["Wait", 2], ["WaitIdle", 0], ["Flush"], ["Sleep"], ["Destroy"]]);
  });

  test("after a rollback of another run, has its connection as the core has it", async () => {
    const seen: unknown[] = [];
    let next = (): void => {};
    const it = actor({
      connState: { n: 0 },
      actions: {
        long: async (c) => {
          await new Promise<void>((resolve) => (next = resolve));
          seen.push(c.conn!.state.n, [...c.conn!.tags]);
        },
        fail: () => Promise.reject(new UserError("as asked")),
      },
    });
    await using world = await World.of({ it });
    const one = await world.actor("it");
    const old = connection("1", { state: encode({ n: 1 }, "stored") });
    const { done } = one.begin(Kind.Action, { name: "long", connection: old });
    world.native.connectionList = [
      connection("1", { state: encode({ n: 2 }, "stored"), tags: ["new"] }),
    ];
    await one.action("fail");
    next();
    await done;
    expect(seen).toEqual([2, ["new"]]);
  });
});
