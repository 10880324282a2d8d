// A server that does what a test says, and a clock that goes when a test says.

import { connect } from "../../../consumers/client/consumers.js";

export class Clock {
  time = 1_000_000;
  chance = 1; // what `random` returns
  #timers = new Map();
  #ids = 0;

  now = () => this.time;
  random = () => this.chance;
  clearTimeout = (id) => void this.#timers.delete(id);
  setTimeout = (act, ms) => {
    this.#timers.set(++this.#ids, { act, due: this.time + ms });
    return this.#ids;
  };

  get waiting() {
    return this.#timers.size;
  }

  /** Let time pass, timer by timer. */
  async advance(ms) {
    const end = this.time + ms;
    await settle();
    for (;;) {
      const due = [...this.#timers].filter(([, timer]) => timer.due <= end);
      if (!due.length) break;
      const [id, timer] = due.reduce((first, next) => (next[1].due < first[1].due ? next : first));
      this.#timers.delete(id);
      this.time = Math.max(this.time, timer.due);
      timer.act();
      await settle();
    }
    this.time = end;
  }

  /** A tab that slept: time has passed, and no timer has run. */
  sleep(ms) {
    this.time += ms;
  }
}

/** Wait until all promises that can be kept are kept. */
export const settle = () => new Promise((resolve) => setImmediate(resolve));

/** The server's end of one connection. */
export class Link {
  sent = []; // frames of the client that no test has looked at

  constructor(socket, codec) {
    this.socket = socket;
    this.codec = codec;
  }

  get url() {
    return new URL(this.socket.url);
  }

  open(protocol = this.socket.protocols[0]) {
    this.socket.readyState = 1;
    this.socket.protocol = protocol;
    this.socket.onopen?.({});
  }

  /** Send frames, each in a message of its own. */
  tell(...frames) {
    for (const frame of frames) this.raw(this.codec.encode(frame));
  }

  raw(data) {
    const binary = typeof data !== "string";
    this.socket.onmessage?.({ data: binary ? data.buffer.slice(0, data.length) : data });
  }

  welcome(frame = {}) {
    this.open();
    const terms = { connection: "c1", heartbeat: 25, timeout: 10, requests: 64 };
    this.tell({ type: "welcome", ...terms, ...frame });
    return this;
  }

  close(code, reason = "") {
    this.socket.readyState = 3;
    this.socket.onclose?.({ code, reason });
  }

  goodbye(frame, code = frame.code) {
    this.tell({ type: "goodbye", ...frame });
    this.close(code);
  }

  /** Return what the client has sent since the last time. */
  take() {
    return this.sent.splice(0);
  }
}

const JSON_CODEC = { encode: JSON.stringify, decode: JSON.parse };

/** Return a client, its clock, and the connections that it makes. */
export function scripted(options = {}) {
  const clock = new Clock();
  const links = [];
  const codec = options.codec ?? JSON_CODEC;
  class WebSocket {
    readyState = 0;
    protocol = "";

    constructor(url, protocols) {
      Object.assign(this, { url, protocols });
      links.push((this.link = new Link(this, codec)));
    }

    send(data) {
      if (this.readyState !== 1) throw new Error("sent what nobody gets");
      this.link.sent.push(codec.decode(data));
    }

    close(code) {
      this.readyState = Math.max(this.readyState, 2);
      this.closed = code;
    }
  }
  const client = connect("ws://server/chat", { WebSocket, timers: clock, ...options });
  const states = [];
  const errors = [];
  client.on("state", (state) => states.push(state.name));
  client.on("error", (error) => errors.push(error));
  return {
    client,
    clock,
    links,
    states,
    errors,
    get link() {
      return links.at(-1);
    },
    /** Let the time pass until the next attempt, and return it. */
    async next() {
      const count = links.length;
      await clock.advance(client.state.retryAt - clock.time);
      if (links.length !== count + 1) throw new Error("it has not come back");
      return links.at(-1);
    },
  };
}

/** Read up to `count` items, or to the end. */
export async function read(iterable, count = Infinity) {
  const items = [];
  if (count === 0) return items;
  for await (const item of iterable) {
    items.push(item);
    if (items.length >= count) break;
  }
  return items;
}
