// The workspace as a process, which a test may kill and start again on its port and its store.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const folder = fileURLToPath(new URL("..", import.meta.url));

export class WorkspaceServer {
  readonly #directory: string;
  #port = 0;
  #child: ChildProcess | undefined;

  private constructor(directory: string) {
    this.#directory = directory;
  }

  static async start(): Promise<WorkspaceServer> {
    const server = new WorkspaceServer(await mkdtemp(join(tmpdir(), "skep-workspace-")));
    await server.start();
    return server;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  async start(): Promise<void> {
    const child = spawn(process.execPath, ["--import", "tsx", "server.ts"], {
      cwd: folder,
      env: {
        ...process.env,
        SKEP_STORE: `embedded:${join(this.#directory, "store")}`,
        SKEP_LISTEN: String(this.#port),
        SKEP_LOG_LEVEL: "warn",
        WORKSPACE_PAGES: join(this.#directory, "pages"),
      },
      stdio: ["ignore", "pipe", "inherit"],
    });
    this.#child = child;
    const failed = once(child, "exit").then(([code]) => {
      throw new Error(`the workspace ended with ${code}`);
    });
    const lines = createInterface({ input: child.stdout });
    const [line] = (await Promise.race([once(lines, "line"), failed])) as [string];
    failed.catch(() => {});
    this.#port = Number(/:(\d+)$/.exec(line)?.[1]);
  }

  /** SIGKILL: nothing is put in order. */
  async end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, "exit");
    child.kill(signal);
    await exited;
  }
  async remove(): Promise<void> {
    await this.end("SIGTERM");
    await rm(this.#directory, { recursive: true, force: true });
  }
}
