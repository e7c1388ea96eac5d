// Timers and jobs: actions that the actor runs later, or again and again.

import { decode, encode } from "./cbor.ts";
import { Command } from "./native.ts";
import type { Operations } from "./operations.ts";

/** A timer that has been set. */
export interface TimerInfo {
  readonly id: number;
  /** Empty: it has none. */
  readonly name: string;
  readonly action: string;
  readonly args: readonly unknown[];
  /** When it is due, in milliseconds since 1970, as all times here. */
  readonly at: number;
  /** Null: it failed too often. */
  readonly nextTry: number | null;
  /** How often it has failed. */
  readonly tries: number;
  /** Of the newest try that failed. */
  readonly error: string;
}

/**
 * Runs actions of this actor later, once each: never early, at least once, also when it sleeps or
 * was restarted meanwhile. Belongs to the turn, like SQL.
 *
 * ```ts
 * const id = await c.schedule.after(60_000, "remind", userId);
 * ```
 */
export interface Schedule {
  /** `ms` from now on. Gives the timer's id, which no other of this actor ever gets. */
  after(ms: number, action: string, ...args: readonly unknown[]): Promise<number>;
  at(time: number | Date, action: string, ...args: readonly unknown[]): Promise<number>;
  /** For setting a timer of that name: it takes the place of the one that has the name. */
  named(name: string): Pick<Schedule, "after" | "at">;
  /** By id, or by name. */
  get(timer: number | string): Promise<TimerInfo | null>;
  /** By id, those with a greater one than `after`. */
  list(options?: { readonly after?: number; readonly limit?: number }): Promise<TimerInfo[]>;
  /** Whether there was one. */
  cancel(timer: number | string): Promise<boolean>;
}

/** A job by a cron expression, or by an interval. */
export interface JobInfo {
  readonly name: string;
  readonly action: string;
  readonly args: readonly unknown[];
  /** Null: it has an interval. */
  readonly expression: string | null;
  /** Empty: UTC. */
  readonly timezone: string;
  readonly interval: number | null;
  readonly next: number;
  /** How often it has failed since it last succeeded or was given up. */
  readonly tries: number;
}

/** A time that a job ran. */
export interface JobRun {
  readonly scheduled: number;
  readonly started: number;
  readonly ended: number;
  /** Null: it succeeded. */
  readonly error: string | null;
}

/**
 * Runs actions of this actor again and again. Setting a job that is as it should be changes
 * nothing: say it in `onWake`, for all actors to have it.
 */
export interface Cron {
  /** Five fields, or `@daily` and its like; `timezone` is of the IANA database. */
  set(job: {
    readonly name: string;
    readonly expression: string;
    readonly action: string;
    readonly args?: readonly unknown[];
    readonly timezone?: string;
  }): Promise<void>;
  /** `interval` in milliseconds, from now on. */
  every(job: {
    readonly name: string;
    readonly interval: number;
    readonly action: string;
    readonly args?: readonly unknown[];
  }): Promise<void>;
  get(name: string): Promise<JobInfo | null>;
  list(): Promise<JobInfo[]>;
  /** The newest runs first. */
  history(name: string, options?: { readonly limit?: number }): Promise<JobRun[]>;
  /** Whether there was one. Its history goes with it. */
  remove(name: string): Promise<boolean>;
}

const delayMaxMs = 1e12;

export class RunSchedule implements Schedule {
  readonly #operations: Operations;
  readonly #name: string | null;

  constructor(operations: Operations, name: string | null = null) {
    this.#operations = operations;
    this.#name = name;
  }

  async after(ms: number, action: string, ...args: readonly unknown[]): Promise<number> {
    if (!Number.isFinite(ms)) throw new RangeError(`${ms} is no number of milliseconds`);
    const delay = Math.ceil(Math.max(0, ms));
    // More than the core's durations hold.
    if (delay > delayMaxMs) return this.#set(this.#operations.native.now() + delay, action, args);
    // The delay is added where parts of a millisecond are known: a timer is never early.
    const command = [this.#name, 0, action, encode(args, "stored"), delay];
    return (await this.#operations.command(Command.TimerSet, command)) as number;
  }
  async at(time: number | Date, action: string, ...args: readonly unknown[]): Promise<number> {
    const ms = Number(time);
    if (!Number.isFinite(ms)) throw new RangeError(`${String(time)} is no time`);
    return this.#set(ms, action, args);
  }
  async #set(ms: number, action: string, args: readonly unknown[]): Promise<number> {
    // Never early.
    const command = [this.#name, Math.ceil(ms), action, encode(args, "stored")];
    return (await this.#operations.command(Command.TimerSet, command)) as number;
  }
  named(name: string): RunSchedule {
    return new RunSchedule(this.#operations, name);
  }

  async get(timer: number | string): Promise<TimerInfo | null> {
    const found = await this.#operations.command(Command.TimerGet, [timer]);
    return found === null ? null : timerOf(found as NativeTimer);
  }
  async list({ after = 0, limit = 1_000 }: { after?: number; limit?: number } = {}): Promise<
    TimerInfo[]
  > {
    const found = await this.#operations.command(Command.TimerList, [after, limit]);
    return (found as NativeTimer[]).map(timerOf);
  }
  async cancel(timer: number | string): Promise<boolean> {
    return (await this.#operations.command(Command.TimerCancel, [timer])) as boolean;
  }
}

export class RunCron implements Cron {
  readonly #operations: Operations;

  constructor(operations: Operations) {
    this.#operations = operations;
  }

  async set(job: Parameters<Cron["set"]>[0]): Promise<void> {
    const { name, expression, timezone = null, action, args = [] } = job;
    await this.#set(name, expression, timezone, null, action, args);
  }
  async every(job: Parameters<Cron["every"]>[0]): Promise<void> {
    await this.#set(job.name, null, null, job.interval, job.action, job.args ?? []);
  }
  async #set(
    name: string,
    expression: string | null,
    timezone: string | null,
    interval: number | null,
    action: string,
    args: readonly unknown[],
  ): Promise<void> {
    const stored = encode(args, "stored");
    const command = [name, expression, timezone, interval, action, stored];
    await this.#operations.command(Command.JobSet, command);
  }

  async get(name: string): Promise<JobInfo | null> {
    const found = await this.#operations.command(Command.JobGet, [name]);
    return found === null ? null : jobOf(found as NativeJob);
  }
  async list(): Promise<JobInfo[]> {
    return ((await this.#operations.command(Command.JobList, [])) as NativeJob[]).map(jobOf);
  }
  async history(name: string, { limit = 20 }: { limit?: number } = {}): Promise<JobRun[]> {
    const found = await this.#operations.command(Command.JobHistory, [name, limit]);
    return (found as NativeJobRun[]).map(({ scheduledMs, startedMs, endedMs, error }) => ({
      scheduled: scheduledMs,
      started: startedMs,
      ended: endedMs,
      error,
    }));
  }
  async remove(name: string): Promise<boolean> {
    return (await this.#operations.command(Command.JobRemove, [name])) as boolean;
  }
}

interface NativeTimer {
  id: number;
  name: string;
  action: string;
  args: Uint8Array;
  atMs: number;
  nextTryMs: number | null;
  tries: number;
  error: string;
}
interface NativeJob {
  name: string;
  action: string;
  args: Uint8Array;
  expression: string;
  timeZone: string;
  intervalMs: number;
  nextMs: number;
  tries: number;
}
interface NativeJobRun {
  scheduledMs: number;
  startedMs: number;
  endedMs: number;
  error: string | null;
}

function timerOf({ args, atMs, nextTryMs, ...timer }: NativeTimer): TimerInfo {
  return { ...timer, args: decode(args) as unknown[], at: atMs, nextTry: nextTryMs };
}
function jobOf({ args, expression, timeZone, intervalMs, nextMs, ...job }: NativeJob): JobInfo {
  return {
    ...job,
    args: decode(args) as unknown[],
    expression: expression || null,
    timezone: timeZone,
    interval: intervalMs || null,
    next: nextMs,
  };
}
