"""What is true of every metric in the list, in 2-D and in 3-D."""

import inspect

import pytest
import torch
from torch.nn import functional

from inforeg.metrics import METRICS, MINDSSC, Metric, with_overlap

SHAPES = {"2-D": (50, 36), "3-D": (50, 14, 12)}


@pytest.fixture(autouse=True)
def one_thread(one_thread):
    """Small networks lose more than they gain by sharing their work out."""


every_metric = pytest.mark.parametrize("name", METRICS)
in_2d_and_3d = pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)


def random(*shape, seed=0, **options):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), **options)


def texture(shape, seed=0):
    """Smooth noise, strongest in the middle and none at the rim: an object with texture in empty space."""
    noise = random(1, 1, *shape, seed=seed)
    pool = functional.avg_pool2d if len(shape) == 2 else functional.avg_pool3d
    for _ in range(2):
        noise = pool(noise, 3, stride=1, padding=1)
    axes = torch.meshgrid(*[torch.linspace(-1, 1, n) for n in shape], indexing="ij")
    distance = sum(a.square() for a in axes).sqrt()
    return 0.5 + (noise / noise.std()).clamp(-2, 2) * 0.2, distance < 0.9


def pair(metric, shape, seed=0):
    """Two images (1, 1, *shape) of one object, noisy, of two contrasts if the metric sees through them."""
    values, inside = texture(shape, seed)
    other = (3 * values).sin() * 0.6 + 0.2 if metric.across_contrasts else values
    fixed, moving = (torch.where(inside, v, 0.0) for v in (values, other))
    return fixed, moving + 0.01 * random(1, 1, *shape, seed=seed + 1)


def learns(metric):
    return bool(list(metric.parameters()))


def is_slow(metric):
    return learns(metric) or isinstance(metric, MINDSSC)


def for_metric(metric, image):
    """Whole images where the metric works on grids, and else their voxels as samples."""
    return image if metric.on_grids else image.flatten(2)


def shifted(image, steps, axis):
    """`image` seen `steps` voxels further along an axis, and which voxels are still in view, (1, *shape)."""
    index = torch.arange(image.shape[axis + 2]) + steps
    inside = (index >= 0) & (index < len(index))
    shape = [1] * image.ndim
    shape[axis + 2] = -1
    return image.roll(-steps, axis + 2), inside.reshape(shape)[:, 0].expand(1, *image.shape[2:])


def cost(metric, fixed, moving, steps=0, axis=0):
    """What a shift costs, by a metric that had the time to learn, if it learns."""
    warped, inside = shifted(moving, steps, axis)
    fixed, warped = for_metric(metric, fixed), for_metric(metric, warped)
    inside = inside if metric.on_grids else inside.flatten(1)
    if learns(metric):
        generator = torch.Generator().manual_seed(0)
        metric.reset(generator)
        optimiser = torch.optim.Adam(metric.parameters(), lr=1e-2)
        # All of a grid is shown at once, of samples some hundreds: fewer steps of one are worth more of the other.
        for _ in range(25 if metric.on_grids else 50):
            shown = fixed, warped, inside
            if not metric.on_grids:
                seen = torch.randperm(inside.shape[1], generator=generator)[:800]
                shown = tuple(t[..., seen] for t in shown)
            optimiser.zero_grad()
            with_overlap(metric, *shown).backward()
            optimiser.step()
    with torch.no_grad():
        return float(with_overlap(metric, fixed, warped, inside))


def again(metric, *arguments):
    """The metric's value with the same random numbers as before and after."""
    state = metric.generator.get_state() if hasattr(metric, "generator") else None
    value = metric(*arguments)
    if state is not None:
        metric.generator.set_state(state)
    return value


def samples(metric, shape=(7, 9), channels=1, seed=0, **options):
    """Related images with a mask: `(fixed, warped, weight)` as the metric wants them."""
    fixed = random(2, channels, *shape, seed=seed, **options)
    warped = fixed.sin() + 0.3 * random(2, channels, *shape, seed=seed + 1, **options)
    weight = random(2, *shape, seed=seed + 2, **options).abs()
    weight = torch.where(weight < 0.3, 0.0, weight)
    if metric.on_grids:
        return fixed, warped, weight
    return fixed.flatten(2), warped.flatten(2), weight.flatten(1)


@every_metric
def test_it_is_a_final_metric_that_says_what_it_is(name):
    kind = METRICS[name]
    assert issubclass(kind, Metric)
    assert not inspect.isabstract(kind)
    assert kind.__final__
    assert isinstance(kind.symmetric, bool)
    assert isinstance(kind.across_contrasts, bool)


@every_metric
def test_its_settings_make_it_again(name):
    settings = METRICS[name]().settings
    from_a_file = type(settings).from_json(settings.to_json())
    assert METRICS[name](**dict(from_a_file)).settings == settings


@every_metric
@in_2d_and_3d
def test_it_is_smaller_when_aligned(name, shape):
    metric = METRICS[name]()
    fixed, moving = pair(metric, shape)
    aligned = cost(metric, fixed, moving)
    for axis in range(len(shape)):
        for steps in (-3, -1, 1, 3) if not is_slow(metric) else (-1, 3):
            assert cost(metric, fixed, moving, steps, axis) > aligned, (axis, steps)


@every_metric
@in_2d_and_3d
@pytest.mark.parametrize("seed", [0, 10])
def test_shrinking_the_overlap_never_pays(name, shape, seed):
    metric = METRICS[name]()
    fixed, moving = pair(metric, shape, seed)
    aligned = cost(metric, fixed, moving)
    # The long axis has 50 voxels: from one voxel of shift to one voxel of overlap, 2 %.
    for steps in range(1, shape[0]) if not is_slow(metric) else (1, 20, 40, 47, 49):
        for direction in (-1, 1) if not is_slow(metric) else (1,):
            assert cost(metric, fixed, moving, direction * steps) > aligned, (
                f"overlap {shape[0] - steps} of 50"
            )


@every_metric
@in_2d_and_3d
@pytest.mark.parametrize("garbage", [1e6, float("nan"), float("inf")])
def test_what_has_weight_zero_is_ignored(name, shape, garbage):
    metric = METRICS[name]()
    fixed, warped, weight = samples(metric, shape)
    hidden = (weight == 0)[:, None]
    assert hidden.any()

    def value_and_slopes(fixed, warped):
        inputs = fixed.clone().requires_grad_(), warped.clone().requires_grad_()
        value = again(metric, *inputs, weight)
        return value, *torch.autograd.grad(value, inputs)

    clean = value_and_slopes(fixed, warped)
    soiled = value_and_slopes(*(torch.where(hidden, garbage, x) for x in (fixed, warped)))
    for a, b in zip(clean, soiled, strict=True):
        assert torch.equal(a, b)
    for slope in clean[1:]:
        assert bool((slope.masked_select(hidden) == 0).all())
        assert float(slope.abs().max()) > 0


@every_metric
def test_weights_count_relative_to_each_other(name):
    metric = METRICS[name]()
    fixed, warped, weight = samples(metric, dtype=torch.float64)
    torch.testing.assert_close(again(metric, fixed, warped, 3 * weight), again(metric, fixed, warped, weight))
    ones = torch.ones_like(weight)
    torch.testing.assert_close(again(metric, fixed, warped, ones), again(metric, fixed, warped, None))


@every_metric
@in_2d_and_3d
def test_the_gradient_is_that_of_finite_differences(name, shape):
    metric = METRICS[name]().double()
    # The slope of a network jumps where one of its units switches: with few places, none does within a step.
    shape = tuple(min(n, 6 if learns(metric) else 12) for n in shape)
    fixed, warped, weight = samples(metric, shape, dtype=torch.float64)
    # The range of intensities counts as a constant, so what sets it is left where it is.
    movable = (warped.abs() < 1.2) & (fixed.abs() < 1.2)
    for which in (0, 1):
        inputs = [fixed, warped]
        direction = random(*fixed.shape, seed=5, dtype=torch.float64) * movable
        inputs[which] = inputs[which].clone().requires_grad_()
        (slope,) = torch.autograd.grad(again(metric, *inputs, weight), inputs[which])
        step = 1e-6
        ends = []
        for sign in (1, -1):
            moved = list(inputs)
            moved[which] = inputs[which].detach() + sign * step * direction
            with torch.no_grad():
                ends.append(float(again(metric, *moved, weight)))
        expected = (ends[0] - ends[1]) / (2 * step)
        assert float((slope * direction).sum()) == pytest.approx(expected, rel=1e-5, abs=1e-9)
        assert abs(expected) > 1e-5


@pytest.mark.parametrize("name", [name for name, kind in METRICS.items() if kind.symmetric])
def test_it_is_symmetric_where_it_says_so(name):
    metric = METRICS[name]()
    fixed, warped, weight = samples(metric, dtype=torch.float64)
    torch.testing.assert_close(
        metric(fixed, warped, weight), metric(warped, fixed, weight), rtol=1e-12, atol=1e-12
    )


@every_metric
@pytest.mark.parametrize("constant", [0.0, 0.1, 1000.0])
@pytest.mark.parametrize("which", ["fixed", "warped", "both"])
def test_constant_images_cost_a_finite_number(name, constant, which):
    metric = METRICS[name]()
    fixed, warped, weight = samples(metric)
    fixed = torch.full_like(fixed, constant) if which != "warped" else fixed
    warped = torch.full_like(warped, constant) if which != "fixed" else warped
    fixed.requires_grad_()
    warped.requires_grad_()
    value = metric(fixed, warped, weight)
    value.backward()
    for tensor in (value, fixed.grad, warped.grad):
        assert bool(torch.isfinite(tensor).all())
    assert float(warped.grad.abs().max()) < 1e4
    # An untrained network says nothing yet.
    if name not in ("mse", "mine", "mine_local", "mind_ssc"):
        assert abs(float(value.detach())) < 1e-4


@every_metric
@pytest.mark.parametrize("seen", [0, 1, 2])
def test_hardly_any_overlap_costs_about_what_no_knowledge_does(name, seen):
    metric = METRICS[name]()
    fixed, warped, weight = samples(metric)
    inside = torch.zeros_like(weight, dtype=torch.bool)
    inside.view(2, -1)[:, :seen] = True
    warped.requires_grad_()
    value = with_overlap(metric, fixed, warped, inside)
    value.backward()
    assert bool(torch.isfinite(warped.grad).all())
    neutral = metric.neutral(fixed).mean()
    share = seen / inside[0].numel()
    # Two samples can agree perfectly; they count as the two samples that they are.
    assert float(value.detach()) == pytest.approx(float(neutral), abs=max(1e-6, 30 * share))


@every_metric
def test_a_batch_costs_the_mean_of_its_pairs(name):
    metric = METRICS[name]()
    fixed, warped, weight = samples(metric)
    singles = []
    state = metric.generator.get_state() if hasattr(metric, "generator") else None
    for i in range(2):
        singles.append(metric(fixed[i : i + 1], warped[i : i + 1], weight[i : i + 1]))
    if state is not None:
        metric.generator.set_state(state)
    torch.testing.assert_close(metric(fixed, warped, weight), torch.stack(singles).mean())


@every_metric
def test_half_precision_is_compared_in_single(name):
    metric = METRICS[name]()
    fixed, warped, weight = samples(metric)
    fixed, warped = fixed.to(torch.bfloat16), warped.to(torch.bfloat16)
    value = again(metric, fixed, warped, weight.to(torch.bfloat16))
    expected = again(metric, fixed.float(), warped.float(), weight.to(torch.bfloat16).float())
    assert value.dtype == torch.float32
    torch.testing.assert_close(value, expected)


@every_metric
def test_the_same_seed_gives_the_same_bytes_and_global_randomness_is_left_alone(name):
    before = torch.get_rng_state()
    values = []
    for _ in range(2):
        metric = METRICS[name]()
        fixed, warped, weight = samples(metric)
        value = metric(fixed, warped.requires_grad_(), weight)
        values.append((value, *torch.autograd.grad(value, warped)))
    for a, b in zip(*values, strict=True):
        assert torch.equal(a, b)
    assert torch.equal(before, torch.get_rng_state())
