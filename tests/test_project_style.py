"""The shape of the code, kept by a machine: what linters do not look at."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

from support.project import place, project_files, python_files, tree

_LONGEST_FUNCTION = 50
_LONGEST_FILE = 300

_Function = ast.FunctionDef | ast.AsyncFunctionDef
_Documented = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef

_NOQA = re.compile(r"# noqa: [A-Z]+\d+(, ?[A-Z]+\d+)* +- \w")
_TYPE_IGNORE = re.compile(r"# type: ignore\[[a-z-]+(, ?[a-z-]+)*\]")

# Spelled so that this file does not hold what it looks for.
_FOREIGN = {
    "a package index": re.compile(r"py[p]i\.|python[h]osted|(?:extra-)?index[-_]url|--find[-]links|trusted[-]host"),
    "a directory of somebody's machine": re.compile(
        r"(?<![\w.}~])/(?:wor[k]|roo[t]|hom[e])(?:/|(?=[\s'\"`:;,)]|$))", re.MULTILINE
    ),
    "a neighbour of the repository": re.compile(r"\.\./share[d]"),
}


def test_no_function_is_longer_than_a_screen() -> None:
    """A function has at most 50 lines, its docstring counted."""
    long = [
        f"{place(path, node.lineno)} {node.name}: {length} lines"
        for path in python_files()
        for node in ast.walk(tree(path))
        if isinstance(node, _Function) and (length := _length(node)) > _LONGEST_FUNCTION
    ]
    assert not long, "\n".join(long)


def test_no_file_outgrows_the_head() -> None:
    """A file of the package has at most 300 lines; one that grows becomes a folder, one file per verb."""
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in python_files("outbox")}
    long = [f"{place(path)}: {length} lines" for path, length in lengths.items() if length > _LONGEST_FILE]
    assert not long, "\n".join(long)


def test_everything_public_says_what_it_is() -> None:
    """Each public module, class, function and method of the package has a docstring."""
    silent = [place(path, line) for path in python_files("outbox") for line in _undocumented(path)]
    assert not silent, "\n".join(silent)


def test_an_exception_from_a_rule_names_the_rule_and_the_reason() -> None:
    """`# noqa` states its code and why; `# type: ignore` states its code."""
    vague = [
        f"{place(path, line)} {comment}"
        for path in python_files("outbox")
        for line, comment in _comments(path)
        if _is_vague(comment)
    ]
    assert not vague, "\n".join(vague)


def test_the_repository_stands_alone() -> None:
    """No file names a package index, a directory of a developer's machine, or what lies beside the repository."""
    found = [
        f"{place(path, text.count(chr(10), 0, match.start()) + 1)} names {what}: {match[0]}"
        for path, text in _texts()
        for what, pattern in _FOREIGN.items()
        for match in pattern.finditer(text)
    ]
    assert not found, "\n".join(found)


def _length(node: _Function) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def _undocumented(path: Path) -> Iterator[int]:
    module = tree(path)
    if module.body and ast.get_docstring(module) is None:
        yield 1
    for node in _public(module):
        if ast.get_docstring(node) is None:
            yield node.lineno


def _public(parent: ast.Module | ast.ClassDef) -> Iterator[_Documented]:
    """What is public in a module, and in its public classes; an overload and a setter speak through another."""
    for node in parent.body:
        if isinstance(node, _Documented) and not node.name.startswith("_") and not _is_spoken_for(node):
            yield node
            if isinstance(node, ast.ClassDef):
                yield from _public(node)


def _is_spoken_for(node: _Documented) -> bool:
    names = {ast.unparse(decorator).rpartition(".")[2] for decorator in node.decorator_list}
    return bool(names & {"overload", "override", "setter"})


def _comments(path: Path) -> Iterator[tuple[int, str]]:
    source = io.StringIO(path.read_text(encoding="utf-8"))
    for token in tokenize.generate_tokens(source.readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


def _is_vague(comment: str) -> bool:
    if "noqa" in comment:
        return _NOQA.search(comment) is None
    return "type: ignore" in comment and _TYPE_IGNORE.search(comment) is None


def _texts() -> Iterator[tuple[Path, str]]:
    for path in project_files():
        try:
            yield path, path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue  # a picture
