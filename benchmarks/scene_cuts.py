"""Both scene modes against known cuts: precision and recall per kind of cut, and CPU seconds against bare decoding, all in one process.

    python -m benchmarks.scene_cuts [--footage FILE] [--keep FOLDER]

Three sets of 30 cuts (hard, fades through black, dissolves), each of three clips that are joined in code of eleven pieces: crops of real footage, and drawn
scenes. Within pieces lie what is no cut: a flash, an object that crosses before the lens, a fast pan, light that goes and comes. A cut counts as found when a
scene begins within `SLACK_S` of its transition; of several such the others are false. The mode accurate takes its model where `vp models pull transnetv2`
leaves it. What was chosen with which set stands beside each; what is said of the third set is what to expect.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"  # as in the process that analyses

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.footage import SAMPLE
from video_platform import scene_model
from video_platform.analysis import media, one_pass
from video_platform.analysis.scenes import SceneParameters
from video_platform.errors import PlatformError
from video_platform.layout import SCENES
from video_platform.scene_model import SceneModel
from video_platform.settings import SceneSettings, Settings

SIZE = (640, 360)
SLACK_S = 0.3


@dataclass(frozen=True)
class Clips:
    """Three clips of eleven pieces, one clip per kind of cut.

    `pieces` names what each shows, in this order: R is real, S is drawn, D is drawn otherwise; neighbours of the same kind are the hardest to tell apart.
    `lasts` is per kind the frames that its ten transitions take, over and over, half of them in each of the two pieces; `dark` is how many of them are black
    in a fade. `traps` says per piece what happens in its middle and is no cut. `places` are left and top of the crops of real footage, 384x216 pixels of
    768x576, which begin with one of the frames `moments`, or of its second half.
    """

    name: str
    fps: int
    piece: int
    pieces: str
    lasts: Mapping[str, Sequence[int]]
    dark: Sequence[int]
    traps: Mapping[int, str]
    places: Sequence[tuple[int, int]]
    moments: tuple[int, int] | None = None
    seed: Sequence[int] = ()


CHOSEN_WITH = Clips(
    "first",
    fps=25,
    piece=36,
    pieces="RRSRSSRRSRS",
    lasts={"hard": (0,), "fade": (16,), "dissolve": (12,)},
    dark=(0,),
    traps={2: "flash", 4: "pan", 6: "object", 9: "flash"},
    places=((0, 60), (384, 60), (0, 330), (384, 330), (190, 200), (190, 40)),
    moments=(0, 200),
)
"""What the joining of gradual changes was chosen with."""

SEEN = Clips(
    "second",
    fps=30,
    piece=90,
    pieces="RDDRRDRDDRR",
    lasts={"hard": (0,), "fade": (8, 16, 30, 44, 60), "dissolve": (6, 12, 30, 44, 60)},
    dark=(0, 0, 4, 10),
    traps={0: "dim", 1: "flash", 2: "zoom", 3: "object", 4: "dim", 5: "pan", 6: "object", 7: "dim", 8: "flash", 9: "shake", 10: "switch"},
    places=((60, 0), (320, 120), (120, 250), (384, 220), (0, 200), (250, 340)),
    seed=(2026,),
)
"""Other footage, pictures, lengths (0.2 to 2 s) and traps. That views are compared, and how, was decided in sight of what both modes made of these."""

HELD_OUT = Clips(
    "third",
    fps=24,
    piece=84,
    pieces="DRSRRSDDRSR",
    lasts={"hard": (0,), "fade": (24, 10, 54, 36), "dissolve": (16, 36, 8, 48)},
    dark=(12, 0, 24),
    traps={0: "flash", 1: "switch", 2: "dim", 3: "shake", 4: "object", 5: "pan", 6: "zoom", 7: "flash", 8: "dim", 9: "switch", 10: "flash"},
    places=((300, 80), (40, 300), (384, 300), (120, 60), (220, 280), (0, 120)),
    seed=(31, 7),
)
"""What was run for the first time when both modes were as they are: nothing was chosen with it."""

KINDS = tuple(CHOSEN_WITH.lasts)

SHAKES, DIMS = 12, 15
"""Frames before and after the middle in which a camera shakes, or it is darker."""

DRIFT = 80
"""Pixels by which drawn textures are wider than the picture, at least: they drift by one a frame."""

DIM_LIGHT, SWITCHED_LIGHT = 0.35, 0.55
"""What is left of the light."""

COST_SIZE, COST_FPS, COST_FRAMES = (1920, 1080), 30, 240
"""The clip that cost is measured with: the real footage with noise, as a camera gives it."""

Picture = NDArray[np.uint8]


@dataclass(frozen=True)
class Joined:
    """A clip with its truth: each cut as the times at which its transition begins and ends."""

    kind: str
    path: Path
    cuts_s: Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Score:
    """Cuts that were found, of how many, and how many more there were said to be."""

    found: int
    cuts: int
    false: int

    @property
    def precision(self) -> float:
        return self.found / (self.found + self.false) if self.found + self.false else 1.0

    @property
    def recall(self) -> float:
        return self.found / self.cuts


def joined(clips: Clips, kind: str, footage: Path, folder: Path) -> Joined:
    """The clip of one kind of cut, and where its cuts are."""
    pieces = [_piece(clips, number, kind, footage) for number in range(len(clips.pieces))]
    lasts = [0, *(clips.lasts[kind][number % len(clips.lasts[kind])] for number in range(len(pieces) - 1)), 0]
    dark = [0, *(clips.dark[number % len(clips.dark)] for number in range(len(pieces) - 1)), 0]
    path, frames, cuts = folder / f"{clips.name}-{kind}.mp4", [], []
    for number, piece in enumerate(pieces):
        before, after = lasts[number] // 2, lasts[number + 1] // 2
        for at, picture in enumerate(piece):
            into, left = at, clips.piece - 1 - at
            if into < before:
                picture = _blended(pieces[number - 1][-1], picture, into + before + 1, lasts[number], dark[number], kind)
            elif left < after:
                picture = _blended(picture, pieces[number + 1][0], after - left, lasts[number + 1], dark[number + 1], kind)
            frames.append(picture)
        if number:
            first = number * clips.piece
            cuts.append(((first - before) / clips.fps, (first + before) / clips.fps))
    _write(path, frames, SIZE, clips.fps)
    return Joined(kind, path, cuts)


def _blended(before: Picture, after: Picture, at: int, lasts: int, dark: int, kind: str) -> Picture:
    """Frame `at`, from 1, of the `lasts` from one picture to the next; a fade goes by way of black, where it stays for `dark` of them."""
    if kind == "dissolve":
        part = at / (lasts + 1)
        return cv2.addWeighted(before, 1 - part, after, part, 0)  # type: ignore[return-value]
    ramp = lasts - dark
    if ramp // 2 < at <= lasts - ramp // 2 and dark:
        return np.zeros_like(before)
    part = (at if at <= ramp // 2 else at - dark) / (ramp + 1)
    shown, light = (before, 1 - 2 * part) if part < 0.5 else (after, 2 * part - 1)
    return (shown * light).astype(np.uint8)


def _piece(clips: Clips, number: int, kind: str, footage: Path) -> list[Picture]:
    """The pictures of one piece, with what happens in it that is no cut."""
    rng = np.random.default_rng([*clips.seed, number, sorted(KINDS).index(kind)])
    shows = clips.pieces[number]
    pictures = _real(clips, footage, number, rng) if shows == "R" else _drawn(rng, clips.piece) if shows == "S" else _striped(rng, clips.piece)
    trap = clips.traps.get(number)
    middle = clips.piece // 2
    if trap == "object":
        shade = rng.integers(40, 200, 3).tolist()
        for at in range(middle - 5, middle + 6):
            left = int((at - middle + 5) / 10 * (SIZE[0] + 400)) - 400
            cv2.rectangle(pictures[at], (left, 0), (left + 400, SIZE[1]), shade, -1)
        return pictures
    return [_trapped(picture, trap, at - middle, rng) for at, picture in enumerate(pictures)]


def _trapped(picture: Picture, trap: str | None, at: int, rng: np.random.Generator) -> Picture:
    """A picture `at` frames after the middle of its piece: brighter in a flash, moved in a pan, and so on."""
    if trap == "flash" and at in (0, 1):
        return cv2.convertScaleAbs(picture, alpha=1.0, beta=140)  # type: ignore[call-overload]
    if trap == "pan":
        return np.roll(picture, -24 * int(np.clip(at + 4, 0, 8)), axis=1)
    if trap == "shake" and abs(at) < SHAKES:
        return np.roll(picture, tuple(int(each) for each in rng.integers(-12, 13, 2)), axis=(0, 1))
    if trap == "dim" and abs(at) < DIMS:  # a cloud, or a lens that is adjusting itself: down to a third within 0.3 s, and up again
        return (picture * (1 - (1 - DIM_LIGHT) * min(1.0, (DIMS - abs(at)) / (DIMS * 2 / 3)))).astype(np.uint8)
    if trap == "switch" and at >= 0:
        return (picture * SWITCHED_LIGHT).astype(np.uint8)
    if trap == "zoom":
        by = 1 + 0.6 * float(np.clip((at + 10) / 20, 0, 1))
        width, height = int(SIZE[0] / by), int(SIZE[1] / by)
        left, top = (SIZE[0] - width) // 2, (SIZE[1] - height) // 2
        return cv2.resize(picture[top : top + height, left : left + width], SIZE, interpolation=cv2.INTER_LINEAR)  # type: ignore[return-value]
    return picture


def _real(clips: Clips, footage: Path, number: int, rng: np.random.Generator) -> list[Picture]:
    """A crop of the footage from some moment on, frame by frame: its ten frames a second are shown as those of the clip."""
    left, top = clips.places[number % len(clips.places)]
    found = []
    with av.open(str(footage)) as container:
        count = container.streams.video[0].frames
        skip = int(rng.integers(*(clips.moments or (count // 2, count - clips.piece))))
        for index, frame in enumerate(container.decode(video=0)):
            if index < skip:
                continue
            crop = frame.to_ndarray(format="bgr24")[top : top + 216, left : left + 384]
            found.append(cv2.resize(crop, SIZE, interpolation=cv2.INTER_CUBIC))
            if len(found) == clips.piece:
                return found
    raise SystemExit(f"{footage} has no {skip + clips.piece} frames; --footage takes a longer one")


def _drawn(rng: np.random.Generator, count: int) -> list[Picture]:
    """A texture that drifts, with shapes that move before it."""
    width, height = SIZE
    base = cv2.resize(rng.integers(0, 256, (6, 9, 3), dtype=np.uint8), (width + max(DRIFT, count), height), interpolation=cv2.INTER_CUBIC)
    tint = rng.integers(20, 235, 3)
    ground = (0.4 * base + 0.6 * tint).astype(np.uint8)
    shapes = [
        (rng.integers(0, width), rng.integers(40, height), rng.integers(-6, 7), int(rng.integers(15, 50)), rng.integers(0, 256, 3).tolist()) for _ in range(5)
    ]
    pictures = []
    for at in range(count):
        picture = np.ascontiguousarray(ground[:, at : at + width])
        for x, y, speed, radius, colour in shapes:
            cv2.circle(picture, (int(x + speed * at) % width, int(y)), radius, colour, -1)
        pictures.append(picture)
    return pictures


def _striped(rng: np.random.Generator, count: int) -> list[Picture]:
    """Slanted stripes of two colours that go by, noise over them, and rectangles that rise before them."""
    width, height = SIZE
    across, down = np.meshgrid(np.arange(width), np.arange(height))
    slant, period, speed = rng.uniform(-1.5, 1.5), int(rng.integers(40, 120)), rng.uniform(-3, 3)
    one, other = (rng.integers(0, 256, 3) for _ in range(2))
    boxes = [(*rng.integers(0, (width, height)), *rng.integers(30, 110, 2), rng.uniform(1, 5), rng.integers(0, 256, 3).tolist()) for _ in range(4)]
    pictures = []
    for at in range(count):
        wave = (0.5 + 0.5 * np.sin(2 * np.pi * (across + slant * down + speed * at) / period))[..., None]
        picture = np.clip(wave * one + (1 - wave) * other + rng.normal(0, 6, (height, width, 1)), 0, 255).astype(np.uint8)
        for x, y, wide, high, rises, colour in boxes:
            top = int(y - rises * at) % height
            cv2.rectangle(picture, (int(x), top), (int(x + wide), top + int(high)), colour, -1)
        pictures.append(picture)
    return pictures


def camera(footage: Path, folder: Path) -> Path:
    """The clip that cost is measured with."""

    def pictures() -> Iterator[Picture]:
        rng = np.random.default_rng(1)
        noise = [rng.integers(-4, 5, (COST_SIZE[1], COST_SIZE[0], 1), dtype=np.int8) for _ in range(3)]
        with av.open(str(footage)) as container:
            for index, frame in enumerate(container.decode(video=0)):
                large = cv2.resize(frame.to_ndarray(format="bgr24")[72:504], COST_SIZE, interpolation=cv2.INTER_LINEAR)
                for part in range(3):
                    if 3 * index + part == COST_FRAMES:
                        return
                    yield cv2.add(large, np.repeat(noise[part], 3, 2).astype(np.int16), dtype=cv2.CV_8U)  # type: ignore[misc]

    path = folder / "camera.mp4"
    _write(path, pictures(), COST_SIZE, COST_FPS)
    return path


def _write(path: Path, pictures: Sequence[Picture] | Iterator[Picture], size: tuple[int, int], fps: int) -> None:
    """H.264 as cameras write it, a key frame in 250."""
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=Fraction(fps), options={"preset": "veryfast", "crf": "23", "bf": "2"})
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        stream.codec_context.gop_size = 250
        for picture in pictures:
            output.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "bgr24")))
        output.mux(stream.encode(None))


def look(path: Path, mode: str, model: SceneModel | None) -> list[float]:
    """When scenes begin, without the first."""
    with tempfile.TemporaryDirectory() as out:
        order = one_pass.Order((SCENES,), scenes=SceneParameters(mode=mode), scene_model=model)
        made = one_pass.run(path, Path(out), order)[SCENES]
        return [each["at_s"] for each in made["thumbnails"] if each["scene"]]


def score(cuts_s: Sequence[tuple[float, float]], starts_s: Sequence[float]) -> Score:
    """Each beginning of a scene for one cut at most, and each cut by one."""
    left = list(starts_s)
    for begins, ends in cuts_s:
        within = [at for at in left if begins - SLACK_S <= at <= ends + SLACK_S]
        if within:
            left.remove(min(within, key=lambda at: abs(at - (begins + ends) / 2)))
    return Score(len(starts_s) - len(left), len(cuts_s), len(left))


def bare(path: Path) -> None:
    """Every frame decoded by the same library with as many threads, and nothing else."""
    with media.open_video(path, threads=2) as video:
        for _ in video.container.decode(video.stream):
            pass


def models() -> tuple[dict[str, SceneModel | None], str]:
    """The modes that can be measured here with their models, and why the other cannot."""
    try:
        return {"fast": None, "accurate": scene_model.usable(Settings(scenes=SceneSettings(mode="accurate")))}, ""
    except PlatformError as error:
        return {"fast": None}, error.message


def costs(clip: Path, known: dict[str, SceneModel | None]) -> dict[str, float]:
    """CPU seconds of bare decoding and of a pass that finds scenes and nothing else, in each mode; libraries are loaded before."""
    found = {}
    for name in ("bare", *known):
        began = time.process_time()
        bare(clip) if name == "bare" else look(clip, name, known[name])
        found[name] = time.process_time() - began
    return found


def rows(footage: Path = SAMPLE, keep: Path | None = None) -> list[str]:
    """The table rows of RESULTS.md."""
    cv2.setNumThreads(1)
    known, without = models()
    table = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        for clips in (CHOSEN_WITH, SEEN, HELD_OUT):
            scores = {}
            for kind in KINDS:
                clip = joined(clips, kind, footage, folder)
                for mode, model in known.items():
                    starts = look(clip.path, mode, model)
                    scores[mode, kind] = score(clip.cuts_s, starts)
                    print(f"{clips.name} {mode} {kind}: {scores[mode, kind]}, scenes begin at {', '.join(f'{at:.2f}' for at in starts)}", flush=True)
            table += [_row(clips, mode, {kind: scores[mode, kind] for kind in KINDS}) for mode in known]
        spent = costs(camera(footage, folder), known)
    for mode in known:
        times = f"{spent[mode] / spent['bare']:.2f} x the {spent['bare']:.1f} s of bare decoding"
        table.append(f"| scenes, mode {mode}: CPU | | {times} | {spent[mode]:.1f} s for {COST_FRAMES / COST_FPS:g} s of 1080p30 |")
    return table + ([f"| scenes, mode accurate | | not measured | {without} |"] if without else [])


def _row(clips: Clips, mode: str, of_mode: Mapping[str, Score]) -> str:
    total = Score(*(sum(getattr(each, part) for each in of_mode.values()) for part in ("found", "cuts", "false")))
    each = "; ".join(f"{kind} {one.precision:.2f}, {one.recall:.2f}" for kind, one in of_mode.items())
    return f"| scenes, mode {mode}: precision, recall over {total.cuts} cuts, {clips.name} set | | {total.precision:.2f}, {total.recall:.2f} | {each} |"


def main() -> None:
    """Print the rows."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--footage", type=Path, default=SAMPLE, help="768x576, at least 236 frames")
    parser.add_argument("--keep", type=Path, help="folder that the clips are left in")
    given = parser.parse_args()
    print("\n".join(rows(given.footage, given.keep)))


if __name__ == "__main__":
    main()
