r"""Bounds below a split, compiled: CROWN, intervals and the Lagrangian bound on a `Chain`.

The arithmetic of `bounds.crown`, one linear function at a time and without allocation, because a
search asks for it at every node. The region is given as `Room` around the chain's reference point.
Bounds of all neurons are two flat arrays, ``low`` and ``high``, narrowed in place; a comparison
with NaN never narrows.

**Trusts** float64 arithmetic up to `Chain.unit` times the magnitudes of all that a bound is made
of, by which it is relaxed.
"""

from __future__ import annotations

import numpy as np

from dualbound.phases.compiled import compiled, inlined


@compiled
def workspace(chain):
    """Scratch for the other functions; one for each thread."""
    width = max(chain.sizes.max(), 1)
    n = chain.first.shape[1]
    return np.zeros(width), np.zeros(width), np.zeros(n), np.zeros(n), np.zeros(n)


@compiled
def _spend(gains, rooms, budget):
    """The most that ``budget`` can earn, the largest gains first: quickselect by weight."""
    total = 0.0
    first, last = 0, len(gains) - 1
    while first < last:
        pivot = gains[(first + last) // 2]
        i, j = first, last
        while i <= j:
            while gains[i] > pivot:
                i += 1
            while gains[j] < pivot:
                j -= 1
            if i <= j:
                gains[i], gains[j] = gains[j], gains[i]
                rooms[i], rooms[j] = rooms[j], rooms[i]
                i += 1
                j -= 1
        # Now [first, j] >= pivot >= [i, last], and whatever is between equals it.
        weight = 0.0
        for k in range(first, j + 1):
            weight += rooms[k]
        if weight >= budget:
            last = j
            continue
        for k in range(first, j + 1):
            total += gains[k] * rooms[k]
        budget -= weight
        for k in range(j + 1, i):
            used = min(rooms[k], budget)
            total += gains[k] * used
            budget -= used
        first = i
    if first == last:
        total += gains[first] * min(rooms[first], budget)
    return total


@compiled
def support(direction, room, gains, rooms):
    """The maximum of ``direction·d`` over the room, at least; the last two are scratch."""
    n = len(direction)
    if room.budget == np.inf:
        total = 0.0
        for p in range(n):
            v = direction[p]
            total += v * room.up[p] if v > 0.0 else -v * room.down[p]
        return total
    if room.round:
        return _round_support(direction, room, gains, rooms)
    top = 0.0
    for p in range(n):
        v = direction[p]
        if v > 0.0:
            gains[p] = v * room.rise[p] if room.up[p] > 0.0 else 0.0
        else:
            gains[p] = -v * room.fall[p] if room.down[p] > 0.0 else 0.0
        top = max(top, gains[p])
    threshold = 0.5 * top
    while True:  # few inputs earn enough to be moved at all; look at no more than needed
        weight = 0.0
        for p in range(n):
            if gains[p] > threshold:
                weight += room.up[p] if direction[p] > 0.0 else room.down[p]
        if weight >= room.budget or threshold == 0.0:
            break
        threshold = 0.5 * threshold if threshold > 1e-3 * top else 0.0
    count = 0
    for p in range(n):
        if gains[p] > threshold:
            gain = gains[p]
            rooms[count] = room.up[p] if direction[p] > 0.0 else room.down[p]
            gains[count] = gain
            count += 1
    return _spend(gains[:count], rooms[:count], room.budget)


@compiled
def _round_support(direction, room, gains, rooms):
    r"""The support function where the Euclidean length of the steps is bounded.

    For every price :math:`\mu > 0` of the squared length,

    .. math:: \mu B^2 / 2 + \sum_i \max_{0 \le s \le r_i} (g_i s - \mu s^2 / 2)

    is an upper bound, and for the best price it is exact.
    """
    price = round_price(direction, room, gains, rooms)
    bound = 0.0
    if price == np.inf:  # of gains so small that their squares are 0, the sum is bound enough
        for p in range(len(direction)):
            bound += gains[p] * room.budget
        return bound
    bound = 0.5 * price * room.budget * room.budget
    for p in range(len(direction)):
        if gains[p] > price * rooms[p]:
            bound += gains[p] * rooms[p] - 0.5 * price * rooms[p] * rooms[p]
        elif gains[p] > 0.0:
            bound += 0.5 * gains[p] / price * gains[p]
    return bound


@compiled
def round_price(direction, room, gains, rooms):
    """The best price of a squared step in a round room, reached from above.

    Once it is known whose steps end at their bounds, the price follows from the others.

    Args:
        direction: of the moves.
        room: round.
        gains: receives what a step of each input earns, 0 where it can take none.
        rooms: receives how many steps each may take.

    Returns:
        The price; 0 if the budget is more than can be used, infinity if nothing earns anything.
    """
    n = len(direction)
    total = 0.0
    for p in range(n):
        v = direction[p]
        rooms[p] = room.up[p] if v > 0.0 else room.down[p]
        gains[p] = 0.0
        if rooms[p] > 0.0:
            gains[p] = v * room.rise[p] if v > 0.0 else -v * room.fall[p]
        total += gains[p] * gains[p]
    if total == 0.0 or room.budget <= 0.0:
        return np.inf
    price = np.sqrt(total) / room.budget
    for _ in range(100):
        free, left = 0.0, room.budget * room.budget
        for p in range(n):
            if gains[p] > price * rooms[p]:
                left -= rooms[p] * rooms[p]
            else:
                free += gains[p] * gains[p]
        if free <= 0.0:
            return 0.0
        better = np.sqrt(free / left) if left > 0.0 else price
        if not better < price * (1.0 - 1e-12):
            break
        price = better
    return price


@compiled
def _to_input(chain, coefficients, direction):
    """``coefficients·W1``."""
    direction[:] = 0.0
    for m in range(chain.sizes[0]):
        a = coefficients[m]
        if a != 0.0:
            row = chain.first[m]
            for p in range(len(direction)):
                direction[p] += a * row[p]


@compiled
def crown(chain, room, low, high, layer, neuron, sign, work):
    """CROWN's upper bound of ``sign`` times one neuron, or goal, of a layer behind the first."""
    here, there, direction, gains, rooms = work
    width = chain.sizes[layer - 1]
    total = sign * chain.bias[chain.starts[layer] + neuron]
    size = chain.magnitudes[chain.starts[layer] + neuron]
    offset = chain.offsets[layer] + neuron * width
    for j in range(width):
        here[j] = sign * chain.weights[offset + j]
    for k in range(layer - 1, -1, -1):
        start, width = chain.starts[k], chain.sizes[k]
        for j in range(width):
            c = here[j]
            if c == 0.0:
                continue
            size += abs(c) * chain.magnitudes[start + j]
            below, above = low[start + j], high[start + j]
            if above <= 0.0:
                here[j] = 0.0
            elif below < 0.0:
                if c > 0.0:
                    slope = above / (above - below)
                    total -= c * slope * below
                    here[j] = c * slope
                elif above <= -below:
                    here[j] = 0.0
            total += here[j] * chain.bias[start + j]
        if k == 0:
            break
        before = chain.sizes[k - 1]
        there[:before] = 0.0
        for i in range(width):
            a = here[i]
            if a != 0.0:
                offset = chain.offsets[k] + i * before
                for j in range(before):
                    there[j] += a * chain.weights[offset + j]
        here, there = there, here
    _to_input(chain, here, direction)
    total += support(direction, room, gains, rooms)
    return total + chain.unit * size


@inlined
def _first_layer(chain, room, low, high, work):
    """Narrow the bounds of layer 1, exactly; False if nothing is left."""
    _, _, direction, gains, rooms = work
    for i in range(chain.sizes[0]):
        for sign in (1.0, -1.0):
            direction[:] = sign * chain.first[i]
            v = support(direction, room, gains, rooms) + sign * chain.bias[i]
            v += chain.unit * chain.magnitudes[i]
            if sign > 0.0 and v < high[i]:
                high[i] = v
            elif sign < 0.0 and -v > low[i]:
                low[i] = -v
        if low[i] > high[i]:
            return False
    return True


@compiled
def _layer(chain, room, low, high, k, work):
    """Narrow the bounds of the neurons of a later layer whose sign is open; False if empty."""
    start, width = chain.starts[k], chain.sizes[k]
    before, before_width = chain.starts[k - 1], chain.sizes[k - 1]
    for i in range(width):
        at = start + i
        if low[at] >= 0.0 or high[at] <= 0.0:
            continue
        above = chain.bias[at]
        below = above
        offset = chain.offsets[k] + i * before_width
        for j in range(before_width):
            w = chain.weights[offset + j]
            top, bottom = max(high[before + j], 0.0), max(low[before + j], 0.0)
            if w > 0.0:
                above += w * top
                below += w * bottom
            elif w < 0.0:
                above += w * bottom
                below += w * top
        above += chain.unit * chain.magnitudes[at]
        below -= chain.unit * chain.magnitudes[at]
        if above < high[at]:
            high[at] = above
        if below > low[at]:
            low[at] = below
        if high[at] > 0.0:
            above = crown(chain, room, low, high, k, i, 1.0, work)
            if above < high[at]:
                high[at] = above
        if low[at] < 0.0:
            below = -crown(chain, room, low, high, k, i, -1.0, work)
            if below > low[at]:
                low[at] = below
        if low[at] > high[at]:
            return False
    return True


@compiled
def propagate(chain, room, low, high, after, work):
    """Narrow the bounds of all layers behind ``after``; -1 begins with layer 1. False if empty."""
    if after < 0 and not _first_layer(chain, room, low, high, work):
        return False
    for k in range(max(after + 1, 1), len(chain.sizes) - 1):
        if not _layer(chain, room, low, high, k, work):
            return False
    return True


@compiled
def goal_bound(chain, room, low, high, work):
    """CROWN's upper bound on the smallest goal."""
    last = len(chain.sizes) - 1
    best = np.inf
    if last == 0:
        return best
    for i in range(chain.sizes[last]):
        v = crown(chain, room, low, high, last, i, 1.0, work)
        if v < best:
            best = v
    return best


@compiled
def moved(chain, room, multipliers, direction, work):
    """What the moves of a room contribute to `lagrangian`, which depends on no bound of a neuron.

    Args:
        chain: of the network.
        room: of its inputs.
        multipliers: pi, one a neuron.
        direction: receives ``pi·W1``.
        work: scratch.
    """
    _to_input(chain, multipliers, direction)
    return support(direction, room, work[3], work[4])


@compiled
def unmoved(chain, low, high, goals, multipliers, least, objective, sign, leaning, work):
    """What neurons and goals contribute to `lagrangian`, whose arguments these are."""
    last = len(chain.sizes) - 1
    total = 0.0
    size = 0.0
    start = chain.starts[last]
    for k in range(chain.sizes[last]):
        v = goals[k] * (chain.bias[start + k] - least)
        total += v
        size += goals[k] * (chain.magnitudes[start + k] + abs(least))
    passed = work[0]
    for k in range(last - 1, -1, -1):
        start, width = chain.starts[k], chain.sizes[k]
        after, rows = chain.starts[k + 1], chain.sizes[k + 1]
        passed[:width] = 0.0
        for i in range(rows):
            a = goals[i] if k + 1 == last else multipliers[after + i]
            if a != 0.0:
                offset = chain.offsets[k + 1] + i * width
                for j in range(width):
                    passed[j] += a * chain.weights[offset + j]
        for j in range(width):
            at = start + j
            pi = multipliers[at]
            below, above = low[at], high[at]
            total += pi * chain.bias[at]
            size += abs(pi) * (chain.magnitudes[at] + max(-below, above))
            if at == objective:
                pi -= sign
            c = passed[j] - pi
            leaning[at] = 0.0
            if below >= 0.0:
                v = c * above if c > 0.0 else c * below
            elif above <= 0.0:
                v = -pi * below if pi > 0.0 else -pi * above
            else:
                v = max(0.0, c * above, -pi * below)
                leaning[at] = v
            total += v
            size += abs(v)
    return total + chain.unit * size


@compiled
def lagrangian(
    chain, room, low, high, goals, multipliers, least, objective, sign, direction, leaning, work
):
    r"""An upper bound valid for *any* multipliers, on the smallest goal or on one neuron.

    With :math:`v_i = y_i - w_i` for pre-activation, output and what the rectifier cuts off, and for
    a neuron whose sign is open :math:`y_i / u_i + w_i / |l_i| \le 1` and :math:`y, w \ge 0`, the
    maximum of

    .. math:: \sigma v_o + \sum_k \rho_k (g_k(y) - c) + \sum_i \pi_i (W_i y + b_i - y_i + w_i)

    over the move, :math:`y` and :math:`w` splits into one maximum for each neuron and the support
    function of the room. It bounds

    - the smallest goal (less ``c``), when :math:`\sigma = 0` and the :math:`\rho` sum up to 1;
    - :math:`\sigma v_o` where all goals are at least ``c``;
    - 0 when both are 0: a negative value proves that the node is empty.

    Args:
        chain: of the network.
        room: of its inputs.
        low: bounds of all neurons.
        high: likewise.
        goals: rho, not negative.
        multipliers: pi, one a neuron.
        least: c.
        objective: o, or -1.
        sign: sigma.
        direction: receives ``pi·W1``.
        leaning: receives what the relaxation of each open neuron contributes.
        work: scratch.
    """
    return moved(chain, room, multipliers, direction, work) + unmoved(
        chain, low, high, goals, multipliers, least, objective, sign, leaning, work
    )


@compiled
def inherit(chain, room, low, high, rho, pi, moves, least, after, leaning, work):
    """`propagate`, with the multipliers of an ancestor's bounds evaluated anew; False if empty.

    Args:
        chain: of the network.
        room: of its inputs.
        low: bounds of all neurons, narrowed in place.
        high: likewise.
        rho: multipliers of the goals for each neuron's upper and lower bound, ``(h, 2, k)``.
        pi: of the neurons, ``(h, 2, h)``.
        moves: what `moved` says of them in this room, ``(h, 2)``; infinity where there are none.
        least: what the goals are at least, where the bounds must hold.
        after: the layer of the split.
        leaning: scratch, ``(h,)``.
        work: scratch.
    """
    for k in range(len(chain.sizes) - 1):
        if k > after and k > 0 and not _layer(chain, room, low, high, k, work):
            return False
        for at in range(chain.starts[k], chain.starts[k] + chain.sizes[k]):
            for side in range(2):
                if low[at] >= 0.0 or high[at] <= 0.0 or moves[at, side] == np.inf:
                    continue
                v = moves[at, side] + unmoved(
                    chain, low, high, rho[at, side], pi[at, side], least, at, 1.0 - 2.0 * side,
                    leaning, work,
                )  # fmt: skip
                if side == 0 and v < high[at]:
                    high[at] = v
                elif side == 1 and -v > low[at]:
                    low[at] = -v
                if low[at] > high[at]:
                    return False
    return True


@compiled
def move_anew(chain, room, pi, moves, direction, work):
    """Evaluate `moved` anew, where there are multipliers, for `inherit` in another room."""
    for at in range(len(moves)):
        for side in range(2):
            if moves[at, side] < np.inf:
                moves[at, side] = moved(chain, room, pi[at, side], direction, work)
