// Rows as objects, made of what the addon gives: flat values, or numbers in its frame and what stands beside them.

import type { Others, SqlValue } from "./native.ts";

/** A row whose columns nobody has named. */
export type Row = { [column: string]: SqlValue };

/** A list of columns, and how rows are made that have them. */
export class Columns {
  readonly names: readonly string[];
  /** Of flat values. */
  readonly rowsOf: (values: readonly SqlValue[]) => Row[];
  /** Of a frame. */
  readonly rowsIn: (frame: Float64Array, others: Others) => Row[];

  constructor(names: readonly string[]) {
    this.names = names;
    const makers = names.length === 0 ? undefined : makersOf(names);
    this.rowsOf = makers?.rowsOf ?? ((values) => objects(names, this.arraysOf(values)));
    this.rowsIn =
      makers?.rowsIn ?? ((frame, others) => this.rowsOf(valuesIn(frame, others)));
  }

  arraysOf(values: readonly SqlValue[]): SqlValue[][] {
    const rows: SqlValue[][] = [];
    const width = this.names.length;
    for (let i = 0; i < values.length; i += width) rows.push(values.slice(i, i + width));
    return rows;
  }
  arraysIn(frame: Float64Array, others: Others): SqlValue[][] {
    return this.arraysOf(valuesIn(frame, others));
  }
}

/** The values that a frame holds, with those beside it where it has NaN. */
function valuesIn(frame: Float64Array, given: Others): SqlValue[] {
  const others = typeof given === "string" ? [given] : given;
  const values: SqlValue[] = [];
  let next = 0;
  for (let i = 2, end = frame[0]! + 2; i < end; ++i) {
    const value = frame[i]!;
    values.push(Number.isNaN(value) ? others![next++]! : value);
  }
  return values;
}

type Makers = Pick<Columns, "rowsOf" | "rowsIn">;

/**
 * A literal with all fields gives objects of one shape, several times as fast as adding the fields
 * one by one. Of columns with the same name the last one counts.
 */
function makersOf(names: readonly string[]): Makers | undefined {
  const literal = (value: (i: number) => string): string =>
    `{ ${names.map((name, i) => `[${JSON.stringify(name)}]: ${value(i)}`).join(", ")} }`;
  const width = names.length;
  const row = literal((i) => `(value = frame[i + ${i}]) === value ? value : others[next++]`);
  try {
    const rowsOf = new Function(
      "values",
      `const rows = [];
       for (let i = 0; i < values.length; i += ${width}) rows.push(${literal((i) => `values[i + ${i}]`)});
       return rows;`,
    );
    const rowsIn = new Function(
      "frame",
      "given",
      `const others = typeof given === "string" ? [given] : given;
       let next = 0, value = 0, i = 2;
       const count = frame[0];
       if (count === ${width}) return [${row}];
       const rows = [];
       for (const end = count + 2; i < end; i += ${width}) rows.push(${row});
       return rows;`,
    );
    return { rowsOf, rowsIn } as Makers;
  } catch {
    // Node.js was started so that no code is made of text.
    return undefined;
  }
}

function objects(names: readonly string[], rows: readonly SqlValue[][]): Row[] {
  return rows.map((row) => Object.fromEntries(names.map((name, i) => [name, row[i]!])));
}
