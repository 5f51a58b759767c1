// What lies over the frame: shapes as SVG, their names and corners as buttons, so that keys reach them. It draws what it is told and keeps nothing else.

const SVG = "http://www.w3.org/2000/svg";
const HUES = [168, 28, 210, 330, 95, 265, 0, 190];

function element(tag, attributes) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

class Picture {
  constructor(svg, layer) {
    this.svg = svg;
    this.layer = layer;
  }

  draw(shapes, state) {
    // `state`: key of the chosen shape and number of its corner, section and points of what is drawn, whether something is dragged or can be changed at all,
    // and width by height of the frame.
    this.state = state;
    this.svg.replaceChildren();
    this.wanted = [];
    const level = (shape) => (shape.section === "lines" ? 2 : 0) + this.is(shape); // a line can be taken hold of inside of a zone
    const order = [...shapes.keys()].sort((one, other) => level(shapes[one]) - level(shapes[other]));
    const color = (index) => `hsl(${HUES[index % HUES.length]} 85% 55%)`;
    for (const index of order) this.drawShape(shapes[index], color(index));
    shapes.forEach((shape, index) => this.label(shape, color(index)));
    const chosen = shapes.find((shape) => this.is(shape));
    if (chosen) this.handles(chosen);
    if (state.adding) this.drawNew();
    this.placeMarks();
  }

  stretch(points) {
    // The open end of what is drawn follows the pointer.
    this.svg.querySelector(".rubber")?.setAttribute("points", listOf(points));
  }

  focus(key, corner) {
    const marks = [...this.layer.children].filter((mark) => mark.dataset.shape === key);
    const wanted = marks.find((mark) => (corner === null ? mark.classList.contains("label") : mark.dataset.corner === String(corner)));
    wanted?.focus({ preventScroll: true });
  }

  is(shape) {
    return this.state.chosen === keyOf(shape);
  }

  // ---- shapes ---------------------------------------------------------------------------------------------------------------------------------------

  drawShape(shape, color) {
    const chosen = this.is(shape);
    const look = { stroke: color, "stroke-width": chosen ? "4" : "2.5", "vector-effect": "non-scaling-stroke" };
    const body = { class: chosen ? "body chosen" : "body", "data-shape": keyOf(shape) };
    if (shape.section === "lines") {
      const [from, to] = shape.points;
      const ends = { x1: from[0], y1: from[1], x2: to[0], y2: to[1] };
      this.svg.append(element("line", { ...look, ...ends }), element("polyline", { ...look, fill: "none", points: arrowPoints(shape, this.state.ratio) }));
      this.svg.append(element("line", { ...body, ...ends, stroke: "transparent", "stroke-width": "22", "vector-effect": "non-scaling-stroke" }));
    } else {
      this.svg.append(element("polygon", { ...look, ...body, points: listOf(shape.points), fill: color, "fill-opacity": chosen ? "0.28" : "0.18" }));
    }
  }

  drawNew() {
    const { adding, points } = this.state;
    const look = { fill: "none", stroke: "#fff", "stroke-width": "2.5", "stroke-dasharray": "6 4", "vector-effect": "non-scaling-stroke" };
    this.svg.append(element("polyline", { ...look, class: "rubber", points: listOf(points) }));
    points.forEach((point, index) => {
      const first = index === 0 && adding === "zones" && points.length >= LEAST.zones;
      this.mark(point, first ? "corner first" : "corner", first ? "Close the zone" : `Corner ${index + 1}`, first ? { first: "" } : {});
    });
  }

  // ---- marks ----------------------------------------------------------------------------------------------------------------------------------------

  label(shape, color) {
    const what = `${shape.section === "lines" ? "Line" : "Zone"} ${shape.name}`;
    const words = this.state.editable ? `${what}: Enter chooses it, arrows move it, Delete removes it` : what;
    const classes = `label${this.is(shape) ? " chosen" : ""}${shape.problem ? " wrong" : ""}`;
    this.mark(shape.points[0], classes, words, { shape: keyOf(shape) }, shape.name, color);
  }

  handles(shape) {
    const key = keyOf(shape);
    const words = shape.section === "lines" ? ["begins", "ends"] : null;
    if (!this.state.dragging) {
      middles(shape).forEach((point, index) => this.mark(point, "between", `New corner after corner ${index + 1} of ${shape.name}`, { shape: key, between: index }));
    }
    shape.points.forEach((point, index) => {
      const what = words ? `${shape.name} ${words[index]}` : `${shape.name}, corner ${index + 1} of ${shape.points.length}`;
      this.mark(point, this.state.corner === index ? "corner chosen" : "corner", `${what}, at ${pointText(point)}`, { shape: key, corner: index });
    });
  }

  mark(point, classes, words, facts, text = "", color = "") {
    this.wanted.push({ point, classes, words, facts, text, color });
  }

  placeMarks() {
    // Marks are kept from one drawing to the next, so that the one with the focus keeps it.
    const id = (facts, classes) => JSON.stringify([facts.shape ?? "", facts.corner ?? "", facts.between ?? "", classes.split(" ")[0]].map(String));
    const there = new Map([...this.layer.children].filter((mark) => mark.dataset.shape !== undefined).map((mark) => [mark.id, mark]));
    const kept = this.wanted.map(({ point, classes, words, facts, text, color }) => {
      const key = id(facts, classes);
      const mark = there.get(key) ?? document.createElement("button");
      if (facts.shape !== undefined) mark.id = key;
      mark.type = "button";
      mark.className = classes;
      for (const [name, value] of Object.entries(facts)) mark.dataset[name] = value;
      mark.setAttribute("aria-label", words);
      mark.textContent = text;
      mark.style.left = `${point[0] * 100}%`;
      mark.style.top = `${point[1] * 100}%`;
      mark.style.background = color;
      return mark;
    });
    for (const mark of [...this.layer.children]) if (!kept.includes(mark)) mark.remove();
    kept.forEach((mark, index) => this.layer.children[index] !== mark && this.layer.insertBefore(mark, this.layer.children[index] ?? null));
  }
}
