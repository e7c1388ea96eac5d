// Database: an actor's SQL, within one run.
//
// A statement whose pages are in memory is done when the addon's function returns: then its promise
// is resolved already, and waiting for it costs one turn of the microtask queue.

import type { SqlValue } from "./native.ts";
import type { Operations } from "./operations.ts";
import { type NamedParameters, type SqlParameter, toNativeParameters } from "./parameters.ts";
import type { Row } from "./rows.ts";
import { asArrays, asObjects } from "./statements.ts";

/** Values for a statement's parameters: one after the other, or an object with their names. */
export type SqlArguments = readonly SqlParameter[] | readonly [NamedParameters];

/** What can be done with an actor's database, and within a transaction. */
export interface SqlExecutor {
  /**
   * Runs one statement, and gives its rows as objects. Integers beyond 2^53 are bigint.
   *
   * ```ts
   * await c.db.execute("INSERT INTO message(sender, text) VALUES (?, ?)", sender, text);
   * const rows = await c.db.execute<Message>("SELECT * FROM message WHERE id > :after", { after });
   * ```
   */
  execute<R extends object = Row>(sql: string, ...args: SqlArguments): Promise<R[]>;
  /**
   * As `execute()`, but gives the rows at once. Blocks the thread, and with it all actors that run
   * on it, while pages are read from the store.
   */
  executeSync<R extends object = Row>(sql: string, ...args: SqlArguments): R[];
  /**
   * As `execute()`, but gives the rows as arrays: for columns with the same name, and for drivers.
   */
  values(sql: string, ...args: SqlArguments): Promise<SqlValue[][]>;
  /** Runs a script of several statements, whose rows are dropped. */
  script(sql: string): Promise<void>;
}

/** An actor's SQLite database. What is written belongs to the turn. */
export interface Database extends SqlExecutor {
  /**
   * Runs `body` as a whole: when it throws, what it has written is undone, and what was written
   * before in the turn stays. The turn goes on until it ends, whatever `body` waits for: no other
   * code of this actor runs meanwhile that uses the database, and new calls wait. Transactions of
   * one run follow each other in the order of their calls; one within another is made with the `tx`
   * of the outer one. Functions of the context that wait for others (`c.client()`, `c.sleepFor()`,
   * `c.flush()`) are refused in it.
   */
  transaction<T>(
    body: (tx: Transaction) => Promise<T> | T,
    options?: TransactionOptions,
  ): Promise<T>;
}

/** How long a transaction may take. */
export interface TransactionOptions {
  /** In milliseconds; then it is undone, and its promise rejected. 60,000 */
  readonly timeout?: number;
}

/** The database within a transaction. */
export interface Transaction extends SqlExecutor {
  /** One within this one. */
  transaction<T>(body: (tx: Transaction) => Promise<T> | T): Promise<T>;
}

/** Statements of one run. */
export class RunDatabase implements Database {
  readonly #operations: Operations;
  #transactions: Line | undefined;

  constructor(operations: Operations) {
    this.#operations = operations;
  }

  execute<R extends object = Row>(sql: string, ...args: SqlArguments): Promise<R[]> {
    return this.#rows(sql, args, asObjects) as Promise<R[]>;
  }
  values(sql: string, ...args: SqlArguments): Promise<SqlValue[][]> {
    return this.#rows(sql, args, asArrays);
  }
  #rows<T>(sql: string, args: SqlArguments, make: typeof asObjects | typeof asArrays): Promise<T[]> {
    const { statements, run } = this.#operations;
    let rows: unknown;
    try {
      rows = statements.run<unknown>(run, sql, toNativeParameters(sql, args), false, make);
    } catch (thrown) {
      return Promise.reject(this.#operations.error(thrown));
    }
    if (!(rows instanceof Promise)) return Promise.resolve(rows as T[]);
    return rows.catch((thrown) => {
      throw this.#operations.error(thrown);
    }) as Promise<T[]>;
  }

  executeSync<R extends object = Row>(sql: string, ...args: SqlArguments): R[] {
    const { statements, run } = this.#operations;
    try {
      return statements.run(run, sql, toNativeParameters(sql, args), true, asObjects) as R[];
    } catch (thrown) {
      throw this.#operations.error(thrown);
    }
  }

  async script(sql: string): Promise<void> {
    try {
      await this.#operations.native.script(this.#operations.run, sql);
    } catch (thrown) {
      throw this.#operations.error(thrown);
    }
  }

  transaction<T>(
    body: (tx: Transaction) => Promise<T> | T,
    { timeout = 60_000 }: TransactionOptions = {},
  ): Promise<T> {
    this.#transactions ??= new Line();
    return this.#transactions.add(() => this.whole(body, timeout));
  }

  /** A transaction, or one within another. */
  async whole<T>(
    body: (tx: Transaction) => Promise<T> | T,
    timeout: number | undefined,
  ): Promise<T> {
    await this.#savepoint("begin");
    const tx = new RunTransaction(this);
    try {
      let result: T;
      try {
        result = await inTime(body(tx), timeout);
      } finally {
        tx.end();
      }
      await this.#savepoint("release");
      return result;
    } catch (error) {
      await this.#savepoint("rollback");
      throw error;
    }
  }

  async #savepoint(step: "begin" | "release" | "rollback"): Promise<void> {
    try {
      await this.#operations.native.savepoint(this.#operations.run, step);
    } catch (thrown) {
      throw this.#operations.error(thrown);
    }
  }
}

class RunTransaction implements Transaction {
  readonly #db: RunDatabase;
  readonly #transactions = new Line();
  #isOver = false;

  constructor(db: RunDatabase) {
    this.#db = db;
  }
  end(): void {
    this.#isOver = true;
  }
  get #open(): RunDatabase {
    if (this.#isOver) throw new Error("this transaction is over: await all of its statements");
    return this.#db;
  }
  async execute<R extends object = Row>(sql: string, ...args: SqlArguments): Promise<R[]> {
    return this.#open.execute<R>(sql, ...args);
  }
  executeSync<R extends object = Row>(sql: string, ...args: SqlArguments): R[] {
    return this.#open.executeSync<R>(sql, ...args);
  }
  async values(sql: string, ...args: SqlArguments): Promise<SqlValue[][]> {
    return this.#open.values(sql, ...args);
  }
  async script(sql: string): Promise<void> {
    return this.#open.script(sql);
  }
  async transaction<T>(body: (tx: Transaction) => Promise<T> | T): Promise<T> {
    return this.#transactions.add(async () => this.#open.whole(body, undefined));
  }
}

/** Runs one thing after the other, in the order in which they were added. */
class Line {
  #last: Promise<unknown> = Promise.resolve();

  add<T>(next: () => Promise<T>): Promise<T> {
    const result = this.#last.then(next, next);
    // Who asked for it hears of its error.
    this.#last = result.catch(() => {});
    return result;
  }
}

/** The clock is asked for only when the body has something to wait for. */
async function inTime<T>(value: Promise<T> | T, timeout: number | undefined): Promise<T> {
  if (timeout === undefined || !(value instanceof Promise)) return value;
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new Error(`the transaction took longer than ${timeout} ms`)),
      timeout,
    );
  });
  try {
    return await Promise.race([value, late]);
  } finally {
    clearTimeout(timer);
  }
}
