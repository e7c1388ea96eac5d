// The smallest one, without a page: a number that everybody can add to, from a shell too.

import { actor, event } from "skep";

export const counter = actor({
  state: { count: 0 },
  events: { changed: event<number>() },
  actions: {
    increment: (c, by: number = 1): number => {
      c.state.count += by;
      c.broadcast("changed", c.state.count);
      return c.state.count;
    },
    get: (c): number => c.state.count,
  },
});
