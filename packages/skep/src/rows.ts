// Rows as objects, made of the flat values that the addon gives.

import type { NativeRows, SqlValue } from "./native.ts";

/** A row whose columns nobody has named. */
export type Row = { [column: string]: SqlValue };

type MakeRows = (values: readonly SqlValue[]) => Row[];

/** By the addon's arrays of columns, which are the same for the same columns. */
const makers = new WeakMap<readonly string[], MakeRows>();
/** Most statements are run again, in loops above all. */
let lastColumns: readonly string[] | undefined;
let lastMaker: MakeRows | undefined;

export function rowsOf({ columns, values }: NativeRows): Row[] {
  if (columns === lastColumns) return lastMaker!(values);
  if (columns.length === 0) return [];
  let maker = makers.get(columns);
  if (!maker) {
    maker = makerOf(columns);
    makers.set(columns, maker);
  }
  lastColumns = columns;
  lastMaker = maker;
  return maker(values);
}

export function arraysOf({ columns, values }: NativeRows): SqlValue[][] {
  const rows: SqlValue[][] = [];
  const width = columns.length;
  for (let i = 0; i < values.length; i += width) rows.push(values.slice(i, i + width));
  return rows;
}

/**
 * A literal with all fields gives objects of one shape, several times as fast as adding the fields
 * one by one. Of columns with the same name the last one counts.
 */
function makerOf(columns: readonly string[]): MakeRows {
  const fields = columns.map((name, i) => `[${JSON.stringify(name)}]: values[i + ${i}]`);
  try {
    return new Function(
      "values",
      `const rows = [];
       for (let i = 0; i < values.length; i += ${columns.length}) rows.push({ ${fields.join(", ")} });
       return rows;`,
    ) as MakeRows;
  } catch {
    // Node.js was started so that no code is made of text.
    return (values) => oneByOne(columns, values);
  }
}

function oneByOne(columns: readonly string[], values: readonly SqlValue[]): Row[] {
  const rows: Row[] = [];
  for (let i = 0; i < values.length; i += columns.length) {
    rows.push(Object.fromEntries(columns.map((name, j) => [name, values[i + j]!])));
  }
  return rows;
}
