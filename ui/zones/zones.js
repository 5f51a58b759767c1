// Zones and lines over a real frame; a click shows and copies the point as 0-1 coordinates, ready for the rules file.

const SVG = "http://www.w3.org/2000/svg";
const DIGITS = 3;
const HUES = [168, 28, 210, 330, 95, 265, 0, 190];
const MOUNTED = new WeakMap();

function shape(tag, attributes) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}

function text(point) {
  return `[${point[0].toFixed(DIGITS)}, ${point[1].toFixed(DIGITS)}]`;
}

class Zones {
  constructor(parent) {
    this.find = (selector) => parent.querySelector(selector);
    this.points = [];
    const stage = this.find(".stage");
    stage.onpointermove = (event) => this.hover(event);
    stage.onpointerleave = () => (this.find(".cross").hidden = true);
    stage.onclick = (event) => this.click(event);
    this.find(".polygon").onclick = () => this.copied(`{polygon: [${this.points.map(text).join(", ")}]}`);
    this.find(".line").onclick = () => this.copied(`{from: ${text(this.points[0])}, to: ${text(this.points[this.points.length - 1])}}`);
    this.find(".undo").onclick = () => {
      this.points.pop();
      this.draw();
    };
    this.find(".clear").onclick = () => {
      this.points = [];
      this.draw();
    };
  }

  show(data) {
    this.data = data;
    const image = this.find("img");
    if (image.getAttribute("src") !== data.image) image.src = data.image;
    image.alt = data.alt;
    this.draw();
  }

  point(event) {
    const area = this.find(".stage").getBoundingClientRect();
    const clamp = (value) => Math.min(Math.max(value, 0), 1);
    return [clamp((event.clientX - area.left) / area.width), clamp((event.clientY - area.top) / area.height)];
  }

  hover(event) {
    const at = this.point(event);
    const cross = this.find(".cross");
    cross.hidden = false;
    cross.style.left = `${at[0] * 100}%`;
    cross.style.top = `${at[1] * 100}%`;
    this.find(".now").textContent = text(at);
  }

  async click(event) {
    const at = this.point(event);
    this.points.push(at);
    this.draw();
    await this.copied(text(at));
  }

  async copied(words) {
    this.find(".now").textContent = (await copy(words)) ? `Copied ${words}` : words;
  }

  draw() {
    const svg = this.find("svg");
    const labels = this.find(".labels");
    svg.replaceChildren();
    labels.replaceChildren();
    const stroke = { fill: "none", "stroke-width": "2.5", "vector-effect": "non-scaling-stroke" };
    this.data.zones.forEach((zone, index) => {
      const color = `hsl(${HUES[index % HUES.length]} 85% 55%)`;
      const points = zone.polygon.map((point) => point.join(",")).join(" ");
      svg.append(shape("polygon", { ...stroke, points, stroke: color, fill: color, "fill-opacity": "0.18" }));
      this.label(labels, zone.name, zone.polygon[0], color);
    });
    this.data.lines.forEach((line, index) => {
      const color = `hsl(${HUES[(index + this.data.zones.length) % HUES.length]} 85% 55%)`;
      svg.append(shape("line", { ...stroke, x1: line.from[0], y1: line.from[1], x2: line.to[0], y2: line.to[1], stroke: color }));
      this.arrow(svg, line, color);
      this.label(labels, line.name, line.from, color);
    });
    if (this.points.length) {
      svg.append(shape("polyline", { ...stroke, points: this.points.map((point) => point.join(",")).join(" "), stroke: "#fff", "stroke-dasharray": "6 4" }));
      for (const point of this.points) {
        const dot = document.createElement("i");
        dot.style.left = `${point[0] * 100}%`;
        dot.style.top = `${point[1] * 100}%`;
        labels.append(dot);
      }
    }
    this.find(".polygon").disabled = this.points.length < 3;
    this.find(".line").disabled = this.points.length < 2;
    this.find(".undo").disabled = this.find(".clear").disabled = this.points.length === 0;
  }

  arrow(svg, line, color) {
    // From left to right, as seen when walking from -> to: the picture's y points down, so right is (-dy, dx) turned by the frame's shape.
    const ratio = this.data.width && this.data.height ? this.data.width / this.data.height : 16 / 9;
    const dx = (line.to[0] - line.from[0]) * ratio;
    const dy = line.to[1] - line.from[1];
    const long = Math.hypot(dx, dy) || 1;
    const side = [(-dy / long) * 0.06, (dx / long) * 0.06];
    const middle = [((line.from[0] + line.to[0]) / 2) * ratio, (line.from[1] + line.to[1]) / 2];
    const tip = [middle[0] + side[0], middle[1] + side[1]];
    const barb = (turn) => [tip[0] - side[0] * 0.4 + turn * side[1] * 0.3, tip[1] - side[1] * 0.4 - turn * side[0] * 0.3];
    const points = [[middle[0] - side[0], middle[1] - side[1]], tip, barb(1), tip, barb(-1)].map((point) => `${point[0] / ratio},${point[1]}`).join(" ");
    svg.append(shape("polyline", { points, fill: "none", stroke: color, "stroke-width": "2", "vector-effect": "non-scaling-stroke" }));
  }

  label(layer, words, point, color) {
    const label = document.createElement("span");
    label.textContent = words;
    label.style.left = `${point[0] * 100}%`;
    label.style.top = `${point[1] * 100}%`;
    label.style.background = color;
    layer.append(label);
  }
}

export default function ({ data, parentElement }) {
  if (!MOUNTED.has(parentElement)) MOUNTED.set(parentElement, new Zones(parentElement));
  MOUNTED.get(parentElement).show(data);
}
