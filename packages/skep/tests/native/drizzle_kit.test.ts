// drizzle-kit, the program: what it makes of a schema, and of the next ones, is what an actor's database becomes.

import { execFile } from "node:child_process";
import { mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { createClient } from "@skep/client";
import { actor, db, setup } from "skep";
import { drizzleMigrations } from "skep/drizzle";
import { afterAll, beforeAll, expect, test } from "vitest";

const root = fileURLToPath(new URL("../../../..", import.meta.url));
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "skep-drizzle-kit-"));
  await symlink(join(root, "node_modules"), join(folder, "node_modules"));
});
afterAll(() => rm(folder, { recursive: true }));

/** As `npx drizzle-kit generate` of a project whose schema is this. */
async function generate(tables: string): Promise<void> {
  const imports = 'import { index, integer, sqliteTable, text } from "drizzle-orm/sqlite-core";';
  await writeFile(join(folder, "schema.ts"), `${imports}\n${tables}`);
  const command = join(root, "node_modules/drizzle-kit/bin.cjs");
  const options = ["--dialect", "sqlite", "--schema", "schema.ts", "--out", "drizzle"];
  await promisify(execFile)(process.execPath, [command, "generate", ...options], { cwd: folder });
}

/** With the migrations that there are now, and the data that there was before. */
async function query(...statements: string[]): Promise<unknown[]> {
  const library = actor({
    db: db({ migrations: drizzleMigrations(join(folder, "drizzle")) }),
    actions: { query: (c, sql: string) => c.db.execute(sql) },
  });
  const registry = setup({ use: { library } });
  const store = `embedded:${join(folder, "store")}`;
  const server = await registry.start({ store, listen: 0, signals: false, logLevel: "warn" });
  const client = createClient<typeof registry>(server.url);
  try {
    const results: unknown[] = [];
    for (const sql of statements) results.push(await client.library.getOrCreate("a").query(sql));
    return results;
  } finally {
    client.dispose();
    await server.stop();
  }
}

const books = (more = ""): string => `
  export const books = sqliteTable("book", {
    id: integer("id").primaryKey(),
    title: text("title").notNull(),
    author: integer("author").references(() => authors.id),
  }${more});`;

test("each release's migrations are generated, and run where the ones before have run", async () => {
  await generate(`
    export const authors = sqliteTable("author", { id: integer("id").primaryKey(), name: text("name") });
    ${books()}`);
  await query(
    "INSERT INTO author(name) VALUES ('ada'), ('bob')",
    "INSERT INTO book(title, author) VALUES ('one', 1), ('two', 2), ('three', NULL)",
  );

  // A table, an index and a column more.
  await generate(`
    export const authors = sqliteTable("author", {
      id: integer("id").primaryKey(),
      name: text("name"),
      born: integer("born").notNull().default(1815),
    });
    ${books(', (t) => [index("by_title").on(t.title)]')}
    export const tags = sqliteTable("tag", {
      book: integer("book").notNull().references(() => books.id, { onDelete: "cascade" }),
      tag: text("tag").notNull(),
    });`);
  const [authors, plan] = await query(
    "SELECT name, born FROM author ORDER BY id",
    "EXPLAIN QUERY PLAN SELECT id FROM book WHERE title = 'two'",
    "INSERT INTO tag(book, tag) VALUES (1, 'good')",
  );
  expect(authors).toEqual([
    { name: "ada", born: 1815 },
    { name: "bob", born: 1815 },
  ]);
  expect(JSON.stringify(plan)).toContain("by_title");

  // What ALTER TABLE cannot do: the table is made anew, beneath those that refer to it.
  await generate(`
    export const authors = sqliteTable("author", {
      id: integer("id").primaryKey(),
      name: text("name").notNull(),
      born: integer("born"),
    });
    ${books(', (t) => [index("by_title").on(t.title)]')}
    export const tags = sqliteTable("tag", {
      book: integer("book").notNull().references(() => books.id, { onDelete: "cascade" }),
      tag: text("tag").notNull(),
    });`);
  const [joined, tags, foreign] = await query(
    "SELECT title, name FROM book LEFT JOIN author ON author.id = book.author ORDER BY book.id",
    "SELECT book, tag FROM tag",
    "PRAGMA foreign_key_check",
  );
  expect(joined).toEqual([
    { title: "one", name: "ada" },
    { title: "two", name: "bob" },
    { title: "three", name: null },
  ]);
  expect(tags).toEqual([{ book: 1, tag: "good" }]);
  expect(foreign).toEqual([]);
  await expect(query("INSERT INTO author(name) VALUES (NULL)")).rejects.toMatchObject({ code: "internal" });
});
