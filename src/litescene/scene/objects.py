"""Objects over time: detections of single pictures joined into tracks with stable ids.

A Kalman filter with constant velocity predicts every box (SORT, Bewley et al., ICIP 2016); first
the confident detections, then the doubtful ones are paired with the predictions by overlap
(ByteTrack, Zhang et al., ECCV 2022). All times are seconds of the source's clock, so that frame
rate and dropped frames do not matter.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from litescene.core import Detections, Taxonomy

F64 = NDArray[np.float64]

LOW_SCORE = 0.1
"""Score below which a detection is noise, and continues no track (ByteTrack's value)."""
_POSITION_NOISE = 0.05
"""Standard deviation of a detected box's centre and sides, in heights of the box."""
_ACCELERATION = 1.5
"""Standard deviation of the centre's and sides' acceleration, in heights per second squared."""
_START_SPEED = 2.0
"""Standard deviation of a new track's velocity, in heights per second."""


@dataclass(frozen=True, slots=True)
class ObjectSummary:
    """One object's life: class by vote, first and last time in seconds, pictures it was seen in."""

    id: int
    name: str
    first_time: float
    last_time: float
    frames: int
    score: float
    """Mean detection score."""

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON form."""
        return {
            "id": self.id,
            "class": self.name,
            "first_time": round(self.first_time, 4),
            "last_time": round(self.last_time, 4),
            "frames": self.frames,
            "score": round(self.score, 4),
        }


@dataclass(slots=True)
class _Track:
    mean: F64
    """2×4: centre x, centre y, width, height; then their velocities."""
    covariance: F64
    """2×2×4: one filter for each of the four, which do not interact."""
    time: float
    """Of the state."""
    first: float
    seen: float
    frames: int = 1
    id: int = -1
    score: float = 0.0
    """Sum over the detections."""
    votes: Counter[int] = field(default_factory=Counter)

    @property
    def label(self) -> int:
        return self.votes.most_common(1)[0][0]


@dataclass(frozen=True, slots=True)
class _Picture:
    """What one update works on: detections, their centred boxes, the ids they get."""

    detections: Detections
    measured: F64
    ids: NDArray[np.int32]
    time: float


class ObjectTracker:
    """Gives detections ids that stay with their objects.

    Args:
        confirm: detections before a track gets its id; until then ids are -1.
        keep: seconds for which an object that is not detected is waited for.
        high: score from which a detection is an object and may start a track.
        low: score from which a detection may continue one that has its id.
    """

    _FIRST_IOU, _SECOND_IOU, _OTHER_CLASS_IOU = 0.2, 0.4, 0.6

    def __init__(
        self,
        *,
        confirm: int = 2,
        keep: float = 1.0,
        high: float = 0.4,
        low: float = LOW_SCORE,
    ) -> None:
        if confirm < 1 or keep < 0 or not 0 <= low <= high <= 1:
            raise ValueError(
                f"confirm={confirm}, keep={keep}, low={low}, high={high}: expected confirm ≥ 1, "
                "keep ≥ 0 and 0 ≤ low ≤ high ≤ 1"
            )
        self._taxonomy: Taxonomy | None = None  # the first detections'
        self.confirm, self.keep, self.high, self.low = confirm, keep, high, low
        self._tracks: list[_Track] = []
        self._ended: list[ObjectSummary] = []
        self._time = -np.inf
        self._next = 0

    def update(self, detections: Detections, time: float) -> Detections:
        """The detections with `ids`, but for those below `high` that continue no track.

        `time` in seconds must not go backwards.
        """
        if not np.isfinite(time) or time < self._time:
            raise ValueError(f"time {time:g} s after {self._time:g} s: times must not go backwards")
        if self._taxonomy is None:
            self._taxonomy = detections.taxonomy
        if detections.taxonomy != self._taxonomy:
            raise ValueError(
                f"the tracker knows '{self._taxonomy.name}', the detections are of "
                f"'{detections.taxonomy.name}'"
            )
        self._time = time
        for track in self._tracks:
            _predict(track, time)
        measured = _centres(detections.boxes.astype(np.float64))
        sound = (measured[:, 2:] > 0).all(axis=1)
        sure = np.flatnonzero(sound & (detections.scores >= self.high))
        doubtful = np.flatnonzero(
            sound & (detections.scores >= self.low) & (detections.scores < self.high)
        )
        picture = _Picture(
            detections, measured, np.full(len(detections), -1, np.int32), float(time)
        )
        missed, left = self._continue(picture, self._tracks, sure, self._FIRST_IOU, True)
        young = [track for track in missed if track.id < 0]
        missed, _ = self._continue(
            picture, [t for t in missed if t.id >= 0], doubtful, self._SECOND_IOU, True
        )
        # What changed its class but not its place is still the same object.
        missed, left = self._continue(picture, missed + young, left, self._OTHER_CLASS_IOU, False)
        self._forget(missed, time)
        for i in left.tolist():
            self._start(picture, i)
        kept = (detections.scores >= self.high) | (picture.ids >= 0)
        return Detections(
            detections.boxes[kept],
            detections.scores[kept],
            detections.classes[kept],
            detections.taxonomy,
            picture.ids[kept],
        )

    def objects_over_time(self) -> list[ObjectSummary]:
        """Every object that got an id, in the order of its id."""
        alive = [self._summary(track) for track in self._tracks if track.id >= 0]
        return sorted(self._ended + alive, key=lambda entry: entry.id)

    def _continue(
        self,
        picture: _Picture,
        tracks: list[_Track],
        chosen: NDArray[np.int64],
        least: float,
        same_class: bool,
    ) -> tuple[list[_Track], NDArray[np.int64]]:
        """Pairs tracks with chosen detections; returns the tracks and detections left over."""
        if not tracks or not len(chosen):
            return tracks, chosen
        from litescene.scene.assignment import assign

        predicted = np.stack([track.mean[0] for track in tracks])
        overlap = _overlaps(predicted, picture.measured[chosen])
        cost = np.where(overlap >= least, 1.0 - overlap, np.inf)
        if same_class:
            labels = np.array([track.label for track in tracks])
            cost[labels[:, None] != picture.detections.classes[chosen][None]] = np.inf
        rows, columns = assign(cost)
        for r, c in zip(rows.tolist(), columns.tolist(), strict=True):
            self._correct(tracks[r], picture, int(chosen[c]))
        paired = set(rows.tolist())
        return (
            [track for r, track in enumerate(tracks) if r not in paired],
            np.delete(chosen, columns),
        )

    def _correct(self, track: _Track, picture: _Picture, i: int) -> None:
        _update(track, picture.measured[i])
        track.seen = picture.time
        track.frames += 1
        self._vote(track, picture, i)

    def _start(self, picture: _Picture, i: int) -> None:
        box = picture.measured[i]
        covariance = np.zeros((2, 2, 4))
        covariance[0, 0] = (_POSITION_NOISE * box[3]) ** 2
        covariance[1, 1] = (_START_SPEED * box[3]) ** 2
        track = _Track(
            mean=np.stack([box, np.zeros(4)]),
            covariance=covariance,
            time=picture.time,
            first=picture.time,
            seen=picture.time,
        )
        self._tracks.append(track)
        self._vote(track, picture, i)

    def _vote(self, track: _Track, picture: _Picture, i: int) -> None:
        """Counts a detection's class and score; gives the track its id once it is confirmed."""
        track.score += float(picture.detections.scores[i])
        track.votes[int(picture.detections.classes[i])] += 1
        if track.id < 0 and track.frames >= self.confirm:
            track.id, self._next = self._next, self._next + 1
        picture.ids[i] = track.id

    def _forget(self, missed: list[_Track], time: float) -> None:
        """Ends tracks that were waited for long enough, or missed before they were confirmed."""
        gone = {id(track) for track in missed if track.id < 0 or time - track.seen > self.keep}
        for track in self._tracks:
            if id(track) in gone and track.id >= 0:
                self._ended.append(self._summary(track))
        self._tracks = [track for track in self._tracks if id(track) not in gone]

    def _summary(self, track: _Track) -> ObjectSummary:
        names = () if self._taxonomy is None else self._taxonomy.names
        return ObjectSummary(
            id=track.id,
            name=names[track.label],
            first_time=track.first,
            last_time=track.seen,
            frames=track.frames,
            score=track.score / track.frames,
        )


def _centres(boxes: F64) -> F64:
    """x1, y1, x2, y2 → centre x, centre y, width, height."""
    return np.concatenate([(boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]], axis=1)


def _overlaps(a: F64, b: F64) -> F64:
    """Intersection over union of centred boxes, n×m."""
    low = np.maximum((a[:, :2] - a[:, 2:] / 2)[:, None], (b[:, :2] - b[:, 2:] / 2)[None])
    high = np.minimum((a[:, :2] + a[:, 2:] / 2)[:, None], (b[:, :2] + b[:, 2:] / 2)[None])
    shared = np.prod(np.maximum(high - low, 0.0), axis=2)
    areas = np.prod(a[:, 2:], axis=1)[:, None] + np.prod(b[:, 2:], axis=1)[None]
    return np.asarray(shared / np.maximum(areas - shared, 1e-12))


def _predict(track: _Track, time: float) -> None:
    """Constant velocity with white acceleration over the time since the last state."""
    step = time - track.time
    if step <= 0:
        return
    noise = (_ACCELERATION * max(track.mean[0, 3], 1.0)) ** 2
    motion = np.array([[1.0, step], [0.0, 1.0]])
    growth = np.array([[step**4 / 4, step**3 / 2], [step**3 / 2, step**2]])
    track.mean = motion @ track.mean
    # Sides never vanish, however long an approaching or leaving object is out of sight.
    track.mean[0, 2:] = np.maximum(track.mean[0, 2:], 1.0)
    track.covariance = np.einsum("ij,jkn,lk->iln", motion, track.covariance, motion)
    track.covariance += growth[:, :, None] * noise
    track.time = time


def _update(track: _Track, box: F64) -> None:
    noise = (_POSITION_NOISE * box[3]) ** 2
    gain = track.covariance[:, 0] / (track.covariance[0, 0] + noise)
    track.mean = track.mean + gain * (box - track.mean[0])
    track.covariance = track.covariance - gain[:, None] * track.covariance[0][None]
