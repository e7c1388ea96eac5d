/**
 * Kysely on an actor's database.
 *
 * ```ts
 * import { kysely } from "skep/kysely";
 *
 * const rows = await kysely<Tables>(c.db).selectFrom("message").selectAll().execute();
 * ```
 *
 * @packageDocumentation
 */
import {
  type CompiledQuery,
  type DatabaseConnection,
  type Dialect,
  type Driver,
  Kysely,
  type KyselyConfig,
  type QueryResult,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
} from "kysely";

import type { Database, SqlExecutor, Transaction } from "./database.ts";
import type { SqlParameter } from "./parameters.ts";

/** A query builder for the run that `db` is of. Costs little: make one where it is needed. */
export function kysely<Tables>(
  db: Database,
  config: Omit<KyselyConfig, "dialect"> = {},
): Kysely<Tables> {
  return new Kysely<Tables>({ ...config, dialect: kyselyDialect(db) });
}

/** For those who make their Kysely themselves. */
export function kyselyDialect(db: Database): Dialect {
  return {
    createAdapter: () => new SqliteAdapter(),
    createDriver: () => new RunDriver(db),
    createIntrospector: (own) => new SqliteIntrospector(own),
    createQueryCompiler: () => new SqliteQueryCompiler(),
  };
}

class RunDriver implements Driver {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }
  async init(): Promise<void> {}
  async destroy(): Promise<void> {}
  async releaseConnection(): Promise<void> {}
  async acquireConnection(): Promise<DatabaseConnection> {
    return new RunConnection(this.#db);
  }
  async beginTransaction(connection: DatabaseConnection): Promise<void> {
    await (connection as RunConnection).begin();
  }
  async commitTransaction(connection: DatabaseConnection): Promise<void> {
    await (connection as RunConnection).end(true);
  }
  async rollbackTransaction(connection: DatabaseConnection): Promise<void> {
    await (connection as RunConnection).end(false);
  }
}

/** What a transaction that is rolled back throws. */
const undone = new Error("rolled back");

class RunConnection implements DatabaseConnection {
  readonly #db: Database;
  #executor: SqlExecutor;
  #end: ((isKept: boolean) => void) | undefined;
  #transaction: Promise<void> | undefined;

  constructor(db: Database) {
    this.#db = db;
    this.#executor = db;
  }

  begin(): Promise<void> {
    return new Promise((begun, refused) => {
      const body = (tx: Transaction): Promise<void> => {
        this.#executor = tx;
        begun();
        return new Promise((keep, undo) => {
          this.#end = (isKept) => (isKept ? keep() : undo(undone));
        });
      };
      this.#transaction = this.#db.transaction(body);
      // For what fails before the body; who ends it hears of the rest.
      this.#transaction.catch(refused);
    });
  }
  async end(isKept: boolean): Promise<void> {
    this.#end?.(isKept);
    try {
      await this.#transaction;
    } catch (error) {
      if (isKept || error !== undone) throw error;
    } finally {
      this.#executor = this.#db;
    }
  }

  async executeQuery<R>({ sql, parameters, query }: CompiledQuery): Promise<QueryResult<R>> {
    const rows = this.#executor.execute(sql, ...(parameters as readonly SqlParameter[]));
    const { kind } = query;
    const changes =
      kind === "InsertQueryNode" || kind === "UpdateQueryNode" || kind === "DeleteQueryNode";
    if (!changes) return { rows: (await rows) as R[] };
    // Asked for before anything else of this run can come between.
    const counted = this.#executor.execute<{ n: number; id: number | bigint }>(
      "SELECT changes() AS n, last_insert_rowid() AS id",
    );
    const [own, [counts]] = await Promise.all([rows, counted]);
    return {
      rows: own as R[],
      numAffectedRows: BigInt(counts!.n),
      ...(kind === "InsertQueryNode" && { insertId: BigInt(counts!.id) }),
    };
  }

  async *streamQuery<R>(query: CompiledQuery): AsyncIterableIterator<QueryResult<R>> {
    yield await this.executeQuery<R>(query);
  }
}
