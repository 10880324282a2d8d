// One consumer: what it is, connecting to it, and trying what it takes.

import { facts } from "page/facts";
import { copy, h, prose, say, segments, unique } from "page/dom";
import { control } from "page/form";
import { advice, meaning } from "page/codes";
import { Frames } from "page/frames";
import { messageCard, pushCard } from "page/messages";
import { groupCard } from "page/groups";
import { codecOf } from "page/encoding";
import { framed, plain } from "page/wire";

const MODES = { json: "consumers.v1", msgpack: "with MessagePack", plain: "Plain" };

export class Consumer {
  /** The open connection, if there is one. */
  session = null;
  state = { name: "closed" };
  #cards = [];
  #refused = "";
  #counting;

  constructor(channel, resolve, { counted, changed }) {
    this.channel = channel;
    this.resolve = resolve;
    this.changed = changed;
    const kind = channel.takes[0]?.kind ?? "json";
    this.codec = codecOf(kind);
    this.frames = new Frames(channel.address, { counted, decode: codecOf("msgpack").decode });
    this.element = h("section.consumer", { "aria-label": channel.address },
      h("h2.path", null, pathed(channel.address)),
      h("p.title", null, channel.title,
        channel.host && h("span.soft", null, ` at ${channel.host}`)),
      h("div.prose", null, prose(channel.text)),
      this.#connecting(),
      this.#messages(), this.#groups(), this.#pushes());
    this.#show();
  }

  // -- connecting ----------------------------------------------------------------------

  #connecting() {
    const { channel } = this;
    this.parameters = channel.parameters.map((parameter) => ({
      ...parameter,
      control: control(parameter.schema, { resolve: this.resolve, label: parameter.name,
        required: parameter.required, note: parameter.where }),
    }));
    const id = unique();
    this.token = h("input", { id, type: "password", autocomplete: "off", spellcheck: "false",
      placeholder: "none", oninput: () => this.#address() });
    const modes = Object.keys(MODES).filter((mode) =>
      mode === "plain" || channel.protocols.includes(`consumers.v1+${mode}`));
    [this.mode] = modes;
    const labels = Object.fromEntries(modes.map((mode) => [mode, MODES[mode]]));
    this.modes = segments("Protocol", labels, (mode) => { this.mode = mode; this.#show(); });
    this.modes.hidden = modes.length < 2;
    this.button = h("button.primary", { type: "submit" }, "Connect");
    this.status = h("p.status", { role: "status" });
    this.url = h("code.url");
    this.problem = h("div.problem", { role: "alert", hidden: true });
    const form = h("form.connect", { novalidate: true, onsubmit: (event) => {
      event.preventDefault();
      if (this.session) this.disconnect();
      else if (form.reportValidity()) this.connect();
    } },
    this.fields = h("div.fields", { oninput: () => this.#address() },
      this.parameters.map((each) => each.control.element),
      h("details.token", { open: channel.secured },
        h("summary", null, "Token"),
        h("div.field", null,
          h("label.unseen", { for: id }, "Token"), this.token,
          h("p.hint", null, "Sent as ", h("code", null, "?token="),
            ", since a browser can’t set headers. It stays in this tab.")))),
    h("div.address", null, this.url,
      h("button.quiet", { type: "button",
        onclick: (event) => copy(this.address(), event.currentTarget) }, "Copy")),
    h("div.bar", null, this.button, this.modes, this.status), this.problem);
    return h("section.card.opened", { "aria-label": "Connection" }, form);
  }

  /** The URL, with what was filled in. */
  address() {
    const query = new URLSearchParams();
    let path = this.channel.address;
    for (const { name, where, control: one } of this.parameters) {
      const value = one.read();
      if (where === "path") {
        const text = value === undefined || value === "" ? `{${name}}` : escaped(value);
        path = path.replace(`{${name}}`, () => text);
      } else if (value !== undefined) {
        for (const each of Array.isArray(value) ? value : [value]) query.append(name, each);
      }
    }
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    const host = this.channel.host ?? location.host;
    return `${scheme}://${host}${facts.root}${path}${query.size ? `?${query}` : ""}`;
  }

  #address() {
    this.url.textContent = this.address();
  }

  connect() {
    const watch = (event) => this.#watch(event);
    const changed = (state) => this.#changed(state);
    const options = { watch, changed, token: this.token.value.trim() };
    this.#tell("");
    try {
      this.session = this.mode === "plain"
        ? plain(this.address(), { ...options, encode: this.codec.encode })
        : framed(this.address(), { ...options, codec: codecOf(this.mode).framing });
    } catch (error) {
      this.#tell(error.message);
    }
    this.#show();
  }

  disconnect() {
    this.session?.close();
    if (this.mode !== "plain") this.session = null;
    this.#show();
  }

  #watch(event) {
    if (event.kind === "close") this.#closed(event);
    if (event.kind === "in" && this.mode !== "plain") this.#goodbye(event.data);
    this.frames.add(event);
  }

  /** Say what a handshake was refused for, at the parameters that are wrong. */
  #goodbye(data) {
    const value = typeof data === "string" ? data : null;
    const frames = value ? [JSON.parse(value)].flat() : [codecOf("msgpack").decode(data)].flat();
    const goodbye = frames.find((frame) => frame?.type === "goodbye");
    if (!goodbye) return;
    const errors = goodbye.detail?.errors;
    if (errors && typeof errors === "object") {
      this.#refused = Object.entries(errors).map(([name, text]) => `${name}: ${text}`).join("\n");
    } else if (goodbye.detail !== undefined) {
      this.#refused = typeof goodbye.detail === "string"
        ? goodbye.detail : JSON.stringify(goodbye.detail);
    }
  }

  #closed({ code, reason, opened }) {
    if (code === 1000 || code === 1001 || code === 1005) return;
    const { name, when } = meaning(code);
    const lines = [`${code} ${name}${reason ? `: ${reason}` : ""}`];
    if (code === 1006 && !opened) {
      lines.push("The handshake was refused, or nothing answers. A browser does not tell "
        + (this.channel.protocols.length ? "which: consumers.v1 does." : "which."));
    } else {
      lines.push(`${when[0].toUpperCase()}${when.slice(1)}; ${advice(code)}.`);
    }
    if (this.#refused) lines.push(this.#refused);
    this.#refused = "";
    this.#tell(lines.join("\n"));
  }

  #tell(text) {
    const [first, ...rest] = text.split("\n");
    this.problem.replaceChildren(h("strong", null, first), ...rest.map((line) => h("p", null, line)));
    this.problem.hidden = !text;
  }

  #changed(state) {
    this.state = state;
    if (state.name === "closed") this.session = null;
    if (state.name === "live") this.#tell("");
    say(`${this.channel.address}: ${state.name}`);
    this.#show();
    this.changed(state.name);
  }

  #show() {
    const { name } = this.session ? this.state : { name: "closed" };
    const busy = this.session !== null;
    this.button.textContent = !busy ? "Connect" : name === "live" ? "Disconnect" : "Stop";
    this.button.classList.toggle("primary", !busy);
    this.status.dataset.state = name;
    this.status.textContent = STATES[name](this.state);
    this.modes.disabled = busy;
    this.fields.hidden = busy;
    for (const card of this.#cards) card.show({ live: name === "live", mode: this.mode });
    this.#address();
    clearTimeout(this.#counting);
    if (name === "waiting") this.#counting = setTimeout(() => this.#show(), 500);
  }

  // -- what it takes and sends ---------------------------------------------------------

  #section(title, note, cards) {
    return cards.length > 0 && h("section.cards", null,
      h("h3", null, title, " ", h("span.soft", null, note)), cards.map((card) => card.element));
  }

  #messages() {
    const several = this.channel.takes.length;
    const cards = this.channel.takes.map((message, index) =>
      messageCard(message, this, several === 1 || index === 0));
    this.#cards.push(...cards);
    return this.#section("Takes", `${several}`, cards)
      || h("p.soft", null, "It takes no messages: it only sends.");
  }

  #groups() {
    const cards = this.channel.groups.map((group) => groupCard(group, this));
    this.#cards.push(...cards);
    return this.#section("Groups", `${cards.length}`, cards);
  }

  #pushes() {
    const cards = this.channel.sends.map((message) => pushCard(message, this.resolve));
    return this.#section("Sends", `${cards.length}`, cards);
  }
}

const STATES = {
  closed: () => "Not connected",
  connecting: () => "Connecting…",
  live: () => "Connected",
  waiting: ({ retryAt }) =>
    `Comes back in ${Math.max(Math.ceil((retryAt - Date.now()) / 1000), 0)} s…`,
  offline: () => "No network",
};

const escaped = (value) => encodeURIComponent(value).replaceAll("%2F", "/");

/** A path with its parameters told apart. */
const pathed = (address) => address.split(/(\{\w+\})/).map((part) =>
  (part.startsWith("{") ? h("var", null, part) : part));
