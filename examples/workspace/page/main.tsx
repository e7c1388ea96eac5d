import { type ReactNode, StrictMode, useEffect, useState } from "react";
import { createRoot } from "react-dom/client";

import { ChatPage } from "../chat/page.tsx";
import { DocumentPage } from "../document/page.tsx";
import { MemoryPage } from "../memory/page.tsx";
import { RemindersPage } from "../reminders/page.tsx";
import { TenantsPage } from "../tenants/page.tsx";
import { colourOf } from "./ui.tsx";

interface Entry {
  path: string;
  title: string;
  lead: string;
  icon: string;
  /** Which of its actors, if the address does not say. */
  first: string;
  Page: (props: { name: string; user: string }) => ReactNode;
}

const entries: readonly Entry[] = [
  {
    path: "chat",
    title: "Chat rooms",
    lead: "Messages, who is here, who is writing.",
    icon: "M4 5h16v11H10l-4 4v-4H4z",
    first: "lobby",
    Page: ChatPage,
  },
  {
    path: "document",
    title: "Document",
    lead: "One text, many cursors, merged with Yjs.",
    icon: "M6 3h9l4 4v14H6zM9 10h7M9 14h7M9 18h4",
    first: "notes",
    Page: DocumentPage,
  },
  {
    path: "tenants",
    title: "Tenants",
    lead: "A database for each customer, and migrations.",
    icon: "M4 21V8l8-5 8 5v13M9 21v-6h6v6M9 11h.01M15 11h.01",
    first: "acme",
    Page: TenantsPage,
  },
  {
    path: "memory",
    title: "Agent memory",
    lead: "Found again by words and by meaning.",
    icon: "M12 4a7 7 0 0 0-4 12.7V20h8v-3.3A7 7 0 0 0 12 4zM9 20v1h6v-1M12 9v4M10 11h4",
    first: "bea",
    Page: MemoryPage,
  },
  {
    path: "reminders",
    title: "Reminders",
    lead: "Timers and cron that outlive the server.",
    icon: "M12 21a8 8 0 1 0 0-16 8 8 0 0 0 0 16zM12 9v4l3 2M4 4l3-2M20 4l-3-2",
    first: "team",
    Page: RemindersPage,
  },
];

const names = [
  "Ada",
  "Bo",
  "Cleo",
  "Dag",
  "Ewa",
  "Finn",
  "Gio",
  "Hana",
  "Ines",
  "Juri",
  "Kim",
  "Lou",
];

/** Of this window: another window is another person. */
function useName(): [string, (name: string) => void] {
  const [name, setName] = useState(
    () => sessionStorage.getItem("name") ?? names[Math.floor(Math.random() * names.length)]!,
  );
  useEffect(() => sessionStorage.setItem("name", name), [name]);
  return [name, setName];
}

function useHash(): string[] {
  const read = (): string => location.hash.replace(/^#\/?/, "");
  const [hash, setHash] = useState(read);
  useEffect(() => {
    const listener = (): void => setHash(read());
    addEventListener("hashchange", listener);
    return () => removeEventListener("hashchange", listener);
  }, []);
  return hash.split("/").map(decodeURIComponent);
}

function Icon({ path }: { path: string }): ReactNode {
  return (
    <svg viewBox="0 0 24 24" width="20" height="20" aria-hidden>
      <path
        d={path}
        fill="none"
        stroke="currentColor"
        strokeWidth="1.6"
        strokeLinecap="round"
        strokeLinejoin="round"
      />
    </svg>
  );
}

function Workspace(): ReactNode {
  const [path, key] = useHash();
  const [name, setName] = useName();
  const entry = entries.find((each) => each.path === path);
  const current = key || entry?.first;
  return (
    <>
      <aside>
        <a className="brand" href="#/">
          <img src="icon.svg" alt="" width="30" height="30" /> Skep <span>workspace</span>
        </a>
        <nav aria-label="Examples">
          {entries.map((each) => (
            <a
              key={each.path}
              href={`#/${each.path}`}
              aria-current={each === entry ? "page" : undefined}
            >
              <Icon path={each.icon} /> {each.title}
            </a>
          ))}
        </nav>
        <Person name={name} onChange={setName} />
      </aside>
      {entry && current ? (
        <entry.Page key={`${path}/${current}`} name={current} user={name} />
      ) : (
        <Overview />
      )}
    </>
  );
}

function Person({ name, onChange }: { name: string; onChange: (name: string) => void }): ReactNode {
  const [draft, setDraft] = useState(name);
  const save = (): void => (draft.trim() ? onChange(draft.trim()) : setDraft(name));
  return (
    <form
      className="person"
      onSubmit={(event) => {
        event.preventDefault();
        save();
      }}
    >
      <label htmlFor="name">You are</label>
      <span className="dot" style={{ background: colourOf(name) }} />
      <input
        id="name"
        value={draft}
        maxLength={30}
        onChange={(event) => setDraft(event.target.value)}
        onBlur={save}
      />
    </form>
  );
}

function Overview(): ReactNode {
  return (
    <main className="overview">
      <h1>Five small programs, one server</h1>
      <p className="lead">
        Each thing here is an actor with a SQLite database of its own: a room, a document, a
        customer, a conversation, a list. Open this page in a second window, and see in one what you
        do in the other. Stop the server, start it again: all is there.
      </p>
      <div className="cards">
        {entries.map((each) => (
          <a key={each.path} href={`#/${each.path}`} className="card">
            <Icon path={each.icon} />
            <h2>{each.title}</h2>
            <p>{each.lead}</p>
          </a>
        ))}
        <a className="card second" href={location.href} target="_blank" rel="noopener">
          <Icon path="M4 4h11v11H4zM9 15v5h11V9h-5" />
          <h2>A second window</h2>
          <p>With another name. They share the actors.</p>
        </a>
      </div>
    </main>
  );
}

createRoot(document.getElementById("root")!).render(
  <StrictMode>
    <Workspace />
  </StrictMode>,
);
