// A text that many write at once. The merging is Yjs's: each change is an "update", updates can be
// applied in any order and any number of times, and all who have applied the same ones have the
// same text. The actor keeps the updates in its database, and passes them on; an update is
// acknowledged when it is durable. Cursors ("awareness") are passed on and not kept.

import { actor, db, event, UserError } from "skep";
import * as Y from "yjs";

/** So many updates are kept for themselves; then they are merged into one. */
const updatesMax = 200;

export const textDocument = actor({
  db: db({
    migrations: [
      { version: 1, sql: "CREATE TABLE change(id INTEGER PRIMARY KEY, data BLOB NOT NULL)" },
    ],
  }),
  events: { update: event<Uint8Array>(), awareness: event<Uint8Array>(), left: event<number>() },
  // The text as all updates make it, while the actor is awake.
  createVars: async (c) => {
    const doc = new Y.Doc();
    for (const { data } of await c.db.execute<{ data: Uint8Array }>("SELECT data FROM change")) {
      Y.applyUpdate(doc, data);
    }
    return { doc };
  },
  createConnState: (_c, params: { clientId: number }) => ({ clientId: params.clientId }),
  // What the cursor's owner can not say any more.
  onDisconnect: (c, conn) => c.broadcast("left", conn.state.clientId),
  actions: {
    /** What somebody lacks who has `stateVector`, and what the actor has itself. */
    sync: (c, stateVector: Uint8Array) => ({
      update: Y.encodeStateAsUpdate(c.vars.doc, stateVector),
      stateVector: Y.encodeStateVector(c.vars.doc),
    }),
    update: async (c, data: Uint8Array): Promise<void> => {
      // Kept first: when it is no update, what is thrown takes the row back.
      const [row] = await c.db.execute<{ id: number }>(
        "INSERT INTO change(data) VALUES (?) RETURNING id",
        data,
      );
      try {
        Y.applyUpdate(c.vars.doc, data);
      } catch {
        throw new UserError("this is no update of a document", { code: "bad_update" });
      }
      if (row!.id > updatesMax) {
        await c.db.execute("DELETE FROM change");
        await c.db.execute(
          "INSERT INTO change(data) VALUES (?)",
          Y.encodeStateAsUpdate(c.vars.doc),
        );
      }
      if (c.conn) c.broadcastExcept(c.conn, "update", data);
      else c.broadcast("update", data);
    },
    awareness: (c, data: Uint8Array) => {
      if (c.conn) c.broadcastExcept(c.conn, "awareness", data);
    },
    /** What the database has. */
    storage: async (c) => {
      const [row] = await c.db.execute<{ updates: number; bytes: number }>(
        "SELECT count(*) AS updates, coalesce(sum(length(data)), 0) AS bytes FROM change",
      );
      return row!;
    },
  },
});
