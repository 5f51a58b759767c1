// Zones and lines as values: points are 0-1 of the frame, y downward. Nothing here knows of the page.

const DIGITS = 3;
const LEAST = { zones: 3, lines: 2 };

const clamped = (value) => Math.min(Math.max(value, 0), 1);
const rounded = (point) => point.map((value) => Number(clamped(value).toFixed(DIGITS)));
const samePoint = (one, other) => one[0] === other[0] && one[1] === other[1];

const keyOf = (shape) => `${shape.section}/${shape.name}`;
const listOf = (points) => points.map((point) => point.join(",")).join(" ");

function pointText(point) {
  return `[${point[0].toFixed(DIGITS)}, ${point[1].toFixed(DIGITS)}]`;
}

function shapeText(shape) {
  const points = shape.points.map((point) => `[${point.map((value) => Number(value.toFixed(DIGITS))).join(", ")}]`);
  return shape.section === "lines" ? `{from: ${points[0]}, to: ${points[1]}}` : `{polygon: [${points.join(", ")}]}`;
}

function shifted(points, by) {
  // All points by the same way, which ends where the first of them reaches the edge of the picture.
  const way = [0, 1].map((axis) => {
    const values = points.map((point) => point[axis]);
    return Math.min(Math.max(by[axis], -Math.min(...values)), 1 - Math.max(...values));
  });
  return points.map((point) => rounded([point[0] + way[0], point[1] + way[1]]));
}

function withPoint(points, at, point) {
  return points.map((each, index) => (index === at ? rounded(point) : each));
}

function inserted(points, after, point) {
  return [...points.slice(0, after + 1), rounded(point), ...points.slice(after + 1)];
}

function middles(shape) {
  return shape.section === "lines" ? [] : shape.points.map((point, index) => middle(point, shape.points[(index + 1) % shape.points.length]));
}

function middle(one, other) {
  return [(one[0] + other[0]) / 2, (one[1] + other[1]) / 2];
}

function freeName(shapes, section) {
  const taken = new Set(shapes.filter((shape) => shape.section === section).map((shape) => shape.name));
  const word = section === "lines" ? "line" : "zone";
  let number = 1;
  while (taken.has(`${word}-${number}`)) number += 1;
  return `${word}-${number}`;
}

function edited(shapes, edit) {
  // The shapes after an edit, as the page will give them back.
  const at = shapes.findIndex((shape) => shape.section === edit.section && shape.name === edit.name);
  if (edit.do === "add") return [...shapes, { section: edit.section, name: edit.name, points: edit.points }];
  if (at < 0) return shapes;
  if (edit.do === "remove") return shapes.filter((_, index) => index !== at);
  const change = edit.do === "rename" ? { name: edit.to } : { points: edit.points };
  return shapes.map((shape, index) => (index === at ? { ...shape, ...change } : shape));
}

function arrowPoints(line, ratio) {
  // From left to right, as seen when walking from -> to: the picture's y points down, so right is (-dy, dx) turned by the frame's shape.
  const [from, to] = line.points;
  const dx = (to[0] - from[0]) * ratio;
  const dy = to[1] - from[1];
  const long = Math.hypot(dx, dy) || 1;
  const side = [(-dy / long) * 0.06, (dx / long) * 0.06];
  const centre = [((from[0] + to[0]) / 2) * ratio, (from[1] + to[1]) / 2];
  const tip = [centre[0] + side[0], centre[1] + side[1]];
  const barb = (turn) => [tip[0] - side[0] * 0.4 + turn * side[1] * 0.3, tip[1] - side[1] * 0.4 - turn * side[0] * 0.3];
  return [[centre[0] - side[0], centre[1] - side[1]], tip, barb(1), tip, barb(-1)].map((point) => `${point[0] / ratio},${point[1]}`).join(" ");
}
