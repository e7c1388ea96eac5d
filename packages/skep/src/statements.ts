// Statements: what a thread's programs have asked its addon before, by the numbers that both sides have for it.

import type { Native, NativeRows, Others, SqlValue } from "./native.ts";
import { Columns, type Row } from "./rows.ts";

/** Programs have fewer, unless they write values into their statements: then nothing is worth keeping. */
const statementsMax = 1_000;
/** How many values `query()` takes. */
const valuesMax = 16;

/** What the addon gives for a statement. */
type Result = NativeRows | Promise<NativeRows> | Others;
/** Objects or arrays. */
type Make<T> = {
  of(columns: Columns, values: readonly SqlValue[]): T[];
  in(columns: Columns, frame: Float64Array, others: Others): T[];
};

/** Rows as objects. */
export const asObjects: Make<Row> = {
  of: (columns, values) => columns.rowsOf(values),
  in: (columns, frame, others) => columns.rowsIn(frame, others),
};
/** Rows as arrays. */
export const asArrays: Make<SqlValue[]> = {
  of: (columns, values) => columns.arraysOf(values),
  in: (columns, frame, others) => columns.arraysIn(frame, others),
};

export class Statements {
  readonly #native: Native;
  readonly #frame: Float64Array;
  readonly #numbers = new Map<string, number>();
  readonly #columns = new Map<number, Columns>();
  readonly #byNames = new Map<string, Columns>();
  /** Most statements are run again, in loops above all. */
  #lastSql: string | undefined;
  #lastNumber = -1;
  #lastColumns: Columns | undefined;
  #lastColumnsNumber = -1;

  constructor(native: Native) {
    this.#native = native;
    this.#frame = native.frame;
  }

  /** Has the statement run. Throws what the addon throws. `parameters`: as toNativeParameters() gives them. */
  run<T>(
    run: number,
    sql: string,
    parameters: readonly unknown[] | Record<string, unknown> | undefined,
    blocks: boolean,
    make: Make<T>,
  ): T[] | Promise<T[]> {
    const number = sql === this.#lastSql ? this.#lastNumber : this.#numberOf(sql);
    const native = this.#native;
    let result: Result;
    if (parameters === undefined) {
      result = native.query(run, number, blocks);
    } else if (!isArray(parameters) || parameters.length > valuesMax) {
      return this.#flat(native.execute(run, number, parameters, blocks), make);
    } else if (parameters.length === 1) {
      result = native.query(run, number, blocks, parameters[0]);
    } else {
      result = native.query(run, number, blocks, ...parameters);
    }
    const frame = this.#frame;
    if (frame[0]! < 0) return this.#flat(result as NativeRows | Promise<NativeRows>, make);
    return make.in(this.#columnsOf(frame[1]!), frame, result as Others);
  }

  #flat<T>(result: NativeRows | Promise<NativeRows>, make: Make<T>): T[] | Promise<T[]> {
    const rows = ({ columns, values }: NativeRows): T[] => make.of(this.#columnsNamed(columns), values);
    return result instanceof Promise ? result.then(rows) : rows(result);
  }

  #numberOf(sql: string): number {
    let number = this.#numbers.get(sql);
    if (number === undefined) {
      if (this.#numbers.size >= statementsMax) this.#forget();
      number = this.#native.statement(sql);
      this.#numbers.set(sql, number);
    }
    this.#lastSql = sql;
    this.#lastNumber = number;
    return number;
  }

  #columnsOf(number: number): Columns {
    if (number === this.#lastColumnsNumber) return this.#lastColumns!;
    let columns = this.#columns.get(number);
    if (!columns) {
      columns = this.#columnsNamed(this.#native.columns(number));
      this.#columns.set(number, columns);
    }
    this.#lastColumns = columns;
    this.#lastColumnsNumber = number;
    return columns;
  }
  #columnsNamed(names: readonly string[]): Columns {
    const key = JSON.stringify(names);
    let columns = this.#byNames.get(key);
    if (!columns) this.#byNames.set(key, (columns = new Columns(names)));
    return columns;
  }

  #forget(): void {
    this.#native.forgetStatements();
    this.#numbers.clear();
    this.#columns.clear();
    this.#byNames.clear();
    this.#lastColumnsNumber = -1;
  }
}

const isArray = (value: object): value is readonly unknown[] => Array.isArray(value);

const all = new WeakMap<Native, Statements>();

/** One for each addon. */
export function statementsOf(native: Native): Statements {
  let statements = all.get(native);
  if (!statements) all.set(native, (statements = new Statements(native)));
  return statements;
}
