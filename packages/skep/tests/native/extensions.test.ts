// Extensions of SQLite: sqlite-vec, as npm brings it.

import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { createClient } from "@skep/client";
import { actor, db, setup } from "skep";
import { getLoadablePath } from "sqlite-vec";
import { expect, test, vi } from "vitest";

const run = promisify(execFile);
const root = new URL("../../../../", import.meta.url);
const skep = fileURLToPath(new URL(`${process.env["SKEP_BUILD"] ?? "build"}/skep`, root));

const bytes = (...values: number[]): Uint8Array => new Uint8Array(new Float32Array(values).buffer);
const notes = actor({
  db: db({
    extensions: [getLoadablePath()],
    migrations: [{ version: 1, sql: "CREATE VIRTUAL TABLE note USING vec0(v FLOAT[2], +text TEXT)" }],
  }),
  actions: {
    add: async (c, text: string, x: number, y: number) => {
      await c.db.execute("INSERT INTO note(v, text) VALUES (?, ?)", bytes(x, y), text);
    },
    addAndFail: async (c) => {
      await c.db.execute("INSERT INTO note(v, text) VALUES (?, 'never')", bytes(0, 0));
      throw new Error("as asked");
    },
    near: async (c, x: number, y: number) =>
      (
        await c.db.execute<{ text: string }>(
          "SELECT text FROM note WHERE v MATCH ? AND k = 2 ORDER BY distance",
          bytes(x, y),
        )
      ).map(({ text }) => text),
    load: (c, file: string) =>
      c.db.execute("SELECT load_extension(?)", file).then(
        () => "loaded",
        (error: Error) => error.message,
      ),
    nap: (c) => c.sleep(),
  },
});
const plain = actor({
  db: db({}),
  actions: {
    version: (c) => c.db.execute("SELECT vec_version()").then(() => "has it", String),
    load: notes.actions.load as never as (c: unknown, file: string) => Promise<string>,
  },
});

test("vectors are a table of the actor's own, through sleep, rollback, a restart and a check", async () => {
  const directory = await mkdtemp(join(tmpdir(), "skep-extensions-"));
  const store = `embedded:${join(directory, "store")}`;
  vi.spyOn(process.stderr, "write").mockImplementation(() => true);
  const registry = setup({ use: { notes, plain } });
  const start = () => registry.start({ store, listen: 0, signals: false, logLevel: "error" });
  let server = await start();
  let client = createClient<typeof registry>(server.url);
  const a = client.notes.getOrCreate("a");
  await a.add("east", 1, 0);
  await a.add("north", 0, 1);
  await a.add("west", -1, 0);
  await expect(a.addAndFail()).rejects.toThrow("internal");
  expect(await a.near(0.9, 0.1)).toEqual(["east", "north"]);
  await a.nap();
  expect(await a.near(-0.9, 0.1)).toEqual(["west", "north"]);

  // Only what the definition names is loaded: nothing by SQL, and nothing elsewhere.
  for (const load of [a.load(getLoadablePath()), client.plain.getOrCreate("p").load(getLoadablePath())]) {
    expect(await load).toMatch(/not authorized|no such function|prohibited/);
  }
  expect(await client.plain.getOrCreate("p").version()).toMatch("no such function");

  client.dispose();
  await server.stop();
  const check = await run(skep, ["--store", store, "check", "notes/a"]).catch((error: unknown) => error);
  expect(check).toMatchObject({ stdout: expect.stringMatching(/ok|no problem|sound/i) as string });
  server = await start();
  client = createClient<typeof registry>(server.url);
  expect(await client.notes.get("a").near(0, 1)).toEqual(["north", expect.any(String)]);
  client.dispose();
  await server.stop();
  vi.restoreAllMocks();
  await rm(directory, { recursive: true });
});

test("an extension that is not there, or is none, is told", async () => {
  const directory = await mkdtemp(join(tmpdir(), "skep-extensions-"));
  const options = { store: "memory:", listen: 0, signals: false, logLevel: "off" } as const;
  const of = (file: string) =>
    setup({ use: { it: actor({ db: db({ extensions: [file] }), actions: { a: () => 1 } }) } });
  await expect(of(join(directory, "no.so")).start(options)).rejects.toThrow("is not there");
  const wrong = join(directory, "wrong.so");
  await writeFile(wrong, "no library");
  const server = await of(wrong).start(options);
  const client = createClient(server.url);
  await expect(client.it!.getOrCreate("a").action({ name: "a" })).rejects.toMatchObject({
    code: expect.any(String) as string,
  });
  client.dispose();
  await server.stop();
  await rm(directory, { recursive: true });
});
