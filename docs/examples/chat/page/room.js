// The page of a room.

import { connect, groupName } from "/consumers.js";
import { Log } from "./log.js";
import { People, Typists } from "./people.js";
import { Scrolling } from "./scrolling.js";
import { Status } from "./status.js";
import { Unsent } from "./unsent.js";

const TYPING_EVERY = 2000; // milliseconds between two notices

const byId = (id) => document.getElementById(id);
const room = decodeURIComponent(location.pathname.split("/").at(-1));
const ownName = sessionStorage.getItem("name");

const log = new Log(byId("log"), ownName);
const people = new People(byId("people").querySelector("ul"), byId("count"), ownName);
const typists = new Typists(byId("typing"));
const scrolling = new Scrolling(byId("scroller"), byId("newer"));
const status = new Status(byId("status"));
const unsent = new Unsent(byId("unsent"), `unsent in ${room}`, { send: say, edit });

// Back to the first page; `why` is for it to explain.
function leave(why) {
  const query = new URLSearchParams({ room });
  if (why) query.set("why", why);
  location.replace(`/?${query}`);
}

// The connection. It comes back by itself, and then the subscriptions go on where they
// were: everything that was said meanwhile comes, once and in order.

let client;

function begin(position = null) {
  const query = new URLSearchParams({ name: ownName });
  client = connect(`/r/${encodeURIComponent(room)}?${query}`);
  const presence = client.subscribe(groupName("here.{room}", { room }));
  const lines = client.subscribe(groupName("chat.{room}", { room }), { position });
  let again = position !== null;

  client.on("state", (state) => {
    if (state.name === "closed" && state.code === 4400) leave("refused");
    status.show(state);
  });
  client.on("message", (message) => {
    if (message.type === "moves") showMoves(people.change(message.came, message.went));
    if (message.type === "back") log.missedUntil = new Date(message.at);
  });

  presence.on("subscribed", ({ snapshot }) => showMoves(people.set(snapshot.names)));
  presence.on("publication", ({ message: { name } }) => {
    if (name !== ownName) typists.add(name);
  });

  lines.on("subscribed", ({ recovered }) => {
    if (again && !recovered) scrolling.during(() => log.addGap());
    again = true;
  });
  lines.on("publication", ({ message: said, position }) => {
    typists.remove(said.author);
    scrolling.during(() => {
      unsent.remove(said.id);
      log.add(said);
      unsent.reached(position);
    });
  });
  lines.on("unsubscribed", () => client.close()); // there is nothing else to do here

  byId("retry").onclick = () => {
    if (client.state.name === "closed") begin(lines.position);
    else client.check();
  };
}

function showMoves({ came, went }) {
  went.forEach((name) => typists.remove(name));
  if (came.length || went.length) scrolling.during(() => log.addMoves(came, went));
}

// It waits while there is no connection, and is sent again until it is answered.
async function say(id, text) {
  const { position } = await client.request({ type: "say", id, text });
  return position;
}

// Writing.

const form = document.querySelector("form");
const text = byId("text");
let lastNotice = -Infinity;

function grow() {
  text.style.height = "auto";
  text.style.height = `${text.scrollHeight}px`;
}

// Let a text be changed that was not taken.
function edit(failed) {
  text.value = [failed, text.value].filter(Boolean).join("\n");
  grow();
  text.focus();
}

text.addEventListener("input", () => {
  grow();
  const now = performance.now();
  // Later it would be of no use, so it does not wait for a connection.
  if (text.value && client.state.name === "live" && now - lastNotice > TYPING_EVERY) {
    lastNotice = now;
    client.send({ type: "typing" });
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
  if (!said) return;
  unsent.add(said);
  scrolling.toBottom();
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
  begin();
  unsent.restore();
  // On a phone the focus would open the keyboard over the page.
  if (matchMedia("(hover: hover)").matches) text.focus();
} else {
  leave();
}
