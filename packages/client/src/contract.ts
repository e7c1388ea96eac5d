// What a client must know about actors: the types that `setup({ use })` of the package `skep` has,
// and a short way to write them for actors in C++. Nothing here exists at run time.

/** An event that carries a `T`. `event<T>()` of the package `skep` makes one. */
export interface EventType<T> {
  readonly "~event"?: T;
}

/** A queue whose messages are a `Body`, and are answered with a `Reply`. */
export interface QueueType<Body, Reply = null> {
  readonly "~queue"?: { readonly body: Body; readonly reply: Reply };
}

/** The types of an actor's definition, as far as its clients see them. */
export interface ActorDefinitionTypes {
  /** Functions whose first parameter is the context. */
  readonly actions?: object;
  /** `EventType`s by name. */
  readonly events?: object;
  /** `QueueType`s by name. */
  readonly queues?: object;
  /**
   * What else is inferred from the definition: of `onBeforeConnect` the parameters, of `onCreate`
   * the input.
   */
  readonly "~types"?: { readonly params?: unknown; readonly input?: unknown };
}

/** The type of a registry: `typeof registry`, or `RegistryTypes<…>`. */
export interface RegistryContract {
  readonly use: { readonly [name: string]: ActorDefinitionTypes };
}

/**
 * What a registry is taken for when a client is made without a type: anything goes, and nothing is
 * known.
 */
export interface AnyRegistry {
  readonly use: {
    readonly [name: string]: {
      readonly actions: { readonly [name: string]: (c: never, ...args: unknown[]) => unknown };
      readonly events: { readonly [name: string]: EventType<unknown> };
      readonly queues: { readonly [name: string]: QueueType<unknown, unknown> };
      readonly "~types"?: { readonly params?: unknown; readonly input?: unknown };
    };
  };
}

/**
 * An actor type as a person writes it down: actions without their context, and what events and
 * queues carry.
 */
export interface ActorShape {
  /** Functions by name. */
  readonly actions?: object;
  /** What each event carries. */
  readonly events?: object;
  /** `{ body, reply? }` of each queue. */
  readonly queues?: object;
  readonly params?: unknown;
  readonly input?: unknown;
}

type WithContext<F> = F extends (...args: infer Args) => infer Result
  ? (c: never, ...args: Args) => Result
  : never;
type QueueOf<Q> = Q extends { body: infer Body }
  ? QueueType<Body, Q extends { reply: infer Reply } ? Reply : null>
  : QueueType<Q>;
type Field<S, Name extends PropertyKey> = Name extends keyof S ? S[Name] : unknown;
/** The members of a part that may be missing. */
type Part<D, Name extends PropertyKey> = Name extends keyof D
  ? NonNullable<D[Name]>
  : Record<never, never>;

/** The contract of one actor type that is written down as an `ActorShape`. */
export interface ActorTypes<S extends ActorShape> {
  readonly actions: {
    readonly [K in keyof Part<S, "actions">]: WithContext<Part<S, "actions">[K]>;
  };
  readonly events: { readonly [K in keyof Part<S, "events">]: EventType<Part<S, "events">[K]> };
  readonly queues: { readonly [K in keyof Part<S, "queues">]: QueueOf<Part<S, "queues">[K]> };
  readonly "~types"?: { readonly params?: Field<S, "params">; readonly input?: Field<S, "input"> };
}

/**
 * A registry's type, written by hand: for actors in C++.
 *
 * ```ts
 * type Registry = RegistryTypes<{
 *   counter: { actions: { increment(by: number): number }; events: { changed: number } };
 * }>;
 * const client = createClient<Registry>("http://localhost:6420");
 * ```
 */
export interface RegistryTypes<Actors extends { [K in keyof Actors]: ActorShape }> {
  readonly use: { readonly [K in keyof Actors]: ActorTypes<Actors[K]> };
}

/**
 * What arrives of a `T`: whatever JSON makes of dates, and integers that are a bigint only where a
 * number is not exact.
 */
export type Received<T> = unknown extends T
  ? T
  : T extends string | number | boolean | null | undefined | void | Uint8Array
    ? T
    : T extends bigint
      ? number | bigint
      : T extends { toJSON(): infer Json }
        ? Received<Json>
        : { [K in keyof T]: Received<T[K]> };

/** Names of the actor types of a registry. */
export type ActorName<R extends RegistryContract> = keyof R["use"] & string;
/** The types of one actor type of a registry. */
export type DefinitionOf<R extends RegistryContract, Name extends ActorName<R>> = R["use"][Name];

/** Names of the actions of an actor type. */
export type ActionName<D> = keyof Part<D, "actions"> & string;
/** Arguments of an action, without the context. */
export type ActionArgs<D, Name extends ActionName<D>> = Part<D, "actions">[Name] extends (
  c: never,
  ...args: infer Args
) => unknown
  ? Args
  : never;
/** What arrives of what an action gives. */
export type ActionResult<D, Name extends ActionName<D>> = Part<D, "actions">[Name] extends (
  c: never,
  ...args: never
) => infer Result
  ? Received<Awaited<Result>>
  : never;

/** Names of the events of an actor type. */
export type EventName<D> = keyof Part<D, "events"> & string;
/** What arrives with an event. */
export type EventPayload<D, Name extends EventName<D>> =
  Part<D, "events">[Name] extends EventType<infer T> ? Received<T> : never;

/** Names of the queues of an actor type. */
export type QueueName<D> = keyof Part<D, "queues"> & string;
/** What the messages of a queue are. */
export type QueueBody<D, Name extends QueueName<D>> =
  Part<D, "queues">[Name] extends QueueType<infer Body, unknown> ? Body : never;
/** What arrives of the reply to a message. */
export type QueueReply<D, Name extends QueueName<D>> =
  Part<D, "queues">[Name] extends QueueType<infer _Body, infer Reply> ? Received<Reply> : never;

type Told<D, Name extends PropertyKey> = D extends { readonly "~types"?: infer T }
  ? Field<NonNullable<T>, Name>
  : unknown;
/** What a client says about itself when it connects. */
export type ParamsOf<D> = Told<D, "params">;
/** What an actor is created with. */
export type InputOf<D> = Told<D, "input">;
