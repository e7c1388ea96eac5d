// A PostgreSQL server of a test's own, in a folder of its own, which listens on a Unix socket only.
//
//   const postgres = await startPostgres();
//   …, { store: postgres.url }
//   await postgres.stop();

import { type ChildProcess, execFile, type SpawnOptions, spawn } from "node:child_process";
import { once } from "node:events";
import { chown, mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);

export interface Postgres {
  readonly url: string;
  /** The file of its socket, for who stands between. */
  readonly socket: string;
  stop(): Promise<void>;
}

/** The address of a server whose socket is in that folder. */
export const postgresUrl = (folder: string): string => `postgresql://postgres@/postgres?host=${folder}`;
/** What the socket is called there. */
export const socketName = ".s.PGSQL.5432";

export async function startPostgres(): Promise<Postgres> {
  const { stdout } = await run("pg_config", ["--bindir"]);
  const program = (name: string): string => join(stdout.trim(), name);
  // Not $TMPDIR: the path of a socket is short.
  const folder = await mkdtemp("/tmp/skep-pg-");
  const account = await unprivileged();
  if (account.uid !== undefined) await chown(folder, account.uid, account.gid!);
  const data = join(folder, "data");
  const made = ["--username=postgres", "--auth=trust", "--no-sync", "--no-instructions", "--locale=C", "--encoding=UTF8"];
  await run(program("initdb"), ["-D", data, ...made], { ...account, cwd: folder });
  const settings = ["-c", "listen_addresses=", "-c", "fsync=off"];
  const server = spawn(program("postgres"), ["-D", data, "-k", folder, "-p", "5432", ...settings], {
    ...account,
    cwd: folder,
    stdio: ["ignore", "ignore", "pipe"],
  });
  const exited = once(server, "exit");
  await isReady(server);
  return {
    url: postgresUrl(folder),
    socket: join(folder, socketName),
    stop: async () => {
      server.kill("SIGQUIT");
      await exited;
      await rm(folder, { recursive: true });
    },
  };
}

/** PostgreSQL refuses to run as root. */
async function unprivileged(): Promise<Pick<SpawnOptions, "uid" | "gid">> {
  if (process.getuid?.() !== 0) return {};
  const id = async (flag: string): Promise<number> => Number((await run("id", [flag, "postgres"])).stdout);
  return { uid: await id("-u"), gid: await id("-g") };
}

async function isReady(server: ChildProcess): Promise<void> {
  let log = "";
  await new Promise<void>((resolve, reject) => {
    server.stderr!.on("data", (text) => {
      log += String(text);
      if (log.includes("ready to accept connections")) resolve();
    });
    server.once("exit", () => reject(new Error(`PostgreSQL ended:\n${log}`)));
  });
}
