// `skep dev`: compiles to see whether the program is sound, runs it as a process of its own, and
// again when a file has changed. A program that does not compile does not replace the one that
// runs.

import { existsSync } from "node:fs";
import { relative, resolve } from "node:path";

import { check } from "./check.ts";
import { Program } from "./program.ts";
import { Watcher } from "./watcher.ts";

/** What to run, and how. */
export interface DevOptions {
  readonly entry: string;
  /** The program's own arguments. */
  readonly args: readonly string[];
  /** Settings for a program that has none. */
  readonly env: Readonly<Record<string, string>>;
}

const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/** Until a signal ends it; gives the exit code when it can not begin. */
export async function dev(options: DevOptions): Promise<number> {
  const entry = resolve(options.entry);
  if (!existsSync(entry)) {
    say(`there is no ${options.entry}`);
    return 1;
  }
  const watcher = new Watcher();
  const program = new Program(entry, options.args, options.env, say);
  const stopped = onSignals(program);
  let signal: NodeJS.Signals | undefined;
  do {
    const begin = Date.now();
    const result = await check(entry);
    watcher.watch(result, begin);
    if (result.errors) {
      process.stderr.write(result.errors);
      say(program.isRunning ? "the last version goes on" : "waiting for the next change");
    } else {
      await program.restart();
    }
    const changed = watcher.changed().then((file) => say(`${relative(".", file)} has changed`));
    signal = await Promise.race([stopped, changed.then(() => undefined)]);
  } while (!signal);
  watcher.close();
  await program.stop(signal);
  // As if nobody had listened, so that who started this sees what ended it.
  for (const each of signals) process.removeAllListeners(each);
  process.kill(process.pid, signal);
  return 1;
}

function say(text: string): void {
  process.stderr.write(`skep: ${text}\n`);
}

/** Settles with the first signal; a second one does not wait for the program. */
function onSignals(program: Program): Promise<NodeJS.Signals> {
  return new Promise((settle) => {
    const first = (signal: NodeJS.Signals): void => {
      for (const each of signals) process.off(each, first);
      const second = (): void => program.kill();
      for (const each of signals) process.once(each, second);
      settle(signal);
    };
    for (const each of signals) process.on(each, first);
  });
}
