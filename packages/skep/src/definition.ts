// actor(), event(), queue(), db(): what an actor type is, and its types.

import type { EventType, QueueType } from "@skep/client";

import type {
  AccessContext,
  ActorContext,
  BaseContext,
  ConnectContext,
  Connection,
  Events,
  Queues,
  StateContext,
} from "./context.ts";
import type { ActorWebSocket } from "./raw_socket.ts";
import type { StandardSchema } from "./standard_schema.ts";

type Awaitable<T> = T | Promise<T>;

/** An event as its actor type declares it. */
export interface EventDefinition<T> extends EventType<T> {
  readonly history: number;
  readonly canSubscribe: EventOptions["canSubscribe"];
}

/** How an event is kept. */
export interface EventOptions {
  /**
   * About how many of the newest are kept in the database, for clients that come back after a crash
   * or a long time. 0, the default: only those in memory, while the actor is awake.
   */
  readonly history?: number;
  /**
   * Whether a connection (`c.conn`) may subscribe to it; a client that may not gets `request.forbidden`. Asked each
   * time that it subscribes, also when it comes back. What the actor sends to one connection is not asked about.
   */
  // A method: its parameter may be a more precise AccessContext.
  canSubscribe?(c: AccessContext): Awaitable<boolean>;
}

/** Declares an event that carries a `T`, or nothing. */
export function event(): EventDefinition<undefined>;
export function event<T>(options?: EventOptions): EventDefinition<T>;
export function event<T>(options: EventOptions = {}): EventDefinition<T> {
  return { history: options.history ?? 0, canSubscribe: options.canSubscribe };
}

/** A queue as its actor type declares it. */
export interface QueueDefinition<Body, Reply> extends QueueType<Body, Reply> {
  readonly options: QueueOptions;
}

/** The bounds of a queue. */
export interface QueueOptions {
  /** How many may wait; more fail with `actor.queue_full`. 1,000 */
  readonly messagesMax?: number;
  /** How often a message is tried before it is dead. 8 */
  readonly triesMax?: number;
  /**
   * Whether a client may send to it: behind `onBeforeConnect`, by `c.claims` and `c.request`. One that may not gets
   * `request.forbidden`. Other actors and the actor's own code are not asked about.
   */
  canPublish?(c: AccessContext): Awaitable<boolean>;
}

/**
 * Declares a queue whose messages are a `Body`, and are answered with a `Reply`. `onMessage` of the
 * actor handles them, or its own code reads them with `c.queue`.
 */
export function queue<Body, Reply = null>(
  options: QueueOptions = {},
): QueueDefinition<Body, Reply> {
  return { options };
}

/** One step of a database's schema. */
export interface Migration {
  /** From 1, growing. */
  readonly version: number;
  /** Any number of statements. */
  readonly sql: string;
}

/** The schema of an actor's database. */
export interface DatabaseDefinition {
  readonly migrations: readonly Migration[];
  readonly extensions: readonly string[];
  readonly onMigrate: ((c: BaseContext) => Awaitable<void>) | undefined;
}

/** What `db()` takes. */
export interface DatabaseOptions {
  /**
   * Each runs once, in the order of versions, when an actor is made or wakes: all that are due
   * together, or none.
   */
  readonly migrations?: readonly Migration[];
  /**
   * Files of SQLite extensions (shared libraries) that each of these databases has, as sqlite-vec's
   * `getLoadablePath()` names one. They run within the process, as native addons do. SQL can load none.
   */
  readonly extensions?: readonly string[];
  /** Runs with each wake, behind the migrations and together with them. */
  readonly onMigrate?: (c: BaseContext) => Awaitable<void>;
}

/** The schema of an actor's database. */
export function db(options: DatabaseOptions = {}): DatabaseDefinition {
  const { migrations = [], extensions = [], onMigrate } = options;
  return { migrations, extensions, onMigrate };
}

/** How actors of a type behave. */
export interface ActorOptions {
  /** Idle for so long, in milliseconds, then asleep. 30,000 */
  readonly sleepAfter?: number;
  /** What takes longer fails with `actor.action_timed_out`. 60,000 */
  readonly actionTimeout?: number;
  /** Of hooks. 30,000 */
  readonly hookTimeout?: number;
  /** The next call begins when this one has ended, instead of whenever it waits. */
  readonly oneAtATime?: boolean;
  /** An actor with a connection does not fall asleep. Otherwise connections outlive its sleep. */
  readonly keepAwakeWhileConnected?: boolean;
  readonly databaseBytesMax?: number;
}

/** Actions: functions whose first parameter is the context. */
export interface Actions<C> {
  readonly [name: string]: (c: C, ...args: never[]) => unknown;
}

type ArgumentsOf<F> = F extends (c: never, ...args: infer Args) => unknown ? Args : never;
type BodyOf<Q> = Q extends QueueType<infer Body, unknown> ? Body : never;
type ReplyOf<Q> = Q extends QueueType<infer _Body, infer Reply> ? Reply : never;

/** Schemas of zod, valibot or any other library with Standard Schema. */
export interface Schemas<Input, Params, A, Q> {
  /** Of what an actor is created with. */
  readonly input?: StandardSchema<Input>;
  /** Of what a client says about itself when it connects. */
  readonly params?: StandardSchema<Params>;
  /** By action: of the array of its arguments, without the context. */
  readonly actions?: { readonly [Name in keyof A]?: StandardSchema<ArgumentsOf<A[Name]>> };
  /** Of the messages of a queue. */
  readonly queues?: { readonly [Name in keyof Q]?: StandardSchema<BodyOf<Q[Name]>> };
}

/**
 * What `actor()` takes. TypeScript reads functions in the order in which they stand, and knows of a
 * type what stands before: `createState`, `createVars`, `onBeforeConnect` and `createConnState`
 * stand before what uses them.
 */
export interface ActorConfig<State, Vars, ConnState, Params, Input, E, Q, A> {
  /** The schema of the actor's database. */
  readonly db?: DatabaseDefinition;
  readonly events?: E;
  readonly queues?: Q;
  /** What a new actor's state is, each with a copy of its own. */
  readonly state?: State;
  /** Makes it instead, with the input of the actor's creation. */
  readonly createState?: (c: BaseContext<unknown, unknown, E, Q>, input: Input) => Awaitable<State>;
  /** What each wake begins with, each with a copy of its own (as `structuredClone` makes it). */
  readonly vars?: Vars;
  readonly createVars?: (c: StateContext<State, unknown, unknown, E, Q>) => Awaitable<Vars>;
  /** What a connection's state is. */
  readonly connState?: ConnState;
  readonly createConnState?: (
    c: ConnectContext<State, Vars, unknown, unknown, E, Q>,
    params: Params,
  ) => Awaitable<ConnState>;
  /** What comes from outside is checked with these before the actor's code sees it. */
  readonly schemas?: Schemas<Input, Params, NoInfer<A>, NoInfer<Q>>;
  readonly options?: ActorOptions;

  /** The actor is new; its state has been made. */
  readonly onCreate?: (
    c: StateContext<State, unknown, unknown, E, Q>,
    input: Input,
  ) => Awaitable<void>;
  /** Behind `onCreate`, and whenever it wakes. */
  readonly onWake?: (c: ActorContext<State, Vars, ConnState, Params, E, Q>) => Awaitable<void>;
  readonly onSleep?: (c: ActorContext<State, Vars, ConnState, Params, E, Q>) => Awaitable<void>;
  readonly onDestroy?: (c: ActorContext<State, Vars, ConnState, Params, E, Q>) => Awaitable<void>;
  /**
   * Runs while the actor is awake. When it throws it starts again after a while; when it returns it
   * has ended until the next wake.
   */
  readonly run?: (c: ActorContext<State, Vars, ConnState, Params, E, Q>) => Awaitable<void>;
  /**
   * Refuses a client by throwing a UserError. Asked once for each connection, and without one for
   * each action, message and raw request; `params` is undefined when the client gives none.
   */
  readonly onBeforeConnect?: (
    c: ConnectContext<State, Vars, unknown, unknown, E, Q>,
    params: Params,
  ) => Awaitable<void>;
  /** It is one of the actor's connections now. */
  readonly onConnect?: (
    c: ActorContext<State, Vars, ConnState, Params, E, Q>,
    conn: Connection<ConnState, Params, E>,
  ) => Awaitable<void>;
  /** It is none any more. */
  readonly onDisconnect?: (
    c: ActorContext<State, Vars, ConnState, Params, E, Q>,
    conn: Connection<ConnState, Params, E>,
  ) => Awaitable<void>;
  /**
   * Answers requests at `/actors/{type}/{key…}/request/…`. Without a Response the answer is 204. A
   * body that is a stream is sent as it comes.
   */
  readonly onRequest?: (
    c: ActorContext<State, Vars, ConnState, Params, E, Q>,
    request: Request,
  ) => Awaitable<Response | void>;
  /**
   * Talks with a client that opens a WebSocket at `/actors/{type}/{key…}/request/…`, in messages of its own: adds
   * listeners, and returns. The context is of use until the WebSocket is over; each message is a turn of its own.
   */
  readonly onWebSocket?: (
    c: ActorContext<State, Vars, ConnState, Params, E, Q>,
    socket: ActorWebSocket,
    request: Request,
  ) => Awaitable<void>;
  // Not a constraint of A: `c` would have its type before State and the others are inferred.
  readonly actions?: A & Actions<ActorContext<State, Vars, ConnState, Params, E, Q>>;
  /**
   * By queue: handles a message, and gives the reply. What it writes and the message's end commit
   * together; when it throws, the message comes again.
   */
  readonly onMessage?: {
    readonly [Name in keyof Q]?: (
      c: ActorContext<State, Vars, ConnState, Params, E, Q>,
      body: BodyOf<Q[Name]>,
    ) => Awaitable<ReplyOf<Q[Name]> | void>;
  };
}

/** The configuration of any actor type, when its types do not matter any more. */
export interface RuntimeConfig {
  readonly db?: DatabaseDefinition;
  readonly events?: {
    readonly [name: string]: { readonly history?: number; readonly canSubscribe?: Code | undefined };
  };
  readonly queues?: { readonly [name: string]: { readonly options?: Omit<QueueOptions, "canPublish"> & { readonly canPublish?: Code } } };
  readonly state?: unknown;
  readonly createState?: Code;
  readonly vars?: unknown;
  readonly createVars?: Code;
  readonly connState?: unknown;
  readonly createConnState?: Code;
  readonly schemas?: {
    readonly input?: StandardSchema;
    readonly params?: StandardSchema;
    readonly actions?: { readonly [name: string]: StandardSchema | undefined };
    readonly queues?: { readonly [name: string]: StandardSchema | undefined };
  };
  readonly options?: ActorOptions;
  readonly onCreate?: Code;
  readonly onWake?: Code;
  readonly onSleep?: Code;
  readonly onDestroy?: Code;
  readonly run?: Code;
  readonly onBeforeConnect?: Code;
  readonly onConnect?: Code;
  readonly onDisconnect?: Code;
  readonly onRequest?: Code;
  readonly onWebSocket?: Code;
  readonly actions?: { readonly [name: string]: Code };
  readonly onMessage?: { readonly [name: string]: Code | undefined };
}
/** A function of an actor's code. */
export type Code = (c: unknown, ...args: unknown[]) => unknown;

/** An actor type: for `setup({ use })`, and for the types of its clients. */
export interface ActorDefinition<State, Vars, ConnState, Params, Input, E, Q, A> {
  readonly actions: A;
  readonly events: E;
  readonly queues: Q;
  readonly "~types"?: { readonly params: Params; readonly input: Input };
  readonly "~context"?: ActorContext<State, Vars, ConnState, Params, E, Q>;
  readonly "~config": RuntimeConfig;
}

/** Any actor type. */
export interface AnyActorDefinition {
  readonly actions: object;
  readonly events: object;
  readonly queues: object;
  readonly "~types"?: { readonly params?: unknown; readonly input?: unknown };
  readonly "~config": RuntimeConfig;
}

/**
 * The context of an actor type, for functions beside its definition: `ContextOf<typeof chatRoom>`.
 */
export type ContextOf<D> = D extends { readonly "~context"?: infer C } ? NonNullable<C> : never;

/**
 * Defines an actor type.
 *
 * ```ts
 * const counter = actor({
 *   state: { count: 0 },
 *   events: { changed: event<number>() },
 *   actions: {
 *     increment: (c, by: number) => {
 *       c.state.count += by;
 *       c.broadcast("changed", c.state.count);
 *       return c.state.count;
 *     },
 *   },
 * });
 * ```
 */
export function actor<
  State = undefined,
  Vars = undefined,
  ConnState = undefined,
  Params = unknown,
  Input = unknown,
  E extends Events = Record<never, never>,
  Q extends Queues = Record<never, never>,
  A = Record<never, never>,
>(
  config: ActorConfig<State, Vars, ConnState, Params, Input, E, Q, A>,
): ActorDefinition<State, Vars, ConnState, Params, Input, E, Q, A> {
  const erased = config as unknown as RuntimeConfig;
  checkConfig(erased);
  return {
    actions: config.actions ?? ({} as A),
    events: config.events ?? ({} as E),
    queues: config.queues ?? ({} as Q),
    "~config": erased,
  };
}

const pairs = [
  ["state", "createState"],
  ["vars", "createVars"],
  ["connState", "createConnState"],
] as const;

/** What types cannot say, or what code without types got wrong. */
function checkConfig(config: RuntimeConfig): void {
  for (const [value, create] of pairs) {
    if (config[value] !== undefined && config[create] !== undefined) {
      throw new TypeError(`an actor has ${value} or ${create}, not both`);
    }
  }
  for (const [name, action] of Object.entries(config.actions ?? {})) {
    if (typeof action !== "function") throw new TypeError(`the action '${name}' is no function`);
  }
  for (const name of Object.keys(config.onMessage ?? {})) {
    if (!Object.hasOwn(config.queues ?? {}, name)) {
      throw new TypeError(`onMessage handles '${name}', which is no queue of the actor`);
    }
  }
  for (const part of ["actions", "queues"] as const) {
    for (const name of Object.keys(config.schemas?.[part] ?? {})) {
      if (!Object.hasOwn(config[part] ?? {}, name)) {
        throw new TypeError(`schemas.${part} has '${name}', which the actor has not`);
      }
    }
  }
  let last = 0;
  for (const { version } of config.db?.migrations ?? []) {
    if (!Number.isSafeInteger(version) || version <= last) {
      throw new TypeError("versions of migrations are whole numbers from 1, and grow");
    }
    last = version;
  }
}
