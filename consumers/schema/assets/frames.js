// The frames of a connection: a list with times, to filter, unfold, copy and clear.

import { advice, meaning } from "page/codes";
import { copy, h, highlighted, unique } from "page/dom";
import { parsed } from "page/wire";

const MOST = 2000; // rows; the oldest go first

const HEARTBEATS = new Set(["ping", "pong"]);

/** `12.4 ms`, `3.20 s`: how long since the connection began. */
export const duration = (ms) =>
  (ms < 10_000 ? `${ms.toFixed(1)} ms` : `${(ms / 1000).toFixed(2)} s`);

const sized = (size) => (size < 1024 ? `${size} B` : `${(size / 1024).toFixed(1)} KiB`);

export class Frames {
  #rows = [];
  #list = h("ol.rows", { tabindex: 0, "aria-label": "Frames, oldest first" });
  #empty = h("p.soft.empty", null, "Frames appear here, both ways, once you connect.");
  #follows = true;

  constructor(path, { counted, decode }) {
    this.counted = counted;
    this.decode = decode;
    const id = unique();
    this.filter = h("input", { id, type: "search", placeholder: "Filter", spellcheck: "false",
      autocomplete: "off", oninput: () => this.#refilter() });
    this.beats = h("input", { type: "checkbox", onchange: () => this.#refilter() });
    this.tally = h("span.soft");
    this.element = h("section.frames", { "aria-label": `Frames of ${path}` },
      h("div.tools", null,
        h("h2", null, "Frames"), this.tally,
        h("label.unseen", { for: id }, "Filter frames"), this.filter,
        h("label.toggle", null, this.beats, h("span", null, "Heartbeats")),
        h("button.quiet", { type: "button", onclick: (event) =>
          copy(this.text(), event.currentTarget) }, "Copy"),
        h("button.quiet", { type: "button", onclick: () => this.clear() }, "Clear")),
      this.#empty, this.#list);
    this.#list.addEventListener("scroll", () => {
      const { scrollHeight, scrollTop, clientHeight } = this.#list;
      this.#follows = scrollHeight - scrollTop - clientHeight < 24;
    });
    this.#count();
  }

  /** How many there are. */
  get size() { return this.#rows.length; }

  clear() {
    this.#rows = [];
    this.#list.replaceChildren();
    this.#count();
  }

  /** All that is shown, one frame a line. */
  text() {
    return this.#rows.filter((row) => !row.element.hidden).map((row) => row.text).join("\n");
  }

  /** Add what `wire` tells. */
  add(event) {
    const row = ROWS[event.kind](event, this.decode);
    row.text = `${duration(event.at)}\t${row.direction}\t${row.raw}`;
    row.searched = row.raw.toLowerCase();
    const body = [
      h("span.at", null, duration(event.at)),
      h("span.way", { title: row.direction },
        h("span", { "aria-hidden": "true" }, ARROWS[event.kind]),
        h("span.unseen", null, row.direction)),
      h("span.label", null, row.label),
      h("span.preview", null, row.preview),
      h("span.size", null, row.size ?? ""),
    ];
    const classes = `li.row.${event.kind}${row.wrong ? ".wrong" : ""}`;
    row.element = row.whole === undefined
      ? h(classes, null, h("div.line", null, body))
      : h(classes, null, this.#foldable(body, row));
    this.#rows.push(row);
    row.element.hidden = !this.#matches(row);
    this.#list.append(row.element);
    if (this.#rows.length > MOST) this.#rows.shift().element.remove();
    if (this.#follows) this.#list.scrollTop = this.#list.scrollHeight;
    this.#count();
    return row;
  }

  #foldable(body, row) {
    const details = h("details", null, h("summary.line", null, body));
    details.addEventListener("toggle", () => {
      if (!details.open || details.childElementCount > 1) return;
      details.append(h("div.whole", null,
        h("button.quiet", { type: "button",
          onclick: (event) => copy(row.whole, event.currentTarget) }, "Copy"),
        highlighted(row.whole)));
    });
    return details;
  }

  #matches(row) {
    if (row.beat && !this.beats.checked) return false;
    const wanted = this.filter.value.trim().toLowerCase();
    return wanted.split(/\s+/).every((word) => row.searched.includes(word));
  }

  #refilter() {
    for (const row of this.#rows) row.element.hidden = !this.#matches(row);
    this.#count();
  }

  #count() {
    const shown = this.#rows.filter((row) => !row.element.hidden).length;
    const all = this.#rows.length;
    this.tally.textContent = shown === all ? `${all}` : `${shown} of ${all}`;
    this.#empty.hidden = all > 0;
    this.counted(all);
  }
}

const ARROWS = { in: "↓", out: "↑", connecting: "·", open: "·", close: "×" };

const ROWS = {
  connecting: ({ url }) => ({ direction: "note", label: "connecting", preview: url, raw: url }),
  open: ({ protocol }) => {
    const preview = protocol || "no subprotocol";
    return { direction: "note", label: "open", preview, raw: `open ${preview}` };
  },
  close: ({ code, reason, opened }) => {
    const { name, when } = meaning(code);
    const said = reason ? ` “${reason}”` : "";
    const unheard = code === 1006 && !opened;
    const told = unheard
      ? "refused or unreachable; a browser does not tell which"
      : `${when}; ${advice(code)}`;
    const preview = `${name}${said} — ${told}`;
    return { direction: "note", label: `closed ${code}`, preview, raw: `closed ${code} ${preview}`,
      wrong: code !== 1000 && code !== 1001 && code !== 1005 };
  },
  in: (event, decode) => framed(event, "received", decode),
  out: (event, decode) => framed(event, "sent", decode),
};

function framed({ data, size }, direction, decode) {
  const value = typeof data === "string" ? parsed(data) : decode?.(data);
  const binary = typeof data !== "string";
  const raw = value === undefined
    ? (binary ? hex(data) : data)
    : (binary ? JSON.stringify(value) : data);
  const frames = Array.isArray(value) ? value : [value];
  const labels = [...new Set(frames.map(labelOf).filter(Boolean))];
  return {
    direction, raw, size: sized(size),
    label: labels.length > 2 ? `${labels.slice(0, 2).join(", ")}…` : labels.join(", "),
    preview: previewOf(frames, raw),
    whole: value !== null && typeof value === "object" ? JSON.stringify(value, null, 2) : raw,
    wrong: frames.some(isError),
    beat: frames.every((frame) => HEARTBEATS.has(frame?.type)),
  };
}

/** The beginning of what it carries: what it is called is in its label. */
function previewOf(frames, raw) {
  const text = (frames.length === 1 && carried(frames[0])) || raw;
  return text.length > 400 ? `${text.slice(0, 400)}…` : text;
}

function carried(frame) {
  if (frame === null || typeof frame !== "object") return "";
  if (isError(frame) && frame.type !== "goodbye") {
    const { code, detail } = frame.error ?? frame;
    return [frame.group, code, JSON.stringify(detail)].filter(Boolean).join("  ");
  }
  const inside = CARRYING.has(frame.type)
    ? frame.message
    : "id" in frame && !("type" in frame) ? frame.reply ?? frame.item : undefined;
  return inside === undefined ? ""
    : [frame.group, JSON.stringify(inside)].filter(Boolean).join("  ");
}

const CARRYING = new Set(["message", "request", "publication", "reply", "item"]);

/** What a frame is, in a word or two. */
function labelOf(frame) {
  if (frame === null || typeof frame !== "object") return "";
  const number = typeof frame.id === "number" || typeof frame.id === "string" ? ` ${frame.id}` : "";
  if (frame.type === "message" && frame.message?.type) return frame.message.type;
  if (typeof frame.type === "string") return `${frame.type}${number}`;
  for (const kind of ["reply", "item", "done", "error"]) {
    if (kind in frame) return `${kind}${number}`;
  }
  return "cancel" in frame ? `cancel ${frame.cancel}` : "";
}

/** Whether it is an error: of a plain connection, or of consumers.v1. */
function isError(frame) {
  if (frame === null || typeof frame !== "object") return false;
  if (frame.type === "error" || frame.type === "unsubscribed") return true;
  if (frame.type === "goodbye") return frame.code !== 1000 && frame.code !== 1001;
  return typeof frame.error === "object" && typeof frame.error?.code === "string";
}

function hex(data) {
  const shown = new Uint8Array(data.slice?.(0, 256) ?? data);
  const text = [...shown].map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
  return data.byteLength > 256 ? `${text} …` : text;
}
