"""A history: how a scene came about, step by step, with names for the workers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from model.graph import EVERYBODY, Graph


def told(graph: Graph, path: Sequence[int]) -> Iterator[str]:
    """A line for each step of the path. Scenes do not say which worker is which: here each keeps its name."""
    names = [f"w{place + 1}" for place in range(graph.scope.workers)]
    for scene, following in pairwise(path):
        edge = next(edge for edge in graph.edges(scene) if graph.scene_after(edge) == following)
        who = "" if edge.place == EVERYBODY else f"{names[edge.place]} "
        yield f"{who}{edge.step.says}" + ("" if edge.step.fault is None else f"  [{edge.step.fault.name.lower()}]")
        names = [name for _, name in sorted(zip(edge.workers, names, strict=True))]
