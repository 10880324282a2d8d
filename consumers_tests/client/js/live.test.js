// Against a real server, whose address is in SERVER: test_javascript.py starts it.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, test } from "node:test";

import { Closed, ConnectionLost, connect, groupName } from "../../../consumers/client/consumers.js";
import { read } from "./scripted.js";
import { Wire } from "./wire.js";

const { SERVER } = process.env;
const CYCLES = Number(process.env.CYCLES ?? 20);
const QUICK = { reconnect: { min: 10, max: 50 } };
const opened = [];

after(() => opened.forEach((client) => client.close()));

function open(path = "/talk", options = {}, server = SERVER) {
  const client = connect(server + path, { ...QUICK, ...options });
  opened.push(client);
  return client;
}

/** Return a client behind a wire, and the wire. */
async function wired(t, path, options) {
  const wire = await Wire.to(new URL(SERVER).port);
  t.after(() => wire.close());
  return { wire, client: open(path, options, `ws://127.0.0.1:${wire.port}`) };
}

/** Wait for a state, or for what an event tells. */
const until = (it, event, wanted = () => true) =>
  new Promise((resolve) => {
    const off = it.on(event, (told) => {
      if (wanted(told)) off(resolve(told));
    });
  });
const state = async (client, name) =>
  client.state.name === name ? client.state : until(client, "state", (it) => it.name === name);

const live = (name, act) => test(name, { skip: SERVER ? false : "no server", timeout: 30_000 }, act);

live("a request is echoed", async () => {
  const client = open();

  assert.equal(await client.request({ type: "echo", text: "é\u{1f600}" }), "é\u{1f600}");
  await assert.rejects(client.request({ type: "fail", code: "busy" }), {
    code: "busy",
    detail: { asked: "busy" },
  });
  await assert.rejects(client.request({ type: "sing" }), { code: "unknown_type" });
});

live("a hundred requests at once are all answered, whatever the limit is", async () => {
  const client = open();

  const asked = Array.from({ length: 100 }, (_, n) => client.request({ type: "echo", text: `${n}` }));

  assert.deepEqual(
    await Promise.all(asked),
    asked.map((_, n) => `${n}`),
  );
});

live("messages are pushed", async () => {
  const client = open();

  client.send({ type: "push", text: "a" });
  client.send({ type: "push", text: "b" });

  assert.deepEqual(
    (await read(client, 2)).map(({ text }) => text),
    ["a", "b"],
  );
});

live("a stream comes to its end", async () => {
  const client = open();

  assert.deepEqual(await read(client.stream({ type: "count", to: 5 })), [0, 1, 2, 3, 4]);
});

live("an aborted stream stops on the server", async () => {
  const client = open();
  const abort = new AbortController();
  const name = randomUUID();

  const message = { type: "count", to: 5, pause: true, name };
  const stream = client.stream(message, { signal: abort.signal });
  assert.equal((await stream.next()).value, 0);
  abort.abort(new Error("enough"));
  await assert.rejects(stream.next(), /enough/);

  while (!(await client.request({ type: "stopped", name })));
});

live("the server asks, and is answered", async () => {
  const client = open();
  assert.equal(await client.request({ type: "quiz" }), "unknown_type");

  client.answer("question", ({ text }) => ({ type: "answer", text: `${text} 42` }));

  assert.equal(await client.request({ type: "quiz" }), "6 times 7? 42");
});

live("a subscription gets what was published while it was away", async (t) => {
  const { wire, client } = await wired(t);
  const other = open();
  const room = randomUUID();
  const say = (text) => other.request({ type: "say", room, text });
  const subscription = client.subscribe(groupName("room.{room}", { room }));
  assert.equal((await subscription.ready).recovered, false);
  assert.deepEqual(subscription.snapshot, { effects: 0 });
  const heard = [];
  subscription.on("publication", ({ message }) => heard.push(message.text));

  await say("1");
  wire.cut();
  await state(client, "waiting");
  const back = until(subscription, "subscribed");
  await say("2");
  await say("3");
  assert.equal((await back).recovered, true);
  await say("4");
  while (heard.length < 4) await until(subscription, "publication");

  assert.deepEqual(heard, ["1", "2", "3", "4"]);
});

live("a new client goes on at a position of another", async () => {
  const room = randomUUID();
  const group = groupName("room.{room}", { room });
  const first = open();
  const subscription = await first.subscribe(group).ready;
  await first.request({ type: "say", room, text: "1" });
  const { value } = await subscription[Symbol.asyncIterator]().next();
  await first.request({ type: "say", room, text: "2" });

  const second = open().subscribe(group, { position: value.position });

  assert.equal((await read(second, 1))[0].message.text, "2");
  assert.equal(second.recovered, true);
});

live("a subscription that is not allowed says so", async () => {
  const client = open();

  await assert.rejects(client.subscribe("room.closed").ready, { code: "not_allowed" });
  await assert.rejects(client.subscribe("unknown").ready, { code: "not_allowed" });
});

live("the server ends a subscription", async () => {
  const client = open();
  const room = randomUUID();
  const subscription = await client.subscribe(`room.${room}`).ready;

  const ended = until(subscription, "unsubscribed");
  await client.request({ type: "leave", room });

  assert.equal((await ended).name, "MessageError");
});

live("the application can put the client into a group", async () => {
  const client = open();
  const room = randomUUID();
  const told = until(client, "publication");

  await client.request({ type: "join", room });
  await client.request({ type: "say", room, text: "hi" });

  const { group, message, position } = await told;
  assert.deepEqual([group, message], [`room.${room}`, { type: "said", text: "hi" }]);
  assert.match(position, /^1\.[\w-]+$/);
});

live("a group that was left sends nothing more", async () => {
  const client = open();
  const room = randomUUID();
  const subscription = await client.subscribe(`room.${room}`).ready;

  subscription.unsubscribe();
  await client.request({ type: "say", room, text: "to nobody" });

  assert.deepEqual(await read(subscription), []);
});

live("a request whose answer got lost takes effect once", async (t) => {
  const { wire, client } = await wired(t);
  const observer = open();
  const room = randomUUID();
  const subscription = await observer.subscribe(`room.${room}`).ready;
  await client.request({ type: "echo", text: "there" });

  wire.mute();
  const asked = client.request({ type: "say", room, text: "once" });
  await until(subscription, "publication");
  wire.cut();

  assert.equal(await asked, 1);
  assert.equal(await client.request({ type: "say", room, text: "twice" }), 2);
});

live("what is sent offline arrives, in order and once", async (t) => {
  const { wire, client } = await wired(t);
  const room = randomUUID();
  await client.request({ type: "echo", text: "there" });
  wire.cut();
  await state(client, "waiting");

  client.send({ type: "say", room, text: "a" });
  const asked = client.request({ type: "say", room, text: "b" });
  client.send({ type: "say", room, text: "c" });

  assert.equal(await asked, 2);
  assert.equal(await client.request({ type: "say", room, text: "d" }), 4);
});

live("a stream whose connection breaks is lost", async (t) => {
  const { wire, client } = await wired(t);
  const stream = client.stream({ type: "count", to: 2, pause: true });
  await stream.next();

  wire.cut();

  await assert.rejects(stream.next(), ConnectionLost);
  assert.equal(await client.request({ type: "echo", text: "back" }), "back");
});

live("through broken connections nothing is lost, doubled or out of order", async (t) => {
  const { wire, client } = await wired(t);
  const room = randomUUID();
  const subscription = client.subscribe(`room.${room}`);
  const heard = [];
  subscription.on("publication", ({ message }) => heard.push(message.text));
  await subscription.ready;
  const said = [];

  for (let n = 0; n < CYCLES; n++) {
    for (const part of "abc") said.push(client.request({ type: "say", room, text: n + part }));
    // Some are on their way, some answered, some wait.
    await said[Math.floor(Math.random() * said.length)];
    wire.cut();
  }
  const counts = await Promise.all(said);
  while (heard.length < said.length) await until(subscription, "publication");

  const expected = said.map((_, n) => `${Math.floor(n / 3)}${"abc"[n % 3]}`);
  assert.deepEqual(heard, expected);
  assert.deepEqual(
    counts,
    expected.map((_, n) => n + 1),
  );
});

live("an application that fails answers, and the client comes back", async () => {
  const client = open();

  await assert.rejects(client.request({ type: "crash" }), { code: "internal" });
  assert.equal((await state(client, "waiting")).code, 1011);

  assert.equal(await client.request({ type: "echo", text: "back" }), "back");
});

live("a server that stalls is left", async (t) => {
  const { wire, client } = await wired(t, "/restless");
  await state(client, "live");

  wire.mute();
  const { reason } = await state(client, "waiting");

  assert.equal(reason, "nothing came from the server");
  wire.cut();
  await state(client, "live");
});

live("a client that has nothing to say stays", async () => {
  let client, connection;
  // A machine that stood still for most of a second gets another try.
  for (let attempt = 0; attempt < 3; attempt += 1) {
    client = open("/restless");
    await state(client, "live");
    ({ connection } = client);

    await new Promise((resolve) => setTimeout(resolve, 1500));
    if (client.connection === connection) {
      break;
    }
  }

  assert.equal(client.state.name, "live");
  assert.equal(client.connection, connection);
});

live("a server that there is not is tried again", async (t) => {
  const { wire, client } = await wired(t);
  await wire.close();
  const { code } = await state(client, "waiting");
  await until(client, "state", ({ name, attempt }) => name === "connecting" && attempt > 3);
  client.close();

  assert.equal(code, 1006);
});

live("a refused client does not come back, and knows why", async () => {
  const forbidden = open("/forbidden");
  const waiting = forbidden.request({ type: "echo" });
  const wrong = open("/number?number=x");

  assert.deepEqual((await state(forbidden, "closed")).code, 4403);
  await assert.rejects(waiting, Closed);
  const { code, detail } = await state(wrong, "closed");
  assert.equal(code, 4400);
  assert.ok("number" in detail.errors);
});

live("a token may be offered as a subprotocol", async () => {
  const client = open("/talk", { token: "ann", tokenAs: "subprotocol" });

  assert.equal(await client.request({ type: "token" }), "ann");
});

live("a refused token is replaced once", async () => {
  const tokens = ["nobody", "ann"];
  const client = open("/talk", { token: async () => tokens.shift() });
  const refused = open("/talk", { token: async () => "nobody" });

  assert.equal(await client.request({ type: "token" }), "ann");
  assert.equal((await state(refused, "closed")).code, 4401);
});

live("a credential that ends is renewed on the same connection", async () => {
  let asked, client, connection;
  // A machine that stood still while it was to be renewed gets another try.
  for (const seconds of [1, 4, 10]) {
    asked = [];
    const token = async ({ renew }) => (asked.push(renew), `ann:${renew ? 60 : seconds}`);
    client = open("/talk", { token });
    await state(client, "live");
    ({ connection } = client);

    while ((await client.request({ type: "token" })) !== "ann:60") {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    await new Promise((resolve) => setTimeout(resolve, 400 * seconds));
    if (client.connection === connection) {
      break;
    }
  }

  assert.equal(await client.request({ type: "token" }), "ann:60");
  assert.equal(client.connection, connection);
  assert.deepEqual(asked, [false, true]);
});
