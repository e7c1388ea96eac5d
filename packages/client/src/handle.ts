// Handles and connections as users have them: typed, and with the actions as methods.

import { type ActorKey, actorUrl, type Address, type Existence } from "./address.ts";
import { type CloseInfo, Connection, type ConnectionStatus } from "./connection.ts";
import type {
  ActionArgs,
  ActionName,
  ActionResult,
  EventName,
  EventPayload,
  InputOf,
  ParamsOf,
  QueueBody,
  QueueName,
  QueueReply,
} from "./contract.ts";
import { ActorError, toActorError } from "./error.ts";
import { authorized, call, type CallOptions, type Context, paramsHeader } from "./http.ts";
import { findWebSocket } from "./link.ts";

/** A call with its options. */
export type ActionCall<D, Name extends ActionName<D>> = CallOptions & {
  readonly name: Name;
} & ([] extends ActionArgs<D, Name>
    ? { readonly args?: Readonly<ActionArgs<D, Name>> }
    : { readonly args: Readonly<ActionArgs<D, Name>> });

/**
 * The actions of an actor as methods; those whose names `Taken` has are called through `action()`.
 */
export type ActionMethods<D, Taken extends PropertyKey> = {
  readonly [Name in Exclude<ActionName<D>, Taken>]: (
    ...args: ActionArgs<D, Name>
  ) => Promise<ActionResult<D, Name>>;
};

/** How a message is sent to a queue. */
export interface SendOptions extends CallOptions {
  /** Whether to wait until it is handled, for the reply. */
  readonly wait?: boolean | undefined;
  /**
   * How long to wait, in milliseconds; then `actor.reply_timed_out`, and the message stays in its
   * queue.
   */
  readonly timeout?: number | undefined;
  /** How long the message waits in its queue, in milliseconds. */
  readonly delay?: number | undefined;
}

/** A message that is in its queue, durably; with `wait` it has been handled. */
export interface Sent<Reply> {
  readonly id: number;
  readonly reply: Reply;
}

/** A queue of an actor. */
export interface QueueHandle<Body, Reply> {
  send(body: Body, options: SendOptions & { readonly wait: true }): Promise<Sent<Reply>>;
  send(body: Body, options?: SendOptions): Promise<Sent<undefined>>;
}

/** What a handle has beside the actor's actions. */
export interface HandleMethods<D> {
  /** The name of the actor's type. */
  readonly name: string;
  readonly key: readonly string[];
  /** Calls an action by name, with options. */
  action<Name extends ActionName<D>>(options: ActionCall<D, Name>): Promise<ActionResult<D, Name>>;
  /**
   * Sees to it that the actor exists: makes it, or fails with `actor.not_found`, as the handle was
   * got.
   */
  resolve(options?: CallOptions): Promise<void>;
  /** A request to the actor's own HTTP handler. The answer is handed on whatever its status. */
  fetch(path: string, init?: RequestInit): Promise<Response>;
  /**
   * A WebSocket to the actor's own handler, at a path with its query. Rejected when the actor cannot be made ready for
   * it; whether the server accepts it is told by its events.
   */
  webSocket(path: string, protocols?: string | readonly string[]): Promise<WebSocket>;
  /** The actor's queues by name. */
  readonly queue: {
    readonly [Name in QueueName<D>]: QueueHandle<QueueBody<D, Name>, QueueReply<D, Name>>;
  };
  /**
   * Connects, with these parameters or those that the handle was got with. The connection comes
   * back by itself until it is disposed of.
   */
  connect(params?: ParamsOf<D>): ActorConnection<D>;
}

/** An actor, by its address. Costs nothing until it is used. */
export type ActorHandle<D> = HandleMethods<D> & ActionMethods<D, keyof HandleMethods<D>>;

/**
 * What a connection has beside the actor's actions. Each function that adds a listener gives one
 * that takes it away.
 */
export interface ConnectionMethods<D> {
  readonly name: string;
  readonly key: readonly string[];
  readonly status: ConnectionStatus;
  /** Why there is no connection; null while there is, and before the first try has failed. */
  readonly error: ActorError | null;
  /** Calls an action by name, with options. */
  action<Name extends ActionName<D>>(options: ActionCall<D, Name>): Promise<ActionResult<D, Name>>;
  /** Hears of each event of that name, from now on and across lost connections. */
  on<Name extends EventName<D>>(
    event: Name,
    listener: (value: EventPayload<D, Name>) => unknown,
  ): () => void;
  /** As `on()`, but of one event only. */
  once<Name extends EventName<D>>(
    event: Name,
    listener: (value: EventPayload<D, Name>) => unknown,
  ): () => void;
  /** Each time that it is connected. */
  onOpen(listener: () => unknown): () => void;
  /** Each time that it is lost or refused. */
  onClose(listener: (info: CloseInfo) => unknown): () => void;
  /**
   * What belongs to no call: why a connection was lost or refused, an event that does not exist.
   */
  onError(listener: (error: ActorError) => unknown): () => void;
  onStatusChange(listener: (status: ConnectionStatus) => unknown): () => void;
  /** Events were lost while there was no connection: read anew what is needed. */
  onMissed(listener: () => unknown): () => void;
  /** Tries at once, also after the server has refused it for good. */
  connect(): void;
  /** Ends it for good. Calls without a reply fail. */
  dispose(): void;
}

/** A connection to an actor, which is made anew when it is lost. */
export type ActorConnection<D> = ConnectionMethods<D> &
  ActionMethods<D, keyof ConnectionMethods<D>>;

/** What a handle is got with. */
export interface HandleOptions<D> {
  /** What the client says about itself, with each request and connection. */
  readonly params?: ParamsOf<D> | undefined;
  /** As `params`, asked anew for each request and each try to connect. */
  readonly getParams?: (() => ParamsOf<D> | Promise<ParamsOf<D>>) | undefined;
}
/** What `getOrCreate()` takes. */
export interface GetOrCreateOptions<D> extends HandleOptions<D> {
  /** The input of the actor's creation, should it not exist. */
  readonly createWithInput?: InputOf<D> | undefined;
}
/** What `create()` takes. */
export interface CreateOptions<D> extends HandleOptions<D>, CallOptions {
  readonly input?: InputOf<D> | undefined;
}

/** The actors of one type. */
export interface ActorAccessor<D> {
  /** An actor that is made by its first call, should it not exist. */
  getOrCreate(key: ActorKey, options?: GetOrCreateOptions<D>): ActorHandle<D>;
  /** An actor that must exist: calls fail with `actor.not_found` otherwise. */
  get(key: ActorKey, options?: HandleOptions<D>): ActorHandle<D>;
  /** Makes an actor; fails with `actor.already_exists`. */
  create(key: ActorKey, options?: CreateOptions<D>): Promise<ActorHandle<D>>;
}

/** What there is to know of a handle. */
export interface HandleSettings {
  readonly address: Address;
  readonly existence: Existence;
  readonly input: unknown;
  readonly options: { readonly params?: unknown; readonly getParams?: (() => unknown) | undefined };
}

export function makeHandle(
  context: Context,
  settings: HandleSettings,
  connections: Set<Connection>,
): object {
  const { address, input, options } = settings;
  const url = (path: string, parameters: Record<string, string> = {}): string => {
    const query = new URLSearchParams(parameters).toString();
    return actorUrl(context.base, address, query ? `${path}?${query}` : path);
  };
  const existenceAsGot: Record<string, string> =
    settings.existence === "getOrCreate" ? {} : { existence: settings.existence };

  /** Within the actor's own paths. */
  const requestUrl = (path: string): URL => {
    const own = url("/request/");
    const target = new URL(own + path.replace(/^\//, ""));
    if (target.href.startsWith(new URL(own).href)) return target;
    throw new ActorError("request", "invalid_address", `'${path}' leads out of the actor`);
  };

  const params = (): unknown => (options.getParams ? options.getParams() : options.params);
  /** The headers of a request that say what a connection's parameters would. */
  async function described(): Promise<Record<string, string>> {
    try {
      return paramsHeader(await params());
    } catch (error) {
      throw toActorError(error, "params_failed");
    }
  }

  async function resolve(more: CallOptions = {}): Promise<void> {
    const headers = await described();
    if (settings.existence === "get") {
      await call(context, { ...more, method: "GET", url: url(""), idempotent: true, headers });
    } else {
      const body = input === undefined ? {} : { body: input };
      const idempotent = settings.existence === "create" ? more.idempotent : true;
      await call(context, {
        ...more,
        method: "PUT",
        url: url("", existenceAsGot),
        idempotent,
        headers,
        ...body,
      });
    }
  }

  /**
   * Calls what needs the actor. One with an input is made beforehand should it not exist: a call
   * carries no input.
   */
  async function post(
    path: string,
    parameters: Record<string, string>,
    body: unknown,
    more: CallOptions,
  ): Promise<unknown> {
    const headers = await described();
    const once = (existence: Record<string, string>): Promise<unknown> =>
      call(context, {
        ...more,
        method: "POST",
        headers,
        url: url(path, { ...existence, ...parameters }),
        body,
      });
    if (input === undefined) return once(existenceAsGot);
    try {
      return await once({ existence: "get" });
    } catch (error) {
      if (!(error instanceof ActorError && error.group === "actor" && error.code === "not_found"))
        throw error;
    }
    await resolve(more);
    return once({ existence: "get" });
  }

  const methods = {
    ...address,
    action: async ({
      name,
      args = [],
      ...more
    }: { name: string; args?: readonly unknown[] } & CallOptions) =>
      post(`/actions/${encodeURIComponent(name)}`, {}, args, more),
    resolve,
    fetch: async (path: string, init?: RequestInit) => {
      const target = requestUrl(path);
      if (input !== undefined) await resolve({ signal: init?.signal ?? undefined });
      const headers = await authorized(context, init?.headers);
      for (const [name, value] of Object.entries(await described())) headers.set(name, value);
      // The query is the actor's own.
      const existence = input === undefined ? settings.existence : "get";
      if (existence !== "getOrCreate") headers.set("x-skep-existence", existence);
      return context.fetch(target, { ...init, headers });
    },
    webSocket: async (path: string, protocols: string | readonly string[] = []) => {
      const target = requestUrl(path);
      // A WebSocket has no fields that could say it.
      if (input !== undefined || settings.existence !== "getOrCreate") await resolve();
      const token = await context.token();
      const offered = typeof protocols === "string" ? [protocols] : [...protocols];
      if (token !== undefined) {
        // The server does not choose that one, and a client wants one to be chosen if any is offered.
        if (offered.length === 0) offered.push("skep.raw");
        offered.push(`skep.token.${token}`);
      }
      const WebSocketClass = await findWebSocket(context);
      return new WebSocketClass(target.href.replace(/^http/, "ws"), offered);
    },
    queue: proxy({}, (name) => ({
      send: async (body: unknown, { wait, timeout, delay, ...more }: SendOptions = {}) => {
        const parameters = {
          ...(wait && { wait: String(timeout ?? true) }),
          ...(delay !== undefined && { delay: String(delay) }),
        };
        return post(`/queues/${encodeURIComponent(name)}`, parameters, body, more);
      },
    })),
    connect: (given?: unknown) => {
      const connection = new Connection(context, {
        ...settings,
        params: () => given ?? params(),
        onDispose: () => connections.delete(connection),
      });
      connections.add(connection);
      connection.connect();
      return withActions(connection);
    },
  };
  return withActions(methods);
}

/** An object whose other members are the actions of the actor that `target.action()` calls. */
function withActions(target: {
  action(options: { name: string; args: readonly unknown[] }): Promise<unknown>;
}): object {
  return proxy(
    target,
    (name) =>
      (...args: unknown[]) =>
        target.action({ name, args }),
  );
}

/** `target`, with its methods bound, and what `make` makes of every other name. */
export function proxy(target: object, make: (name: string) => unknown): object {
  const made = new Map<PropertyKey, unknown>();
  return new Proxy(target, {
    get: (_, name) => {
      if (made.has(name)) return made.get(name);
      let member: unknown = Reflect.get(target, name, target);
      if (typeof member === "function") {
        member = (member as (...args: unknown[]) => unknown).bind(target);
      } else if (name in target || typeof name !== "string" || isForeign(name)) {
        return member;
      } else {
        member = make(name);
      }
      made.set(name, member);
      return member;
    },
  });
}

/** Names that runtimes and tools look for in any object: nothing may stand there. */
function isForeign(name: string): boolean {
  return name === "then" || name === "toJSON" || name === "asymmetricMatch" || /^[$@]/.test(name);
}
