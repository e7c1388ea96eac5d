import { baseUrl, toKey } from "./address.ts";
import type { ActorKey, Existence } from "./address.ts";
import type { Backoff } from "./backoff.ts";
import type { Encoding } from "./codec.ts";
import type { Connection } from "./connection.ts";
import type { ActorName, AnyRegistry, DefinitionOf, RegistryContract } from "./contract.ts";
import { toActorError } from "./error.ts";
import { type ActorAccessor, type HandleSettings, makeHandle, proxy } from "./handle.ts";
import { type CallOptions, type Context } from "./http.ts";

/** What calls do that are made while there is no connection. */
export interface OfflineOptions {
  /** `wait` for a connection, or `fail` at once with `client.offline`. `wait` */
  readonly policy?: "wait" | "fail";
  /** How many wait at most; more fail with `client.queue_full`. 1,000 */
  readonly callsMax?: number;
  /** How long they wait; then they fail with `client.offline`. 30,000 */
  readonly timeoutMs?: number;
}

/** How a client talks to its server. All may be left out. */
export interface ClientOptions {
  /**
   * Who the client is: sent as `Authorization: Bearer`, and in a WebSocket's first message. Asked
   * for with each request and connection.
   */
  readonly getToken?: () => string | undefined | Promise<string | undefined>;
  /**
   * `cbor`, the default, keeps bytes and integers of 64 bits; `json` is for looking at messages.
   */
  readonly encoding?: Encoding;
  /** More headers of requests over HTTP. */
  readonly headers?: HeadersInit | (() => HeadersInit);
  /** Between tries to connect, and between tries of a call. */
  readonly backoff?: Backoff;
  /** How often a call that has certainly not happened is made again by itself. 3 */
  readonly retries?: number;
  readonly offline?: OfflineOptions;
  /**
   * A connection on which nothing was heard for so long is asked for a sign, and lost when there is
   * none for as long. 20,000
   */
  readonly pingMs?: number;
  /** A try to connect that takes longer has failed. 30,000 */
  readonly connectTimeoutMs?: number;
  /**
   * Larger messages fail with `client.too_large` instead of ending the connection: what the server
   * takes (`--message-max`). 1 MiB
   */
  readonly messageBytesMax?: number;
  /**
   * For runtimes without one, and for tests. In Node.js before 22 the package `ws` is found by
   * itself.
   */
  readonly WebSocket?: new (url: string, protocols?: string[]) => WebSocket;
  readonly fetch?: typeof fetch;
}

/** What a client has beside the actor types. */
export interface ClientMethods<R extends RegistryContract> {
  /**
   * The actors of a type by its name: for names that are not known before, or that stand in the way
   * of another member.
   */
  actor<Name extends ActorName<R>>(name: Name): ActorAccessor<DefinitionOf<R, Name>>;
  /** Disposes of all connections that were made with this client. */
  dispose(): void;
}

/** A client of all actors of a registry: `client.chatRoom.getOrCreate(["lobby"])`. */
export type Client<R extends RegistryContract> = ClientMethods<R> & {
  readonly [Name in Exclude<ActorName<R>, keyof ClientMethods<R>>]: ActorAccessor<
    DefinitionOf<R, Name>
  >;
};

type Given = HandleSettings["options"];

/**
 * A client of the server at `url`, typed by its registry. Nothing is sent before an actor is
 * called.
 *
 * ```ts
 * import type { registry } from "./server";
 *
 * const client = createClient<typeof registry>("http://localhost:6420");
 * const room = client.chatRoom.getOrCreate(["lobby"]);
 * await room.send("ada", "hello");
 *
 * const connection = room.connect();
 * connection.on("newMessage", (message) => console.log(message.text));
 * ```
 */
export function createClient<R extends RegistryContract = AnyRegistry>(
  url: string,
  options: ClientOptions = {},
): Client<R> {
  const { getToken, headers, offline, fetch: ownFetch } = options;
  const context: Context = {
    base: baseUrl(url),
    encoding: options.encoding ?? "cbor",
    backoff: options.backoff ?? {},
    retries: options.retries ?? 3,
    // As a method of the client's own it would be called with a wrong `this`.
    fetch: (input, init) => (ownFetch ?? fetch)(input, init),
    headers: typeof headers === "function" ? headers : () => headers ?? {},
    token: async () => {
      try {
        return await getToken?.();
      } catch (error) {
        throw toActorError(error, "token_failed");
      }
    },
    mayRenewToken: getToken !== undefined,
    webSocket: options.WebSocket,
    pingMs: options.pingMs ?? 20_000,
    connectTimeoutMs: options.connectTimeoutMs ?? 30_000,
    messageBytesMax: options.messageBytesMax ?? 1024 * 1024,
    offline: { policy: "wait", callsMax: 1_000, timeoutMs: 30_000, ...offline },
  };
  const connections = new Set<Connection>();

  function actor(name: string): object {
    const handle = (key: ActorKey, existence: Existence, given: Given, input?: unknown) =>
      makeHandle(
        context,
        { address: { name, key: toKey(key) }, existence, input, options: given },
        connections,
      ) as {
        resolve(more: CallOptions): Promise<void>;
      };
    return {
      getOrCreate: (key: ActorKey, given: Given & { createWithInput?: unknown } = {}) =>
        handle(key, "getOrCreate", given, given.createWithInput),
      get: (key: ActorKey, given: Given = {}) => handle(key, "get", given),
      create: async (
        key: ActorKey,
        { input, ...given }: Given & { input?: unknown } & CallOptions = {},
      ) => {
        const { signal, idempotent, retries } = given;
        await handle(key, "create", given, input).resolve({ signal, idempotent, retries });
        return handle(key, "get", given);
      },
    };
  }
  const methods: { actor: typeof actor; dispose(): void } = {
    actor,
    dispose: () => {
      for (const each of [...connections]) each.dispose();
    },
  };
  return proxy(methods, actor) as unknown as Client<R>;
}
