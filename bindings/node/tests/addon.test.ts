import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

import { afterEach, describe, expect, test } from "vitest";

import { Command, Kind } from "../../../packages/skep/src/native.js";
import { native, serve, split, sql, type Code, type Served } from "./harness.js";

let served: Served | undefined;
let directory: string | undefined;

afterEach(async () => {
  await served?.stop();
  served = undefined;
  if (directory) await rm(directory, { recursive: true });
  directory = undefined;
});

const count: Code = async ({ run }) => (await sql(run, "SELECT count(*) FROM t"))[0]![0];
const add = (run: number, v: unknown) => sql(run, "INSERT INTO t(v) VALUES (?)", v);

describe("SQL", () => {
  test("values keep their type, integers all their digits", async () => {
    let seen: unknown;
    served = await serve({
      actions: {
        roundTrip: async ({ run }) => {
          const values = [null, 1, -1.5, 2n ** 62n, Number.MAX_SAFE_INTEGER, "ä\0b", new Uint8Array([0, 255]), new Uint8Array(), true];
          seen = (await sql(run, "SELECT ?, ?, ?, ?, ?, ?, ?, ?, ?", ...values))[0];
        },
      },
    });
    expect((await served.call("a", "roundTrip")).status).toBe(200);
    expect(seen).toEqual([null, 1, -1.5, 2n ** 62n, Number.MAX_SAFE_INTEGER, "ä\0b", new Uint8Array([0, 255]), new Uint8Array(), 1]);
  });

  test("parameters have names too, and wrong ones are told", async () => {
    const errors: string[] = [];
    served = await serve({
      actions: {
        named: ({ run }) => split(native.execute(run, native.statement("SELECT :a, $b"), { ":a": 1, $b: 2 }, true) as never)[0],
        wrong: async ({ run }) => {
          for (const parameters of [[Symbol("s")], [{}], [1, 2], [2n ** 64n], { ":nope": 1 }]) {
            try {
              await native.execute(run, native.statement("SELECT ?"), parameters as never, false);
            } catch (error) {
              errors.push((error as Error).message);
            }
          }
        },
      },
    });
    expect((await served.call("a", "named")).body).toEqual([1, 2]);
    expect((await served.call("a", "wrong")).status).toBe(200);
    expect(errors).toHaveLength(5);
    expect(errors[0]).toMatch("number, bigint, string");
    expect(errors[2]).toMatch("has 1 parameters");
  });

  test("what is small comes in a frame, and the same columns have the same number", async () => {
    const seen: unknown[] = [];
    served = await serve({
      actions: {
        look: ({ run }) => {
          const ask = (text: string, ...values: unknown[]) => {
            const others = native.query(run, native.statement(text), true, ...values);
            const [count, columns, ...cells] = native.frame;
            seen.push([count === -1 ? others : cells.slice(0, count), count === -1 ? "" : native.columns(columns!), others]);
            return columns;
          };
          const first = ask("SELECT ? AS a, ? AS b", 1, -0.5);
          expect(ask("SELECT 3 AS a, ? AS b", "ä")).toBe(first);
          ask("SELECT ?, ?, 5, ? AS x", null, 2n ** 62n, "b");
          ask("SELECT 1 WHERE 0");
          ask("");
          ask("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000) SELECT i FROM n");
        },
      },
    });
    expect((await served.call("a", "look")).status).toBe(200);
    expect(seen.slice(0, 5)).toEqual([
      [[1, -0.5], ["a", "b"], undefined],
      [[3, NaN], ["a", "b"], "ä"],
      [[NaN, NaN, 5, NaN], ["?", "?", "5", "x"], [null, 2n ** 62n, "b"]],
      [[], ["1"], undefined],
      [[], [], undefined],
    ]);
    // Too large for it.
    expect(seen[5]).toMatchObject([{ columns: ["i"], values: Array.from({ length: 20_000 }, (_, i) => i + 1) }, "", {}]);
  });

  test("statements and columns that are forgotten are known no more, and those that run are not disturbed", async () => {
    const seen: unknown[] = [];
    served = await serve({
      actions: {
        look: async ({ run }) => {
          const number = native.statement("SELECT 7 AS a");
          native.forgetStatements();
          seen.push(await Promise.resolve().then(() => native.query(run, number, false)).catch(String));
          const rows = native.execute(run, native.statement("SELECT 7 AS a"), [], false);
          native.forgetStatements();
          seen.push(await rows);
        },
      },
    });
    expect((await served.call("a", "look")).status).toBe(200);
    expect(seen).toEqual([expect.stringContaining("no statement has this number"), { columns: ["a"], values: [7] }]);
  });

  test("the columns are those of the table as it is now", async () => {
    const seen: unknown[] = [];
    served = await serve({
      actions: {
        look: async ({ run }) => {
          const all = () => native.execute(run, native.statement("SELECT * FROM changing"), [], true) as any;
          await sql(run, "CREATE TABLE changing(a)");
          await sql(run, "INSERT INTO changing VALUES (1)");
          seen.push(all().columns);
          await sql(run, "ALTER TABLE changing ADD COLUMN b DEFAULT 2");
          seen.push(all().columns);
        },
      },
    });
    expect((await served.call("a", "look")).status).toBe(200);
    expect(seen).toEqual([["a"], ["a", "b"]]);
  });

  test("a result that would not end is refused, and the actor goes on", async () => {
    const endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT zeroblob(1000000) FROM n";
    let told = "";
    served = await serve({
      actions: {
        endless: async ({ run }) => {
          told = await sql(run, endless).then(String, (error: Error) => error.message);
        },
        count,
      },
    });
    expect((await served.call("a", "endless")).status).toBe(200);
    expect(told).toMatch("larger than 268435456 bytes");
    expect((await served.call("a", "count")).status).toBe(200);
  });

  test("an error of SQL says where it is, and can be caught: the turn goes on", async () => {
    served = await serve({
      actions: {
        caught: async ({ run }) => {
          await add(run, 1);
          const error = await sql(run, "SELECT nope FROM t").catch((each: unknown) => each);
          await add(run, 2);
          return [error, await sql(run, "SELECT count(*) FROM t")];
        },
      },
    });
    const { body } = await served.call("a", "caught");
    expect(body[0]).toMatchObject({ group: "actor", code: "sql", message: "no such column: nope" });
    expect(body[1]).toEqual([[2]]);
  });

  test("pages that are not in memory suspend the run, not the event loop", async () => {
    directory = await mkdtemp(join(tmpdir(), "skep-node-"));
    const code = {
      actions: {
        fill: async ({ run }) => {
          await sql(run, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 4000) INSERT INTO t(v) SELECT randomblob(1000) FROM n");
        },
        sum: ({ run }) => {
          const rows = native.execute(run, native.statement("SELECT sum(length(v)) FROM t"), [], false);
          waited ||= rows instanceof Promise;
          return Promise.resolve(rows).then((each) => each.values[0]);
        },
        sumSync: ({ run }) => split(native.execute(run, native.statement("SELECT sum(length(v)) FROM t"), [], true) as never)[0]![0],
      } satisfies Record<string, Code>,
    };
    let waited = false;
    const settings = [`--store=embedded:${directory}/store`, "--cache=1MB"];
    served = await serve(code, {}, settings);
    expect((await served.call("a", "fill")).status).toBe(200);
    await served.stop();
    served = await serve(code, {}, settings);
    expect((await served.call("a", "sum")).body).toBe(4_000_000);
    expect(waited).toBe(true);
    expect((await served.call("a", "sumSync")).body).toBe(4_000_000);
  });
});

describe("turns", () => {
  test("what throws leaves nothing behind, what was committed by a wait stays", async () => {
    served = await serve({
      actions: {
        count,
        fails: async ({ run }) => {
          await add(run, 1);
          await add(run, 2);
          throw new Error("as asked");
        },
        failsLate: async ({ run }) => {
          await add(run, 1);
          await sleep(5);
          await add(run, 2);
          throw new Error("as asked");
        },
      },
    });
    expect((await served.call("a", "fails")).status).toBe(500);
    expect((await served.call("a", "count")).body).toBe(0);
    expect((await served.call("a", "failsLate")).status).toBe(500);
    expect((await served.call("a", "count")).body).toBe(1);
  });

  test("nobody sees half of a turn, and calls go on while one waits", async () => {
    const seen: unknown[] = [];
    served = await serve({
      actions: {
        count: async (given) => {
          const now = await count(given);
          seen.push(now);
          return now;
        },
        two: async ({ run }) => {
          await add(run, 1);
          for (let i = 0; i < 50; ++i) await sql(run, "SELECT count(*) FROM t");
          await add(run, 2);
          await sleep(30);
          await add(run, 3);
          await add(run, 4);
        },
      },
    });
    const two = served.call("a", "two");
    let waits = true;
    void two.then(() => (waits = false));
    while (waits) await served.call("a", "count");
    expect((await two).status).toBe(200);
    expect(seen.every((each) => each === 0 || each === 2 || each === 4)).toBe(true);
    expect(seen).toContain(2);
    expect((await served.call("a", "count")).body).toBe(4);
  });

  test("statements that nobody awaits are part of the turn", async () => {
    served = await serve({
      actions: {
        count,
        careless: ({ run }) => {
          void native.execute(run, native.statement("INSERT INTO t(v) VALUES (1)"), [], false);
          void native.execute(run, native.statement("INSERT INTO t(v) VALUES (2)"), [], false);
        },
      },
    });
    expect((await served.call("a", "careless")).status).toBe(200);
    expect((await served.call("a", "count")).body).toBe(2);
  });

  test("a savepoint that is rolled back takes its part only", async () => {
    served = await serve({
      actions: {
        count,
        partly: async ({ run }) => {
          await add(run, 1);
          await native.savepoint(run, "begin");
          await add(run, 2);
          await native.savepoint(run, "begin");
          await add(run, 3);
          await native.savepoint(run, "release");
          await native.savepoint(run, "rollback");
          await add(run, 4);
        },
      },
    });
    expect((await served.call("a", "partly")).status).toBe(200);
    expect((await served.call("a", "count")).body).toBe(2);
  });

  test("the blocking form is refused when other code would have to run first", async () => {
    let refused: unknown;
    served = await serve({
      actions: {
        // Within its turn while the other one wakes up by a timer of its own.
        long: async ({ run }) => {
          await add(run, 1);
          await Promise.all(Array.from({ length: 2_000 }, () => sql(run, "SELECT 1")));
        },
        other: async ({ run }) => {
          await sleep(10);
          try {
            native.execute(run, native.statement("SELECT 1"), [], true);
            refused = "done";
          } catch (error) {
            refused = (error as { code: string }).code;
          }
        },
      },
    });
    const both = [served.call("a", "other"), served.call("a", "long")];
    for (const each of await Promise.all(both)) expect(each.status).toBe(200);
    expect(["done", "overloaded"]).toContain(refused);
  });
});

describe("the end of a run", () => {
  test("a promise that never settles ends with the action's time", async () => {
    served = await serve({ actions: { never: () => new Promise(() => {}), count } }, { options: { actionTimeoutMs: 100 } });
    const { status, body } = await served.call("a", "never");
    expect(status).toBe(504);
    expect(body.code).toBe("action_timed_out");
    expect(served.aborts).toEqual([{ run: expect.any(Number), isTimeout: true }]);
    expect((await served.call("a", "count")).body).toBe(0);
  });

  test("a run that is over can not be used", async () => {
    const errors: unknown[] = [];
    served = await serve({
      actions: {
        leaves: ({ run }) => {
          setTimeout(() => {
            for (const use of [
              () => native.execute(run, native.statement("SELECT 1"), [], false),
              () => native.broadcast(run, "e", new Uint8Array(), ""),
              () => native.connections(run),
              () => native.command(run, 52, new Uint8Array([0x80])),
            ]) {
              try {
                use();
              } catch (error) {
                errors.push((error as { code: string }).code);
              }
            }
            native.settle(run, undefined, undefined);
          }, 20);
        },
      },
    });
    expect((await served.call("a", "leaves")).status).toBe(200);
    await sleep(60);
    expect(errors).toEqual(["stopped", "stopped", "stopped", "stopped"]);
  });

  test("an actor sleeps when it is idle, and finds its rows when it wakes", async () => {
    served = await serve({ actions: { count, add: ({ run }) => add(run, 1) } }, { options: { sleepAfterMs: 50 } });
    await served.call("a", "add");
    while (served.forgotten.length === 0) await sleep(10);
    expect((await served.call("a", "count")).body).toBe(1);
    expect(served.forgotten).toEqual([1]);
  });
});

describe("state", () => {
  const encoder = new TextEncoder();

  test("is saved with the turn and loaded with the next wake", async () => {
    const loaded: unknown[] = [];
    served = await serve(
      {
        actions: {
          change: ({ actor }) => void served!.state.set(actor, encoder.encode("\x65hello")),
          changeAndFail: ({ actor }) => {
            served!.state.set(actor, encoder.encode("\x63bad"));
            throw new Error("as asked");
          },
        },
        hooks: { 1: ({ payload }) => void loaded.push(payload) },
      },
      { options: { sleepAfterMs: 50 } },
    );
    await served.call("a", "change");
    await served.call("a", "changeAndFail");
    expect(served.restored).toEqual([encoder.encode("\x65hello")]);
    while (served.forgotten.length === 0) await sleep(10);
    await served.call("a", "change");
    expect(loaded).toEqual([encoder.encode("\x65hello")]);
  });
});

test("no function minds what it is given", async () => {
  const garbage = [undefined, null, -1, 2 ** 40, NaN, "text", 7n, {}, [], [[]], () => 1, Symbol("s"), new Uint8Array([0xff])];
  const failed: string[] = [];
  served = await serve({
    actions: {
      count,
      tries: ({ run }) => {
        const functions = Object.entries(native).filter(
          ([name, each]) => typeof each === "function" && name !== "stop" && name !== "moveClock",
        );
        for (const [name, each] of functions as [string, (...args: unknown[]) => unknown][]) {
          for (const first of name === "settle" ? garbage : [...garbage, run]) {
            for (const more of garbage) {
              try {
                const result = each(first, more, more, more);
                if (result instanceof Promise) result.catch(() => {});
              } catch (error) {
                if (error === undefined) failed.push(name);
              }
            }
          }
        }
      },
    },
  });
  expect((await served.call("a", "tries")).status).toBe(200);
  expect(failed).toEqual([]);
  expect((await served.call("b", "count")).body).toBe(0);
});

describe("starting", () => {
  test("what is wrong rejects, and the next start works", async () => {
    await expect(serve({ actions: {} }, {}, ["--store=nowhere:"])).rejects.toThrow("nowhere:");
    await native.stop();
    await expect(serve({ actions: {} }, {}, ["--listen=0.0.0.0:0"])).rejects.toThrow("insecure");
    await native.stop();
    await expect(serve({ actions: {} }, { name: "bad name!" })).rejects.toThrow();
    await native.stop();
    served = await serve({ actions: { count } });
    expect((await served.call("a", "count")).body).toBe(0);
  });

  test("a migration that fails is told to the caller", async () => {
    served = await serve({ actions: { count } }, { migrations: [{ version: 1, sql: "CREATE TABEL t(a)" }] });
    const { status, body } = await served.call("a", "count");
    expect(status).toBe(500);
    expect(body.code).toBe("migration_failed");
  });
});

// SKEP_TEST_WAKES=100000 for the whole of it, a minute or two.
test("many wakes leave no memory behind", async () => {
  const wakeCount = Number(process.env["SKEP_TEST_WAKES"] ?? 6_000);
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  let wakes = 0;
  const put: Code = async ({ run }) => {
    // One row, so that the store, which is in memory too, does not grow.
    await sql(run, "INSERT OR REPLACE INTO t(id, v) VALUES (1, ?)", "x".repeat(100));
    await native.command(run, Command.Sleep, new Uint8Array([0x80])); // no arguments
  };
  served = await serve({ actions: { put }, hooks: { [Kind.Wake]: () => void ++wakes } }, {}, ["--cache=1MB"]);
  /** A quarter of the wakes. */
  const round = async (): Promise<number> => {
    for (const end = wakes + wakeCount / 4; wakes < end; ) {
      await Promise.all(Array.from({ length: 300 }, (_, i) => served!.call(`k${i}`, "put")));
    }
    served!.forgotten.length = 0;
    collect();
    return process.memoryUsage().rss;
  };
  await round();
  const before = await round();
  await round();
  const after = await round();
  expect(after - before).toBeLessThan(30 * 1024 * 1024);
}, 900_000);
