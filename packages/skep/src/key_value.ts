import { decode, encode } from "./cbor.ts";
import { Command } from "./native.ts";
import type { Operations } from "./operations.ts";

/** A key: text, or bytes. Keys are in the order of their bytes. */
export type Key = string | Uint8Array;

/** What `list()` gives at most. */
export interface ListOptions {
  /** Only keys that begin with this. */
  readonly prefix?: Key;
  /** Only keys behind this one. */
  readonly after?: Key;
  /** 1,000 */
  readonly limit?: number;
}

/**
 * The actor's key-value pairs, beside its tables. Values are whatever a state may hold. Belongs to
 * the turn, like SQL.
 */
export interface KeyValue {
  /** Undefined: there is no such key. */
  get<T = unknown>(key: Key): Promise<T | undefined>;
  put(key: Key, value: unknown): Promise<void>;
  /** Whether it was there. */
  delete(key: Key): Promise<boolean>;
  list<T = unknown>(options?: ListOptions): Promise<[key: string, value: T][]>;
  /** As `list()`, for keys that are no text. */
  listBytes<T = unknown>(options?: ListOptions): Promise<[key: Uint8Array, value: T][]>;
}

export class RunKeyValue implements KeyValue {
  readonly #operations: Operations;

  constructor(operations: Operations) {
    this.#operations = operations;
  }

  async get<T = unknown>(key: Key): Promise<T | undefined> {
    const found = await this.#operations.command(Command.KvGet, [bytesOf(key)]);
    return found === null ? undefined : (decode(found as Uint8Array) as T);
  }
  async put(key: Key, value: unknown): Promise<void> {
    await this.#operations.command(Command.KvPut, [bytesOf(key), encode(value, "stored")]);
  }
  async delete(key: Key): Promise<boolean> {
    return (await this.#operations.command(Command.KvDelete, [bytesOf(key)])) as boolean;
  }
  async list<T = unknown>(options: ListOptions = {}): Promise<[key: string, value: T][]> {
    const pairs = await this.listBytes<T>(options);
    return pairs.map(([key, value]) => [Buffer.from(key).toString("utf8"), value]);
  }
  async listBytes<T = unknown>(options: ListOptions = {}): Promise<[key: Uint8Array, value: T][]> {
    const { prefix = "", after, limit = 1_000 } = options;
    const found = await this.#operations.command(Command.KvList, [
      bytesOf(prefix),
      after === undefined ? null : bytesOf(after),
      limit,
    ]);
    return (found as [Uint8Array, Uint8Array][]).map(([key, value]) => [key, decode(value) as T]);
  }
}

function bytesOf(key: Key): Uint8Array {
  return typeof key === "string" ? Buffer.from(key, "utf8") : key;
}
