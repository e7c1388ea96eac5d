// What actors' code does wrong, on the real addon.

import { actor, db, queue, setup } from "skep";
import { setupTest } from "skep/test";
import { expect, test, vi } from "vitest";

const kept: { c?: any } = {};
const outcomes = new Map<string, unknown>();

/** Calls as code without types makes them: all are mistakes. */
const mistakes: Record<string, (c: any) => unknown> = {
  "no SQL": (c) => c.db.execute(),
  "a number as SQL": (c) => c.db.execute(5),
  "an object as SQL, at once": (c) => c.db.executeSync({}),
  "a symbol as a value": (c) => c.db.execute("SELECT ?", Symbol("s")),
  "a function as a value": (c) => c.db.execute("SELECT ?", () => 1),
  "too few values": (c) => c.db.execute("SELECT ?, ?", 1),
  "no script": (c) => c.db.script(undefined),
  "a transaction without a body": (c) => c.db.transaction(undefined),
  "a key that is an object": (c) => c.kv.put({}, 1),
  "a key that is missing": (c) => c.kv.get(),
  "a value that cannot be stored": (c) => c.kv.put("a", () => 1),
  "a time that is none": (c) => c.schedule.after("soon", "nothing"),
  "a timer without an action": (c) => c.schedule.after(1),
  "a date that is none": (c) => c.schedule.at(new Date("never"), "nothing"),
  "a job of nothing": (c) => c.cron.set({}),
  "a job whose name is a number": (c) => c.cron.every({ name: 1, interval: 50, action: "nothing" }),
  "a job that is no expression": (c) => c.cron.set({ name: "a", expression: 5, action: "nothing" }),
  "a queue that does not exist": (c) => c.queue.send("nope", 1),
  "a queue that is a number": (c) => c.queue.next(5),
  "an event that is not declared": (c) => c.broadcast("nope", 1),
  "an actor whose key is a number": (c) => c.client().it.getOrCreate(5).nothing(),
  "an actor whose key holds a number": (c) => c.client().it.getOrCreate([1]).nothing(),
  "an actor that is itself an object": (c) => c.client().it.create({}),
  "a type that does not exist": (c) => c.client().nope.getOrCreate("a").nothing(),
  "a wait of nothing": (c) => c.sleepFor("long"),
  "what is no promise": (c) => c.keepAwake(5),
};

const it = actor({
  db: db({ migrations: [{ version: 1, sql: "CREATE TABLE t(v)" }] }),
  queues: { q: queue<number>() },
  state: { count: 0 },
  actions: {
    nothing: () => {},
    keep: (c) => void (kept.c = c),
    partly: async (c) => {
      c.state.count += 1;
      await c.db.execute("INSERT INTO t VALUES (1)");
      await c.kv.put("a", 1);
      await c.schedule.after(1_000, "nothing");
      throw new Error("as asked");
    },
    look: async (c) => [
      c.state.count,
      await c.db.execute("SELECT v FROM t"),
      await c.kv.get("a"),
      (await c.schedule.list()).length,
    ],
    mistake: async (c, name: string) => {
      try {
        await mistakes[name]!(c);
        outcomes.set(name, "nothing was thrown");
      } catch (error) {
        outcomes.set(name, error);
      }
    },
    reject: () => void Promise.reject(new Error("of an action")),
  },
});
const hooks = actor({
  onWake: () => void Promise.reject(new Error("of a hook")),
  actions: { nothing: () => {} },
});
const registry = setup({ use: { it, hooks } });

test.each(Object.keys(mistakes))("%s is an error for the code, and nothing else", async (name) => {
  await using world = await disposable();
  const one = world.client.it.getOrCreate("a");
  await one.mistake(name);
  expect(outcomes.get(name)).toBeInstanceOf(Error);
  await one.nothing();
});

test("what throws after it has written has written nothing", async (t) => {
  const { client } = await setupTest(t, registry, { logLevel: "off" });
  const one = client.it.getOrCreate("a");
  await expect(one.partly()).rejects.toMatchObject({ code: "internal" });
  expect(await one.look()).toEqual([0, [], null, 0]);
});

test("a context that outlives its actor's sleep says that it is over", async (t) => {
  const { client, clock } = await setupTest(t, registry);
  await client.it.getOrCreate("a").keep();
  await clock.advance(60_000);
  const { c } = kept;
  const over = { code: "stopped", message: expect.stringContaining("over") as string };
  await expect(c.db.execute("INSERT INTO t VALUES (1)")).rejects.toMatchObject(over);
  await expect(c.db.transaction(() => 1)).rejects.toMatchObject(over);
  await expect(c.kv.get("a")).rejects.toMatchObject(over);
  expect(() => c.db.executeSync("SELECT 1")).toThrow(expect.objectContaining(over));
  expect(() => c.state).toThrow(expect.objectContaining(over));
  expect(() => c.broadcast("e")).toThrow();
});

test("rejections that nobody handles name the actor whose code they come from", async (t) => {
  const written: string[] = [];
  const spy = vi.spyOn(process.stderr, "write").mockImplementation((text) => {
    written.push(String(text));
    return true;
  });
  t.onTestFinished(() => spy.mockRestore());
  const { client } = await setupTest(t, registry);
  await client.it.getOrCreate("a").reject();
  await client.hooks.getOrCreate("b").nothing();
  const line = (what: string): string | undefined => written.find((each) => each.includes(what));
  await vi.waitUntil(() => line("of an action") && line("of a hook"));
  expect(line("of an action")).toContain('actor="it[\\"a\\"]"');
  expect(line("of a hook")).toContain('actor="hooks[\\"b\\"]"');
});

/** As setupTest(), for tests that are given no context. */
async function disposable() {
  const ends: (() => Promise<void>)[] = [];
  const t = { onTestFinished: (end: () => Promise<void>) => ends.push(end) };
  const world = await setupTest(t, registry);
  return { ...world, [Symbol.asyncDispose]: async () => ends[0]!() };
}
