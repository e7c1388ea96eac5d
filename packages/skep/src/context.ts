// The context that an actor's code gets, as types. RunContext (run_context.ts) is what it is.

import type { EventType, QueueType, RegistryContract } from "@skep/client";

import type { Database } from "./database.ts";
import type { KeyValue } from "./key_value.ts";
import type { Logger } from "./log.ts";
import type { ActorClient } from "./other_actors.ts";
import type { Cron, Schedule } from "./schedule.ts";

/** Events by name. */
export interface Events {
  readonly [name: string]: EventType<unknown>;
}
/** Queues by name. */
export interface Queues {
  readonly [name: string]: QueueType<unknown, unknown>;
}

type NameOf<T> = keyof T & string;
type Carried<E> = E extends EventType<infer T> ? T : never;
type BodyOf<Q> = Q extends QueueType<infer Body, unknown> ? Body : never;
type ReplyOf<Q> = Q extends QueueType<infer _Body, infer Reply> ? Reply : never;
/** An event that carries nothing needs no value. */
type Value<T> = undefined extends T ? [value?: T] : [value: T];

/** One client that stays connected to the actor. */
export interface Connection<ConnState, Params, E> {
  /** Unique, and new for each connection: a client that comes back has another. */
  readonly id: string;
  /** What the client said about itself. */
  readonly params: Params;
  /**
   * What `connState` or `createConnState` made. Changes to it belong to the turn; it ends with the
   * connection.
   */
  state: ConnState;
  /** Names to find it by. */
  readonly tags: ReadonlySet<string>;
  /** Whether it is still there: nobody gets what is sent to one that has gone. */
  readonly isOpen: boolean;
  addTag(tag: string): void;
  removeTag(tag: string): void;
  /**
   * Sends an event to this client, whether it subscribes to it or not. Leaves when the turn is
   * durable.
   */
  send<Name extends NameOf<E>>(event: Name, ...value: Value<Carried<E[Name]>>): void;
  /** Ends the connection, with what was sent before: the client does not come back by itself. */
  disconnect(reason?: string): void;
}

/** A message that the actor's own code has taken from a queue. */
export interface QueueMessage<Body, Reply> {
  readonly id: number;
  readonly body: Body;
  /** How often handling it has failed. */
  readonly tries: number;
  /** It is done: what the turn wrote and this commit together. A sender that waits gets `reply`. */
  complete(...reply: Value<Reply>): Promise<void>;
  /** It comes again later, or is dead after its last try. So does one that is forgotten. */
  fail(error: string): Promise<void>;
}

/** The actor's own queues. */
export interface OwnQueues<Q> {
  /** Gives the message's id. Belongs to the turn, like SQL. */
  send<Name extends NameOf<Q>>(
    queue: Name,
    body: BodyOf<Q[Name]>,
    options?: { readonly delay?: number },
  ): Promise<number>;
  /**
   * Waits for a message, as long as `timeout` says (in milliseconds). Null: none came. In `run` the
   * actor may fall asleep meanwhile, and a message wakes it.
   */
  next<Name extends NameOf<Q>>(
    queue: Name,
    options?: { readonly timeout?: number },
  ): Promise<QueueMessage<BodyOf<Q[Name]>, ReplyOf<Q[Name]>> | null>;
  /** One message after the other, until the run is told to end. */
  iter<Name extends NameOf<Q>>(
    queue: Name,
  ): AsyncIterableIterator<QueueMessage<BodyOf<Q[Name]>, ReplyOf<Q[Name]>>>;
}

/** What all of an actor's code can do, also before there is a state. */
export interface BaseContext<ConnState = unknown, Params = unknown, E = unknown, Q = unknown> {
  /** `chatRoom["lobby"]`, as logs and errors name the actor. */
  readonly actorId: string;
  /** The name of the actor's type. */
  readonly name: string;
  readonly key: readonly string[];
  readonly log: Logger;
  /** The actor's own SQLite database. */
  readonly db: Database;
  readonly kv: KeyValue;
  readonly queue: OwnQueues<Q>;
  readonly schedule: Schedule;
  readonly cron: Cron;
  /** All connections, the oldest first; after a wake too. */
  readonly conns: ReadonlyMap<string, Connection<ConnState, Params, E>>;
  /** The connection whose call or hook this is, if it is one's. */
  readonly conn: Connection<ConnState, Params, E> | undefined;
  /**
   * What the token of the client says that this call is for, when the server asks for tokens; of a connection, as it
   * was when it connected. Undefined for calls of other actors and what the actor does of its own.
   */
  readonly claims: Readonly<Record<string, unknown>> | undefined;
  /** Aborted when this run should end: its time is over, or the actor is on its way out. */
  readonly abortSignal: AbortSignal;
  readonly aborted: boolean;
  /** The time of the actor's clock, in milliseconds since 1970. */
  now(): number;
  /**
   * Sends an event to all connections that subscribe to it, when the turn is durable. Clients that
   * were away for a moment get it when they come back.
   */
  broadcast<Name extends NameOf<E>>(event: Name, ...value: Value<Carried<E[Name]>>): void;
  /** As `broadcast()`, but not to that one. */
  broadcastExcept<Name extends NameOf<E>>(
    except: { readonly id: string },
    event: Name,
    ...value: Value<Carried<E[Name]>>
  ): void;
  /** Does not let the actor fall asleep before the promise is settled; gives it back. */
  keepAwake<T>(promise: Promise<T>): Promise<T>;
  /** As `keepAwake()`, for what nobody waits for: when it fails, the log says so. */
  waitUntil(promise: Promise<unknown>): void;
  /** Waits, and is rejected when the run is told to end meanwhile. */
  sleepFor(ms: number): Promise<void>;
  /**
   * As `sleepFor()`, but the actor may fall asleep when only its `run` waits, and only in this way.
   */
  idleFor(ms: number): Promise<void>;
  /** Waits until everything written so far is durable. */
  flush(): Promise<void>;
  /** Sleep without waiting to be idle, as soon as no call is under way; those that come before are served. */
  sleep(): void;
  /**
   * The actor and all that it stored is removed, if this turn ends well; what throws destroys nothing. This run
   * goes on to its end, and its reply comes when the store has removed the actor.
   */
  destroy(): void;
  /**
   * Other actors, typed by the registry: `c.client<typeof registry>().counter.getOrCreate("a")`.
   */
  client<R extends RegistryContract = import("@skep/client").AnyRegistry>(): ActorClient<R>;
}

/** What the hooks that come before `vars` get: `onCreate`, `createVars`. */
export interface StateContext<
  State = unknown,
  ConnState = unknown,
  Params = unknown,
  E = unknown,
  Q = unknown,
> extends BaseContext<ConnState, Params, E, Q> {
  /** An object that is saved with each turn that changes it. */
  state: State;
}

/** What actions and hooks get. */
export interface ActorContext<
  State = unknown,
  Vars = unknown,
  ConnState = unknown,
  Params = unknown,
  E = unknown,
  Q = unknown,
> extends StateContext<State, ConnState, Params, E, Q> {
  /** Lives as long as the actor is awake, and is not saved. */
  vars: Vars;
}

/**
 * What `canSubscribe` and `canPublish` get. They stand before the types of the actor are known: say which part is of
 * interest, as in `canSubscribe: (c: AccessContext<{ role: string }>) => c.conn?.state.role === "admin"`.
 */
export interface AccessContext<ConnState = unknown, State = unknown, Params = unknown>
  extends ActorContext<State, unknown, ConnState, Params> {
  /** Of whoever sends to a queue; empty for a subscription. */
  readonly request: { readonly headers: Headers };
}

/** What `onBeforeConnect` and `createConnState` get, for which there is no connection yet. */
export interface ConnectContext<
  State = unknown,
  Vars = unknown,
  ConnState = unknown,
  Params = unknown,
  E = unknown,
  Q = unknown,
> extends ActorContext<State, Vars, ConnState, Params, E, Q> {
  /** The HTTP request that wants to become a connection, or that asks for something without one. */
  readonly request: { readonly headers: Headers };
}
