// Which boxes belong on the picture at a moment, and how they are drawn. Positions are 0-1 of the upright frame.

const BUCKET_S = 10; // tracks are filed by this many seconds, so that a day of footage costs no more per frame than a minute
const HELD = 0.6; // of one sample distance: how long a box is shown before and after its only sample
const LARGEST_GAP = 2.6; // sample distances between which a box is moved smoothly; beyond, the track was out of sight
const LINE_CSS_PX = 2;
const LABEL_CSS_PX = 12;
const HUES = [168, 28, 210, 330, 95, 265, 0, 190, 50, 300];

function fileTracks(sheet) {
  const buckets = new Map();
  for (const track of sheet.tracks) {
    const last = Math.floor(track.end_s / BUCKET_S);
    for (let index = Math.floor(track.start_s / BUCKET_S); index <= last; index++) {
      if (!buckets.has(index)) buckets.set(index, []);
      buckets.get(index).push(track);
    }
  }
  return { buckets, step: sheet.sample_rate > 0 ? 1 / sheet.sample_rate : 0.2 };
}

function boxAt(track, at, step) {
  const times = track.times_s;
  let low = 0;
  let high = times.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (times[middle] <= at) low = middle + 1;
    else high = middle;
  }
  const before = low - 1;
  if (before >= 0 && low < times.length && times[low] - times[before] <= step * LARGEST_GAP) {
    const part = (at - times[before]) / (times[low] - times[before]);
    return track.boxes[before].map((edge, index) => edge + (track.boxes[low][index] - edge) * part);
  }
  if (before >= 0 && at - times[before] <= step * HELD) return track.boxes[before];
  if (low < times.length && times[low] - at <= step * HELD) return track.boxes[low];
  return null;
}

function boxesAt(filed, at) {
  const near = new Set([...(filed.buckets.get(Math.floor(at / BUCKET_S)) ?? []), ...(filed.buckets.get(Math.floor((at + filed.step) / BUCKET_S)) ?? [])]);
  const found = [];
  for (const track of near) {
    if (at < track.start_s - filed.step || at > track.end_s + filed.step) continue;
    const box = boxAt(track, at, filed.step);
    if (box) found.push({ id: track.id, label: `${track.class_name} ${track.id}`, box });
  }
  return found;
}

function drawBoxes(canvas, picture, boxes) {
  // `picture` is where the video's picture lies inside the canvas, in CSS pixels: {left, top, width, height}.
  const ratio = window.devicePixelRatio || 1;
  const width = Math.round(canvas.clientWidth * ratio);
  const height = Math.round(canvas.clientHeight * ratio);
  if (canvas.width !== width || canvas.height !== height) {
    canvas.width = width;
    canvas.height = height;
  }
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, canvas.clientWidth, canvas.clientHeight);
  context.lineWidth = LINE_CSS_PX;
  context.font = `600 ${LABEL_CSS_PX}px system-ui, sans-serif`;
  context.textBaseline = "bottom";
  for (const { id, label, box } of boxes) {
    const color = `hsl(${HUES[id % HUES.length]} 85% 58%)`;
    const left = picture.left + box[0] * picture.width;
    const top = picture.top + box[1] * picture.height;
    context.strokeStyle = color;
    context.strokeRect(left, top, (box[2] - box[0]) * picture.width, (box[3] - box[1]) * picture.height);
    const wide = context.measureText(label).width + 8;
    const x = Math.min(Math.max(left - 1, picture.left), picture.left + picture.width - wide);
    const y = Math.max(top, picture.top + LABEL_CSS_PX + 5);
    context.fillStyle = color;
    context.fillRect(x, y - LABEL_CSS_PX - 5, wide, LABEL_CSS_PX + 5);
    context.fillStyle = "#0b1210";
    context.fillText(label, x + 4, y - 2);
  }
  return boxes.length;
}
