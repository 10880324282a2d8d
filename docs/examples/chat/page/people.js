// Who is here, and who is typing.

import { avatar, element, listed } from "./log.js";

export class People {
  constructor(list, count, ownName) {
    this.list = list;
    this.count = count;
    this.ownName = ownName;
    this.names = null; // a set; null before the server has told
  }

  // Returns who came and who went since the last time; at the first time nobody did.
  set(names) {
    const before = this.names ?? new Set(names);
    this.names = new Set(names);
    this.count.textContent = this.names.size;
    this.list.replaceChildren(...names.map((name) => this.person(name)));
    return {
      came: names.filter((name) => !before.has(name)),
      went: [...before].filter((name) => !this.names.has(name)),
    };
  }

  // As `set`, where only the changes are known.
  change(came, went) {
    const gone = new Set(went);
    const stayed = [...this.names].filter((name) => !gone.has(name));
    return this.set([...new Set([...stayed, ...came])]);
  }

  person(name) {
    const item = element("li", "person");
    item.append(avatar(name), element("bdi", "name", name));
    if (name === this.ownName) item.append(element("span", "hint", "you"));
    return item;
  }
}

const LASTS = 4000; // milliseconds after the last notice

export class Typists {
  constructor(notice) {
    this.notice = notice;
    this.timers = new Map(); // {name: when the notice ends}
  }

  add(name) {
    clearTimeout(this.timers.get(name));
    this.timers.set(name, setTimeout(() => this.remove(name), LASTS));
    this.show();
  }

  remove(name) {
    clearTimeout(this.timers.get(name));
    if (this.timers.delete(name)) this.show();
  }

  show() {
    const names = [...this.timers.keys()];
    let text = "";
    if (names.length > 3) text = "Several people are typing…";
    else if (names.length > 1) text = `${listed(names)} are typing…`;
    else if (names.length === 1) text = `${names[0]} is typing…`;
    this.notice.textContent = text;
  }
}
