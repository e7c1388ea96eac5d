// How long an actor is awake, what it begins with and how it ends, on the real addon and with a clock that stands still.

import { actor, db, setup, UserError } from "skep";
import { setupTest } from "skep/test";
import { beforeEach, expect, test } from "vitest";

const sleepAfter = 30_000;
/** What actors of these tests have done, in its order. */
const told: string[] = [];
/** Promises that code of actors waits for: a test settles them. */
const held = new Map<string, { resolve: (value: string) => void; reject: (error: Error) => void }>();
const hold = (name: string): Promise<string> =>
  new Promise((resolve, reject) => held.set(name, { resolve, reject }));
/** After whatever could run has run. */
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

const guest = actor({
  db: db({ migrations: [{ version: 1, sql: "CREATE TABLE entry(text TEXT)" }] }),
  createState: (_c, input: string | undefined) => ({ name: input ?? "nobody", wakes: 0 }),
  createVars: async (c) => {
    await c.db.execute("INSERT INTO entry VALUES ('vars')");
    told.push(`vars of ${c.state.name}`);
    return { since: c.now(), seen: new Set<string>() };
  },
  onWake: (c) => {
    c.state.wakes += 1;
    told.push(`wake with ${c.vars.seen.size} seen`);
  },
  onSleep: () => void told.push("sleep"),
  onDestroy: async (c) => {
    const [row] = await c.db.execute<{ n: number }>("SELECT count(*) AS n FROM entry");
    told.push(`destroyed with ${row!.n} rows`);
    if (c.state.name === "stubborn") throw new Error("not me");
  },
  actions: {
    see: (c, what: string) => c.vars.seen.add(what).size,
    since: (c) => c.vars.since,
    wakes: (c) => c.state.wakes,
    work: (c, name: string) => void c.keepAwake(hold(name)).catch(() => {}),
    workAndWait: (c, name: string) => c.keepAwake(hold(name)),
    promise: (c, name: string) => c.waitUntil(hold(name)),
    write: (c, text: string) => c.db.execute("INSERT INTO entry VALUES (?)", text),
    texts: async (c) =>
      (await c.db.execute<{ text: string }>("SELECT text FROM entry WHERE text <> 'vars'")).map(
        ({ text }) => text,
      ),
    leaveTransaction: (c, text: string, fails: boolean) => {
      // Nobody waits for it: it is the action's all the same.
      void c.db.transaction(async (tx) => {
        await tx.execute("INSERT INTO entry VALUES (?)", `${text} 1`);
        await settled();
        await tx.execute("INSERT INTO entry VALUES (?)", `${text} 2`);
        if (fails) throw new UserError("as asked");
      });
    },
    leaveTransactionAndWait: async (c, text: string) => {
      void c.db.transaction(async (tx) => {
        await tx.execute("INSERT INTO entry VALUES (?)", `${text} 1`);
        await settled();
        await tx.execute("INSERT INTO entry VALUES (?)", `${text} 2`);
      });
      // Whoever is behind it in the line waits for it.
      await c.db.transaction((tx) => tx.execute("INSERT INTO entry VALUES (?)", `${text} 3`));
    },
    destroy: (c) => c.destroy(),
  },
  options: { sleepAfter },
});
const registry = setup({ use: { guest } });

beforeEach(() => {
  told.length = 0;
  held.clear();
});

test("createVars makes what each wake begins with, and may ask the database and the state", async (t) => {
  const { client, clock } = await setupTest(t, registry);
  const one = client.guest.getOrCreate("a", { createWithInput: "ada" });
  expect([await one.see("x"), await one.see("y"), await one.see("y")]).toEqual([1, 2, 2]);
  const first = await one.since();
  await clock.advance(sleepAfter);
  expect(told).toEqual(["vars of ada", "wake with 0 seen", "sleep"]);
  expect(await one.see("z")).toBe(1);
  expect((await one.since()) - first).toBe(sleepAfter);
  expect(told.slice(3)).toEqual(["vars of ada", "wake with 0 seen"]);
});

test("keepAwake keeps an actor awake as long as its promise, and no longer", async (t) => {
  const { client, clock } = await setupTest(t, registry);
  const one = client.guest.getOrCreate("a");
  await one.work("first");
  await one.work("second");
  await clock.advance(10 * sleepAfter);
  held.get("first")!.resolve("done");
  await settled();
  await clock.advance(10 * sleepAfter);
  expect(told).not.toContain("sleep");
  // A promise that is rejected is over too.
  held.get("second")!.reject(new Error("as asked"));
  await settled();
  await clock.advance(sleepAfter);
  expect(told).toContain("sleep");
  expect(await one.wakes()).toBe(2);
});

test("keepAwake gives what its promise gives", async (t) => {
  const { client } = await setupTest(t, registry);
  const connection = client.guest.getOrCreate("a").connect();
  const result = connection.workAndWait("it");
  // Its answer comes behind that the other one has begun.
  await connection.wakes();
  held.get("it")!.resolve("seven");
  expect(await result).toBe("seven");
});

test("waitUntil keeps an actor awake too, and its failure is nobody's but the log's", async (t) => {
  const { client, clock } = await setupTest(t, registry, { logLevel: "off" });
  const one = client.guest.getOrCreate("a");
  await one.promise("it");
  await clock.advance(10 * sleepAfter);
  expect(told).not.toContain("sleep");
  held.get("it")!.reject(new Error("as asked"));
  await settled();
  expect(await one.wakes()).toBe(1);
  await clock.advance(sleepAfter);
  expect(told).toContain("sleep");
});

test("onDestroy still has the database, once, and nothing is there afterwards", async (t) => {
  const { client } = await setupTest(t, registry);
  const one = client.guest.getOrCreate("a");
  await one.write("x");
  await one.destroy();
  await expect(client.guest.get("a").wakes()).rejects.toMatchObject({ code: "not_found" });
  expect(told.filter((each) => each.startsWith("destroyed"))).toEqual(["destroyed with 2 rows"]);
  expect(told).not.toContain("sleep");
  // Whoever makes it again gets another one.
  expect(await client.guest.getOrCreate("a").texts()).toEqual([]);
});

test("an onDestroy that fails keeps no actor alive", async (t) => {
  const { client } = await setupTest(t, registry, { logLevel: "off" });
  const one = client.guest.getOrCreate("a", { createWithInput: "stubborn" });
  await one.write("x");
  await one.destroy();
  await expect(client.guest.get("a").wakes()).rejects.toMatchObject({ code: "not_found" });
});

test("a transaction that nobody awaits is not kept by halves when the action is over before it", async (t) => {
  const { client } = await setupTest(t, registry, { logLevel: "off" });
  const one = client.guest.getOrCreate("a");
  await one.leaveTransaction("left", false).catch(() => {});
  await settled();
  expect([[], ["left 1", "left 2"]]).toContainEqual(await one.texts());
  // The database is free for the next one.
  await one.leaveTransactionAndWait("next");
  expect((await one.texts()).slice(-3)).toEqual(["next 1", "next 2", "next 3"]);
});

test("a transaction that nobody awaits and that fails leaves nothing", async (t) => {
  const { client } = await setupTest(t, registry, { logLevel: "off" });
  const one = client.guest.getOrCreate("a");
  await one.leaveTransaction("left", true).catch(() => {});
  await settled();
  expect(await one.texts()).toEqual([]);
});
