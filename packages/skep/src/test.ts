/**
 * Tests of actors, with Vitest or what is like it.
 *
 * @packageDocumentation
 */
import { setImmediate as roundOfLoop } from "node:timers/promises";

import { type Client, createClient, type RegistryContract } from "@skep/client";

import { Command, Kind, type Native, native as loadNative } from "./native.ts";
import { type ActorDefinitions, type Server, type StartOptions, startServer } from "./registry.ts";

/** What `setupTest()` needs of a test: Vitest's context is one. */
export interface TestContext {
  onTestFinished(ended: () => Promise<void>): unknown;
}

/** How a test begins. */
export interface TestOptions extends Pick<StartOptions, "logLevel"> {
  /** What the clock shows first: milliseconds since 1970, or a Date. 2023-11-14T22:13:20Z */
  readonly start?: number | Date;
}

/** The time of the actors in a test. It stands still until it is moved. */
export interface TestClock {
  /** Milliseconds since 1970, as `c.now()`. */
  now(): number;
  /**
   * Moves the clock. What is due meanwhile happens, each at its time: timers, jobs, delayed
   * messages, waits, falling asleep.
   */
  advance(ms: number): Promise<void>;
  /** As far as that time, unless it is past. */
  advanceTo(time: number | Date): Promise<void>;
}

/** What a test works with. */
export interface TestSetup<R extends RegistryContract> {
  readonly client: Client<R>;
  readonly clock: TestClock;
  /** For requests of other kinds. */
  readonly url: string;
}

/**
 * Starts a registry for one test: in memory, on a clock that the test moves. It ends with the test.
 * One can run on a thread at a time.
 *
 * ```ts
 * test("a reminder comes when it is time", async (t) => {
 *   const { client, clock } = await setupTest(t, registry);
 *   await client.reminders.getOrCreate("ada").remindMe("milk", 60_000);
 *   await clock.advance(60_000);
 *   expect(await client.reminders.get("ada").mails()).toEqual(["milk"]);
 * });
 * ```
 */
export async function setupTest<R extends RegistryContract & { readonly use: ActorDefinitions }>(
  t: TestContext,
  registry: R,
  options: TestOptions = {},
): Promise<TestSetup<R>> {
  const { start = 1_700_000_000_000, logLevel = "warn" } = options;
  const world = new World(loadNative(), Number(start));
  const server = await startServer(world.native, registry.use, {
    store: "memory:",
    listen: 0,
    signals: false,
    logLevel,
  });
  const client = createClient<R>(server.url, { fetch: world.fetch });
  t.onTestFinished(async () => {
    client.dispose();
    await world.end(server);
  });
  return { client, clock: world, url: server.url };
}

/** So many rounds of the event loop in which actors did nothing: they wait for the clock. */
const quietRounds = 3;

/** The clock, and what it has to know of. */
class World implements TestClock {
  /** As the addon, but it says what waits for the clock. */
  readonly native: Native;
  readonly #native: Native;
  /** Of an actor's own `run`: they may wait as long as they like. */
  readonly #ownRuns = new Set<number>();
  /** Actions that wait. */
  #waitCount = 0;
  /** The test's calls that are not answered yet. */
  #callCount = 0;
  #isGoing = false;
  /** One move follows the other. */
  #last: Promise<void> = Promise.resolve();

  constructor(native: Native, startMs: number) {
    this.#native = native;
    this.native = {
      ...native,
      start: (options, callbacks) =>
        native.start(
          { ...options, virtualTimeMs: startMs },
          {
            ...callbacks,
            dispatch: (kind, run, ...rest) => {
              if (kind === Kind.Run) this.#ownRuns.add(run);
              callbacks.dispatch(kind, run, ...rest);
            },
          },
        ),
      settle: (run, failure, result) => {
        this.#ownRuns.delete(run);
        native.settle(run, failure, result);
      },
      command: (run, command, args) => {
        const result = native.command(run, command, args);
        if (command === Command.Wait && result instanceof Promise && !this.#ownRuns.has(run)) {
          this.#waits(result);
        }
        return result;
      },
    };
  }

  readonly fetch: typeof fetch = async (input, init) => {
    ++this.#callCount;
    this.#goOn();
    try {
      return await fetch(input, init);
    } finally {
      --this.#callCount;
    }
  };
  #waits(wait: Promise<unknown>): void {
    ++this.#waitCount;
    const ended = (): void => void --this.#waitCount;
    wait.then(ended, ended);
    this.#goOn();
  }
  /** While the test waits for a call, and an action waits for the clock, nobody else can move it. */
  #goOn(): void {
    if (this.#isGoing || this.#callCount === 0 || this.#waitCount === 0) return;
    this.#isGoing = true;
    void this.#afterOthers(async () => {
      await this.#quiet();
      while (this.#callCount > 0 && this.#waitCount > 0 && (await this.#step(Infinity)));
      this.#isGoing = false;
    });
  }

  now(): number {
    return this.#native.now();
  }
  advance(ms: number): Promise<void> {
    if (!(ms >= 0)) throw new RangeError(`${ms} is no number of milliseconds to move a clock by`);
    return this.#afterOthers(async () => {
      await this.#quiet();
      const end = this.now() + ms;
      while (await this.#step(end - this.now()));
      this.#native.moveClock(Math.max(0, end - this.now()));
      await this.#quiet();
    });
  }
  async advanceTo(time: number | Date): Promise<void> {
    await this.advance(Math.max(0, Number(time) - this.now()));
  }

  /** Actors that are told to end may wait for the clock, too. */
  async end(server: Server): Promise<void> {
    let isStopped = false;
    const stopping = server.stop().finally(() => (isStopped = true));
    await this.#quiet();
    while (!isStopped && (await this.#step(Infinity)));
    await stopping;
  }

  #afterOthers(move: () => Promise<void>): Promise<void> {
    const done = this.#last.then(move);
    this.#last = done.catch(() => {});
    return done;
  }
  /** To the next timer, if it is within `ms`; whether it was. */
  async #step(ms: number): Promise<boolean> {
    const next = this.#native.untilTimer();
    if (next === undefined || next > ms) return false;
    this.#native.moveClock(next);
    await this.#quiet();
    return true;
  }
  /** Until actors have nothing to do now. */
  async #quiet(): Promise<void> {
    let rounds = this.#native.rounds();
    for (let quiet = 0; quiet < quietRounds; ++quiet) {
      await roundOfLoop();
      const now = this.#native.rounds();
      if (now !== rounds) quiet = -1;
      rounds = now;
    }
  }
}
