// setup() and start(): actor types, and a server that runs them.

import { channel } from "node:diagnostics_channel";
import { existsSync } from "node:fs";

import type { RuntimeType } from "./awake_actor.ts";
import type { AnyActorDefinition, RuntimeConfig } from "./definition.ts";
import { fromNative } from "./errors.ts";
import { Log, type LogLevel } from "./log.ts";
import { native as loadNative, type Native, type NativeType, type Started } from "./native.ts";
import { blame } from "./operations.ts";
import { Runtime } from "./runtime.ts";

/** Actor types by name. */
export interface ActorDefinitions {
  readonly [name: string]: AnyActorDefinition;
}

/**
 * How a server runs. What is left out is taken from the environment (`SKEP_STORE` for `store`, `SKEP_JWT_SECRET_FILE`
 * for `jwtSecretFile`), then from the file that `config` names, then from the defaults.
 */
export interface StartOptions {
  /** A TOML file with settings. */
  readonly config?: string;
  /** `embedded:DIR`, `postgres://…` or `memory:`. `embedded:./data` */
  readonly store?: string;
  /** `HOST:PORT`, `[IPv6]:PORT` or `PORT`; port 0: any that is free. `127.0.0.1:6420` */
  readonly listen?: string | number;
  /** Memory for pages of databases in bytes, or as `256MB`. 256 MiB */
  readonly cache?: string | number;
  /** Threads of the core, for sockets and the store. 1 */
  readonly threads?: number;
  /** The largest head of a request in bytes, or as `16kb`. */
  readonly headMax?: string | number;
  /** The largest body of a request in bytes, or as `20MB`. */
  readonly bodyMax?: string | number;
  /** Bodies of all requests under way together in bytes, or as `512MB`; one client may have half of it. */
  readonly bodiesMax?: string | number;
  /** The largest message of a WebSocket in bytes, or as `1MB`. */
  readonly messageMax?: string | number;
  /** What waits to be sent over a WebSocket before its client is too slow, in bytes, or as `4MB`. */
  readonly sendMax?: string | number;
  /** Messages of a raw WebSocket that wait for their actor, in bytes, or as `256kb`. */
  readonly receiveMax?: string | number;
  /** Calls over one WebSocket at once. 100 */
  readonly socketCalls?: number;
  /** For TLS to be agreed upon, for a request's head and its body to come, and between two requests. 10, 10, 60, 75 */
  readonly tlsSeconds?: number;
  readonly headSeconds?: number;
  readonly bodySeconds?: number;
  readonly idleSeconds?: number;
  /** For a response to be taken, or a part of a stream. 30 */
  readonly writeSeconds?: number;
  /** A client whose machine gives no sign for so long is gone; 0: never. 60 */
  readonly vanishedSeconds?: number;
  /** Until a WebSocket's first message, for a message to come whole, for the answer to a close. 10, 60, 5 */
  readonly connectSeconds?: number;
  readonly messageSeconds?: number;
  readonly closeSeconds?: number;
  /** A connection that is silent so long is asked for a sign. 30 */
  readonly pingSeconds?: number;
  /** Time after a signal, or `stop()`, in which `/ready` answers 503 and all else goes on. 0 */
  readonly noticeSeconds?: number;
  /** Time that requests get when the server ends; after nine tenths of it, calls are told to stop. 10 */
  readonly drainSeconds?: number;
  /** Whose pages may talk to this server besides its own. `loopback` */
  readonly allowedOrigins?: readonly string[];
  /** A file with the secret of clients' tokens (HS256). With one of the three, clients must show a token. */
  readonly jwtSecretFile?: string;
  /** A PEM file with public keys of clients' tokens (RS256, ES256). */
  readonly jwtKeyFile?: string;
  /** A file with a JWK Set. */
  readonly jwtJwksFile?: string;
  /** Who must have issued the tokens. */
  readonly jwtIssuer?: string;
  /** For whom the tokens must be, one of them. */
  readonly jwtAudience?: readonly string[];
  /** By which clocks may differ. 30 */
  readonly jwtLeewaySeconds?: number;
  /** A file with the token that `/admin` asks for. */
  readonly adminTokenFile?: string;
  /** A PEM file with the certificate and its chain, and one with its key: HTTPS. */
  readonly tlsCertificate?: string;
  readonly tlsKey?: string;
  /** A directory whose files are handed out at `/`. */
  readonly pages?: string;
  /** Open connections of one client; requests and calls of one at once; of one in a second. */
  readonly clientConnections?: number;
  readonly clientRequests?: number;
  readonly clientRate?: number;
  /** Addresses or networks whose `X-Forwarded-For` counts. */
  readonly trustedProxies?: readonly string[];
  /** `info` */
  readonly logLevel?: LogLevel;
  /** Lets other machines in, although nothing asks who they are. */
  readonly insecure?: boolean;
  /** Whether SIGTERM and SIGINT stop the server and end the process. true */
  readonly signals?: boolean;
}

/** A server that runs. */
export interface Server {
  /** Where it is: `http://127.0.0.1:6420`. */
  readonly url: string;
  readonly port: number;
  /** Lets what is under way end, puts all actors to sleep, and ends. */
  stop(): Promise<void>;
}

/** The `node:diagnostics_channel` on which servers that start say so, for tools like `skep dev`. */
export const serverChannel = "skep:server";

/** Published when a start begins, without a URL, and when the server listens. */
export interface ServerMessage {
  readonly store: string;
  readonly url?: string;
}

/** Actor types, for clients (`createClient<typeof registry>`) and to be started. */
export interface Registry<Use extends ActorDefinitions> {
  readonly use: Use;
  /** Starts a server with these actor types. One can run on a thread at a time. */
  start(options?: StartOptions): Promise<Server>;
}

/** What `setup()` takes. */
export interface SetupOptions<Use extends ActorDefinitions> {
  /** Actor types by the names that clients use. */
  readonly use: Use;
}

/**
 * Gathers actor types.
 *
 * ```ts
 * export const registry = setup({ use: { chatRoom, counter } });
 * registry.start();
 * ```
 */
export function setup<Use extends ActorDefinitions>(options: SetupOptions<Use>): Registry<Use> {
  return {
    use: options.use,
    start: async (startOptions = {}) => startServer(loadNative(), options.use, startOptions),
  };
}

/** As `start()` of a registry, with any addon and log. */
export async function startServer(
  native: Native,
  use: ActorDefinitions,
  options: StartOptions,
  sink?: (line: string) => void,
): Promise<Server> {
  const { env } = process;
  const level = options.logLevel ?? (env["SKEP_LOG_LEVEL"] as LogLevel | undefined) ?? "info";
  const log = new Log(level, sink);
  const types: RuntimeType[] = Object.entries(use).map(([name, definition]) => ({
    name,
    config: definition["~config"],
  }));
  const runtime = new Runtime(native, types, log);
  const store = options.store ?? env["SKEP_STORE"] ?? "embedded:./data";
  channel(serverChannel).publish({ store } satisfies ServerMessage);
  // Throws when another one runs, which is not to be stopped then.
  const starting = native.start(
    { types: types.map(nativeType), settings: settingsOf({ ...options, logLevel: level }) },
    runtime,
  );
  const onRejection = rejectionHandler(native, log);
  process.on("unhandledRejection", onRejection);
  let started: Started;
  try {
    started = await starting;
  } catch (thrown) {
    process.off("unhandledRejection", onRejection);
    await native.stop().catch(() => {});
    throw fromNative(thrown, true);
  }
  let stopped: Promise<void> | undefined;
  let offSignals = (): void => {};
  const stop = (): Promise<void> => {
    offSignals();
    stopped ??= native.stop().finally(() => process.off("unhandledRejection", onRejection));
    return stopped;
  };
  if (options.signals ?? true) offSignals = onSignals(stop, log);
  channel(serverChannel).publish({ store, url: started.url } satisfies ServerMessage);
  return { url: started.url, port: started.port, stop };
}

/** As the command line of a server has them: `jwtSecretFile` is `--jwt-secret-file`. */
function settingsOf({ signals: _, ...settings }: StartOptions): string[] {
  const given = Object.entries(settings).filter(([, value]) => value !== undefined);
  return given.map(([name, value]) => {
    const flag = name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
    return `--${flag}=${Array.isArray(value) ? value.join(",") : String(value)}`;
  });
}

function nativeType({ name, config }: RuntimeType): NativeType {
  const { options = {} } = config;
  return {
    name,
    migrations: (config.db?.migrations ?? []).map(({ version, sql }) => ({ version, sql })),
    ...(config.db?.extensions?.length && { extensions: extensionsOf(name, config.db.extensions) }),
    actions: Object.keys(config.actions ?? {}),
    queues: queuesOf(config),
    events: Object.entries(config.events ?? {}).map(([event, { history = 0, canSubscribe }]) => ({
      name: event,
      history,
      ...(canSubscribe && { isGuarded: true }),
    })),
    hasRun: config.run !== undefined,
    hasOnDisconnect: config.onDisconnect !== undefined,
    hasGate: config.onBeforeConnect !== undefined,
    hasRequestHandler: config.onRequest !== undefined,
    hasSocketHandler: config.onWebSocket !== undefined,
    options: defined({
      sleepAfterMs: options.sleepAfter,
      actionTimeoutMs: options.actionTimeout,
      hookTimeoutMs: options.hookTimeout,
      oneAtATime: options.oneAtATime,
      keepAwakeWhileConnected: options.keepAwakeWhileConnected,
      databaseBytesMax: options.databaseBytesMax,
    }),
  };
}

/** A file that is not there would be noticed by the first actor only. */
function extensionsOf(type: string, files: readonly string[]): string[] {
  for (const file of files) {
    if (!existsSync(file)) throw new Error(`the SQLite extension of '${type}' is not there: ${file}`);
  }
  return [...files];
}

function queuesOf(config: RuntimeConfig): NativeType["queues"] {
  return Object.entries(config.queues ?? {}).map(([name, { options }]) => ({
    name,
    hasHandler: config.onMessage?.[name] !== undefined,
    ...(options?.canPublish && { isGuarded: true }),
    ...defined({ triesMax: options?.triesMax, messagesMax: options?.messagesMax }),
  }));
}

/** Without what is undefined. */
function defined<T extends object>(object: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  const entries = Object.entries(object).filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries) as { [K in keyof T]: Exclude<T[K], undefined> };
}

/** An actor's careless code must not end the process, and with it all other actors. */
function rejectionHandler(native: Native, log: Log): (reason: unknown) => void {
  return (reason) => {
    const blamed = blame(reason);
    const fails = blamed ? "its call fails" : "nothing follows from it";
    // That of a timer of somebody's, say, is nobody's.
    const actor = blamed?.actorId ?? (native.currentActor() || undefined);
    log.write("error", "actor", `a rejected promise was not handled: ${fails}`, {
      error: reason,
      actor,
    });
  };
}

/** Gives a function that takes the listeners away. */
function onSignals(stop: () => Promise<void>, log: Log): () => void {
  const signals = ["SIGTERM", "SIGINT"] as const;
  const listener = (signal: NodeJS.Signals): void => {
    stop()
      .catch((error: unknown) => log.write("error", "server", "could not stop", { error }))
      // The listeners are gone: the signal ends the process, as if nobody had listened.
      .finally(() => process.kill(process.pid, signal));
  };
  for (const signal of signals) process.on(signal, listener);
  return () => {
    for (const signal of signals) process.off(signal, listener);
  };
}
