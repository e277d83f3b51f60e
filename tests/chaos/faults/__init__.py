"""The faults, one function each: it does the harm, ends it, and says whom it struck, from when to when."""

from collections.abc import Callable, Mapping
from random import Random

from chaos.faults.database import end_backend, kill_server
from chaos.faults.network import disturb
from chaos.faults.process import deploy, freeze, kill, shift_clock
from chaos.faults.scene import Fault, Scene
from chaos.plan import Kind

STRIKE: Mapping[Kind, Callable[[Scene, Random], Fault]] = {
    Kind.KILL: kill,
    Kind.FREEZE: freeze,
    Kind.BACKEND: end_backend,
    Kind.SERVER: kill_server,
    Kind.PROXY: disturb,
    Kind.DEPLOY: deploy,
    Kind.CLOCK: shift_clock,
}

__all__ = ["STRIKE", "Fault", "Scene"]
