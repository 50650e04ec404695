"""What windows say together: shifts undone, what lies beyond the grid, the aim of each window."""

import pytest
import torch

from inforeg.train.consensus import Consensus
from inforeg.train.displaced_patches import around


@pytest.mark.parametrize(("ndim", "labels"), [(2, 5), (3, 3)])
def test_windows_that_see_one_displacement_from_their_places_agree_on_it(ndim, labels):
    consensus, ways = Consensus(labels, around(ndim)), around(ndim)
    places = torch.cartesian_prod(*[torch.arange(labels)] * ndim)
    shifts = torch.randint(len(ways), (40, 4), generator=torch.Generator().manual_seed(1))
    truth = torch.randint(len(places), (40,), generator=torch.Generator().manual_seed(2))
    told = torch.zeros(40, 4, len(places))
    for n in range(40):
        for k in range(4):
            seen = places[truth[n]] - ways[shifts[n, k]]
            # A window that cannot see it tells nothing.
            if bool(((seen >= 0) & (seen < labels)).all()):
                told[n, k, int((places == seen).all(1).nonzero())] = 8.0
    told = torch.log_softmax(told, -1)
    pooled = consensus.pooled(told, shifts)
    seen = consensus.table[shifts].gather(2, truth[:, None, None].expand(-1, 4, 1))[..., 0] >= 0
    assert torch.equal(pooled.argmax(1)[seen.any(1)], truth[seen.any(1)])
    spread = consensus.spread(pooled, shifts)
    assert torch.equal(spread.argmax(2)[seen], told.argmax(2)[seen])
    assert bool((spread.sum(2) <= 1 + 1e-6).all())


def test_windows_agree_where_they_name_one_displacement_from_their_places():
    consensus = Consensus(5, around(2))
    # The middle; a window one step further along the last axis sees it one step back.
    shifts = torch.tensor([[4, 5, 4]])
    assert consensus.agreed(torch.tensor([[12, 11, 12]]), shifts) == 1
    assert consensus.agreed(torch.tensor([[12, 12, 12]]), shifts) == pytest.approx(1 / 3)
    # In number, and not in place: the end of one line and the start of the next.
    assert consensus.agreed(torch.tensor([[9, 9]]), torch.tensor([[4, 5]])) == 0


def test_two_that_are_right_outvote_one_that_is_wrong():
    consensus = Consensus(5, around(2))
    told = torch.zeros(1, 3, 25)
    told[0, :2, 7], told[0, 2, 20] = 3.0, 4.0
    unshifted = torch.full((1, 3), 4)
    assert int(consensus.pooled(torch.log_softmax(told, -1), unshifted).argmax()) == 7


def test_the_cost_draws_windows_together_and_not_what_they_say_together():
    consensus = Consensus(5, around(2))
    logits = torch.randn(2, 6, 4, 25, generator=torch.Generator().manual_seed(3), requires_grad=True)
    shifts = torch.randint(9, (6, 4), generator=torch.Generator().manual_seed(4))
    optimiser = torch.optim.Adam([logits], 0.1)
    costs = []
    for _ in range(60):
        optimiser.zero_grad()
        cost = consensus(torch.log_softmax(logits, -1), shifts)
        cost.backward()
        optimiser.step()
        costs.append(float(cost.detach()))
    assert costs[-1] < 0.5 * costs[0]
    one, other = consensus.pooled(torch.log_softmax(logits[0], -1), shifts).argmax(1), logits.argmax(3)
    agreed = consensus.spread(torch.nn.functional.one_hot(one, 25).float(), shifts)
    sees = agreed.sum(2) > 0.5
    assert torch.equal(agreed.argmax(2)[sees], other[0][sees])
