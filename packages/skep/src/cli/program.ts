// Program: the process that `skep dev` runs, one after the other.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

/** What run_program.ts tells. */
export interface StartedMessage {
  readonly url: string;
  readonly store: string;
}

/** A program that does not end when it is told to is ended. */
const graceMs = 15_000;

const runner = fileURLToPath(new URL("./run_program.js", import.meta.url));

export class Program {
  readonly #entry: string;
  readonly #args: readonly string[];
  readonly #env: NodeJS.ProcessEnv;
  readonly #say: (text: string) => void;
  #child: ChildProcess | undefined;

  constructor(
    entry: string,
    args: readonly string[],
    env: Readonly<Record<string, string>>,
    say: (text: string) => void,
  ) {
    this.#entry = entry;
    this.#args = args;
    this.#env = { ...process.env, ...env };
    this.#say = say;
  }

  get isRunning(): boolean {
    return this.#child !== undefined;
  }

  /** The next one begins when the last has left its port and its store. */
  async restart(): Promise<void> {
    await this.stop("SIGTERM");
    const loader = ["--import", import.meta.resolve("tsx")];
    // In a group of its own: Ctrl-C in the terminal is for this process, which passes it on once.
    const child = spawn(process.execPath, [...loader, runner, this.#entry, ...this.#args], {
      env: this.#env,
      stdio: ["ignore", "inherit", "inherit", "ipc"],
      detached: true,
    });
    this.#child = child;
    child.on("message", (message) => this.#started(message as StartedMessage));
    child.once("exit", (code, signal) => {
      if (this.#child !== child) return;
      this.#child = undefined;
      this.#say(`the program ended (${signal ?? code}); waiting for the next change`);
    });
  }

  /** Lets it end in its own way. */
  async stop(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child;
    if (!child) return;
    this.#child = undefined;
    const exited = once(child, "exit");
    child.kill(signal);
    const killer = setTimeout(() => child.kill("SIGKILL"), graceMs);
    this.kill = () => child.kill("SIGKILL");
    await exited;
    this.kill = () => {};
    clearTimeout(killer);
  }

  /** The one that is being stopped. */
  kill: () => void = () => {};

  #started({ url, store }: StartedMessage): void {
    // Of a port that was chosen by the system: the same again, for clients that come back.
    const port = new URL(url).port;
    this.#env["SKEP_LISTEN"] = this.#env["SKEP_LISTEN"]?.replace(/(^|:)0$/, `$1${port}`);
    // The address of a PostgreSQL server has a password in it.
    const where = /^(embedded|memory):/.test(store) ? `, data in ${store}` : "";
    this.#say(`${url}${where}`);
  }
}
