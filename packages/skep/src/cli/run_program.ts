// What `skep dev` runs in a process of its own: the entry, and the registry that it exports unless
// that was started already.

import { subscribe } from "node:diagnostics_channel";
import { pathToFileURL } from "node:url";

import { type Registry, serverChannel, type ServerMessage } from "../registry.ts";
import type { StartedMessage } from "./program.ts";

const [node, , entry, ...args] = process.argv as [string, string, string, ...string[]];
process.argv = [node, entry, ...args];
// The program may end by itself; and nobody is left to end it when `skep dev` was killed.
process.channel?.unref();
process.once("disconnect", () => process.kill(process.pid, "SIGTERM"));

let isStarted = false;
subscribe(serverChannel, (message) => {
  isStarted = true;
  const { url, store } = message as ServerMessage;
  if (url !== undefined) process.send?.({ url, store } satisfies StartedMessage);
});

const exported = (await import(pathToFileURL(entry).href)) as Record<string, unknown>;
if (!isStarted) {
  const registries = [...new Set(Object.values(exported))].filter(isRegistry);
  if (registries.length === 1) await registries[0]!.start();
  else {
    const found = registries.length ? "several registries" : "no registry";
    console.error(`skep: ${entry} starts no server and exports ${found}: call registry.start()`);
  }
}

function isRegistry(value: unknown): value is Registry<Record<never, never>> {
  const registry = value as Partial<Registry<Record<never, never>>> | null;
  return typeof registry?.start === "function" && typeof registry.use === "object";
}
