// The player: one video, boxes over its playing picture, the timeline. State lives beside the element, so that a new run of the page changes only what changed.

const SEEK_EVENT = "video-platform:seek"; // {player, at_s, play}: other components of the page ask the player to go somewhere
const STEP_S = 5;
const COPIED_MS = 1500;
const FRAME_S = 1 / 15;
const LAST_S = 0.05; // so long before the end is the last picture, and not what comes after it
const PLAY = "M8 5v14l11-7z";
const PAUSE = "M6 5h4v14H6zm8 0h4v14h-4z";
const MOUNTED = new WeakMap();

class Player {
  constructor(parent) {
    const find = (selector) => parent.querySelector(selector);
    this.root = find(".player");
    this.stage = find(".stage");
    this.video = find("video");
    this.canvas = find("canvas");
    this.trouble = find(".trouble");
    this.find = find;
    this.filed = null;
    this.timeline = new Timeline(find(".timeline"), (at) => this.seek(at));
    this.video.onloadedmetadata = () => this.ready();
    this.video.onerror = () => this.failed();
    this.video.onplay = this.video.onpause = () => this.drawButton();
    this.video.onseeked = this.video.ontimeupdate = this.video.onloadeddata = () => this.draw();
    this.video.onvolumechange = () => this.drawButton();
    this.video.onclick = find(".play").onclick = () => this.toggle();
    find(".back").onclick = () => this.seek(this.video.currentTime - STEP_S);
    find(".forward").onclick = () => this.seek(this.video.currentTime + STEP_S);
    find(".boxes").onchange = () => this.draw();
    find(".subtitles").onchange = () => this.drawSubtitles();
    find(".mute").onclick = () => (this.video.muted = !this.video.muted);
    find(".speed").onchange = (event) => (this.video.playbackRate = Number(event.target.value));
    find(".link").onclick = () => this.share();
    find(".full").onclick = () => this.full();
    find(".trouble button").onclick = () => this.load(this.at());
    this.root.onkeydown = (event) => this.key(event);
    this.onseek = (event) => event.detail.player === this.data.player && this.asked(event.detail);
    window.addEventListener(SEEK_EVENT, this.onseek);
    this.sizes = new ResizeObserver(() => this.draw());
    this.sizes.observe(this.stage);
    this.running = true;
    this.watch();
  }

  show(data) {
    const before = this.data;
    this.data = data;
    this.root.setAttribute("aria-label", data.alt);
    if (data.width && data.height) this.stage.style.aspectRatio = `${data.width} / ${data.height}`;
    if (!before || before.version !== data.version) {
      this.retried = false;
      if (data.poster) this.video.poster = data.poster;
      this.load(before ? this.at() : data.start_s || 0, before && !this.video.paused);
    } else if (this.broken && before.src !== data.src) this.load(this.at());
    else if (before.start_s !== data.start_s && data.start_s !== null) this.seek(data.start_s);
    if (!before || before.tracks_version !== data.tracks_version) this.fetchTracks();
    if (!before || before.subtitles_version !== data.subtitles_version) this.fetchSubtitles();
    this.timeline.show(data);
    this.find(".length").textContent = clock(data.duration_s || 0, false);
    this.drawButton();
  }

  load(at, playing) {
    // A new version of the file, or a renewed address: the moment being watched stays.
    this.wanted = this.last = at;
    this.wantsPlay = playing;
    this.trouble.hidden = true;
    this.broken = false;
    this.video.src = this.data.src;
  }

  ready() {
    this.video.currentTime = this.within(this.wanted ?? 0); // also for 0: only a seek takes the poster away, and boxes belong to the frame, not to the poster
    if (this.wantsPlay) this.video.play().catch(() => {});
    this.video.playbackRate = Number(this.find(".speed").value);
    this.wanted = null;
    this.wantsPlay = false;
    this.draw();
  }

  failed() {
    // Signed addresses end; the page hands down a fresh one long before, so the first failure is answered by loading it.
    if (!this.retried && this.video.getAttribute("src") !== this.data.src) {
      this.load(this.at(), !this.video.paused);
      return;
    }
    if (!this.retried) {
      this.retried = true;
      this.load(this.at(), !this.video.paused);
      return;
    }
    this.trouble.querySelector("p").textContent = "The video could not be loaded. Is the service still running? Reload the page if this stays.";
    this.trouble.hidden = false;
    this.broken = true; // a fresh address, when the page hands one down, is tried at once
    this.retried = false;
  }

  fetchTracks() {
    const url = this.data.tracks;
    const version = this.data.tracks_version;
    this.filed = null;
    this.draw();
    if (!url) return;
    fetch(url)
      .then((answer) => (answer.ok ? answer.json() : Promise.reject(new Error(String(answer.status)))))
      .then((sheet) => {
        if (version !== this.data.tracks_version) return;
        this.filed = fileTracks(sheet);
        this.root.dataset.tracks = String(sheet.tracks.length);
        this.draw();
      })
      .catch(() => {
        this.root.dataset.tracks = "failed";
      });
  }

  fetchSubtitles() {
    // An element per version: one that is given another address keeps the old cues.
    this.video.querySelector("track")?.remove();
    delete this.root.dataset.subtitles;
    this.find(".titles").hidden = !this.data.subtitles;
    if (!this.data.subtitles) return;
    const track = document.createElement("track");
    track.kind = "captions";
    track.label = "Speech";
    track.srclang = this.data.language || "";
    track.src = this.data.subtitles;
    track.onload = () => (this.root.dataset.subtitles = String(track.track.cues.length));
    track.onerror = () => (this.root.dataset.subtitles = "failed");
    this.video.append(track);
    this.drawSubtitles();
  }

  drawSubtitles() {
    for (const track of this.video.textTracks) track.mode = this.find(".subtitles").checked ? "showing" : "hidden";
  }

  at() {
    // A video that lost its file says 0; where it was is remembered.
    if (this.video.readyState > 0) this.last = this.video.currentTime;
    return this.wanted ?? this.last ?? 0;
  }

  within(at) {
    // Sound may go on after the last picture, where there is nothing to see; it is heard by playing on.
    const end = Math.min(this.video.duration || this.data.duration_s || 0, this.data.pictures_s || Infinity);
    return Math.min(Math.max(at, 0), Math.max(end - LAST_S, 0));
  }

  seek(at) {
    const target = this.within(at);
    if (this.video.readyState === 0) this.wanted = target;
    else this.video.currentTime = target;
    this.timeline.move(target);
    this.find(".now").textContent = clock(target, true);
  }

  asked(detail) {
    this.seek(detail.at_s);
    if (detail.play) this.video.play().catch(() => {});
    this.root.scrollIntoView({ block: "nearest", behavior: "smooth" });
  }

  toggle() {
    if (this.video.paused) this.video.play().catch(() => {});
    else this.video.pause();
  }

  async share() {
    const address = `${window.location.origin}${this.data.page}&t=${this.at().toFixed(2)}`;
    const button = this.find(".link");
    button.textContent = (await copy(address)) ? "Copied" : address;
    setTimeout(() => (button.textContent = "Link"), COPIED_MS);
  }

  full() {
    if (document.fullscreenElement) document.exitFullscreen();
    else this.root.requestFullscreen?.();
  }

  key(event) {
    if (event.target.tagName === "SELECT" || event.ctrlKey || event.metaKey || event.altKey) return;
    const onButton = event.target.tagName === "BUTTON" || event.target.tagName === "INPUT";
    const step = event.shiftKey ? 1 : STEP_S;
    const actions = {
      k: () => this.toggle(),
      f: () => this.full(),
      m: () => (this.video.muted = !this.video.muted),
      b: () => this.find(".boxes").click(),
      c: () => this.data.subtitles && this.find(".subtitles").click(),
      ArrowLeft: () => this.seek(this.video.currentTime - step),
      ArrowRight: () => this.seek(this.video.currentTime + step),
      Home: () => this.seek(0),
      End: () => this.seek(Infinity),
      ",": () => this.seek(this.video.currentTime - FRAME_S),
      ".": () => this.seek(this.video.currentTime + FRAME_S),
    };
    if (!onButton) actions[" "] = () => this.toggle();
    const action = actions[event.key];
    if (!action) return;
    event.preventDefault();
    event.stopPropagation(); // Streamlit has shortcuts of its own
    action();
  }

  picture() {
    const width = this.canvas.clientWidth;
    const height = this.canvas.clientHeight;
    const ratio = this.video.videoWidth ? this.video.videoWidth / this.video.videoHeight : (this.data.width || 16) / (this.data.height || 9);
    const wide = Math.min(width, height * ratio);
    return { left: (width - wide) / 2, top: (height - wide / ratio) / 2, width: wide, height: wide / ratio };
  }

  draw(shown) {
    const at = shown ?? this.at();
    const on = this.filed && this.video.readyState >= 2 && this.find(".boxes").checked;
    const drawn = drawBoxes(this.canvas, this.picture(), on ? boxesAt(this.filed, at) : []);
    this.canvas.dataset.boxes = String(drawn);
    this.timeline.move(at);
    this.find(".now").textContent = clock(at, true);
  }

  drawButton() {
    const paused = this.video.paused;
    this.find(".play").setAttribute("aria-label", paused ? "Play" : "Pause");
    this.find(".play .shape").setAttribute("d", paused ? PLAY : PAUSE);
    this.find(".mute").textContent = this.video.muted ? "Unmute" : "Mute";
    this.find(".mute").setAttribute("aria-pressed", String(this.video.muted));
    this.find(".mute").hidden = !this.data?.sound;
  }

  watch() {
    // Where the browser tells which frame it shows, boxes belong to that frame; elsewhere to the clock.
    if (!this.running) return;
    if (this.video.requestVideoFrameCallback) {
      this.video.requestVideoFrameCallback((_, frame) => {
        if (!this.running) return;
        this.draw(frame.mediaTime);
        this.watch();
      });
    } else {
      requestAnimationFrame(() => {
        if (!this.video.paused) this.draw();
        this.watch();
      });
    }
  }

  end() {
    this.running = false;
    this.sizes.disconnect();
    window.removeEventListener(SEEK_EVENT, this.onseek);
    this.video.onerror = null;
    this.video.pause();
    this.video.removeAttribute("src");
    this.video.load();
  }
}

export default function ({ data, parentElement }) {
  if (!MOUNTED.has(parentElement)) MOUNTED.set(parentElement, new Player(parentElement));
  MOUNTED.get(parentElement).show(data);
  return () => {
    MOUNTED.get(parentElement)?.end();
    MOUNTED.delete(parentElement);
  };
}
