// Requests, streams and messages, on one connection and through several.

import assert from "node:assert/strict";
import { test } from "node:test";

import {
  Closed,
  ConnectionLost,
  DeadlineExceeded,
  MessageError,
  OfflineFull,
  Overflow,
} from "../../../consumers/client/consumers.js";
import { read, scripted, settle } from "./scripted.js";

const SAY = { type: "say", text: "hi" };

test("a request is answered by the reply with its id", async () => {
  const { client, link } = scripted();
  link.welcome();

  const [first, second] = [client.request(SAY), client.request(SAY)];
  const [a, b] = link.take();
  link.tell({ type: "reply", id: b.id, message: 2 }, { type: "reply", id: a.id, message: 1 });

  assert.deepEqual([a.type, a.message], ["request", SAY]);
  assert.deepEqual(await Promise.all([first, second]), [1, 2]);
});

test("each request has a key of its own that can't be guessed", () => {
  const { client, link } = scripted();
  const other = scripted();
  link.welcome();
  other.link.welcome();

  for (const it of [client, client, other.client]) it.request(SAY).catch(() => {});
  const keys = [...link.take(), ...other.link.take()].map(({ key }) => key);

  for (const key of keys) assert.match(key, /^(\d+-){4}\d+$/);
  assert.equal(new Set(keys).size, 3);
  assert.notEqual(keys[0].split("-")[0], keys[2].split("-")[0]);
});

test("an error rejects the request with code and detail", async () => {
  const { client, link, errors } = scripted();
  link.welcome();

  const asked = client.request(SAY);
  link.tell({ type: "error", id: link.take()[0].id, code: "no_such_room", detail: { room: 1 } });

  await assert.rejects(asked, (error) => {
    assert.ok(error instanceof MessageError);
    assert.deepEqual([error.code, error.detail], ["no_such_room", { room: 1 }]);
    return true;
  });
  assert.deepEqual(errors, []);
});

test("an error without an id is reported", () => {
  const { client, link, errors } = scripted();
  link.welcome();

  client.send({ type: "sing" });
  link.tell({ type: "error", code: "unknown_type" });

  assert.deepEqual(
    errors.map(({ code }) => code),
    ["unknown_type"],
  );
});

test("a request that takes too long is rejected and cancelled", async () => {
  const { client, link, clock } = scripted({ deadline: 5000 });
  link.welcome();

  const short = client.request(SAY, { deadline: 1000 });
  const long = client.request(SAY);
  const [{ id }] = link.take();
  short.catch(() => {});
  await clock.advance(999);
  assert.deepEqual(link.take(), []);
  await clock.advance(1);

  await assert.rejects(short, DeadlineExceeded);
  assert.deepEqual(link.take(), [{ type: "cancel", id }]);
  long.catch(() => {});
  await clock.advance(4000);
  await assert.rejects(long, DeadlineExceeded);
});

test("a deadline of years is no deadline", async () => {
  const { client, link, clock } = scripted();
  link.welcome();

  client.request(SAY, { deadline: 1e12 });
  client.request(SAY, { deadline: null });
  await clock.advance(1000);

  assert.equal(link.take().length, 2);
});

test("an aborted request is rejected with the signal's reason and cancelled", async () => {
  const { client, link } = scripted();
  link.welcome();
  const abort = new AbortController();

  const asked = client.request(SAY, { signal: abort.signal });
  const [{ id }] = link.take();
  abort.abort(new Error("enough"));

  await assert.rejects(asked, /enough/);
  assert.deepEqual(link.take(), [{ type: "cancel", id }]);
});

test("a request with an aborted signal is never sent", async () => {
  const { client, link } = scripted();
  link.welcome();

  await assert.rejects(client.request(SAY, { signal: AbortSignal.abort(new Error("no")) }), /no/);

  assert.deepEqual(link.take(), []);
});

test("what can't be encoded is rejected where it is asked", async () => {
  const { client, link } = scripted();
  link.welcome();

  await assert.rejects(client.request({ type: "say", text: 1n }), TypeError);
  assert.throws(() => client.send({ type: "say", text: 1n }), TypeError);

  assert.equal(client.state.name, "live");
  assert.deepEqual(link.take(), []);
});

test("no more requests are unanswered than the server allows", async () => {
  const { client, link } = scripted();
  link.welcome({ requests: 2 });

  const asked = [1, 2, 3].map((n) => client.request({ type: "say", n }));
  client.send({ type: "after", n: 4 });
  const sent = link.take();
  assert.deepEqual(
    sent.map(({ message }) => message.n),
    [1, 2],
  );
  link.tell({ type: "reply", id: sent[1].id, message: "second" });

  assert.equal(await asked[1], "second");
  assert.deepEqual(
    link.take().map(({ message }) => message.n),
    [3, 4],
  );
});

test("a cancelled request counts until the server has answered", () => {
  const { client, link } = scripted();
  link.welcome({ requests: 1 });
  const abort = new AbortController();

  client.request(SAY, { signal: abort.signal }).catch(() => {});
  client.request(SAY).catch(() => {});
  const [{ id }] = link.take();
  abort.abort();
  assert.deepEqual(link.take(), [{ type: "cancel", id }]);
  link.tell({ type: "error", id, code: "cancelled" });

  assert.equal(link.take()[0].type, "request");
});

test("what is asked and sent before the welcome waits for it, in order", async () => {
  const { client, link } = scripted();

  client.send({ type: "a" });
  client.request({ type: "b" }).catch(() => {});
  client.send({ type: "c" });
  link.open();
  assert.deepEqual(link.take(), []);
  link.welcome();

  assert.deepEqual(
    link.take().map(({ message }) => message.type),
    ["a", "b", "c"],
  );
});

test("a message is encoded when it is sent, not when it leaves", () => {
  const { client, link } = scripted();
  const message = { type: "say", text: "before" };

  client.send(message);
  message.text = "after";
  link.welcome();

  assert.equal(link.take()[0].message.text, "before");
});

test("unanswered requests are sent again, first and with their key", async () => {
  const { client, link, clock, next } = scripted();
  link.welcome();
  const first = client.request({ type: "first" });
  const done = client.request({ type: "done" });
  const [{ key }, { id }] = link.take();
  link.tell({ type: "reply", id, message: 1 });
  await done;

  link.close(1006);
  client.send({ type: "second" });
  client.request({ type: "third" }).catch(() => {});
  const again = (await next()).welcome();
  const sent = again.take();

  assert.deepEqual(
    sent.map(({ message }) => message.type),
    ["first", "second", "third"],
  );
  assert.equal(sent[0].key, key);
  again.tell({ type: "reply", id: sent[0].id, message: "answer" });
  assert.equal(await first, "answer");
  await clock.advance(0);
  assert.deepEqual(again.take(), []);
});

test("a request that was given up is not sent again", async () => {
  const { client, link, next } = scripted();
  link.welcome();
  const abort = new AbortController();
  client.request(SAY, { signal: abort.signal }).catch(() => {});
  link.take();

  abort.abort();
  link.close(1006);
  client.request({ type: "other" }, { signal: AbortSignal.timeout(1e6) }).catch(() => {});
  const again = (await next()).welcome();

  assert.deepEqual(
    again.take().map(({ message }) => message.type),
    ["other"],
  );
});

test("the limit of the new connection holds for what is sent again", async () => {
  const { client, link, next } = scripted();
  link.welcome();
  for (const n of [1, 2, 3]) client.request({ type: "say", n }).catch(() => {});

  link.close(1006);
  const again = (await next()).welcome({ requests: 2 });

  const sent = again.take();
  assert.deepEqual(
    sent.map(({ message }) => message.n),
    [1, 2],
  );
  again.tell({ type: "reply", id: sent[0].id, message: null });
  assert.equal(again.take()[0].message.n, 3);
});

test("a request's deadline goes on while there is no connection", async () => {
  const { client, clock, link, next } = scripted();

  const asked = client.request(SAY, { deadline: 1000 });
  asked.catch(() => {});
  await clock.advance(1000);
  await assert.rejects(asked, DeadlineExceeded);
  link.close(1006);

  assert.deepEqual((await next()).welcome().take(), []);
});

test("a full buffer rejects what is new, and keeps what it has", async () => {
  const { client, link, next } = scripted({ offline: 2 });
  link.welcome();
  const flying = client.request({ type: "flying" });
  flying.catch(() => {});

  link.close(1006);
  client.send({ type: "a" });
  client.request({ type: "b" }).catch(() => {});
  assert.throws(() => client.send({ type: "c" }), OfflineFull);
  await assert.rejects(client.request({ type: "d" }), OfflineFull);
  assert.deepEqual(await read(client.stream({ type: "e" })).catch(({ code }) => code), "full");

  assert.deepEqual(
    (await next()).welcome().take().map(({ message }) => message.type),
    ["flying", "a", "b"],
  );
});

test("a buffer of none still sends what can leave at once", () => {
  const { client, link } = scripted({ offline: 0 });
  assert.throws(() => client.send(SAY), OfflineFull);

  link.welcome();
  client.send(SAY);

  assert.equal(link.take().length, 1);
});

test("a stream yields its items and ends", async () => {
  const { client, link } = scripted();
  link.welcome();

  const stream = client.stream({ type: "ask" });
  const [{ id, key }] = link.take();
  link.tell({ type: "item", id, message: "to" }, { type: "item", id, message: "be" });
  link.tell({ type: "done", id });

  assert.equal(key, undefined);
  assert.deepEqual(await read(stream), ["to", "be"]);
  assert.deepEqual(link.take(), []);
});

test("items come to a reader that waits", async () => {
  const { client, link } = scripted();
  link.welcome();
  const stream = client.stream({ type: "ask" });
  const [{ id }] = link.take();

  const reading = read(stream);
  await settle();
  link.tell({ type: "item", id, message: 1 });
  await settle();
  link.tell({ type: "item", id, message: 2 }, { type: "done", id });

  assert.deepEqual(await reading, [1, 2]);
});

test("a stream that fails gives its items first", async () => {
  const { client, link } = scripted();
  link.welcome();
  const stream = client.stream({ type: "ask" });
  const [{ id }] = link.take();

  link.tell({ type: "item", id, message: 1 }, { type: "error", id, code: "timeout" });

  assert.deepEqual(await stream.next(), { value: 1, done: false });
  await assert.rejects(stream.next(), { code: "timeout" });
  assert.equal((await stream.next()).done, true);
});

test("leaving the loop cancels the stream", async () => {
  const { client, link } = scripted();
  link.welcome();
  const stream = client.stream({ type: "ask" });
  const [{ id }] = link.take();

  link.tell({ type: "item", id, message: 1 });
  assert.deepEqual(await read(stream, 1), [1]);

  assert.deepEqual(link.take(), [{ type: "cancel", id }]);
  link.tell({ type: "item", id, message: 2 }, { type: "error", id, code: "cancelled" });
  assert.equal((await stream.next()).done, true);
});

test("an aborted stream fails with the signal's reason, and is cancelled", async () => {
  const { client, link } = scripted();
  link.welcome();
  const abort = new AbortController();
  const stream = client.stream({ type: "ask" }, { signal: abort.signal });
  const [{ id }] = link.take();

  const reading = stream.next();
  abort.abort(new Error("stop"));

  await assert.rejects(reading, /stop/);
  assert.deepEqual(link.take(), [{ type: "cancel", id }]);
});

test("a stream is lost with its connection, and not sent again", async () => {
  const { client, link, next } = scripted();
  link.welcome();
  const stream = client.stream({ type: "ask" });
  const [{ id }] = link.take();
  link.tell({ type: "item", id, message: 1 });

  link.close(1006);

  assert.equal((await stream.next()).value, 1);
  await assert.rejects(stream.next(), ConnectionLost);
  assert.deepEqual((await next()).welcome().take(), []);
});

test("a stream that was not sent waits for the connection", async () => {
  const { client, link, next } = scripted();
  link.close(1006);

  const stream = client.stream({ type: "ask" });
  const again = (await next()).welcome();
  const [{ id }] = again.take();
  again.tell({ type: "done", id });

  assert.deepEqual(await read(stream), []);
});

test("a stream that nobody reads fails when it holds too much", async () => {
  const { client, link } = scripted({ queue: 2 });
  link.welcome();
  const stream = client.stream({ type: "ask" });
  const [{ id }] = link.take();

  for (const n of [1, 2, 3, 4]) link.tell({ type: "item", id, message: n });

  assert.deepEqual(link.take(), [{ type: "cancel", id }]);
  assert.deepEqual([(await stream.next()).value, (await stream.next()).value], [1, 2]);
  await assert.rejects(stream.next(), Overflow);
});

test("a stream of one reply yields it", async () => {
  const { client, link } = scripted();
  link.welcome();
  const stream = client.stream({ type: "ask" });

  link.tell({ type: "reply", id: link.take()[0].id, message: 7 });

  assert.deepEqual(await read(stream), [7]);
});

test("a request that is answered by a stream says so", async () => {
  const { client, link } = scripted();
  link.welcome();
  const asked = client.request({ type: "ask" });
  const [{ id }] = link.take();

  link.tell({ type: "item", id, message: 1 });

  await assert.rejects(asked, { code: "stream" });
  assert.deepEqual(link.take(), [{ type: "cancel", id }]);
});

test("closing rejects all that waits, and tells of what was not sent", async () => {
  const { client, link, errors } = scripted();
  link.welcome();
  const flying = client.request(SAY);
  const stream = client.stream(SAY);
  link.close(1006);
  client.send(SAY);
  client.send(SAY);
  const waiting = client.request(SAY);

  client.close();

  for (const asked of [flying, waiting]) await assert.rejects(asked, Closed);
  await assert.rejects(read(stream), ConnectionLost);
  assert.deepEqual(errors.map(String), ["Closed: 2 messages were not sent"]);
  assert.throws(() => client.send(SAY), Closed);
  await assert.rejects(client.request(SAY), Closed);
  await assert.rejects(read(client.stream(SAY)), Closed);
});

test("the server's requests are answered by type", async () => {
  const { client, link } = scripted();
  link.welcome();
  const off = client.answer("question", async ({ text }) => ({ type: "answer", text }));

  link.tell({ type: "request", id: 1, message: { type: "question", text: "6 x 7" } });
  link.tell({ type: "request", id: 2, message: { type: "riddle" } });
  link.tell({ type: "request", id: 3, message: null });
  await settle();
  off();
  link.tell({ type: "request", id: 4, message: { type: "question" } });
  await settle();

  const sent = Object.fromEntries(link.take().map(({ id, ...rest }) => [id, rest]));
  const unknown = { type: "error", code: "unknown_type" };
  assert.deepEqual(sent, {
    1: { type: "reply", message: { type: "answer", text: "6 x 7" } },
    2: unknown,
    3: unknown,
    4: unknown,
  });
});

test("an answer that fails is an error, and its cause stays here", async () => {
  const { client, link, errors } = scripted();
  link.welcome();
  client.answer("known", () => {
    throw new MessageError("busy", "later");
  });
  client.answer("unknown", () => {
    throw new Error("a secret");
  });
  client.answer("nothing", () => undefined);
  client.answer("unsendable", () => 1n);

  for (const [n, type] of ["known", "unknown", "nothing", "unsendable"].entries()) {
    link.tell({ type: "request", id: n + 1, message: { type } });
    await settle();
  }

  assert.deepEqual(link.take(), [
    { type: "error", id: 1, code: "busy", detail: "later" },
    { type: "error", id: 2, code: "internal" },
    { type: "reply", id: 3, message: null },
    { type: "error", id: 4, code: "internal" },
  ]);
  assert.deepEqual(errors[0].message, "a secret");
  assert.equal(errors.length, 2);
});

test("a cancelled answer is not sent, and told so", async () => {
  const { client, link, errors, next } = scripted();
  link.welcome();
  const signals = [];
  client.answer("question", (_, { signal }) => {
    signals.push(signal);
    return new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
  });

  link.tell({ type: "request", id: 1, message: { type: "question" } });
  link.tell({ type: "cancel", id: 1 });
  link.tell({ type: "request", id: 2, message: { type: "question" } });
  link.close(1006);
  await settle();
  const again = (await next()).welcome();
  await settle();

  assert.deepEqual(
    signals.map(({ aborted }) => aborted),
    [true, true],
  );
  assert.deepEqual([...link.take(), ...again.take(), ...errors], []);
});
