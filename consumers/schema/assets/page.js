// The page: the list of consumers, and the one that is chosen.

import { Consumer } from "page/consumer";
import { h } from "page/dom";
import { facts } from "page/facts";
import { read } from "page/reading";

const byId = (id) => document.getElementById(id);
const application = read(facts.document);
const opened = new Map(); // {channel's id: its Consumer}, made when first chosen
const links = new Map();

byId("title").textContent = document.title = application.title;
byId("version").textContent = application.version;
byId("source").href = facts.address;

for (const channel of application.channels) {
  const link = h("a", { href: `#${encodeURIComponent(channel.id)}` },
    h("span.path", null, channel.address), h("span.title", null, channel.title));
  links.set(channel.id, link);
  byId("channels").append(h("li", null, link));
}

const find = byId("find");
find.addEventListener("input", () => {
  const wanted = find.value.trim().toLowerCase();
  let shown = 0;
  for (const { id, address, title } of application.channels) {
    const hidden = !`${address} ${title}`.toLowerCase().includes(wanted);
    links.get(id).parentElement.hidden = hidden;
    shown += hidden ? 0 : 1;
  }
  tellNone(shown, "No consumer is called so.");
});

function tellNone(shown, text) {
  byId("none").textContent = text;
  byId("none").hidden = shown > 0;
}

function consumerOf(channel) {
  const known = opened.get(channel.id);
  if (known) return known;
  const link = links.get(channel.id);
  const made = new Consumer(channel, application.resolve, {
    counted: (count) => {
      if (location.hash === link.hash || !location.hash) byId("count").textContent = count || "";
    },
    changed: (state) => { link.dataset.state = state; },
  });
  opened.set(channel.id, made);
  return made;
}

function choose() {
  const wanted = decodeURIComponent(location.hash.slice(1));
  const channel = application.channels.find((one) => one.id === wanted)
    ?? application.channels[0];
  if (!channel) return;
  for (const [id, link] of links) {
    if (id === channel.id) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  const consumer = consumerOf(channel);
  byId("try").replaceChildren(consumer.element);
  byId("frames").replaceChildren(consumer.frames.element);
  byId("count").textContent = consumer.frames.size || "";
  links.get(channel.id).scrollIntoView({ block: "nearest", inline: "nearest" });
}

for (const button of byId("switch").querySelectorAll("button")) {
  button.addEventListener("click", () => {
    document.body.dataset.shown = button.dataset.show;
    for (const each of byId("switch").querySelectorAll("button")) {
      each.setAttribute("aria-pressed", String(each === button));
    }
  });
}

tellNone(application.channels.length, "This application has no consumers.");
addEventListener("hashchange", choose);
choose();
