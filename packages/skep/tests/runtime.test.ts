import { ActorError } from "@skep/client";
import { describe, expect, test, vi } from "vitest";

import { decode, encode } from "../src/cbor.ts";
import { actor, db, event, queue, setup, UserError } from "../src/index.ts";
import { Command, Encoding, Kind } from "../src/native.ts";
import type { StandardSchema } from "../src/standard_schema.ts";
import { connection, stopped } from "./fake_native.ts";
import { World } from "./world.ts";

const turnOfLoop = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** A schema of one's own, as any library would have it. */
function schema<T>(check: (value: unknown) => T | Promise<T>): StandardSchema<T> {
  const done = (value: T): { value: T } => ({ value });
  const failed = (error: Error): { issues: { message: string; path: string[] }[] } => ({
    issues: [{ message: error.message, path: ["a", "b"] }],
  });
  return {
    "~standard": {
      version: 1,
      vendor: "test",
      validate: (value) => {
        try {
          const result = check(value);
          return result instanceof Promise ? result.then(done, failed) : done(result);
        } catch (error) {
          return failed(error as Error);
        }
      },
    },
  };
}

describe("an action", () => {
  test("that waits for nothing has settled when its dispatch is over", async () => {
    const counter = actor({
      state: { n: 0 },
      actions: { add: (c, by: number) => (c.state.n += by) },
    });
    await using world = await World.of({ counter });
    const it = await world.actor("counter");
    let isDone = false;
    const { done } = it.begin(Kind.Action, { name: "add", payload: "[2]" });
    expect(world.native.log).toEqual([["settle", "ok"]]);
    void done.then(() => (isDone = true));
    expect((await done).value).toBe(2);
    expect(isDone).toBe(true);
    expect(it.state).toEqual({ n: 2 });
  });

  test("answers in the encoding that it was asked in", async () => {
    const it = actor({
      actions: { echo: (_c, ...all: unknown[]) => all, nothing: () => {}, isNull: () => null },
    });
    await using world = await World.of({ it });
    const one = await world.actor("it");
    const bytes = new Uint8Array([1]);
    const ask = (name: string, encoding: Encoding, payload?: string | Uint8Array) =>
      one.run(Kind.Action, { name, encoding, payload });
    expect((await ask("echo", Encoding.Json, encode([bytes, 2n ** 60n], "sent"))).result).toBe(
      '["AQ==",1152921504606846976]',
    );
    expect((await ask("echo", Encoding.Cbor, '[1, "x"]')).value).toEqual([1, "x"]);
    expect((await ask("echo", Encoding.Json)).result).toBe("[]");
    expect((await ask("nothing", Encoding.Json)).result).toBeUndefined();
    expect((await ask("isNull", Encoding.Json)).result).toBe("null");
  });

  test("gets nothing that is no array", async () => {
    let calls = 0;
    const it = actor({ actions: { count: () => ++calls } });
    await using world = await World.of({ it });
    const one = await world.actor("it");
    for (const payload of [
      "{}",
      "7",
      "[",
      "null",
      new Uint8Array([0xa0]),
      new Uint8Array([0x81]),
    ]) {
      const { failure } = await one.run(Kind.Action, { name: "count", payload });
      expect(failure).toMatchObject({ group: "request", code: "invalid_arguments" });
    }
    expect(calls).toBe(0);
    expect(world.lines).toEqual([]);
  });

  test("may give a promise of another kind, such as a query that has not begun", async () => {
    const query = { then: (resolve: (value: number) => void) => resolve(7) };
    const it = actor({ actions: { get: () => query } });
    await using world = await World.of({ it });
    expect((await (await world.actor("it")).action("get")).value).toBe(7);
  });
});

describe("what goes wrong", () => {
  test("is told to the caller when it is a UserError, and masked otherwise", async () => {
    const it = actor({
      actions: {
        user: () => {
          throw new UserError("taken", { code: "name_taken", metadata: { name: "ada", n: 1n } });
        },
        later: async () => {
          await turnOfLoop();
          throw new UserError("no");
        },
        bug: async () => {
          throw new TypeError("secret", { cause: new Error("deeper") });
        },
        text: () => {
          throw "secret text";
        },
        nothing: () => Promise.reject(undefined),
        unsendable: () => new Map(),
        foreign: () => {
          throw new ActorError("actor", "not_found", "of another actor");
        },
      },
    });
    await using world = await World.of({ it });
    const one = await world.actor("it");
    expect((await one.action("user")).failure).toEqual({
      group: "user",
      code: "name_taken",
      message: "taken",
      metadata: '{"name":"ada","n":"1"}',
      retryable: false,
    });
    expect((await one.action("later")).failure).toMatchObject({ code: "user_error", metadata: "" });
    expect(world.lines).toEqual([]);
    for (const name of ["bug", "text", "nothing", "unsendable", "foreign"]) {
      const { failure } = await one.action(name);
      expect(failure).toMatchObject({ group: "internal", code: "internal" });
      expect(failure!.message).not.toMatch("secret");
      const reference = /under (\w{8})$/.exec(failure!.message)![1]!;
      const line = world.lines.pop()!;
      expect(line).toMatch(`the action '${name}' failed reference=${reference}`);
      expect(line).toMatch('actor="it[\\"k\\"]"');
      if (name === "bug") expect(line).toMatch(/TypeError: secret.*caused by Error: deeper/);
    }
  });

  test("of the store is told as it is, of SQL it is masked", async () => {
    const it = actor({ actions: { read: (c) => c.db.execute("SELECT 1") } });
    await using world = await World.of({ it });
    const one = await world.actor("it");
    const fail = (code: string) => {
      world.native.onExecute = () => {
        throw {
          group: "actor",
          code,
          message: "about it",
          metadata: '{"x":1}',
          retryable: code === "unavailable",
        };
      };
    };
    fail("unavailable");
    expect((await one.action("read")).failure).toEqual({
      group: "actor",
      code: "unavailable",
      message: "about it",
      metadata: '{"x":1}',
      retryable: true,
    });
    fail("sql");
    expect((await one.action("read")).failure).toMatchObject({ group: "internal" });
    expect(world.lines.pop()).toMatch("ActorError: about it");
  });

  test("puts the state back", async () => {
    const counter = actor({
      state: { n: 0, list: [1] },
      actions: {
        spoil: (c) => {
          c.state.n = 9;
          c.state.list.push(2);
          throw new Error("as asked");
        },
        replace: (c) => {
          c.state = { n: 5, list: [] };
          throw new UserError("as asked");
        },
        get: (c) => c.state,
      },
    });
    await using world = await World.of({ counter });
    const it = await world.actor("counter");
    for (const name of ["spoil", "replace"]) {
      await it.action(name);
      expect((await it.action("get")).value).toEqual({ n: 0, list: [1] });
      expect(it.state).toEqual({ n: 0, list: [1] });
    }
  });

  test("puts the state back before any other code can save it", async () => {
    let wake = (): void => {};
    const it = actor({
      state: { list: ["first"] },
      actions: {
        waits: async (c) => {
          await new Promise<void>((resolve) => (wake = resolve));
          c.state.list.push("second");
        },
        get: (c) => c.state.list,
        spoils: (c) => {
          c.state.list.push("never");
          wake();
          throw new UserError("as asked");
        },
      },
    });
    await using world = await World.of({ it });
    const one = await world.actor("it");
    const waits = one.action("waits");
    // As the addon does it: later.
    const restores: (() => void)[] = [];
    const { restoreState } = world.native.callbacks;
    world.native.callbacks.restoreState = (...args) =>
      void restores.push(() => restoreState(...args));
    await one.action("spoils");
    await waits;
    expect(one.state).toEqual({ list: ["first", "second"] });
    expect(restores).toHaveLength(1);
    // Older than what was saved meanwhile.
    restores[0]!();
    expect((await one.action("get")).value).toEqual(["first", "second"]);
    world.native.callbacks.restoreState = restoreState;
    await one.action("spoils");
    expect((await one.action("get")).value).toEqual(["first", "second"]);
  });

  test("in a state that cannot be stored, fails the call that made it so", async () => {
    const it = actor({
      state: { value: 1 as unknown },
      actions: {
        spoil: (c) => void (c.state.value = () => 1),
        spoilEarly: async (c) => {
          c.state.value = () => 1;
          one.turnEnded();
          c.state.value = 2;
        },
        set: (c, value: number) => (c.state.value = value),
      },
    });
    await using world = await World.of({ it });
    const one = await world.actor("it");
    expect((await one.action("spoil")).failure).toMatchObject({ code: "internal" });
    expect(world.lines.pop()).toMatch("a function cannot be stored");
    expect((await one.action("spoilEarly")).failure).toMatchObject({ code: "internal" });
    expect(one.state).toEqual({ value: 1 });
    expect((await one.action("set", 3)).failure).toBeUndefined();
    expect(one.state).toEqual({ value: 3 });
  });

  test("in a promise that nobody waits for, fails the call while it goes on, and ends no process", async () => {
    const it = actor({
      actions: {
        careless: async (c) => {
          void c.db.execute("bad");
          await turnOfLoop();
          await turnOfLoop();
          return "fine";
        },
        later: (c) => {
          void c.waitUntil(Promise.reject(new Error("background")));
          void Promise.reject(new Error("of nobody"));
        },
      },
    });
    await using world = await World.of({ it });
    const one = await world.actor("it");
    world.native.onExecute = () => {
      throw {
        group: "actor",
        code: "sql",
        message: "no such thing",
        metadata: "",
        retryable: false,
      };
    };
    expect((await one.action("careless")).failure).toMatchObject({ code: "internal" });
    expect(world.lines.join()).toMatch("its call fails");
    world.lines.length = 0;
    expect((await one.action("later")).failure).toBeUndefined();
    await turnOfLoop();
    await turnOfLoop();
    expect(world.lines.join()).toMatch("Error: background");
    expect(world.lines.join()).toMatch("Error: of nobody");
  });
});

describe("the end of a run", () => {
  test("ends what can be done with its context", async () => {
    const errors: unknown[] = [];
    const it = actor({
      events: { e: event() },
      queues: { q: queue<number>() },
      state: { n: 0 },
      actions: {
        leak: (c) => {
          setImmediate(async () => {
            for (const use of [
              () => c.db.execute("SELECT 1"),
              () => c.db.executeSync("SELECT 1"),
              () => c.db.transaction(async () => {}),
              () => c.broadcast("e"),
              () => c.conns,
              () => c.kv.get("k"),
              () => c.queue.send("q", 1),
              () => c.schedule.after(1, "leak"),
              () => c.sleep(),
              () => c.keepAwake(Promise.resolve()),
              () => c.client().it!.get("k").leak!(),
              () => c.state,
              () => (c.state = { n: 1 }),
            ]) {
              try {
                await use();
                errors.push("nothing");
              } catch (error) {
                errors.push((error as ActorError).code);
              }
            }
          });
        },
      },
    });
    await using world = await World.of({ it });
    await (await world.actor("it")).action("leak");
    while (errors.length < 13) await turnOfLoop();
    expect(errors).toEqual(Array(13).fill("stopped"));
  });

  test("comes early by the abort signal, and a late end changes nothing", async () => {
    const seen: unknown[] = [];
    let end = (): void => {};
    const it = actor({
      state: { n: 0 },
      actions: {
        wait: async (c) => {
          c.abortSignal.addEventListener("abort", () =>
            seen.push((c.abortSignal.reason as ActorError).code),
          );
          await new Promise<void>((resolve) => (end = resolve));
          seen.push(c.aborted);
          c.state.n = 7;
          return "late";
        },
        get: (c) => c.state.n,
      },
    });
    await using world = await World.of({ it });
    const one = await world.actor("it");
    const { id } = one.begin(Kind.Action, { name: "wait" });
    world.native.abandon(id);
    one.rollBack();
    expect(seen).toEqual(["action_timed_out"]);
    world.native.log.length = 0;
    end();
    await turnOfLoop();
    expect(seen).toEqual(["action_timed_out", true]);
    expect(world.native.log).toEqual([]);
  });

  test("of an actor on its way out is told before, and its run may still clean up", async () => {
    const seen: unknown[] = [];
    const it = actor({
      run: async (c) => {
        await new Promise((resolve) => c.abortSignal.addEventListener("abort", resolve));
        await c.kv.put("closed", true);
        seen.push(c.abortSignal.reason);
      },
    });
    await using world = await World.of({ it });
    const one = await world.actor("it");
    const { id, done } = one.begin(Kind.Run);
    world.native.callbacks.abort(id, false);
    expect((await done).failure).toBeUndefined();
    expect(seen).toEqual([expect.objectContaining({ code: "stopped" })]);
    expect(world.native.log[0]).toEqual(
      ["KvPut", Buffer.from("closed"), encode(true, "stored")].map(plain),
    );
  });
});

const plain = (value: unknown): unknown =>
  value instanceof Uint8Array ? new Uint8Array(value) : value;

describe("a life", () => {
  const order: unknown[] = [];
  const make = () =>
    actor({
      db: db({ onMigrate: async (c) => void order.push(["onMigrate", c.actorId]) }),
      createState: async (_c, input: { n: number } | undefined) => {
        order.push(["createState", input]);
        return { n: input?.n ?? -1, at: new Date(0) };
      },
      createVars: (c) => {
        order.push(["createVars", c.state.n]);
        return { seen: new Set<string>() };
      },
      onCreate: (c, input) => void order.push(["onCreate", c.state.n, input]),
      onWake: (c) => void order.push(["onWake", c.vars.seen.size]),
      onSleep: (c) => void order.push(["onSleep", c.state.n]),
      onDestroy: (c) => void order.push(["onDestroy", c.key]),
      actions: {
        add: (c) => ++c.state.n,
        lazy: (c) => void (kept = c.state),
        touch: () => kept!.n++,
      },
    });
  let kept: { n: number } | undefined;

  test("goes through the hooks in their order", async () => {
    order.length = 0;
    await using world = await World.of({ it: make() });
    const one = world.native.actor("it", ["a", "b"]);
    expect(await one.create({ n: 5 })).toBeUndefined();
    expect(order).toEqual([
      ["onMigrate", 'it["a","b"]'],
      ["createState", { n: 5 }],
      ["onCreate", 5, { n: 5 }],
      ["createVars", 5],
      ["onWake", 0],
    ]);
    expect(one.state).toEqual({ n: 5, at: new Date(0) });
    await one.action("add");
    await one.run(Kind.Sleep);
    one.forget();
    order.length = 0;
    const again = world.native.actor("it", ["a", "b"]);
    await again.wake(one.saved);
    await again.run(Kind.Destroy);
    expect(order).toEqual([
      ["onMigrate", 'it["a","b"]'],
      ["createVars", 6],
      ["onWake", 0],
      ["onDestroy", ["a", "b"]],
    ]);
  });

  test("begins with a new state when none was saved, as before the type had one", async () => {
    order.length = 0;
    await using world = await World.of({ it: make() });
    const one = world.native.actor("it");
    expect(await one.wake(undefined)).toBeUndefined();
    expect(order).toContainEqual(["createState", undefined]);
    expect(one.state).toMatchObject({ n: -1 });
  });

  test("saves at last what was changed behind its back", async () => {
    await using world = await World.of({ it: make() });
    const one = await world.actor("it", { n: 1 });
    await one.action("lazy");
    await one.action("touch");
    expect(one.state).toMatchObject({ n: 1 });
    await one.run(Kind.Sleep);
    expect(one.state).toMatchObject({ n: 2 });
  });

  test("that cannot begin says why", async () => {
    const it = actor({
      state: {},
      onCreate: (_c, input: string) => {
        throw new UserError(`not ${input}`, { code: "refused" });
      },
    });
    await using world = await World.of({ it });
    expect(await world.native.actor("it").create("this")).toMatchObject({
      code: "refused",
      message: "not this",
    });
  });

  test("has a copy of its own of state, vars and what connections begin with", async () => {
    const it = actor({
      state: { list: [1] },
      vars: { map: new Map([[1, 1]]) },
      connState: { rooms: ["lobby"] },
      actions: {
        change: (c) => {
          c.state.list.push(2);
          c.vars.map.set(2, 2);
          c.conn!.state.rooms.push("other");
          return [c.state.list.length, c.vars.map.size, c.conn!.state.rooms.length];
        },
      },
    });
    await using world = await World.of({ it });
    for (let i = 0; i < 2; ++i) {
      const one = await world.actor("it");
      const { result } = await one.run(Kind.Admit, { connection: connection(`c${i}`) });
      const conn = connection(`c${i}`, { state: result as Uint8Array });
      expect((await one.run(Kind.Action, { name: "change", connection: conn })).value).toEqual([
        2, 2, 2,
      ]);
    }
  });

  test("without a state says so", async () => {
    const it = actor({ actions: { get: (c) => c.state } });
    await using world = await World.of({ it });
    await (await world.actor("it")).action("get");
    expect(world.lines.pop()).toMatch("'it' has no state");
  });
});

describe("connections", () => {
  const room = () =>
    actor({
      events: { said: event<string>(), empty: event() },
      createConnState: (c, params: { name: string }) => {
        if (c.request.headers.get("X-Bad")) throw new UserError("no", { code: "refused" });
        return { name: params.name, seen: new Set<number>() };
      },
      onConnect: (c, conn) => c.broadcastExcept(conn, "said", `${conn.state.name} is here`),
      onDisconnect: (c, conn) => c.broadcast("said", `${conn.params.name} has gone`),
      actions: {
        see: (c, n: number) => void c.conn!.state.seen.add(n),
        seeAndFail: (c, n: number) => {
          c.conn!.state.seen.add(n);
          throw new UserError("as asked");
        },
        seeEarly: async (c, n: number) => {
          const { state } = c.conn!;
          state.seen.add(n);
          await turnOfLoop();
          state.seen.add(n + 1);
        },
        all: (c) => [...c.conns.values()].map(({ id, state, isOpen }) => [id, state.name, isOpen]),
        rename: (c, id: string, name: string) => (c.conns.get(id)!.state.name = name),
        tag: (c) => {
          c.conn!.addTag("a");
          c.conn!.addTag("b");
          c.conn!.addTag("a");
          c.conn!.removeTag("b");
          c.conn!.removeTag("nope");
          return [...c.conn!.tags];
        },
        talk: (c) => {
          c.conn!.send("said", "hello");
          c.conn!.send("empty");
          c.broadcast("empty");
          c.conn!.disconnect("bye");
        },
        undeclared: (c) => (c as { broadcast(name: string): void }).broadcast("nope"),
      },
    });
  const stateOf = (name: string): Uint8Array => encode({ name, seen: new Set() }, "stored");
  const ada = () => connection("1", { params: '{"name":"ada"}', state: stateOf("ada") });

  test("come, have a state, and go", async () => {
    await using world = await World.of({ room: room() });
    const one = await world.actor("room");
    const admitted = await one.run(Kind.Admit, {
      connection: connection("1", { params: encode({ name: "ada" }, "sent") }),
      headers: { "user-agent": "x" },
    });
    expect(admitted.value).toEqual({ name: "ada", seen: new Set() });
    await one.run(Kind.Connected, { connection: ada() });
    await one.run(Kind.Disconnected, { connection: ada() });
    expect(world.native.log.filter((each) => (each as string[])[0] === "broadcast")).toEqual([
      ["broadcast", "said", "ada is here", "1"],
      ["broadcast", "said", "ada has gone", ""],
    ]);
    const refused = await one.run(Kind.Admit, { connection: ada(), headers: { "x-bad": "1" } });
    expect(refused.failure).toMatchObject({ code: "refused" });
  });

  test("keep what changes in their state, with the turn that changed it", async () => {
    await using world = await World.of({ room: room() });
    const one = await world.actor("room");
    const states: unknown[] = [];
    world.native.commands.set(Command.ConnectionState, ([id, state]) => {
      states.push([id, [...(decode(state as Uint8Array) as { seen: Set<number> }).seen]]);
    });
    const see = (name: string, n: number) =>
      one.begin(Kind.Action, { name, payload: `[${n}]`, connection: ada() }).done;
    await see("see", 1);
    await see("see", 1);
    expect(states.splice(0)).toEqual([["1", [1]]]);
    const early = see("seeEarly", 2);
    one.turnEnded();
    expect(states.splice(0)).toEqual([["1", [1, 2]]]);
    await early;
    expect(states.splice(0)).toEqual([["1", [1, 2, 3]]]);
  });

  test("have their state back after a rollback", async () => {
    await using world = await World.of({ room: room() });
    const one = await world.actor("room");
    const fails = await one.run(Kind.Action, {
      name: "seeAndFail",
      payload: "[1]",
      connection: ada(),
    });
    expect(fails.failure).toMatchObject({ code: "user_error" });
    const states: unknown[] = [];
    world.native.commands.set(
      Command.ConnectionState,
      ([, state]) => void states.push(decode(state as Uint8Array)),
    );
    await one.run(Kind.Action, { name: "see", payload: "[2]", connection: ada() });
    expect(states).toEqual([{ name: "ada", seen: new Set([2]) }]);
  });

  test("are seen by all runs, each with one state", async () => {
    await using world = await World.of({ room: room() });
    const one = await world.actor("room");
    world.native.connectionList = [ada(), connection("2", { state: stateOf("bob") })];
    await one.action("rename", "2", "carl");
    expect((await one.action("all")).value).toEqual([
      ["1", "ada", true],
      ["2", "carl", true],
    ]);
    expect(world.native.log).toContainEqual(["ConnectionState", "2", plain(stateOf("carl"))]);
  });

  test("have tags, get events, and may be ended", async () => {
    await using world = await World.of({ room: room() });
    const one = await world.actor("room");
    const run = (name: string) => one.run(Kind.Action, { name, connection: ada() });
    expect((await run("tag")).value).toEqual(["a"]);
    await run("talk");
    expect(world.native.log).toEqual([
      ["ConnectionTags", "1", ["a"]],
      ["ConnectionTags", "1", ["a", "b"]],
      ["ConnectionTags", "1", ["a"]],
      ["settle", "ok"],
      ["ConnectionSend", "1", "said", encode("hello", "sent")],
      ["ConnectionSend", "1", "empty", encode(null, "sent")],
      ["broadcast", "empty", null, ""],
      ["ConnectionClose", "1", "bye"],
      ["settle", "ok"],
    ]);
    expect((await run("undeclared")).failure).toMatchObject({ code: "internal" });
    expect(world.lines.pop()).toMatch("declares no event 'nope'");
  });

  test("and what cannot be sent to them any more fails the run", async () => {
    await using world = await World.of({ room: room() });
    const one = await world.actor("room");
    world.native.commands.set(Command.ConnectionSend, () =>
      Promise.reject({ ...stopped, code: "limit_exceeded" }),
    );
    const { failure } = await one.run(Kind.Action, { name: "talk", connection: ada() });
    // It became known after the end of this run.
    expect(failure).toBeUndefined();
    world.native.commands.set(Command.ConnectionSend, () => {
      throw { ...stopped, code: "limit_exceeded" };
    });
    expect((await one.run(Kind.Action, { name: "talk", connection: ada() })).failure).toMatchObject(
      {
        code: "limit_exceeded",
      },
    );
  });

  test("without one, the same gate is asked", async () => {
    const seen: unknown[] = [];
    const it = actor({
      onBeforeConnect: (c, params: { token: string }) => {
        seen.push([params, c.request.headers.get("authorization")]);
        throw new UserError("who are you?", { code: "unknown" });
      },
    });
    await using world = await World.of({ it });
    const one = await world.actor("it");
    const { failure } = await one.run(Kind.Pass, { headers: { authorization: "Bearer x" } });
    expect(failure).toMatchObject({ code: "unknown" });
    expect(seen).toEqual([[undefined, "Bearer x"]]);
    expect(world.native.options.types[0]).toMatchObject({
      hasGate: true,
      hasRequestHandler: false,
    });
  });
});

describe("schemas", () => {
  const name = schema((value) => {
    if (typeof value !== "string") throw new Error("a text was expected");
    return value.trim();
  });
  const it = () =>
    actor({
      schemas: {
        input: schema(async (value) => ({ n: Number(value) })),
        params: schema((value) => ({
          name: String((value as { name: string }).name).toUpperCase(),
        })),
        actions: { greet: schema((args) => [valueOf((args as unknown[])[0])] as [string]) },
        queues: { names: name },
      },
      queues: { names: queue<string, string>() },
      createState: (_c, input) => ({ n: input.n }),
      onMessage: { names: (_c, body) => `<${body}>` },
      actions: {
        greet: (c, who: string) => [c.state.n, who, c.conn?.params],
        plain: (_c, n: number) => n,
      },
    });
  function valueOf(value: unknown): string {
    const result = name["~standard"].validate(value);
    if (result instanceof Promise || result.issues) throw new Error("a text was expected");
    return result.value;
  }

  test("check what comes from outside, and make it what they say", async () => {
    await using world = await World.of({ it: it() });
    const one = await world.actor("it", "5");
    const conn = connection("1", { params: '{"name":"ada"}' });
    const greet = (payload: string) =>
      one.run(Kind.Action, { name: "greet", payload, connection: conn });
    expect((await greet('[" bob "]')).value).toEqual([5, "bob", { name: "ADA" }]);
    expect((await greet("[7]")).failure).toEqual({
      group: "request",
      code: "invalid_arguments",
      message: "arguments of 'greet': a.b: a text was expected",
      metadata: '{"issues":[{"message":"a text was expected","path":["a","b"]}]}',
      retryable: false,
    });
    expect((await one.action("plain", 1)).value).toBe(1);
    const message = (body: unknown) =>
      one.run(Kind.Message, { name: "names", payload: encode(body, "stored") });
    expect((await message(" x ")).value).toBe("<x>");
    expect((await message(1)).failure).toMatchObject({ code: "invalid_arguments" });
    expect(world.lines).toEqual([]);
  });
});

describe("a registry", () => {
  const nothing = actor({});

  test("tells the core what its types are", async () => {
    const it = actor({
      db: db({
        migrations: [
          { version: 1, sql: "a" },
          { version: 3, sql: "b" },
        ],
      }),
      events: { e: event(), kept: event<number>({ history: 10 }) },
      queues: { read: queue<number>({ messagesMax: 5 }), handled: queue<string>({ triesMax: 2 }) },
      options: { sleepAfter: 1, actionTimeout: 2, hookTimeout: 3, oneAtATime: true },
      run: () => {},
      onDisconnect: () => {},
      onRequest: () => {},
      onMessage: { handled: () => {} },
      actions: { a: () => {}, b: () => {} },
    });
    await using world = await World.of(
      { it, nothing },
      { store: "memory:", listen: 7, cache: "8MB", threads: 2, jwtAudience: ["a", "b"] },
    );
    expect(world.native.options.settings).toEqual([
      "--store=memory:",
      "--listen=7",
      "--cache=8MB",
      "--threads=2",
      "--jwt-audience=a,b",
      "--log-level=info",
    ]);
    expect(world.native.options.types).toEqual([
      {
        name: "it",
        migrations: [
          { version: 1, sql: "a" },
          { version: 3, sql: "b" },
        ],
        actions: ["a", "b"],
        queues: [
          { name: "read", hasHandler: false, messagesMax: 5 },
          { name: "handled", hasHandler: true, triesMax: 2 },
        ],
        events: [
          { name: "e", history: 0 },
          { name: "kept", history: 10 },
        ],
        hasRun: true,
        hasOnDisconnect: true,
        hasGate: false,
        hasRequestHandler: true,
        hasSocketHandler: false,
        options: { sleepAfterMs: 1, actionTimeoutMs: 2, hookTimeoutMs: 3, oneAtATime: true },
      },
      expect.objectContaining({ name: "nothing", actions: [], hasRun: false, options: {} }),
    ]);
  });

  test("takes no definition that contradicts itself", () => {
    const loosely = actor as unknown as (config: object) => unknown;
    expect(() => loosely({ state: 1, createState: () => 1 })).toThrow(
      "state or createState, not both",
    );
    expect(() => loosely({ vars: 1, createVars: () => 1 })).toThrow("not both");
    expect(() => loosely({ actions: { a: 7 } })).toThrow("the action 'a' is no function");
    expect(() => loosely({ schemas: { actions: { a: {} } } })).toThrow("which the actor has not");
    expect(() => loosely({ onMessage: { q: () => 1 } })).toThrow("no queue of the actor");
    for (const versions of [[0], [1, 1], [2, 1], [1.5]]) {
      const migrations = versions.map((version) => ({ version, sql: "" }));
      expect(() => loosely({ db: db({ migrations }) })).toThrow("versions of migrations");
    }
  });

  test("that cannot start says why, and listens to nothing", async () => {
    const before = process.listenerCount("unhandledRejection");
    const world = new World();
    world.native.startFailure = { ...stopped, message: "the port is taken" } as unknown as Error;
    const { startServer } = await import("../src/registry.ts");
    await expect(startServer(world.native, { nothing }, {})).rejects.toThrow("the port is taken");
    expect(process.listenerCount("unhandledRejection")).toBe(before);
    expect(process.listenerCount("SIGTERM")).toBe(0);
  });

  test("without its native part says how to get it", async () => {
    vi.stubEnv("SKEP_NATIVE", "/nowhere/skep.node");
    await expect(setup({ use: { nothing } }).start()).rejects.toThrow("SKEP_NATIVE");
    vi.unstubAllEnvs();
  });

  test("whose state cannot be stored is refused at the start", async () => {
    const f = (): number => 1;
    await expect(World.of({ it: actor({ state: { f } }) })).rejects.toThrow(
      "state of 'it': a function cannot be stored; createState makes one for each",
    );
    await expect(World.of({ it: actor({ connState: f }) })).rejects.toThrow("connState of 'it'");
    await expect(World.of({ it: actor({ vars: { f } }) })).rejects.toThrow("createVars makes one");
    expect(process.listenerCount("SIGTERM")).toBe(0);
  });

  test("forgets actors that sleep", async () => {
    await using world = await World.of({ nothing });
    for (let i = 0; i < 100; ++i) {
      const one = await world.actor("nothing");
      one.forget();
    }
    expect((world.native.callbacks as { actorCount?: number }).actorCount).toBe(0);
  });

  test("stops once, however often it is told", async () => {
    const world = await World.of({ nothing }, { signals: true });
    expect(process.listenerCount("SIGTERM")).toBe(1);
    await Promise.all([world.server.stop(), world.server.stop()]);
    expect(world.native.log).toEqual(["stop"]);
    expect(process.listenerCount("SIGTERM")).toBe(0);
  });
});

describe("raw requests", () => {
  const it = () =>
    actor({
      onRequest: async (_c, request) => {
        const { pathname, searchParams } = new URL(request.url);
        if (pathname === "/echo") {
          return Response.json(
            {
              method: request.method,
              q: searchParams.get("q"),
              body: await request.text(),
              type: request.headers.get("content-type"),
            },
            { status: 201, headers: { "x-own": "1" } },
          );
        }
        if (pathname === "/stream") {
          return new Response(
            new ReadableStream({
              async start(controller) {
                controller.enqueue("a");
                await turnOfLoop();
                await turnOfLoop();
                controller.enqueue(new Uint8Array([98]));
                controller.close();
              },
              cancel: (reason) => void cancelled.push(reason),
            }),
          );
        }
        if (pathname === "/large") return new Response("x".repeat(1_000_000));
        if (pathname === "/empty") return new Response(null, { status: 304 });
        if (pathname === "/wrong") return "text" as unknown as Response;
        return undefined;
      },
    });
  const cancelled: unknown[] = [];
  const request = async (world: World, line: string, payload = new Uint8Array()) => {
    const one = await world.actor("it");
    const outcome = await one.run(Kind.Request, {
      name: line,
      payload,
      headers: { host: "localhost:1", "content-type": "text/plain" },
    });
    return { outcome, log: world.native.log as unknown[][] };
  };

  test("are Requests, and answered by Responses", async () => {
    await using world = await World.of({ it: it() });
    const { outcome, log } = await request(world, "POST /echo?q=1", Buffer.from("body"));
    expect(outcome.failure).toBeUndefined();
    const [name, status, headers, body] = log[0]!;
    expect([name, status]).toEqual(["Respond", 201]);
    expect(headers).toContainEqual(["x-own", "1"]);
    expect(JSON.parse(Buffer.from(body as Uint8Array).toString())).toEqual({
      method: "POST",
      q: "1",
      body: "body",
      type: "text/plain",
    });
  });

  test("may have an answer without a body, or none", async () => {
    await using world = await World.of({ it: it() });
    expect((await request(world, "GET /empty")).log[0]).toEqual([
      "Respond",
      304,
      [],
      new Uint8Array(),
    ]);
    expect((await request(world, "GET /")).log).toEqual([["settle", "ok"]]);
    expect((await request(world, "GET /wrong")).outcome.failure).toMatchObject({
      code: "internal",
    });
    expect(world.lines.pop()).toMatch("onRequest gives a Response");
  });

  test("are answered by a stream as it comes", async () => {
    await using world = await World.of({ it: it() });
    expect((await request(world, "GET /stream")).log).toEqual([
      ["RespondBegin", 200, []],
      ["RespondWrite", new Uint8Array([97])],
      ["RespondWrite", new Uint8Array([98])],
      ["settle", "ok"],
    ]);
    const { log } = await request(world, "GET /large");
    const size = log.reduce(
      (sum, [name, bytes]) => sum + (name === "RespondWrite" ? (bytes as Uint8Array).length : 0),
      0,
    );
    expect(log[0]![0] === "Respond" ? (log[0]![3] as Uint8Array).length : size).toBe(1_000_000);
  });

  test("whose client goes away end the stream", async () => {
    await using world = await World.of({ it: it() });
    world.native.commands.set(Command.RespondWrite, () => Promise.reject(stopped));
    const { outcome } = await request(world, "GET /stream");
    expect(outcome.failure).toMatchObject({ code: "stopped" });
    await turnOfLoop();
    expect(cancelled).toHaveLength(1);
  });
});
