import { type FormEvent, type ReactNode, useEffect, useRef, useState } from "react";

import { useActor, useActorQuery } from "../page/skep.ts";
import { Example, Tabs, timeOf, useAttempt } from "../page/ui.tsx";
import type { Found, Memories, Message } from "./actor.ts";

const suggestions = [
  "My sister keeps seven beehives behind the old mill.",
  "The invoice for the printing press is due in March.",
  "Where are the beehives?",
];

export function MemoryPage({ name }: { name: string; user: string }): ReactNode {
  const agent = useActor({ name: "agent", key: [name] });
  const history = useActorQuery(agent, { action: "history" });
  const [newer, setNewer] = useState<Message[]>([]);
  const [answer, setAnswer] = useState("");
  const [text, setText] = useState("");
  const { attempt, notice } = useAttempt();
  agent.useEvent("message", (message) => {
    setNewer((all) => [...all, message]);
    setAnswer("");
  });
  agent.useEvent("token", ({ text: token }) => setAnswer((all) => all + token));
  const messages = [
    ...new Map([...(history.data ?? []), ...newer].map((each) => [each.id, each])).values(),
  ];
  const list = useRef<HTMLOListElement>(null);
  useEffect(
    () => void list.current?.scrollTo(0, list.current.scrollHeight),
    [messages.length, answer],
  );

  const ask = async (question: string): Promise<void> => {
    setText("");
    const isAnswered = await attempt(agent.connection?.ask(question));
    if (!isAnswered) setText((newer) => newer || question);
  };
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    if (text.trim()) void ask(text);
  };
  return (
    <Example
      title={`${name}, an agent`}
      lead="Tell it something, ask about it later. The model is a fake that quotes what it finds."
      source="memory/actor.ts"
      actor={agent}
      tabs={<Tabs path="memory" names={["bea", "otto"]} current={name} add="another agent" />}
    >
      <div className="with-side">
        <section className="panel chat">
          <ol ref={list} className="messages" aria-live="polite">
            {messages.map(({ id, role, text: said, at }) => (
              <li key={id} className={role === "user" ? "own" : "agent"} data-message={id}>
                <div>
                  <small>
                    <b>{role === "user" ? "you" : name}</b> {timeOf(at)}
                  </small>
                  <p>{said}</p>
                </div>
              </li>
            ))}
            {answer && (
              <li className="agent streaming">
                <div>
                  <small>
                    <b>{name}</b> is answering
                  </small>
                  <p>{answer}</p>
                </div>
              </li>
            )}
            {!messages.length && !history.isLoading && (
              <li className="empty">
                Nothing is remembered yet. Try these, one after the other:
                {suggestions.map((each) => (
                  <button
                    key={each}
                    type="button"
                    className="suggestion"
                    onClick={() => void ask(each)}
                  >
                    {each}
                  </button>
                ))}
              </li>
            )}
          </ol>
          {notice}
          <form className="say" onSubmit={submit}>
            <input
              value={text}
              onChange={(event) => setText(event.target.value)}
              placeholder={`Tell or ask ${name}`}
              aria-label="Message"
              maxLength={1000}
              autoFocus
            />
            <button>Send</button>
          </form>
        </section>
        <Search search={(wanted) => agent.connection?.search(wanted)} />
      </div>
    </Example>
  );
}

/** What an agent would find, without asking it. */
function Search({
  search,
}: {
  search: (text: string) => Promise<Memories> | undefined;
}): ReactNode {
  const [text, setText] = useState("");
  const [found, setFound] = useState<Memories | null>(null);
  const newest = useRef(search);
  newest.current = search;
  useEffect(() => {
    if (!text.trim()) return setFound(null);
    let isOld = false;
    newest
      .current(text)
      ?.then((result) => isOld || setFound(result))
      .catch(() => {});
    return () => void (isOld = true);
  }, [text]);
  return (
    <aside className="side">
      <h2>Search the memory</h2>
      <input
        type="search"
        value={text}
        onChange={(event) => setText(event.target.value)}
        placeholder="bee hive, mills, invoices …"
        aria-label="Search the memory"
      />
      {found && (
        <>
          <Results title="By words" kind="words" found={found.words} score={() => ""} />
          <Results
            title="By meaning"
            kind="meaning"
            found={found.meaning}
            score={({ score }) => `${Math.round(score * 100)}%`}
          />
        </>
      )}
    </aside>
  );
}

function Results(props: {
  title: string;
  kind: string;
  found: readonly Found[];
  score: (found: Found) => string;
}): ReactNode {
  return (
    <>
      <h3>{props.title}</h3>
      <ul className="found" data-found={props.kind}>
        {props.found.map((each) => (
          <li key={each.id}>
            {each.text} <small>{props.score(each)}</small>
          </li>
        ))}
        {!props.found.length && <li className="quiet">nothing</li>}
      </ul>
    </>
  );
}
