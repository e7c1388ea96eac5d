// A chat room for each key: messages in its own database, events to all who are there, and who they
// are as the state of their connections.

import { actor, db, event, UserError } from "skep";

export interface Message {
  id: number;
  sender: string;
  text: string;
  /** In milliseconds since 1970. */
  at: number;
}

export const chatRoom = actor({
  db: db({
    migrations: [
      {
        version: 1,
        sql: `CREATE TABLE message(
                id INTEGER PRIMARY KEY, sender TEXT NOT NULL, text TEXT NOT NULL,
                at INTEGER NOT NULL)`,
      },
    ],
  }),
  // Some are kept: a window that was away for a while gets what it missed.
  events: {
    message: event<Message>({ history: 100 }),
    present: event<string[]>(),
    typing: event<string>(),
  },
  createConnState: (_c, params: { name: string }) => ({ name: params.name }),
  onConnect: (c) => c.broadcast("present", namesOf(c.conns)),
  onDisconnect: (c) => c.broadcast("present", namesOf(c.conns)),
  actions: {
    send: async (c, text: string): Promise<Message> => {
      if (!text.trim()) throw new UserError("a message has a text", { code: "empty" });
      const [message] = await c.db.execute<Message>(
        "INSERT INTO message(sender, text, at) VALUES (?, ?, ?) RETURNING *",
        c.conn?.state.name ?? "somebody",
        text,
        c.now(),
      );
      c.broadcast("message", message!);
      return message!;
    },
    /** The newest, the oldest first. */
    history: (c) =>
      c.db.execute<Message>(
        "SELECT * FROM (SELECT * FROM message ORDER BY id DESC LIMIT 200) ORDER BY id",
      ),
    present: (c) => namesOf(c.conns),
    type: (c) => {
      if (c.conn) c.broadcastExcept(c.conn, "typing", c.conn.state.name);
    },
  },
});

function namesOf(conns: ReadonlyMap<string, { readonly state: { name: string } }>): string[] {
  return [...conns.values()].map(({ state }) => state.name);
}
