// FakeNative: what the addon does with an actor's code, without a database: it dispatches, keeps
// the order of what it is asked for, takes states at the end of turns, and puts them back when a
// run fails.

import { decode, encode } from "../src/cbor.ts";
import {
  Command,
  Encoding,
  Kind,
  type Native,
  type NativeCallbacks,
  type NativeConnection,
  type NativeFailure,
  type NativeRows,
  type Others,
  type Payload,
  type StartOptions,
} from "../src/native.ts";

/** How a run ended. */
export interface Outcome {
  readonly failure: NativeFailure | undefined;
  readonly result: Payload | undefined;
  /** The result, decoded. */
  readonly value: unknown;
}

/** What a run was begun with. */
export interface RunOptions {
  readonly name?: string;
  readonly payload?: Payload | undefined;
  readonly encoding?: Encoding;
  readonly connection?: NativeConnection;
  readonly headers?: Record<string, string>;
}

interface LiveRun {
  readonly actor: FakeActor;
  settle(failure: NativeFailure | undefined, result: Payload | undefined): void;
}

export const stopped: NativeFailure = {
  group: "actor",
  code: "stopped",
  message: "this call of the actor is over",
  metadata: "",
  retryable: false,
};

export class FakeNative implements Native {
  options!: StartOptions;
  callbacks!: NativeCallbacks;
  /** What was asked for, in that order. */
  readonly log: unknown[] = [];
  /** What commands do, with decoded arguments. May throw, or give a promise. */
  readonly commands = new Map<Command, (args: unknown[]) => unknown>();
  /** What statements do. */
  onExecute: (
    sql: string,
    parameters: readonly unknown[] | Record<string, unknown> | undefined,
  ) => NativeRows | Promise<NativeRows> = () => ({ columns: [], values: [] });
  connectionList: NativeConnection[] = [];
  /** Of whoever calls, in JSON. */
  claimsText: string | undefined;
  startFailure: Error | undefined;
  nowMs = 1_000;
  current = "";
  readonly awake = new Set<number>();
  readonly frame = new Float64Array(20);
  #texts: string[] = [];
  #columns: string[][] = [];
  #runs = new Map<number, LiveRun>();
  #lastRun = 0;
  #lastActor = 0;
  #lastToken = 0;

  start(options: StartOptions, callbacks: NativeCallbacks): Promise<{ url: string; port: number }> {
    this.options = options;
    this.callbacks = callbacks;
    if (this.startFailure) return Promise.reject(this.startFailure);
    return Promise.resolve({ url: "http://127.0.0.1:1", port: 1 });
  }
  socketBusy(run: number, isBusy: boolean): void {
    this.log.push(["socketBusy", run, isBusy]);
  }
  socketBuffered(): number {
    return 0;
  }
  stop(): Promise<void> {
    this.log.push("stop");
    return Promise.resolve();
  }

  /** An actor that has not been woken yet. */
  actor(type: string, key: string[] = ["k"]): FakeActor {
    const index = this.options.types.findIndex(({ name }) => name === type);
    return new FakeActor(this, ++this.#lastActor, index, key);
  }
  run(actor: FakeActor, kind: Kind, options: RunOptions): { id: number; done: Promise<Outcome> } {
    const id = ++this.#lastRun;
    const done = new Promise<Outcome>((resolve) => {
      this.#runs.set(id, {
        actor,
        settle: (failure, result) => {
          this.#runs.delete(id);
          actor.turnEnded();
          if (failure) actor.rollBack();
          else actor.commit();
          const value = typeof result === "string" ? JSON.parse(result) : result && decode(result);
          resolve({ failure, result, value });
        },
      });
    });
    this.callbacks.dispatch(
      kind,
      id,
      actor.id,
      actor.type,
      actor.introduce(),
      options.name ?? "",
      options.payload,
      options.encoding ?? Encoding.Cbor,
      options.connection,
      options.headers,
    );
    return { id, done };
  }
  #check(run: number): void {
    if (!this.#runs.has(run)) throw stopped;
  }
  /** The time of a run is over: its caller is answered, and it is one no more. */
  abandon(run: number): void {
    this.#runs.delete(run);
    this.callbacks.abort(run, true);
  }

  settle(run: number, failure: NativeFailure | undefined, result: Payload | undefined): void {
    this.log.push(["settle", failure ? `${failure.group}.${failure.code}` : "ok"]);
    this.#runs.get(run)?.settle(failure, result);
  }
  statement(sql: string): number {
    return this.#texts.push(sql) - 1;
  }
  forgetStatements(): void {
    this.#texts = [];
  }
  columns(number: number): string[] {
    return this.#columns[number]!;
  }
  execute(
    run: number,
    statement: number,
    parameters: readonly unknown[] | Record<string, unknown> | undefined,
    blocks: boolean,
  ): NativeRows | Promise<NativeRows> {
    this.#check(run);
    const sql = this.#texts[statement]!;
    this.log.push([blocks ? "executeSync" : "execute", sql, parameters]);
    return this.onExecute(sql, parameters);
  }
  query(
    run: number,
    statement: number,
    blocks: boolean,
    ...values: unknown[]
  ): NativeRows | Promise<NativeRows> | Others {
    this.frame[0] = -1;
    const rows = this.execute(run, statement, values.length > 0 ? values : undefined, blocks);
    if (rows instanceof Promise || rows.values.length + 2 > this.frame.length) return rows;
    const isNumber = (value: unknown): value is number => typeof value === "number";
    this.frame.set([
      rows.values.length,
      this.#columns.push(rows.columns) - 1,
      ...rows.values.map((each) => (isNumber(each) ? each : NaN)),
    ]);
    const others = rows.values.filter((each) => !isNumber(each));
    if (others.length === 0) return undefined;
    return others.length === 1 && typeof others[0] === "string" ? others[0] : others;
  }
  script(run: number, sql: string): void {
    this.#check(run);
    this.log.push(["script", sql]);
  }
  savepoint(run: number, step: "begin" | "release" | "rollback"): void {
    this.#check(run);
    this.log.push(step);
  }
  broadcast(run: number, event: string, value: Uint8Array, except: string): void {
    this.#check(run);
    this.log.push(["broadcast", event, decode(value), except]);
  }
  connections(run: number): NativeConnection[] {
    this.#check(run);
    return this.connectionList;
  }
  claims(run: number): Payload | undefined {
    this.#check(run);
    return this.claimsText;
  }
  command(run: number, command: Command, args: Uint8Array): Uint8Array | Promise<Uint8Array> {
    this.#check(run);
    const decoded = decode(args) as unknown[];
    this.log.push([nameOf(command), ...decoded]);
    const result = this.commands.get(command)?.(decoded);
    if (result instanceof Promise) return result.then((each) => encode(each ?? null, "sent"));
    return encode(result ?? null, "sent");
  }
  keepAwake(run: number): number {
    this.#check(run);
    this.awake.add(++this.#lastToken);
    return this.#lastToken;
  }
  releaseAwake(token: number): void {
    this.awake.delete(token);
  }
  now(): number {
    return this.nowMs;
  }
  currentActor(): string {
    return this.current;
  }
  rounds(): number {
    return 0;
  }
  untilTimer(): number | undefined {
    return undefined;
  }
  moveClock(ms: number): void {
    this.nowMs += ms;
  }
}

export class FakeActor {
  readonly native: FakeNative;
  readonly id: number;
  readonly type: number;
  readonly #key: string[];
  #isIntroduced = false;
  /** As the database has it. */
  saved: Uint8Array | undefined;
  #taken: Uint8Array | undefined;
  #isRestoring = false;

  constructor(native: FakeNative, id: number, type: number, key: string[]) {
    this.native = native;
    this.id = id;
    this.type = type;
    this.#key = key;
  }

  introduce(): string[] | undefined {
    if (this.#isIntroduced) return undefined;
    this.#isIntroduced = true;
    return this.#key;
  }
  /** The saved state, decoded. */
  get state(): unknown {
    return this.saved && decode(this.saved);
  }

  run(kind: Kind, options: RunOptions = {}): Promise<Outcome> {
    return this.native.run(this, kind, options).done;
  }
  begin(kind: Kind, options: RunOptions = {}): { id: number; done: Promise<Outcome> } {
    return this.native.run(this, kind, options);
  }
  /** As the core makes an actor. The first failure, if there is one. */
  async create(input?: unknown): Promise<NativeFailure | undefined> {
    const payload = input === undefined ? undefined : encode(input, "sent");
    const { failure } = await this.run(Kind.Create, { payload });
    return failure ?? (await this.run(Kind.Wake)).failure;
  }
  async wake(saved?: Uint8Array): Promise<NativeFailure | undefined> {
    this.saved = saved;
    const { failure } = await this.run(Kind.Load, { payload: saved });
    return failure ?? (await this.run(Kind.Wake)).failure;
  }
  action(name: string, ...args: unknown[]): Promise<Outcome> {
    return this.run(Kind.Action, { name, payload: encode(args, "sent") });
  }

  /** A turn ends: in the midst of a run too. */
  turnEnded(): void {
    this.#taken = this.native.callbacks.takeState(this.id) ?? this.#taken;
  }
  commit(): void {
    this.saved = this.#taken ?? this.saved;
    this.#taken = undefined;
  }
  rollBack(): void {
    this.#taken = undefined;
    if (this.#isRestoring) return;
    this.#isRestoring = true;
    this.native.callbacks.restoreState(this.id, this.saved);
    this.#isRestoring = false;
  }
  forget(): void {
    this.native.callbacks.forget(this.id);
  }
}

export function connection(id: string, options: Partial<NativeConnection> = {}): NativeConnection {
  return { id, params: "null", state: new Uint8Array(), tags: [], open: true, ...options };
}

function nameOf(command: Command): string {
  return Object.entries(Command).find(([, number]) => number === command)![0];
}
