// A program as people write it: a registry, and its start.

import { actor, setup } from "skep";

const counter = actor({
  state: { count: 0 },
  actions: {
    add: (c, by) => (c.state.count += by),
    careless: (c) => {
      setTimeout(() => Promise.reject(new Error("of a timer")), 1);
      void c.db.execute("SELECT * FROM nowhere");
    },
    pid: () => process.pid,
  },
  onSleep: () => process.stdout.write("asleep\n"),
});

const server = await setup({ use: { counter } }).start();
process.stdout.write(`${server.url}\n`);
