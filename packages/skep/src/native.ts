/**
 * The native addon, as the rest of the package sees it. Nothing else imports it.
 *
 * The core calls JavaScript by `dispatch()`: one call for each run of an actor's code (an action, a hook). A run ends
 * with `settle()`. In between it does its work by the functions that take its id. What they do happens in the order of
 * the calls; each either is done when it returns, which is so as long as everything that it needs is in memory, or
 * gives a promise.
 *
 * A turn of a run ends when its code waits for anything else than these functions, and commits then.
 */
import { createRequire } from "node:module";

/** What an actor's code is asked to do. */
export const Kind = {
  /** `payload`: the input, or nothing. The actor is new: state is made, then onCreate runs. */
  Create: 0,
  /** `payload`: the saved state (CBOR), or nothing. The actor is not new. */
  Load: 1,
  Wake: 2,
  /** `name`: the action; `payload`: the array of its arguments. */
  Action: 3,
  /** `name`: the queue; `payload`: the message's body (CBOR). */
  Message: 4,
  /** The code that an actor runs of its own, until it is aborted. */
  Run: 5,
  /** `payload`: the parameters; `connection`: whose. Settles with the connection's state (CBOR), or nothing. */
  Admit: 6,
  Connected: 7,
  Disconnected: 8,
  Sleep: 9,
  Destroy: 10,
  /** A client that is not connected asks for something: a failure refuses it. `headers`: those of its request. */
  Pass: 11,
  /** A raw request. `name`: "METHOD /path?query"; `payload`: its body's bytes; `headers`. Answered by Respond…. */
  Request: 12,
  /**
   * A raw WebSocket, from its opening to its end. `name`: "GET /path?query"; `payload`: the subprotocols (JSON);
   * `headers`. Answered by Socket…; what the client sends comes by message() and closed().
   */
  Talk: 13,
  /** Settles with whether the connection may hear the event `name` (CBOR). */
  Subscribe: 14,
  /** Settles with whether a client may send to the queue `name` (CBOR). `headers`: those of its request. */
  Publish: 15,
} as const;
export type Kind = (typeof Kind)[keyof typeof Kind];

export const Encoding = {
  Json: 0,
  Cbor: 1,
} as const;
export type Encoding = (typeof Encoding)[keyof typeof Encoding];

/** Encoded: text is JSON, bytes are CBOR. */
export type Payload = string | Uint8Array;

export interface NativeFailure {
  group: string;
  code: string;
  message: string;
  /** JSON, or empty. */
  metadata: string;
  retryable: boolean;
}

export interface NativeConnection {
  id: string;
  params: Payload;
  /** CBOR, or empty. */
  state: Uint8Array;
  tags: string[];
  open: boolean;
}

/** A value of a row: integers beyond 2^53 are bigint, blobs bytes. */
export type SqlValue = null | number | bigint | string | Uint8Array;

/** Rows, flat: the values of the first row, then those of the second. */
export interface NativeRows {
  columns: string[];
  values: SqlValue[];
}

/** Of the rows in a frame: what is no number, in that order. */
export type Others = undefined | string | SqlValue[];

export interface NativeType {
  name: string;
  migrations: { version: number; sql: string }[];
  /** Files of SQLite extensions. */
  extensions?: string[];
  actions: string[];
  queues: { name: string; hasHandler: boolean; triesMax?: number; messagesMax?: number; isGuarded?: boolean }[];
  /** By name: how many events are kept in the database (0: none). `isGuarded`: Kind.Subscribe is asked. */
  events: { name: string; history: number; isGuarded?: boolean }[];
  hasRun: boolean;
  hasOnDisconnect: boolean;
  /** Kind.Pass is worth a call. */
  hasGate?: boolean;
  /** Kind.Request is. */
  hasRequestHandler?: boolean;
  /** Kind.Talk is. */
  hasSocketHandler?: boolean;
  options: {
    sleepAfterMs?: number;
    actionTimeoutMs?: number;
    hookTimeoutMs?: number;
    oneAtATime?: boolean;
    keepAwakeWhileConnected?: boolean;
    databaseBytesMax?: number;
  };
}

/** Called on the JavaScript thread. */
export interface NativeCallbacks {
  /**
   * A run begins. Does not throw. `actor` names the awake actor until `forget(actor)`; `key` is given with the first
   * run of an actor only. `connection`: that whose message or coming and going this is.
   */
  dispatch(
    kind: Kind,
    run: number,
    actor: number,
    type: number,
    key: string[] | undefined,
    name: string,
    payload: Payload | undefined,
    replyEncoding: Encoding,
    connection: NativeConnection | undefined,
    headers: Record<string, string> | undefined,
  ): void;
  /** A run shall end: its time ran out, or its actor is on its way out. */
  abort(run: number, isTimeout: boolean): void;
  /** The actor's state (CBOR) if it has changed since it was last taken or restored, else nothing. Does not throw. */
  takeState(actor: number): Uint8Array | undefined;
  /** A turn was rolled back: the state is this again (CBOR). */
  restoreState(actor: number, state: Uint8Array | undefined): void;
  /** The actor sleeps, or is gone. */
  forget(actor: number): void;
  /** A message of the WebSocket that the run is for. Text is a string. */
  message(run: number, data: string | Uint8Array): void;
  /** Behind its last message: it is over. */
  closed(run: number, code: number, reason: string): void;
}

export interface StartOptions {
  types: NativeType[];
  /** As a command line has them: "--listen=0". */
  settings: string[];
  /** For tests: actors' time begins there (milliseconds since 1970), and moves with moveClock() only. */
  virtualTimeMs?: number;
}

export interface Started {
  url: string;
  port: number;
}

/** What `command()` does; arguments and result are CBOR (see bindings/node/commands.cc). */
export const Command = {
  KvGet: 1, // [key: bytes] -> bytes | null
  KvPut: 2, // [key: bytes, value: bytes]
  KvDelete: 3, // [key: bytes] -> bool
  KvList: 4, // [prefix: bytes, after: bytes | null, limit] -> [[key, value], …]
  TimerSet: 10, // [name: text | null, atMs, action, args: bytes, delayMs?: instead of atMs] -> id
  TimerCancel: 11, // [id | name] -> bool
  TimerGet: 12, // [id | name] -> {id, name, action, args: bytes, atMs, nextTryMs, tries, error} | null
  TimerList: 13, // [afterId, limit] -> […]
  JobSet: 20, // [name, expression | null, timeZone | null, intervalMs | null, action, args: bytes]
  JobRemove: 21, // [name] -> bool
  JobGet: 22, // [name] -> {name, action, args, expression, timeZone, intervalMs, nextMs, tries} | null
  JobList: 23, // [] -> […]
  JobHistory: 24, // [name, limit] -> [{scheduledMs, startedMs, endedMs, error}]
  QueueSend: 30, // [queue, body: bytes, delayMs] -> id
  QueueNext: 31, // [queue, timeoutMs | null] -> {id, body: bytes, tries} | null
  QueueComplete: 32, // [queue, id, reply: bytes | null]
  QueueFail: 33, // [queue, id, error: text]
  Call: 40, // [type, key: [text], action, args: bytes, existence: 0 getOrCreate 1 get 2 create, input: bytes | null] -> bytes
  Send: 41, // [type, key, queue, body: bytes, delayMs] -> id
  Resolve: 42, // [type, key, existence, input: bytes | null] -> bool: it was made by this
  Wait: 50, // [ms]: a pause of the run
  WaitIdle: 51, // [ms]: the same, in which the actor may fall asleep when this is its run
  Flush: 52, // []: until everything written so far is durable
  Sleep: 53, // []
  Destroy: 54, // []
  ConnectionState: 60, // [id, state: bytes]
  ConnectionTags: 61, // [id, [tag]]
  ConnectionSend: 62, // [id, event, value: bytes]
  ConnectionClose: 63, // [id, reason]
  Respond: 70, // [status, [[name, value]], body: bytes]: leaves when the run has ended well
  RespondBegin: 71, // [status, [[name, value]]]: a stream, which ends with the run
  RespondWrite: 72, // [bytes]: a pause of the run; waits while too much is on its way
  SocketAccept: 80, // [run: the WebSocket's, protocol]
  SocketSend: 81, // [run: the WebSocket's, isText, bytes]: also of another run of the same actor
  SocketClose: 82, // [run: the WebSocket's, code, reason]: the same
  SocketDrain: 83, // [run: the WebSocket's, and this]: a pause; waits while too much is on its way
} as const;
export type Command = (typeof Command)[keyof typeof Command];

export interface Native {
  start(options: StartOptions, callbacks: NativeCallbacks): Promise<Started>;
  /** Waits for what is under way, puts all actors to sleep, and ends. */
  stop(): Promise<void>;
  /** Ends a run. `result`: an action's, encoded as `replyEncoding` asked; of Admit the state. */
  settle(run: number, failure: NativeFailure | undefined, result: Payload | undefined): void;
  /** Gives the number of a text of SQL, for `execute()` and `query()`. */
  statement(sql: string): number;
  /** Those numbers are good no more, nor are those of columns. */
  forgetStatements(): void;
  /** The names of columns, by their number: the same columns have the same. */
  columns(number: number): string[];
  /**
   * Runs one statement. `parameters`: by position, or by name with its prefix (":id"). Throws, or rejects with, a
   * NativeFailure. `blocks`: waits for pages on this thread instead of giving a promise.
   */
  execute(
    run: number,
    statement: number,
    parameters: readonly unknown[] | Record<string, unknown> | undefined,
    blocks: boolean,
  ): NativeRows | Promise<NativeRows>;
  /**
   * The same at less cost, with at most 16 values. Rows that are there at once are in `frame` (bindings/node/flat_rows.h),
   * and what is given is what of them is no number: nothing, one text, or an array. When `frame[0]` is -1 they are not.
   */
  query(
    run: number,
    statement: number,
    blocks: boolean,
    ...values: unknown[]
  ): NativeRows | Promise<NativeRows> | Others;
  readonly frame: Float64Array;
  /** Runs a script of several statements, whose rows are dropped. */
  script(run: number, sql: string): void | Promise<void>;
  /** Opens, releases or rolls back a savepoint. */
  savepoint(run: number, step: "begin" | "release" | "rollback"): void | Promise<void>;
  /** `value` is CBOR. `except`: the id of a connection, or "". */
  broadcast(run: number, event: string, value: Uint8Array, except: string): void;
  connections(run: number): NativeConnection[];
  /** Of the token of the client that this run is for, an encoded object. */
  claims(run: number): Payload | undefined;
  command(run: number, command: Command, args: Uint8Array): Uint8Array | Promise<Uint8Array>;
  /** No message() before this says false again. */
  socketBusy(run: number, isBusy: boolean): void;
  /** Bytes that are on their way to the client of the WebSocket. */
  socketBuffered(run: number): number;
  /** Keeps the actor awake until release(); gives a token. */
  keepAwake(run: number): number;
  releaseAwake(token: number): void;
  /** The time of the actor's clock, in milliseconds since 1970. */
  now(): number;
  /** Whose code runs, in the call from the core that goes on; "" outside of one. */
  currentActor(): string;
  /** Grows with everything that actors do. */
  rounds(): number;
  /** Milliseconds, and parts of one, until the next timer of the core for this thread; none: there is none. */
  untilTimer(): number | undefined;
  /** Moves virtual time. */
  moveClock(ms: number): void;
}

const require = createRequire(import.meta.url);

function load(): Native {
  const name = `@skep/core-${process.platform}-${process.arch}`;
  const named = process.env.SKEP_NATIVE;
  const path = named ?? `${name}/skep.node`;
  try {
    return require(path) as Native;
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    if (code === "MODULE_NOT_FOUND") {
      const advice = named ? "" : `, or install ${name}, which npm leaves out with --omit=optional`;
      const text =
        `Skep's native part is not there (${path}). Build it from source (make), ` +
        `and name build/bindings/node/skep.node in SKEP_NATIVE${advice}`;
      throw new Error(text, { cause });
    }
    // A library that it needs is missing or too old: the loader says which.
    if (code === "ERR_DLOPEN_FAILED") {
      const text =
        `Skep's native part does not load here (${path}): ${message}. ` +
        `One that is built from source on this system (make) can be named in SKEP_NATIVE`;
      throw new Error(text, { cause });
    }
    throw cause;
  }
}

let loaded: Native | undefined;

/** Loaded with the first use, so that types and tests of other parts need no binary. */
export function native(): Native {
  loaded ??= load();
  return loaded;
}
