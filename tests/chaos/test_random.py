"""Faults of every sort at moments that nobody chose.

``OPSPAWN_CHAOS_SEED`` repeats a round that failed; ``OPSPAWN_CHAOS_FAULTS`` says how many faults.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Mapping

import pytest

from tests.chaos.checks import check
from tests.chaos.conftest import MakeWorld
from tests.chaos.world import CHILD, World, is_long

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

FAULTS = int(os.environ.get("OPSPAWN_CHAOS_FAULTS", "200" if is_long() else "6"))
FAULTS_OF_A_ROUND = 10
SEED = int(os.environ.get("OPSPAWN_CHAOS_SEED", random.randrange(1 << 32)))
NOTEBOOKS = (
    (CHILD, "time.sleep(0.5)", "print('x' * 100_000)"),
    (f"{CHILD}\ntime.sleep(1.5)", "1"),
    ("for n in range(200):\n    print(n, flush=True)\n    time.sleep(0.01)",),
    ("sum(range(10**8))", CHILD),
)


def kill_one(kind: str) -> Callable[[World, random.Random], None]:
    def strike(world: World, chance: random.Random) -> None:
        found = world.processes(kind)
        if found:
            world.kill(chance.choice(found))

    return strike


def cancel_one(world: World, chance: random.Random) -> None:
    world.cancel(chance.choice(world.tasks))


STRIKES: Mapping[str, tuple[int, Callable[[World, random.Random], None]]] = {
    "server killed": (4, lambda world, _: world.kill_server()),
    "server stopped": (1, lambda world, _: world.stop_server()),
    "worker killed": (2, kill_one("worker")),
    "runner killed": (3, kill_one("runner")),
    "kernel killed": (3, kill_one("kernel")),
    "machine switched off": (1, lambda world, _: world.kill_everything()),
    "task cancelled": (2, cancel_one),
}


@pytest.mark.parametrize("round_number", range(-(-FAULTS // FAULTS_OF_A_ROUND)))
def test_random_faults_at_random_moments(make_world: MakeWorld, round_number: int) -> None:
    """Nobody thinks of everything."""
    seed = SEED + round_number
    print(f"OPSPAWN_CHAOS_SEED={seed} OPSPAWN_CHAOS_FAULTS={FAULTS_OF_A_ROUND}")
    chance = random.Random(seed)
    world = make_world(settings={"max_running_tasks": 3})
    names = list(STRIKES)
    weights = [STRIKES[name][0] for name in names]

    for _ in range(min(FAULTS, FAULTS_OF_A_ROUND)):
        retries = chance.choice([0, 0, 2])
        world.submit(
            *chance.choice(NOTEBOOKS), max_retries=retries, retry_delay_seconds=chance.random()
        )
        time.sleep(chance.uniform(0.0, 3.0))  # the moment is what is random here
        (strike,) = chance.choices(names, weights)
        print(f"{time.monotonic():.2f} {strike}")
        STRIKES[strike][1](world, chance)

    check(world)
