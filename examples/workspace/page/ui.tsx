// What the pages of all examples share.

import { type FormEvent, type ReactNode, useCallback, useState } from "react";

type ConnectionState = { connStatus: string; error: Error | null };

/** Whether what is seen is fresh. */
export function Status({ of: { connStatus, error } }: { of: ConnectionState }): ReactNode {
  const words: Record<string, string> = { idle: "not connected", disconnected: "reconnecting" };
  return (
    <output className="status" data-status={connStatus} title={error?.message}>
      {words[connStatus] ?? connStatus}
    </output>
  );
}

/** An example: what it shows, and the thing itself. */
export function Example(props: {
  title: string;
  lead: ReactNode;
  source: string;
  actor: ConnectionState;
  tabs?: ReactNode;
  children: ReactNode;
}): ReactNode {
  return (
    <main className="example">
      <header>
        <div>
          <h1>{props.title}</h1>
          <p>
            {props.lead} <code>{props.source}</code>
          </p>
        </div>
        <Status of={props.actor} />
      </header>
      {props.tabs}
      <div className="body">{props.children}</div>
    </main>
  );
}

/** The actors of one type that one can go to, and a field for others. */
export function Tabs(props: {
  path: string;
  names: readonly string[];
  current: string;
  add: string;
  onAdd?: (name: string) => void;
}): ReactNode {
  const [name, setName] = useState("");
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    if (!name.trim()) return;
    if (props.onAdd) props.onAdd(name);
    else location.hash = `/${props.path}/${encodeURIComponent(name.trim())}`;
    setName("");
  };
  const names = props.names.includes(props.current) ? props.names : [...props.names, props.current];
  return (
    <nav className="tabs">
      {names.map((each) => (
        <a
          key={each}
          href={`#/${props.path}/${encodeURIComponent(each)}`}
          aria-current={each === props.current ? "page" : undefined}
        >
          {each}
        </a>
      ))}
      <form onSubmit={submit}>
        <input
          value={name}
          onChange={(event) => setName(event.target.value)}
          placeholder={`+ ${props.add}`}
          aria-label={props.add}
          maxLength={40}
        />
      </form>
    </nav>
  );
}

/** Waits for what may fail, and says why it did. Nothing: there is no connection to try it on. */
export function useAttempt(): {
  attempt: (work: Promise<unknown> | undefined) => Promise<boolean>;
  notice: ReactNode;
} {
  const [error, setError] = useState<Error | null>(null);
  const attempt = useCallback(async (work: Promise<unknown> | undefined) => {
    try {
      if (!work) throw new Error("there is no connection yet");
      await work;
      setError(null);
      return true;
    } catch (reason) {
      setError(reason as Error);
      return false;
    }
  }, []);
  const notice = error && (
    <p className="notice" role="alert">
      {error.message}
      <button type="button" aria-label="Dismiss" onClick={() => setError(null)}>
        ×
      </button>
    </p>
  );
  return { attempt, notice };
}

export function timeOf(ms: number, withSeconds = false): string {
  const options: Intl.DateTimeFormatOptions = { hour: "2-digit", minute: "2-digit" };
  if (withSeconds) options.second = "2-digit";
  return new Date(ms).toLocaleTimeString([], options);
}

/** The same colour for a name in every window. */
export function colourOf(name: string): string {
  let hash = 7;
  for (const each of name) hash = (hash * 31 + each.codePointAt(0)!) % 3600;
  return `hsl(${(hash * 47) % 360} 38% 48%)`;
}

export function Avatar({ name }: { name: string }): ReactNode {
  return (
    <span className="avatar" style={{ background: colourOf(name) }} aria-hidden>
      {name.slice(0, 1).toUpperCase()}
    </span>
  );
}
