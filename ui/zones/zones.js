// Zones and lines over a real frame, drawn and dragged; each change is told to the page, which writes it into the text of the rules.

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const STEP = 0.005;
const BIG_STEP = 0.05;
const TELL_AFTER_MS = 350; // keys are pressed several times in a row; the page hears of the last place
const MOVED_PX = 3; // below it a press is a click
const MOUNTED = new WeakMap();
const HELP = "Choose a shape to change it: drag a corner or the whole, click a small dot for a new corner. With keys: Tab, arrows (Shift: further), Delete.";
const ADDING = {
  zones: "Click the corners. Double click, Enter or the first corner closes the zone, Esc leaves it. With keys: arrows and Space.",
  lines: "Click where the line begins, then where it ends. Esc leaves it. With keys: arrows and Space.",
};

class Zones {
  constructor(parent) {
    this.find = (selector) => parent.querySelector(selector);
    this.pending = []; // edits that the page has not written yet
    this.chosen = null; // "zones/plaza"
    this.corner = null; // number of the chosen corner
    this.adding = null; // "zones" or "lines" while one is drawn
    this.points = []; // of what is drawn
    this.cursor = [0.5, 0.5];
    this.drag = null;
    this.picture = new Picture(this.find("svg"), this.find(".marks"));
    const stage = this.find(".stage");
    stage.onpointerdown = (event) => this.press(event);
    stage.onpointermove = (event) => this.move(event);
    stage.onpointerup = (event) => this.release(event);
    stage.onpointercancel = () => this.giveUp();
    stage.onpointerleave = () => !this.adding && (this.find(".cross").hidden = true);
    stage.ondblclick = () => this.adding === "zones" && this.finish();
    stage.onkeydown = (event) => this.key(event);
    this.find(".add-zone").onclick = () => this.begin("zones");
    this.find(".add-line").onclick = () => this.begin("lines");
    this.find(".undo").onclick = () => this.tell({ do: "undo" });
    this.find(".flip").onclick = () => this.change([...this.shape().points].reverse());
    this.find(".delete").onclick = () => this.removeShape();
    this.find(".delete-corner").onclick = () => this.removeCorner();
    this.find(".copy").onclick = () => this.copied(shapeText(this.shape()));
    const name = this.find(".name input");
    name.onchange = () => this.rename(name.value.trim());
    name.onkeydown = (event) => {
      if (event.key === "Enter") name.blur();
      if (event.key === "Escape") name.value = this.shape()?.name ?? "";
      event.stopPropagation();
    };
  }

  show(data, setTriggerValue) {
    this.send = (edits) => setTriggerValue("edited", edits);
    this.data = data;
    this.last = Math.max(this.last ?? 0, data.applied);
    this.pending = this.pending.filter((edit) => edit.n > data.applied);
    const image = this.find("img");
    if (image.getAttribute("src") !== data.image) image.src = data.image;
    image.alt = data.alt;
    this.find(".stage").setAttribute("aria-label", data.editable ? "Zones and lines on the picture" : data.alt);
    this.find(".tools").hidden = !data.editable;
    if (this.chosen && !this.shape()) this.choose(null);
    this.find(".undo").disabled = !data.undo;
    if (data.refused && data.applied !== this.answered) this.say(data.refused);
    else if (!this.adding && !this.find(".now").textContent) this.say(data.editable ? HELP : "");
    this.answered = data.applied;
    this.draw();
  }

  // ---- what there is --------------------------------------------------------------------------------------------------------------------------------

  shapes() {
    const shapes = this.pending.reduce(edited, this.data.shapes);
    return this.held ? edited(shapes, { do: "redraw", ...this.held }) : shapes;
  }

  shape(key = this.chosen) {
    return this.shapes().find((shape) => keyOf(shape) === key);
  }

  tell(edit) {
    this.last += 1;
    this.pending.push({ n: this.last, ...edit });
    this.send(this.pending);
    this.draw();
  }

  change(points, later = false) {
    // Other points of the chosen shape. `later`: more may follow at once.
    const { section, name } = this.shape();
    clearTimeout(this.timer);
    this.held = { section, name, points };
    if (later) this.timer = setTimeout(() => this.flush(), TELL_AFTER_MS);
    else this.flush();
    this.draw();
  }

  flush() {
    clearTimeout(this.timer);
    const held = this.held;
    this.held = null;
    if (held) this.tell({ do: "redraw", ...held });
  }

  choose(key, corner = null) {
    this.flush();
    if (key !== this.chosen) this.say(key ? "" : HELP);
    this.chosen = key;
    this.corner = corner;
    if (key && !this.find(".now").textContent) this.say(this.shape()?.problem ?? HELP);
  }

  say(words) {
    this.find(".now").textContent = words;
  }

  async copied(words) {
    this.say((await copy(words)) ? `Copied ${words}` : words);
  }

  // ---- a new shape ----------------------------------------------------------------------------------------------------------------------------------

  begin(section) {
    const again = this.adding === section;
    this.stop();
    if (again) return;
    this.choose(null);
    this.adding = section;
    this.cursor = [0.5, 0.5];
    this.say(ADDING[section]);
    this.draw();
    this.find(".stage").focus({ preventScroll: true });
  }

  stop() {
    this.adding = null;
    this.points = [];
    this.find(".cross").hidden = true;
    this.say(HELP);
    this.draw();
  }

  place(at) {
    const point = rounded(at);
    if (this.points.length && samePoint(this.points[this.points.length - 1], point)) return;
    this.points.push(point);
    if (this.adding === "lines" && this.points.length === 2) this.finish();
    else this.draw();
  }

  finish() {
    const section = this.adding;
    if (!section || this.points.length < LEAST[section]) {
      this.say(section === "zones" ? `A zone has three corners or more; this has ${this.points.length}.` : ADDING.lines);
      return;
    }
    const points = this.points;
    const name = freeName(this.shapes(), section);
    this.stop();
    this.tell({ do: "add", section, name, points });
    this.choose(`${section}/${name}`);
    this.say(`${name} was added; give it a name of its own, and say in a rule what it is for.`);
    this.draw();
    this.find(".name input").select();
  }

  // ---- changing the chosen shape --------------------------------------------------------------------------------------------------------------------

  rename(to) {
    const shape = this.shape();
    if (!shape || to === shape.name) return;
    if (!to || this.shapes().some((each) => each.section === shape.section && each.name === to)) {
      this.say(to ? `There is a ${shape.section.slice(0, -1)} of this name already.` : "A name is needed.");
      this.find(".name input").value = shape.name;
      return;
    }
    this.flush();
    this.tell({ do: "rename", section: shape.section, name: shape.name, to });
    this.chosen = `${shape.section}/${to}`;
    this.draw();
  }

  removeShape() {
    const shape = this.shape();
    if (!shape) return;
    this.choose(null);
    this.tell({ do: "remove", section: shape.section, name: shape.name });
    this.say(`${shape.name} was deleted.`);
  }

  removeCorner() {
    const shape = this.shape();
    if (!shape || this.corner === null) return;
    if (shape.points.length <= LEAST[shape.section]) {
      this.say(`A ${shape.section.slice(0, -1)} has ${LEAST[shape.section]} points or more; delete the whole instead.`);
      return;
    }
    const at = this.corner;
    this.corner = null;
    this.change(shape.points.filter((_, index) => index !== at));
  }

  // ---- pointer: mouse, pen and finger ---------------------------------------------------------------------------------------------------------------

  point(event) {
    const area = this.find(".stage").getBoundingClientRect();
    return [clamped((event.clientX - area.left) / area.width), clamped((event.clientY - area.top) / area.height)];
  }

  press(event) {
    if (event.button || !event.isPrimary || !this.data.editable) return;
    const target = event.composedPath().find((each) => each.dataset?.shape !== undefined || each.dataset?.first !== undefined);
    this.pressed = { x: event.clientX, y: event.clientY };
    if (this.adding) return;
    if (!target) {
      this.choose(null);
      this.draw();
      return;
    }
    const { shape: key, corner, between } = target.dataset;
    const was = this.chosen === key;
    this.choose(key, corner === undefined ? null : Number(corner));
    const points = this.shape().points;
    const start = this.point(event);
    if (between !== undefined) {
      this.corner = Number(between) + 1;
      this.drag = { corner: this.corner, points: inserted(points, Number(between), start), start, grown: true };
    } else if (was || corner !== undefined || event.pointerType === "mouse") {
      this.drag = { corner: this.corner, points, start };
    }
    if (this.drag) this.find(".stage").setPointerCapture(event.pointerId);
    if (this.drag?.grown) this.held = { ...this.named(), points: this.drag.points };
    this.draw();
    this.focus();
    if (this.drag) event.preventDefault();
  }

  named() {
    const at = this.chosen.indexOf("/");
    return { section: this.chosen.slice(0, at), name: this.chosen.slice(at + 1) };
  }

  move(event) {
    const at = this.point(event);
    if (this.adding) this.aim(at);
    if (!this.drag) return;
    const { corner, points, start } = this.drag;
    if (!this.drag.moved && Math.hypot(event.clientX - this.pressed.x, event.clientY - this.pressed.y) < MOVED_PX) return;
    this.drag.moved = true;
    const by = [at[0] - start[0], at[1] - start[1]];
    const moved = corner === null ? shifted(points, by) : withPoint(points, corner, this.drag.grown ? at : [points[corner][0] + by[0], points[corner][1] + by[1]]);
    this.held = { ...this.named(), points: moved };
    if (corner !== null) this.say(pointText(moved[corner]));
    this.draw();
  }

  release(event) {
    const { drag, pressed } = this;
    this.drag = this.pressed = null;
    if (drag) {
      if (drag.moved || drag.grown) this.flush();
      this.draw();
      this.focus();
      return;
    }
    if (!this.adding || !pressed || Math.hypot(event.clientX - pressed.x, event.clientY - pressed.y) > 4 * MOVED_PX) return;
    if (event.composedPath().some((each) => each.dataset?.first !== undefined) && this.points.length >= LEAST.zones) this.finish();
    else this.place(this.point(event));
  }

  giveUp() {
    this.drag = this.held = this.pressed = null;
    this.draw();
  }

  aim(at) {
    this.cursor = at;
    const cross = this.find(".cross");
    cross.hidden = false;
    cross.style.left = `${at[0] * 100}%`;
    cross.style.top = `${at[1] * 100}%`;
    this.picture.stretch([...this.points, at]);
  }

  // ---- keys -----------------------------------------------------------------------------------------------------------------------------------------

  key(event) {
    if (!this.data.editable) return;
    const way = ARROWS[event.key]?.map((axis) => axis * (event.shiftKey ? BIG_STEP : STEP));
    const done = this.adding ? this.keyWhileAdding(event, way) : this.keyOnShape(event, way);
    if (done) event.preventDefault();
  }

  keyWhileAdding(event, way) {
    if (event.key === "Escape") this.stop();
    else if (event.key === "Enter") this.finish();
    else if (event.key === " ") this.place(this.cursor);
    else if (event.key === "Backspace") this.points.pop(), this.draw();
    else if (way) this.aim(rounded([this.cursor[0] + way[0], this.cursor[1] + way[1]]));
    else return false;
    return true;
  }

  keyOnShape(event, way) {
    const { shape: key, corner, between } = event.target.dataset;
    if (key === undefined) return false;
    const shape = this.shape(key);
    const at = corner === undefined ? null : Number(corner);
    if (event.key === "Escape") {
      this.giveUp();
      this.choose(null);
      this.draw();
    } else if (event.key === "Enter" || event.key === " ") {
      this.choose(key, at);
      if (between !== undefined) {
        this.corner = Number(between) + 1;
        this.change(inserted(shape.points, Number(between), middles(shape)[Number(between)]));
      }
      this.draw();
      this.focus();
    } else if (event.key === "Delete" || event.key === "Backspace") {
      if (key !== this.chosen) this.choose(key, at);
      this.corner = at;
      if (at === null) this.removeShape();
      else this.removeCorner();
    } else if (way && between === undefined) {
      if (key !== this.chosen || this.corner !== at) this.choose(key, at);
      const points = this.shape(key).points;
      this.change(at === null ? shifted(points, way) : withPoint(points, at, [points[at][0] + way[0], points[at][1] + way[1]]), true);
      if (at !== null) this.say(pointText(this.shape().points[at]));
    } else return false;
    return true;
  }

  // ---- the picture ----------------------------------------------------------------------------------------------------------------------------------

  draw() {
    if (!this.data) return;
    const { chosen, corner, adding, points, drag } = this;
    this.picture.draw(this.shapes(), { chosen, corner, adding, points, dragging: Boolean(drag), editable: this.data.editable, ratio: this.ratio() });
    const shape = this.shape();
    this.find(".stage").classList.toggle("drawing", Boolean(adding));
    this.find(".add-zone").setAttribute("aria-pressed", String(adding === "zones"));
    this.find(".add-line").setAttribute("aria-pressed", String(adding === "lines"));
    this.find(".of-shape").hidden = !shape;
    this.find(".flip").hidden = shape?.section !== "lines";
    this.find(".delete-corner").hidden = shape?.section !== "zones";
    this.find(".delete-corner").disabled = corner === null || (shape?.points.length ?? 0) <= LEAST.zones;
    const name = this.find(".name input");
    if (shape && name.getRootNode().activeElement !== name) name.value = shape.name;
  }

  ratio() {
    return this.data.width && this.data.height ? this.data.width / this.data.height : 16 / 9;
  }

  focus() {
    if (this.chosen) this.picture.focus(this.chosen, this.corner);
  }
}

export default function ({ data, parentElement, setTriggerValue }) {
  if (!MOUNTED.has(parentElement)) MOUNTED.set(parentElement, new Zones(parentElement));
  MOUNTED.get(parentElement).show(data, setTriggerValue);
}
