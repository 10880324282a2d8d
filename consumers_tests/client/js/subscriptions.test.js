// Groups: positions, reconnects, snapshots, and the end of subscriptions.

import assert from "node:assert/strict";
import { test } from "node:test";

import { Closed, MessageError, Overflow } from "../../../consumers/client/consumers.js";
import { read, scripted, settle } from "./scripted.js";

/** Return a live client with a subscription that the server has not answered. */
function subscribed(options, how) {
  const it = scripted(options);
  it.link.welcome();
  const subscription = it.client.subscribe("chat.lobby", how);
  const [frame] = it.link.take();
  const heard = [];
  const told = [];
  subscription.on("publication", ({ message }) => heard.push(message));
  subscription.on("subscribed", (event) => told.push(event));
  subscription.on("unsubscribed", ({ code }) => told.push(code));
  return { ...it, subscription, frame, heard, told, first: it.link };
}

const answer = (id, fields) => ({
  type: "subscribed",
  id,
  group: "chat.lobby",
  recovered: false,
  ...fields,
});
const publication = (message, position) => ({
  type: "publication",
  group: "chat.lobby",
  message,
  position,
});

test("subscribing asks for a group, and is answered with a snapshot", async () => {
  const { subscription, frame, first, told } = subscribed();
  assert.deepEqual(frame, { type: "subscribe", id: frame.id, group: "chat.lobby" });

  first.tell(answer(frame.id, { position: "3.e", snapshot: { topic: "x" } }));

  assert.equal(await subscription.ready, subscription);
  const { recovered, position, snapshot } = subscription;
  assert.deepEqual([recovered, position, snapshot], [false, "3.e", { topic: "x" }]);
  assert.deepEqual(told, [{ recovered, position, snapshot }]);
});

test("publications come with their positions", async () => {
  const { subscription, frame, first, heard } = subscribed();
  first.tell(answer(frame.id, { position: "3.e" }));

  first.tell(publication("a", "4.e"), publication("b", "9.e"));

  assert.deepEqual(heard, ["a", "b"]);
  assert.equal(subscription.position, "9.e");
});

test("a position is taken after the listeners were told", () => {
  const { subscription, frame, first } = subscribed();
  const seen = [];
  subscription.on("publication", ({ position }) => seen.push([position, subscription.position]));
  first.tell(answer(frame.id, { position: "3.e" }));

  first.tell(publication("a", "4.e"));

  assert.deepEqual(seen, [["4.e", "3.e"]]);
});

test("publications that came before are dropped", () => {
  const { frame, first, heard } = subscribed();
  first.tell(answer(frame.id, { position: "9.e" }));

  first.tell(publication("old", "9.e"), publication("older", "8.e"));
  first.tell(publication("new", "10.e"), publication("again", "10.e"));
  first.tell(publication("another epoch", "1.f"), publication("no position"));

  assert.deepEqual(heard, ["new", "another epoch", "no position"]);
});

test("a subscription comes back with its position", async () => {
  const { subscription, frame, first, heard, told, next } = subscribed();
  first.tell(answer(frame.id, { position: "3.e" }), publication("a", "4.e"));

  first.close(1006);
  const again = (await next()).welcome();
  const [{ id, position }] = again.take();
  again.tell([
    answer(id, { recovered: true, position: "4.e" }),
    publication("a", "4.e"),
    publication("b", "5.e"),
  ]);

  assert.equal(position, "4.e");
  assert.deepEqual(heard, ["a", "b"]);
  assert.deepEqual([subscription.recovered, subscription.position], [true, "5.e"]);
  assert.equal(told.length, 2);
});

test("where nothing was recovered the server's position counts", async () => {
  const { subscription, frame, first, heard, next } = subscribed({}, { position: "7.old" });
  assert.equal(frame.position, "7.old");
  first.tell(answer(frame.id, { position: "2.new" }), publication("a", "3.new"));

  first.close(1006);
  const again = (await next()).welcome();
  again.tell(answer(again.take()[0].id, {}), publication("b", "1.newer"));

  assert.deepEqual(heard, ["a", "b"]);
  assert.equal(subscription.position, "1.newer");
});

test("groups come back before requests are sent again", async () => {
  const { client, first, next } = subscribed();
  client.request({ type: "a" }).catch(() => {});

  first.close(1006);

  assert.deepEqual(
    (await next()).welcome().take().map(({ type }) => type),
    ["subscribe", "request"],
  );
});

test("subscribing waits for the connection", () => {
  const { client, link } = scripted();

  client.subscribe("a");
  client.subscribe("b");
  link.welcome();

  assert.deepEqual(
    link.take().map(({ group }) => group),
    ["a", "b"],
  );
});

test("a refused subscription rejects, tells, and does not come back", async () => {
  const { subscription, frame, first, told, next } = subscribed();

  first.tell({ type: "error", id: frame.id, code: "not_allowed", detail: "members only" });

  await assert.rejects(subscription.ready, MessageError);
  await assert.rejects(read(subscription), { code: "not_allowed" });
  assert.deepEqual(told, ["not_allowed"]);
  first.close(1006);
  assert.deepEqual((await next()).welcome().take(), []);
});

test("a refused subscription that nobody awaits is no unhandled rejection", async () => {
  const { frame, first } = subscribed();

  first.tell({ type: "error", id: frame.id, code: "not_allowed" });

  await settle();
});

test("a subscription that was there outlives a passing error", async () => {
  const { subscription, client, clock, frame, first, told, next } = subscribed();
  first.tell(answer(frame.id, { position: "3.e" }));
  await subscription.ready;
  first.close(1006);
  const again = (await next()).welcome();

  again.tell({ type: "error", id: again.take()[0].id, code: "timeout" });
  await clock.advance(8000);
  const [retried] = again.take();
  assert.deepEqual([retried.type, retried.position], ["subscribe", "3.e"]);
  again.tell({ type: "error", id: retried.id, code: "not_allowed" });

  assert.deepEqual(told.slice(1), ["not_allowed"]);
  client.close();
  assert.equal(clock.waiting, 0);
});

test("the server can end a subscription", async () => {
  const { client, subscription, frame, first, heard, told } = subscribed();
  first.tell(answer(frame.id), publication("a"));

  first.tell({ type: "unsubscribed", group: "chat.lobby", code: "not_allowed" });
  first.tell(publication("b"));

  assert.deepEqual(heard, ["a"]);
  assert.equal(told.at(-1), "not_allowed");
  await assert.rejects(read(subscription), { code: "not_allowed" });
  client.subscribe("chat.lobby");
  assert.equal(first.take()[0].type, "subscribe");
});

test("unsubscribing ends it, and tells the server", async () => {
  const { subscription, frame, first, heard, told } = subscribed();
  first.tell(answer(frame.id));
  const reading = read(subscription);

  subscription.unsubscribe();
  subscription.unsubscribe();
  first.tell(publication("late"));

  const sent = first.take();
  assert.deepEqual(sent, [{ type: "unsubscribe", group: "chat.lobby", id: sent[0].id }]);
  assert.deepEqual(await reading, []);
  assert.deepEqual(heard, []);
  assert.equal(told.length, 1);
});

test("a group can be left and subscribed to at once", async () => {
  const { client, subscription, frame, first } = subscribed();
  subscription.unsubscribe();
  const second = client.subscribe("chat.lobby");
  const heard = [];
  second.on("publication", ({ message }) => heard.push(message));
  const [, { id }] = first.take();

  first.tell(answer(frame.id), publication("for the first"));
  first.tell(answer(id), publication("for the second"));

  assert.deepEqual(heard, ["for the second"]);
  await assert.rejects(subscription.ready, Closed);
  assert.equal(await second.ready, second);
});

test("a group has one subscription", () => {
  const { client } = subscribed();

  assert.throws(() => client.subscribe("chat.lobby"), /already/);
});

test("publications before the first listener wait for it", async () => {
  const { client, link } = scripted();
  link.welcome();
  const subscription = client.subscribe("chat.lobby");
  const [{ id }] = link.take();

  link.tell([answer(id), publication("a"), publication("b")]);
  await subscription.ready;
  const heard = [];
  subscription.on("publication", ({ message }) => heard.push(message));

  assert.deepEqual(heard, ["a", "b"]);
});

test("iterating yields publications through reconnects", async () => {
  const { client, link, next } = scripted();
  link.welcome();
  const subscription = client.subscribe("chat.lobby");
  link.tell([answer(link.take()[0].id, { position: "0.e" }), publication("a", "1.e")]);
  const reading = read(subscription, 2);

  link.close(1006);
  const again = (await next()).welcome();
  again.tell(answer(again.take()[0].id, { recovered: true }), publication("b", "2.e"));

  assert.deepEqual(await reading, [
    { group: "chat.lobby", message: "a", position: "1.e" },
    { group: "chat.lobby", message: "b", position: "2.e" },
  ]);
});

test("a reader that falls too far behind is told", async () => {
  const { client, link } = scripted({ queue: 2 });
  link.welcome();
  const subscription = client.subscribe("chat.lobby");
  link.tell(answer(link.take()[0].id));
  const publications = subscription[Symbol.asyncIterator]();

  link.tell(publication(1), publication(2), publication(3));

  assert.equal((await publications.next()).value.message, 1);
  assert.equal((await publications.next()).value.message, 2);
  await assert.rejects(publications.next(), Overflow);
});

test("a client that is closed ends its subscriptions", async () => {
  const own = subscribed();
  own.client.close();
  const refused = subscribed();
  refused.first.close(4403);

  await assert.rejects(own.subscription.ready, Closed);
  await assert.rejects(refused.subscription.ready, Closed);
  assert.deepEqual([own.told, refused.told], [[], ["closed"]]);
  assert.throws(() => own.client.subscribe("other"), Closed);
});

test("what a listener throws goes to the client's error event", () => {
  const { subscription, frame, first, heard, errors } = subscribed();
  subscription.on("publication", () => {
    throw new Error("broken");
  });

  first.tell(answer(frame.id), publication("a", "1.e"));

  assert.deepEqual(errors.map(String), ["Error: broken"]);
  assert.deepEqual([heard, subscription.position], [["a"], "1.e"]);
});

test("publications of a group that nobody subscribed to are told", () => {
  const { client, first, frame, heard } = subscribed();
  const told = [];
  client.on("publication", (publication) => told.push(publication));
  first.tell(answer(frame.id), publication("own"));

  const joined = { type: "publication", group: "news", message: "a" };
  first.tell([{ ...joined, position: "7.e" }, joined]);

  assert.deepEqual(told, [
    { group: "news", message: "a", position: "7.e" },
    { group: "news", message: "a", position: null },
  ]);
  assert.deepEqual(heard, ["own"]);
});

test("publications that come behind an unsubscribe are not told", () => {
  const { client, subscription, first, frame } = subscribed();
  const told = [];
  client.on("publication", ({ message }) => told.push(message));
  first.tell(answer(frame.id));

  subscription.unsubscribe();
  first.tell(publication("late"));
  const { id } = first.take().at(-1);
  first.tell({ type: "reply", id, message: null });
  first.tell(publication("joined by the application"));

  assert.deepEqual(told, ["joined by the application"]);
});
