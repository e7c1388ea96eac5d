// The log of actors' code: lines on standard error that look like those of the core.

/** What a line may carry besides its text. */
export type LogFields = { readonly [name: string]: unknown };

/** `c.log`: lines that name the actor. */
export interface Logger {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
}

/** The least that is logged; `off`: nothing is. */
export type LogLevel = "debug" | "info" | "warn" | "error" | "off";

const levels: readonly LogLevel[] = ["debug", "info", "warn", "error", "off"];
const words = { debug: "debug", info: "info", warn: "warning", error: "error" } as const;

/** Takes finished lines. */
export type LogSink = (line: string) => void;

export class Log {
  readonly #sink: LogSink;
  #level: number;

  constructor(level: LogLevel, sink: LogSink = (line) => void process.stderr.write(`${line}\n`)) {
    this.#sink = sink;
    this.#level = levels.indexOf(level);
  }

  write(
    level: Exclude<LogLevel, "off">,
    component: string,
    event: string,
    fields: LogFields,
  ): void {
    if (levels.indexOf(level) < this.#level) return;
    let line = `[${timestamp(new Date())}] [skep] [${words[level]}] ${component}: ${event}`;
    for (const [name, value] of Object.entries(fields)) {
      if (value !== undefined) line += ` ${name}=${quoted(textOf(value))}`;
    }
    this.#sink(line);
  }

  /** A logger whose lines have `fields` behind their own. */
  with(fields: LogFields): Logger {
    const at =
      (level: Exclude<LogLevel, "off">) =>
      (message: string, own: LogFields = {}): void =>
        this.write(level, "actor", message, { ...own, ...fields });
    return { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") };
  }
}

function timestamp(now: Date): string {
  const two = (number: number, width = 2): string => String(number).padStart(width, "0");
  const day = `${now.getFullYear()}-${two(now.getMonth() + 1)}-${two(now.getDate())}`;
  const time = `${two(now.getHours())}:${two(now.getMinutes())}:${two(now.getSeconds())}`;
  return `${day} ${time}.${two(now.getMilliseconds(), 3)}`;
}

function textOf(value: unknown): string {
  if (typeof value === "string") return value;
  if (value instanceof Error) return errorText(value);
  try {
    return JSON.stringify(value) ?? String(value);
  } catch {
    return String(value);
  }
}

function errorText(error: Error): string {
  const own = error.stack ?? `${error.name}: ${error.message}`;
  return error.cause instanceof Error ? `${own} caused by ${errorText(error.cause)}` : own;
}

function quoted(text: string): string {
  if (!/[ "\n=]/.test(text)) return text;
  return `"${text.replace(/["\\]/g, "\\$&").replace(/\n\s*/g, " | ")}"`;
}
