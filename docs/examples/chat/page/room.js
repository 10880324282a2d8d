// The page of a room.

import { Connection } from "./connection.js";
import { Log } from "./log.js";
import { People, Typists } from "./people.js";

const TYPING_EVERY = 2000; // milliseconds between two notices

const byId = (id) => document.getElementById(id);
const room = decodeURIComponent(location.pathname.split("/").at(-1));
const ownName = sessionStorage.getItem("name");

const log = new Log(byId("log"), ownName);
const people = new People(byId("people").querySelector("ul"), byId("count"), ownName);
const typists = new Typists(byId("typing"));
let connection;

// Back to the first page; `why` is for it to explain.
function leave(why) {
  const query = new URLSearchParams({ room });
  if (why) query.set("why", why);
  location.replace(`/?${query}`);
}

// What the server sends.

const unconfirmed = []; // texts that were sent, and are not in the log yet

function add(said) {
  if (!log.add(said) || said.author !== ownName) return;
  const index = unconfirmed.indexOf(said.text);
  if (index >= 0) unconfirmed.splice(index, 1);
}

const receive = {
  welcome({ history }) {
    history.forEach(add); // after a reconnect only what was missed is new
    byId("nothing").hidden = byId("log").childElementCount > 0;
    if (unconfirmed.length && !text.value) {
      text.value = unconfirmed.join("\n");
      grow();
    }
    unconfirmed.length = 0;
    toBottom();
  },
  said(said) {
    typists.remove(said.author);
    byId("nothing").hidden = true;
    staying(said.author === ownName, () => add(said));
  },
  here({ people: names }) {
    const { came, went } = people.set(names);
    went.forEach((name) => typists.remove(name));
    if (came.length || went.length) staying(false, () => log.addMoves(came, went));
  },
  types({ name }) {
    if (name !== ownName) typists.add(name);
  },
};

// Scrolling: who reads the latest goes along, and who reads what was before stays.

const scroller = byId("scroller");
let following = true;

function toBottom() {
  scroller.scrollTop = scroller.scrollHeight;
}

function staying(always, change) {
  change();
  if (always || following) toBottom();
  else byId("newer").hidden = false;
}

scroller.addEventListener("scroll", () => {
  const { scrollHeight, scrollTop, clientHeight } = scroller;
  following = scrollHeight - scrollTop - clientHeight < 40;
  if (following) byId("newer").hidden = true;
});
new ResizeObserver(() => { if (following) toBottom(); }).observe(scroller);
byId("newer").addEventListener("click", toBottom);

// The connection's state.

const ENDS = {
  1000: "The server has ended this conversation.",
  1008: "The server did not accept that.",
  1009: "That was too long for the server.",
};

function onState({ name, seconds, code }) {
  byId("status").dataset.state = name;
  byId("send").disabled = name !== "open";
  byId("retry").hidden = name !== "waiting" && name !== "ended";
  byId("countdown").textContent = name === "waiting" ? `Reconnecting in ${seconds} s…` : "";
  if (code === 4400) leave("refused");
  const state = {
    connecting: "Connecting…",
    open: "Connected",
    waiting: "Connection lost.",
    ended: ENDS[code] ?? `The server closed the connection (${code}).`,
  }[name];
  // Set once, or each second of the countdown would be read aloud.
  if (byId("state").textContent !== state) byId("state").textContent = state;
}

byId("retry").addEventListener("click", () => connection.connect());

// Writing.

const form = document.querySelector("form");
const text = byId("text");
let lastNotice = -Infinity;

function grow() {
  text.style.height = "auto";
  text.style.height = `${text.scrollHeight}px`;
}

text.addEventListener("input", () => {
  grow();
  const now = performance.now();
  if (text.value && !byId("send").disabled && now - lastNotice > TYPING_EVERY) {
    lastNotice = now;
    connection.send({ type: "typing" });
  }
});

text.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    form.requestSubmit();
  }
});

form.addEventListener("submit", (event) => {
  event.preventDefault();
  const said = text.value.trim();
  if (!said || byId("send").disabled) return;
  connection.send({ type: "say", text: said });
  unconfirmed.push(said);
  text.value = "";
  lastNotice = -Infinity;
  grow();
});

// Who is here, which a phone shows when asked.

byId("toggle").addEventListener("click", () => {
  byId("toggle").ariaExpanded = byId("people").classList.toggle("open");
});

// Everything is there: begin.

if (ownName) {
  document.title = `#${room} · Chat`;
  byId("room").textContent = room;
  const url = new URL(location.href);
  url.protocol = url.protocol.replace("http", "ws");
  url.search = new URLSearchParams({ name: ownName });
  url.hash = "";
  connection = new Connection(url, {
    onMessage: (message) => receive[message.type](message),
    onState,
  });
  // On a phone the focus would open the keyboard over the page.
  if (matchMedia("(hover: hover)").matches) text.focus();
} else {
  leave();
}
