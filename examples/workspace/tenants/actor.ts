// One application, many tenants, and a database for each: what one tenant has can not be seen from
// another, a tenant's data is one file to export, and one to remove. Migrations run when a tenant's
// actor wakes next, so that a million tenants need no night of migrating.

import { actor, db, event, type Migration, UserError } from "skep";

export interface Task {
  id: number;
  title: string;
  done: 0 | 1;
  priority: number;
}

/** As they came, one with each release. What was released is never changed. */
export const migrations: readonly Migration[] = [
  { version: 1, sql: "CREATE TABLE task(id INTEGER PRIMARY KEY, title TEXT NOT NULL)" },
  { version: 2, sql: "ALTER TABLE task ADD COLUMN done INTEGER NOT NULL DEFAULT 0" },
  {
    version: 3,
    sql: `ALTER TABLE task ADD COLUMN priority INTEGER NOT NULL DEFAULT 2;
          CREATE INDEX task_by_priority ON task(done, priority)`,
  },
];

export const tenant = actor({
  db: db({ migrations }),
  events: { changed: event<undefined>() },
  actions: {
    tasks: (c) => c.db.execute<Task>("SELECT * FROM task ORDER BY done, priority, id"),
    add: async (c, title: string, priority: number): Promise<void> => {
      if (!title.trim()) throw new UserError("a task has a title", { code: "empty" });
      await c.db.execute("INSERT INTO task(title, priority) VALUES (?, ?)", title.trim(), priority);
      c.broadcast("changed");
    },
    setDone: async (c, id: number, done: boolean): Promise<void> => {
      await c.db.execute("UPDATE task SET done = ? WHERE id = ?", done, id);
      c.broadcast("changed");
    },
    remove: async (c, id: number): Promise<void> => {
      await c.db.execute("DELETE FROM task WHERE id = ?", id);
      c.broadcast("changed");
    },
    /** What the database is like. Skep's own tables can be read, not written. */
    database: async (c) => {
      const [size] = await c.db.execute<{ bytes: number; tasks: number }>(
        `SELECT page_count * page_size AS bytes, (SELECT count(*) FROM task) AS tasks
           FROM pragma_page_count, pragma_page_size`,
      );
      const applied = await c.db.execute<{ version: number; at: number }>(
        "SELECT version, applied_ms AS at FROM _skep_migration ORDER BY version",
      );
      return { ...size!, applied };
    },
  },
});

/** Which tenants there are: an actor of which there is one, with the key "all". */
export const tenantList = actor({
  state: { names: [] as string[] },
  events: { changed: event<string[]>() },
  actions: {
    names: (c) => c.state.names,
    add: (c, given: string): string => {
      const name = given.trim().toLowerCase();
      if (!/^[a-z0-9][a-z0-9-]{0,30}$/.test(name)) {
        throw new UserError("a tenant's name is made of letters, digits and dashes", {
          code: "bad_name",
        });
      }
      if (!c.state.names.includes(name)) {
        c.state.names = [...c.state.names, name].sort();
        c.broadcast("changed", c.state.names);
      }
      return name;
    },
  },
});
