import { ActorError } from "@skep/client";
import { beforeEach, describe, expect, test, vi } from "vitest";

import { RunDatabase } from "../src/database.ts";
import { Kind, type NativeRows } from "../src/native.ts";
import { Operations } from "../src/operations.ts";
import { Columns, type Row } from "../src/rows.ts";
import { FakeNative } from "./fake_native.ts";

const callbacks = {
  dispatch: () => {},
  abort: () => {},
  takeState: () => undefined,
  restoreState: () => {},
  forget: () => {},
    message: () => {},
    closed: () => {},
};
const turnOfLoop = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

let native: FakeNative;
let db: RunDatabase;
beforeEach(async () => {
  native = new FakeNative();
  await native.start({ types: [], settings: [] }, callbacks);
  const { id } = native.run(native.actor("none"), Kind.Action, {});
  db = new RunDatabase(new Operations(native, id, { actorId: "it" }));
});

const columns = ["id", "name"];
/** Made both ways: of flat values, and of a frame with what is no number beside it. */
function rowsOf({ columns: names, values }: NativeRows): Row[] {
  const made = new Columns(names);
  const rows = made.rowsOf(values);
  const frame = Float64Array.of(values.length, 1, ...values.map((each) => (typeof each === "number" ? each : NaN)));
  const others = values.filter((each) => typeof each !== "number");
  expect(made.rowsIn(frame, others)).toStrictEqual(rows);
  return rows;
}
const two: NativeRows = { columns, values: [1, "ada", 2, null] };

describe("rows", () => {
  test("are objects with the columns' names", async () => {
    native.onExecute = () => two;
    expect(await db.execute("SELECT …")).toStrictEqual([
      { id: 1, name: "ada" },
      { id: 2, name: null },
    ]);
    expect(db.executeSync("SELECT …")).toStrictEqual([
      { id: 1, name: "ada" },
      { id: 2, name: null },
    ]);
  });
  test("are ordinary objects of one shape, in the order of the columns", () => {
    const [row] = rowsOf({ columns: ["b", "a"], values: [1, 2] });
    expect(Object.keys(row!)).toEqual(["b", "a"]);
    expect(Object.getPrototypeOf(row)).toBe(Object.prototype);
    row!["b"] = 5;
  });
  test.each([
    ["__proto__", "constructor"],
    ['a"b', "c\\d"],
    ["${x}", "`"],
    ["\u2028", "\n"],
    ["count(*)", "1"],
    ["", "ä"],
  ])("have any names: %j and %j", (a, b) => {
    const [row] = rowsOf({ columns: [a, b], values: [1, 2] });
    expect(Object.entries(row!).sort()).toEqual([[a, 1] as const, [b, 2] as const].sort());
    expect(Object.getPrototypeOf(row)).toBe(Object.prototype);
  });
  test("of columns with one name have the last one", () => {
    expect(rowsOf({ columns: ["a", "a"], values: [1, 2, 3, 4] })).toEqual([{ a: 2 }, { a: 4 }]);
  });
  test("have what is no number in its place", () => {
    const values = [1, "a", null, 2n ** 62n, -0.5, "b", new Uint8Array([1]), Infinity, 0, "", null, null];
    expect(rowsOf({ columns: ["a", "b", "c"], values })).toEqual([
      { a: 1, b: "a", c: null },
      { a: 2n ** 62n, b: -0.5, c: "b" },
      { a: new Uint8Array([1]), b: Infinity, c: 0 },
      { a: "", b: null, c: null },
    ]);
    const one = new Columns(["a", "b"]);
    expect(one.rowsIn(Float64Array.of(2, 1, 7, NaN), "only one")).toEqual([{ a: 7, b: "only one" }]);
    expect(one.arraysIn(Float64Array.of(2, 1, NaN, 7), "only one")).toEqual([["only one", 7]]);
  });
  test("come as arrays too, more than a frame has room for, and of more statements than are remembered", async () => {
    const many = Array.from({ length: 100 }, (_, i) => i);
    native.onExecute = (sql) => ({ columns: ["a", "b"], values: sql === "MANY" ? many : [1, sql] });
    expect(await db.values("ONE")).toEqual([[1, "ONE"]]);
    expect(await db.values("MANY")).toHaveLength(50);
    expect((await db.execute("MANY"))[49]).toEqual({ a: 98, b: 99 });
    for (let i = 0; i < 2_500; ++i) expect(await db.values(`SELECT ${i}`)).toEqual([[1, `SELECT ${i}`]]);
  });
  test("are the same where no code is made of text", () => {
    const made = vi.spyOn(globalThis, "Function").mockImplementation(() => {
      throw new EvalError("as with --disallow-code-generation-from-strings");
    });
    try {
      expect(rowsOf({ columns: ["a", "b"], values: [1, "x", 2, null] })).toEqual([
        { a: 1, b: "x" },
        { a: 2, b: null },
      ]);
    } finally {
      made.mockRestore();
    }
  });
  test("of one statement after another do not get mixed up", () => {
    const other = ["x"];
    for (let i = 0; i < 3; ++i) {
      expect(rowsOf(two)).toHaveLength(2);
      expect(rowsOf({ columns: other, values: [1, 2] })).toEqual([{ x: 1 }, { x: 2 }]);
      expect(rowsOf({ columns: [], values: [] })).toEqual([]);
    }
  });
});

describe("a statement", () => {
  test("whose rows are there waits for nothing but its promise", async () => {
    native.onExecute = () => two;
    const order: string[] = [];
    const statement = (async () => {
      await db.execute("SELECT …");
      order.push("statement");
    })();
    const microtask = (async () => {
      await null;
      order.push("microtask");
    })();
    await Promise.all([statement, microtask]);
    expect(order).toEqual(["statement", "microtask"]);
  });
  test("whose rows come later gives them then", async () => {
    native.onExecute = () => Promise.resolve(two);
    expect(await db.execute("SELECT …")).toHaveLength(2);
  });
  test("that fails rejects, with what SQLite says and where it was called", async () => {
    const failure = {
      group: "actor",
      code: "sql",
      message: "no such table: t",
      metadata: '{"sqliteCode":1}',
      retryable: false,
    };
    for (const fail of [
      () => {
        throw failure;
      },
      () => Promise.reject(failure),
    ]) {
      native.onExecute = fail;
      const error = await db.execute("SELECT * FROM t").catch((each: unknown) => each);
      expect(error).toBeInstanceOf(ActorError);
      expect(error).toMatchObject({
        code: "sql",
        message: "no such table: t",
        metadata: { sqliteCode: 1 },
      });
    }
    native.onExecute = () => {
      throw failure;
    };
    expect(() => db.executeSync("SELECT * FROM t")).toThrow(ActorError);
  });
});

describe("parameters", () => {
  const given = (sql: string, ...args: never[]): unknown => {
    native.log.length = 0;
    void db.execute(sql, ...args);
    return (native.log[0] as unknown[])[2];
  };
  const of = (sql: string, ...args: unknown[]): unknown => given(sql, ...(args as never[]));

  test("by position are passed on", () => {
    expect(of("SELECT 1")).toBeUndefined();
    expect(of("SELECT ?, ?", 1, null)).toEqual([1, null]);
    expect(of("SELECT ?", new Uint8Array([1]))).toEqual([new Uint8Array([1])]);
  });
  test("that are views of buffers are bytes", () => {
    const floats = new Float32Array([1, 2]);
    expect(of("SELECT ?", floats.subarray(1))).toEqual([new Uint8Array([0, 0, 0, 64])]);
    expect(of("SELECT ?, ?", 1, new DataView(new ArrayBuffer(1)))).toEqual([1, new Uint8Array(1)]);
    expect(of("SELECT :v", { v: floats.subarray(0, 1) })).toEqual({
      ":v": new Uint8Array([0, 0, 128, 63]),
    });
  });
  test("by name have the prefix that the statement has", () => {
    expect(of("SELECT :a, $b, @c, :a", { a: 1, b: 2, c: 3, more: 4 })).toEqual({
      ":a": 1,
      $b: 2,
      "@c": 3,
    });
    expect(of("SELECT :a", { ":a": 1 })).toEqual({ ":a": 1 });
    expect(of("SELECT :größe", { größe: 1 })).toEqual({ ":größe": 1 });
  });
  test("by name are not found in texts, names and comments", () => {
    const sql = `SELECT ':x', ":y", \`:z\`, [:w], 'it''s :q', :real -- :late
      /* :more
      :yet */ FROM t`;
    expect(of(sql, { real: 1 })).toEqual({ ":real": 1 });
  });
  test("by name must all be given", async () => {
    await expect(db.execute("SELECT :a, :b", { a: 1 })).rejects.toThrow(
      "no value is given for the parameter :b",
    );
    await expect(db.execute("SELECT :toString", {})).rejects.toThrow(":toString");
  });
  test("that nothing can be made of are the core's to refuse", () => {
    const date = new Date();
    expect(of("SELECT ?", date)).toEqual([date]);
    expect(of("SELECT ?", [1])).toEqual([[1]]);
  });
  test("of more statements than are remembered are right still", () => {
    for (let i = 0; i < 2_500; ++i)
      expect(of(`SELECT :p${i}`, { [`p${i}`]: i })).toEqual({ [`:p${i}`]: i });
  });
});

describe("a transaction", () => {
  const log = (): unknown[] => native.log.map((each) => (Array.isArray(each) ? each[1] : each));

  test("is kept when its body ends, and gives what that gives", async () => {
    expect(await db.transaction(async (tx) => (await tx.execute("A"), 7))).toBe(7);
    expect(await db.transaction(() => 8)).toBe(8);
    expect(log()).toEqual(["begin", "A", "release", "begin", "release"]);
  });
  test("is undone when its body throws", async () => {
    const error = new Error("as asked");
    await expect(db.transaction(() => Promise.reject(error))).rejects.toBe(error);
    await expect(
      db.transaction(() => {
        throw error;
      }),
    ).rejects.toBe(error);
    expect(log()).toEqual(["begin", "rollback", "begin", "rollback"]);
  });
  test("comes after those that were asked for before, whether they failed or not", async () => {
    const slow = async (tx: { execute(sql: string): Promise<unknown> }, name: string) => {
      await tx.execute(`${name}1`);
      await turnOfLoop();
      await tx.execute(`${name}2`);
      if (name === "B") throw new Error("as asked");
    };
    const outcomes = await Promise.allSettled(
      ["A", "B", "C"].map((name) => db.transaction((tx) => slow(tx, name))),
    );
    expect(outcomes.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
    expect(log()).toEqual([
      "begin",
      "A1",
      "A2",
      "release",
      "begin",
      "B1",
      "B2",
      "rollback",
      "begin",
      "C1",
      "C2",
      "release",
    ]);
  });
  test("may have others within, one after the other", async () => {
    await db.transaction(async (tx) => {
      await Promise.allSettled([
        tx.transaction(async (inner) => {
          await inner.execute("A");
          await turnOfLoop();
          await inner.execute("B");
          throw new Error("as asked");
        }),
        tx.transaction((inner) => inner.script("C")),
      ]);
    });
    expect(log()).toEqual([
      "begin",
      "begin",
      "A",
      "B",
      "rollback",
      "begin",
      "C",
      "release",
      "release",
    ]);
  });
  test("that is over takes no more statements", async () => {
    let leaked: Parameters<Parameters<typeof db.transaction>[0]>[0];
    await db.transaction((tx) => void (leaked = tx));
    await expect(leaked!.execute("A")).rejects.toThrow("this transaction is over");
    await expect(leaked!.script("A")).rejects.toThrow("this transaction is over");
    await expect(leaked!.transaction(() => {})).rejects.toThrow("this transaction is over");
    expect(() => leaked.executeSync("A")).toThrow("this transaction is over");
  });
  test("that takes too long is undone", async () => {
    const late = db.transaction(() => new Promise(() => {}), { timeout: 5 });
    await expect(late).rejects.toThrow("longer than 5 ms");
    expect(log()).toEqual(["begin", "rollback"]);
  });
  test("that cannot be kept is undone", async () => {
    const refused = new Error("as asked");
    native.savepoint = (_run, step) => {
      native.log.push(step);
      if (step === "release") throw refused;
    };
    await expect(db.transaction(() => 7)).rejects.toBe(refused);
    expect(log()).toEqual(["begin", "release", "rollback"]);
  });
});
