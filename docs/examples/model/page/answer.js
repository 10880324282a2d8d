// One prompt and its answer, as it grows.

const WORDS = {
  waiting: "Waiting for the server…",
  writing: "Writing…",
  away: "Waiting for the connection…",
  finished: "Finished",
  stopped: "Stopped",
  lost: "Lost with the connection",
  not_allowed: "The server does not know this answer, or not any more",
  rate_limited: "Too much was asked at once",
  closed: "The server has closed the connection",
};

export class Answer {
  #count = 0; // of its tokens
  #there = true; // the connection

  // `stop` and `again`: what the buttons do; `during` makes each change.
  constructor({ stop, again }, during) {
    Object.assign(this, { again, during, state: "waiting" });
    this.article = element("article", "answer");
    this.question = element("h2", "prompt");
    this.text = element("p", "text");
    this.word = element("span", "word");
    this.word.role = "status"; // read aloud where it changes, which the tokens are not
    this.tokens = element("span", "tokens");
    this.link = element("a", "link", "Open in another tab");
    Object.assign(this.link, { target: "_blank", hidden: true });
    this.stopButton = this.#button("stop", "Stop", () => this.stop());
    this.againButton = this.#button("again", "Ask again", () => this.again());
    const line = element("div", "line");
    line.append(this.word, this.tokens, this.link, this.stopButton, this.againButton);
    this.article.append(this.question, this.text, line);
    this.stop = stop;
    this.#show();
  }

  get stop() {
    return this.stopButton.act;
  }

  // What the button is to do, once there is something to stop.
  set stop(act) {
    this.stopButton.act = act;
    this.#show();
  }

  get complete() {
    return !["waiting", "writing"].includes(this.state);
  }

  prompt(text) {
    this.during(() => (this.question.textContent = text));
  }

  share(address) {
    this.link.href = address;
    this.link.hidden = false;
  }

  // A token that was there already, or comes behind the end, is none of it.
  add({ number, text }) {
    if (this.complete || number < this.#count) return;
    this.#count = number + 1;
    this.during(() => {
      this.state = "writing";
      this.text.append(text);
      this.#show();
    });
  }

  // Begin anew: the server sends all of it.
  clear() {
    this.#count = 0;
    this.text.textContent = "";
  }

  end(how) {
    this.during(() => {
      this.state = how;
      this.#show();
    });
  }

  connected(there) {
    this.#there = there;
    this.#show();
  }

  #show() {
    const state = this.complete || this.#there ? this.state : "away";
    const word = WORDS[state] ?? "That did not work";
    this.article.dataset.state = state;
    this.article.ariaBusy = String(!this.complete);
    // Set once, or it would be read aloud again.
    if (this.word.textContent !== word) this.word.textContent = word;
    this.tokens.textContent = this.#count === 1 ? "1 token" : `${this.#count} tokens`;
    this.stopButton.hidden = this.complete || !this.stop || state === "away";
    this.againButton.hidden = !this.again || ["finished", "waiting", "writing"].includes(state);
  }

  #button(className, text, act) {
    const button = element("button", className, text);
    button.type = "button";
    button.addEventListener("click", act);
    return button;
  }
}

function element(tag, className, text = "") {
  const made = document.createElement(tag);
  made.className = className;
  made.textContent = text;
  return made;
}
