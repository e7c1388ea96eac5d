// Drizzle, Kysely and zod, with actors on the real addon.

import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { createClient } from "@skep/client";
import { eq, relations, sql } from "drizzle-orm";
import { blob, integer, sqliteTable, text } from "drizzle-orm/sqlite-core";
import type { Generated } from "kysely";
import { actor, db, setup } from "skep";
import { drizzle, drizzleMigrations } from "skep/drizzle";
import { kysely } from "skep/kysely";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { z } from "zod";

const authors = sqliteTable("author", {
  id: integer("id").primaryKey(),
  name: text("name").notNull(),
});
const books = sqliteTable("book", {
  id: integer("id").primaryKey(),
  title: text("title").notNull(),
  author: integer("author").references(() => authors.id),
  at: integer("at", { mode: "timestamp_ms" }),
  cover: blob("cover", { mode: "buffer" }),
});
const schema = {
  authors,
  books,
  ofAuthors: relations(authors, ({ many }) => ({ books: many(books) })),
  ofBooks: relations(books, ({ one }) => ({
    author: one(authors, { fields: [books.author], references: [authors.id] }),
  })),
};

interface Tables {
  author: { id: Generated<number>; name: string };
  book: { id: Generated<number>; title: string; author: number | null };
}

/** As drizzle-kit writes it. */
async function writeMigrations(folder: string): Promise<void> {
  await mkdir(join(folder, "meta"));
  const entries = ["0000_first", "0001_second"].map((tag, idx) => ({
    idx,
    version: "6",
    when: idx,
    tag,
    breakpoints: true,
  }));
  await writeFile(
    join(folder, "meta/_journal.json"),
    JSON.stringify({ version: "7", dialect: "sqlite", entries }),
  );
  await writeFile(
    join(folder, "0000_first.sql"),
    "CREATE TABLE `author` (`id` integer PRIMARY KEY, `name` text NOT NULL);\n--> statement-breakpoint\n" +
      "CREATE TABLE `book` (`id` integer PRIMARY KEY, `title` text NOT NULL, `author` integer REFERENCES author(id));",
  );
  await writeFile(
    join(folder, "0001_second.sql"),
    "ALTER TABLE `book` ADD `at` integer;--> statement-breakpoint\nALTER TABLE `book` ADD `cover` blob;",
  );
}

function makeRegistry(folder: string) {
  const library = actor({
    db: db({ migrations: drizzleMigrations(folder) }),
    schemas: {
      actions: { checked: z.tuple([z.string().trim().min(1), z.number().int().default(7)]) },
    },
    actions: {
      drizzle: async (c) => {
        const d = drizzle(c.db, { schema });
        await d.insert(authors).values([{ name: "ada" }, { name: "bob" }]);
        const made = await d
          .insert(books)
          .values({ title: "one", author: 1, at: new Date(5), cover: Buffer.from("x") })
          .returning();
        await d.insert(books).values({ title: "two", author: 1 });
        await d.update(books).set({ title: "second" }).where(eq(books.title, "two"));
        const joined = await d
          .select()
          .from(books)
          .innerJoin(authors, eq(books.author, authors.id));
        const nested = await d.query.authors.findMany({
          with: { books: { columns: { title: true } } },
        });
        const first = await d.query.books.findFirst({ where: eq(books.title, "nope") });
        const one = await d
          .select({ n: sql<number>`count(*)` })
          .from(books)
          .get();
        return {
          at: made[0]!.at!.getTime(),
          cover: made[0]!.cover!.toString(),
          joined: joined.map(({ book, author }) => [book.id, book.title, author.id, author.name]),
          nested: nested.map(({ name, books: own }) => [name, own.map(({ title }) => title)]),
          first: first === undefined,
          count: one?.n,
        };
      },
      drizzleTransaction: async (c) => {
        const d = drizzle(c.db);
        await d.transaction(async (tx) => {
          await tx.insert(authors).values({ name: "kept" });
          await tx
            .transaction(async (inner) => {
              await inner.insert(authors).values({ name: "inner" });
              inner.rollback();
            })
            .catch(() => {});
        });
        await d
          .transaction(async (tx) => {
            await tx.insert(authors).values({ name: "undone" });
            throw new Error("as asked");
          })
          .catch(() => {});
        return (await d.select().from(authors)).map(({ name }) => name);
      },
      kysely: async (c) => {
        const k = kysely<Tables>(c.db);
        const made = await k
          .insertInto("author")
          .values([{ name: "ada" }, { name: "bob" }])
          .executeTakeFirst();
        const updated = await k
          .updateTable("author")
          .set({ name: "x" })
          .where("id", ">", 0)
          .executeTakeFirst();
        const returned = await k
          .insertInto("book")
          .values({ title: "one", author: 1 })
          .returning("id")
          .executeTakeFirst();
        const removed = await k.deleteFrom("author").where("id", "=", 2).executeTakeFirst();
        const rows = await k
          .selectFrom("book")
          .innerJoin("author", "author.id", "book.author")
          .select(["book.title", "author.name"])
          .execute();
        return [
          Number(made.insertId),
          Number(updated.numUpdatedRows),
          returned?.id,
          Number(removed.numDeletedRows),
          rows,
        ] as const;
      },
      kyselyTransaction: async (c) => {
        const k = kysely<Tables>(c.db);
        const add = (into: typeof k, name: string) =>
          into.insertInto("author").values({ name }).execute();
        const kept = await k.transaction().execute(async (tx) => {
          await add(tx, "kept");
          return 7;
        });
        const undone = await k
          .transaction()
          .execute(async (tx) => {
            await add(tx, "undone");
            throw new Error("as asked");
          })
          .catch((error: Error) => error.message);
        const rows = await k.selectFrom("author").select("name").execute();
        return [kept, undone, rows.map(({ name }) => name)] as const;
      },
      checked: (_c, name: string, n: number) => `${name}:${n}`,
    },
  });
  return setup({ use: { library } });
}

let folder: string;
let server: Awaited<ReturnType<ReturnType<typeof makeRegistry>["start"]>>;
let client: ReturnType<typeof createClient<ReturnType<typeof makeRegistry>>>;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "skep-drizzle-"));
  await writeMigrations(folder);
  server = await makeRegistry(folder).start({
    store: "memory:",
    listen: 0,
    signals: false,
    logLevel: "error",
  });
  client = createClient(server.url);
});
afterAll(async () => {
  await server.stop();
  await rm(folder, { recursive: true });
});

describe("Drizzle", () => {
  test("queries, with what drizzle-kit has made of the schema", async () => {
    expect(await client.library.getOrCreate("drizzle").drizzle()).toEqual({
      at: 5,
      cover: "x",
      joined: [
        [1, "one", 1, "ada"],
        [2, "second", 1, "ada"],
      ],
      nested: [
        ["ada", ["one", "second"]],
        ["bob", []],
      ],
      first: true,
      count: 2,
    });
  });
  test("has transactions within the turn", async () => {
    expect(await client.library.getOrCreate("drizzle-tx").drizzleTransaction()).toEqual(["kept"]);
  });
});

describe("Kysely", () => {
  test("queries, and counts what it changes", async () => {
    expect(await client.library.getOrCreate("kysely").kysely()).toEqual([
      2,
      2,
      1,
      1,
      [{ title: "one", name: "x" }],
    ]);
  });
  test("has transactions within the turn", async () => {
    expect(await client.library.getOrCreate("kysely-tx").kyselyTransaction()).toEqual([
      7,
      "as asked",
      ["kept"],
    ]);
  });
});

test("zod checks arguments, and fills in what is not there", async () => {
  const library = client.library.getOrCreate("zod");
  expect(await library.checked(" a ", 1)).toBe("a:1");
  expect(
    await (library as unknown as { checked(name: string): Promise<string> }).checked("a"),
  ).toBe("a:7");
  await expect(library.checked(" ", 1.5)).rejects.toMatchObject({
    group: "request",
    code: "invalid_arguments",
    metadata: { issues: [{ path: [0] }, { path: [1] }] },
  });
});
