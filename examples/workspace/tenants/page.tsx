import { type FormEvent, type ReactNode, useEffect, useState } from "react";

import { useActor, useActorQuery } from "../page/skep.ts";
import { Example, Tabs, useAttempt } from "../page/ui.tsx";

const priorities = ["", "high", "normal", "low"] as const;

export function TenantsPage({ name }: { name: string; user: string }): ReactNode {
  const list = useActor({ name: "tenantList", key: ["all"] });
  const names = useActorQuery(list, { action: "names", refreshOn: ["changed"] });
  const tenant = useActor({ name: "tenant", key: [name] });
  const tasks = useActorQuery(tenant, { action: "tasks", refreshOn: ["changed"] });
  const database = useActorQuery(tenant, { action: "database", refreshOn: ["changed"] });
  const [title, setTitle] = useState("");
  const [priority, setPriority] = useState(2);
  const { attempt, notice } = useAttempt();
  const { connection: listConnection } = list;
  useEffect(() => void listConnection?.add(name).catch(() => {}), [listConnection, name]);

  const goTo = (wanted: string): void =>
    void attempt(
      listConnection
        ?.add(wanted)
        .then((added) => void (location.hash = `/tenants/${encodeURIComponent(added)}`)),
    );
  const add = async (event: FormEvent): Promise<void> => {
    event.preventDefault();
    setTitle("");
    const isAdded = await attempt(tenant.connection?.add(title, priority));
    if (!isAdded) setTitle((newer) => newer || title);
  };

  return (
    <Example
      title={`${name}'s tasks`}
      lead="One page for all customers, a database for each, migrated when its actor wakes next."
      source="tenants/actor.ts"
      actor={tenant}
      tabs={
        <Tabs
          path="tenants"
          names={names.data ?? []}
          current={name}
          add="another tenant"
          onAdd={goTo}
        />
      }
    >
      <div className="with-side">
        <section className="panel">
          <form className="say" onSubmit={(event) => void add(event)}>
            <input
              value={title}
              onChange={(event) => setTitle(event.target.value)}
              placeholder={`A task of ${name}`}
              aria-label="Task"
              maxLength={200}
              autoFocus
            />
            <select
              value={priority}
              onChange={(event) => setPriority(Number(event.target.value))}
              aria-label="Priority"
            >
              {[1, 2, 3].map((each) => (
                <option key={each} value={each}>
                  {priorities[each]}
                </option>
              ))}
            </select>
            <button>Add</button>
          </form>
          {notice}
          <ul className="rows">
            {(tasks.data ?? []).map((task) => (
              <li key={task.id} className={task.done ? "done" : ""} data-task={task.id}>
                <label>
                  <input
                    type="checkbox"
                    checked={task.done === 1}
                    onChange={() => void attempt(tenant.connection?.setDone(task.id, !task.done))}
                  />
                  <span>{task.title}</span>
                </label>
                <span className={`tag p${task.priority}`}>{priorities[task.priority]}</span>
                <button
                  type="button"
                  className="plain"
                  aria-label={`Remove ${task.title}`}
                  onClick={() => void attempt(tenant.connection?.remove(task.id))}
                >
                  ×
                </button>
              </li>
            ))}
            {tasks.data?.length === 0 && <li className="empty">{name} has nothing to do.</li>}
          </ul>
        </section>
        <aside className="side">
          <h2>Its database</h2>
          {database.data && (
            <dl>
              <dt>Address</dt>
              <dd>
                <code>tenant/{name}</code>
              </dd>
              <dt>Size</dt>
              <dd>{(database.data.bytes / 1024).toFixed(0)} KiB</dd>
              <dt>Tasks</dt>
              <dd>{database.data.tasks}</dd>
              <dt>Schema</dt>
              <dd>version {database.data.applied.at(-1)?.version}</dd>
              {database.data.applied.map(({ version, at }) => (
                <dd key={version} className="quiet">
                  {version} applied {new Date(at).toLocaleDateString()}
                </dd>
              ))}
            </dl>
          )}
        </aside>
      </div>
    </Example>
  );
}
