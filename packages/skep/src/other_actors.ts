// c.client(): other actors, as @skep/client has them, but without a network.

import type {
  ActionArgs,
  ActionMethods,
  ActionName,
  ActionResult,
  ActorKey,
  ActorName,
  DefinitionOf,
  InputOf,
  QueueBody,
  QueueName,
  RegistryContract,
} from "@skep/client";

import { decode, encode } from "./cbor.ts";
import { Command } from "./native.ts";
import type { Operations } from "./operations.ts";

/** What a handle of another actor has beside its actions. */
export interface RemoteMethods<D> {
  readonly name: string;
  readonly key: readonly string[];
  /** Calls an action by name. */
  action<Name extends ActionName<D>>(
    call: { readonly name: Name } & ([] extends ActionArgs<D, Name>
      ? { readonly args?: Readonly<ActionArgs<D, Name>> }
      : { readonly args: Readonly<ActionArgs<D, Name>> }),
  ): Promise<ActionResult<D, Name>>;
  /** Sees to it that the actor exists, as the handle was got. */
  resolve(): Promise<void>;
  /** Its queues by name. */
  readonly queue: {
    readonly [Name in QueueName<D>]: {
      /** Puts a message into the queue, and gives its id. */
      send(body: QueueBody<D, Name>, options?: { readonly delay?: number }): Promise<number>;
    };
  };
}

/** Another actor, by its address. */
export type RemoteActor<D> = RemoteMethods<D> & ActionMethods<D, keyof RemoteMethods<D>>;

/** The actors of one type. */
export interface RemoteActors<D> {
  /** An actor that is made by its first call, should it not exist. */
  getOrCreate(key: ActorKey, options?: { readonly createWithInput?: InputOf<D> }): RemoteActor<D>;
  /** An actor that must exist: calls fail with `actor.not_found` otherwise. */
  get(key: ActorKey): RemoteActor<D>;
  /** Makes an actor; fails with `actor.already_exists`. */
  create(key: ActorKey, options?: { readonly input?: InputOf<D> }): Promise<RemoteActor<D>>;
}

/**
 * Other actors, by the names of their types. Calls end the turn: what was written before commits.
 */
export type ActorClient<R extends RegistryContract> = {
  readonly [Name in ActorName<R>]: RemoteActors<DefinitionOf<R, Name>>;
};

const Existence = { GetOrCreate: 0, Get: 1, Create: 2 } as const;
type Existence = (typeof Existence)[keyof typeof Existence];

interface Target {
  readonly name: string;
  readonly key: readonly string[];
  readonly existence: Existence;
  readonly input: Uint8Array | null;
}

export function makeClient<R extends RegistryContract>(operations: Operations): ActorClient<R> {
  return byName((name) => actorsOf(operations, name)) as ActorClient<R>;
}

function actorsOf(operations: Operations, name: string): object {
  const handle = (key: ActorKey, existence: Existence, input?: unknown): { resolve(): unknown } =>
    makeHandle(operations, {
      name,
      key: typeof key === "string" ? [key] : [...key],
      existence,
      input: input === undefined ? null : encode(input, "sent"),
    });
  return {
    getOrCreate: (key: ActorKey, options: { createWithInput?: unknown } = {}) =>
      handle(key, Existence.GetOrCreate, options.createWithInput),
    get: (key: ActorKey) => handle(key, Existence.Get),
    create: async (key: ActorKey, options: { input?: unknown } = {}) => {
      await handle(key, Existence.Create, options.input).resolve();
      return handle(key, Existence.Get);
    },
  };
}

function makeHandle(operations: Operations, target: Target): { resolve(): unknown } {
  const { name, key, existence, input } = target;
  const action = async (call: { name: string; args?: readonly unknown[] }): Promise<unknown> => {
    const args = encode(call.args ?? [], "sent");
    const command = [name, key, call.name, args, existence, input];
    return decode((await operations.command(Command.Call, command)) as Uint8Array);
  };
  const methods = {
    name,
    key,
    action,
    resolve: async () => {
      await operations.command(Command.Resolve, [name, key, existence, input]);
    },
    queue: byName((queue) => ({
      send: async (body: unknown, { delay = 0 } = {}) =>
        operations.command(Command.Send, [name, key, queue, encode(body, "sent"), delay]),
    })),
  };
  return byName(
    (each) =>
      (...args: unknown[]) =>
        action({ name: each, args }),
    methods,
  );
}

/** An object whose members are made when they are asked for; those of `own` are there. */
function byName<T extends object>(make: (name: string) => unknown, own?: T): T {
  return new Proxy(own ?? ({} as T), {
    get: (target, name) => {
      if (Object.hasOwn(target, name)) return Reflect.get(target, name) as unknown;
      return typeof name === "string" && !isForeign(name) ? make(name) : undefined;
    },
  });
}

/** Names that the language and its tools look for in any object. */
function isForeign(name: string): boolean {
  return name === "then" || name === "toJSON" || name === "asymmetricMatch" || /^[$@]/.test(name);
}
