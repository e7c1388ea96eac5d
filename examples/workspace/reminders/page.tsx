import { type FormEvent, type ReactNode, useEffect, useState } from "react";

import { useActor, useActorQuery } from "../page/skep.ts";
import { Example, Tabs, timeOf, useAttempt } from "../page/ui.tsx";
import type { Reminder } from "./actor.ts";

const delays: readonly [string, number][] = [
  ["in 5 seconds", 5_000],
  ["in 30 seconds", 30_000],
  ["in 5 minutes", 300_000],
  ["tomorrow", 86_400_000],
];

export function RemindersPage({ name }: { name: string; user: string }): ReactNode {
  const list = useActor({ name: "reminders", key: [name] });
  const all = useActorQuery(list, { action: "all", refreshOn: ["changed"] });
  const summaries = useActorQuery(list, { action: "summaries", refreshOn: ["changed"] });
  const [text, setText] = useState("");
  const [delay, setDelay] = useState(5_000);
  const [told, setTold] = useState<Reminder | null>(null);
  const { attempt, notice } = useAttempt();
  const now = useNow();
  list.useEvent("due", setTold);

  const add = async (event: FormEvent): Promise<void> => {
    event.preventDefault();
    setText("");
    const isSet = await attempt(list.connection?.remind(text, delay));
    if (!isSet) setText((newer) => newer || text);
  };
  const open = all.data?.filter((each) => each.told === null) ?? [];
  const done = all.data?.filter((each) => each.told !== null) ?? [];
  return (
    <Example
      title="Reminders"
      lead="A reminder and its timer are one transaction. It comes, also after the server was away."
      source="reminders/actor.ts"
      actor={list}
      tabs={<Tabs path="reminders" names={["team", "home"]} current={name} add="another list" />}
    >
      <div className="with-side">
        <section className="panel">
          {told && (
            <p className="due" role="status">
              <b>{told.text}</b>
              <span>{timeOf(told.told ?? told.at, true)}</span>
              <button
                type="button"
                className="plain"
                aria-label="Dismiss"
                onClick={() => setTold(null)}
              >
                ×
              </button>
            </p>
          )}
          <form className="say" onSubmit={(event) => void add(event)}>
            <input
              value={text}
              onChange={(event) => setText(event.target.value)}
              placeholder="Remind us of …"
              aria-label="Reminder"
              maxLength={200}
              autoFocus
            />
            <select
              value={delay}
              onChange={(event) => setDelay(Number(event.target.value))}
              aria-label="When"
            >
              {delays.map(([label, ms]) => (
                <option key={ms} value={ms}>
                  {label}
                </option>
              ))}
            </select>
            <button>Set</button>
          </form>
          {notice}
          <ul className="rows">
            {open.map((each) => (
              <li key={each.id} data-reminder={each.id}>
                <span>{each.text}</span>
                <span className="quiet">{remaining(each.at - now)}</span>
                <button
                  type="button"
                  className="plain"
                  aria-label={`Cancel ${each.text}`}
                  onClick={() => void attempt(list.connection?.cancel(each.id))}
                >
                  ×
                </button>
              </li>
            ))}
            {done.map((each) => (
              <li key={each.id} className="done" data-told={each.id}>
                <span>{each.text}</span>
                <span className="quiet">told at {timeOf(each.told!, true)}</span>
              </li>
            ))}
            {all.data?.length === 0 && <li className="empty">Nothing to be reminded of.</li>}
          </ul>
        </section>
        <Summaries
          {...summaries.data}
          now={now}
          onChange={(expression) => void attempt(list.connection?.setSummary(expression))}
        />
      </div>
    </Example>
  );
}

const expressions: readonly [string, string][] = [
  ["* * * * *", "every minute"],
  ["0 * * * *", "every hour"],
  ["0 8 * * mon-fri", "on workdays at 8"],
];

function Summaries(props: {
  job?: { expression: string | null; next: number } | null;
  newest?: readonly { id: number; at: number; text: string }[];
  now: number;
  onChange: (expression: string) => void;
}): ReactNode {
  return (
    <aside className="side">
      <h2>Summary, by cron</h2>
      <select
        value={props.job?.expression ?? ""}
        onChange={(event) => props.onChange(event.target.value)}
        aria-label="How often"
      >
        {expressions.map(([expression, label]) => (
          <option key={expression} value={expression}>
            {label}
          </option>
        ))}
      </select>
      {props.job && (
        <p className="quiet">
          <code>{props.job.expression}</code> next {remaining(props.job.next - props.now)}
        </p>
      )}
      <ul className="found">
        {(props.newest ?? []).map(({ id, at, text }) => (
          <li key={id}>
            <small>{timeOf(at)}</small> {text}
          </li>
        ))}
      </ul>
    </aside>
  );
}

function remaining(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1_000));
  if (seconds < 100) return `in ${seconds} s`;
  if (seconds < 6_000) return `in ${Math.round(seconds / 60)} min`;
  return `in ${Math.round(seconds / 3_600)} h`;
}

function useNow(): number {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 1_000);
    return () => clearInterval(timer);
  }, []);
  return now;
}
