// RunContext: the context (context.ts) of one run of an actor's code.

import type { RegistryContract } from "@skep/client";

import type { AwakeActor } from "./awake_actor.ts";
import { encode } from "./cbor.ts";
import { RunConnection } from "./connections.ts";
import { RunDatabase } from "./database.ts";
import { ActorError } from "@skep/client";
import { type KeyValue, RunKeyValue } from "./key_value.ts";
import type { Logger } from "./log.ts";
import { Command, type Native, type NativeConnection } from "./native.ts";
import { Operations } from "./operations.ts";
import { type ActorClient, makeClient } from "./other_actors.ts";
import { RunQueues } from "./own_queues.ts";
import { RunCron, RunSchedule } from "./schedule.ts";

export class RunContext {
  readonly #actor: AwakeActor;
  readonly #operations: Operations;
  readonly #connection: NativeConnection | undefined;
  readonly #headers: Record<string, string> | undefined;
  /** As of which the connection is. */
  readonly #generation: number;
  #db: RunDatabase | undefined;
  #conn: RunConnection | undefined;
  #abort: AbortController | undefined;
  #reason: unknown;

  constructor(
    actor: AwakeActor,
    native: Native,
    run: number,
    connection: NativeConnection | undefined,
    headers: Record<string, string> | undefined,
  ) {
    this.#actor = actor;
    this.#operations = new Operations(native, run, actor);
    this.#connection = connection;
    this.#headers = headers;
    this.#generation = actor.connections.generation;
  }

  /** For the runtime. */
  static operationsOf(c: RunContext): Operations {
    return c.#operations;
  }
  /** For the runtime: the run shall end. */
  static abort(c: RunContext, isTimeout: boolean): void {
    c.#reason = isTimeout
      ? new ActorError("actor", "action_timed_out", "the action took too long")
      : new ActorError("actor", "stopped", "the actor is on its way out");
    c.#abort?.abort(c.#reason);
  }

  get actorId(): string {
    return this.#actor.actorId;
  }
  get name(): string {
    return this.#actor.name;
  }
  get key(): readonly string[] {
    return this.#actor.key;
  }
  get log(): Logger {
    return this.#actor.log;
  }

  get state(): unknown {
    this.#operations.check();
    return this.#actor.state.get(this.#operations);
  }
  set state(state: unknown) {
    this.#operations.check();
    this.#actor.state.set(this.#operations, state);
  }
  get vars(): unknown {
    return this.#actor.vars;
  }
  set vars(vars: unknown) {
    this.#actor.vars = vars;
  }

  get db(): RunDatabase {
    return (this.#db ??= new RunDatabase(this.#operations));
  }
  get kv(): KeyValue {
    return new RunKeyValue(this.#operations);
  }
  get queue(): RunQueues {
    const { queues } = this.#actor.config.schemas ?? {};
    return new RunQueues(this.#operations, queues, () => this.aborted);
  }
  get schedule(): RunSchedule {
    return new RunSchedule(this.#operations);
  }
  get cron(): RunCron {
    return new RunCron(this.#operations);
  }

  get conn(): RunConnection | undefined {
    if (!this.#connection) return undefined;
    return (this.#conn ??= this.#connectionOf(this.#connection, this.#generation));
  }
  get conns(): ReadonlyMap<string, RunConnection> {
    const all = new Map<string, RunConnection>();
    const { generation } = this.#actor.connections;
    for (const each of this.#operations.connections()) {
      all.set(each.id, this.#connectionOf(each, generation));
    }
    this.#actor.connections.keep((id) => all.has(id) || id === this.#connection?.id);
    return all;
  }
  #connectionOf(native: NativeConnection, generation: number): RunConnection {
    return new RunConnection(
      this.#operations,
      this.#actor.connections,
      native,
      generation,
      this.#actor.checkEvent,
    );
  }
  get request(): { readonly headers: Headers } {
    return { headers: new Headers(this.#headers) };
  }

  get claims(): Readonly<Record<string, unknown>> | undefined {
    return this.#operations.claims() as Readonly<Record<string, unknown>> | undefined;
  }

  get abortSignal(): AbortSignal {
    if (!this.#abort) {
      this.#abort = new AbortController();
      if (this.aborted) this.#abort.abort(this.#reason);
    }
    return this.#abort.signal;
  }
  get aborted(): boolean {
    return this.#reason !== undefined;
  }
  now(): number {
    return this.#operations.native.now();
  }

  broadcast(event: string, value?: unknown): void {
    this.#broadcast(event, value, "");
  }
  broadcastExcept(except: { readonly id: string }, event: string, value?: unknown): void {
    this.#broadcast(event, value, except.id);
  }
  #broadcast(event: string, value: unknown, except: string): void {
    const { native, run } = this.#operations;
    this.#actor.checkEvent(event);
    try {
      native.broadcast(run, event, encode(value, "sent"), except);
    } catch (thrown) {
      throw this.#operations.error(thrown);
    }
  }

  keepAwake<T>(promise: Promise<T>): Promise<T> {
    const { native, run } = this.#operations;
    let token: number;
    try {
      token = native.keepAwake(run);
    } catch (thrown) {
      throw this.#operations.error(thrown);
    }
    const release = (): void => native.releaseAwake(token);
    promise.then(release, release);
    return promise;
  }
  waitUntil(promise: Promise<unknown>): void {
    this.keepAwake(promise).catch((error) =>
      this.log.error("what waitUntil() was given failed", { error }),
    );
  }

  async sleepFor(ms: number): Promise<void> {
    await this.#operations.command(Command.Wait, [milliseconds(ms)]);
  }
  async idleFor(ms: number): Promise<void> {
    await this.#operations.command(Command.WaitIdle, [milliseconds(ms)]);
  }
  async flush(): Promise<void> {
    await this.#operations.command(Command.Flush, []);
  }
  sleep(): void {
    this.#operations.tell(Command.Sleep, []);
  }
  destroy(): void {
    this.#operations.tell(Command.Destroy, []);
  }
  client<R extends RegistryContract>(): ActorClient<R> {
    return makeClient<R>(this.#operations);
  }
}

function milliseconds(ms: number): number {
  if (!Number.isFinite(ms)) throw new RangeError(`${ms} is no number of milliseconds`);
  return Math.max(0, Math.ceil(ms));
}
