import { type FormEvent, type ReactNode, useEffect, useRef, useState } from "react";

import { useActor, useActorQuery } from "../page/skep.ts";
import { Avatar, Example, Tabs, timeOf, useAttempt } from "../page/ui.tsx";
import type { Message } from "./actor.ts";

export function ChatPage({ name, user }: { name: string; user: string }): ReactNode {
  const room = useActor({ name: "chatRoom", key: [name], params: { name: user } });
  // Once, and again when something was missed; what comes then is in events.
  const history = useActorQuery(room, { action: "history" });
  const present = useActorQuery(room, { action: "present", refreshOn: ["present"] });
  const [newer, setNewer] = useState<Message[]>([]);
  const [sending, setSending] = useState<{ text: string }[]>([]);
  const [text, setText] = useState("");
  const [typing, setTyping] = useState("");
  const toldTyping = useRef(0);
  const { attempt, notice } = useAttempt();
  room.useEvent("message", (message) => {
    setTyping("");
    setNewer((all) => [...all, message]);
  });
  room.useEvent("typing", setTyping);
  useEffect(() => {
    const timer = typing ? setTimeout(() => setTyping(""), 3_000) : undefined;
    return () => clearTimeout(timer);
  }, [typing]);

  const messages = [
    ...new Map([...(history.data ?? []), ...newer].map((each) => [each.id, each])).values(),
  ];
  const list = useRef<HTMLOListElement>(null);
  useEffect(
    () => void list.current?.scrollTo(0, list.current.scrollHeight),
    [messages.length, sending.length],
  );

  const tellTyping = (): void => {
    if (Date.now() - toldTyping.current < 2_000 || room.connStatus !== "connected") return;
    toldTyping.current = Date.now();
    room.connection?.type().catch(() => {});
  };
  const send = async (event: FormEvent): Promise<void> => {
    event.preventDefault();
    if (!text.trim()) return;
    const one = { text };
    setSending((all) => [...all, one]);
    setText("");
    const isSent = await attempt(
      room.connection?.send(text).then((message) => setNewer((all) => [...all, message])),
    );
    setSending((all) => all.filter((each) => each !== one));
    if (!isSent) setText((newer) => newer || text);
  };

  return (
    <Example
      title={`# ${name}`}
      lead="Each room is an actor. Messages are rows of its database, and events to all here."
      source="chat/actor.ts"
      actor={room}
      tabs={
        <Tabs
          path="chat"
          names={["lobby", "garden", "kitchen"]}
          current={name}
          add="another room"
        />
      }
    >
      <div className="with-side">
        <section className="panel chat">
          <ol ref={list} aria-live="polite" className="messages">
            {messages.map(({ id, sender, text: said, at }) => (
              <li key={id} className={sender === user ? "own" : ""} data-message={id}>
                <Avatar name={sender} />
                <div>
                  <small>
                    <b>{sender}</b> {timeOf(at)}
                  </small>
                  <p>{said}</p>
                </div>
              </li>
            ))}
            {sending.map((each, i) => (
              <li key={`sending ${i}`} className="own sending">
                <Avatar name={user} />
                <div>
                  <small>sending …</small>
                  <p>{each.text}</p>
                </div>
              </li>
            ))}
            {!messages.length && !history.isLoading && (
              <li className="empty">Nobody has said anything here yet.</li>
            )}
          </ol>
          <p className="typing">{typing && `${typing} is writing …`}</p>
          {notice}
          <form className="say" onSubmit={(event) => void send(event)}>
            <input
              value={text}
              onChange={(event) => {
                setText(event.target.value);
                tellTyping();
              }}
              placeholder={`Say something in ${name}`}
              aria-label="Message"
              maxLength={1000}
              autoFocus
            />
            <button>Send</button>
          </form>
        </section>
        <aside className="side">
          <h2>Here now</h2>
          <ul className="people">
            {(present.data ?? []).map((each, i) => (
              <li key={i}>
                <Avatar name={each} /> {each} {each === user && <small>you</small>}
              </li>
            ))}
          </ul>
        </aside>
      </div>
    </Example>
  );
}
