// The package as it is published: installed from a tarball in an empty folder, and used there.

import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { afterAll, beforeAll, expect, test } from "vitest";

const root = fileURLToPath(new URL("../../../..", import.meta.url));
const run = promisify(execFile);
const platform = `core-${process.platform}-${process.arch}`;
/** What a person has who never built Skep. */
const { SKEP_NATIVE: native, SKEP_BUILD: build = "build", ...env } = process.env;

let folder: string;

beforeAll(async () => {
  // Not $TMPDIR, which may be inside the repository: from there Node.js would find what is
  // installed here.
  folder = await mkdtemp("/tmp/skep-pack-");
  const own = { ...env, SKEP_NATIVE: native };
  await run(join(root, "scripts/pack.sh"), [build, folder], { env: own });
  // What else they need, from here and not from the network.
  const needed = ["tsx", "esbuild", `@esbuild/${process.platform}-${process.arch}`];
  for (const each of [...needed, "@types/node", "undici-types"]) {
    const file = join(folder, `${each.replace(/\W+/g, "-")}.tgz`);
    const from = join(root, "node_modules", each);
    await run("tar", ["-cf", file, "--transform", "s,^\\.,package,", "-C", from, "."]);
  }
  const tarballs = (await readdir(folder)).filter((each) => !each.includes("react"));
  await writeFile(join(folder, "package.json"), '{"private": true, "type": "module"}');
  const options = ["--offline", "--no-audit", "--no-fund", "--ignore-scripts", "--omit=peer"];
  const files = tarballs.map((each) => join(folder, each));
  await run("npm", ["install", ...options, ...files], { cwd: folder });
  // Tens of megabytes are compressed and unpacked.
}, 300_000);
afterAll(() => rm(folder, { recursive: true, force: true }));

const program = (action: string): string => `
  import { createClient } from "@skep/client";
  import { actor, event, setup } from "skep";

  const counter = actor({
    state: { count: 0 },
    events: { changed: event<number>() },
    actions: {
      add: async (c, by: number) => {
        c.state.count += by;
        c.broadcast("changed", c.state.count);
        const [row] = await c.db.execute<{ twice: number }>("SELECT ? * 2 AS twice", c.state.count);
        return row!.twice;
      },
    },
  });
  const registry = setup({ use: { counter } });
  const server = await registry.start({ store: "memory:", listen: 0, logLevel: "error" });
  const client = createClient<typeof registry>(server.url);
  const twice: number = await client.counter.getOrCreate("a").${action}(21);
  console.log(twice);
  await server.stop();`;

const compile = (file: string, moduleResolution: string, module: string): Promise<string> => {
  const options = ["--strict", "--target", "ES2022", "--lib", "ES2022,DOM,DOM.Iterable"];
  const compiler = join(root, "node_modules/typescript/bin/tsc");
  const args = [...options, "--module", module, "--moduleResolution", moduleResolution, file];
  return run(process.execPath, [compiler, ...args], { cwd: folder }).then(
    () => "",
    (error: { stdout: string }) => error.stdout,
  );
};

test("a program is compiled and runs, with nothing else than the packages and the addon", async () => {
  await writeFile(join(folder, "program.ts"), program("add"));
  expect(await compile("program.ts", "NodeNext", "NodeNext")).toBe("");
  const { stdout } = await run(process.execPath, ["program.js"], { cwd: folder, env });
  expect(stdout).toBe("42\n");
});

test("a program in JavaScript serves whoever calls, and keeps what it was told", async () => {
  await writeFile(
    join(folder, "index.js"),
    `import { actor, setup } from "skep";
     const counter = actor({ state: { n: 0 }, actions: { add: (c, by) => (c.state.n += by) } });
     console.log((await setup({ use: { counter } }).start()).url);`,
  );
  for (const expected of ["5", "10"]) {
    const child = spawn(process.execPath, ["index.js"], {
      cwd: folder,
      env: { ...env, SKEP_LISTEN: "0", SKEP_LOG_LEVEL: "error" },
      stdio: ["ignore", "pipe", "inherit"],
    });
    const exited = once(child, "exit");
    const [url] = (await once(createInterface({ input: child.stdout }), "line")) as [string];
    const request = { method: "POST", body: "[5]" };
    const response = await fetch(`${url}/actors/counter/a/actions/add`, request);
    expect(await response.text()).toBe(expected);
    child.kill("SIGTERM");
    await exited;
  }
});

test("npx skep dev runs a program in TypeScript", async () => {
  await writeFile(
    join(folder, "dev.ts"),
    `import { actor, setup } from "skep";
     const greeter = actor({ actions: { greet: (_c, name: string) => \`hello \${name}\` } });
     export const registry = setup({ use: { greeter } });`,
  );
  const child = spawn("npx", ["--no-install", "skep", "dev", "--listen", "0", "dev.ts"], {
    cwd: folder,
    env,
    stdio: ["ignore", "inherit", "pipe"],
    detached: true,
  });
  const exited = once(child, "exit");
  let url: string | undefined;
  // npm may have something to say before.
  for await (const line of createInterface({ input: child.stderr })) {
    url = /http:[^ ,]+/.exec(line)?.[0];
    if (url) break;
  }
  const request = { method: "POST", body: '["ada"]' };
  const response = await fetch(`${url}/actors/greeter/a/actions/greet`, request);
  expect(await response.text()).toBe('"hello ada"');
  // As Ctrl-C does it: for npx and the command.
  process.kill(-child.pid!, "SIGINT");
  await exited;
});

test("the native part brings what not every system has", async () => {
  const { stdout } = await run("ldd", [join(folder, "node_modules/@skep", platform, "skep.node")]);
  const everywhere = /^(linux-vdso|.*ld-linux|lib(c|m|dl|rt|pthread|resolv|gcc_s|stdc\+\+)\.)/;
  const others = stdout.split("\n").filter((line) => line && !everywhere.test(line.trim()));
  expect(others.length).toBeGreaterThan(0);
  for (const line of others) expect(line).toContain(`${folder}/`);
});

test("who has no native part is told what to do", async () => {
  await writeFile(
    join(folder, "start.js"),
    `import { setup } from "skep"; await setup({ use: {} }).start({ store: "memory:", listen: 0 });`,
  );
  const fail = (own: NodeJS.ProcessEnv): Promise<string> =>
    run(process.execPath, ["start.js"], { cwd: folder, env: own }).then(
      () => "it started",
      (error: { stderr: string }) => error.stderr,
    );
  const place = join(folder, "node_modules/@skep", platform);
  await rename(place, `${place}-away`);
  const missing = await fail(env);
  await rename(`${place}-away`, place);
  expect(missing).toContain(`install @skep/${platform}`);
  expect(missing).toContain("SKEP_NATIVE");
  expect(await fail({ ...env, SKEP_NATIVE: "/nowhere/skep.node" })).toContain("/nowhere/skep.node");
  await writeFile(join(folder, "broken.node"), "no library");
  const broken = await fail({ ...env, SKEP_NATIVE: join(folder, "broken.node") });
  expect(broken).toContain("does not load here");
});

test("one that was built from source takes the place of the native part where that is missing, or is another one", async () => {
  await writeFile(join(folder, "fallback.ts"), program("add"));
  expect(await compile("fallback.ts", "NodeNext", "NodeNext")).toBe("");
  const start = () => run(process.execPath, ["fallback.js"], { cwd: folder, env: { ...env, SKEP_NATIVE: native } });
  const place = join(folder, "node_modules/@skep", platform);
  const addon = join(place, "skep.node");
  await rename(place, `${place}-away`);
  expect((await start()).stdout).toBe("42\n");
  await rename(`${place}-away`, place);
  // As on a system that the package's binary does not fit.
  await rename(addon, `${addon}-away`);
  await writeFile(addon, "for another system");
  const refused = await run(process.execPath, ["fallback.js"], { cwd: folder, env }).catch((error: { stderr: string }) => error);
  expect(refused.stderr).toContain("built from source");
  expect((await start()).stdout).toBe("42\n");
  await rename(`${addon}-away`, addon);
});

test("a wrong program does not compile, whatever the resolution of modules", async () => {
  await writeFile(join(folder, "wrong.ts"), program("ad"));
  for (const [resolution, module] of [
    ["NodeNext", "NodeNext"],
    ["Bundler", "ESNext"],
  ] as const) {
    const errors = await compile("wrong.ts", resolution, module);
    expect(errors.match(/error TS\d+: .*/g)).toEqual([
      expect.stringMatching("Property 'ad' does not exist"),
    ]);
  }
});
