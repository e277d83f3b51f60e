"""Faults of the network between the database and its clients."""

from __future__ import annotations

import time
from random import Random

from chaos.faults.scene import Fault, Scene
from chaos.plan import Kind
from chaos.proxy import Proxy

_COMMIT_SECONDS = 3.0
"""How long to wait for a COMMIT to pass."""


def disturb(scene: Scene, chance: Random) -> Fault:
    """Disturb one client's network: a worker's slot or a producer."""
    proxies = [*scene.worker_proxies, *scene.producer_proxies]
    place = chance.choice([number for number, each in enumerate(proxies) if each is not None])
    proxy = proxies[place]
    assert proxy is not None
    began = time.monotonic()
    what = _harm(scene, proxy, chance)
    ended = time.monotonic()
    slots = len(scene.worker_proxies)
    if place < slots:
        return Fault(Kind.PROXY, began, ended, frozenset(scene.fleet.lived(place, began, ended)), frozenset(), what)
    return Fault(Kind.PROXY, began, ended, frozenset(), frozenset([place - slots]), what)


def _harm(scene: Scene, proxy: Proxy, chance: Random) -> str:
    way = chance.choice(["stall", "lose answers", "lose the answer to a COMMIT", "cut"])
    if way == "stall":
        scene.loop.run(proxy.stall(chance.uniform(0.5, 4.0)))
    elif way == "lose answers":
        scene.loop.run(proxy.lose_answers(chance.uniform(0.3, 1.0)))
    elif way == "cut" or not scene.loop.run(proxy.lose_commit(_COMMIT_SECONDS)):
        way = "cut"
        scene.loop.run(proxy.cut())
    return way
