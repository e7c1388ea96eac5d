// Where an actor is: the paths of docs/formats/http.md.

import { ActorError } from "./error.ts";

/** A key: a list of texts. A text alone is a list of one. */
export type ActorKey = string | readonly string[];

/** What to do about an actor that does not exist yet, or does. */
export type Existence = "getOrCreate" | "get" | "create";

export interface Address {
  readonly name: string;
  readonly key: readonly string[];
}

export function toKey(key: ActorKey): readonly string[] {
  return typeof key === "string" ? [key] : [...key];
}

/** Words that have a meaning in a path, when they stand there as they are. */
const words = /^(actions|connect|request|queues|websocket)$/;

function segment(part: string): string {
  // A URL takes "." and ".." for steps, also when they are percent-encoded.
  if (part === "" || part === "." || part === ".." || typeof part !== "string") {
    throw new ActorError(
      "request",
      "invalid_address",
      `a part of a key cannot be ${JSON.stringify(part)}`,
    );
  }
  if (words.test(part)) return `%${part.charCodeAt(0).toString(16)}${part.slice(1)}`;
  try {
    return encodeURIComponent(part);
  } catch {
    throw new ActorError("request", "invalid_address", "a part of a key is no Unicode text");
  }
}

/** `path` behind the actor's own, as it is to stand there. */
export function actorUrl(base: string, { name, key }: Address, path = ""): string {
  if (key.length === 0)
    throw new ActorError("request", "invalid_address", "a key has at least one part");
  return `${base}/actors/${[name, ...key].map(segment).join("/")}${path}`;
}

/** Absolute, without a slash at its end. In browsers `url` may be relative. */
export function baseUrl(url: string): string {
  const { href } = new URL(url, (globalThis as { location?: { href: string } }).location?.href);
  return href.replace(/[?#].*$/, "").replace(/\/+$/, "");
}
