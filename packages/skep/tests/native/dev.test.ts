// `skep dev`, as a person uses it: the command as a process, and files that change.

import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { type Client, createClient, type RegistryTypes } from "@skep/client";
import { afterEach, beforeEach, expect, test } from "vitest";

const command = fileURLToPath(new URL("../../bin/skep.js", import.meta.url));
const modules = fileURLToPath(new URL("../../../../node_modules", import.meta.url));

type Program = RegistryTypes<{
  counter: { actions: { add(by: number): number; version(): string } };
}>;

/** A run of the command, whose output a test waits for. */
class Dev {
  readonly process: ChildProcess;
  output = "";
  #read = 0;

  constructor(...args: string[]) {
    this.process = spawn(process.execPath, [command, "dev", ...args], {
      cwd: folder,
      env: { ...process.env, SKEP_LISTEN: "0", SKEP_LOG_LEVEL: "warn" },
      stdio: ["ignore", "pipe", "pipe"],
    });
    for (const stream of [this.process.stdout!, this.process.stderr!]) {
      stream.on("data", (text) => (this.output += String(text)));
    }
  }

  /** What comes behind the last thing that was waited for. */
  async says(what: RegExp): Promise<RegExpExecArray> {
    for (;;) {
      const found = what.exec(this.output.slice(this.#read));
      if (found) {
        this.#read += found.index + found[0].length;
        return found;
      }
      if (this.process.exitCode !== null) throw new Error(`it ended:\n${this.output}`);
      await Promise.race([
        once(this.process.stdout!, "data"),
        once(this.process.stderr!, "data"),
        once(this.process, "exit"),
      ]);
    }
  }
  async listens(): Promise<Client<Program>> {
    return createClient<Program>((await this.says(/http:\/\/[\d.:]+/))[0]);
  }
  async end(signal: NodeJS.Signals): Promise<unknown[]> {
    const exited = once(this.process, "exit");
    this.process.kill(signal);
    return exited;
  }
}

let folder: string;
let dev: Dev | undefined;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "skep-dev-"));
  await mkdir(join(folder, "src"));
  await symlink(modules, join(folder, "node_modules"));
  await write("package.json", '{"type": "module"}');
  await write("src/version.ts", 'export const version: string = "one";');
  await write("src/index.ts", index);
});
afterEach(async () => {
  const { exitCode, signalCode } = dev?.process ?? {};
  if (exitCode === null && signalCode === null) await dev!.end("SIGTERM");
  dev = undefined;
  await rm(folder, { recursive: true });
});

const write = (name: string, text: string): Promise<void> => writeFile(join(folder, name), text);

const index = `
  import { actor, setup } from "skep";
  import { version } from "./version.ts";
  const counter = actor({
    state: { count: 0 },
    onSleep: () => console.log("asleep"),
    actions: {
      add: (c, by: number): number => (c.state.count += by),
      version: () => version,
    },
  });
  export const registry = setup({ use: { counter } });`;

test("a program runs again when a file of it changes, on its port and with its data", async () => {
  dev = new Dev("src/index.ts");
  const counter = (await dev.listens()).counter.getOrCreate("a");
  expect(await counter.version()).toBe("one");
  expect(await counter.add(5)).toBe(5);
  const events: string[] = [];
  const connection = counter.connect();
  connection.onStatusChange((status) => events.push(status));
  await connection.version();

  await write("src/version.ts", 'export const version: string = "two";');
  await dev.says(/version\.ts has changed/);
  await dev.says(/asleep/);
  await dev.listens();
  expect(await connection.version()).toBe("two");
  expect(await counter.add(1)).toBe(6);
  expect(events).toContain("disconnected");
  connection.dispose();
});

test("only files of the program count", async () => {
  dev = new Dev("src/index.ts");
  await dev.listens();
  await write("src/other.ts", "export const nobody = 1;");
  await write("src/notes.json", "{}");
  await write("src/version.ts", 'export const version: string = "two";');
  await dev.says(/(\S+) has changed/);
  await dev.listens();
  expect(dev.output.match(/\S+(?= has changed)/g)).toEqual(["src/version.ts"]);
});

test("what does not compile is shown, while the last version goes on", async () => {
  dev = new Dev("src/index.ts");
  const counter = (await dev.listens()).counter.getOrCreate("a");
  await write("src/version.ts", "export const version = ;");
  await dev.says(/src\/version\.ts:1:23/);
  await dev.says(/the last version goes on/);
  expect(await counter.version()).toBe("one");
  await write("src/version.ts", 'export const version: string = "two";');
  await dev.listens();
  expect(await counter.version()).toBe("two");
});

test("a program that can not begin is waited for, whatever it lacks", async () => {
  await rm(join(folder, "src/version.ts"));
  dev = new Dev("src/index.ts");
  await dev.says(/Could not resolve "\.\/version\.ts"/);
  await dev.says(/waiting for the next change/);
  await write("src/version.ts", 'throw new Error("not today"); export const version = "";');
  await dev.says(/not today/);
  await dev.says(/the program ended \(1\)/);
  await write("src/version.ts", 'export const version: string = "three";');
  expect(await (await dev.listens()).counter.getOrCreate("a").version()).toBe("three");
});

test("a program that starts its registry itself is not started twice, and gets its arguments", async () => {
  await write(
    "src/own.ts",
    `${index}\n await registry.start(); console.log(process.argv.slice(2));`,
  );
  dev = new Dev("src/own.ts", "--of", "its own");
  // In whatever order they come: they are said by two processes.
  await expect.poll(() => dev!.output, { timeout: 30_000 }).toMatch(/http:/);
  await expect.poll(() => dev!.output, { timeout: 30_000 }).toContain("[ '--of', 'its own' ]");
  expect(dev.output.match(/http:/g)).toHaveLength(1);
});

test("a program of a package that is CommonJS runs too", async () => {
  await write("package.json", "{}");
  dev = new Dev("src/index.ts");
  expect(await (await dev.listens()).counter.getOrCreate("a").version()).toBe("one");
});

test.each(["SIGINT", "SIGTERM"] as const)("%s lets the program end well first", async (signal) => {
  dev = new Dev("src/index.ts");
  const client = await dev.listens();
  await client.counter.getOrCreate("a").add(1);
  expect(await dev.end(signal)).toEqual([null, signal]);
  expect(dev.output).toContain("asleep");
  await expect(client.counter.getOrCreate("a").add(1)).rejects.toMatchObject({ group: "client" });
});

test("the program ends when nobody is left to end it", async () => {
  dev = new Dev("src/index.ts");
  const client = await dev.listens();
  await client.counter.getOrCreate("a").add(1);
  await dev.end("SIGKILL");
  await dev.says(/asleep/);
});

test("the guide's first program does what the guide says", async () => {
  const page = new URL("../../../../docs/guide/typescript/getting-started.md", import.meta.url);
  const text = await readFile(page, "utf8");
  for (const [, name, program] of text.matchAll(/^`([\w./]+)`\n\n```ts\n(.*?)^```$/gms)) {
    await write(name!, program!);
  }
  dev = new Dev("src/index.ts");
  const url = (await dev.says(/http:\/\/[\d.:]+/))[0];
  const calls = /^\$ curl -X POST localhost:6420(\S+)(?: -d '(.*)')?\n(.*)$/gm;
  let count = 0;
  for (const [, path, body = "[]", answer] of text.matchAll(calls)) {
    ++count;
    expect(await (await fetch(url + path, { method: "POST", body })).text()).toBe(answer);
  }
  expect(count).toBe(3);
  const [, expected] = /^\$ npx tsx src\/client\.ts\n(.*?)^```$/ms.exec(text)!;
  const args = ["--import", "tsx", "src/client.ts", url];
  const client = await promisify(execFile)(process.execPath, args, { cwd: folder });
  expect(client.stdout).toBe(expected);
});

test.each([
  [["dev"], "which program?"],
  [["dev", "--nope", "x"], "unknown option --nope"],
  [["serve"], "unknown command serve"],
])("%s is answered with how it is used", async (args, message) => {
  const failed = promisify(execFile)(process.execPath, [command, ...args]);
  await expect(failed).rejects.toMatchObject({ code: 2, stderr: expect.stringContaining(message) });
});
