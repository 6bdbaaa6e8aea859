from dataclasses import replace

import numpy as np
import plane_world
import pytest

from litescene.core import CAMVID, IGNORE, STREET_OBJECTS, DepthMap, SegmentationMap, Taxonomy
from litescene.scene.depth import PosedView
from litescene.scene.fusion import SemanticVoxelMap, confusion_model

CAMERA = plane_world.camera()
ROAD, BUILDING, CAR, PEDESTRIAN, SKY = (
    CAMVID.names.index(n) for n in ("road", "building", "car", "pedestrian", "sky")
)


def view(index: int, pose: np.ndarray, labels: np.ndarray | None = None) -> PosedView:
    image, _, label = plane_world.render(CAMERA, pose)
    return PosedView(
        index,
        image,
        pose,
        CAMERA,
        labels=SegmentationMap(label if labels is None else labels, CAMVID),
    )


def true_depth(pose: np.ndarray, share: float = 1.0, noise: float = 0.0, seed: int = 0) -> DepthMap:
    rng = np.random.default_rng(seed)
    depth = plane_world.render(CAMERA, pose)[1]
    inverse = 1 / depth + rng.normal(0, 1, depth.shape) * noise / depth
    depth = np.where(rng.random(depth.shape) < share, 1 / np.maximum(inverse, 1e-3), 0)
    return DepthMap(depth.astype(np.float32), "metric")


def distance_to_planes(points: np.ndarray) -> np.ndarray:
    gaps = [np.abs(points @ np.array(n) - d) for n, d, *_ in plane_world.PLANES]
    return np.min(gaps, axis=0)


def one_pixel(index: int, label: int | None, depth: float = 4.0, color=(10, 20, 30)):
    """A view that knows the depth of its centre pixel alone."""
    shape = (CAMERA.height, CAMERA.width)
    image = np.full((*shape, 3), color, np.uint8)
    known = np.zeros(shape, np.float32)
    known[90, 120] = depth
    labels = None
    if label is not None:
        labels = SegmentationMap(np.full(shape, label, np.uint8), CAMVID)
    return PosedView(index, image, np.eye(4), CAMERA, labels=labels), DepthMap(known, "metric")


def test_fused_points_lie_on_the_true_planes_and_carry_their_labels():
    scene = SemanticVoxelMap(CAMVID, voxel_size=0.2, scale="metric")
    for i in range(6):
        pose = plane_world.pose(z=0.8 * i)
        scene.integrate(view(i, pose), true_depth(pose, 0.3, 0.005, i))
    result = scene.snapshot(min_observations=3)
    assert result.scale == "metric"
    assert len(result) > 500
    assert np.median(distance_to_planes(result.points)) < 0.05
    gaps = np.stack([np.abs(result.points @ np.array(n) - d) for n, d, *_ in plane_world.PLANES])
    names = np.array([p[4] for p in plane_world.PLANES])
    clear = np.sort(gaps, axis=0)[1] > 0.6  # not at a corner of two planes
    assert np.mean(result.labels[clear] == names[gaps.argmin(0)][clear]) > 0.99


def test_class_posterior_equals_bayes_rule_in_float64():
    rng = np.random.default_rng(0)
    model = rng.random((11, 11)) + 3 * np.eye(11)
    model /= model.sum(1, keepdims=True)
    scene = SemanticVoxelMap(CAMVID, voxel_size=1.0, model=model, skip=())
    observed = [3, 3, 7, 3, 4, 1]
    for i, label in enumerate(observed):
        scene.integrate(*one_pixel(i, label))
    posterior = np.prod(model[:, observed], axis=1)
    posterior /= posterior.sum()
    result = scene.snapshot(min_neighbours=0)
    assert result.labels.tolist() == [int(posterior.argmax())]
    assert result.confidence[0] == pytest.approx(posterior.max(), rel=1e-4)
    assert result.observations.tolist() == [6]


def test_many_agreeing_labels_stay_finite_and_can_be_overruled():
    scene = SemanticVoxelMap(CAMVID, voxel_size=1.0)
    for i in range(600):
        scene.integrate(*one_pixel(i, ROAD))
    assert scene.snapshot(min_neighbours=0).confidence[0] == pytest.approx(1.0, abs=1e-3)
    for i in range(12):
        scene.integrate(*one_pixel(600 + i, BUILDING))
    assert scene.snapshot(min_neighbours=0).labels.tolist() == [BUILDING]


def test_voxels_without_labels_are_unknown_with_no_confidence():
    scene = SemanticVoxelMap(CAMVID, voxel_size=1.0)
    scene.integrate(*one_pixel(0, None))
    scene.integrate(*one_pixel(1, IGNORE))
    result = scene.snapshot(min_neighbours=0)
    assert result.labels.tolist() == [IGNORE]
    assert result.confidence.tolist() == [0.0]


@pytest.mark.parametrize(("seen", "confidence"), [([0, 1], 0.5), ([1, 0, 0, 1], 0.5), ([0], 0.7)])
def test_a_tie_of_two_classes_is_no_unknown_voxel(seen: list[int], confidence: float):
    two = Taxonomy("two", ("a", "b"), ((0, 0, 0), (255, 0, 0)))
    model = np.array([[0.7, 0.3], [0.3, 0.7]])
    scene = SemanticVoxelMap(two, voxel_size=0.1, model=model)
    for i, label in enumerate(seen):
        shown, depth = one_pixel(i, None)
        labels = SegmentationMap(np.full(shown.image.shape[:2], label, np.uint8), two)
        scene.integrate(replace(shown, labels=labels), depth)
    result = scene.snapshot(min_observations=1, min_neighbours=0)
    assert result.labels.tolist() == [0]
    assert result.confidence[0] == pytest.approx(confidence)


def test_the_only_class_of_a_network_is_known():
    one = Taxonomy("one", ("a",), ((0, 0, 0),))
    scene = SemanticVoxelMap(one, voxel_size=0.1)
    for i in range(2):
        shown, depth = one_pixel(i, None)
        labels = SegmentationMap(np.zeros(shown.image.shape[:2], np.uint8), one)
        scene.integrate(replace(shown, labels=labels), depth)
    scene.rebuild({0: np.eye(4), 1: np.eye(4)})
    result = scene.snapshot(min_observations=1, min_neighbours=0)
    assert result.labels.tolist() == [0]
    assert result.confidence.tolist() == [1.0]


def test_colours_and_positions_are_weighted_means():
    scene = SemanticVoxelMap(CAMVID, voxel_size=1.0)
    sharp, blunt = np.full((180, 240), 0.0025, np.float32), np.full((180, 240), 0.005, np.float32)
    near, depth = one_pixel(0, ROAD, 4.2, (40, 0, 200))
    far, other = one_pixel(1, ROAD, 4.4, (100, 0, 200))
    scene.integrate(near, DepthMap(depth.depth, "metric", sharp))
    scene.integrate(far, DepthMap(other.depth, "metric", blunt))
    weights = np.array([(0.0025 * 4.2) ** -2, (0.005 * 4.4) ** -2])
    weights /= weights.sum()
    result = scene.snapshot(min_neighbours=0)
    assert result.points[0, 2] == pytest.approx(weights @ [4.2, 4.4], rel=1e-5)
    assert result.colors[0].tolist() == [round(weights @ [40, 100]), 0, 200]


def test_movers_and_sky_stay_out_of_the_map():
    scene = SemanticVoxelMap(CAMVID, voxel_size=1.0)
    for i, label in enumerate((CAR, SKY)):
        assert scene.integrate(*one_pixel(i, label)) == 0
    assert len(scene) == 0
    kept = SemanticVoxelMap(CAMVID, voxel_size=1.0, skip=())
    assert kept.integrate(*one_pixel(0, CAR)) == 1


def test_voxel_keys_equal_a_dictionary_of_rounded_points():
    rng = np.random.default_rng(1)
    scene = SemanticVoxelMap(CAMVID, voxel_size=0.05)
    expected: dict[tuple[int, ...], int] = {}
    for i in range(8):
        pose = plane_world.pose(*rng.normal(0, 0.5, 2), z=float(i), yaw=rng.normal(0, 20))
        seen, depth = view(i, pose), true_depth(pose, 0.2, 0.02, i)
        scene.integrate(seen, depth)
        v, u = np.nonzero(depth.depth * (seen.labels.labels != SKY))
        z = depth.depth[v, u].astype(np.float64)
        points = np.stack([(u - CAMERA.cx) / CAMERA.fx * z, (v - CAMERA.cy) / CAMERA.fy * z, z], 1)
        world = points @ pose[:3, :3].T + pose[:3, 3]
        for key in map(tuple, np.floor(world / 0.05).astype(int).tolist()):
            expected[key] = expected.get(key, 0) + 1
    result = scene.snapshot(min_observations=1, min_neighbours=0)
    assert abs(len(scene) - len(expected)) <= 2  # points on a voxel's face may round otherwise
    assert result.observations.sum() == sum(expected.values())
    assert np.bincount(result.observations)[1:6] == pytest.approx(
        np.bincount(list(expected.values()))[1:6], abs=4
    )


def test_filming_the_same_place_again_takes_no_more_memory():
    scene = SemanticVoxelMap(CAMVID, voxel_size=0.1)
    poses = [plane_world.pose(z=0.5 * i) for i in range(4)]
    made = [(view(i, p), true_depth(p, 0.3, seed=i)) for i, p in enumerate(poses)]
    for seen, depth in made:
        scene.integrate(seen, depth)
    size, voxels = scene.nbytes, len(scene)
    for lap in range(1, 6):
        for seen, depth in made:
            again = PosedView(seen.index + 4 * lap, seen.image, seen.pose, CAMERA)
            scene.integrate(again, depth)
    assert len(scene) == voxels
    assert scene.nbytes <= 1.6 * size


def test_an_unscaled_map_takes_its_voxel_size_from_the_first_depths():
    sizes = []
    for unit in (1.0, 1000.0):
        scene = SemanticVoxelMap(CAMVID)
        pose = plane_world.pose()
        depth = true_depth(pose).depth * np.float32(unit)
        scene.integrate(view(0, pose), DepthMap(depth, "arbitrary"))
        sizes.append(scene.voxel_size / unit)
        assert sizes[-1] == pytest.approx(0.015 * float(np.median(depth)) / unit, rel=1e-5)
    assert sizes[0] == pytest.approx(sizes[1], rel=1e-4)


def test_distinct_objects_are_counted_per_voxel_and_per_class():
    scene = SemanticVoxelMap(CAMVID, voxel_size=1.0, skip=())
    for i, identity in enumerate((5, 5, 9, -1)):
        seen, depth = one_pixel(i, CAR)
        scene.integrate(seen, depth, np.full((180, 240), identity, np.int32))
    snapshot = scene.snapshot(min_neighbours=0)
    assert snapshot.instances.tolist() == [2]
    assert {k: v for k, v in snapshot.to_dict()["objects"].items() if v} == {"car": 2}
    for i in range(20):
        scene.integrate(*one_pixel(4 + i, CAR), np.full((180, 240), 20 + i, np.int32))
    assert scene.snapshot(min_neighbours=0).instances.tolist() == [4]


def test_objects_of_skipped_classes_are_counted_though_they_have_no_voxels():
    scene = SemanticVoxelMap(CAMVID, voxel_size=1.0)
    shape = (CAMERA.height, CAMERA.width)
    labels = np.full(shape, ROAD, np.uint8)
    labels[:40], labels[40:60] = CAR, PEDESTRIAN
    instances = np.full(shape, -1, np.int32)
    instances[10:20, :50], instances[10:20, 60:90] = 4, 7
    instances[38:50, 100:120] = 12  # two rows of car pixels, ten of a pedestrian
    instances[55:70, 200:] = 30  # reaches onto the road, which is mapped
    seen, _ = one_pixel(0, ROAD)
    image, known = seen.image, np.full(shape, 4.0, np.float32)
    for index in range(2):
        seen = PosedView(index, image, np.eye(4), CAMERA, labels=SegmentationMap(labels, CAMVID))
        scene.integrate(seen, DepthMap(known if index else 0 * known, "metric"), instances)
    counts = {"car": 2, "pedestrian": 2, "road": 1}
    assert {k: v for k, v in scene.objects_per_class().items() if v} == counts
    assert {k: v for k, v in scene.snapshot().objects_per_class.items() if v} == counts


def test_what_was_measured_once_long_ago_makes_room_and_the_rest_stays():
    scene = SemanticVoxelMap(CAMVID, voxel_size=0.1)
    poses = [plane_world.pose(z=0.5 * i) for i in range(4)]
    for i, pose in enumerate(poses):
        scene.integrate(view(i, pose), true_depth(pose, 0.3, seed=i))
    before, occupied = scene.snapshot(min_neighbours=0), len(scene)
    once = int((scene.snapshot(min_observations=1, min_neighbours=0).observations == 1).sum())
    room = len(scene._voxels.weight)
    scene._reserve(room - occupied, 200)  # nothing is old enough, and there is room
    assert len(scene) == occupied
    scene._reserve(room - occupied + 1, 1000)
    assert len(scene) == occupied - once
    after = scene.snapshot(min_neighbours=0)
    np.testing.assert_array_equal(after.points, before.points)
    np.testing.assert_array_equal(after.labels, before.labels)
    pose = poses[-1]
    scene.integrate(view(1001, pose), true_depth(pose, 0.3, seed=3))  # the table still finds them
    assert len(scene.snapshot(min_neighbours=0)) == len(before)
    assert len(scene.snapshot(min_observations=3, min_neighbours=0)) > 0.1 * len(before)


def test_a_long_way_through_noise_takes_bounded_memory():
    rng = np.random.default_rng(0)
    scene = SemanticVoxelMap(CAMVID, voxel_size=0.01)
    sizes = []
    for index in range(0, 3000, 50):
        pose = plane_world.pose(z=0.5 * index)
        seen, _ = one_pixel(index, ROAD)
        depth = np.where(rng.random((180, 240)) < 0.1, rng.uniform(1, 30, (180, 240)), 0)
        seen = PosedView(index, seen.image, pose, CAMERA)
        scene.integrate(seen, DepthMap(depth.astype(np.float32), "metric"))
        sizes.append(scene.nbytes)
    assert sizes[-1] == sizes[len(sizes) // 2]
    assert len(scene) < 15 * 0.1 * 180 * 240


def test_lonely_and_rarely_seen_voxels_are_left_out_of_the_snapshot():
    scene = SemanticVoxelMap(CAMVID, voxel_size=0.1)
    shape = (CAMERA.height, CAMERA.width)
    depth = np.zeros(shape, np.float32)
    depth[80:100, 100:120] = 5.0
    depth[20, 20] = 3.0
    blank = np.zeros((*shape, 3), np.uint8)
    for i in range(2):
        scene.integrate(PosedView(i, blank, np.eye(4), CAMERA), DepthMap(depth, "metric"))
    everything = scene.snapshot(min_observations=1, min_neighbours=0)
    cleaned = scene.snapshot(min_observations=1, min_neighbours=2)
    assert len(cleaned) == len(everything) - 1
    assert cleaned.points[:, 2].min() > 4
    assert len(scene.snapshot(min_observations=10**6)) == 0
    assert len(scene.snapshot(min_views=3)) == 0


def test_rebuilding_with_corrected_poses_gives_the_map_of_the_true_poses():
    rng = np.random.default_rng(2)
    right = SemanticVoxelMap(CAMVID, voxel_size=0.15)
    drifted = SemanticVoxelMap(CAMVID, voxel_size=0.15)
    truth = {}
    for i in range(6):
        pose = plane_world.pose(z=0.6 * i)
        wrong = pose @ plane_world.pose(*(0.05 * i * rng.normal(0, 1, 3)), yaw=0.4 * i)
        depth = true_depth(pose, 0.25, seed=i)
        seen = view(i, pose)
        right.integrate(seen, depth)
        drifted.integrate(PosedView(i, seen.image, wrong, CAMERA, labels=seen.labels), depth)
        truth[i] = pose
    before = distance_to_planes(drifted.snapshot().points)
    drifted.rebuild(truth)
    after = distance_to_planes(drifted.snapshot().points)
    reference = distance_to_planes(right.snapshot().points)
    assert np.mean(before) > 3 * np.mean(reference) + 0.02
    assert np.mean(after) < 0.06
    assert len(drifted) == pytest.approx(len(right), rel=0.35)


def test_rebuilding_with_the_same_poses_changes_nothing():
    scene = SemanticVoxelMap(CAMVID, voxel_size=0.2)
    pose = plane_world.pose(yaw=10)
    scene.integrate(view(3, pose), true_depth(pose, 0.3))
    before = scene.snapshot(min_observations=1, min_neighbours=0)
    scene.rebuild({3: pose})
    after = scene.snapshot(min_observations=1, min_neighbours=0)
    assert len(after) == pytest.approx(len(before), abs=3)
    assert after.observations.sum() == before.observations.sum()


def test_rebuilding_with_a_scale_moves_points_along_their_rays():
    scene = SemanticVoxelMap(CAMVID, voxel_size=0.01)
    scene.integrate(*one_pixel(0, ROAD, 4.0))
    scene.rebuild({0: plane_world.pose(x=1.0)}, {0: 1.5})
    point = scene.snapshot(min_observations=1, min_neighbours=0).points[0]
    ray = np.array([(120 - CAMERA.cx) / CAMERA.fx, (90 - CAMERA.cy) / CAMERA.fy, 1.0])
    np.testing.assert_allclose(point, 6.0 * ray + [1, 0, 0], rtol=1e-5)


def test_rebuilding_needs_a_pose_for_every_view():
    scene = SemanticVoxelMap(CAMVID)
    scene.rebuild({})
    scene.integrate(*one_pixel(4, ROAD))
    with pytest.raises(ValueError, match="first 4"):
        scene.rebuild({})


def test_what_does_not_fit_is_refused():
    scene = SemanticVoxelMap(CAMVID)
    seen, depth = one_pixel(0, ROAD)
    with pytest.raises(ValueError, match="picture's size"):
        scene.integrate(seen, DepthMap(depth.depth[:10], "metric"))
    with pytest.raises(ValueError, match="street8"):
        SemanticVoxelMap(STREET_OBJECTS).integrate(seen, depth)
    with pytest.raises(ValueError, match="positive"):
        SemanticVoxelMap(CAMVID, voxel_size=0.0)
    with pytest.raises(ValueError, match="smooth"):
        SemanticVoxelMap(CAMVID, model=np.eye(11))
    with pytest.raises(ValueError, match="chance"):
        confusion_model(11, 1.0)


def test_an_empty_depth_map_adds_nothing():
    scene = SemanticVoxelMap(CAMVID)
    seen, depth = one_pixel(0, ROAD)
    assert scene.integrate(seen, DepthMap(np.zeros_like(depth.depth), "metric")) == 0
    assert len(scene.snapshot()) == 0
    assert scene.voxel_size is None


def test_points_too_far_to_be_counted_in_voxels_are_left_out():
    scene = SemanticVoxelMap(CAMVID, voxel_size=1e-6)
    scene.integrate(*one_pixel(0, ROAD, 1e6))
    assert len(scene) == 0
