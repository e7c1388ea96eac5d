// TestServer: tests/packages/server.cc as a process, which tests of packages/ talk to.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

/** scripts/test.sh names the build whose server is meant. */
const build = process.env["SKEP_BUILD"] ?? "build";
const binary = resolve(
  fileURLToPath(new URL("../..", import.meta.url)),
  build,
  "tests/packages_server",
);

export class TestServer {
  #process: ChildProcess | null = null;
  #port = 0;
  /** Null: the store is in memory. */
  readonly #directory: string | null;

  private constructor(directory: string | null) {
    this.#directory = directory;
  }

  /** A server on a port that is free. `durable`: what it was told outlives kill(). */
  static async start({ durable = false } = {}): Promise<TestServer> {
    const server = new TestServer(durable ? mkdtempSync(join(tmpdir(), "skep-packages-")) : null);
    await server.start();
    return server;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** Again, on the port that it had. */
  async start(): Promise<void> {
    const store = this.#directory ? `embedded:${join(this.#directory, "store")}` : "memory:";
    const args = [
      "--store",
      store,
      "--listen",
      String(this.#port),
      "--threads",
      "2",
      "--drain-seconds",
      "2",
      "--log-level",
      "error",
    ];
    const process = spawn(binary, args, { stdio: ["ignore", "pipe", "inherit"] });
    this.#process = process;
    const failed = once(process, "exit").then(([code]) => {
      throw new Error(`${binary} ended with ${code} before it listened`);
    });
    const lines = createInterface({ input: process.stdout });
    const [line] = (await Promise.race([once(lines, "line"), failed])) as [string];
    failed.catch(() => {});
    this.#port = Number(/:(\d+)$/.exec(line)?.[1]);
  }

  /** As when the machine loses its power, but that the disk keeps what it has. */
  async kill(): Promise<void> {
    await this.#end("SIGKILL");
  }
  /** As a deployment does it. */
  async stop(): Promise<void> {
    await this.#end("SIGTERM");
  }
  async #end(signal: NodeJS.Signals): Promise<void> {
    const process = this.#process;
    this.#process = null;
    if (!process || process.exitCode !== null) return;
    const exited = once(process, "exit");
    process.kill(signal);
    await exited;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    if (this.#directory) rmSync(this.#directory, { recursive: true, force: true });
  }
}
