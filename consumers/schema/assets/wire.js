// Connections: a plain one, and one that speaks consumers.v1. Both tell every frame.

import { connect } from "consumers";

const bytes = (data) => (typeof data === "string"
  ? new TextEncoder().encode(data).length
  : data.byteLength);

/** A WebSocket class whose sockets tell `watch` what goes over them. */
function watched(watch) {
  return class extends WebSocket {
    #began = performance.now();

    constructor(url, protocols) {
      super(url, protocols);
      this.binaryType = "arraybuffer";
      const tell = (event) => watch({ at: performance.now() - this.#began, ...event });
      this.tell = tell;
      tell({ kind: "connecting", url: this.url });
      this.addEventListener("open", () => {
        this.opened = true;
        tell({ kind: "open", protocol: this.protocol });
      });
      this.addEventListener("message", ({ data }) =>
        tell({ kind: "in", data, size: bytes(data) }));
      this.addEventListener("close", ({ code, reason, wasClean }) =>
        tell({ kind: "close", code, reason, wasClean, opened: Boolean(this.opened) }));
    }

    send(data) {
      super.send(data);
      this.tell({ kind: "out", data, size: bytes(data) });
    }
  };
}

/** A text with the token that browsers can't put into a header. */
const withToken = (url, token) => {
  if (!token) return url;
  const made = new URL(url);
  made.searchParams.set("token", token);
  return made.href;
};

/**
 * Connect without a subprotocol: messages are bare, and correlated by an `id` in them.
 *
 * `watch(event)` learns every frame, `changed(state)` what state it is in. An answer
 * goes to the `answer` of its request: {item(value), done(value), failed(error)}.
 */
export function plain(url, { token, watch, changed, encode }) {
  const socket = new (watched(watch))(withToken(url, token));
  const pending = new Map();
  let last = 0;
  const fail = (error) => {
    for (const answer of pending.values()) answer.failed(error);
    pending.clear();
  };
  socket.addEventListener("open", () => changed({ name: "live" }));
  socket.addEventListener("close", ({ code }) => {
    changed({ name: "closed", code });
    fail({ code: "lost", detail: "the connection ended" });
  });
  socket.addEventListener("message", ({ data }) => {
    const frame = parsed(data);
    const answer = pending.get(frame?.id);
    if (!answer) return;
    if ("item" in frame) {
      answer.item(frame.item);
      return;
    }
    if ("error" in frame) answer.failed(frame.error);
    else if ("reply" in frame) answer.done(frame.reply);
    else if (frame.done === true) answer.done();
    else return; // a message of the application's own that has an id
    pending.delete(frame.id);
  });
  changed({ name: "connecting" });
  return {
    send: (message) => socket.send(encode(message)),
    request(message, answer) {
      const id = ++last;
      pending.set(id, answer);
      socket.send(encode({ ...message, id }));
      return { id, cancel: () => socket.send(encode({ cancel: id })) };
    },
    close: () => socket.close(1000),
  };
}

/** Connect with consumers.v1, by the client that applications use. */
export function framed(url, { token, watch, changed, codec }) {
  const client = connect(url, {
    WebSocket: watched(watch), ...(token && { token }), ...(codec && { codec }),
  });
  client.on("state", changed);
  client.on("error", () => {}); // seen among the frames
  changed(client.state);
  const failed = (answer) => (error) => answer.failed(
    error.name === "AbortError" ? { code: "cancelled" }
      : { code: error.code ?? error.name, detail: error.detail ?? (error.code ? undefined : error.message) });
  return {
    send(message) {
      Promise.resolve(client.send(message)).catch(() => {});
    },
    request(message, answer, streams) {
      const stop = new AbortController();
      const { signal } = stop;
      const work = streams
        ? (async () => {
          for await (const item of client.stream(message, { signal })) answer.item(item);
          answer.done();
        })()
        : client.request(message, { signal }).then((reply) => answer.done(reply));
      work.catch(failed(answer));
      return { cancel: () => stop.abort() };
    },
    subscribe(group, position, told) {
      const subscription = client.subscribe(group, { position: position || undefined });
      for (const event of ["subscribed", "publication", "unsubscribed"]) {
        subscription.on(event, (detail) => told(event, detail, subscription));
      }
      subscription.ready.catch((error) => told("failed", error, subscription));
      return () => subscription.unsubscribe();
    },
    close: () => client.close(),
  };
}

/** What a frame says, `undefined` if it is no JSON. */
export function parsed(data) {
  if (typeof data !== "string") return undefined;
  try {
    return JSON.parse(data);
  } catch {
    return undefined;
  }
}
