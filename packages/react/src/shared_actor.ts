// SharedActor: what all components share that ask for an actor with equal options: a handle, and
// one connection while any of them is mounted. SharedActors: those of an application.
//
// A render only looks one up: it may be thrown away, or happen on a server. Connections begin and
// end with effects.

import type {
  ActorConnection,
  ActorError,
  ActorHandle,
  AnyRegistry,
  Client,
  ConnectionStatus,
  DefinitionOf,
} from "@skep/client";

import { hashOf } from "./hash.ts";

type Definition = DefinitionOf<AnyRegistry, string>;
type Connection = ActorConnection<Definition>;

/** Options without the types that only a registry knows. */
export interface ActorOptions {
  readonly name: string;
  readonly key: string | readonly string[];
  readonly params?: unknown;
  readonly getParams?: (() => unknown) | undefined;
  readonly createWithInput?: unknown;
  readonly noCreate?: boolean | undefined;
}

/** What a component sees of a connection; a new object with each change. */
export interface Snapshot {
  readonly connection: Connection | null;
  readonly connStatus: ConnectionStatus;
  readonly error: ActorError | null;
}

export const idle: Snapshot = { connection: null, connStatus: "idle", error: null };

interface EventListener {
  readonly event: string;
  readonly listener: (value: unknown) => unknown;
  remove: () => void;
}

export class SharedActor {
  readonly handle: ActorHandle<Definition>;
  /** The newest of those who use it: asked for each try to connect. */
  getParams: (() => unknown) | undefined;
  readonly #owner: Map<string, SharedActor>;
  readonly #hash: string;
  readonly #listeners = new Set<() => void>();
  readonly #events = new Set<EventListener>();
  #snapshot: Snapshot = idle;

  constructor(
    client: Client<AnyRegistry>,
    options: ActorOptions,
    owner: Map<string, SharedActor>,
    hash: string,
  ) {
    const { name, key, params, createWithInput, noCreate } = options;
    const getParams = (): unknown => (this.getParams ? this.getParams() : params);
    this.handle = noCreate
      ? client.actor(name).get(key, { getParams })
      : client.actor(name).getOrCreate(key, { getParams, createWithInput });
    this.#owner = owner;
    this.#hash = hash;
  }

  get isUsed(): boolean {
    return this.#listeners.size > 0;
  }

  /** For useSyncExternalStore: connects with the first, and disconnects after the last. */
  readonly subscribe = (onChange: () => void): (() => void) => {
    // Each call counts, also with the same function.
    const listener = (): void => onChange();
    this.#listeners.add(listener);
    if (!this.#owner.has(this.#hash)) this.#owner.set(this.#hash, this);
    if (!this.#snapshot.connection) this.#connect();
    return () => {
      this.#listeners.delete(listener);
      // Who unmounts may mount again at once: with StrictMode, or elsewhere in the tree.
      if (!this.isUsed) setTimeout(() => this.#disconnectUnlessUsed(), 0);
    };
  };
  readonly getSnapshot = (): Snapshot => this.#snapshot;

  /** Hears of events of this connection and of all that follow it. */
  on(event: string, listener: (value: unknown) => unknown): () => void {
    const entry: EventListener = { event, listener, remove: () => {} };
    this.#events.add(entry);
    this.#listen(entry);
    return () => {
      this.#events.delete(entry);
      entry.remove();
    };
  }

  #connect(): void {
    let connection: Connection;
    try {
      connection = this.handle.connect();
    } catch (error) {
      // An address that is none: for the component to show, not for React to fall over.
      return this.#show({ connection: null, connStatus: "disconnected", error: error as ActorError });
    }
    const update = (): void => {
      // One that was disposed of has nothing to say.
      if (this.#snapshot.connection !== connection) return;
      this.#show({ connection, connStatus: connection.status, error: connection.error });
    };
    connection.onStatusChange(update);
    // The status stays the same when a refusal follows on a loss.
    connection.onClose(update);
    this.#show({ connection, connStatus: connection.status, error: null });
    for (const each of this.#events) this.#listen(each);
  }
  #show(snapshot: Snapshot): void {
    this.#snapshot = snapshot;
    for (const each of [...this.#listeners]) each();
  }
  #listen(entry: EventListener): void {
    entry.remove();
    entry.remove = this.#snapshot.connection?.on(entry.event, entry.listener) ?? (() => {});
  }
  #disconnectUnlessUsed(): void {
    if (this.isUsed) return;
    const { connection } = this.#snapshot;
    this.#snapshot = idle;
    connection?.dispose();
    if (this.#owner.get(this.#hash) === this) this.#owner.delete(this.#hash);
  }
}

/** As many as were looked up, but never mounted, are kept at most. */
const unusedMax = 1_000;

export class SharedActors {
  readonly #client: Client<AnyRegistry>;
  readonly #actors = new Map<string, SharedActor>();

  constructor(client: Client<AnyRegistry>) {
    this.#client = client;
  }

  /** The same for equal options. */
  get(options: ActorOptions): SharedActor {
    const { name, key, params, createWithInput, noCreate = false } = options;
    const hash = hashOf([
      name,
      typeof key === "string" ? [key] : key,
      { params, createWithInput },
      noCreate,
    ]);
    let actor = this.#actors.get(hash);
    if (!actor) {
      this.#dropUnused();
      actor = new SharedActor(this.#client, options, this.#actors, hash);
      this.#actors.set(hash, actor);
    }
    return actor;
  }

  /** Renders that came to nothing leave some behind; on a server, all do. */
  #dropUnused(): void {
    if (this.#actors.size < unusedMax) return;
    for (const [hash, actor] of this.#actors) {
      if (!actor.isUsed) this.#actors.delete(hash);
    }
  }
}
