// The example of the guide on reconnecting, with a page that is a list.

import assert from "node:assert/strict";
import { test } from "node:test";

import { open } from "../../../docs/examples/howto/reconnecting.js";
import { scripted, settle } from "./scripted.js";

test("the example shows states, publications and what became of messages", async (t) => {
  t.mock.timers.enable({ apis: ["setInterval", "Date"], now: 1_000_000 });
  const { client, clock, link, next } = scripted();
  const seen = [];
  const page = {
    status: (text) => seen.push(text),
    replace: (snapshot) => seen.push(["all", snapshot]),
    add: (message) => seen.push(["new", message]),
    pending: (text) => ({
      sent: () => seen.push(["sent", text]),
      failed: (code) => seen.push(["failed", text, code]),
    }),
  };
  const group = "chat.lobby";
  const answer = { type: "subscribed", group, recovered: false, position: "0.e", snapshot: [] };
  const say = open(client, group, page);

  link.welcome();
  link.tell({ ...answer, id: link.take()[0].id });
  link.tell({ type: "publication", group, message: "hi", position: "1.e" });
  const one = say("one");
  const two = say("two");
  const [first] = link.take();
  link.tell({ type: "error", id: first.id, code: "rate_limited" });
  await one;
  assert.deepEqual(seen.splice(0), [
    "connecting…",
    "",
    ["all", []],
    ["new", "hi"],
    ["failed", "one", "rate_limited"],
  ]);

  clock.chance = 0;
  link.goodbye({ code: 1012, reconnect: true, after: 4 });
  clock.sleep(1000);
  t.mock.timers.tick(1000);
  assert.deepEqual(seen.splice(0), ["reconnecting in 4 s…", "reconnecting in 3 s…"]);
  const again = (await next()).welcome();
  const [subscribe, asked] = again.take();
  again.tell({ ...answer, id: subscribe.id, recovered: true });
  again.tell({ type: "reply", id: asked.id, message: null });
  await two;
  again.close(4403);
  await settle();
  t.mock.timers.tick(5000);

  assert.deepEqual(seen, [
    "connecting…",
    "",
    ["sent", "two"],
    "you may not see this",
    "no more messages: closed",
  ]);
});
