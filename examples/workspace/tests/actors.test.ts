// What the pages can not show: what the actors keep over wakes, releases and bad input.

import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { type Client, createClient, type RegistryContract } from "@skep/client";
import { actor, type ActorDefinitions, db, type Registry, type Server, setup } from "skep";
import { afterEach, beforeEach, expect, test } from "vitest";
import * as Y from "yjs";

import { textDocument } from "../document/actor.ts";
import { agent } from "../memory/actor.ts";
import { embed } from "../memory/embedding.ts";
import { reminders } from "../reminders/actor.ts";
import { migrations, tenant } from "../tenants/actor.ts";

let directory: string;
let server: Server | undefined;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "skep-examples-"));
});
afterEach(async () => {
  await server?.stop();
  server = undefined;
  await rm(directory, { recursive: true });
});

/** A server of these actors, on what earlier ones of the test have left. */
async function serve<Use extends ActorDefinitions>(
  registry: Registry<Use>,
): Promise<Client<Registry<Use>>>;
async function serve(registry: Registry<ActorDefinitions>): Promise<Client<RegistryContract>> {
  await server?.stop();
  const store = `embedded:${join(directory, "store")}`;
  server = await registry.start({ store, listen: 0, logLevel: "warn", signals: false });
  return createClient(server.url);
}

test("a document's updates are merged when they are many, and the text outlives its actor", async () => {
  const registry = setup({ use: { textDocument } });
  const document = (await serve(registry)).textDocument.getOrCreate("a");
  const doc = new Y.Doc();
  const updates: Uint8Array[] = [];
  doc.on("update", (update: Uint8Array) => updates.push(update));
  const text = doc.getText("text");
  for (let i = 0; i < 450; ++i) text.insert(i % 7, String(i % 10));
  for (const update of updates) await document.update(update);
  expect((await document.storage()).updates).toBeLessThanOrEqual(200);

  const again = (await serve(registry)).textDocument.get("a");
  const other = new Y.Doc();
  Y.applyUpdate(other, (await again.sync(Y.encodeStateVector(other))).update);
  expect(other.getText("text").toString()).toBe(text.toString());
});

test("what is no update of a document is refused, and not kept", async () => {
  const document = (await serve(setup({ use: { textDocument } }))).textDocument.getOrCreate("a");
  const refused = document.update(new Uint8Array([255, 255, 255, 255]));
  await expect(refused).rejects.toMatchObject({ group: "user", code: "bad_update" });
  expect(await document.storage()).toEqual({ updates: 0, bytes: 0 });
});

test("a tenant of an old release has what the new one needs when it wakes", async () => {
  const old = actor({
    db: db({ migrations: migrations.slice(0, 1) }),
    actions: {
      add: async (c, title: string) =>
        void (await c.db.execute("INSERT INTO task(title) VALUES (?)", title)),
    },
  });
  const before = await serve(setup({ use: { tenant: old } }));
  await before.tenant.getOrCreate("acme").add("from another time");

  const acme = (await serve(setup({ use: { tenant } }))).tenant.get("acme");
  expect(await acme.tasks()).toEqual([{ id: 1, title: "from another time", done: 0, priority: 2 }]);
  expect((await acme.database()).applied.map(({ version }) => version)).toEqual([1, 2, 3]);
});

test("a reminder is told though the server was away when it was due, and never early", async () => {
  const registry = setup({ use: { reminders } });
  const list = (await serve(registry)).reminders.getOrCreate("a");
  await list.remind("close the hives", 1_000);
  await list.remind("order jars", 3_600_000);
  // Nobody calls the actor: the timer wakes it.
  await serve(registry);
  const again = (await serve(registry)).reminders.get("a");
  await expect
    .poll(async () => (await again.all()).map(({ text, told }) => [text, told !== null]), {
      timeout: 30_000,
    })
    .toEqual([
      ["order jars", false],
      ["close the hives", true],
    ]);
  const [, told] = await again.all();
  expect(told!.told).toBeGreaterThanOrEqual(told!.at);
});

test("the demo begins with something to see, and ends when there is no terminal", async () => {
  const script = fileURLToPath(new URL("../../../scripts/demo.sh", import.meta.url));
  const env = { ...process.env, SKEP_STORE: "memory:", SKEP_LISTEN: "0" };
  const { stdout } = await promisify(execFile)(script, { env });
  expect(stdout).toMatch(/http:\/\/localhost:\d+/);
  expect(stdout).toContain("The server answers.");
});

test("texts that have words or parts of words in common are near to each other", () => {
  const similarity = (a: Float32Array, b: Float32Array): number =>
    a.reduce((sum, each, i) => sum + each * b[i]!, 0);
  const hives = embed("My sister keeps seven beehives behind the old mill.");
  expect(embed("My sister keeps seven beehives behind the old mill.")).toEqual(hives);
  expect(similarity(hives, hives)).toBeCloseTo(1);
  const near = similarity(hives, embed("Where is the hive of the sister?"));
  const far = similarity(hives, embed("The invoice is due in March."));
  expect(near).toBeGreaterThan(far + 0.1);
  expect(embed("").every((each) => each === 0)).toBe(true);
});

test("an agent finds what it was told by its words and by its meaning, also after a restart", async () => {
  const registry = setup({ use: { agent } });
  let bea = (await serve(registry)).agent.getOrCreate("bea");
  await bea.ask("My sister keeps seven beehives behind the old mill.");
  await bea.ask("The invoice is due in March.");
  bea = (await serve(registry)).agent.get("bea");
  const { meaning } = await bea.search("sisters' hives");
  expect(meaning.map(({ text }) => text)).toEqual([
    "My sister keeps seven beehives behind the old mill.",
  ]);
  expect((await bea.search("invoice")).words).toHaveLength(1);
  expect((await bea.search("of the")).meaning).toEqual([]);
});
