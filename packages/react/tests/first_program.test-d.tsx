// The first program that Skep was asked for, as it was written down before there was any of it, compiles.
// What is around it gives it the names that it leaves out; the one `!` is for the stricter options of this repository.

import { createSkep } from "@skep/react";
import { actor, db, event, setup } from "skep";
import { expectTypeOf, test } from "vitest";

interface Message {
  id: number;
  sender: string;
  text: string;
  at: number;
}
declare const roomId: string;
declare const userName: string;
declare const setMessages: (change: (all: Message[]) => Message[]) => void;

export const chatRoom = actor({
  db: db({ migrations: [{ version: 1, sql: "CREATE TABLE message(id INTEGER PRIMARY KEY, sender TEXT, text TEXT, at INTEGER)" }] }),
  events: { newMessage: event<Message>() },
  actions: {
    send: async (c, sender: string, text: string) => {
      const [row] = await c.db.execute<Message>("INSERT INTO message(sender, text, at) VALUES (?, ?, ?) RETURNING *", sender, text, Date.now());
      c.broadcast("newMessage", row!);
      return row;
    },
    history: async (c) => c.db.execute<Message>("SELECT * FROM message ORDER BY id"),
  },
});
export const registry = setup({ use: { chatRoom } });

export const start = () => registry.start();

const { useActor } = createSkep<typeof registry>("http://localhost:6420");
export async function Room() {
  const room = useActor({ name: "chatRoom", key: [roomId] });
  room.useEvent("newMessage", (m) => setMessages((all) => [...all, m]));
  await room.connection?.send(userName, "hello");
  return room;
}

type RoomOf = Awaited<ReturnType<typeof Room>>;

test("its types are those of the definition", () => {
  type Connection = NonNullable<RoomOf["connection"]>;
  expectTypeOf<Connection["send"]>().parameter(0).toBeString();
  expectTypeOf<ReturnType<Connection["history"]>>().resolves.toEqualTypeOf<Message[]>();
});

test("what is wrong in it does not compile", () => {
  const wrong = (room: RoomOf): void => {
    // @ts-expect-error -- no such event
    room.useEvent("newMessages", () => {});
    // @ts-expect-error -- no such action
    void room.connection?.sent(userName, "hello");
    // @ts-expect-error -- a text is missing
    void room.connection?.send(userName);
    // @ts-expect-error -- no such actor
    useActor({ name: "chatRooms", key: [roomId] });
  };
  void wrong;
});
