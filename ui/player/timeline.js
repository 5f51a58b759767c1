// The strip below the picture: scenes, alerts, the moment being played. Clicking or dragging seeks.

const MARKER_CSS_PX = 5; // an alert of a second in a film of hours must still be seen and hit
const LARGEST_ZOOM = 64;
const ZOOM_FROM_S = 120; // below, the whole strip shows everything
const TICKS = [0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200];
const TICK_CSS_PX = 90;

function clock(seconds, tenths) {
  const shown = Math.max(0, tenths ? Math.floor(seconds * 10 + 1e-6) / 10 : Math.floor(seconds + 1e-6));
  const hours = Math.floor(shown / 3600);
  const minutes = Math.floor((shown % 3600) / 60);
  const rest = (shown % 60).toFixed(tenths ? 1 : 0).padStart(tenths ? 4 : 2, "0");
  return hours ? `${hours}:${String(minutes).padStart(2, "0")}:${rest}` : `${minutes}:${rest}`;
}

function make(tag, className, text) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  return element;
}

class Timeline {
  constructor(root, seek) {
    this.root = root;
    this.seek = seek;
    this.duration = 0;
    this.zoom = 1;
    this.content = "";
    this.scroller = root.querySelector(".scroller");
    this.strip = root.querySelector(".strip");
    this.layer = root.querySelector(".layer");
    this.ticks = root.querySelector(".ticks");
    this.head = root.querySelector(".head");
    this.hint = root.querySelector(".hint");
    this.strip.onpointerdown = (event) => this.press(event);
    this.strip.onpointermove = (event) => this.hover(event);
    this.strip.onpointerup = () => (this.dragging = false);
    this.strip.onpointercancel = () => (this.dragging = false);
    this.strip.onpointerleave = () => (this.hint.hidden = true);
    root.querySelector(".zoom-in").onclick = () => this.setZoom(this.zoom * 2);
    root.querySelector(".zoom-out").onclick = () => this.setZoom(this.zoom / 2);
    new ResizeObserver(() => this.drawTicks()).observe(this.strip);
  }

  show(data) {
    this.data = data;
    const content = JSON.stringify([data.scenes.map((scene) => scene.start_s), data.alerts, data.duration_s]);
    if (content === this.content) return;
    this.content = content;
    this.duration = data.duration_s || 0;
    this.layer.replaceChildren();
    this.root.querySelector(".zoom").hidden = this.duration < ZOOM_FROM_S;
    if (!this.duration) return;
    data.scenes.forEach((scene, index) => this.place(make("div", index % 2 ? "scene odd" : "scene"), scene.start_s, scene.end_s, 0));
    for (const alert of data.alerts) {
      const marker = make("button", `alert ${alert.severity}`);
      marker.type = "button";
      marker.setAttribute("aria-label", `${alert.severity} alert ${alert.rule} at ${clock(alert.start_s, false)}`);
      marker.onclick = (event) => {
        event.stopPropagation();
        this.seek(alert.start_s);
      };
      marker.onpointerdown = (event) => event.stopPropagation();
      marker.onpointermove = (event) => {
        event.stopPropagation();
        this.tell(event, `${alert.rule}, ${clock(alert.start_s, true)}`, null);
      };
      this.place(marker, alert.start_s, alert.end_s, MARKER_CSS_PX);
    }
    this.drawTicks();
  }

  place(element, start, end, least) {
    const from = Math.min(Math.max(start / this.duration, 0), 1);
    const to = Math.min(Math.max(end / this.duration, from), 1);
    element.style.left = least ? `min(${from * 100}%, 100% - ${least}px)` : `${from * 100}%`;
    element.style.width = least ? `max(${(to - from) * 100}%, ${least}px)` : `${(to - from) * 100}%`;
    this.layer.append(element);
  }

  drawTicks() {
    this.ticks.replaceChildren();
    const width = this.strip.clientWidth;
    if (!this.duration || !width) return;
    const step = TICKS.find((each) => (each / this.duration) * width >= TICK_CSS_PX) ?? TICKS[TICKS.length - 1];
    for (let at = 0; at < this.duration - step * 0.4; at += step) {
      const tick = make("span", "tick", clock(at, step < 1));
      tick.style.left = `${(at / this.duration) * 100}%`;
      this.ticks.append(tick);
    }
  }

  setZoom(zoom) {
    const shown = this.fraction * this.strip.clientWidth - this.scroller.scrollLeft;
    this.zoom = Math.min(Math.max(zoom, 1), LARGEST_ZOOM);
    this.strip.style.width = `${this.zoom * 100}%`;
    this.scroller.scrollLeft = this.fraction * this.strip.clientWidth - Math.min(Math.max(shown, 0), this.scroller.clientWidth);
  }

  get fraction() {
    return this.duration ? Math.min((this.at ?? 0) / this.duration, 1) : 0;
  }

  atPointer(event) {
    const area = this.strip.getBoundingClientRect();
    return Math.min(Math.max((event.clientX - area.left) / area.width, 0), 1) * this.duration;
  }

  press(event) {
    if (!this.duration || event.button) return;
    this.dragging = true;
    this.strip.setPointerCapture(event.pointerId);
    this.seek(this.atPointer(event));
  }

  hover(event) {
    if (!this.duration) return;
    const at = this.atPointer(event);
    if (this.dragging) this.seek(at);
    const scene = this.data.scenes.find((each) => at >= each.start_s && at < each.end_s);
    this.tell(event, clock(at, true), scene?.thumbnail);
  }

  tell(event, text, picture) {
    const area = this.root.getBoundingClientRect();
    const image = this.hint.querySelector("img");
    if (picture && image.dataset.src !== picture) {
      image.src = picture;
      image.dataset.src = picture;
    }
    image.hidden = !picture;
    this.hint.querySelector("span").textContent = text;
    this.hint.hidden = false;
    const half = this.hint.offsetWidth / 2;
    this.hint.style.left = `${Math.min(Math.max(event.clientX - area.left, half), Math.max(area.width - half, half))}px`;
  }

  move(at) {
    this.at = at;
    this.head.style.left = `${this.fraction * 100}%`;
    this.strip.setAttribute("aria-valuenow", at.toFixed(1));
    this.strip.setAttribute("aria-valuetext", clock(at, true));
    this.strip.setAttribute("aria-valuemax", this.duration.toFixed(1));
    if (this.zoom > 1 && !this.dragging) {
      const x = this.fraction * this.strip.clientWidth;
      if (x < this.scroller.scrollLeft || x > this.scroller.scrollLeft + this.scroller.clientWidth) this.scroller.scrollLeft = x - this.scroller.clientWidth / 4;
    }
  }
}
