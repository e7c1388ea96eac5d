// Connections of an actor, as its code sees them.

import type { Connection } from "./context.ts";
import { encode } from "./cbor.ts";
import { Command, type NativeConnection } from "./native.ts";
import type { Operations } from "./operations.ts";
import { fromPayload } from "./payload.ts";
import type { StandardSchema } from "./standard_schema.ts";
import { TrackedValue } from "./tracked_value.ts";
import { validate } from "./validate.ts";

/** What is remembered of one connection while the actor is awake. */
class Memory {
  params: { readonly value: unknown } | undefined;
  state: TrackedValue | undefined;
  tags: ReadonlySet<string> | undefined;
}

/** What an awake actor remembers of its connections: their states are the same for all its runs. */
export class ConnectionMemories {
  readonly #params: StandardSchema | undefined;
  readonly #byId = new Map<string, Memory>();
  #watched = new Set<string>();
  /** Grows when what was remembered does not count any more. */
  generation = 0;

  constructor(params: StandardSchema | undefined) {
    this.#params = params;
  }

  /** What the client said, checked; the same object each time. Throws InvalidArguments. */
  params(connection: NativeConnection): unknown {
    const memory = this.#of(connection.id);
    if (!memory.params) {
      const value = validate(this.#params, fromPayload(connection.params, "params"), "params");
      if (value instanceof Promise) {
        throw new TypeError("the schema of params must give its result at once");
      }
      memory.params = { value };
    }
    return memory.params.value;
  }

  /** Looked at, and perhaps changed, by a run. */
  state(connection: NativeConnection): TrackedValue {
    const memory = this.#of(connection.id);
    memory.state ??=
      connection.state.length === 0
        ? TrackedValue.fresh(undefined)
        : TrackedValue.saved(connection.state);
    this.#watched.add(connection.id);
    return memory.state;
  }

  /** Tells the addon of states that have changed, through runs that go on. */
  flush(): void {
    for (const id of this.#watched) {
      const state = this.#byId.get(id)?.state;
      const holder = state?.holder;
      const changed = holder && state.take();
      if (changed) (holder as Operations).tell(Command.ConnectionState, [id, changed]);
    }
  }

  /** A run is about to end. */
  release(holder: Operations): void {
    for (const id of this.#watched) {
      const state = this.#byId.get(id)?.state;
      state?.release(holder);
      if (!state?.holder) this.#watched.delete(id);
    }
  }

  /** Names to find it by. */
  tags(connection: NativeConnection): ReadonlySet<string> {
    return (this.#of(connection.id).tags ??= new Set(connection.tags));
  }
  setTags(id: string, tags: ReadonlySet<string>): void {
    this.#of(id).tags = tags;
  }

  /** A turn was rolled back: the addon has what counts. */
  forget(): void {
    ++this.generation;
    for (const memory of this.#byId.values()) memory.state = memory.tags = undefined;
  }

  /** The others have gone. */
  keep(isThere: (id: string) => boolean): void {
    for (const id of this.#byId.keys()) {
      if (isThere(id)) continue;
      this.#byId.delete(id);
      this.#watched.delete(id);
    }
  }
  get size(): number {
    return this.#byId.size;
  }

  #of(id: string): Memory {
    let memory = this.#byId.get(id);
    if (!memory) this.#byId.set(id, (memory = new Memory()));
    return memory;
  }
}

/** A connection, within one run. */
export class RunConnection implements Connection<unknown, unknown, AnyEvents> {
  readonly #operations: Operations;
  readonly #memories: ConnectionMemories;
  readonly #checkEvent: (event: string) => void;
  #native: NativeConnection;
  #generation: number;

  constructor(
    operations: Operations,
    memories: ConnectionMemories,
    native: NativeConnection,
    generation: number,
    checkEvent: (event: string) => void,
  ) {
    this.#operations = operations;
    this.#memories = memories;
    this.#native = native;
    this.#generation = generation;
    this.#checkEvent = checkEvent;
  }

  get id(): string {
    return this.#native.id;
  }
  get params(): unknown {
    return this.#memories.params(this.#native);
  }
  get state(): unknown {
    this.#operations.check();
    return this.#memories.state(this.#fresh).get(this.#operations);
  }
  set state(state: unknown) {
    this.#operations.check();
    this.#memories.state(this.#fresh).set(this.#operations, state);
  }

  get tags(): ReadonlySet<string> {
    return this.#memories.tags(this.#fresh);
  }
  addTag(tag: string): void {
    if (this.tags.has(tag)) return;
    this.#setTags(new Set(this.tags).add(tag));
  }
  removeTag(tag: string): void {
    const tags = new Set(this.tags);
    if (tags.delete(tag)) this.#setTags(tags);
  }
  #setTags(tags: Set<string>): void {
    this.#operations.tell(Command.ConnectionTags, [this.id, [...tags]]);
    this.#memories.setTags(this.id, tags);
  }

  /** As the addon has it, should what it had before not count any more. */
  get #fresh(): NativeConnection {
    if (this.#generation !== this.#memories.generation) {
      this.#generation = this.#memories.generation;
      this.#native = this.#find() ?? this.#native;
    }
    return this.#native;
  }
  #find(): NativeConnection | undefined {
    return this.#operations.connections().find(({ id }) => id === this.id);
  }
  get isOpen(): boolean {
    return this.#native.open && this.#find()?.open === true;
  }
  send(event: string, value?: unknown): void {
    this.#checkEvent(event);
    this.#operations.tell(Command.ConnectionSend, [this.id, event, encode(value, "sent")]);
  }
  disconnect(reason = ""): void {
    this.#operations.tell(Command.ConnectionClose, [this.id, reason]);
  }
}

type AnyEvents = { readonly [name: string]: never };
