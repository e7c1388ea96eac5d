// Things that happen later: reminders are timers, and a summary is written by a cron job. Both are
// rows of the actor's database, so they belong to the turn that sets them, and they wake the actor
// when it sleeps, also after the server was away.

import { actor, db, event, UserError } from "skep";

export interface Reminder {
  id: number;
  text: string;
  /** When it is due, in milliseconds since 1970. */
  at: number;
  /** When it was told; null: not yet. */
  told: number | null;
}

const summaryJob = "summary";

export const reminders = actor({
  db: db({
    migrations: [
      {
        version: 1,
        sql: `CREATE TABLE reminder(
                id INTEGER PRIMARY KEY, text TEXT NOT NULL, at INTEGER NOT NULL,
                told INTEGER, timer INTEGER);
              CREATE TABLE summary(
                id INTEGER PRIMARY KEY, at INTEGER NOT NULL, text TEXT NOT NULL)`,
      },
    ],
  }),
  events: { changed: event<undefined>(), due: event<Reminder>({ history: 20 }) },
  onCreate: (c) =>
    c.cron.set({ name: summaryJob, expression: "* * * * *", action: "summarize", timezone: "UTC" }),
  actions: {
    remind: async (c, text: string, inMs: number): Promise<void> => {
      if (!text.trim()) throw new UserError("remind you of what?", { code: "empty" });
      const at = c.now() + inMs;
      const [row] = await c.db.execute<{ id: number }>(
        "INSERT INTO reminder(text, at) VALUES (?, ?) RETURNING id",
        text.trim(),
        at,
      );
      const timer = await c.schedule.at(at, "tell", row!.id);
      await c.db.execute("UPDATE reminder SET timer = ? WHERE id = ?", timer, row!.id);
      c.broadcast("changed");
    },
    /** Run by the timer: at least once, so it looks whether it has happened already. */
    tell: async (c, id: number): Promise<void> => {
      const [reminder] = await c.db.execute<Reminder>(
        `UPDATE reminder SET told = ?, timer = NULL WHERE id = ? AND told IS NULL
         RETURNING id, text, at, told`,
        c.now(),
        id,
      );
      if (!reminder) return;
      c.broadcast("due", reminder);
      c.broadcast("changed");
    },
    cancel: async (c, id: number): Promise<void> => {
      const [row] = await c.db.execute<{ timer: number | null }>(
        "DELETE FROM reminder WHERE id = ? RETURNING timer",
        id,
      );
      if (row?.timer) await c.schedule.cancel(row.timer);
      c.broadcast("changed");
    },
    all: (c) =>
      c.db.execute<Reminder>(
        "SELECT id, text, at, told FROM reminder ORDER BY told IS NOT NULL, at LIMIT 100",
      ),

    /** Run by the job. */
    summarize: async (c): Promise<void> => {
      const [counts] = await c.db.execute<{ told: number; open: number }>(
        "SELECT count(told) AS told, count(*) - count(told) AS open FROM reminder",
      );
      const text = `${counts!.open} to come, ${counts!.told} told`;
      await c.db.execute("INSERT INTO summary(at, text) VALUES (?, ?)", c.now(), text);
      await c.db.execute("DELETE FROM summary WHERE id <= (SELECT max(id) FROM summary) - 5");
      c.broadcast("changed");
    },
    setSummary: async (c, expression: string): Promise<void> => {
      await c.cron.set({ name: summaryJob, expression, action: "summarize", timezone: "UTC" });
      c.broadcast("changed");
    },
    summaries: async (c) => ({
      job: await c.cron.get(summaryJob),
      newest: await c.db.execute<{ id: number; at: number; text: string }>(
        "SELECT * FROM summary ORDER BY id DESC",
      ),
    }),
  },
});
