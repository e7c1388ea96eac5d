import { EditorState } from "@codemirror/state";
import { EditorView, keymap, placeholder } from "@codemirror/view";
import { type ReactNode, useEffect, useRef, useState } from "react";
import { yCollab, yUndoManagerKeymap } from "y-codemirror.next";
import { Awareness } from "y-protocols/awareness";
import * as Y from "yjs";

import { useActor, useActorQuery } from "../page/skep.ts";
import { Avatar, colourOf, Example, Tabs } from "../page/ui.tsx";
import { bind } from "./binding.ts";

export function DocumentPage({ name, user }: { name: string; user: string }): ReactNode {
  const [doc] = useState(() => new Y.Doc());
  const document = useActor({
    name: "textDocument",
    key: [name],
    params: { clientId: doc.clientID },
  });
  const { connection } = document;
  const parent = useRef<HTMLDivElement>(null);
  const [isSaved, setSaved] = useState(true);
  const [writers, setWriters] = useState<{ id: number; name: string }[]>([]);
  const storage = useActorQuery(document, { action: "storage", refreshOn: ["update"] });
  const { refresh } = storage;

  useEffect(() => {
    if (!connection) return undefined;
    const awareness = new Awareness(doc);
    const text = doc.getText("text");
    const colour = colourOf(user);
    awareness.setLocalStateField("user", {
      name: user,
      color: colour,
      colorLight: colour.replace("hsl", "hsla").replace(")", " / 25%)"),
    });
    const showWriters = (): void =>
      setWriters(
        [...awareness.getStates()].map(([id, state]) => ({ id, name: state["user"]?.name ?? "?" })),
      );
    awareness.on("change", showWriters);
    showWriters();
    const view = new EditorView({
      parent: parent.current!,
      state: EditorState.create({
        doc: text.toString(),
        extensions: [
          yCollab(text, awareness, { undoManager: new Y.UndoManager(text) }),
          keymap.of(yUndoManagerKeymap),
          EditorView.lineWrapping,
          placeholder("Write something, in two windows at once."),
        ],
      }),
    });
    const stop = bind(doc, awareness, connection, (saved) => {
      setSaved(saved);
      if (saved) refresh();
    });
    return () => {
      view.destroy();
      awareness.destroy();
      stop();
    };
  }, [connection, doc, user, refresh]);

  return (
    <Example
      title={name}
      lead="Everybody writes at once. Each change is a row, durable before it counts as saved."
      source="document/actor.ts"
      actor={document}
      tabs={
        <Tabs
          path="document"
          names={["notes", "recipe", "plan"]}
          current={name}
          add="another document"
        />
      }
    >
      <div className="with-side">
        <section className="panel paper">
          <div ref={parent} className="editor" />
          <footer>
            <span className="saved" data-saved={isSaved}>
              {isSaved ? "All changes saved" : "Saving …"}
            </span>
            {storage.data && (
              <span>
                {storage.data.updates} {storage.data.updates === 1 ? "update" : "updates"},{" "}
                {storage.data.bytes} bytes in SQLite
              </span>
            )}
          </footer>
        </section>
        <aside className="side">
          <h2>Writing now</h2>
          <ul className="people">
            {writers.map((each) => (
              <li key={each.id}>
                <Avatar name={each.name} /> {each.name}{" "}
                {each.id === doc.clientID && <small>you</small>}
              </li>
            ))}
          </ul>
        </aside>
      </div>
    </Example>
  );
}
