// The banner that tells what the connection is doing, from the state of the client.

const TEXTS = {
  connecting: ({ attempt }) => (attempt ? "Reconnecting…" : "Connecting…"),
  live: () => "Connected",
  waiting: () => "Connection lost.",
  offline: () => "There is no network.",
  closed: ({ code }) => `The server closed the connection (${code}).`,
};

export class Status {
  constructor(banner) {
    [this.text, this.countdown] = banner.querySelectorAll("span");
    this.button = banner.querySelector("button");
    this.banner = banner;
    this.timer = null;
  }

  show(state) {
    const waits = "retryAt" in state;
    this.banner.dataset.state = state.name;
    this.button.hidden = !waits && state.name !== "closed";
    this.countdown.textContent = "";
    clearTimeout(this.timer);
    if (waits) this.count(state.retryAt);
    const text = TEXTS[state.name](state);
    // Set once, or each attempt would be read aloud.
    if (this.text.textContent !== text) this.text.textContent = text;
  }

  count(until) {
    const left = until - Date.now();
    const seconds = Math.max(Math.ceil(left / 1000), 1);
    this.countdown.textContent = `Reconnecting in ${seconds} s…`;
    if (left > 0) this.timer = setTimeout(() => this.count(until), left % 1000 || 1000);
  }
}
