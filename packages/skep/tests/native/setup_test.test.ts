// setupTest(): actors on a clock that the test moves.

import { actor, queue, setup } from "skep";
import { setupTest } from "skep/test";
import { expect, test } from "vitest";

const hour = 3_600_000;
const day = 24 * hour;

const plant = actor({
  state: { log: [] as string[], wakes: 0 },
  queues: { water: queue<string>() },
  onWake: (c) => void (c.state.wakes += 1),
  onSleep: (c) => void c.state.log.push(`slept at ${c.now()}`),
  onMessage: { water: (c, what) => void c.state.log.push(`${what} at ${c.now()}`) },
  actions: {
    happen: (c, what: string) => void c.state.log.push(`${what} at ${c.now()}`),
    after: async (c, ms: number, what: string) => void (await c.schedule.after(ms, "happen", what)),
    daily: (c) => c.cron.set({ name: "sun", expression: "0 6 * * *", action: "happen", args: ["sun"] }),
    later: async (c, ms: number) => void (await c.queue.send("water", "rain", { delay: ms })),
    wait: async (c, ms: number) => {
      const before = c.now();
      await c.sleepFor(ms);
      return c.now() - before;
    },
    never: () => new Promise<void>(() => {}),
    log: (c) => c.state.log,
    wakes: (c) => c.state.wakes,
  },
});
const clockwork = actor({
  state: { ticks: 0 },
  run: async (c) => {
    while (!c.aborted) {
      await c.sleepFor(1_000);
      c.state.ticks += 1;
    }
  },
  actions: { ticks: (c) => c.state.ticks },
});
const registry = setup({ use: { plant, clockwork } });

test("a timer is not early, and nothing is waited for", async (t) => {
  const { client, clock } = await setupTest(t, registry);
  const one = client.plant.getOrCreate("a");
  const start = clock.now();
  expect(start).toBe(1_700_000_000_000);
  await one.after(7 * day, "bloom");
  await clock.advance(7 * day - 1);
  expect((await one.log()).some((each) => each.startsWith("bloom"))).toBe(false);
  await clock.advance(1);
  expect(await one.log()).toContain(`bloom at ${start + 7 * day}`);
});

test("each thing happens at its time, in the order of time", async (t) => {
  const start = new Date("2024-02-28T12:00:00Z");
  const { client, clock } = await setupTest(t, registry, { start });
  const one = client.plant.getOrCreate("a");
  await one.daily();
  await one.later(2 * hour);
  await one.after(hour, "wind");
  await clock.advanceTo(new Date("2024-03-01T06:00:00Z"));
  const log = (await one.log()).filter((each) => !each.startsWith("slept"));
  expect(log).toEqual([
    `wind at ${start.getTime() + hour}`,
    `rain at ${start.getTime() + 2 * hour}`,
    `sun at ${Date.parse("2024-02-29T06:00:00Z")}`,
    `sun at ${Date.parse("2024-03-01T06:00:00Z")}`,
  ]);
});

test("an actor falls asleep when its time has come, and wakes again", async (t) => {
  const { client, clock } = await setupTest(t, registry);
  const one = client.plant.getOrCreate("a");
  expect(await one.wakes()).toBe(1);
  await clock.advance(60_000);
  expect(await one.wakes()).toBe(2);
  expect(await one.log()).toHaveLength(1);
});

test("an action that waits moves the clock by itself, as far as it needs", async (t) => {
  const { client, clock } = await setupTest(t, registry);
  const start = clock.now();
  expect(await client.plant.getOrCreate("a").wait(5_000)).toBe(5_000);
  expect(clock.now() - start).toBe(5_000);
});

test("an actor's own run goes as far as the clock", async (t) => {
  const { client, clock } = await setupTest(t, registry);
  const one = client.clockwork.getOrCreate("a");
  expect(await one.ticks()).toBe(0);
  await clock.advance(3_000);
  expect(await one.ticks()).toBe(3);
});

test("a promise that never settles ends with the action's time", async (t) => {
  const { client, clock } = await setupTest(t, registry);
  const connection = client.plant.getOrCreate("a").connect();
  expect(await connection.wakes()).toBe(1);
  const never = connection.never().catch((error: { code: string }) => error.code);
  // Answered behind it, as both came on one connection: it has begun.
  await connection.log();
  await clock.advance(61_000);
  expect(await never).toBe("action_timed_out");
});

test("a clock does not go back", async (t) => {
  const { clock } = await setupTest(t, registry);
  expect(() => clock.advance(-1)).toThrow("no number of milliseconds");
  const before = clock.now();
  await clock.advanceTo(0);
  expect(clock.now()).toBe(before);
});
