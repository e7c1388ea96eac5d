import { InvalidArguments } from "./errors.ts";
import type { SchemaIssue, SchemaResult, StandardSchema } from "./standard_schema.ts";

/**
 * What the schema makes of the value, at once where it can. Throws, or rejects with,
 * InvalidArguments.
 */
export function validate(
  schema: StandardSchema | undefined,
  value: unknown,
  what: string,
): unknown {
  if (!schema) return value;
  const result = schema["~standard"].validate(value);
  return result instanceof Promise
    ? result.then((each) => valueOf(each, what))
    : valueOf(result, what);
}

function valueOf(result: SchemaResult<unknown>, what: string): unknown {
  if (!result.issues) return result.value;
  const issues = result.issues.map(({ message, path }) => ({ message, path: pathOf(path) }));
  const text = issues.map(({ message, path }) =>
    path.length ? `${path.join(".")}: ${message}` : message,
  );
  throw new InvalidArguments(`${what}: ${text.join("; ")}`, { issues });
}

function pathOf(path: SchemaIssue["path"] = []): (string | number)[] {
  return path.map((step) => {
    const key = typeof step === "object" ? step.key : step;
    return typeof key === "number" ? key : String(key);
  });
}
