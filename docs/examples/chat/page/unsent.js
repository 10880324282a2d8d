// What was written here and is not in the log yet. Each line is shown at once, as being
// sent, and as sent when that was answered. It leaves when it comes with what others have
// said, at the place that it has for all. If the answer is an error, its writer decides.
// Lines outlive a reload of the page.

import { element } from "./log.js";

const REASONS = {
  rate_limited: "too much at once",
  full: "too many wait already",
  invalid_message: "the server does not take it",
  internal: "something went wrong there",
  closed: "the conversation has ended",
};

// Nobody can guess it. (`crypto.randomUUID` is not there on pages without TLS.)
function newId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

export class Unsent {
  // `send(id, text)` promises the line's position; `edit(text)` gets what is to be
  // changed.
  constructor(list, key, { send, edit }) {
    this.list = list;
    this.key = key;
    this.send = send;
    this.edit = edit;
    this.lines = new Map(); // {id: {id, text, item, position}}
    this.shown = null; // the position of the latest line in the log
  }

  // Send what an earlier page of this tab has left.
  restore() {
    const left = JSON.parse(sessionStorage.getItem(this.key) ?? "[]");
    for (const { id, text } of left) this.add(text, id);
  }

  // A line keeps its id, however often it is sent: so it is said once.
  add(text, id = newId()) {
    const item = element("li", "message own unsent");
    const line = { id, text, item, position: null };
    this.list.append(item);
    this.lines.set(id, line);
    this.keep();
    this.attempt(line);
  }

  async attempt(line) {
    this.show(line, "sending", "sending…");
    try {
      line.position = await this.send(line.id, line.text);
      this.show(line, "sent", "sent");
      this.settle();
    } catch (error) {
      const reason = REASONS[error.code] ?? "it was refused";
      const again = element("button", "", "Try again");
      again.addEventListener("click", () => this.attempt(line));
      const edit = element("button", "", "Edit");
      edit.addEventListener("click", () => {
        this.remove(line.id);
        this.edit(line.text);
      });
      const note = element("p", "", `Not sent: ${reason}. `);
      note.role = "alert";
      this.show(line, "failed", "").append(note, again, edit);
    }
  }

  show({ item, text }, state, word) {
    item.dataset.state = state;
    const bubble = element("div", "bubble");
    bubble.append(element("p", "text", text), element("span", "when", word));
    item.replaceChildren(bubble);
    return bubble;
  }

  // The line is in the log.
  remove(id) {
    this.lines.get(id)?.item.remove();
    this.lines.delete(id);
    this.keep();
  }

  // The log has got as far as to this position. Who has missed too much begins anew with
  // the latest lines: one that was said before them does not come any more.
  reached(position) {
    this.shown = position;
    this.settle();
  }

  settle() {
    const [latest, history] = this.shown?.split(".") ?? [];
    for (const { id, position } of [...this.lines.values()]) {
      const [own, its] = position?.split(".") ?? [];
      if (its && its === history && Number(own) <= Number(latest)) this.remove(id);
    }
  }

  keep() {
    const left = [...this.lines.values()].map(({ id, text }) => ({ id, text }));
    sessionStorage.setItem(this.key, JSON.stringify(left));
  }
}
