// Watcher: tells when one of a program's files has changed. It watches folders, because editors
// replace files.

import { type FSWatcher, statSync, watch } from "node:fs";
import { join } from "node:path";

import type { Check } from "./check.ts";

/** A save may be several events, and several files. */
const quietMs = 50;

const source = /\.(?:[cm]?[jt]sx?|json)$/;

export class Watcher {
  readonly #watches = new Map<string, FSWatcher>();
  /** By file: what it looked like when it was last looked at. */
  #seen = new Map<string, string>();
  #changed: string | undefined;
  #timer: NodeJS.Timeout | undefined;
  #settle: ((file: string) => void) | undefined;

  #hasHoles = false;

  /** These from now on; what has changed since `begin` (in ms since 1970) has changed. */
  watch({ files, folders, errors }: Check, begin: number): void {
    const before = this.#seen;
    this.#hasHoles = errors !== "";
    this.#seen = new Map();
    for (const folder of folders) {
      if (!this.#watches.has(folder)) this.#open(folder);
    }
    for (const [folder, each] of this.#watches) {
      if (folders.has(folder)) continue;
      each.close();
      this.#watches.delete(folder);
    }
    for (const file of files) {
      const look = lookOf(file);
      this.#seen.set(file, look);
      const known = before.get(file);
      if (known === undefined ? Number(look.split(" ")[0]) > begin : known !== look)
        this.#note(file);
    }
  }

  /** Settles when a file has changed, with its name. One waits at a time. */
  changed(): Promise<string> {
    return new Promise((settle) => {
      this.#settle = settle;
      if (this.#changed !== undefined) this.#note(this.#changed);
    });
  }

  close(): void {
    clearTimeout(this.#timer);
    for (const each of this.#watches.values()) each.close();
    this.#watches.clear();
  }

  #open(folder: string): void {
    try {
      const opened = watch(folder, (_event, name) => {
        if (name !== null) this.#look(join(folder, name));
      });
      opened.on("error", () => opened.close());
      this.#watches.set(folder, opened);
    } catch {
      // A folder that is not there yet: the file that names it is watched.
    }
  }
  #look(file: string): void {
    // An import may be waiting for a file that nothing has read yet.
    if (!this.#seen.has(file) && !(this.#hasHoles && source.test(file))) return;
    const look = lookOf(file);
    if (this.#seen.get(file) === look) return;
    this.#seen.set(file, look);
    this.#note(file);
  }
  #note(file: string): void {
    this.#changed = file;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      const settle = this.#settle;
      if (!settle) return;
      this.#settle = undefined;
      this.#changed = undefined;
      settle(file);
    }, quietMs);
  }
}

function lookOf(file: string): string {
  const stat = statSync(file, { throwIfNoEntry: false });
  return stat ? `${stat.mtimeMs} ${stat.size} ${stat.ino}` : "gone";
}
