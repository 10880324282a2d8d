// Who reads the latest goes along, and who reads what was before stays.

const NEAR = 40; // pixels

export class Scrolling {
  // `newer`: the button that leads to the latest.
  constructor(scroller, newer) {
    this.scroller = scroller;
    this.newer = newer;
    this.following = true;
    scroller.addEventListener("scroll", () => {
      const { scrollHeight, scrollTop, clientHeight } = scroller;
      this.following = scrollHeight - scrollTop - clientHeight < NEAR;
      if (this.following) newer.hidden = true;
    });
    const resized = new ResizeObserver(() => { if (this.following) this.toBottom(); });
    for (const each of [scroller, ...scroller.children]) resized.observe(each);
    newer.addEventListener("click", () => this.toBottom());
  }

  toBottom() {
    this.scroller.scrollTop = this.scroller.scrollHeight;
  }

  // Change the content; go along, or tell that there is something.
  during(change) {
    change();
    if (this.following) this.toBottom();
    else this.newer.hidden = false;
  }
}
