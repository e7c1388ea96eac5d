// An agent's memory: the history of a conversation, found again by its words (FTS5) and by its
// meaning (embeddings), and answers that come token by token. The model is a fake that needs no
// network: it says what the memory has found.

import { actor, db, event, UserError } from "skep";

import { getLoadablePath } from "sqlite-vec";

import { dimensions, embed, toBytes } from "./embedding.ts";

export interface Message {
  id: number;
  role: "user" | "agent";
  text: string;
  at: number;
}
export interface Found extends Message {
  /** 0 to 1 of a search by meaning; of one by words, the better the less. */
  score: number;
}
export interface Memories {
  words: Found[];
  meaning: Found[];
}

export const agent = actor({
  db: db({
    // vec0: tables of vectors, and their nearest neighbours.
    extensions: [getLoadablePath()],
    migrations: [
      {
        version: 1,
        sql: `CREATE TABLE message(
                id INTEGER PRIMARY KEY, role TEXT NOT NULL, text TEXT NOT NULL,
                at INTEGER NOT NULL);
              CREATE VIRTUAL TABLE message_words USING fts5(
                text, content='message', content_rowid='id', tokenize='porter unicode61');
              CREATE TRIGGER message_added AFTER INSERT ON message BEGIN
                INSERT INTO message_words(rowid, text) VALUES (new.id, new.text);
              END;
              CREATE VIRTUAL TABLE message_meaning USING vec0(
                id INTEGER PRIMARY KEY, role TEXT, embedding FLOAT[${dimensions}] distance_metric=cosine)`,
      },
    ],
  }),
  events: { message: event<Message>(), token: event<{ answer: number; text: string }>() },
  // An answer is told before the next question is heard.
  options: { oneAtATime: true },
  actions: {
    /** Remembers the question, and answers it in the event `token`, then as a `message`. */
    ask: async (c, question: string): Promise<Message> => {
      const text = question.trim();
      if (!text) throw new UserError("say something", { code: "empty" });
      const memories = await recall(c.db, text);
      const asked = await remember(c.db, "user", text, c.now());
      c.broadcast("message", asked);
      let answer = "";
      for (const token of fakeModel(text, memories)) {
        answer += token;
        c.broadcast("token", { answer: asked.id, text: token });
        // Ends the turn: the token leaves now. A real model is waited for here.
        await c.sleepFor(25);
      }
      const told = await remember(c.db, "agent", answer, c.now());
      c.broadcast("message", told);
      return told;
    },
    history: (c) => c.db.execute<Message>("SELECT id, role, text, at FROM message ORDER BY id"),
    search: (c, text: string): Promise<Memories> => recall(c.db, text),
  },
});

type Database = import("skep").Database;

async function remember(
  database: Database,
  role: Message["role"],
  text: string,
  at: number,
): Promise<Message> {
  const [message] = await database.execute<Message>(
    "INSERT INTO message(role, text, at) VALUES (?, ?, ?) RETURNING *",
    role,
    text,
    at,
  );
  await database.execute(
    "INSERT INTO message_meaning(id, role, embedding) VALUES (?, ?, ?)",
    BigInt(message!.id),
    role,
    toBytes(embed(text)),
  );
  return message!;
}

/** What the user has said that fits, the best first. */
async function recall(database: Database, text: string): Promise<Memories> {
  // Each word quoted, so that nothing in it is taken for the language of FTS5.
  const terms = (text.match(/[\p{L}\p{N}]+/gu) ?? []).map((word) => `"${word}"`).join(" OR ");
  const words = !terms
    ? []
    : await database.execute<Found>(
        `SELECT m.id, m.role, m.text, m.at, rank AS score
           FROM message_words JOIN message AS m ON m.id = message_words.rowid
          WHERE message_words MATCH ? AND role = 'user' ORDER BY rank LIMIT 5`,
        terms,
      );
  const near = await database.execute<Found>(
    `SELECT m.id, m.role, m.text, m.at, 1 - near.distance AS score
       FROM message_meaning AS near JOIN message AS m ON m.id = near.id
      WHERE near.embedding MATCH ? AND near.k = 5 AND near.role = 'user' ORDER BY near.distance`,
    toBytes(embed(text)),
  );
  const meaning = near.filter(({ score }) => score > 0.15);
  return { words, meaning };
}

function* fakeModel(text: string, { words, meaning }: Memories): Generator<string> {
  const isQuestion = (each: string): boolean => each.endsWith("?");
  const known = [...meaning, ...words].find((each) => !isQuestion(each.text));
  let answer = "I will remember that. Ask me about it whenever you like, in other words too.";
  if (isQuestion(text)) {
    answer = known
      ? `You told me before: “${known.text}”`
      : "I have nothing about that in my memory. Tell me, and I will keep it.";
  }
  for (const token of answer.match(/\s*\S+/g) ?? []) yield token;
}
