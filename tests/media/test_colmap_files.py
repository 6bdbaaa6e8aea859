"""Files are read back by a reader of their published description, written for this test."""

from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from litescene.core import Camera
from litescene.geometry import rigid
from litescene.media.camera_files import read_camera
from litescene.media.colmap_files import Tracks, write_colmap

CAMERAS = [
    Camera(640, 480, 500, 510, 321, 243),
    Camera(640, 480, 500, 510, 321, 243, "radtan", (-0.2, 0.05, 1e-3, 2e-3)),
    Camera(640, 480, 500, 510, 321, 243, "radtan", (-0.2, 0.05, 1e-3, 2e-3, 0.01)),
    Camera(640, 480, 500, 510, 321, 243, "fisheye", (0.01, 0.02, -0.01, 0.003)),
]
NAMES = ["000000.png", "000001.png", "a b.png"]


def _scene() -> tuple[np.ndarray, np.ndarray, np.ndarray, Tracks]:
    rng = np.random.default_rng(0)
    R = Rotation.from_rotvec(rng.normal(0, 0.1, (3, 3))).as_matrix()
    poses = rigid(R, rng.normal(0, 1, (3, 3)))
    points = rng.uniform([-2, -2, 5], [2, 2, 9], (6, 3))
    colors = rng.integers(0, 256, (6, 3)).astype(np.uint8)
    images, seen = np.array([2, 0, 1, 0, 2, 2]), np.array([0, 0, 1, 3, 3, 4])
    pixels = np.empty((6, 2))
    for k, (i, p) in enumerate(zip(images, seen, strict=True)):
        X = np.linalg.inv(poses[i]) @ [*points[p], 1.0]
        pixels[k] = [500 * X[0] / X[2] + 321, 510 * X[1] / X[2] + 243]
    pixels[1] += [3.0, 4.0]
    return poses, points, colors, Tracks(images, seen, pixels)


def _data_lines(path: Path) -> list[list[str]]:
    return [line.split() for line in path.read_text().splitlines() if not line.startswith("#")]


@pytest.mark.parametrize("camera", CAMERAS, ids=["pinhole", "radtan", "radtan5", "fisheye"])
def test_the_camera_is_read_back(tmp_path: Path, camera: Camera) -> None:
    poses, points, colors, _ = _scene()
    write_colmap(tmp_path, camera, NAMES, poses, points, colors)
    again = read_camera(str(tmp_path / "cameras.txt"), 640, 480)
    padded = (*camera.distortion, 0, 0, 0) if len(camera.distortion) == 5 else camera.distortion
    assert again == Camera(640, 480, 500, 510, 321, 243, camera.model, padded)


def test_images_hold_world_to_camera_poses_and_shifted_pixels(tmp_path: Path) -> None:
    poses, points, colors, tracks = _scene()
    write_colmap(tmp_path, CAMERAS[0], NAMES, poses, points, colors, tracks)
    lines = _data_lines(tmp_path / "images.txt")
    assert len(lines) == 6
    for i in range(3):
        head, row = lines[2 * i], lines[2 * i + 1]
        assert (head[0], head[8]) == (str(i + 1), "1")
        assert head[9] == NAMES[i].replace(" ", "_")
        w, x, y, z, *t = (float(v) for v in head[1:8])
        T = rigid(Rotation.from_quat([x, y, z, w]).as_matrix(), t)
        np.testing.assert_allclose(T, np.linalg.inv(poses[i]), atol=1e-10)
        seen = np.array(row, float).reshape(-1, 3)
        mine = tracks.images == i
        np.testing.assert_allclose(seen[:, :2], tracks.pixels[mine] + 0.5, atol=1e-3)
        assert seen[:, 2].tolist() == (tracks.points[mine] + 1).tolist()


def test_points_hold_colours_errors_and_tracks_that_point_back(tmp_path: Path) -> None:
    poses, points, colors, tracks = _scene()
    write_colmap(tmp_path, CAMERAS[0], NAMES, poses, points, colors, tracks)
    images = _data_lines(tmp_path / "images.txt")
    lines = _data_lines(tmp_path / "points3D.txt")
    assert len(lines) == 6
    for p, line in enumerate(lines):
        assert line[0] == str(p + 1)
        np.testing.assert_allclose([float(v) for v in line[1:4]], points[p], rtol=1e-8)
        assert [int(v) for v in line[4:7]] == colors[p].tolist()
        track = np.array(line[8:], int).reshape(-1, 2)
        assert sorted(track[:, 0] - 1) == sorted(tracks.images[tracks.points == p])
        for image, index in track:
            assert images[2 * image - 1][3 * index + 2] == str(p + 1)
    errors = [float(line[7]) for line in lines]
    # Point 0 is seen twice, once 5 pixels off; points 2 and 5 never.
    np.testing.assert_allclose(errors, [2.5, 0, -1, 0, 0, -1], atol=1e-9)


def test_lengths_that_do_not_agree_are_refused(tmp_path: Path) -> None:
    poses, points, colors, tracks = _scene()
    with pytest.raises(ValueError, match="2 names but 3 poses"):
        write_colmap(tmp_path, CAMERAS[0], NAMES[:2], poses, points, colors)
    with pytest.raises(ValueError, match="tracks need 6 points"):
        Tracks(tracks.images, tracks.points[:3], tracks.pixels)
