// How connections begin, end and come back.

import assert from "node:assert/strict";
import { test } from "node:test";

import { connect } from "../../../consumers/client/consumers.js";
import { read, scripted, settle } from "./scripted.js";

test("it offers the subprotocol, and is live after the welcome", () => {
  const { client, link, states } = scripted({ protocols: ["other"] });
  assert.deepEqual(client.state, { name: "connecting", attempt: 0 });

  link.open();
  assert.equal(client.state.name, "connecting");
  link.welcome({ connection: "c7" });

  assert.deepEqual(link.socket.protocols, ["consumers.v1+json", "other"]);
  assert.deepEqual(client.state, { name: "live", connection: "c7" });
  assert.equal(client.connection, "c7");
  assert.deepEqual(states, ["live"]);
  assert.deepEqual(link.take(), []);
});

test("addresses of pages are addresses of WebSockets", () => {
  const seen = [];
  class WebSocket {
    constructor(url) {
      seen.push(url);
    }
    close() {}
  }
  globalThis.location = { href: "https://example.org/rooms/1?x=2" };
  try {
    for (const url of ["/ws?a=b", "http://a/b#c", "wss://a/b", new URL("ws://a/")]) {
      connect(url, { WebSocket }).close();
    }
  } finally {
    delete globalThis.location;
  }

  assert.deepEqual(seen, ["wss://example.org/ws?a=b", "ws://a/b", "wss://a/b", "ws://a/"]);
});

test("an address or a platform that can't work is told at once", () => {
  const WebSocket = class {};

  assert.throws(() => connect("/without/a/page", { WebSocket }), TypeError);
  assert.throws(() => connect("ws://a/", { WebSocket: null }), /no WebSocket here/);
});

test("a server that chooses another subprotocol is left for good", () => {
  const { client, link } = scripted({ protocols: ["other"] });

  link.open("other");

  assert.equal(client.state.name, "closed");
  assert.match(client.state.reason, /does not speak consumers\.v1\+json/);
});

test("waits are random, double, and end at the cap", async () => {
  const { client, clock, link, next } = scripted({ reconnect: { min: 100, max: 1000 } });
  const waits = [];
  link.close(1006);
  for (let n = 0; n < 6; n++) {
    waits.push(client.state.retryIn);
    assert.equal(client.state.retryAt, clock.time + client.state.retryIn);
    assert.equal(client.state.attempt, n + 1);
    (await next()).close(1006);
  }
  clock.chance = 0.25;
  (await next()).close(1006);

  assert.deepEqual(waits, [100, 200, 400, 800, 1000, 1000]);
  assert.equal(client.state.retryIn, 250);
});

test("only a connection that lasted lets the waits begin anew", async () => {
  const { client, clock, link, next } = scripted();
  link.close(1006);
  (await next()).welcome().close(1006);
  assert.equal(client.state.retryIn, 1000);

  const lasting = (await next()).welcome();
  await clock.advance(10_000);
  lasting.close(1006);

  assert.equal(client.state.retryIn, 500);
});

for (const [code, back] of [
  ...[1001, 1006, 1011, 1012, 1013, 1014].map((code) => [code, true]),
  ...[4408, 4425, 4429, 4500, 4502, 4503, 4504].map((code) => [code, true]),
  ...[1000, 1002, 1003, 1005, 1007, 1008, 1009, 1010, 1015].map((code) => [code, false]),
  ...[3000, 4000, 4400, 4401, 4403, 4404, 4501, 4999].map((code) => [code, false]),
]) {
  test(`after ${code} it ${back ? "comes back" : "stays away"}`, () => {
    const { client, clock, link } = scripted();
    link.welcome().close(code, "why");

    const { name, code: told, reason } = client.state;
    assert.deepEqual([name, told, reason], [back ? "waiting" : "closed", code, "why"]);
    assert.equal(client.connection, null);
    assert.equal(clock.waiting, back ? 1 : 0);
  });
}

test("a goodbye decides before the code does", () => {
  const away = scripted();
  away.link.welcome().goodbye({ code: 1012, reconnect: false, detail: "moved" });
  const back = scripted();
  back.link.welcome().goodbye({ code: 1000, reconnect: true });

  assert.deepEqual(away.client.state, {
    name: "closed",
    code: 1012,
    reason: "",
    detail: "moved",
  });
  assert.equal(back.client.state.name, "waiting");
});

test("a goodbye in the place of a welcome tells why", () => {
  const { client, link } = scripted();
  const detail = { errors: { name: "too long" } };

  link.open();
  link.goodbye({ code: 4400, reconnect: false, detail });

  assert.deepEqual(client.state, { name: "closed", code: 4400, reason: "", detail });
});

test("a goodbye counts when its close gets lost", () => {
  const { client, link } = scripted();

  link.welcome().goodbye({ code: 4403, reconnect: false }, 1006);

  assert.deepEqual([client.state.name, client.state.code], ["closed", 4403]);
});

test("after a goodbye nothing is sent until the next connection", async () => {
  const { client, link, next } = scripted();
  link.welcome();

  link.tell({ type: "goodbye", code: 1012, reconnect: true });
  client.send({ type: "say" });
  assert.deepEqual(link.take(), []);
  link.close(1012);

  assert.equal((await next()).welcome().take()[0].message.type, "say");
});

test("it comes back no sooner than the server wants, whatever wakes it", async () => {
  const { client, clock, link, links } = scripted();
  link.welcome().goodbye({ code: 4503, reconnect: true, after: 60 });
  assert.equal(client.state.retryIn, 60_500);

  await clock.advance(59_999);
  client.check();
  assert.equal(links.length, 1);
  await clock.advance(1);
  client.check();

  assert.equal(links.length, 2);
});

test("without reconnecting the first end is the last", () => {
  const { client, link } = scripted({ reconnect: false });

  link.welcome().close(1006);

  assert.deepEqual([client.state.name, client.state.code], ["closed", 1006]);
});

test("an attempt that gets no answer is given up", async () => {
  const { client, clock, link } = scripted();
  link.open();

  await clock.advance(10_000);

  assert.deepEqual([client.state.name, client.state.reason], ["waiting", "no answer in time"]);
  assert.equal(link.socket.closed, 1000);
});

test("what a connection says after it was given up is ignored", async () => {
  const { client, clock, link, links } = scripted();
  const received = [];
  client.on("message", (message) => received.push(message));
  await clock.advance(10_500);
  assert.equal(links.length, 2);

  link.welcome();
  link.tell({ type: "message", message: "late" });
  link.close(4403);

  assert.equal(client.state.name, "connecting");
  assert.deepEqual(received, []);
});

test("an attempt that ends with an error event alone has failed", () => {
  const { client, link } = scripted();

  link.socket.onerror({});

  assert.deepEqual([client.state.name, client.state.code], ["waiting", 1006]);
});

test("an error event of an open connection waits for the close", () => {
  const { client, link } = scripted();
  link.welcome();

  link.socket.onerror({});
  assert.equal(client.state.name, "live");
  link.close(1011);

  assert.equal(client.state.code, 1011);
});

test("a socket that can't be made is reported, and tried again", async () => {
  let made = 0;
  class WebSocket {
    constructor() {
      made++;
      throw new Error("not from this page");
    }
  }
  const { client, clock } = scripted({ WebSocket, token: async () => null });
  const errors = [];
  client.on("error", ({ message }) => errors.push(message));
  await settle();
  assert.equal(client.state.name, "waiting");
  await clock.advance(500);

  assert.equal(made, 2);
  assert.deepEqual(errors, ["not from this page", "not from this page"]);
  client.close();
});

test("what is no frame ends the connection, which comes back", async () => {
  for (const data of ["{", "null", '{"type": "subscribed", "id": 1']) {
    const { client, link, errors, next } = scripted();
    link.welcome();

    link.raw(data);

    assert.equal(client.state.name, "waiting");
    assert.equal(errors.length, 1);
    (await next()).welcome();
    assert.equal(client.state.name, "live");
  }
});

test("frames and fields that it does not know are ignored", () => {
  const { client, link, errors } = scripted();
  link.welcome({ later: 1 });

  link.tell({ type: "later" }, { type: "constructor" }, { no: "type" });
  link.tell({ type: "reply", id: 99, message: 1 }, { type: "error", id: 99, code: "x" });
  link.tell({ type: "publication", group: "unknown", message: 1 });

  assert.equal(client.state.name, "live");
  assert.deepEqual(errors, []);
});

test("an array of frames is dealt with one after the other", async () => {
  const { client, link } = scripted();
  const received = [];
  client.on("message", (message) => received.push(message));
  link.welcome();

  const asked = client.request({ type: "a" });
  link.tell([
    { type: "message", message: 1 },
    { type: "reply", id: link.take()[0].id, message: 2 },
    { type: "message", message: 3 },
  ]);

  assert.equal(await asked, 2);
  assert.deepEqual(received, [1, 3]);
});

test("another codec names the subprotocol, and gets bytes", async () => {
  const codec = {
    name: "msgpack",
    encode: (frame) => new TextEncoder().encode(JSON.stringify(frame)),
    decode: (data) => JSON.parse(new TextDecoder().decode(data)),
  };
  const { client, link } = scripted({ codec });
  link.welcome();

  const asked = client.request({ type: "a" });
  link.tell({ type: "reply", id: link.take()[0].id, message: 2 });

  assert.deepEqual(link.socket.protocols, ["consumers.v1+msgpack"]);
  assert.equal(link.socket.binaryType, "arraybuffer");
  assert.equal(await asked, 2);
});

test("a ping is answered at once", () => {
  const { link } = scripted();
  link.welcome();

  link.tell({ type: "ping" });

  assert.deepEqual(link.take(), [{ type: "pong" }]);
});

test("a server that is silent is asked, and left after heartbeat and timeout", async () => {
  const { client, clock, link } = scripted();
  link.welcome();

  await clock.advance(20_000);
  link.tell({ type: "message", message: 1 });
  await clock.advance(29_999);
  assert.deepEqual(link.take(), []);
  await clock.advance(1);
  assert.deepEqual(link.take(), [{ type: "ping" }]);
  await clock.advance(4_999);
  assert.equal(client.state.name, "live");
  await clock.advance(1);

  assert.equal(client.state.reason, "nothing came from the server");
  assert.equal(link.socket.closed, 1000);
});

test("a server that answers the ping stays", async () => {
  const { client, clock, link } = scripted();
  link.welcome();

  for (let n = 0; n < 3; n++) {
    await clock.advance(30_000);
    assert.deepEqual(link.take(), [{ type: "ping" }]);
    link.tell({ type: "pong" });
  }

  assert.equal(client.state.name, "live");
});

test("a server without heartbeat may be silent for ever", async () => {
  const { client, clock, link } = scripted();
  link.welcome({ heartbeat: null });

  await clock.advance(1e9);

  assert.equal(client.state.name, "live");
  client.check();
  assert.deepEqual(link.take(), [{ type: "ping" }]);
  await clock.advance(5_000);
  assert.equal(client.state.name, "waiting");
});

test("a tab that slept comes back at once", async () => {
  const { client, clock, link, links } = scripted();
  link.welcome();

  clock.sleep(3_600_000);
  client.check();
  await clock.advance(0);

  assert.equal(links.length, 2);
  assert.deepEqual(link.take(), []);
});

test("a check asks a live server, once, and gives it half the timeout", async () => {
  const { client, clock, link } = scripted();
  link.welcome();
  await clock.advance(7000);

  client.check();
  client.check();
  assert.deepEqual(link.take(), [{ type: "ping" }]);
  link.tell({ type: "pong" });
  await clock.advance(5000);
  assert.equal(client.state.name, "live");
  client.check();
  await clock.advance(5000);

  assert.equal(client.state.name, "waiting");
});

/** Give this process a browser's events for one test. */
function browser(t) {
  const page = new EventTarget();
  const parts = {
    navigator: { onLine: true },
    document: { visibilityState: "visible" },
    addEventListener: page.addEventListener.bind(page),
    removeEventListener: page.removeEventListener.bind(page),
  };
  for (const [name, value] of Object.entries(parts)) {
    const before = Object.getOwnPropertyDescriptor(globalThis, name);
    Object.defineProperty(globalThis, name, { value, configurable: true });
    t.after(() => {
      delete globalThis[name];
      if (before) Object.defineProperty(globalThis, name, before);
    });
  }
  return { ...parts, fire: (type) => page.dispatchEvent(new Event(type)) };
}

test("a browser without network is offline until it has one", async (t) => {
  const { navigator, fire } = browser(t);
  const { client, clock, link, links, states } = scripted();
  link.welcome();

  navigator.onLine = false;
  fire("offline");
  await clock.advance(5000);
  assert.equal(client.state.name, "offline");
  navigator.onLine = true;
  fire("online");

  assert.equal(links.length, 2);
  assert.deepEqual(states, ["live", "offline", "connecting"]);
});

test("offline and online show while it waits, too", (t) => {
  const { navigator, fire } = browser(t);
  const { client, link } = scripted();
  link.goodbye({ code: 1012, reconnect: true, after: 60 });
  const { retryAt } = client.state;

  navigator.onLine = false;
  fire("offline");
  assert.deepEqual([client.state.name, client.state.retryAt], ["offline", retryAt]);
  navigator.onLine = true;
  fire("online");

  assert.deepEqual([client.state.name, client.state.retryAt], ["waiting", retryAt]);
});

test("a tab that is shown connects, and one that is hidden does nothing", (t) => {
  const { document, fire } = browser(t);
  const { link, links } = scripted();
  link.close(1006);

  document.visibilityState = "hidden";
  fire("visibilitychange");
  assert.equal(links.length, 1);
  document.visibilityState = "visible";
  fire("visibilitychange");

  assert.equal(links.length, 2);
});

test("a closed client hears no events, and has no timers", async (t) => {
  const { fire } = browser(t);
  const { client, clock, link, links, states } = scripted({ token: async () => "t" });
  await settle();
  const first = links[0];
  first.welcome({ expires: 100 });
  client.request({ type: "a" }, { deadline: 1000 }).catch(() => {});

  client.close();
  client.close();
  fire("online");
  first.close(1006);

  assert.equal(link, undefined);
  assert.equal(clock.waiting, 0);
  assert.equal(first.socket.closed, 1000);
  assert.deepEqual(states, ["live", "closed"]);
  assert.deepEqual(client.state, { name: "closed", code: 1000, reason: "" });
  assert.equal(links.length, 1);
});

test("a closed client stops waiting", async () => {
  const { client, clock, link, links } = scripted();
  link.close(1006);

  client.close();
  client.check();
  await clock.advance(60_000);

  assert.equal(links.length, 1);
});

test("the token is sent in the query of each connection", async () => {
  const tokens = ["a b", "c&d", null];
  const { links, next } = scripted({ token: async () => tokens.shift() });
  await settle();
  links[0].close(1006);
  (await next()).close(1006);
  await next();
  const fixed = scripted({ token: "t" });

  const sent = [...links, fixed.link].map(({ url }) => url.searchParams.get("token"));
  assert.deepEqual(sent, ["a b", "c&d", null, "t"]);
});

test("the token is offered as a subprotocol where that is asked for", () => {
  const { link } = scripted({ token: "a.b-c", tokenAs: "subprotocol", protocols: ["mine"] });

  assert.deepEqual(link.socket.protocols, ["consumers.v1+json", "mine", "bearer.a.b-c"]);
  assert.equal(link.url.search, "");
});

test("a token that can't be had is reported, and asked for again", async () => {
  const answers = [Promise.reject(new Error("no network")), "t"];
  const { client, links, errors, next } = scripted({ token: () => answers.shift() });
  await settle();

  assert.equal(client.state.name, "waiting");
  assert.deepEqual(errors.map(String), ["Error: no network"]);
  await next();
  assert.equal(links.length, 1);
});

test("a token that does not come is an attempt without an answer", async () => {
  const { client, clock, links } = scripted({ token: () => new Promise(() => {}) });

  await clock.advance(10_000);

  assert.equal(client.state.name, "waiting");
  assert.equal(links.length, 0);
});

test("after 4401 there is one more try, with a new token", async () => {
  const asked = [];
  const token = async ({ renew }) => `t${asked.push(renew)}`;
  const { client, links, next } = scripted({ token });
  await settle();
  links[0].open();
  links[0].goodbye({ code: 4401, reconnect: false });
  const second = await next();
  assert.equal(second.url.searchParams.get("token"), "t2");
  second.welcome().close(4401);
  (await next()).close(4401);

  assert.deepEqual(asked, [false, true, true]);
  assert.deepEqual([client.state.name, client.state.code], ["closed", 4401]);
});

test("a refused token that is no function is final", () => {
  const { client, link } = scripted({ token: "t" });

  link.close(4401);

  assert.equal(client.state.name, "closed");
});

test("a credential is renewed before it ends, again and again", async () => {
  let count = 0;
  const { clock, links } = scripted({ token: async () => `t${++count}` });
  await settle();
  const [link] = links;
  link.welcome({ heartbeat: null, expires: 3600 });

  await clock.advance(3_539_999);
  assert.deepEqual(link.take(), []);
  await clock.advance(1);
  const [{ type, id, token }] = link.take();
  assert.deepEqual([type, token], ["refresh", "t2"]);
  link.tell({ type: "reply", id, message: { expires: 10 } });
  await clock.advance(8000);
  const [second] = link.take();
  link.tell({ type: "reply", id: second.id, message: { expires: null } });
  await clock.advance(1e9);

  assert.equal(second.token, "t3");
  assert.deepEqual(link.take(), []);
});

test("a credential that ends in years is renewed when a timer can wait no longer", async () => {
  const { clock, links } = scripted({ token: async () => "t" });
  await settle();
  links[0].welcome({ heartbeat: null, expires: 1e9 });

  await clock.advance(1000);
  assert.deepEqual(links[0].take(), []);
  await clock.advance(2 ** 31);

  assert.equal(links[0].take()[0].type, "refresh");
});

test("a renewal that fails is reported, and the connection goes on", async () => {
  const answers = ["t", "worse"];
  const token = async () => {
    if (!answers.length) throw new Error("no network");
    return answers.shift();
  };
  const { client, clock, links, errors } = scripted({ token });
  await settle();
  const [link] = links;
  link.welcome({ expires: 10 });
  await clock.advance(8000);
  link.tell({ type: "error", id: link.take()[0].id, code: "not_allowed" });
  link.close(1006);
  answers.push("t");
  await clock.advance(500);
  links[1].welcome({ expires: 10 });
  await clock.advance(8000);

  assert.deepEqual(errors.map(String), ["MessageError: not_allowed", "Error: no network"]);
  assert.equal(client.state.name, "live");
});

test("messages are told to listeners until they end it", () => {
  const { client, link } = scripted();
  const [one, two] = [[], []];
  const off = client.on("message", (message) => one.push(message));
  client.on("message", (message) => two.push(message));
  link.welcome();

  link.tell({ type: "message", message: 1 });
  off();
  link.tell({ type: "message", message: 2 });

  assert.deepEqual([one, two], [[1], [1, 2]]);
});

test("messages that come before the first listener wait for it", async () => {
  const listening = scripted();
  const iterating = scripted();
  for (const { link } of [listening, iterating]) {
    link.welcome();
    link.tell({ type: "message", message: 1 }, { type: "message", message: 2 });
  }

  const heard = [];
  listening.client.on("message", (message) => heard.push(message));
  listening.link.tell({ type: "message", message: 3 });

  assert.deepEqual(heard, [1, 2, 3]);
  assert.deepEqual(await read(iterating.client, 2), [1, 2]);
});

test("messages that nobody takes are told to be too many", async () => {
  const { client, link, errors } = scripted({ queue: 1 });
  link.welcome();
  const heard = [];

  link.tell({ type: "message", message: 1 }, { type: "message", message: 2 });
  assert.deepEqual(errors, []);
  client.on("message", (message) => heard.push(message));

  assert.deepEqual(heard, [1]);
  assert.deepEqual(
    errors.map(({ code }) => code),
    ["overflow"],
  );
});

test("iterating goes on through reconnects, and ends with the client", async () => {
  const { client, link, next } = scripted();
  link.welcome();
  const reading = read(client);

  link.tell({ type: "message", message: 1 });
  link.close(1006);
  (await next()).welcome().tell({ type: "message", message: 2 });
  await settle();
  client.close();

  assert.deepEqual(await reading, [1, 2]);
  assert.deepEqual(await read(client), []);
});

test("iterating fails when the server closes for good", async () => {
  const { client, link } = scripted();
  link.welcome();
  link.tell({ type: "message", message: 1 });

  link.close(4403);
  const messages = client[Symbol.asyncIterator]();

  assert.equal((await messages.next()).value, 1);
  await assert.rejects(messages.next(), (error) => {
    assert.deepEqual([error.name, error.detail.code], ["Closed", 4403]);
    return true;
  });
});

test("what listeners throw stops nobody, and is reported", async () => {
  const { client, link, errors } = scripted();
  const received = [];
  client.on("message", () => {
    throw new Error("sync");
  });
  client.on("message", async () => {
    throw new Error("async");
  });
  client.on("state", () => {
    throw new Error("state");
  });
  client.on("message", (message) => received.push(message));
  link.welcome();

  link.tell({ type: "message", message: 1 });
  await settle();

  assert.deepEqual(received, [1]);
  assert.deepEqual(
    errors.map(({ message }) => message),
    ["state", "sync", "async"],
  );
  assert.equal(client.state.name, "live");
});

test("errors that nobody listens to go to the console", (t) => {
  const { client, link } = scripted();
  const console = t.mock.method(globalThis.console, "error", () => {});
  client.on("error", () => {
    throw new Error("a broken listener");
  });
  link.welcome();

  link.tell({ type: "error", code: "unknown_type" });

  assert.equal(console.mock.calls[0].arguments[0].message, "a broken listener");
});

test("a listener may close the client", () => {
  const { client, clock, link } = scripted();
  client.send({ type: "a" });
  client.on("state", ({ name }) => name === "waiting" && client.close());
  link.welcome();
  link.close(1006);

  assert.equal(client.state.name, "closed");
  assert.equal(clock.waiting, 0);
});
