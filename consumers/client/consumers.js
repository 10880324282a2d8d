// The client of consumers.v1, for browsers and for Node.js. Its types and what each name
// promises: consumers.d.ts. Times are in milliseconds, on the wire in seconds.

const VERSION = "consumers.v1";
const CONNECTING = 10_000; // how long an attempt may take, the token included
const LASTED = 10_000; // a connection that lived so long was no failure
const RETURNS = [
  1001, 1006, 1011, 1012, 1013, 1014, 4408, 4425, 4429, 4500, 4502, 4503, 4504,
];
// A subscription that was there before is not given up for these.
const PASSING = ["internal", "timeout", "rate_limited"];
const WAKING = ["online", "offline", "visibilitychange"];

export class ConsumersError extends Error {
  constructor(code, detail, text = typeof detail === "string" ? `${code}: ${detail}` : code) {
    super(text);
    this.name = new.target.name;
    this.code = code;
    this.detail = detail;
  }
}
export class MessageError extends ConsumersError {}
export class ConnectionLost extends ConsumersError {}
export class DeadlineExceeded extends ConsumersError {}
export class OfflineFull extends ConsumersError {}
export class Overflow extends ConsumersError {}
export class Closed extends ConsumersError {}

/** What comes, for one reader: holds up to `limit`, and fails when that is not enough. */
class Feed {
  #held = [];
  #readers = [];
  #ended;

  constructor(limit, stop) {
    this.limit = limit;
    this.stop = stop;
  }

  push(value) {
    if (this.#ended) return;
    if (this.#readers.length) this.#readers.shift()({ value, done: false });
    else if (this.#held.length < this.limit) this.#held.push(value);
    else this.end(new Overflow("overflow", `nobody read ${this.limit} of them`));
  }

  end(error) {
    if (this.#ended) return;
    this.#ended = { error };
    this.stop();
    for (const tell of this.#readers.splice(0)) tell(this.next());
  }

  async next() {
    if (this.#held.length) return { value: this.#held.shift(), done: false };
    if (!this.#ended) return new Promise((resolve) => this.#readers.push(resolve));
    const { error } = this.#ended;
    this.#ended = {}; // told once
    if (error) throw error;
    return { value: undefined, done: true };
  }

  async return(value) {
    this.#held = [];
    this.end();
    return { value, done: true };
  }

  /** Return what it holds, and the error that ended it. */
  drain() {
    this.stop();
    return [this.#held.splice(0), this.#ended?.error];
  }

  [Symbol.asyncIterator]() {
    return this;
  }
}

/** Listeners, and iterators over one event: `flow`, which is held for the first of them. */
class Hub {
  #listeners = new Set();
  #feeds = new Set();
  #early;
  #ended;

  constructor(flow, limit, report) {
    this.flow = flow;
    this.limit = limit;
    this.report = report;
    this.#early = this.#feed();
  }

  #feed() {
    const feed = new Feed(this.limit, () => this.#feeds.delete(feed));
    this.#feeds.add(feed);
    if (this.#ended) feed.end(this.#ended.error);
    return feed;
  }

  on(event, call) {
    const listener = { event, call };
    this.#listeners.add(listener);
    if (event === this.flow && this.#early) {
      const [held, error] = this.#early.drain();
      this.#early = undefined;
      for (const value of held) this.#tell(listener, value);
      if (error instanceof Overflow) this.report(error);
    }
    return () => void this.#listeners.delete(listener);
  }

  iterate() {
    const feed = this.#early ?? this.#feed();
    this.#early = undefined;
    return feed;
  }

  #tell({ event, call }, value) {
    // What users' functions throw, now or later, is reported and stops nobody.
    const report = event === "error" ? console.error : this.report;
    try {
      call(value)?.then?.(null, report);
    } catch (error) {
      report(error);
    }
  }

  emit(event, value) {
    const told = [...this.#listeners].filter((listener) => listener.event === event);
    for (const listener of told) this.#tell(listener, value);
    if (event === this.flow) for (const feed of this.#feeds) feed.push(value);
    return told.length;
  }

  end(error) {
    this.#ended = { error };
    for (const feed of this.#feeds) feed.end(error);
  }
}

export class Subscription {
  position;
  recovered = false;
  snapshot = null;
  #wire;
  #hub;
  #settle;
  #there = false; // since the last connect
  #before = false; // ever
  #over = false;

  constructor(group, position, wire) {
    this.group = group;
    this.position = position;
    this.#wire = wire;
    this.#hub = new Hub("publication", wire.queue, wire.report);
    this.ready = new Promise((resolve, reject) => (this.#settle = { resolve, reject }));
    this.ready.catch(() => {}); // "unsubscribed" tells it, too
  }

  on(event, call) {
    return this.#hub.on(event, call);
  }

  [Symbol.asyncIterator]() {
    return this.#hub.iterate();
  }

  unsubscribe() {
    if (this.#over) return;
    this.#wire.control({ type: "unsubscribe", group: this.group });
    this._end();
  }

  _start() {
    const { group, position } = this;
    this.#there = false;
    this.#wire.control(
      { type: "subscribe", group, ...(position && { position }) },
      (frame) => {
        if (this.#over) return;
        const { recovered, snapshot = null } = frame;
        this.#there = this.#before = true;
        Object.assign(this, { recovered, snapshot });
        if (!recovered) this.position = frame.position ?? null;
        this.#hub.emit("subscribed", { recovered, position: this.position, snapshot });
        this.#settle.resolve(this);
      },
      (error) => {
        if (this.#before && PASSING.includes(error.code)) this.#wire.again(() => this._start());
        else this._end(error);
      },
    );
  }

  _take({ group, message, position = null }) {
    if (!this.#there) return;
    if (position && this.position) {
      const [offset, epoch] = position.split(".");
      const [own, before] = this.position.split(".");
      if (epoch === before && Number(offset) <= Number(own)) return;
    }
    this.#hub.emit("publication", { group, message, position });
    this.position = position ?? this.position;
  }

  _end(error) {
    if (this.#over) return;
    this.#over = true;
    this.#wire.forget();
    this.#settle.reject(error ?? new Closed("closed", "unsubscribed"));
    if (error) this.#hub.emit("unsubscribed", error);
    this.#hub.end(error);
  }
}

export class Client {
  state;
  connection = null;
  #options;
  #timers;
  #url;
  #hub;
  #link = null; // the connection, or the attempt at one: all that ends with it
  #retry; // the timer between two of them
  #failures = 0;
  #notBefore = 0;
  #refused = false; // the token; there is one more try
  #queue = []; // encoded messages and calls, in order, that were not sent
  #calls = new Map(); // by id: what is unanswered, or not sent
  #ids = 0;
  #secret;
  #groups = new Map();
  #answers = new Map();

  constructor(url, options) {
    this.#options = {
      offline: 256,
      queue: 1024,
      codec: { name: "json", encode: (frame) => JSON.stringify(frame), decode: JSON.parse },
      WebSocket: globalThis.WebSocket,
      ...options,
    };
    if (!this.#options.WebSocket) {
      throw new TypeError("there is no WebSocket here; give one as an option, or use Node.js 22");
    }
    this.#timers = options?.timers ?? {
      setTimeout: (act, ms) => setTimeout(act, ms),
      clearTimeout: (timer) => clearTimeout(timer),
      now: Date.now,
      random: Math.random,
    };
    this.#url = new URL(url, globalThis.location?.href);
    this.#url.protocol = this.#url.protocol.replace("http", "ws");
    this.#url.hash = "";
    this.#secret = crypto.getRandomValues(new Uint32Array(4)).join("-");
    this.#hub = new Hub("message", this.#options.queue, this.#report);
    for (const event of WAKING) globalThis.addEventListener?.(event, this.#wake);
    this.#open();
  }

  on(event, call) {
    return this.#hub.on(event, call);
  }

  [Symbol.asyncIterator]() {
    return this.#hub.iterate();
  }

  send(message) {
    this.#enqueue({ data: this.#encode({ type: "message", message }) });
  }

  request(message, { deadline = this.#options.deadline, signal, key } = {}) {
    return new Promise((resolve, reject) => {
      const call = this.#ask({ message, key: key ?? `${this.#secret}-${this.#ids}` }, signal, {
        item: () => call.cancel(new ConsumersError("stream", "the answer is one; use stream()")),
        done: (frame) => resolve(frame.message),
        fail: reject,
      });
      if (deadline != null && deadline < 2 ** 31) { // a longer timer would end at once
        const late = () => call.cancel(new DeadlineExceeded("deadline", `${deadline} ms`));
        call.timer = this.#timers.setTimeout(late, deadline);
      }
    });
  }

  stream(message, { signal } = {}) {
    let call;
    const feed = new Feed(this.#options.queue, () => call?.cancel());
    try {
      call = this.#ask({ message }, signal, {
        item: (item) => feed.push(item),
        done: (frame) => {
          if (frame.type === "reply") feed.push(frame.message);
          feed.end();
        },
        fail: (error) => feed.end(error),
      });
    } catch (error) {
      feed.end(error);
    }
    return feed;
  }

  subscribe(group, { position = null } = {}) {
    if (this.state.name === "closed") throw this.#closed();
    if (this.#groups.has(group)) throw new Error(`there is a subscription to ${group} already`);
    const subscription = new Subscription(group, position, {
      queue: this.#options.queue,
      report: this.#report,
      control: (...call) => this.#control(...call),
      again: (act) => this.#later(this.#jitter(4), act),
      forget: () => this.#groups.delete(group),
    });
    this.#groups.set(group, subscription);
    subscription._start();
    return subscription;
  }

  answer(type, call) {
    this.#answers.set(type, call);
    return () => void (this.#answers.get(type) === call && this.#answers.delete(type));
  }

  check() {
    const link = this.#link;
    if ("retryAt" in this.state) {
      if (this.#timers.now() >= this.#notBefore) this.#open();
      else this.#wait(this.state);
    } else if (this.#live && !this.#watch(true) && !link.probed) {
      this.#probe();
      this.#watch();
    }
  }

  close() {
    if (this.state.name !== "closed") this.#end({ code: 1000, reason: "" }, true);
  }

  // -- the connection

  get #live() {
    return this.#link?.welcome && !this.#link.goodbye && this.#link.socket.readyState === 1;
  }

  #set(state) {
    this.state = Object.freeze(state);
    this.#hub.emit("state", this.state);
  }

  #report = (error) => void (this.#hub.emit("error", error) || console.error(error));

  #wake = ({ type }) => {
    if (type === "visibilitychange" && document.visibilityState !== "visible") return;
    if (type === "offline" && "retryAt" in this.state) this.#wait(this.state);
    else this.check();
  };

  /** Call `act` in so many milliseconds, if this connection is still there. */
  #later(ms, act) {
    const { timers } = this.#link;
    const timer = this.#timers.setTimeout(() => {
      timers.delete(timer);
      act();
    }, Math.min(ms, 2 ** 31 - 1));
    timers.add(timer);
    return timer;
  }

  async #open() {
    const { token, tokenAs, codec, protocols = [], WebSocket } = this.#options;
    this.#timers.clearTimeout(this.#retry);
    const link = (this.#link = { timers: new Set(), asked: new Map() });
    const current = () => this.#link === link;
    this.#later(CONNECTING, () => link.welcome || this.#lost(1006, "no answer in time"));
    this.#set({ name: "connecting", attempt: this.#failures });
    try {
      const given = typeof token === "function" ? await token({ renew: this.#refused }) : token;
      if (!current()) return;
      const url = new URL(this.#url);
      const name = `${VERSION}+${codec.name}`;
      const names = [name, ...protocols];
      if (given != null && tokenAs) names.push("bearer." + given);
      else if (given != null) url.searchParams.set("token", given);
      const socket = (link.socket = new WebSocket(url.href, names));
      socket.binaryType = "arraybuffer";
      socket.onopen = () => {
        link.opened = true;
        if (current() && socket.protocol !== name) this.#lost(1002, `it does not speak ${name}`);
      };
      socket.onmessage = ({ data }) => current() && this.#receive(data);
      socket.onclose = ({ code, reason }) => current() && this.#lost(code, reason);
      // Some implementations say no more than this of a connection that can't be made.
      socket.onerror = () => current() && !link.opened && this.#lost(1006, "");
    } catch (error) {
      if (!current()) return;
      this.#report(error);
      this.#lost(1006, "it could not be tried");
    }
  }

  /** Forget the connection. */
  #drop() {
    const link = this.#link;
    this.#link = this.connection = null;
    if (!link) return;
    for (const timer of link.timers) this.#timers.clearTimeout(timer);
    for (const abort of link.asked.values()) abort.abort();
    link.socket?.close(1000);
  }

  #lost(code, reason, atOnce) {
    const { goodbye, welcome, since } = this.#link;
    const { reconnect = {}, token } = this.#options;
    const now = this.#timers.now();
    code = goodbye?.code ?? code;
    let back = goodbye?.reconnect ?? RETURNS.includes(code);
    if (code === 4401 && typeof token === "function") {
      back = !this.#refused;
      this.#refused = true;
    }
    const ended = { code, reason, detail: goodbye?.detail };
    if (!back || !reconnect) return this.#end(ended);
    this.#drop();
    this.#again();
    if (welcome && now - since >= LASTED) this.#failures = 0;
    const after = (goodbye?.after ?? 0) * 1000;
    this.#notBefore = now + after;
    const retryIn = after + (atOnce ? 0 : this.#jitter(this.#failures));
    this.#retry = this.#timers.setTimeout(() => this.#open(), retryIn);
    this.#wait({ retryAt: now + retryIn, retryIn, attempt: ++this.#failures, ...ended });
  }

  #jitter(failures) {
    const { min = 500, max = 30_000 } = this.#options.reconnect || {};
    return this.#timers.random() * Math.min(max, min * 2 ** failures);
  }

  #wait(state) {
    const offline = globalThis.navigator?.onLine === false;
    this.#set({ ...state, name: offline ? "offline" : "waiting" });
  }

  #closed() {
    return new Closed("closed", this.state, `the client is closed: ${this.state.code}`);
  }

  #end(how, wanted) {
    this.#drop();
    this.#timers.clearTimeout(this.#retry);
    for (const event of WAKING) globalThis.removeEventListener?.(event, this.#wake);
    this.#set({ name: "closed", ...how });
    const error = this.#closed();
    for (const call of this.#calls.values()) if (!call.control) call.fail(error);
    const unsent = this.#queue.filter((entry) => !entry.id).length;
    if (unsent) this.#report(new Closed("closed", this.state, `${unsent} messages were not sent`));
    for (const subscription of this.#groups.values()) subscription._end(wanted ? undefined : error);
    this.#hub.end(wanted ? undefined : error);
    this.#calls.clear();
    this.#queue = [];
  }

  // -- signs of life

  #probe() {
    this.#link.probed = this.#timers.now();
    this.#put(this.#encode({ type: "ping" }));
  }

  /** See whether the server is there, now and from time to time; true: it is not. */
  #watch(atOnce) {
    const link = this.#link;
    const now = this.#timers.now();
    const { heartbeat, timeout } = link.welcome;
    // The server pings after `heartbeat`: it is asked only if that did not come.
    const grace = timeout * 500;
    const quiet = (heartbeat ?? Infinity) * 1000 + grace;
    if (now >= link.heard + quiet + grace || (link.probed && now >= link.probed + grace)) {
      this.#lost(1006, "nothing came from the server", atOnce);
      return true;
    }
    if (!link.probed && now >= link.heard + quiet) this.#probe();
    this.#timers.clearTimeout(link.watch);
    link.timers.delete(link.watch);
    const next = link.probed ? link.probed + grace : link.heard + quiet;
    if (next < Infinity) link.watch = this.#later(next - now, () => this.#watch());
  }

  #renew(seconds) {
    const { token } = this.#options;
    if (seconds == null || typeof token !== "function") return;
    const link = this.#link;
    this.#later(Math.max(seconds - 60, seconds * 0.8) * 1000, async () => {
      // If this fails, the server ends the connection, and the next one has a new token.
      try {
        const given = await token({ renew: true });
        if (this.#link !== link) return;
        const renewed = ({ message }) => this.#renew(message?.expires);
        this.#control({ type: "refresh", token: given }, renewed, this.#report);
      } catch (error) {
        this.#report(error);
      }
    });
  }

  // -- what is sent

  #encode(frame) {
    return this.#options.codec.encode(frame);
  }

  #put(data) {
    if (this.#live) this.#link.socket.send(data);
  }

  /** Send what concerns this connection alone. */
  #control(frame, done, fail) {
    if (!this.#live) return;
    const id = ++this.#ids;
    this.#calls.set(id, { control: frame, done, fail });
    this.#put(this.#encode({ ...frame, id }));
  }

  #ask({ message, key }, signal, { item, done, fail }) {
    signal?.throwIfAborted();
    const id = ++this.#ids;
    const data = this.#encode({ type: "request", id, message, ...(key && { key }) });
    const finish = (act) => (value) => {
      if (call.over) return;
      call.over = true;
      this.#timers.clearTimeout(call.timer);
      signal?.removeEventListener("abort", abort);
      act(value);
    };
    const call = { id, data, key, item, done: finish(done), fail: finish(fail) };
    call.cancel = (error) => {
      if (call.over) return;
      call.fail(error);
      // Until the server has answered that, too, it is one of those that may be asked.
      if (call.flying) this.#put(this.#encode({ type: "cancel", id }));
      else this.#forget(call);
    };
    const abort = () => call.cancel(signal.reason);
    this.#calls.set(id, call);
    try {
      this.#enqueue(call);
    } catch (error) {
      this.#forget(call);
      throw error;
    }
    signal?.addEventListener("abort", abort);
    return call;
  }

  #forget(call) {
    this.#calls.delete(call.id);
    this.#queue = this.#queue.filter((entry) => entry !== call);
  }

  #enqueue(entry) {
    if (this.state.name === "closed") throw this.#closed();
    this.#queue.push(entry);
    this.#flush();
    const { offline } = this.#options;
    if (this.#queue.filter((other) => !other.before).length > offline) {
      this.#queue.pop();
      throw new OfflineFull("full", `${offline} wait to be sent`);
    }
  }

  #flush() {
    let flying = 0;
    for (const call of this.#calls.values()) if (call.flying) flying++;
    while (this.#live && this.#queue.length) {
      const [entry] = this.#queue;
      if (entry.id && flying++ >= this.#link.welcome.requests) return;
      this.#queue.shift();
      entry.flying = entry.before = true;
      this.#put(entry.data);
    }
  }

  /** After the end of a connection: what was asked is asked again, where that is safe. */
  #again() {
    const again = [];
    for (const [id, call] of this.#calls) {
      if (call.flying && !call.over && call.key) again.push(call);
      else if (call.flying || call.control) this.#calls.delete(id);
      if (call.flying && !call.key) call.fail(new ConnectionLost("lost"));
      call.flying = false;
    }
    this.#queue.unshift(...again);
  }

  // -- what comes

  #receive(data) {
    const link = this.#link;
    link.heard = this.#timers.now();
    link.probed = 0;
    try {
      const { decode } = this.#options.codec;
      const frames = [decode(typeof data === "string" ? data : new Uint8Array(data))].flat();
      for (const frame of frames) if (this.#link === link) this.#take(frame);
    } catch (error) {
      this.#report(error);
      if (this.#link === link) this.#lost(1006, "the server sent what is no frame");
    }
  }

  #take(frame) {
    switch (frame.type) {
      case "welcome":
        return this.#welcome(frame);
      case "message":
        return this.#hub.emit("message", frame.message);
      case "publication":
        return this.#published(frame);
      case "item": {
        const call = this.#calls.get(frame.id);
        return call?.over || call?.item?.(frame.message);
      }
      case "reply":
      case "done":
      case "subscribed":
      case "error":
        return this.#answered(frame);
      case "unsubscribed":
        return this.#groups.get(frame.group)?._end(new MessageError(frame.code, frame.detail));
      case "request":
        return this.#asked(frame).catch(this.#report);
      case "cancel":
        this.#link.asked.get(frame.id)?.abort();
        return this.#link.asked.delete(frame.id);
      case "ping":
        return this.#put(this.#encode({ type: "pong" }));
      case "goodbye":
        this.#link.goodbye = frame; // nothing is sent any more, the close comes next
    }
  }

  #welcome(frame) {
    Object.assign(this.#link, { welcome: frame, since: this.#timers.now() });
    this.#refused = false;
    this.connection = frame.connection;
    this.#watch();
    this.#renew(frame.expires);
    for (const subscription of this.#groups.values()) subscription._start();
    this.#flush();
    this.#set({ name: "live", connection: frame.connection });
  }

  #published(frame) {
    const { group, message, position = null } = frame;
    if (this.#groups.has(group)) return this.#groups.get(group)._take(frame);
    // What still comes of a group that was unsubscribed from is nobody's.
    for (const { control } of this.#calls.values()) if (control?.group === group) return;
    this.#hub.emit("publication", { group, message, position });
  }

  #answered(frame) {
    const error = frame.type === "error" && new MessageError(frame.code, frame.detail);
    const call = this.#calls.get(frame.id);
    this.#calls.delete(frame.id);
    if (call) error ? call.fail?.(error) : call.done?.(frame);
    else if (error && frame.id == null) this.#report(error);
    this.#flush();
  }

  async #asked({ id, message }) {
    const link = this.#link;
    const abort = new AbortController();
    link.asked.set(id, abort);
    let data;
    try {
      const answer = this.#answers.get(message?.type);
      if (!answer) throw new MessageError("unknown_type");
      const reply = await answer(message, { signal: abort.signal });
      data = this.#encode({ type: "reply", id, message: reply ?? null });
    } catch (error) {
      const known = error instanceof MessageError;
      if (!known && !abort.signal.aborted) this.#report(error);
      const { code, detail } = known ? error : { code: "internal" };
      data = this.#encode({ type: "error", id, code, detail });
    }
    if (link.asked.delete(id) && this.#link === link) this.#put(data);
  }
}

export function connect(url, options) {
  return new Client(url, options);
}

export function groupName(pattern, values) {
  return pattern.replace(/\{([^{}]+)\}/g, (_, name) => {
    if (values[name] === undefined) throw new TypeError(`${pattern} needs a value for ${name}`);
    const hex = (sign) => "%" + sign.charCodeAt().toString(16).toUpperCase();
    return encodeURIComponent(values[name]).replace(/[.!*'()]/g, hex) || "%";
  });
}
