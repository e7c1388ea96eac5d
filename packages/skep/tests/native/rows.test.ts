// Rows of any shape and values of any kind, through the database and back: in a frame, as an array, at once and later.

import { actor, db, setup } from "skep";
import { setupTest } from "skep/test";
import { describe, expect, test } from "vitest";

import { randomOf, seed } from "../../../../testing/packages/random.ts";

type Value = null | number | bigint | string | Uint8Array;

const code: { run: (c: any) => unknown } = { run: () => undefined };
const table = actor({
  db: db({ migrations: [{ version: 1, sql: "CREATE TABLE t(id INTEGER PRIMARY KEY, v)" }] }),
  // What the test wants, with the context of an actor.
  actions: { run: async (c) => void (await code.run(c)) },
});
const registry = setup({ use: { table } });

describe(`(seed ${seed})`, () => {
  const random = randomOf(seed);
  const below = (n: number): number => Math.floor(random() * n);
  const text = (alphabet: string, most: number): string => {
    const letters = [...alphabet];
    return Array.from({ length: below(most) }, () => letters[below(letters.length)]).join("");
  };
  const makers: (() => Value)[] = [
    () => null,
    () => below(1_000) - 500,
    () => (random() - 0.5) * 10 ** below(20),
    () => Number.MAX_SAFE_INTEGER * (below(2) ? 1 : -1),
    () => (BigInt(below(2 ** 30)) << 32n) + 2n ** 53n,
    () => -(2n ** 63n),
    () => Infinity,
    () => text("abcdefghijklmnopqrstuvwxyz 0123456789", 40),
    () => text("aä€😀\0", 12),
    () => text("x", below(20) ? 20 : 3_000),
    () => Uint8Array.from({ length: below(20) }, () => below(256)),
  ];
  const value = (): Value => makers[below(makers.length)]!();
  /** Of small results most, of some that are too many for a frame. */
  const shape = (): { columns: number; rows: number } =>
    below(30) === 0 ? { columns: 6 + below(3), rows: 2_000 + below(1_500) } : { columns: 1 + below(12), rows: below(9) };

  test("values come back as they went, in all forms of a statement", async (t) => {
    const { client } = await setupTest(t, registry);
    let sizes = 0;
    code.run = async (c) => {
      for (let i = 0; i < 120; ++i) {
        const { columns, rows } = shape();
        const names = Array.from({ length: columns }, (_, j) => `c${j}`);
        const values = Array.from({ length: rows }, () => names.map(value));
        const line = `(${names.map(() => "?").join(", ")})`;
        // SQLite takes 32,766 parameters.
        const sql = rows
          ? `WITH t(${names.join(", ")}) AS (VALUES ${values.map(() => line).join(", ")}) SELECT * FROM t`
          : `SELECT ${names.map((name) => `0 AS ${name}`).join(", ")} WHERE 0`;
        const flat = values.flat();
        const objects = values.map((row) => Object.fromEntries(names.map((name, j) => [name, row[j]])));
        expect(await c.db.values(sql, ...flat)).toStrictEqual(values);
        expect(await c.db.execute(sql, ...flat)).toStrictEqual(objects);
        expect(c.db.executeSync(sql, ...flat)).toStrictEqual(objects);
        sizes += flat.length;
      }
    };
    await client.table.getOrCreate("a").run();
    expect(sizes).toBeGreaterThan(1_000);
  });

  test("statements that are under way at once get their own rows, whatever their order", async (t) => {
    const { client } = await setupTest(t, registry);
    const one = client.table.getOrCreate("b");
    const kept = new Map<number, Value>();
    code.run = async (c) => {
      const writes = Array.from({ length: 200 }, async (_, id) => {
        kept.set(id, value());
        await c.db.execute("INSERT INTO t VALUES (?, ?)", id, kept.get(id));
      });
      await Promise.all(writes);
      const reads = [...kept.keys()].sort(() => random() - 0.5);
      const seen = await Promise.all(
        reads.map(async (id, i) => {
          if (i % 7 === 0) await new Promise((resolve) => setImmediate(resolve));
          const sql = i % 3 === 0 ? `SELECT v, id FROM t WHERE id = ${id}` : "SELECT id, v FROM t WHERE id = ?";
          return (await c.db.execute(sql, ...(i % 3 === 0 ? [] : [id])))[0];
        }),
      );
      expect(seen).toEqual(reads.map((id) => ({ id, v: kept.get(id) })));
    };
    await one.run();
  });
});
