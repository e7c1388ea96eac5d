/**
 * Drizzle on an actor's database.
 *
 * ```ts
 * import { drizzle, drizzleMigrations } from "skep/drizzle";
 *
 * const room = actor({
 *   db: db({ migrations: drizzleMigrations("./drizzle") }),
 *   actions: { history: (c) => drizzle(c.db).select().from(messages) },
 * });
 * ```
 *
 * @packageDocumentation
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";

import { type DrizzleConfig, TransactionRollbackError } from "drizzle-orm";
import { drizzle as remote, type SqliteRemoteDatabase } from "drizzle-orm/sqlite-proxy";

import type { Database, SqlExecutor, Transaction } from "./database.ts";
import type { Migration } from "./definition.ts";
import type { SqlParameter } from "./parameters.ts";

/** A Drizzle database of one run. */
export type DrizzleDatabase<Schema extends Record<string, unknown>> = SqliteRemoteDatabase<Schema>;

/** A query builder for the run that `db` is of. Costs little: make one where it is needed. */
export function drizzle<Schema extends Record<string, unknown> = Record<string, never>>(
  db: Database | Transaction,
  config: DrizzleConfig<Schema> = {},
): DrizzleDatabase<Schema> {
  const made = remote<Schema>(async (sql, parameters, method) => {
    const rows = await (db as SqlExecutor).values(sql, ...(parameters as readonly SqlParameter[]));
    return { rows: method === "get" ? (rows[0] as unknown[]) : rows };
  }, config);
  const transaction = (body: (tx: unknown) => Promise<unknown>): Promise<unknown> =>
    db.transaction((inner) => {
      const rollback = (): never => {
        throw new TransactionRollbackError();
      };
      return body(Object.assign(drizzle(inner, config), { rollback }));
    });
  return Object.assign(made, { transaction }) as DrizzleDatabase<Schema>;
}

interface Journal {
  readonly entries: readonly { readonly idx: number; readonly tag: string }[];
}

/** The migrations that drizzle-kit has written into `folder`. */
export function drizzleMigrations(folder: string): Migration[] {
  const journal = JSON.parse(readFileSync(join(folder, "meta/_journal.json"), "utf8")) as Journal;
  return journal.entries.map(({ idx, tag }) => ({
    version: idx + 1,
    // What stands between its statements is a comment.
    sql: readFileSync(join(folder, `${tag}.sql`), "utf8"),
  }));
}
